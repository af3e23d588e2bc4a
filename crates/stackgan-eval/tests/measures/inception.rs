//! The three forms of Inception-v3 compared with PyTorch's. `tests/golden/features.py` made the
//! expected values and lists the names and shapes of the weights.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_eval::features::inception::{Form, Inception};

use crate::{pictures, weights};

fn golden() -> Archive {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/features.safetensors");
    Archive::from_bytes(&std::fs::read(file).unwrap(), &Device::Cpu).unwrap()
}

/// Returns weights by a formula for a network with this number of classes.
fn weights(golden: &Archive, classes: usize) -> BTreeMap<String, Tensor> {
    let text = &golden.metadata["inception.shapes"];
    let mut shapes: BTreeMap<String, Vec<usize>> = serde_json::from_str(text).unwrap();
    shapes.insert("fc.weight".into(), vec![classes, 2048]);
    shapes.insert("fc.bias".into(), vec![classes]);
    weights::weights(shapes)
}

/// Uses pictures of 91x107 pixels, which no layer halves evenly, so that pooling or padding at the
/// wrong edge is noticed.
#[test]
fn equal_to_torch_in_all_three_forms() {
    let golden = golden();
    let pictures = pictures::pictures((2, 3, 91, 107));
    for (form, name, classes, scored) in [
        (Form::Fid, "fid", 1008, 1008),
        (Form::Torchvision, "torchvision", 1000, 1000),
        (Form::Slim, "slim", 51, 50),
    ] {
        let net = Inception::new(form, &weights(&golden, classes)).unwrap();
        assert_eq!(net.classes(), scored);
        let output = net.forward(&pictures).unwrap();
        for (what, found) in [("features", output.features), ("logits", output.logits)] {
            let expected = &golden.tensors[&format!("inception_{name}.formula.{what}")];
            let largest =
                |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            let (apart, scale) = (largest(&(&found - expected).unwrap()), largest(expected));
            assert!(apart <= 1e-4 * scale, "{name} {what}: {apart} of {scale}");
            assert!(scale > 0.01, "{name} {what} are all alike");
        }
    }
}

#[test]
fn weights_of_another_network_are_named() {
    let mut weights = weights(&golden(), 1008);
    weights.remove("Mixed_6c.branch7x7dbl_4.bn.bias");
    let error = Inception::new(Form::Fid, &weights).unwrap_err().to_string();
    assert!(error.contains("`Mixed_6c.branch7x7dbl_4.bn.bias` of shape [160]"), "{error}");
}
