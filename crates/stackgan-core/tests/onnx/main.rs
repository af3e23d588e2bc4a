//! Runs ONNX files and compares them with their networks. The code that reads and runs a file
//! shares nothing with the code that wrote it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, in helper functions too")]

mod interpreter;
mod models;
mod protobuf;

use candle_core::{Device, Tensor};
use stackgan_core::generator_noise::{GeneratorNoise, Scales};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::text::Recurrence;
use stackgan_core::text::alphabet::{self, CAPTION_LENGTH};
use stackgan_core::{Mode, Model, Recipe, Stage, onnx};

use crate::interpreter::run;
use crate::models::{Standardised, encoder, model};
use crate::protobuf::{File, Node, Setting};

const RECIPES: [Recipe; 2] = [Recipe::Residual, Recipe::Plain];

fn normal(sample: u64, rows: usize, width: usize) -> Tensor {
    let values = Noise::new(5).normal(Stream::Test, 1, sample, rows * width);
    Tensor::from_vec(values, (rows, width), &Device::Cpu).unwrap()
}

/// Returns random embeddings and noise.
fn inputs(model: &Model, rows: usize) -> (Tensor, GeneratorNoise) {
    let net = model.info().stage1.net;
    let noise = GeneratorNoise {
        z: normal(1, rows, net.z_dim),
        eps1: normal(2, rows, net.cond_dim),
        eps2: normal(3, rows, net.cond_dim),
    };
    (normal(0, rows, net.text_dim), noise)
}

fn painted(file: &File, (text, noise): &(Tensor, GeneratorNoise)) -> candle_core::Result<Tensor> {
    let given = [
        ("embedding", text),
        ("z", &noise.z),
        ("epsilon1", &noise.eps1),
        ("epsilon2", &noise.eps2),
    ];
    Ok(run(file, &given)?["image"].clone())
}

/// Returns the largest difference. A difference that is NaN is ignored.
fn apart(a: &Tensor, b: &Tensor) -> f32 {
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(a.dims(), b.dims());
    let differences = values(a).into_iter().zip(values(b)).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most, by| if by.is_nan() { f32::INFINITY } else { by.max(most) })
}

#[test]
fn what_the_file_paints_is_what_the_networks_paint() {
    for (recipe, standardised) in
        RECIPES.into_iter().zip([Standardised::ByTheModel, Standardised::Not])
    {
        let model = model(recipe, standardised);
        for stage in Stage::ALL {
            for rows in [1, 3] {
                let inputs = inputs(&model, rows);
                let text = model.standardised(&inputs.0).unwrap();
                let generator = model.generator(stage).unwrap();
                let ours = generator.paint(&text, &inputs.1, Mode::Eval).unwrap();
                let file = File::read(&onnx::generator(&model, stage, "ab").unwrap());
                let theirs = painted(&file, &inputs).unwrap();
                let contrast = ours.image.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let contrast = contrast.iter().filter(|v| v.abs() > 0.1).count() * 2;
                assert!(contrast > ours.image.elem_count(), "pictures are grey: {contrast}");
                let by = apart(&ours.image, &theirs);
                assert!(by < 1e-5, "{recipe:?} stage {stage}: {by}");
                if let Some(low) = ours.low {
                    let all = [
                        ("embedding", &inputs.0),
                        ("z", &inputs.1.z),
                        ("epsilon1", &inputs.1.eps1),
                        ("epsilon2", &inputs.1.eps2),
                    ];
                    assert!(apart(&low, &run(&file, &all).unwrap()["low"]) < 1e-5);
                }
            }
        }
    }
}

/// Returns a node that computes something else; `None` if this is impossible without another shape.
fn changed(node: &Node) -> Option<Node> {
    let mut other = node.clone();
    match node.op.as_str() {
        "Concat" if node.set["axis"] == Setting::Int(0) => return None, // states, later averaged
        "Concat" => other.inputs.reverse(),
        "Split" => other.outputs.reverse(),
        "BatchNormalization" => other.inputs.swap(1, 2),
        "LeakyRelu" => drop(other.set.insert("alpha".to_owned(), Setting::Float(0.1))),
        "Relu" | "Tanh" | "Exp" => "Identity".clone_into(&mut other.op),
        "Add" | "Div" => "Mul".clone_into(&mut other.op),
        "Mul" | "Sub" => "Add".clone_into(&mut other.op),
        "ThresholdedRelu" => drop(other.set.insert("alpha".to_owned(), Setting::Float(1.0))),
        "Identity" | "Gemm" | "Conv" | "Resize" | "Reshape" | "Expand" | "Gather" | "Transpose"
        | "MaxPool" | "Squeeze" | "Unsqueeze" | "ReduceMean" | "GRU" | "RNN" => return None,
        op => panic!("{op}"),
    }
    Some(other)
}

