//! The columns of a Parquet file, and which of them are read.

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::file::metadata::FileMetaData;
use parquet::schema::types::Type;
use serde_json::Value;

use super::super::columns::{CLASSES, Column, Columns, Found, TEXTS};
use crate::error::printable;
use crate::{Error, Result};

/// A column with values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Its number among the columns with values.
    pub(super) index: usize,
    /// Its name: `image.bytes`; of a list, that of the list.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// How many lists are around each value.
    lists: i16,
}

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Text,
    Int32,
    Int64,
    Other,
}

impl Leaf {
    fn is_text(&self) -> bool {
        self.kind == Kind::Text && self.lists <= 1
    }

    fn is_class(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Int32 | Kind::Int64) && self.lists == 0
    }

    /// The name of the column in which this one is.
    fn top(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }

    fn described(&self) -> String {
        let kind = match self.kind {
            Kind::Bytes => "bytes",
            Kind::Text => "text",
            Kind::Int32 | Kind::Int64 => "whole numbers",
            Kind::Other => "other values",
        };
        let name = printable(&self.name);
        match self.lists {
            0 => format!("{name} ({kind})"),
            1 => format!("{name} (lists of {kind})"),
            _ => format!("{name} (lists in lists)"),
        }
    }
}

/// The columns that are read.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) image: Leaf,
    /// Where the pictures were, if the column says so.
    pub(super) path: Option<Leaf>,
    pub(super) text: Vec<Leaf>,
    pub(super) class: Option<Leaf>,
    /// The names of the classes by number, if the file has them.
    pub(super) names: Vec<String>,
    pub(super) found: Found,
}

/// Maximum number of columns in a message.
const LISTED: usize = 20;
/// Maximum length of the description of the features, in bytes.
const FEATURES: usize = 2 << 20;

/// Chooses the columns of the file `file`, whose name is for messages.
///
/// # Errors
/// When a stated column is not there or of another kind, and when what is not stated is not clear;
/// with the columns that are there.
pub(super) fn choose(of: &FileMetaData, wanted: &Columns, file: &str) -> Result<Chosen> {
    let leaves = leaves(of);
    let features = features(of);
    let ask = Asked { leaves: &leaves, features: &features, file };
    let image = ask.image(wanted.image.as_deref())?;
    let path = image.name.strip_suffix(".bytes").map(|top| format!("{top}.path"));
    let path =
        path.and_then(|path| leaves.iter().find(|leaf| leaf.name == path && leaf.lists == 0));
    let path = path.filter(|leaf| matches!(leaf.kind, Kind::Text | Kind::Bytes)).cloned();
    let text = ask.text(&wanted.text, &image)?;
    let class = ask.class(&wanted.class, &text)?;
    let names = class.as_ref().map(|leaf| names(&features, &leaf.name)).unwrap_or_default();
    let mut found = Found::default();
    let tops = |leaf: &Leaf| leaf.top() == image.top();
    found.image.insert(image.name.strip_suffix(".bytes").unwrap_or(&image.name).to_owned());
    found.text.extend(text.iter().map(|leaf| leaf.name.clone()));
    found.class.extend(class.iter().map(|leaf| leaf.name.clone()));
    found.named = names.len();
    let read = |leaf: &&Leaf| text.contains(leaf) || class.as_ref() == Some(*leaf) || tops(leaf);
    leaves.iter().filter(|leaf| !read(leaf)).for_each(|leaf| found.leave(&leaf.name));
    Ok(Chosen { image, path, text, class, names, found })
}

/// All columns with values.
fn leaves(of: &FileMetaData) -> Vec<Leaf> {
    let mut names = Vec::new();
    of.schema().get_fields().iter().for_each(|node| walk(node, node.name().to_owned(), &mut names));
    let columns = of.schema_descr().columns().iter().zip(names).enumerate();
    let leaf =
        |(index, (column, name)): (usize, (&parquet::schema::types::ColumnDescPtr, String))| {
            let text = matches!(
                column.logical_type_ref(),
                Some(LogicalType::String | LogicalType::Enum | LogicalType::Json)
            ) || matches!(
                column.converted_type(),
                ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON
            );
            let kind = match column.physical_type() {
                Physical::BYTE_ARRAY if text => Kind::Text,
                Physical::BYTE_ARRAY => Kind::Bytes,
                Physical::INT32 => Kind::Int32,
                Physical::INT64 => Kind::Int64,
                _ => Kind::Other,
            };
            Leaf { index, name, kind, lists: column.max_rep_level() }
        };
    columns.map(leaf).collect()
}

