//! The pickle machine: a stack, a memo, and one loop over the opcodes (`CPython`'s `pickletools`).

use super::memo::Memo;
use super::operands::{Input, is_plain, quote};
use super::value::{Array, Document, Global, NodeId, Storage, Tensor, Value};
use super::{Dialect, numpy, torch, validate};
use crate::formats::budget::Budget;
use crate::formats::fault::{Fault, Step};
use std::borrow::Cow;

/// Text of protocol 0 that is longer than this (in bytes) is kept as its raw line. It is usually
/// the data of an array, which Python 3 writes as text to be encoded, and decoding it would need
/// its size once more.
const SHORT_TEXT: usize = 256;

/// Number of values that are small numbers: None, False, True, and the integers of one byte.
const SMALL: usize = 3 + 256;

/// The place of a small number among them. Every small array has its own shape and flags.
fn small(value: &Value<'_>) -> Option<usize> {
    match *value {
        Value::None => Some(0),
        Value::Bool(is) => Some(1 + usize::from(is)),
        Value::Int(number) => Some(3 + usize::from(u8::try_from(number).ok()?)),
        _ => None,
    }
}

/// Runs the pickle at the start of `bytes`; also returns its end.
pub(super) fn run(bytes: &[u8], dialect: Dialect, budget: Budget) -> Step<(Document<'_>, usize)> {
    let mut machine = Machine::new(bytes, dialect, budget);
    while !machine.step()? {}
    let root = machine.pop()?;
    let room = machine.budget.left();
    let document = Document { nodes: machine.nodes, root, room };
    validate::no_cycles_and_depth(&document).map_err(|found| Fault {
        offset: machine.input.opcode,
        what: "pickle is nested too deeply",
        expected: format!("at most {} containers within each other", super::MAX_DEPTH),
        found: found.to_owned(),
    })?;
    Ok((document, bytes.len() - machine.input.left()))
}

