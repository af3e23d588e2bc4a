//! The generator in the form that torch-fidelity takes: a class instead of an embedding, all noise
//! in one input, bytes as output.
//!
//! Source: toshas/torch-fidelity 0.4.0, `generative_model_onnx.py` (inputs by position, the first
//! output) and the feature extractors (pictures are bytes).

use candle_core::Tensor;

use super::generator::{about, weights};
use super::graph::{Graph, Numbers, Setting};
use super::networks::{self, Inputs};
use crate::image::HALF;
use crate::{Error, Model, Result, Stage};

/// Returns the generator of `stage` for torch-fidelity.
///
/// Its inputs are `z (n, z_dim + cond_dim)` (for Stage-II `(n, z_dim + 2 cond_dim)`), which is all
/// normal and unscaled, and `class (n)`, the index of a row of `text`. Its output is
/// `image (n, 3, 64 | 256, 64 | 256)` in bytes.
///
/// `text` `(classes, text_dim)` is the input of the networks, as [`Model::encode`] returns it. The
/// model's own noise scales are part of the graph.
///
/// # Errors
/// As [`super::generator()`], and a width of `text` other than the model's.
pub fn classes(model: &Model, stage: Stage, text: &Tensor, model_sha256: &str) -> Result<Vec<u8>> {
    let mut graph = Graph::new(weights(model, stage) + text.elem_count())?;
    let (low, info) = (&model.info().stage1.net, model.stage_info(stage)?);
    let (_, width) = text.dims2()?;
    if width != low.text_dim {
        return Err(Error::Shape {
            what: "embeddings do not fit",
            expected: format!("a width of {}", low.text_dim),
            found: width.to_string(),
        });
    }
    let mut widths = vec![low.z_dim, low.cond_dim];
    widths.extend((stage == Stage::Two).then_some(info.net.cond_dim));
    let noise = graph.input("z", Numbers::F32, &[widths.iter().sum()]);
    let class = graph.input("class", Numbers::I64, &[]);
    let table = graph.weight("text.classes", text)?;
    let text = graph.node("Gather", &[&table, &class], &[]);

    let mut scales = vec![info.sample_z as f32; low.z_dim];
    scales.resize(widths.iter().sum(), info.sample_eps as f32);
    let scales = graph.numbers(&scales);
    let noise = graph.node("Mul", &[&noise, &scales], &[]);
    let parts = graph.ints(&widths.iter().map(|width| *width as i64).collect::<Vec<_>>());
    let (split, along) = ([noise.as_str(), &parts], [("axis", Setting::Int(1))]);
    let [z, eps1, eps2] = match stage {
        Stage::Two => graph.nodes("Split", &split, &along),
        Stage::One => {
            let [z, eps1] = graph.nodes("Split", &split, &along);
            [z, eps1, String::new()]
        }
    };
    let inputs = Inputs { text: &text, z: &z, eps1: &eps1, eps2: &eps2 };
    let image = networks::generator(&mut graph, model, stage, inputs)?.image;
    let image = bytes(&mut graph, &image);
    graph.output("image", &image, Numbers::U8, &[3, stage.side(), stage.side()]);
    Ok(graph.into_file("classes", about(model, stage, model_sha256)?))
}

/// Converts [-1, 1] to bytes as [`crate::image::Picture`] does: to the nearest byte.
fn bytes(graph: &mut Graph, image: &str) -> String {
    let [one, scale, half] = [1.0, 127.5, HALF].map(|value| graph.numbers(&[value]));
    let x = graph.node("Add", &[image, &one], &[]);
    let x = graph.node("Mul", &[&x, &scale], &[]);
    let x = graph.node("Add", &[&x, &half], &[]);
    graph.node("Cast", &[&x], &[("to", Setting::Int(Numbers::U8 as i64))])
}
