//! The pickle machine: a stack, a memo, and one loop over the opcodes (`CPython`'s `pickletools`).

use super::document::{Document, MAX_DEPTH};
use super::heap::Heap;
use super::memo::Memo;
use super::operands::{is_plain, quote};
use super::value::{Global, NodeId, Value};
use super::{numpy, torch, validate};
use crate::formats::budget::Budget;
use crate::formats::fault::{Fault, Step};

/// Text of protocol 0 that is longer than this (in bytes) is kept as its raw line. It is usually
/// the data of an array, which Python 3 writes as text to be encoded, and decoding it would need
/// its size once more.
const SHORT_TEXT: usize = 256;

/// The functions and classes that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Those of numpy's arrays and scalars.
    Numpy,
    /// Also those of PyTorch's tensors, with their storages as persistent ids.
    Torch,
}

/// Runs the pickle at the start of `bytes`; also returns its end.
pub(super) fn run(bytes: &[u8], dialect: Dialect, budget: Budget) -> Step<(Document<'_>, usize)> {
    let mut machine = Machine::new(bytes, dialect, budget);
    while !machine.step()? {}
    let root = machine.pop()?;
    let Machine { heap, stack, memo, .. } = machine;
    let Heap { input, nodes, mut budget, .. } = heap;
    budget.release(size_of::<NodeId>() * stack.capacity() + memo.size());
    drop((stack, memo));
    let document = Document { nodes, root, room: budget.left() };
    // The check takes a byte for each node.
    if !budget.charge(document.nodes.len()) {
        return input.too_large();
    }
    validate::no_cycles_and_depth(&document).map_err(|found| Fault {
        offset: input.opcode,
        what: "pickle is nested too deeply",
        expected: format!("at most {MAX_DEPTH} containers within each other"),
        found: found.to_owned(),
    })?;
    Ok((document, bytes.len() - input.left()))
}

