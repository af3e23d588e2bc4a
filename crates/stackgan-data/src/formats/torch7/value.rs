//! The decoded form of a `.t7` file: copyable values that refer to tables, strings and tensors by
//! index. References cost nothing, and cycles need no special care.

use crate::error::printable;
use crate::formats::ArrayView;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A value as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stored {
    Nil,
    Bool(bool),
    Number(f64),
    /// Indices into the document.
    String(u32),
    Table(u32),
    Tensor(u32),
    Storage(u32),
    Object(u32),
    Function,
}

/// A decoded file.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) file: PathBuf,
    pub(super) root: Stored,
    pub(super) strings: Vec<&'a [u8]>,
    pub(super) tables: Vec<Vec<(Stored, Stored)>>,
    pub(super) tensors: Vec<ArrayView<'a>>,
    pub(super) storages: Vec<ArrayView<'a>>,
    /// Objects of other classes: their class names and contents.
    pub(super) objects: Vec<(&'a [u8], Stored)>,
}

/// One value of a file.
#[derive(Clone, Copy, Debug)]
pub enum Value<'d> {
    /// `nil`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string; not necessarily UTF-8.
    String(&'d [u8]),
    /// A table.
    Table(Table<'d>),
    /// A tensor of any element type (`torch.CudaTensor` is f32).
    Tensor(&'d ArrayView<'d>),
    /// A storage: all its elements, in one dimension.
    Storage(&'d ArrayView<'d>),
    /// An object of another class, such as a module of a network.
    Object(Object<'d>),
    /// A function.
    Function,
}

impl Document<'_> {
    /// The saved object itself.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        self.value(self.root)
    }

    /// The saved object as a table.
    ///
    /// # Errors
    /// When it is anything else; the error names its kind.
    pub fn table(&self) -> Result<Table<'_>> {
        match self.root() {
            Value::Table(table) => Ok(table),
            other => Err(wrong(&self.file, "the whole file", "a table", other)),
        }
    }

    fn value(&self, stored: Stored) -> Value<'_> {
        let at = |i: u32| i as usize;
        let found = match stored {
            Stored::Nil => None,
            Stored::Bool(truth) => Some(Value::Bool(truth)),
            Stored::Number(number) => Some(Value::Number(number)),
            Stored::String(i) => self.strings.get(at(i)).map(|string| Value::String(string)),
            Stored::Table(i) => {
                self.tables.get(at(i)).map(|pairs| Value::Table(Table { document: self, pairs }))
            }
            Stored::Tensor(i) => self.tensors.get(at(i)).map(Value::Tensor),
            Stored::Storage(i) => self.storages.get(at(i)).map(Value::Storage),
            Stored::Object(i) => self
                .objects
                .get(at(i))
                .map(|&(class, fields)| Value::Object(Object { document: self, class, fields })),
            Stored::Function => Some(Value::Function),
        };
        found.unwrap_or(Value::Nil)
    }
}

impl Value<'_> {
    /// The kind of the value for error messages; for objects, their class.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Nil => "nil".to_owned(),
            Self::Bool(_) => "a boolean".to_owned(),
            Self::Number(_) => "a number".to_owned(),
            Self::String(_) => "a string".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Tensor(tensor) => format!("a tensor of shape {:?}", tensor.shape),
            Self::Storage(storage) => format!("a storage of {} elements", storage.len()),
            Self::Object(object) => {
                let class = printable(&String::from_utf8_lossy(object.class));
                format!("an object of class {class}, which is not read")
            }
            Self::Function => "a Lua function, which is not read".to_owned(),
        }
    }
}

/// An object of any other class. None of its code is run, but its fields can be read.
#[derive(Clone, Copy, Debug)]
pub struct Object<'d> {
    document: &'d Document<'d>,
    class: &'d [u8],
    fields: Stored,
}

