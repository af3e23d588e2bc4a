//! Reads a char-CNN-RNN from a state dict with the names of the PyTorch port, which the network
//! here uses too.
//!
//! Sizes and recurrence follow from the shapes. Source of names and shapes:
//! `martinduartemore/char_cnn_rnn_pytorch`, `char_cnn_rnn.py`. Lua's `TemporalConvolution` stores
//! weights as `(out, 4 in)`, with the kernel position outermost; they are converted to
//! `(out, in, 4)`.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::alphabet::{ALPHABET_SIZE, AlphabetOptions};
use super::ops::KERNEL;
use super::{CharCnnRnnConfig, CharCnnRnnEncoder, Recurrence};
use crate::shapes::{self, wrong_sizes};
use crate::{Error, Params, Result};

pub use crate::shapes::Shapes;

/// Returns the sizes of the encoder whose state dict has exactly these names and shapes.
///
/// Call this before reading the values, because a small file may declare huge tensors. A state dict
/// does not say how characters are read, so the default is returned.
///
/// # Errors
/// [`Error::Model`] with the first name or shape that differs.
pub fn sizes(shapes: &Shapes) -> Result<CharCnnRnnConfig> {
    let first = |name: &str| match shapes.get(name).and_then(|shape| shape.first()) {
        Some(&extent) => Ok(extent),
        None => Err(not_an_encoder(&format!("`{name}`"), "none")),
    };
    let gated = shapes.contains_key("rnn.i2h_update.weight");
    let config = CharCnnRnnConfig {
        conv1: first("conv1.weight")?,
        conv2: first("conv2.weight")?,
        units: first("conv3.weight")?,
        dim: first("emb_proj.weight")?,
        recurrence: if gated { Recurrence::Gru } else { Recurrence::Rnn },
        alphabet: AlphabetOptions::default(),
    };
    config.check().map_err(|e| not_an_encoder("sizes of such an encoder", &wrong_sizes(&e)))?;
    let expected = layout(&config);
    for (name, shape) in &expected {
        let found = shapes.get(name).map_or(&[][..], Vec::as_slice);
        if found != shape && !is_lua_convolution(shape, found) {
            let wanted = format!("`{name}` {shape:?}");
            let found = if found.is_empty() { "none".to_owned() } else { format!("{found:?}") };
            return Err(not_an_encoder(&wanted, &found));
        }
    }
    match shapes.keys().find(|name| !expected.contains_key(*name)) {
        None => Ok(config),
        Some(name) => Err(not_an_encoder(
            &format!("the {} tensors of such an encoder", expected.len()),
            &format!("`{}` beside them", name.escape_debug()),
        )),
    }
}

/// Creates an encoder with these weights. `alphabet` says how characters were read in its training.
///
/// # Errors
/// As [`sizes`].
pub fn from_state_dict(
    tensors: BTreeMap<String, Tensor>,
    alphabet: AlphabetOptions,
    device: &Device,
) -> Result<CharCnnRnnEncoder> {
    let config = CharCnnRnnConfig { alphabet, ..sizes(&shapes::of(&tensors))? };
    let turned = tensors.into_iter().map(|(name, tensor)| {
        let tensor = match *tensor.dims() {
            [out, width] if name.starts_with("conv") => {
                tensor.reshape((out, KERNEL, width / KERNEL))?.transpose(1, 2)?.contiguous()?
            }
            _ => tensor,
        };
        Ok((name, tensor))
    });
    let params = Params::given(turned.collect::<Result<_>>()?, device)?;
    CharCnnRnnEncoder::new(config, params, None)
}

/// Returns the names and shapes of all tensors.
fn layout(config: &CharCnnRnnConfig) -> Shapes {
    let CharCnnRnnConfig { conv1, conv2, units, dim, recurrence, .. } = *config;
    let mut layers = vec![
        ("conv1".to_owned(), vec![conv1, ALPHABET_SIZE, KERNEL]),
        ("conv2".to_owned(), vec![conv2, conv1, KERNEL]),
        ("conv3".to_owned(), vec![units, conv2, KERNEL]),
        ("emb_proj".to_owned(), vec![dim, units]),
    ];
    let gates: &[&str] = match recurrence {
        Recurrence::Gru => &["", "_update", "_reset"],
        Recurrence::Rnn => &[""],
    };
    for gate in gates {
        layers.push((format!("rnn.i2h{gate}"), vec![units, units]));
        layers.push((format!("rnn.h2h{gate}"), vec![units, units]));
    }
    let mut shapes = Shapes::new();
    for (name, shape) in layers {
        shapes.insert(format!("{name}.bias"), vec![shape.first().copied().unwrap_or(0)]);
        shapes.insert(format!("{name}.weight"), shape);
    }
    shapes
}

fn is_lua_convolution(expected: &[usize], found: &[usize]) -> bool {
    match *expected {
        [out, inputs, kernel] => found == [out, kernel * inputs],
        _ => false,
    }
}

fn not_an_encoder(expected: &str, found: &str) -> Error {
    Error::Model {
        what: "not the weights of a char-CNN-RNN".to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        remedy: "give the text encoder's own state dict: torch.save(net.state_dict(), file); or Reed's .t7"
            .to_owned(),
    }
}