/// Changes every node that can be changed, and every tensor of a model: the result of `run` must
/// differ, or `run` must fail. Returns the numbers of both.
fn all_seen(file: &File, run: impl Fn(&File) -> candle_core::Result<Tensor>) -> [usize; 2] {
    let whole = run(file).unwrap();
    let seen = |other: &File, what: &str| {
        let by = run(other).map_or(f32::INFINITY, |other| apart(&whole, &other));
        assert!(by > 1e-3, "{what}: {by}");
    };
    let mut nodes = 0;
    for (i, node) in file.nodes.iter().enumerate() {
        let Some(node) = changed(node) else { continue };
        let mut other = file.clone();
        other.nodes[i] = node.clone();
        seen(&other, &format!("{node:?}"));
        nodes += 1;
    }
    let mut tensors = 0;
    for (name, tensor) in file.tensors.iter().filter(|(name, _)| name.contains('.')) {
        let mut other = file.clone();
        other.tensors.insert(name.clone(), (tensor * 1.5).unwrap());
        seen(&other, name);
        tensors += 1;
    }
    [nodes, tensors]
}

/// The comparison above detects every change of a node, a weight or an input.
#[test]
fn nothing_in_a_generators_file_can_change_unseen() {
    for recipe in RECIPES {
        let model = model(recipe, Standardised::ByTheModel);
        let inputs = inputs(&model, 1);
        let file = File::read(&onnx::generator(&model, Stage::Two, "ab").unwrap());
        let whole = painted(&file, &inputs).unwrap();
        let [nodes, tensors] = all_seen(&file, |file| painted(file, &inputs));
        assert!(nodes > 40, "{nodes}");
        let params = [model.stage1(), model.stage2().unwrap()];
        assert_eq!(tensors, 2 + params.map(|params| params.all().len()).iter().sum::<usize>());
        for (i, (name, ..)) in file.inputs.iter().enumerate() {
            let mut other = inputs.clone();
            let part = [&mut other.0, &mut other.1.z, &mut other.1.eps1, &mut other.1.eps2];
            let part = part.into_iter().nth(i).unwrap();
            *part = (&*part + 0.5).unwrap();
            assert!(apart(&whole, &painted(&file, &other).unwrap()) > 1e-3, "{name}");
        }
    }
}

#[test]
fn the_file_says_what_it_takes_gives_and_is() {
    let model = model(Recipe::Plain, Standardised::ByTheModel);
    let bytes = onnx::generator(&model, Stage::Two, "ab12").unwrap();
    assert_eq!(bytes, onnx::generator(&model, Stage::Two, "ab12").unwrap());
    let file = File::read(&bytes);
    assert_eq!(file.versions, (8, 17));
    let port = |name: &str, sizes: &[i64]| (name.to_owned(), 1, [&[-1], sizes].concat());
    let taken =
        [("embedding", 12), ("z", 5), ("epsilon1", 6), ("epsilon2", 6)].map(|(n, w)| port(n, &[w]));
    assert_eq!(file.inputs, taken);
    assert_eq!(file.outputs, [port("image", &[3, 256, 256]), port("low", &[3, 64, 64])]);
    let fingerprint = model.encoder_fingerprint();
    for (key, value) in [
        ("format", "stackgan-onnx/1"),
        ("recipe", "plain"),
        ("stage", "2"),
        ("image_size", "256"),
        ("z_dim", "5"),
        ("sample_z", "0.75"),
        ("sample_eps", "0.5"),
        ("epsilon", "truncated"),
        ("encoder_fingerprint", fingerprint),
        ("model_sha256", "ab12"),
    ] {
        assert_eq!(file.about[key], value, "{key}");
    }
    let first = File::read(&onnx::generator(&model, Stage::One, "").unwrap());
    assert_eq!(first.inputs, taken[..3]);
    assert_eq!(first.outputs, [port("image", &[3, 64, 64])]);
    let low = models::without_stage2(&model);
    let error = onnx::generator(&low, Stage::Two, "").unwrap_err().to_string();
    assert!(error.contains("no such stage"), "{error}");
}

