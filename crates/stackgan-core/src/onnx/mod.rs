//! Models as ONNX files, for use without this program, such as in Python or in a browser.
//!
//! The functions return bytes, which are equal for equal models. `networks` and `char_cnn_rnn`
//! implement the networks' mathematics a second time; `tests/onnx` runs the files and compares the
//! results with the networks themselves. docs/onnx.md describes the contents of the files.

mod char_cnn_rnn;
mod classes;
mod generator;
mod graph;
mod layers;
mod networks;

pub use self::char_cnn_rnn::encoder;
pub use self::classes::classes;
pub use self::generator::generator;
