//! The one form in which names are compared: in small letters, and with accents apart from their letters.
//! macOS writes some names so (NFD), other systems with accents and letters in one (NFC).

use unicode_normalization::UnicodeNormalization as _;

/// A name in that form.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase().nfd().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_in_whatever_form_accents_are() {
        for (whole, apart) in [
            ("CAFÉ.jpg", "cafe\u{301}.jpg"),
            ("Übung ñ", "u\u{308}bung n\u{303}"),
            ("Việt", "vie\u{323}\u{302}t"),
            ("Ёжик й", "е\u{308}жик и\u{306}"),
            ("ガぱ", "カ\u{3099}は\u{309a}"),
            ("한글가", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}\u{1100}\u{1161}"),
            ("A-1 鳥 ß.TXT", "a-1 鳥 ß.txt"),
        ] {
            assert_eq!(folded(whole), apart);
            assert_eq!(folded(apart), apart);
        }
        assert_ne!(folded("é"), folded("è"));
    }
}
