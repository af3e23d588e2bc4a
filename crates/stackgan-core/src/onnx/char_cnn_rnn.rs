//! The char-CNN-RNN as an ONNX file: a second implementation of [`crate::text::CharCnnRnn`], in the
//! same order.
//!
//! ONNX's recurrences are the published ones except for the first step, which is built explicitly.
//! In ONNX's GRU with `linear_before_reset = 0` the reset gate comes before the hidden matrix, as
//! here. Its update gate weights the old state, whereas here it weights the new one, so the sign of
//! the update gate's weights is inverted.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, bail};

use super::graph::{Graph, Numbers, Setting};
use crate::Result;
use crate::text::alphabet::{ALPHABET, ALPHABET_SIZE, CAPTION_LENGTH, Case, Unknown};
use crate::text::{CharCnnRnnEncoder, Recurrence, STEPS, THRESHOLD};

/// The tensors of the encoder and the graph to which they are added.
struct Encoder {
    graph: Graph,
    tensors: BTreeMap<String, Tensor>,
}

/// Returns the text encoder.
///
/// Its input is `characters (n, 201)`, with the indices that [`crate::text::alphabet::indices`]
/// returns. Its output is `embedding (n, dim)`, not standardised.
///
/// # Errors
/// [`Error::Model`](crate::Error::Model) for more weights than such a file can hold.
pub fn encoder(encoder: &CharCnnRnnEncoder) -> Result<Vec<u8>> {
    let config = encoder.config();
    let (tensors, gates) = (encoder.tensors()?, config.recurrence.gates());
    let own: usize = tensors.values().map(Tensor::elem_count).sum();
    // The weights of the first step, and of all gates together.
    let twice = config.units * (config.units + 1);
    let mut e = Encoder { graph: Graph::new(own + twice)?, tensors };

    let characters = e.graph.input("characters", Numbers::I64, &[CAPTION_LENGTH]);
    let table = e.graph.weight("one_hot", &one_hot()?)?;
    let x = e.graph.node("Gather", &[&table, &characters], &[]);
    let x = e.graph.node("Transpose", &[&x], &[("perm", Setting::Ints(&[0, 2, 1]))]);
    let x = e.temporal(&x, "conv1")?; // 198 steps
    let x = e.pool(&x, 3); // 66
    let x = e.temporal(&x, "conv2")?; // 63
    let x = e.pool(&x, 3); // 21
    let x = e.temporal(&x, "conv3")?; // 18
    let (x, steps) = match config.recurrence {
        Recurrence::Gru => (x, STEPS as i64),
        Recurrence::Rnn => (e.pool(&x, 2), (STEPS as i64 - 3) / 2 + 1), // 8
    };
    let x = e.graph.node("Transpose", &[&x], &[("perm", Setting::Ints(&[2, 0, 1]))]);

    let (parts, time) = (e.graph.ints(&[1, steps - 1]), [("axis", Setting::Int(0))]);
    let [first, rest] = e.graph.nodes("Split", &[&x, &parts], &time);
    let zero = e.graph.ints(&[0]);
    let first = e.graph.node("Squeeze", &[&first, &zero], &[]);
    let first = e.linear(&first, "rnn.i2h")?; // the first step has no gates and no hidden terms
    let first = match config.recurrence {
        Recurrence::Gru => e.graph.node("Tanh", &[&first], &[]),
        Recurrence::Rnn => e.graph.node("Relu", &[&first], &[]),
    };
    let first = e.graph.node("Unsqueeze", &[&first, &zero], &[]);

    let input = e.joined(gates, &["rnn.i2h"], "weight")?;
    let hidden = e.joined(gates, &["rnn.h2h"], "weight")?;
    let biases = e.joined(gates, &["rnn.i2h", "rnn.h2h"], "bias")?;
    let inputs = [rest.as_str(), &input, &hidden, &biases, "", &first];
    let units = ("hidden_size", Setting::Int(config.units as i64));
    let rest = match config.recurrence {
        Recurrence::Gru => {
            e.graph.node("GRU", &inputs, &[units, ("linear_before_reset", Setting::Int(0))])
        }
        Recurrence::Rnn => {
            e.graph.node("RNN", &inputs, &[units, ("activations", Setting::Texts(["Relu"]))])
        }
    };
    let one = e.graph.ints(&[1]);
    let rest = e.graph.node("Squeeze", &[&rest, &one], &[]);
    let states = e.graph.node("Concat", &[&first, &rest], &time);
    let mean = [("axes", Setting::Ints(&[0])), ("keepdims", Setting::Int(0))];
    let x = e.graph.node("ReduceMean", &[&states], &mean);
    let x = e.linear(&x, "emb_proj")?;
    e.graph.output("embedding", &x, Numbers::F32, &[config.dim]);
    Ok(e.graph.into_file("encoder", about(encoder)?))
}

