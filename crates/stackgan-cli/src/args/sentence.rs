//! The parser of sentences.

use clap::builder::{StringValueParser, TypedValueParser};

/// Removes the space around a sentence, as around a line of `--captions`: an encoder would read it,
/// and nobody would see why the picture is another.
pub(super) fn sentence() -> impl TypedValueParser<Value = String> {
    StringValueParser::new().map(|text| text.trim().to_owned())
}
