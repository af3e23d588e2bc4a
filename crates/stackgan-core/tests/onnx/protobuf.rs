//! Reads ONNX files without the code that wrote them: protobuf's wire format, and the messages of
//! `onnx.proto3`.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

/// The value of a field.
enum Value<'a> {
    Int(u64),
    Four([u8; 4]),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn int(&self) -> i64 {
        let Self::Int(value) = self else { panic!("not a whole number") };
        value.cast_signed()
    }

    fn bytes(&self) -> &'a [u8] {
        let Self::Bytes(bytes) = self else { panic!("nothing that has a length") };
        bytes
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }

    fn ints(&self) -> Vec<i64> {
        let mut rest = self.bytes();
        std::iter::from_fn(|| (!rest.is_empty()).then(|| varint(&mut rest).cast_signed())).collect()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            return value;
        }
    }
    unreachable!()
}

/// Returns the fields of a message in their order.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Int(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value)
            }
            5 => {
                let (value, rest) = bytes.split_first_chunk().unwrap();
                bytes = rest;
                Value::Four(*value)
            }
            wire => panic!("wire type {wire}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    Float(f32),
    Int(i64),
    Text(String),
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

/// A node of a graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) op: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) set: BTreeMap<String, Setting>,
}

/// An input or an output: its name, its element type, and its shape, in which −1 is `n`.
pub(crate) type Port = (String, i64, Vec<i64>);

/// The contents of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) versions: (i64, i64),
    pub(crate) about: BTreeMap<String, String>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
}

impl File {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut file = Self::default();
        for (field, value) in fields(bytes) {
            match field {
                1 => file.versions.0 = value.int(),
                2 => assert_eq!(value.text(), "stackgan"),
                3 => assert_eq!(value.text(), env!("CARGO_PKG_VERSION")),
                7 => file.graph(value.bytes()),
                8 => {
                    let opset = fields(value.bytes());
                    assert_eq!((opset[0].0, opset[0].1.text().as_str(), opset[1].0), (1, "", 2));
                    file.versions.1 = opset[1].1.int();
                }
                14 => {
                    let entry = fields(value.bytes());
                    assert_eq!((entry[0].0, entry[1].0), (1, 2));
                    file.about.insert(entry[0].1.text(), entry[1].1.text());
                }
                field => panic!("ModelProto {field}"),
            }
        }
        file
    }

    fn graph(&mut self, bytes: &[u8]) {
        for (field, value) in fields(bytes) {
            match field {
                1 => self.nodes.push(node(value.bytes())),
                2 => assert!(!value.text().is_empty()),
                5 => {
                    let (name, tensor) = tensor(value.bytes());
                    assert!(self.tensors.insert(name.clone(), tensor).is_none(), "{name} twice");
                }
                11 => self.inputs.push(port(value.bytes())),
                12 => self.outputs.push(port(value.bytes())),
                field => panic!("GraphProto {field}"),
            }
        }
    }
}

fn node(bytes: &[u8]) -> Node {
    let mut node = Node::default();
    for (field, value) in fields(bytes) {
        match field {
            1 => node.inputs.push(value.text()),
            2 => node.outputs.push(value.text()),
            3 => assert_eq!(value.text(), node.outputs[0]),
            4 => node.op = value.text(),
            5 => {
                let (name, setting) = attribute(value.bytes());
                node.set.insert(name, setting);
            }
            field => panic!("NodeProto {field}"),
        }
    }
    node
}

fn attribute(bytes: &[u8]) -> (String, Setting) {
    let (mut name, mut setting, mut kind) = (String::new(), None, 0);
    for (field, value) in fields(bytes) {
        match (field, &value) {
            (1, _) => name = value.text(),
            (2, Value::Four(four)) => {
                setting = Some((1, Setting::Float(f32::from_le_bytes(*four))));
            }
            (3, _) => setting = Some((2, Setting::Int(value.int()))),
            (4, _) => setting = Some((3, Setting::Text(value.text()))),
            (8, _) => setting = Some((7, Setting::Ints(value.ints()))),
            (9, _) => setting = Some((8, Setting::Texts(vec![value.text()]))),
            (20, _) => kind = value.int(),
            (field, _) => panic!("AttributeProto {field}"),
        }
    }
    let (expected, setting) = setting.unwrap();
    assert_eq!(kind, expected, "the type of `{name}`");
    (name, setting)
}

fn tensor(bytes: &[u8]) -> (String, Tensor) {
    let (mut name, mut sizes, mut kind) = (String::new(), Vec::new(), 0);
    let (mut floats, mut ints) = (Vec::new(), Vec::new());
    for (field, value) in fields(bytes) {
        match field {
            1 => sizes = value.ints(),
            2 => kind = value.int(),
            7 => ints = value.ints(),
            8 => name = value.text(),
            9 => {
                let (values, rest) = value.bytes().as_chunks::<4>();
                assert!(rest.is_empty());
                floats = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
            }
            field => panic!("TensorProto {field}"),
        }
    }
    let shape: Vec<usize> = sizes.iter().map(|size| *size as usize).collect();
    let tensor = match kind {
        1 => Tensor::from_vec(floats, shape, &Device::Cpu),
        7 => Tensor::from_vec(ints, shape, &Device::Cpu),
        kind => panic!("`{name}` has numbers of type {kind}"),
    };
    (name, tensor.unwrap())
}

fn port(bytes: &[u8]) -> Port {
    let only = |bytes, number| {
        let [(field, value)] = <[_; 1]>::try_from(fields(bytes)).ok().unwrap();
        assert_eq!(field, number);
        value
    };
    let info = fields(bytes);
    let tensor = fields(only(info[1].1.bytes(), 1).bytes());
    let extents = fields(tensor[1].1.bytes()).into_iter().map(|(_, extent)| {
        let [(field, value)] = <[_; 1]>::try_from(fields(extent.bytes())).ok().unwrap();
        match field {
            1 => value.int(),
            _ => {
                assert_eq!(value.text(), "n");
                -1
            }
        }
    });
    (info[0].1.text(), tensor[0].1.int(), extents.collect())
}
