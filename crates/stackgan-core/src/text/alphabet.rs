//! How a caption becomes numbers: 201 characters over Reed's alphabet of 70.
//!
//! Source: reedscot/cvpr2016 and icml2016 (`data/` loaders), TensorFlow release `demo/get_embedding.lua`. The hyphen
//! stands in the alphabet twice; a dictionary built from left to right keeps the last, so `-` is 60 and 37 is never
//! used.

use serde::{Deserialize, Serialize};

/// Characters of a caption that the encoder sees; the rest is cut off.
pub const CAPTION_LENGTH: usize = 201;

/// Characters of the alphabet, numbered from 1.
pub const ALPHABET_SIZE: usize = 70;

/// The characters in their order.
pub(crate) const ALPHABET: &[u8; ALPHABET_SIZE] =
    b"abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} ";

const SPACE: u8 = ALPHABET_SIZE as u8;

/// One caption: for each place the number of its character, 1 to 70, or 0 for a row of zeros (padding or an unknown
/// character).
pub type CaptionIndices = [u8; CAPTION_LENGTH];

/// What happens to capital letters, which are not in the alphabet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// They become small letters (the published training data are in small letters).
    #[default]
    Lower,
    /// They stay unknown characters, as in the Lua demo of the release.
    Keep,
}

/// What becomes of a character that is not in the alphabet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// A row of zeros, as in the Lua demo of the release.
    #[default]
    ZeroRow,
    /// A space, as in the PyTorch port.
    Space,
    /// The caption ends there, as in Reed's training loader.
    Truncate,
}

/// The two choices that published programs make differently. An encoder must be used as it was trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlphabetOptions {
    /// Capital letters.
    pub case: Case,
    /// Unknown characters.
    pub unknown: Unknown,
}

/// The numbers of a caption's first 201 characters; places after its end are 0.
#[must_use]
pub fn indices(caption: &str, options: AlphabetOptions) -> CaptionIndices {
    let mut out = [0; CAPTION_LENGTH];
    for (slot, character) in out.iter_mut().zip(seen(caption, options.case).chars()) {
        *slot = match (number(character), options.unknown) {
            (Some(number), _) => number,
            (None, Unknown::ZeroRow) => 0,
            (None, Unknown::Space) => SPACE,
            (None, Unknown::Truncate) => break,
        };
    }
    out
}

/// What an encoder makes of a caption's characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Characters that it knows, but for spaces.
    pub known: usize,
    /// Those that it does not know, each once.
    pub unknown: String,
    /// Characters after the 201 that it looks at.
    pub cut: usize,
}

impl Reading {
    /// What is not read, for a person; `None` where all is.
    #[must_use]
    pub fn unread(&self) -> Option<String> {
        if self.known == 0 {
            let told = "the encoder knows no character of it: only the noise is painted";
            return Some(told.to_owned());
        }
        let unknown = (!self.unknown.is_empty())
            .then(|| format!("does not know `{}`", self.unknown.escape_debug()));
        let cut = (self.cut > 0).then(|| {
            format!("reads {CAPTION_LENGTH} characters: the last {} are cut off", self.cut)
        });
        let told: Vec<String> = unknown.into_iter().chain(cut).collect();
        (!told.is_empty()).then(|| format!("the encoder {}", told.join(", and ")))
    }
}

/// What an encoder with these options reads of a caption, and what not.
#[must_use]
pub fn reading(caption: &str, options: AlphabetOptions) -> Reading {
    let seen = seen(caption, options.case);
    let mut unknown = String::new();
    for character in seen.chars().take(CAPTION_LENGTH) {
        if number(character).is_none() && !unknown.contains(character) {
            unknown.push(character);
        }
    }
    let known = indices(caption, options).into_iter().filter(|n| ![0, SPACE].contains(n)).count();
    Reading { known, unknown, cut: caption.chars().count().saturating_sub(CAPTION_LENGTH) }
}

