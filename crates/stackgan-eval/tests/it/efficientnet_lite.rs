//! EfficientNet-Lite0 beside PyTorch's: `tests/golden/features.py` made the expected values.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor, safetensors};
use stackgan_data::formats::torch_pickle;
use stackgan_eval::features::EfficientNetLite0;

use crate::formula;

/// Names and shapes of the published file, in the words of its network: blocks of (input, output, expansion, kernel).
fn shapes() -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    let mut conv = |conv: String, norm: String, shape: [usize; 4]| {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            shapes.insert(format!("{norm}.{part}"), vec![shape[0]]);
        }
        shapes.insert(format!("{conv}.weight"), shape.to_vec());
    };
    let blocks = [
        (32, 16, 1, 3),
        (16, 24, 6, 3),
        (24, 24, 6, 3),
        (24, 40, 6, 5),
        (40, 40, 6, 5),
        (40, 80, 6, 3),
        (80, 80, 6, 3),
        (80, 80, 6, 3),
        (80, 112, 6, 5),
        (112, 112, 6, 5),
        (112, 112, 6, 5),
        (112, 192, 6, 5),
        (192, 192, 6, 5),
        (192, 192, 6, 5),
        (192, 192, 6, 5),
        (192, 320, 6, 3),
    ];
    conv("_conv_stem".into(), "_bn0".into(), [32, 3, 3, 3]);
    for (i, (input, output, expansion, k)) in blocks.into_iter().enumerate() {
        let wide = input * expansion;
        let at = |name: &str| format!("_blocks.{i}.{name}");
        if expansion > 1 {
            conv(at("_expand_conv"), at("_bn0"), [wide, input, 1, 1]);
        }
        conv(at("_depthwise_conv"), at("_bn1"), [wide, 1, k, k]);
        conv(at("_project_conv"), at("_bn2"), [output, wide, 1, 1]);
    }
    conv("_conv_head".into(), "_bn1".into(), [1280, 320, 1, 1]);
    shapes.insert("_fc.weight".into(), vec![1000, 1280]);
    shapes.insert("_fc.bias".into(), vec![1000]);
    shapes
}

fn check(weights: &BTreeMap<String, Tensor>, pictures: &Tensor, name: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/features.safetensors");
    let golden = safetensors::load(file, &Device::Cpu).unwrap();
    let net = EfficientNetLite0::new(weights).unwrap();
    let features = net.features(pictures).unwrap();
    let logits = net.logits(&features).unwrap();
    for (what, found) in [("features", features), ("logits", logits)] {
        let expected = &golden[&format!("efficientnet_lite0.{name}.{what}")];
        let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        let (apart, scale) = (largest(&(&found - expected).unwrap()), largest(expected));
        assert!(apart <= 1e-4 * scale, "{name} {what}: {apart} of {scale}");
        assert!(scale > 0.1, "{name} {what} are all alike");
    }
}

#[test]
fn equal_to_torch_with_weights_by_formula() {
    check(&formula::weights(shapes()), &formula::pictures((2, 3, 64, 96)), "formula");
}

#[test]
fn equal_to_torch_with_the_published_weights() {
    let Some(file) = std::env::var_os("STACKGAN_EFFICIENTNET_LITE0") else {
        eprintln!("skipped: STACKGAN_EFFICIENTNET_LITE0 names no file of weights");
        return;
    };
    let bytes = std::fs::read(&file).unwrap();
    let tensors = torch_pickle::decode(&bytes, Path::new(&file)).unwrap();
    let tensor = |named: torch_pickle::NamedTensor<'_>| {
        let tensor = Tensor::from_vec(named.array.to_f32(), named.array.shape(), &Device::Cpu);
        (named.name, tensor.unwrap())
    };
    let weights = tensors.into_iter().map(tensor).collect();
    check(&weights, &formula::pictures((1, 3, 224, 224)), "published");
}

#[test]
fn weights_of_another_network_are_named() {
    let mut weights = formula::weights(shapes());
    weights.remove("_blocks.7._bn1.running_var");
    let error = EfficientNetLite0::new(&weights).unwrap_err().to_string();
    assert!(error.contains("`_blocks.7._bn1.running_var` of shape [480]"), "{error}");
    let narrow = Tensor::zeros((16, 32, 1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
    weights.insert("_conv_stem.weight".into(), narrow);
    let error = EfficientNetLite0::new(&weights).unwrap_err().to_string();
    assert!(
        error.contains("`_conv_stem.weight` of shape [32, 3, 3, 3], found [16, 32, 1, 1]"),
        "{error}"
    );
}
