//! Embeddings of a dataset's captions: the file that training reads ([`Embeddings`]), and its
//! import from other sources ([`import()`]): the release's pickles, Reed's `.t7`, `.npy`, `.npz`
//! and safetensors, of any width.
//!
//! | module | contents |
//! |---|---|
//! | `file` | the file, written as a stream and read by position |
//! | `texts` | the captions in it, where they are of no dataset |
//! | `maker` | comparison with the vectors of the encoder that is said to have made them |
//! | `source` | what is recorded of a source, and the numbers that are read from it |
//! | `pictures` | matching of others' names with our keys |
//! | `sink` | the way into the file |
//! | `released` | `char-CNN-RNN-embeddings.pickle`, joined by `filenames.pickle` |
//! | `arrays` | one other file: arrays by name, captions with arrays, or an unnamed array |
//! | `listed` | an unnamed array, joined by the list beside it |
//! | `folder` | a file for each picture or class |
//! | `captioned` | captions with embeddings that are of no dataset |
//! | `import` | recognition of what a path holds, and the choice of a reader |
//!
//! An embedding is joined to its caption by a name or by the caption itself, never by its position
//! alone. In the release's pickles the pictures of a class are not in alphabetical order, for
//! example. So a different order, a truncated file or a wrong count is corrected or rejected, and
//! cannot shift the other embeddings.

mod arrays;
mod captioned;
mod file;
mod folder;
mod import;
mod listed;
mod maker;
mod pictures;
mod released;
mod sink;
mod source;
mod texts;

pub use captioned::{Captioned, captioned};
pub use file::{Embeddings, EmbeddingsWriter};
pub use import::{check_source, import};
pub use listed::captions_list;
pub use maker::{Agreement, Maker, probes};
pub use sink::Imported;
pub use source::{Source, UNKNOWN};

#[cfg(test)]
mod captioned_tests;
#[cfg(test)]
mod tests;
