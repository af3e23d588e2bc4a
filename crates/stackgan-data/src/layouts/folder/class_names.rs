//! Names of classes as captions.

use crate::captions;

/// The captions that the name of a class gives: the name as it is, and the sentences around it that
/// people type; none for a name without a letter. `garden/017.Red_roses` is "garden Red roses".
///
/// An encoder that reads one form of the name alone does not know the others: trained so, it took
/// "a sunflower" for another flower than "sunflower" (docs/results.md). The words around the name are
/// those of CLIP's prompts (Radford et al. 2021, section 3.1.4).
pub(super) fn sentences(class: &str) -> Vec<String> {
    let name = spoken(class);
    let Some(first) = name.chars().next() else { return Vec::new() };
    let article = match first.to_ascii_lowercase() {
        'a' | 'e' | 'i' | 'o' | 'u' => "an",
        _ => "a",
    };
    let one = format!("{article} {name}");
    let said = [format!("a photo of {one}"), format!("a picture of {one}")];
    let all = [name, one].into_iter().chain(said);
    all.filter(|caption| caption.len() <= captions::MAX_CAPTION).collect()
}

/// The name of a class without numbers and separators.
fn spoken(class: &str) -> String {
    let unnumbered = |name| match str::split_once(name, '.') {
        Some((number, name)) if number.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => name,
    };
    let names: Vec<&str> = class.split('/').map(unnumbered).collect();
    captions::clean(names.join(" ").replace('_', " ").trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_said_as_people_say_it() {
        for (class, expected) in [
            (
                "002.pink_primrose",
                &[
                    "pink primrose",
                    "a pink primrose",
                    "a photo of a pink primrose",
                    "a picture of a pink primrose",
                ][..],
            ),
            ("03.wild/04.Iris", &["wild Iris", "a wild Iris"]),
            ("orange dahlia", &["orange dahlia", "an orange dahlia"]),
            ("É", &["É", "a É"]),
        ] {
            assert_eq!(sentences(class)[..expected.len()], *expected, "{class}");
        }
        assert!(sentences("").is_empty() && sentences(" _").is_empty());
        assert_eq!(
            sentences(&"n".repeat(captions::MAX_CAPTION)).len(),
            1,
            "the longer ones are left out"
        );
        assert!(sentences(&"n".repeat(captions::MAX_CAPTION + 1)).is_empty());
    }
}