impl Encoder {
    fn tensor(&self, name: &str) -> candle_core::Result<Tensor> {
        match self.tensors.get(&format!("text.{name}")) {
            Some(tensor) => Ok(tensor.clone()),
            None => bail!("tensor `text.{name}` is missing"),
        }
    }

    fn weights(&mut self, name: &str) -> candle_core::Result<[String; 2]> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        Ok([
            self.graph.weight(&format!("text.{weight}"), &self.tensor(&weight)?)?,
            self.graph.weight(&format!("text.{bias}"), &self.tensor(&bias)?)?,
        ])
    }

    fn linear(&mut self, x: &str, name: &str) -> candle_core::Result<String> {
        let [weight, bias] = self.weights(name)?;
        Ok(self.graph.node("Gemm", &[x, &weight, &bias], &[("transB", Setting::Int(1))]))
    }

    /// Adds a temporal convolution and its threshold.
    fn temporal(&mut self, x: &str, name: &str) -> candle_core::Result<String> {
        let [weight, bias] = self.weights(name)?;
        let x = self.graph.node("Conv", &[x, &weight, &bias], &[]);
        let threshold = [("alpha", Setting::Float(THRESHOLD))];
        Ok(self.graph.node("ThresholdedRelu", &[&x], &threshold))
    }

    fn pool(&mut self, x: &str, stride: i64) -> String {
        let set = [("kernel_shape", Setting::Ints(&[3])), ("strides", Setting::Ints(&[stride]))];
        self.graph.node("MaxPool", &[x], &set)
    }

    /// Concatenates the weights or biases of all gates, with a leading axis of size 1 for the
    /// single direction.
    fn joined(
        &mut self,
        gates: &[&str],
        kinds: &[&str],
        part: &str,
    ) -> candle_core::Result<String> {
        let mut all = Vec::new();
        for (kind, gate) in kinds.iter().flat_map(|kind| gates.iter().map(move |gate| (kind, gate)))
        {
            let tensor = self.tensor(&format!("{kind}{gate}.{part}"))?;
            all.push(if *gate == "_update" { tensor.neg()? } else { tensor });
        }
        let name = format!("text.{}.{part}.all", kinds.join("_"));
        self.graph.weight(&name, &Tensor::cat(&all, 0)?.unsqueeze(0)?)
    }
}

/// Returns the one-hot table `(71, 70)`: one row for each character index, with zeros for index 0.
fn one_hot() -> candle_core::Result<Tensor> {
    let none = Tensor::zeros((1, ALPHABET_SIZE), DType::F32, &Device::Cpu)?;
    Tensor::cat(&[&none, &Tensor::eye(ALPHABET_SIZE, DType::F32, &Device::Cpu)?], 0)
}

/// Returns the metadata: how a caption is converted to indices, and the encoder's fingerprint.
fn about(encoder: &CharCnnRnnEncoder) -> Result<Vec<(&'static str, String)>> {
    let options = encoder.config().alphabet;
    let case = match options.case {
        Case::Lower => "lower",
        Case::Keep => "keep",
    };
    let unknown = match options.unknown {
        Unknown::ZeroRow => "zero-row",
        Unknown::Space => "space",
        Unknown::Truncate => "truncate",
    };
    Ok(vec![
        ("alphabet", String::from_utf8_lossy(ALPHABET).into_owned()),
        ("case", case.to_owned()),
        ("encoder_fingerprint", encoder.bare_fingerprint().to_owned()),
        ("unknown", unknown.to_owned()),
    ])
}
