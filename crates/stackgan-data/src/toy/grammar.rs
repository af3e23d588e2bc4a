//! Reads the colours back from a caption: which colours of body, wing, belly and crown it names,
//! and how.
//!
//! It is independent of the writer in `captions` and sees only the text. It also reads what a user
//! types in the same manner, such as "a red bird with a yellow belly".

use super::Colour;

/// The colours that a caption names, of the parts that the judge can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Head, back and breast: "a red bird".
    pub body: Option<Colour>,
    /// "black wings"
    pub wing: Option<Colour>,
    /// "a yellow belly"
    pub belly: Option<Colour>,
    /// "a white crown"
    pub crown: Option<Colour>,
}

/// What a noun refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noun {
    Body,
    Wing,
    Belly,
    Crown,
    /// A part that has a colour of its own but is not judged.
    Other,
}

fn noun(word: &str) -> Option<Noun> {
    Some(match word {
        "bird" | "birds" | "body" | "songbird" | "plumage" | "feathers" => Noun::Body,
        "wing" | "wings" => Noun::Wing,
        "belly" | "underside" | "underparts" | "stomach" => Noun::Belly,
        "crown" | "cap" => Noun::Crown,
        "beak" | "bill" | "tail" | "head" | "eye" | "eyes" | "legs" | "feet" | "throat" => {
            Noun::Other
        }
        _ => return None,
    })
}

/// Whether a word may stand between a colour and its noun.
fn is_adjective(word: &str) -> bool {
    matches!(
        word,
        "small" | "little" | "tiny" | "large" | "big" | "long" | "short" | "colored" | "feathered"
    )
}

/// The plumage colours that `caption` names. A part that is named twice keeps its first colour.
#[must_use]
pub fn named_in(caption: &str) -> Named {
    let lower = caption.to_ascii_lowercase();
    let words = words(&lower);
    let mut named = Named::default();
    for (i, word) in words.iter().enumerate() {
        let Some(colour) = Colour::from_name(word).filter(|c| Colour::PLUMAGE.contains(c)) else {
            continue;
        };
        let (before, after) = (words.get(..i).unwrap_or(&[]), words.get(i + 1..).unwrap_or(&[]));
        let slot = match described_after(after).or_else(|| described_before(before)) {
            Some(Noun::Body) => &mut named.body,
            Some(Noun::Wing) => &mut named.wing,
            Some(Noun::Belly) => &mut named.belly,
            Some(Noun::Crown) => &mut named.crown,
            Some(Noun::Other) | None => continue,
        };
        *slot = slot.or(Some(colour));
    }
    named
}

/// The words, with [`PAUSE`] for a punctuation mark between them.
fn words(text: &str) -> Vec<&str> {
    let split = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let mut words = Vec::new();
    for piece in split {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if !word.is_empty() {
            words.push(word);
        }
        if piece.ends_with([',', ';', '.', ':']) {
            words.push(PAUSE);
        }
    }
    words
}

/// A comma, semicolon, full stop or colon: adjectives do not extend over it.
const PAUSE: &str = ",";

/// "red bird", "red-feathered bird": the noun that follows.
fn described_after(words: &[&str]) -> Option<Noun> {
    noun(words.iter().find(|w| !is_adjective(w))?)
}

/// "its wings are red": the last noun before, but not the "bird" of "the wings of this small bird".
fn described_before(words: &[&str]) -> Option<Noun> {
    let at = words.iter().rposition(|w| noun(w).is_some())?;
    let before = words.get(..at)?;
    match *words.get(at)? {
        "bird" => {
            let described = |w: &&&str| is_adjective(w) || Colour::from_name(w).is_some();
            let mut rest = before.iter().rev().skip_while(described);
            let owner = matches!(rest.next(), Some(&("this" | "the" | "a")));
            let owned = rest.next() == Some(&"of");
            let part =
                before.iter().rposition(|w| *w == "of").and_then(|of| before.get(..of)?.last());
            let part = part.and_then(|w| noun(w)).filter(|_| owner && owned);
            Some(part.unwrap_or(Noun::Body))
        }
        "head" if before.iter().rev().take(3).any(|w| *w == "top") => Some(Noun::Crown),
        word => noun(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(caption: &str, want: [Option<Colour>; 4]) {
        let Named { body, wing, belly, crown } = named_in(caption);
        assert_eq!([body, wing, belly, crown], want, "{caption}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_and_no_colour_is_made_up(text in "\\PC{0,80}", words in "((red|of|this|bird|top|head|wings|is|,) ){0,12}") {
            for text in [text, words] {
                let Named { body, wing, belly, crown } = named_in(&text);
                for colour in [body, wing, belly, crown].into_iter().flatten() {
                    proptest::prop_assert!(text.to_ascii_lowercase().contains(colour.name()));
                }
            }
        }
    }

    #[test]
    fn what_a_user_types() {
        use Colour::{Black, Blue, Red, White, Yellow};
        check("a red bird with a yellow belly", [Some(Red), None, Some(Yellow), None]);
        check("A Blue bird; its wings are black.", [Some(Blue), Some(Black), None, None]);
        check("the belly of this small red bird is white", [Some(Red), None, Some(White), None]);
        check("a picture of a bird that is red", [Some(Red), None, None, None]);
        check(
            "the top of its head is black, its wings yellow",
            [None, Some(Yellow), None, Some(Black)],
        );
        check("a bird with an orange beak and a black bill", [None; 4]);
        check("a small bird, red all over", [Some(Red), None, None, None]);
        check("a crown that is red, wings that are black", [None, Some(Black), None, Some(Red)]);
        check("red", [None; 4]);
        check("", [None; 4]);
        check(
            "a red \u{e9}t\u{e9} \u{1f426} of of of bird top head black",
            [None, None, None, Some(Black)],
        );
    }
}