/// The characters that are looked at.
fn seen(caption: &str, case: Case) -> String {
    let seen: String = caption.chars().take(CAPTION_LENGTH).collect();
    match case {
        Case::Lower => seen.to_lowercase(),
        Case::Keep => seen,
    }
}

/// The number of a character, `None` if it is not in the alphabet.
fn number(character: char) -> Option<u8> {
    let byte = u8::try_from(character).ok()?;
    let place = ALPHABET.iter().rposition(|&known| known == byte)?; // the last: the hyphen is 60
    u8::try_from(place + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(caption: &str, options: AlphabetOptions) -> Vec<u8> {
        indices(caption, options)[..caption.chars().count().min(CAPTION_LENGTH)].to_vec()
    }

    #[test]
    fn every_character_has_the_published_number() {
        let options = AlphabetOptions::default();
        assert_eq!(start("az09", options), [1, 26, 27, 36]);
        assert_eq!(start(",;.!?:'\"", options), [38, 39, 40, 41, 42, 43, 44, 45]);
        assert_eq!(start("/\\|_@#$%^&*~`+=<>()[]{} ", options), {
            let mut all: Vec<u8> = (46..=59).collect();
            all.extend(61..=70);
            all
        });
        assert_eq!(start("a-a", options), [1, 60, 1], "the second hyphen of the alphabet wins");
    }

    #[test]
    fn capitals_and_unknown_characters_follow_the_options() {
        let with = |case, unknown| start("Ré x", AlphabetOptions { case, unknown });
        assert_eq!(with(Case::Lower, Unknown::ZeroRow), [18, 0, 70, 24]);
        assert_eq!(with(Case::Keep, Unknown::ZeroRow), [0, 0, 70, 24]);
        assert_eq!(with(Case::Lower, Unknown::Space), [18, 70, 70, 24]);
        assert_eq!(with(Case::Lower, Unknown::Truncate), [18, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_read_is_told() {
        let told = |caption: &str| {
            let Reading { known, unknown, cut } = reading(caption, AlphabetOptions::default());
            (known, unknown, cut)
        };
        assert_eq!(told("A red bird"), (8, String::new(), 0));
        assert_eq!(told("oiseau très léger, é"), (14, "èé".to_owned(), 0));
        assert_eq!(told("птица"), (0, "птица".to_owned(), 0));
        assert_eq!(told(&"b".repeat(205)), (201, String::new(), 4));
        let keep = AlphabetOptions { case: Case::Keep, unknown: Unknown::Space };
        assert_eq!(reading("Red", keep), Reading { known: 2, unknown: "R".to_owned(), cut: 0 });
        let ends = AlphabetOptions { unknown: Unknown::Truncate, ..AlphabetOptions::default() };
        assert_eq!(reading("a é b", ends).known, 1);
    }

    #[test]
    fn an_unknown_character_hides_no_cut() {
        let told = |caption: &str| reading(caption, AlphabetOptions::default()).unread();
        assert_eq!(told("a red bird"), None);
        assert_eq!(told("é b").as_deref(), Some("the encoder does not know `é`"));
        let long = "b".repeat(205);
        let cut = "reads 201 characters: the last 4 are cut off";
        assert_eq!(told(&long), Some(format!("the encoder {cut}")));
        let both = long.replacen('b', "é", 1);
        assert_eq!(told(&both), Some(format!("the encoder does not know `é`, and {cut}")));
        assert!(told(&"é".repeat(205)).is_some_and(|told| told.contains("knows no character")));
    }

    #[test]
    fn long_captions_are_cut_and_short_ones_padded() {
        assert_eq!(indices(&"b".repeat(500), AlphabetOptions::default()), [2; CAPTION_LENGTH]);
        let mut expected = [0; CAPTION_LENGTH];
        expected[0] = 3;
        assert_eq!(indices("c", AlphabetOptions::default()), expected);
        assert_eq!(indices("", AlphabetOptions::default()), [0; CAPTION_LENGTH]);
    }
}
