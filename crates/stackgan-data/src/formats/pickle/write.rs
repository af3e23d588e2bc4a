//! Writes lists byte for byte as `pickle.dump(list, file)` of `CPython` 2.7 does (protocol 0).
//!
//! This is the form of the release's `filenames.pickle` and `class_info.pickle`.

use std::fmt::Write as _;

/// Writes a list of unicode strings: `(lp0`, then `V<text>`, `p<n>`, `a` for each, then `.`.
///
/// Backslash and newline become `\u005c` and `\u000a`; characters beyond Latin-1 become `\uXXXX` or
/// `\UXXXXXXXX`; all others are one Latin-1 byte (Python's `raw-unicode-escape`).
#[must_use]
pub fn write_strings(strings: &[String]) -> Vec<u8> {
    let mut out = b"(lp0\n".to_vec();
    for (i, text) in strings.iter().enumerate() {
        out.push(b'V');
        for c in text.chars() {
            match c {
                '\\' => out.extend_from_slice(b"\\u005c"),
                '\n' => out.extend_from_slice(b"\\u000a"),
                '\0'..='\u{ff}' => out.push(c as u8),
                '\u{100}'..='\u{ffff}' => out.extend(format!("\\u{:04x}", c as u32).bytes()),
                _ => out.extend(format!("\\U{:08x}", c as u32).bytes()),
            }
        }
        out.extend(format!("\np{}\na", i + 1).bytes());
    }
    out.push(b'.');
    out
}

/// Writes a list of integers: `(lp0`, then `I<n>` and `a` for each, then `.`. Python does not
/// memoise integers.
#[must_use]
pub fn write_ints(ints: &[i64]) -> Vec<u8> {
    let mut out = String::from("(lp0\n");
    for n in ints {
        let _ = write!(out, "I{n}\na"); // cannot fail on a String
    }
    out.push('.');
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected bytes were written by Python 2.7.18.
    #[test]
    fn strings_equal_the_python_2_fixture() {
        let list = ["002.Laysan_Albatross/Laysan_Albatross_0002_1027".to_owned(), "x".to_owned()];
        let expected = b"(lp0\nV002.Laysan_Albatross/Laysan_Albatross_0002_1027\np1\naVx\np2\na.";
        assert_eq!(write_strings(&list), expected);
        assert_eq!(write_strings(&[]), b"(lp0\n.");
    }

    #[test]
    fn special_characters_are_escaped_as_raw_unicode_escape_does() {
        let list = ["a\\b\nc\u{e9}\u{153}\u{1f426}'\"\t".to_owned()];
        let expected = b"(lp0\nVa\\u005cb\\u000ac\xe9\\u0153\\U0001f426'\"\t\np1\na.";
        assert_eq!(write_strings(&list), expected);
    }

    #[test]
    fn ints_have_the_form_of_the_release() {
        assert_eq!(write_ints(&[1, 37, -5]), b"(lp0\nI1\naI37\naI-5\na.");
        assert_eq!(write_ints(&[]), b"(lp0\n.");
    }
}
