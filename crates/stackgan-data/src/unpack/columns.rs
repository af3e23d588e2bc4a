//! Which columns of a source hold pictures, captions and classes: what a person stated, and the
//! names by which they are found.

use std::collections::BTreeSet;

use crate::error::{counted, first_few, printable};

/// The columns to read. What is not stated is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The column of pictures; of a tar, the extension of their files.
    pub image: Option<String>,
    /// The columns of captions, all of which are taken; of a tar, extensions or keys of the JSON.
    /// Without captions, names of classes can serve as such.
    pub text: Column<Vec<String>>,
    /// The column of classes.
    pub class: Column<String>,
}

/// Which columns hold something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Column<T> {
    /// The one that is found, if any.
    #[default]
    Find,
    /// None: pictures have no such thing.
    None,
    /// What is named here.
    Named(T),
}

/// Names of columns of captions, and keys of JSON.
pub(super) const TEXTS: [&str; 8] =
    ["text", "texts", "caption", "captions", "sentence", "sentences", "description", "prompt"];

/// Names of columns of classes, and keys of JSON.
pub(super) const CLASSES: [&str; 2] = ["class", "label"];

/// Maximum number of names that are kept of what is not used.
const UNUSED: usize = 100;

/// What was found in a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) image: BTreeSet<String>,
    pub(super) text: BTreeSet<String>,
    pub(super) class: BTreeSet<String>,
    /// Number of classes that have names.
    pub(super) named: usize,
    unused: BTreeSet<String>,
}

impl Found {
    /// Adds a name that is not used, unless it is elsewhere.
    pub(super) fn leave(&mut self, name: &str) {
        if self.unused.len() < UNUSED && !self.unused.contains(name) {
            self.unused.insert(name.to_owned());
        }
    }

    /// One sentence: what is read, and what is not.
    pub(super) fn sentence(&self) -> String {
        let quoted = |names: &BTreeSet<String>| {
            let names: Vec<String> =
                names.iter().map(|name| format!("`{}`", printable(name))).collect();
            names.join(", ")
        };
        let (image, text) = (quoted(&self.image), quoted(&self.text));
        let mut said = format!("pictures from {image}");
        if !self.text.is_empty() {
            said += &format!(", captions from {text}");
        }
        if !self.class.is_empty() {
            said += &format!(", classes from {}", quoted(&self.class));
        }
        if self.named > 0 {
            said += &format!(" ({})", counted(self.named, "name"));
        }
        let is_used = |name: &String| {
            [&self.image, &self.text, &self.class].iter().any(|used| used.contains(name))
        };
        let unused: Vec<&String> = self.unused.iter().filter(|name| !is_used(name)).collect();
        if !unused.is_empty() {
            said += &format!("; not used: {}", first_few(&unused));
        }
        said
    }
}
