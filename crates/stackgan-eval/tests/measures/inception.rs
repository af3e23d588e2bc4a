//! The three forms of Inception-v3 compared with PyTorch's. `tests/golden/features.py` made the
//! expected values and lists the names and shapes of the weights.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_eval::features::inception::{Form, Inception, slim};

use crate::{pictures, weights};

fn golden() -> Archive {
    archive("features.safetensors")
}

fn archive(name: &str) -> Archive {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name);
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
            assert_near(&format!("{name} {what}"), &found, expected);
        }
    }
}

fn assert_near(what: &str, found: &Tensor, expected: &Tensor) {
    let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    let (apart, scale) = (largest(&(found - expected).unwrap()), largest(expected));
    assert!(apart <= 1e-4 * scale, "{what}: {apart} of {scale}");
    assert!(scale > 0.01, "{what} are all alike");
}

/// The variables of a checkpoint of the authors give what TensorFlow's own graph gives
/// (`tests/golden/tensorflow_inception.py`).
#[test]
fn the_variables_of_tensorflow_are_the_same_network() {
    let golden = archive("tensorflow_inception.safetensors");
    let shapes: BTreeMap<String, Vec<usize>> =
        serde_json::from_str(&golden.metadata["variables"]).unwrap();
    let training = ["global_step", "conv0/weights", "aux_logits/FC/weights"];
    let names = shapes.keys().map(String::as_str).chain(training);
    assert!(slim::variables(names).unwrap().iter().eq(shapes.keys()));
    let variables = weights::variables(shapes);
    let net = Inception::new(Form::Slim, &slim::state_dict(variables).unwrap()).unwrap();
    let output = net.forward(&pictures::pictures((2, 3, 91, 107))).unwrap();
    assert_near("features", &output.features, &golden.tensors["features"]);
    assert_near("logits", &output.logits, &golden.tensors["logits"]);
}

#[test]
fn weights_of_another_network_are_named() {
    let mut weights = weights(&golden(), 1008);
    weights.remove("Mixed_6c.branch7x7dbl_4.bn.bias");
    let error = Inception::new(Form::Fid, &weights).unwrap_err().to_string();
    assert!(error.contains("`Mixed_6c.branch7x7dbl_4.bn.bias` of shape [160]"), "{error}");
}
