//! Models as ONNX files, for use without this program, such as in Python or in a browser.
//!
//! The functions return bytes, which are equal for equal models. `networks` and `char_cnn_rnn`
//! implement the networks' mathematics a second time; `tests/onnx` runs the files and compares the
//! results with the networks themselves. docs/onnx.md describes the contents of the files.

mod char_cnn_rnn;
mod classes;
mod graph;
mod layers;
mod networks;
mod protobuf;

pub use self::classes::classes;

use self::graph::{Graph, Numbers};
use self::networks::{Inputs, Painted};
use crate::text::CharCnnRnnEncoder;
use crate::{Error, Model, Result, Stage};

/// The version of the contents of the files: names of inputs, outputs and metadata.
const FORMAT: &str = "stackgan-onnx/1";

/// The longest message that readers of protobuf accept, minus the part of a file that is not
/// weights.
const LARGEST: usize = (1 << 31) - (1 << 20);

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
/// [`Error::Model`] if the model has no such stage, or more weights than such a file can hold.
pub fn generator(model: &Model, stage: Stage, model_sha256: &str) -> Result<Vec<u8>> {
    let mut graph = Graph::new(room(model, stage, 0)?);
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
    Ok(graph.into_file("generator", &about(model, stage, model_sha256)?))
}

/// Returns the text encoder.
///
/// Its input is `characters (n, 201)`, with the indices that [`crate::text::alphabet::indices`]
/// returns. Its output is `embedding (n, dim)`, not standardised.
///
/// # Errors
/// [`Error::Model`] for more weights than such a file can hold.
pub fn encoder(encoder: &CharCnnRnnEncoder) -> Result<Vec<u8>> {
    char_cnn_rnn::file(encoder)
}

/// Returns the size in bytes of the weights of `stage` and of `more` numbers.
fn room(model: &Model, stage: Stage, more: usize) -> Result<usize> {
    let params =
        std::iter::once(model.stage1()).chain(model.stage2().filter(|_| stage == Stage::Two));
    let all = params.flat_map(crate::Params::all).map(|(_, var)| var.elem_count());
    within_largest(all.chain([more]).fold(0, |sum: usize, count| sum.saturating_add(count)))
}

/// Returns the size in bytes of `numbers` numbers, or an error if they do not fit into a file.
fn within_largest(numbers: usize) -> Result<usize> {
    let bytes = numbers.saturating_mul(4);
    if bytes <= LARGEST {
        return Ok(bytes);
    }
    Err(Error::Model {
        what: "the network does not fit into an ONNX file".to_owned(),
        expected: format!("at most {LARGEST} bytes of weights: protobuf's limit is 2 GiB"),
        found: format!("{bytes} bytes"),
        remedy: "export a narrower model, or Stage-I alone: `--stage 1`".to_owned(),
    })
}

/// Returns the metadata, sorted by key.
fn about(model: &Model, stage: Stage, model_sha256: &str) -> Result<Vec<(&'static str, String)>> {
    let (info, first) = (model.stage_info(stage)?, &model.info().stage1);
    let epsilon = if info.truncated_epsilon { "truncated" } else { "normal" };
    let mut about = vec![
        ("cond_dim", info.net.cond_dim.to_string()),
        ("dataset", info.dataset.clone()),
        ("encoder_fingerprint", model.encoder_fingerprint()?),
        ("epsilon", epsilon.to_owned()),
        ("format", FORMAT.to_owned()),
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
    about.sort();
    Ok(about)
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, within_largest};

    #[test]
    fn what_no_reader_takes_is_not_written() {
        assert_eq!(within_largest(LARGEST / 4).unwrap(), LARGEST);
        for numbers in [LARGEST / 4 + 1, usize::MAX] {
            let error = within_largest(numbers).unwrap_err().to_string();
            assert!(error.contains("2 GiB") && error.contains("do: "), "{error}");
        }
    }
}