/// The state of the machine.
pub(super) struct Machine<'a> {
    pub(super) input: Input<'a>,
    pub(super) nodes: Vec<Value<'a>>,
    dialect: Dialect,
    stack: Vec<NodeId>,
    /// Stack heights of the marks.
    marks: Vec<usize>,
    memo: Memo,
    /// The nodes of small numbers: of each there is one, as nothing changes a number.
    small: [Option<NodeId>; SMALL],
    budget: Budget,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8], dialect: Dialect, budget: Budget) -> Self {
        Self {
            input: Input::new(bytes),
            nodes: Vec::new(),
            dialect,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Memo::default(),
            small: [None; SMALL],
            budget,
        }
    }

    /// Executes one opcode; returns true at STOP.
    fn step(&mut self) -> Step<bool> {
        let opcode = self.input.next_opcode()?;
        match opcode {
            b'.' => return Ok(true),
            0x80 => {
                let [version] = self.input.array()?;
                if version > 5 {
                    return self.input.fault(
                        "unknown pickle protocol",
                        "0 to 5",
                        version.to_string(),
                    );
                }
            }
            0x95 => {
                self.input.array::<8>()?; // FRAME is a hint for stream readers
            }
            b'(' => self.mark()?,
            b'0' => self.pop_or_unmark()?,
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.push_id(top)?;
            }
            b'N' | 0x88 | 0x89 | b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b | b'F' | b'G' => {
                let number = self.number(opcode)?;
                self.push(number)?;
            }
            b'S' | b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96 | b'V' | b'X' | 0x8c | 0x8d => {
                let string = self.string(opcode)?;
                self.push(string)?;
            }
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.memo(opcode)?,
            b']' => self.push(Value::List(Vec::new()))?,
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b'l' | b't' | b'd' | 0x85 | 0x86 | 0x87 => self.container(opcode)?,
            b'a' | b'e' | b's' | b'u' => self.extend(opcode)?,
            b'c' | 0x93 | b'R' | b'b' | b'i' => self.object(opcode)?,
            b'Q' if self.dialect == Dialect::Torch => {
                let id = self.pop()?;
                let storage = torch::storage(self, id)?;
                self.charge(size_of::<Storage>())?;
                self.push(storage)?;
            }
            _ => return self.refuse(opcode),
        }
        Ok(false)
    }

    fn number(&mut self, opcode: u8) -> Step<Value<'a>> {
        Ok(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i32::from_le_bytes(self.input.array()?).into()),
            b'K' => Value::Int(u8::from_le_bytes(self.input.array()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(self.input.array()?).into()),
            b'F' => Value::Float(self.input.number("a float")?),
            b'G' => Value::Float(f64::from_be_bytes(self.input.array()?)),
            0x8a => {
                let bytes = self.input.counted::<1>()?;
                Value::Int(self.input.long(bytes)?)
            }
            0x8b => {
                let bytes = self.input.counted::<4>()?;
                Value::Int(self.input.long(bytes)?)
            }
            // I and L. `I00` and `I01` are False and True; `I0` and `I1` are integers.
            _ => {
                let line = self.input.line()?.trim_ascii();
                let digits =
                    if opcode == b'L' { line.strip_suffix(b"L").unwrap_or(line) } else { line };
                match (opcode, digits) {
                    (b'I', b"00") => Value::Bool(false),
                    (b'I', b"01") => Value::Bool(true),
                    _ => match std::str::from_utf8(digits).ok().and_then(|s| s.parse().ok()) {
                        Some(number) => Value::Int(number),
                        None => {
                            return self.input.fault(
                                "malformed number",
                                "an integer of 64 bits",
                                quote(line),
                            );
                        }
                    },
                }
            }
        })
    }

    fn string(&mut self, opcode: u8) -> Step<Value<'a>> {
        let value = match opcode {
            b'S' => Value::Bytes(self.input.quoted()?),
            b'U' | b'C' => Value::Bytes(self.input.counted::<1>()?.into()),
            b'T' | b'B' => Value::Bytes(self.input.counted::<4>()?.into()),
            0x8e | 0x96 => Value::Bytes(self.input.counted::<8>()?.into()),
            b'V' => {
                let line = self.input.line()?;
                if line.len() > SHORT_TEXT && !is_plain(line) {
                    Value::RawText(line)
                } else {
                    Value::Text(self.input.raw_unicode(line, self.budget.left())?)
                }
            }
            b'X' => Value::Text(self.input.counted_utf8::<4>()?.into()),
            0x8c => Value::Text(self.input.counted_utf8::<1>()?.into()),
            _ => Value::Text(self.input.counted_utf8::<8>()?.into()),
        };
        if let Value::Bytes(Cow::Owned(bytes)) = &value {
            self.charge(bytes.capacity())?;
        } else if let Value::Text(Cow::Owned(text)) = &value {
            self.charge(text.capacity())?;
        }
        Ok(value)
    }

    fn memo(&mut self, opcode: u8) -> Step<()> {
        let index = match opcode {
            b'p' | b'g' => self.input.number("a memo index")?,
            b'q' | b'h' => u8::from_le_bytes(self.input.array()?).into(),
            0x94 => self.memo.next(),
            _ => u32::from_le_bytes(self.input.array()?),
        };
        if matches!(opcode, b'g' | b'h' | b'j') {
            return match self.memo.get(index) {
                Some(id) => self.push_id(id),
                None => self.input.fault(
                    "memo entry does not exist",
                    "an index that was stored",
                    index.to_string(),
                ),
            };
        }
        let top = self.top()?;
        if self.memo.set(index, top, &mut self.budget) { Ok(()) } else { self.too_large() }
    }

    /// Opcodes that make a container from the items on the stack.
    fn container(&mut self, opcode: u8) -> Step<()> {
        let items = match opcode {
            b'l' | b't' | b'd' => self.pop_mark()?,
            _ => {
                let n = usize::from(opcode - 0x84); // TUPLE1, TUPLE2, TUPLE3
                let floor = self.marks.last().copied().unwrap_or(0);
                match self.stack.len().checked_sub(n) {
                    Some(from) if from >= floor => self.stack.split_off(from),
                    _ => return self.underflow(),
                }
            }
        };
        self.charge(items.len().saturating_mul(size_of::<NodeId>()))?;
        match opcode {
            b'l' => self.push(Value::List(items)),
            b'd' => {
                self.push(Value::Dict(Vec::new()))?;
                let dict = self.top()?;
                self.add_to(dict, &items)
            }
            _ => self.push(Value::Tuple(items)),
        }
    }

    /// Opcodes that add to the container below their operands.
    fn extend(&mut self, opcode: u8) -> Step<()> {
        let items = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        let container = self.top()?;
        let is_list = matches!(self.nodes.get(container.0 as usize), Some(Value::List(_)));
        if is_list != matches!(opcode, b'a' | b'e') {
            return self.input.fault(
                "opcode does not fit its operand",
                "a list for APPEND, a dict for SETITEM",
                self.kind(container),
            );
        }
        self.add_to(container, &items)
    }

    fn add_to(&mut self, container: NodeId, items: &[NodeId]) -> Step<()> {
        let fits = match self.nodes.get_mut(container.0 as usize) {
            Some(Value::List(list)) => {
                let fits = self.budget.reserve(list, items.len());
                if fits {
                    list.extend_from_slice(items);
                }
                fits
            }
            Some(Value::Dict(pairs)) if items.len().is_multiple_of(2) => {
                let fits = self.budget.reserve(pairs, items.len() / 2);
                if fits {
                    pairs.extend(
                        items.chunks_exact(2).filter_map(|p| Some((*p.first()?, *p.get(1)?))),
                    );
                }
                fits
            }
            _ => {
                return self.input.fault(
                    "opcode does not fit its operand",
                    "a list, or a dict and pairs",
                    self.kind(container),
                );
            }
        };
        if fits { Ok(()) } else { self.too_large() }
    }

    /// Opcodes for names, calls and states: only those of the allow-list.
    fn object(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            b'c' | b'i' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                let global = self.allowed(module, name)?;
                if opcode == b'i' {
                    return self.input.fault(
                        "pickle makes an object",
                        "plain data",
                        "the opcode INST",
                    );
                }
                self.push(Value::Global(global))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(Value::Text(module)), Some(Value::Text(name))) =
                    (self.nodes.get(module.0 as usize), self.nodes.get(name.0 as usize))
                else {
                    return self.input.fault(
                        "opcode does not fit its operand",
                        "two text strings",
                        "something else",
                    );
                };
                let global = self.allowed(module.as_bytes(), name.as_bytes())?;
                self.push(Value::Global(global))
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let value = self.call(function, arguments)?;
                self.charge_boxed(&value)?;
                self.push(value)
            }
            _ => {
                let state = self.pop()?;
                let target = self.top()?;
                if self.dialect == Dialect::Torch && matches!(self.get(target), Value::Dict(_)) {
                    return Ok(()); // an OrderedDict's attributes: module versions
                }
                let built = numpy::build(self, target, state)?;
                self.charge_boxed(&built)?;
                if let Some(node) = self.nodes.get_mut(target.0 as usize) {
                    *node = built;
                }
                Ok(())
            }
        }
    }

    fn refuse(&self, opcode: u8) -> Step<bool> {
        let name = match opcode {
            b'P' | b'Q' => "a persistent id",
            b'o' => "the opcode OBJ",
            0x81 => "the opcode NEWOBJ",
            0x92 => "the opcode NEWOBJ_EX",
            0x82..=0x84 => "an extension code",
            0x8f..=0x91 => "a set",
            0x97 | 0x98 => "an out-of-band buffer",
            _ => {
                return self.input.fault(
                    "this is not a pickle",
                    "an opcode of protocol 0 to 5",
                    format!("byte {opcode:#04x}"),
                );
            }
        };
        self.input.fault(
            "pickle holds what is not plain data",
            "lists, strings, numbers and numpy arrays",
            name,
        )
    }

    fn mark(&mut self) -> Step<()> {
        let height = self.stack.len();
        if self.marks.len() > 4 * super::MAX_DEPTH {
            return self.input.fault(
                "pickle is nested too deeply",
                format!("at most {} containers within each other", super::MAX_DEPTH),
                format!("{} open marks", self.marks.len()),
            );
        }
        self.marks.push(height);
        Ok(())
    }

    /// Pops everything above the last mark.
    fn pop_mark(&mut self) -> Step<Vec<NodeId>> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => self.input.fault("pickle is malformed", "a MARK on the stack", "none"),
        }
    }

    fn pop_or_unmark(&mut self) -> Step<()> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(|_| ())
    }

    pub(super) fn pop(&mut self) -> Step<NodeId> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return self.underflow();
        }
        match self.stack.pop() {
            Some(id) => Ok(id),
            None => self.underflow(),
        }
    }

    fn top(&self) -> Step<NodeId> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if self.stack.len() > floor => Ok(id),
            _ => self.underflow(),
        }
    }

    fn push_id(&mut self, id: NodeId) -> Step<()> {
        if !self.budget.reserve(&mut self.stack, 1) {
            return self.too_large();
        }
        self.stack.push(id);
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Step<()> {
        let small = small(&value);
        if let Some(id) = small.and_then(|at| self.small.get(at).copied().flatten()) {
            return self.push_id(id);
        }
        let id = match u32::try_from(self.nodes.len()) {
            Ok(id) if self.budget.reserve(&mut self.nodes, 1) => NodeId(id),
            _ => return self.too_large(),
        };
        self.nodes.push(value);
        if let Some(slot) = small.and_then(|at| self.small.get_mut(at)) {
            *slot = Some(id);
        }
        self.push_id(id)
    }

    pub(super) fn charge(&mut self, bytes: usize) -> Step<()> {
        if self.budget.charge(bytes) { Ok(()) } else { self.too_large() }
    }

    /// Charges what a value holds in addition to its node.
    fn charge_boxed(&mut self, value: &Value<'_>) -> Step<()> {
        self.charge(match value {
            Value::Array(array) => {
                size_of::<Array>() + 8 * (array.shape.capacity() + array.strides.capacity())
            }
            Value::Tensor(tensor) => {
                size_of::<Tensor>() + 8 * (tensor.shape.capacity() + tensor.strides.capacity())
            }
            _ => 0,
        })
    }

    /// The function or class with this name, or an error that names it.
    fn allowed(&self, module: &[u8], name: &[u8]) -> Step<Global> {
        let of_torch = || match self.dialect {
            Dialect::Torch => torch::global(module, name),
            Dialect::Numpy => None,
        };
        numpy::global(module, name).or_else(of_torch).map_or_else(
            || {
                self.input.fault(
                    "pickle names a function or class that is not allowed",
                    match self.dialect {
                        Dialect::Numpy => "numpy arrays, scalars and dtypes only",
                        Dialect::Torch => "tensors of plain numbers in dicts and lists only",
                    },
                    format!("{}.{}", numpy::shown(module), numpy::shown(name)),
                )
            },
            Ok,
        )
    }

    fn call(&mut self, function: NodeId, arguments: NodeId) -> Step<Value<'a>> {
        match self.get(function) {
            &Value::Global(global @ (Global::OrderedDict | Global::Tensor | Global::Parameter)) => {
                torch::call(self, global, arguments)
            }
            _ => numpy::call(self, function, arguments),
        }
    }

    /// The value of a node.
    pub(super) fn get(&self, id: NodeId) -> &Value<'a> {
        self.nodes.get(id.0 as usize).unwrap_or(&Value::None)
    }

    pub(super) fn kind(&self, id: NodeId) -> &'static str {
        self.get(id).kind()
    }

    fn too_large<T>(&self) -> Step<T> {
        self.input.fault(
            super::TOO_LARGE,
            "contents of about the size of the file",
            "more than twice the file and 16 MiB",
        )
    }

    fn underflow<T>(&self) -> Step<T> {
        self.input.fault("pickle is malformed", "a value on the stack", "none")
    }
}
