//! Embeddings of a dataset's captions: the file that training reads ([`Embeddings`]), and its making from what others
//! computed ([`import()`]): the release's pickles, Reed's `.t7`, `.npy`, `.npz`, safetensors, of any width.
//!
//! | room | what |
//! |---|---|
//! | `file` | the file, written as a stream and read by position |
//! | `import` | what a path holds, and the one way from there into the file |
//! | `released` | `char-CNN-RNN-embeddings.pickle`, joined by `filenames.pickle` |
//! | `arrays` | one file of another format: arrays by name, captions with arrays, or one array without names |
//! | `folder` | a file for each picture or class |
//! | `listed` | an array without names, joined by the list beside it |
//! | `pictures` | names of others and our keys |
//!
//! An embedding is joined to its caption by a name or by the caption itself, never by its place alone: a list in another
//! order, a file that is cut and a count that differs are refused or put right, and cannot shift the rest (FACTS 4.6).

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
