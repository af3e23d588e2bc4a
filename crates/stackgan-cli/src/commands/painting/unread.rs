//! Warnings about sentences that the encoder does not read completely.

use stackgan_core::Model;
use stackgan_core::text::alphabet::{AlphabetOptions, reading};
use stackgan_data::counted;

use crate::progress::Phase;

/// Maximum number of sentences that are named; further ones are only counted.
const NAMED: usize = 5;
/// Number of characters of a sentence that are shown.
const SHOWN: usize = 60;

/// Counts such sentences.
pub(crate) struct Unread {
    /// The alphabet of a char-CNN-RNN; other encoders read every character.
    alphabet: Option<AlphabetOptions>,
    met: usize,
}

impl Unread {
    /// For sentences for this model.
    pub(crate) fn of(model: &Model) -> Self {
        Self { alphabet: model.encoder().map(|encoder| encoder.config().alphabet), met: 0 }
    }

    /// For inputs that are not sentences: never warns.
    pub(crate) const fn nothing() -> Self {
        Self { alphabet: None, met: 0 }
    }

    /// Warns about those of `captions` that are not read completely.
    pub(crate) fn warn(&mut self, captions: &[String], phase: &Phase) {
        let Some(alphabet) = self.alphabet else { return };
        for warning in captions.iter().filter_map(|caption| unread(caption, alphabet)) {
            self.met += 1;
            if self.met <= NAMED {
                phase.say(&format!("warning: {warning}"));
            }
        }
    }

    /// Reports the number of further sentences that were not named.
    pub(crate) fn finish(self, phase: &Phase) {
        if self.met > NAMED {
            let more = counted(self.met - NAMED, "sentence");
            phase.say(&format!("warning: not read whole: {more} more"));
        }
    }
}

/// A message about the part of a sentence that a char-CNN-RNN does not read; `None` if it reads
/// everything.
fn unread(caption: &str, alphabet: AlphabetOptions) -> Option<String> {
    let unread = reading(caption, alphabet).unread()?;
    let dots = if caption.chars().count() > SHOWN { "…" } else { "" };
    let shown: String = caption.chars().take(SHOWN).collect();
    Some(format!("`{}{dots}`: {unread}", shown.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_encoder_does_not_read_is_said() {
        let said = |caption: &str| unread(caption, AlphabetOptions::default()).unwrap_or_default();
        assert_eq!(said("A small, red bird!"), "");
        assert!(said("птица").starts_with("`птица`: the encoder knows no character"));
        assert!(said("un léger oiseau").ends_with("does not know `é`"));
        assert!(said(&"word ".repeat(50)).ends_with("the last 49 are cut off"));
    }
}