impl<'d> Object<'d> {
    /// The name of the class, such as `nn.Linear`.
    #[must_use]
    pub const fn class(&self) -> &'d [u8] {
        self.class
    }

    /// The fields; `None` for an object that is not stored as a table.
    #[must_use]
    pub fn fields(&self) -> Option<Table<'d>> {
        match self.document.value(self.fields) {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// A table of a document: pairs in the order of the file.
#[derive(Clone, Copy, Debug)]
pub struct Table<'d> {
    document: &'d Document<'d>,
    pairs: &'d [(Stored, Stored)],
}

impl<'d> Table<'d> {
    /// All pairs, in the order of the file.
    pub fn pairs(&self) -> impl Iterator<Item = (Value<'d>, Value<'d>)> + use<'d> {
        let document = self.document;
        self.pairs.iter().map(|&(key, value)| (document.value(key), document.value(value)))
    }

    /// The value of a string key; nil if there is none, as in Lua.
    #[must_use]
    pub fn get(&self, key: &str) -> Value<'d> {
        let is_it =
            |found: &Value<'_>| matches!(found, Value::String(name) if *name == key.as_bytes());
        self.pairs().find(|(found, _)| is_it(found)).map_or(Value::Nil, |(_, value)| value)
    }

    /// The values of the keys 1, 2, 3, … up to the first missing one: a list in Lua.
    pub fn list(&self) -> impl ExactSizeIterator<Item = Value<'d>> + use<'d> {
        const MISSING: u32 = u32::MAX;
        let mut places = vec![MISSING; self.pairs.len()];
        for (place, &(key, value)) in (0u32..).zip(self.pairs) {
            if let Stored::Number(number) = key
                && number >= 1.0
                && number.fract() == 0.0
                && value != Stored::Nil
                && let Some(slot) = places.get_mut(number as usize - 1)
            {
                *slot = place;
            }
        }
        let end = places.iter().position(|&place| place == MISSING);
        places.truncate(end.unwrap_or(places.len()));
        let Self { document, pairs } = *self;
        places.into_iter().map(move |place| {
            let pair = pairs.get(place as usize);
            pair.map_or(Value::Nil, |&(_, value)| document.value(value))
        })
    }

    /// The tensor of a string key.
    ///
    /// # Errors
    /// When there is none, or the value is anything else; the error names its kind.
    pub fn tensor(&self, key: &str) -> Result<&'d ArrayView<'d>> {
        match self.get(key) {
            Value::Tensor(tensor) => Ok(tensor),
            other => Err(self.wrong(key, "a tensor", other)),
        }
    }

    /// The string of a string key, which must be UTF-8.
    ///
    /// # Errors
    /// When there is none, or the value is anything else; the error names its kind.
    pub fn text(&self, key: &str) -> Result<&'d str> {
        let value = self.get(key);
        let text = match value {
            Value::String(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        text.ok_or_else(|| self.wrong(key, "a string in UTF-8", value))
    }

    /// All values, which must be tensors with UTF-8 string keys: weights by name.
    ///
    /// # Errors
    /// When a key or value is anything else; the error names the key and the kind.
    pub fn named_tensors(&self) -> Result<Vec<(String, ArrayView<'d>)>> {
        let named = |(key, value): (Value<'d>, Value<'d>)| {
            let Value::String(name) = key else {
                return Err(wrong(&self.document.file, "a key of the table", "a string", key));
            };
            match (std::str::from_utf8(name), value) {
                (Ok(name), Value::Tensor(tensor)) => Ok((name.to_owned(), tensor.clone())),
                (name, value) => {
                    Err(self.wrong(name.unwrap_or("of other bytes"), "a tensor", value))
                }
            }
        };
        self.pairs().map(named).collect()
    }

    /// An error about the value of `key`.
    #[must_use]
    pub fn wrong(&self, key: &str, expected: &str, found: Value<'_>) -> Error {
        wrong(&self.document.file, &format!("key {}", printable(key)), expected, found)
    }
}

fn wrong(file: &Path, place: &str, expected: &str, found: Value<'_>) -> Error {
    Error::malformed(
        file,
        "file holds another kind of data",
        place,
        (expected, found.kind()),
        "check that this is the right file; networks and functions are not read here",
    )
}