/// The names of the columns with values below `node`, in their order. The two levels that make a
/// list have no names of their own (parquet-format, "Nested types"). The depth is bounded
/// (`thrift`).
fn walk(node: &Type, name: String, names: &mut Vec<String>) {
    if node.is_primitive() {
        names.push(name);
        return;
    }
    let is_list = node.get_basic_info().converted_type() == ConvertedType::LIST
        || matches!(node.get_basic_info().logical_type_ref(), Some(LogicalType::List));
    match node.get_fields() {
        [repeated] if is_list => match repeated.is_group().then(|| repeated.get_fields()) {
            Some([element]) => walk(element, name, names),
            _ => walk(repeated, name, names),
        },
        fields => {
            for field in fields {
                walk(field, format!("{name}.{}", field.name()), names);
            }
        }
    }
}

/// The columns of a file, which are asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    leaves: &'a [Leaf],
    features: &'a Value,
    file: &'a str,
}

impl Asked<'_> {
    fn refuse(&self, what: &str, expected: &str, found: &[&Leaf], remedy: &str) -> Error {
        let mut names: Vec<String> =
            found.iter().take(LISTED).map(|leaf| leaf.described()).collect();
        if let Some(more @ 1..) = found.len().checked_sub(LISTED) {
            names.push(format!("{more} more"));
        }
        let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Error::config(format!("{}: {what}", self.file), (expected, found), remedy)
    }

    /// The columns that are so.
    fn those(&self, are: impl Fn(&Leaf) -> bool) -> Vec<&Leaf> {
        self.leaves.iter().filter(|leaf| are(leaf)).collect()
    }

    /// The column of this name.
    fn named(&self, option: &str, name: &str) -> Result<&Leaf> {
        self.leaves.iter().find(|leaf| leaf.name == name).ok_or_else(|| {
            let what = format!("there is no column `{}`", printable(name));
            let remedy = format!("name another: `{option} COLUMN`");
            self.refuse(&what, "one of its columns", &self.those(|_| true), &remedy)
        })
    }

    /// The column in `found` if it is alone, else the error about no column or about several.
    fn one_of(
        &self,
        found: &[&Leaf],
        [none, several]: [&str; 2],
        expected: &str,
        remedy: &str,
    ) -> Result<Leaf> {
        match found {
            [leaf] => Ok((*leaf).clone()),
            [] => Err(self.refuse(none, expected, &self.those(|_| true), remedy)),
            _ => Err(self.refuse(several, expected, found, remedy)),
        }
    }

    fn image(&self, stated: Option<&str>) -> Result<Leaf> {
        const NAME: &str = "name the column of pictures: `--image COLUMN`";
        let is_image = |leaf: &Leaf| leaf.kind == Kind::Bytes && leaf.lists == 0;
        if let Some(name) = stated {
            let inner = format!("{name}.bytes");
            let leaf = match self.leaves.iter().find(|leaf| leaf.name == inner) {
                Some(leaf) => leaf,
                None => self.named("--image", name)?,
            };
            if is_image(leaf) {
                return Ok(leaf.clone());
            }
            let (what, expected) = ("the column holds no pictures", "bytes, one picture a row");
            return Err(self.refuse(what, expected, &[leaf], NAME));
        }
        // Sounds are stored in the same way.
        let is_other =
            |leaf: &Leaf| kind(self.features, leaf.top()).is_some_and(|kind| kind != "Image");
        let is_struct = |leaf: &Leaf| leaf.name.ends_with(".bytes") && !is_other(leaf);
        let mut found = self.those(|leaf| is_image(leaf) && is_struct(leaf));
        if found.is_empty() {
            found = self.those(|leaf| is_image(leaf) && leaf.name == leaf.top());
        }
        let what =
            ["there is no column of pictures", "it is not clear which column holds the pictures"];
        let expected = "one column with the bytes of pictures (a picture's path or address alone is no picture)";
        self.one_of(&found, what, expected, NAME)
    }

    fn text(&self, stated: &Column<Vec<String>>, image: &Leaf) -> Result<Vec<Leaf>> {
        const NAME: &str = "name the column of captions: `--text COLUMN`, more than once for several, or `--text none` for classes alone";
        if *stated == Column::None {
            return Ok(Vec::new());
        }
        if let Column::Named(stated) = stated {
            let named = |name: &String| {
                let leaf = self.named("--text", name)?;
                if leaf.is_text() {
                    return Ok(leaf.clone());
                }
                let (what, expected) = ("the column holds no captions", "texts, or lists of them");
                Err(self.refuse(what, expected, &[leaf], NAME))
            };
            return stated.iter().map(named).collect();
        }
        let is_text =
            |leaf: &Leaf| leaf.is_text() && leaf.name == leaf.top() && leaf.top() != image.top();
        let mut found = self.those(|leaf| is_text(leaf) && TEXTS.contains(&&*leaf.name));
        if found.is_empty() {
            found = self.those(is_text);
        }
        let what =
            ["there is no column of captions", "it is not clear which column holds the captions"];
        let expected = "one column of texts, or of lists of texts";
        Ok(vec![self.one_of(&found, what, expected, NAME)?])
    }

    fn class(&self, stated: &Column<String>, text: &[Leaf]) -> Result<Option<Leaf>> {
        const NAME: &str =
            "name the column of classes, `--class COLUMN`, or leave them out: `--class none`";
        let found: Vec<&Leaf> = match stated {
            Column::None => return Ok(None),
            Column::Named(name) => vec![self.named("--class", name)?],
            Column::Find => {
                let free = |leaf: &Leaf| leaf.is_class() && !text.contains(leaf);
                let has_names = |leaf: &Leaf| !names(self.features, &leaf.name).is_empty();
                let labelled = self.those(|leaf| free(leaf) && has_names(leaf));
                if labelled.is_empty() {
                    self.those(|leaf| free(leaf) && CLASSES.contains(&&*leaf.name))
                } else {
                    labelled
                }
            }
        };
        match found.as_slice() {
            [] => Ok(None),
            [leaf] if leaf.is_class() => Ok(Some((*leaf).clone())),
            [_] => {
                let (what, expected) = ("the column holds no classes", "whole numbers or texts");
                Err(self.refuse(what, expected, &found, NAME))
            }
            _ => {
                let what = "it is not clear which column holds the classes";
                Err(self.refuse(what, "one column", &found, NAME))
            }
        }
    }
}

/// What Hugging Face's `datasets` says of the columns: the key `huggingface`, in JSON.
fn features(of: &FileMetaData) -> Value {
    let facts =
        of.key_value_metadata().into_iter().flatten().find(|fact| fact.key == "huggingface");
    let text = facts.and_then(|fact| fact.value.as_deref()).filter(|text| text.len() <= FEATURES);
    let facts: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
    facts
        .and_then(|mut facts| Some(facts.pointer_mut("/info/features")?.take()))
        .unwrap_or_default()
}

/// What `datasets` calls the kind of a column, if it says so.
fn kind<'a>(features: &'a Value, column: &str) -> Option<&'a str> {
    features.get(column)?.get("_type")?.as_str()
}

/// The names of a column's classes; none if it is no `ClassLabel`.
fn names(features: &Value, column: &str) -> Vec<String> {
    let is_label = kind(features, column) == Some("ClassLabel");
    let names =
        features.get(column).filter(|_| is_label).and_then(|of| of.get("names")?.as_array());
    let text = |name: &Value| name.as_str().unwrap_or_default().to_owned();
    names.into_iter().flatten().map(text).collect()
}
