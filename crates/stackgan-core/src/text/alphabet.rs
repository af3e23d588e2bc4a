//! Conversion of captions to character indices: 201 characters over Reed's alphabet of 70.
//!
//! Source: reedscot/cvpr2016 and icml2016 (`data/` loaders), TensorFlow release
//! `demo/get_embedding.lua`. The hyphen occurs twice in the alphabet. A dictionary built from left
//! to right keeps the last one, so `-` is 60 and 37 is never used.

use serde::{Deserialize, Serialize};

/// Number of characters of a caption that the encoder reads; the rest is cut off.
pub const CAPTION_LENGTH: usize = 201;

/// Number of characters in the alphabet. Their indices start at 1.
pub const ALPHABET_SIZE: usize = 70;

/// The characters in order.
pub(crate) const ALPHABET: &[u8; ALPHABET_SIZE] =
    b"abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} ";

const SPACE: u8 = ALPHABET_SIZE as u8;

/// The indices of one caption.
///
/// For each position this is the index of its character, 1 to 70, or 0 for a row of zeros (padding
/// or an unknown character).
pub type CaptionIndices = [u8; CAPTION_LENGTH];

/// The treatment of capital letters, which are not in the alphabet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// They become lower-case letters (the published training data are in lower case).
    #[default]
    Lower,
    /// They remain unknown characters, as in the Lua demo of the release.
    Keep,
}

/// The treatment of a character that is not in the alphabet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// It becomes a row of zeros, as in the Lua demo of the release.
    #[default]
    ZeroRow,
    /// It becomes a space, as in the PyTorch port.
    Space,
    /// The caption ends there, as in Reed's training loader.
    Truncate,
}

/// The two choices in which published programs differ. An encoder must be used with the options
/// that it was trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlphabetOptions {
    /// The treatment of capital letters.
    pub case: Case,
    /// The treatment of unknown characters.
    pub unknown: Unknown,
}

/// Returns the indices of a caption's first 201 characters. Positions after its end are 0.
#[must_use]
pub fn indices(caption: &str, options: AlphabetOptions) -> CaptionIndices {
    let mut out = [0; CAPTION_LENGTH];
    for (slot, character) in out.iter_mut().zip(seen(caption, options.case)) {
        *slot = match (number(character), options.unknown) {
            (Some(number), _) => number,
            (None, Unknown::ZeroRow) => 0,
            (None, Unknown::Space) => SPACE,
            (None, Unknown::Truncate) => break,
        };
    }
    out
}

/// How an encoder reads the characters of a caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Number of characters that it knows, excluding spaces.
    pub known: usize,
    /// The characters that it does not know, each once.
    pub unknown: String,
    /// Number of characters that it gets to: 201, or those before the one at which it stops
    /// ([`Unknown::Truncate`]).
    pub reach: usize,
    /// Number of characters behind these, which it does not read.
    pub cut: usize,
}

impl Reading {
    /// Returns a message about what is not read, or `None` if everything is.
    #[must_use]
    pub fn unread(&self) -> Option<String> {
        if self.known == 0 {
            let told = "the encoder knows no character of it: only the noise is painted";
            return Some(told.to_owned());
        }
        let unknown = (!self.unknown.is_empty())
            .then(|| format!("does not know `{}`", self.unknown.escape_debug()));
        let cut = (self.cut > 0)
            .then(|| format!("reads {} characters: the last {} are cut off", self.reach, self.cut));
        let told: Vec<String> = unknown.into_iter().chain(cut).collect();
        (!told.is_empty()).then(|| format!("the encoder {}", told.join(", and ")))
    }
}

/// Returns which characters of a caption an encoder with these options reads, and which not.
#[must_use]
pub fn reading(caption: &str, options: AlphabetOptions) -> Reading {
    let (mut unknown, mut reach) = (String::new(), CAPTION_LENGTH);
    for (place, character) in caption.chars().take(CAPTION_LENGTH).enumerate() {
        let strange = |c: &char| number(*c).is_none();
        let Some(character) = cased(character, options.case).find(strange) else { continue };
        if !unknown.contains(character) {
            unknown.push(character);
        }
        if options.unknown == Unknown::Truncate {
            reach = place;
            break;
        }
    }
    let known = indices(caption, options).into_iter().filter(|n| ![0, SPACE].contains(n)).count();
    Reading { known, unknown, reach, cut: caption.chars().count().saturating_sub(reach) }
}

/// Returns the characters that are read.
fn seen(caption: &str, case: Case) -> impl Iterator<Item = char> {
    caption.chars().take(CAPTION_LENGTH).flat_map(move |character| cased(character, case))
}

/// Returns what is read for one character of a caption.
fn cased(character: char, case: Case) -> impl Iterator<Item = char> {
    let lower = (case == Case::Lower).then(|| character.to_lowercase());
    let kept = lower.is_none().then_some(character);
    lower.into_iter().flatten().chain(kept)
}

/// Returns the index of a character, or `None` if it is not in the alphabet.
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
            let Reading { known, unknown, cut, .. } = reading(caption, AlphabetOptions::default());
            (known, unknown, cut)
        };
        assert_eq!(told("A red bird"), (8, String::new(), 0));
        assert_eq!(told("oiseau très léger, é"), (14, "èé".to_owned(), 0));
        assert_eq!(told("птица"), (0, "птица".to_owned(), 0));
        assert_eq!(told(&"b".repeat(205)), (201, String::new(), 4));
        let keep = AlphabetOptions { case: Case::Keep, unknown: Unknown::Space };
        let read = reading("Red", keep);
        assert_eq!((read.known, read.unknown.as_str(), read.cut), (2, "R", 0));
        let ends = AlphabetOptions { unknown: Unknown::Truncate, ..AlphabetOptions::default() };
        let told = |caption: &str| reading(caption, ends).unread();
        assert_eq!(reading("a é b", ends).known, 1);
        let said =
            "the encoder does not know `ç`, and reads 14 characters: the last 20 are cut off";
        assert_eq!(told("a red bird, faç ü white wings now!").as_deref(), Some(said));
        assert_eq!(told("a red bird"), None);
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
