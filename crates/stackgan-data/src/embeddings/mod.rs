//! Embeddings of a dataset's captions: the file that training reads ([`Embeddings`]), and its
//! import from other sources ([`import()`]): the release's pickles, Reed's `.t7`, `.npy`, `.npz`
//! and safetensors, of any width.
//!
//! | module | contents |
//! |---|---|
//! | `file` | the file, written as a stream and read by position |
//! | `import` | recognition of what a path holds, and the only way into the file |
//! | `released` | `char-CNN-RNN-embeddings.pickle`, joined by `filenames.pickle` |
//! | `arrays` | one other file: arrays by name, captions with arrays, or an unnamed array |
//! | `folder` | a file for each picture or class |
//! | `listed` | an unnamed array, joined by the list beside it |
//! | `pictures` | matching of others' names with our keys |
//!
//! An embedding is joined to its caption by a name or by the caption itself, never by its position
//! alone. In the release's pickles the pictures of a class are not in alphabetical order, for
//! example. So a different order, a truncated file or a wrong count is corrected or rejected, and
//! cannot shift the other embeddings.

mod arrays;
mod file;
mod folder;
mod import;
mod listed;
mod pictures;
mod released;

pub use file::{Embeddings, EmbeddingsWriter, MAX_DIM, Source, VERSION};
pub use import::{Imported, import};
pub use listed::captions_list;

#[cfg(test)]
mod tests;