/// The state of the machine.
struct Machine<'a> {
    heap: Heap<'a>,
    dialect: Dialect,
    stack: Vec<NodeId>,
    /// Stack heights of the marks.
    marks: Vec<usize>,
    memo: Memo,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8], dialect: Dialect, budget: Budget) -> Self {
        let (stack, marks, memo) = (Vec::new(), Vec::new(), Memo::default());
        Self { heap: Heap::new(bytes, budget), dialect, stack, marks, memo }
    }

    /// Executes one opcode; returns true at STOP.
    fn step(&mut self) -> Step<bool> {
        let opcode = self.heap.input.next_opcode()?;
        match opcode {
            b'.' => return Ok(true),
            0x80 => {
                let [version] = self.heap.input.array()?;
                if version > 5 {
                    return self.heap.input.fault(
                        "unknown pickle protocol",
                        "0 to 5",
                        version.to_string(),
                    );
                }
            }
            0x95 => {
                self.heap.input.array::<8>()?; // FRAME is a hint for stream readers
            }
            b'(' => self.mark()?,
            b'0' => self.pop_or_unmark()?,
            b'1' => {
                let from = self.unmark()?;
                self.stack.truncate(from);
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
            b')' => {
                let empty = self.heap.tuple(&[])?;
                self.push_id(empty)?;
            }
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b'l' | b't' | b'd' | 0x85 | 0x86 | 0x87 => self.container(opcode)?,
            b'a' | b'e' | b's' | b'u' => self.extend(opcode)?,
            b'c' | 0x93 | b'R' | b'b' | b'i' => self.object(opcode)?,
            b'Q' if self.dialect == Dialect::Torch => {
                let id = self.pop()?;
                let storage = torch::storage(&self.heap, id)?;
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
            b'J' => Value::Int(i32::from_le_bytes(self.heap.input.array()?).into()),
            b'K' => Value::Int(u8::from_le_bytes(self.heap.input.array()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(self.heap.input.array()?).into()),
            b'F' => Value::Float(self.heap.input.number("a float")?),
            b'G' => Value::Float(f64::from_be_bytes(self.heap.input.array()?)),
            0x8a => {
                let bytes = self.heap.input.counted::<1>()?;
                Value::Int(self.heap.input.long(bytes)?)
            }
            0x8b => {
                let bytes = self.heap.input.counted::<4>()?;
                Value::Int(self.heap.input.long(bytes)?)
            }
            // I and L. `I00` and `I01` are False and True; `I0` and `I1` are integers.
            _ => {
                let line = self.heap.input.line()?.trim_ascii();
                let digits =
                    if opcode == b'L' { line.strip_suffix(b"L").unwrap_or(line) } else { line };
                match (opcode, digits) {
                    (b'I', b"00") => Value::Bool(false),
                    (b'I', b"01") => Value::Bool(true),
                    _ => match std::str::from_utf8(digits).ok().and_then(|s| s.parse().ok()) {
                        Some(number) => Value::Int(number),
                        None => {
                            return self.heap.input.fault(
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
        let Heap { input, budget, .. } = &mut self.heap;
        Ok(match opcode {
            b'S' => Value::Bytes(input.quoted(budget)?),
            b'U' | b'C' => Value::Bytes(input.counted::<1>()?.into()),
            b'T' | b'B' => Value::Bytes(input.counted::<4>()?.into()),
            0x8e | 0x96 => Value::Bytes(input.counted::<8>()?.into()),
            b'V' => {
                let line = input.line()?;
                if line.len() > SHORT_TEXT && !is_plain(line) {
                    Value::RawText(line)
                } else {
                    Value::Text(input.raw_unicode(line, budget)?)
                }
            }
            b'X' => Value::Text(input.counted_utf8::<4>()?.into()),
            0x8c => Value::Text(input.counted_utf8::<1>()?.into()),
            _ => Value::Text(input.counted_utf8::<8>()?.into()),
        })
    }

    fn memo(&mut self, opcode: u8) -> Step<()> {
        let index = match opcode {
            b'p' | b'g' => self.heap.input.number("a memo index")?,
            b'q' | b'h' => u8::from_le_bytes(self.heap.input.array()?).into(),
            0x94 => self.memo.next(),
            _ => u32::from_le_bytes(self.heap.input.array()?),
        };
        if matches!(opcode, b'g' | b'h' | b'j') {
            return match self.memo.get(index) {
                Some(id) => self.push_id(id),
                None => self.heap.input.fault(
                    "memo entry does not exist",
                    "an index that was stored",
                    index.to_string(),
                ),
            };
        }
        let top = self.top()?;
        let fits = self.memo.set(index, top, &mut self.heap.budget);
        if fits { Ok(()) } else { self.heap.input.too_large() }
    }

    /// Opcodes that make a container from the items on the stack.
    fn container(&mut self, opcode: u8) -> Step<()> {
        let from = match opcode {
            b'l' | b't' | b'd' => self.unmark()?,
            _ => self.height_below(usize::from(opcode - 0x84))?, // TUPLE1, TUPLE2, TUPLE3
        };
        let items = self.stack.get(from..).unwrap_or_default();
        let id = match opcode {
            b'l' => self.heap.add(Value::List(Vec::new()))?,
            b'd' => self.heap.add(Value::Dict(Vec::new()))?,
            _ => self.heap.tuple(items)?,
        };
        if matches!(opcode, b'l' | b'd') {
            self.heap.extend(id, items)?;
        }
        self.stack.truncate(from);
        self.push_id(id)
    }

    /// Opcodes that add to the container below their operands.
    fn extend(&mut self, opcode: u8) -> Step<()> {
        let from = match opcode {
            b'a' => self.height_below(1)?,
            b's' => self.height_below(2)?,
            _ => self.unmark()?,
        };
        let below = from.checked_sub(1).filter(|at| *at >= self.floor());
        let Some(&container) = below.and_then(|at| self.stack.get(at)) else {
            return self.underflow();
        };
        let is_list = matches!(self.heap.get(container), Value::List(_));
        if is_list != matches!(opcode, b'a' | b'e') {
            return self.heap.input.fault(
                "opcode does not fit its operand",
                "a list for APPEND, a dict for SETITEM",
                self.heap.kind(container),
            );
        }
        self.heap.extend(container, self.stack.get(from..).unwrap_or_default())?;
        self.stack.truncate(from);
        Ok(())
    }

    /// Opcodes for names, calls and states: only those of the allow-list.
    fn object(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            b'c' | b'i' => {
                let (module, name) = (self.heap.input.line()?, self.heap.input.line()?);
                let global = self.allowed(module, name)?;
                if opcode == b'i' {
                    return self.heap.input.fault(
                        "pickle makes an object",
                        "plain data",
                        "the opcode INST",
                    );
                }
                self.push(Value::Global(global))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) =
                    (self.heap.get(module), self.heap.get(name))
                else {
                    return self.heap.input.fault(
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
                self.push(value)
            }
            _ => {
                let state = self.pop()?;
                let target = self.top()?;
                let is_dict = matches!(self.heap.get(target), Value::Dict(_));
                if self.dialect == Dialect::Torch && is_dict {
                    return Ok(()); // an OrderedDict's attributes: module versions
                }
                let built = numpy::build(&self.heap, target, state)?;
                self.heap.set(target, built)
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
                return self.heap.input.fault(
                    "this is not a pickle",
                    "an opcode of protocol 0 to 5",
                    format!("byte {opcode:#04x}"),
                );
            }
        };
        self.heap.input.fault(
            "pickle holds what is not plain data",
            "lists, strings, numbers and numpy arrays",
            name,
        )
    }

    fn mark(&mut self) -> Step<()> {
        let height = self.stack.len();
        if self.marks.len() > 4 * MAX_DEPTH {
            return self.heap.input.fault(
                "pickle is nested too deeply",
                format!("at most {MAX_DEPTH} containers within each other"),
                format!("{} open marks", self.marks.len()),
            );
        }
        self.marks.push(height);
        Ok(())
    }

    /// Removes the last mark. Returns the height of the stack at it.
    fn unmark(&mut self) -> Step<usize> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(height),
            _ => self.heap.input.fault("pickle is malformed", "a MARK on the stack", "none"),
        }
    }

    fn pop_or_unmark(&mut self) -> Step<()> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(|_| ())
    }

    /// The height of the stack that an opcode must leave: that of the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    /// The height of the stack without its last `n` values.
    fn height_below(&self, n: usize) -> Step<usize> {
        match self.stack.len().checked_sub(n) {
            Some(height) if height >= self.floor() => Ok(height),
            _ => self.underflow(),
        }
    }

    fn pop(&mut self) -> Step<NodeId> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Step<NodeId> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => self.underflow(),
        }
    }

    fn push_id(&mut self, id: NodeId) -> Step<()> {
        if !self.heap.budget.reserve(&mut self.stack, 1) {
            return self.heap.input.too_large();
        }
        self.stack.push(id);
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Step<()> {
        let id = self.heap.add(value)?;
        self.push_id(id)
    }

    /// The function or class with this name, or an error that names it.
    fn allowed(&self, module: &[u8], name: &[u8]) -> Step<Global> {
        let of_torch = || match self.dialect {
            Dialect::Torch => torch::global(module, name),
            Dialect::Numpy => None,
        };
        numpy::global(module, name).or_else(of_torch).map_or_else(
            || {
                self.heap.input.fault(
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
        match self.heap.get(function) {
            &Value::Global(global @ (Global::OrderedDict | Global::Tensor | Global::Parameter)) => {
                torch::call(&mut self.heap, global, arguments)
            }
            _ => numpy::call(&mut self.heap, function, arguments),
        }
    }

    fn underflow<T>(&self) -> Step<T> {
        self.heap.input.fault("pickle is malformed", "a value on the stack", "none")
    }
}
