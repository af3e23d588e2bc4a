//! The generator of a stage, with its metadata.

use super::graph::{Graph, Numbers};
use super::networks::{self, Inputs, Painted};
use crate::{Model, Result, Stage};

/// Returns the generator of `stage`.
///
/// Its inputs are `embedding (n, text_dim)`, `z (n, z_dim)`, `epsilon1 (n, cond_dim)` and, for
/// Stage-II, `epsilon2 (n, cond_dim)`. Its outputs are `image (n, 3, 64 | 256, 64 | 256)` in [-1,
/// 1] and, for Stage-II, `low (n, 3, 64, 64)`.
///
/// The embeddings are those of the encoder: if the training standardised them, the graph does so
/// too. `model_sha256` is the SHA-256 of the model's file, which is stored in the metadata.
///
/// # Errors
/// [`Error::Model`](crate::Error::Model) if the model has no such stage, or more weights than such a
/// file can hold.
pub fn generator(model: &Model, stage: Stage, model_sha256: &str) -> Result<Vec<u8>> {
    let mut graph = Graph::new(weights(model, stage))?;
    let (low, last) = (&model.info().stage1.net, &model.stage_info(stage)?.net);
    let mut text = graph.input("embedding", Numbers::F32, &[low.text_dim]);
    let z = graph.input("z", Numbers::F32, &[low.z_dim]);
    let eps1 = graph.input("epsilon1", Numbers::F32, &[low.cond_dim]);
    let eps2 = match stage {
        Stage::Two => graph.input("epsilon2", Numbers::F32, &[last.cond_dim]),
        Stage::One => String::new(),
    };
    if let Some(standardise) = model.standardise() {
        for (name, tensor) in standardise.tensors()? {
            let operand = graph.weight(&format!("text.{name}"), &tensor)?;
            // The mean comes first, because names are sorted.
            let op = if name.ends_with("mean") { "Sub" } else { "Div" };
            text = graph.node(op, &[&text, &operand], &[]);
        }
    }
    let inputs = Inputs { text: &text, z: &z, eps1: &eps1, eps2: &eps2 };
    let Painted { image, low } = networks::generator(&mut graph, model, stage, inputs)?;
    graph.output("image", &image, Numbers::F32, &[3, stage.side(), stage.side()]);
    if let Some(low) = low {
        graph.output("low", &low, Numbers::F32, &[3, Stage::One.side(), Stage::One.side()]);
    }
    Ok(graph.into_file("generator", about(model, stage, model_sha256)?))
}

/// Returns the number of weights of `stage`.
pub(super) fn weights(model: &Model, stage: Stage) -> usize {
    let params =
        std::iter::once(model.stage1()).chain(model.stage2().filter(|_| stage == Stage::Two));
    params.flat_map(crate::Params::all).map(|(_, var)| var.elem_count()).sum()
}

/// Returns the metadata.
pub(super) fn about(
    model: &Model,
    stage: Stage,
    model_sha256: &str,
) -> Result<Vec<(&'static str, String)>> {
    let (info, first) = (model.stage_info(stage)?, &model.info().stage1);
    let epsilon = if info.truncated_epsilon { "truncated" } else { "normal" };
    let mut about = vec![
        ("cond_dim", info.net.cond_dim.to_string()),
        ("dataset", info.dataset.clone()),
        ("encoder_fingerprint", model.encoder_fingerprint().to_owned()),
        ("epsilon", epsilon.to_owned()),
        ("gf", info.net.gf.to_string()),
        ("image_size", stage.side().to_string()),
        ("model_sha256", model_sha256.to_owned()),
        ("recipe", first.net.recipe.name().to_owned()),
        ("sample_eps", info.sample_eps.to_string()),
        ("sample_z", info.sample_z.to_string()),
        ("stage", stage.to_string()),
        ("text_dim", first.net.text_dim.to_string()),
        ("z_dim", first.net.z_dim.to_string()),
    ];
    about.extend(model.info().encoder_source.clone().map(|source| ("encoder_source", source)));
    Ok(about)
}