/// Paints the sentences of classes as bytes, with the scales in the graph.
#[test]
fn classes_are_painted_as_bytes() {
    for (recipe, stage) in [(Recipe::Residual, Stage::One), (Recipe::Plain, Stage::Two)] {
        let model = model(recipe, Standardised::Not);
        let net = model.info().stage1.net;
        let sentences = normal(7, 4, net.text_dim);
        let file = File::read(&onnx::classes(&model, stage, &sentences, "").unwrap());
        let (_, noise) = inputs(&model, 3);
        let mut parts = vec![&noise.z, &noise.eps1];
        parts.extend((stage == Stage::Two).then_some(&noise.eps2));
        let z = Tensor::cat(&parts, 1).unwrap();
        let class = Tensor::new(&[3i64, 0, 3], &Device::Cpu).unwrap();
        let image = run(&file, &[("z", &z), ("class", &class)]).unwrap()["image"].clone();

        let text = sentences.index_select(&class, 0).unwrap();
        let noise = noise.scaled(Scales { z: 0.75, eps: 0.5 }).unwrap();
        let pictures = model.paint_noise(&text, &noise, Some(stage)).unwrap();
        for (i, painting) in pictures.iter().enumerate() {
            let rgb = image.get(i).unwrap().permute((1, 2, 0)).unwrap().flatten_all().unwrap();
            let rgb = rgb.to_vec1::<u8>().unwrap();
            let others = rgb.iter().zip(&painting.picture.rgb).filter(|(a, b)| a != b);
            let most = others.clone().map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
            assert!(most <= 1 && others.count() * 1000 < rgb.len(), "{recipe:?}: {most}");
        }
        let narrow = normal(7, 4, net.text_dim - 1);
        assert!(onnx::classes(&model, stage, &narrow, "").is_err());
    }
}

#[test]
fn the_encoders_file_makes_the_encoders_vectors() {
    let long = "a small bird with a long tail ".repeat(9);
    let captions = ["a red bird", "x", "Bird, é-?!", "", &long];
    for recurrence in [Recurrence::Gru, Recurrence::Rnn] {
        let encoder = encoder(recurrence, 12);
        let bytes = onnx::encoder(&encoder).unwrap();
        assert_eq!(bytes, onnx::encoder(&encoder).unwrap());
        let file = File::read(&bytes);
        let options = encoder.config().alphabet;
        let indices = captions.map(|caption| alphabet::indices(caption, options).map(i64::from));
        let characters = Tensor::from_slice(
            indices.as_flattened(),
            (captions.len(), CAPTION_LENGTH),
            &Device::Cpu,
        );
        let characters = characters.unwrap();
        let embeddings =
            |file: &File| Ok(run(file, &[("characters", &characters)])?["embedding"].clone());
        let ours = encoder.encode_raw(&captions).unwrap();
        assert!(apart(&ours.get(0).unwrap(), &ours.get(1).unwrap()) > 0.1);
        let by = apart(&ours, &embeddings(&file).unwrap());
        let reach = apart(&ours, &ours.zeros_like().unwrap()).max(1.0);
        assert!(by < 1e-5 * reach, "{recurrence:?}: {by} where values reach {reach}");
        assert_eq!(file.about["alphabet"].len(), 70);
        assert_eq!(file.about["encoder_fingerprint"], encoder.bare_fingerprint());
        assert_eq!((file.about["case"].as_str(), &*file.about["unknown"]), ("lower", "zero-row"));
        let [_, tensors] = all_seen(&file, embeddings);
        let last = ["emb_proj", "rnn.i2h"]; // of the first step, and of all gates together
        assert_eq!(tensors, 2 * (3 + last.len()) + 3, "{recurrence:?}");
    }
}
