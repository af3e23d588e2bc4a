//! The weights of Reed's char-CNN-RNN in the modules of a saved network, with the names of the
//! PyTorch port's state dict.
//!
//! Source: reedscot/icml2016 `modules/{HybridCNNLong,FixedGRU}.lua`, cvpr2016
//! `modules/{HybridCNN,FixedRNN}.lua`, and the positions that the PyTorch port
//! (`martinduartemore/char_cnn_rnn_pytorch`) found in the released files. The network is an nngraph
//! `gModule` in the field `enc_doc` of the table `protos`, or the object itself (COCO's `net_T`).
//! Of its `modules`, the second is the convolutions, the fourth the recurrence (again a `gModule`,
//! with all steps, which share their weights), and the sixth the projection.

use super::value::{Document, Object, Table, Value};
use crate::error::printable;
use crate::formats::ArrayView;
use crate::{Error, Result};
use std::path::Path;

/// The layers of the recurrence: name, and index among the modules (from 0).
type Layers = &'static [(&'static str, usize)];

const RNN: Layers = &[("i2h", 1), ("h2h", 5)];
const GRU: Layers = &[
    ("i2h", 1),
    ("i2h_update", 4),
    ("h2h_update", 5),
    ("i2h_reset", 9),
    ("h2h_reset", 10),
    ("h2h", 14),
];

/// The tensors of a text encoder: `conv1.weight`, … `rnn.i2h.weight (D, D)`, … `emb_proj.bias`.
///
/// Weights of convolutions are as Lua stores them, `(out, 4 in)`, with the position in the kernel
/// as the outer index.
///
/// # Errors
/// When a module or one of its tensors is not at the expected place, which is named.
pub fn char_cnn_rnn<'d>(document: &'d Document<'_>) -> Result<Vec<(String, ArrayView<'d>)>> {
    let file: &Path = &document.file;
    let net = match document.root() {
        Value::Table(table) => match table.get("protos") {
            Value::Table(protos) => Module::of(protos.get("enc_doc"), "protos.enc_doc", file)?,
            other => return Err(wrong(file, "protos", "a table of networks", other)),
        },
        root => Module::of(root, "the whole file", file)?,
    };
    let mut found = Vec::new();
    let convolutions = net.at(1)?;
    for (name, place) in [("conv1", 0), ("conv2", 3), ("conv3", 6)] {
        convolutions.at(place)?.layer(name, &mut found)?;
    }
    let recurrence = net.at(3)?;
    for &(name, place) in recurrence.layers() {
        recurrence.at(place)?.at(0)?.layer(&format!("rnn.{name}"), &mut found)?;
    }
    net.at(5)?.layer("emb_proj", &mut found)?;
    Ok(found)
}

/// A module and its place.
struct Module<'d> {
    object: Object<'d>,
    fields: Table<'d>,
    place: String,
    file: &'d Path,
}

impl<'d> Module<'d> {
    fn of(value: Value<'d>, place: &str, file: &'d Path) -> Result<Self> {
        match value {
            Value::Object(object) => match object.fields() {
                Some(fields) => Ok(Self { object, fields, place: place.to_owned(), file }),
                None => Err(wrong(file, place, "a module with its fields", value)),
            },
            other => Err(wrong(file, place, "a module of nn", other)),
        }
    }

    /// The modules that it contains, in order.
    fn modules(&self) -> impl Iterator<Item = Value<'d>> + use<'d> {
        let list = match self.fields.get("modules") {
            Value::Table(modules) => Some(modules.list()),
            _ => None,
        };
        list.into_iter().flatten()
    }

    /// The module at `index` (from 0) of those that it contains.
    fn at(&self, index: usize) -> Result<Self> {
        let value = self.modules().nth(index).unwrap_or(Value::Nil);
        Self::of(value, &format!("{}.modules[{}]", self.place, index + 1), self.file)
    }

    /// Which recurrence it is: only the gated one has sigmoids. Indices do not tell, because both
    /// have linear layers at each.
    fn layers(&self) -> Layers {
        let is_gate =
            |value| matches!(value, Value::Object(object) if object.class() == b"nn.Sigmoid");
        if self.modules().any(is_gate) { GRU } else { RNN }
    }

    /// Adds the layer's weight and bias.
    fn layer(&self, name: &str, found: &mut Vec<(String, ArrayView<'d>)>) -> Result<()> {
        for part in ["weight", "bias"] {
            match self.fields.get(part) {
                Value::Tensor(tensor) => found.push((format!("{name}.{part}"), tensor.clone())),
                other => {
                    let class = printable(&String::from_utf8_lossy(self.object.class()));
                    let place = format!("{} ({class}), field {part}", self.place);
                    return Err(wrong(self.file, &place, "a tensor", other));
                }
            }
        }
        Ok(())
    }
}

fn wrong(file: &Path, place: &str, expected: &str, found: Value<'_>) -> Error {
    Error::malformed(
        file,
        "this is no char-CNN-RNN of Reed's",
        place,
        (expected, found.kind()),
        "use a text encoder's checkpoint: a table with `protos.enc_doc`, or the network `net_T` by itself",
    )
}
