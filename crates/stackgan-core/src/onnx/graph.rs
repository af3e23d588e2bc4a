//! A graph of ONNX operators and the file that contains it.
//!
//! Source: onnx/onnx 1.23, `onnx/onnx.proto3`, which defines the field numbers used here.

use candle_core::{DType, Device, Result, Tensor};

use crate::Error;
use crate::protobuf::Message;

/// The version of the file format: that of ONNX 1.12, the first version with the operators below.
const IR_VERSION: i64 = 8;
/// The version of the operator set. Every operator used here is defined in it or in an earlier one.
const OPSET: i64 = 17;

/// The version of the contents of the files: names of inputs, outputs and metadata.
const FORMAT: &str = "stackgan-onnx/1";

/// The longest message that readers of protobuf accept, minus the part of a file that is not
/// weights.
const LARGEST: usize = (1 << 31) - (1 << 20);

/// Element types, with their values in `TensorProto.DataType`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers {
    /// `float`.
    F32 = 1,
    /// `uint8`.
    U8 = 2,
    /// `int64`.
    I64 = 7,
}

/// An attribute of an operator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setting<'a> {
    /// A floating-point number.
    Float(f32),
    /// An integer.
    Int(i64),
    /// A string.
    Text(&'a str),
    /// A list of integers.
    Ints(&'a [i64]),
    /// A list of strings; all lists used here have one element.
    Texts([&'a str; 1]),
}

/// A graph under construction. Values are referred to by name, and a node reads values that were
/// named before it.
#[derive(Debug)]
pub(super) struct Graph {
    body: Message,
    values: usize,
}

impl Graph {
    /// Returns an empty graph with room for this number of weights.
    ///
    /// # Errors
    /// [`Error::Model`] for more weights than a file can hold.
    pub(super) fn new(weights: usize) -> crate::Result<Self> {
        const REST: usize = 1 << 16;
        Ok(Self { body: Message::with_capacity(within_largest(weights)? + REST), values: 0 })
    }

    /// Adds an input of shape `(n, …)`.
    pub(super) fn input(&mut self, name: &str, numbers: Numbers, sizes: &[usize]) -> String {
        self.body.push(11, &value_info(name, numbers, sizes));
        name.to_owned()
    }

    /// Makes `value` of shape `(n, …)` the output `name`.
    pub(super) fn output(&mut self, name: &str, value: &str, numbers: Numbers, sizes: &[usize]) {
        self.push("Identity", &[value], &[], &[name.to_owned()]);
        self.body.push(12, &value_info(name, numbers, sizes));
    }

    /// Adds a tensor of weights.
    ///
    /// # Errors
    /// A tensor that cannot be read back from its device.
    pub(super) fn weight(&mut self, name: &str, tensor: &Tensor) -> Result<String> {
        let flat = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?;
        let sizes = tensor.dims().iter().map(|size| *size as i64);
        let weight = Message::default().ints(1, sizes).int(2, Numbers::F32 as i64);
        self.body.push(5, &weight.text(8, name).raw(9, &flat.to_vec1::<f32>()?));
        Ok(name.to_owned())
    }

    /// Adds a constant list of floating-point numbers.
    pub(super) fn numbers(&mut self, values: &[f32]) -> String {
        let name = self.name("numbers");
        let list = Message::default().ints(1, [values.len() as i64]).int(2, Numbers::F32 as i64);
        self.body.push(5, &list.text(8, &name).raw(9, values));
        name
    }

    /// Adds a constant list of integers, such as a shape, sizes or axes.
    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        let name = self.name("ints");
        let list = Message::default().ints(1, [values.len() as i64]).int(2, Numbers::I64 as i64);
        self.body.push(5, &list.ints(7, values.iter().copied()).text(8, &name));
        name
    }

    /// Adds a node with one result.
    pub(super) fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        set: &[(&str, Setting<'_>)],
    ) -> String {
        let [result] = self.nodes(op, inputs, set);
        result
    }

    /// Adds a node with several results. An input `""` is an omitted one.
    pub(super) fn nodes<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&str],
        set: &[(&str, Setting<'_>)],
    ) -> [String; N] {
        let results = std::array::from_fn(|_| self.name(op));
        self.push(op, inputs, set, &results);
        results
    }

    /// Returns the file, with its metadata sorted by key.
    pub(super) fn into_file(self, name: &str, mut about: Vec<(&str, String)>) -> Vec<u8> {
        about.push(("format", FORMAT.to_owned()));
        about.sort();
        let opset = Message::default().text(1, "").int(2, OPSET);
        let mut file = self.body.text(2, name).within(7).int(1, IR_VERSION).message(8, &opset);
        file = file.text(2, "stackgan").text(3, env!("CARGO_PKG_VERSION"));
        for (key, value) in about {
            file.push(14, &Message::default().text(1, key).text(2, &value));
        }
        file.into_bytes()
    }

    fn name(&mut self, kind: &str) -> String {
        self.values += 1;
        format!("{kind}_{}", self.values)
    }

    fn push(&mut self, op: &str, inputs: &[&str], set: &[(&str, Setting<'_>)], results: &[String]) {
        let mut node = Message::default();
        for input in inputs {
            node = node.text(1, input);
        }
        for result in results {
            node = node.text(2, result);
        }
        node = node.text(3, results.first().map_or("", String::as_str)).text(4, op);
        for (name, setting) in set {
            node.push(5, &attribute(name, *setting));
        }
        self.body.push(1, &node);
    }
}

/// Returns the size in bytes of `numbers` numbers, or an error if they do not fit into a file.
fn within_largest(numbers: usize) -> crate::Result<usize> {
    let bytes = numbers.saturating_mul(4);
    if bytes <= LARGEST {
        return Ok(bytes);
    }
    Err(Error::Model {
        what: "the network does not fit into an ONNX file".to_owned(),
        expected: format!("at most {LARGEST} bytes of weights: protobuf's limit is 2 GiB"),
        found: format!("{bytes} bytes"),
        remedy: "export a narrower model, or Stage-I alone".to_owned(),
    })
}

/// Describes an input or output: its name, and its shape after a first axis `n` of variable size.
fn value_info(name: &str, numbers: Numbers, sizes: &[usize]) -> Message {
    let mut shape = Message::default().message(1, &Message::default().text(2, "n"));
    for size in sizes {
        shape.push(1, &Message::default().int(1, *size as i64));
    }
    let tensor = Message::default().int(1, numbers as i64).message(2, &shape);
    Message::default().text(1, name).message(2, &tensor.within(1))
}

/// Returns an `AttributeProto`: a name, a value in the field of its type, and the type.
fn attribute(name: &str, setting: Setting<'_>) -> Message {
    let named = Message::default().text(1, name);
    match setting {
        Setting::Float(value) => named.float(2, value).int(20, 1),
        Setting::Int(value) => named.int(3, value).int(20, 2),
        Setting::Text(value) => named.text(4, value).int(20, 3),
        Setting::Ints(values) => named.ints(8, values.iter().copied()).int(20, 7),
        Setting::Texts([value]) => named.text(9, value).int(20, 8),
    }
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
