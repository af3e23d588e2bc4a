//! EfficientNet-Lite0 compared with PyTorch's; `tests/golden/features.py` made the expected values.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor, safetensors};
use stackgan_data::formats::torch_pickle;
use stackgan_eval::features::{EfficientNetLite0, Extractor, Network};

use crate::formula;
use crate::lite0::lite0;

fn check(weights: &BTreeMap<String, Tensor>, pictures: &Tensor, name: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/features.safetensors");
    let golden = safetensors::load(file, &Device::Cpu).unwrap();
    let net = EfficientNetLite0::new(weights, &Device::Cpu).unwrap();
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
    check(&lite0(), &formula::pictures((2, 3, 64, 96)), "formula");
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
fn no_pictures_have_no_rows() {
    let extractor = Extractor::new(Network::EfficientNetLite0, &lite0()).unwrap();
    let found = extractor.extract(&[]).unwrap();
    assert!(found.features.is_empty() && found.logits.is_empty());
    assert_eq!((found.features.width(), found.logits.width()), (1280, 1000));
}

#[test]
fn weights_of_another_network_are_named() {
    let mut weights = lite0();
    weights.remove("_blocks.7._bn1.running_var");
    let error = EfficientNetLite0::new(&weights, &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("`_blocks.7._bn1.running_var` of shape [480]"), "{error}");
    let narrow = Tensor::zeros((16, 32, 1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
    weights.insert("_conv_stem.weight".into(), narrow);
    let error = EfficientNetLite0::new(&weights, &Device::Cpu).unwrap_err().to_string();
    assert!(
        error.contains("`_conv_stem.weight` of shape [32, 3, 3, 3], found [16, 32, 1, 1]"),
        "{error}"
    );
}
