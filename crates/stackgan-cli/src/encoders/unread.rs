//! Warnings about sentences that the encoder does not read completely.

use rayon::prelude::*;
use stackgan_core::Model;
use stackgan_core::text::TextEncoder as _;
use stackgan_core::text::alphabet::{AlphabetOptions, reading};
use stackgan_data::counted;

use super::named::Encoder;
use crate::output::beginning;
use crate::progress::{Manner, Phase};

/// Maximum number of sentences that are named; further ones are only counted.
const NAMED: usize = 5;
/// Number of characters of a sentence that are shown.
const SHOWN: usize = 60;

/// Counts such sentences.
pub(crate) struct Unread<'a> {
    model: Option<&'a Model>,
    met: usize,
}

impl<'a> Unread<'a> {
    /// For sentences for this model.
    pub(crate) const fn of(model: &'a Model) -> Self {
        Self { model: Some(model), met: 0 }
    }

    /// For inputs that are not sentences: never warns.
    pub(crate) const fn nothing() -> Self {
        Self { model: None, met: 0 }
    }

    /// Warns about those of `captions` that are not read completely.
    pub(crate) fn warn(&mut self, captions: &[String], phase: &Phase) {
        let Some(model) = self.model else { return };
        let warnings = captions.iter().filter_map(|said| Some(named(said, &model.unread(said)?)));
        for warning in warnings {
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

/// The message about a sentence, with its beginning.
fn named(caption: &str, unread: &str) -> String {
    format!("`{}`: {unread}", beginning(caption, SHOWN))
}

/// Warns about captions of a dataset that the encoder does not read completely.
pub(crate) fn warn_unread_by(encoder: &Encoder, captions: &[String], manner: Manner) {
    match encoder {
        Encoder::CharCnnRnn(encoder) => warn_unread(captions, encoder.config().alphabet, manner),
        Encoder::Sentence(encoder, _) => {
            let unread = |said: &String| Some(named(said, &encoder.unread(said)?));
            let met: Vec<String> = captions.par_iter().filter_map(unread).collect();
            if let Some(first) = met.first() {
                let all = counted(captions.len(), "caption");
                let are = if met.len() == 1 { "is" } else { "are" };
                manner
                    .say(format!("warning: of {all}, {} {are} not read whole: {first}", met.len()));
            }
        }
    }
}

/// Warns about captions of a dataset that an encoder with this alphabet does not read completely.
pub(crate) fn warn_unread(captions: &[String], alphabet: AlphabetOptions, manner: Manner) {
    if let Some(text) = unread_of(captions, alphabet) {
        manner.say(format!("warning: {text}"));
    }
}

/// One message about all captions of a dataset; `None` if the encoder reads each completely.
fn unread_of(captions: &[String], alphabet: AlphabetOptions) -> Option<String> {
    let (mut strange, mut cut, mut characters, mut more) = (0, 0, String::new(), "");
    for caption in captions {
        let read = reading(caption, alphabet);
        strange += usize::from(!read.unknown.is_empty());
        cut += usize::from(read.cut > 0);
        for character in read.unknown.chars().filter(|c| !c.is_control()) {
            match characters.chars().count() {
                _ if characters.contains(character) => {}
                0..NAMED => characters.push(character),
                _ => more = " …",
            }
        }
    }
    let strange = (strange > 0).then(|| {
        let have = if strange == 1 { "has" } else { "have" };
        let named = match characters.as_str() {
            "" => String::new(), // only control characters
            named => format!(" (`{named}`{more})"),
        };
        format!("{strange} {have} characters that the encoder does not know{named}")
    });
    let cut = (cut > 0).then(|| {
        let are = if cut == 1 { "is" } else { "are" };
        format!("{cut} {are} longer than it reads")
    });
    let parts: Vec<String> = strange.into_iter().chain(cut).collect();
    (!parts.is_empty())
        .then(|| format!("of {}, {}", counted(captions.len(), "caption"), parts.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_of_a_dataset_are_summed_up() {
        let said = |captions: &[&str]| {
            let captions: Vec<String> = captions.iter().map(|c| (*c).to_owned()).collect();
            unread_of(&captions, AlphabetOptions::default())
        };
        assert_eq!(said(&["a red bird", "a blue one"]), None);
        let text = said(&["红色的鸟 0", "a bird", &"word ".repeat(50)]).unwrap();
        assert_eq!(
            text,
            "of 3 captions, 1 has characters that the encoder does not know (`红色的鸟`) and 1 is longer than it reads"
        );
        assert!(said(&["a red\u{7}bird"]).unwrap().ends_with("the encoder does not know"));
        let text = said(&["红色的鸟 0", "红色大鸟 和"]).unwrap();
        assert!(text.ends_with("does not know (`红色的鸟大` …)"), "more than are named: {text}");
    }

    #[test]
    fn long_sentences_are_named_by_their_beginning() {
        assert_eq!(named("птица", "why"), "`птица`: why");
        assert_eq!(named(&"word ".repeat(50), "why"), format!("`{}…`: why", "word ".repeat(12)));
    }
}
