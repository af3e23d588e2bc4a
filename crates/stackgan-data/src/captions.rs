//! Caption files: one caption per line; line `i` belongs to row `i` of the picture's embeddings.
//!
//! A blank line in the middle is kept as an empty caption, because dropping it would shift every
//! later caption against its embedding. Blank lines at the end are not captions. A line ends in LF,
//! CR LF or, as on old Macs, a lone CR.
//!
//! A file that begins with a UTF-16 byte order mark is decoded as UTF-16, any other as UTF-8 or, if
//! that fails, as a whole as Windows-1252, which includes Latin-1.

use crate::formats::read_bounded;
use crate::{Error, Result};
use std::path::Path;

/// Maximum length of a caption in bytes.
pub const MAX_CAPTION: usize = 4096;

/// Maximum length of a caption file in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Maximum number of lines of a caption file, which has the captions of one picture.
const MAX_LINES: usize = 1 << 16;

/// Reads the captions of a file, in order; none if it is blank.
///
/// # Errors
/// When the file cannot be read, is over 1 MiB, has a line over [`MAX_CAPTION`] or over 65,536 lines, has zero bytes (as
/// UTF-16 without a mark has, and pictures), or has a UTF-16 mark but is not UTF-16.
pub fn read(file: &Path) -> Result<Vec<String>> {
    parse(&bytes(file)?, file)
}

/// The bytes of a caption file.
pub(crate) fn bytes(file: &Path) -> Result<Vec<u8>> {
    read_bounded(file, MAX_FILE)
}

/// Whether nothing says that bytes are Windows-1252: they are no UTF-8, and have no mark of UTF-16.
pub(crate) fn is_guessed(bytes: &[u8]) -> bool {
    !matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) && std::str::from_utf8(bytes).is_err()
}

/// Parses the captions in the bytes of a file; none if all lines are blank. `file` is for messages.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], file: &Path) -> Result<Vec<String>> {
    let text = decoded(bytes, file)?;
    let mut captions = Vec::new();
    // CRs before an LF belong to the line end, even if line ends were converted twice.
    let end = if text.contains('\n') { '\n' } else { '\r' };
    let lines = text.split(end).flat_map(|line| line.trim_end_matches('\r').split('\r'));
    let refuse = |what: &str, i: usize, expected: String, found: String| {
        let remedy =
            "each line of the file is one caption of one picture: shorten the caption, or the file";
        Error::malformed(file, what, format!("line {}", i + 1), (expected, found), remedy)
    };
    for (i, line) in lines.enumerate() {
        if i > MAX_LINES || i == MAX_LINES && !line.is_empty() {
            let expected = format!("at most {MAX_LINES} lines");
            return Err(refuse("captions are too many", i, expected, "more".to_owned()));
        }
        captions.push(one(line).map_err(|n| {
            let expected = format!("at most {MAX_CAPTION} bytes");
            refuse("caption is too long", i, expected, format!("{n} bytes"))
        })?);
    }
    while captions.last().is_some_and(String::is_empty) {
        captions.pop();
    }
    Ok(captions)
}

/// The characters of Windows-1252 from 0x80 to 0x9f (unicode.org,
/// MAPPINGS/VENDORS/MICSFT/WINDOWS/CP1252.TXT). All others equal Latin-1. Five codes are undefined
/// and map to the control characters of Latin-1.
const FROM_0X80: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
    '\u{8f}', //
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

fn windows_1252(byte: u8) -> char {
    let at = byte.checked_sub(0x80).map(usize::from);
    at.and_then(|at| FROM_0X80.get(at)).copied().unwrap_or(byte as char)
}

/// Decodes the bytes of a file. Some editors write UTF-16 with a byte order mark (U+FEFF).
fn decoded(bytes: &[u8], file: &Path) -> Result<String> {
    let (unit, units): (fn([u8; 2]) -> u16, _) = match bytes {
        [0xff, 0xfe, units @ ..] => (u16::from_le_bytes, units),
        [0xfe, 0xff, units @ ..] => (u16::from_be_bytes, units),
        _ if bytes.contains(&0) => return Err(no_text(file, ("text", "zero bytes"))),
        _ => {
            return Ok(match std::str::from_utf8(bytes) {
                Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
                Err(_) => bytes.iter().map(|&byte| windows_1252(byte)).collect(),
            });
        }
    };
    let units: Option<Vec<u16>> =
        units.chunks(2).map(|pair| pair.try_into().ok().map(unit)).collect();
    let text = units.and_then(|units| String::from_utf16(&units).ok());
    // A zero unit indicates UTF-32, whose byte order mark begins with the same bytes.
    text.filter(|text| !text.contains('\0'))
        .ok_or_else(|| no_text(file, ("UTF-16, as its first two bytes say", "bytes that are not")))
}

fn no_text(file: &Path, parts: (&str, &str)) -> Error {
    Error::malformed(file, "caption file is no text", "whole file", parts, "save the file as UTF-8")
}

/// A caption as it is stored: as [`one_line`].
///
/// # Errors
/// Its length in bytes, if that is over [`MAX_CAPTION`], in which escapes count.
pub(crate) fn one(text: &str) -> Result<String, usize> {
    let text = text.trim();
    if text.len() > MAX_CAPTION {
        return Err(text.len());
    }
    let line = one_line(text);
    if line.len() > MAX_CAPTION { Err(line.len()) } else { Ok(line) }
}

/// A text as one line that can be printed: ends of lines are replaced by spaces.
pub(crate) fn one_line(text: &str) -> String {
    clean(&text.trim().replace(['\r', '\n'], " "))
}

/// `line` with tabs replaced by spaces and all other control characters escaped, so that it can be
/// printed.
pub(crate) fn clean(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' => out.push(' '),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        parse(bytes, Path::new("c.txt")).unwrap()
    }

    #[test]
    fn line_endings_blank_lines_and_encodings() {
        assert_eq!(lines(b"a bird\r\nred\r\n"), ["a bird", "red"]);
        assert_eq!(lines(b"a\n\nb\n\n\n"), ["a", "", "b"]); // b stays third
        assert_eq!(lines(b"\xef\xbb\xbfa\xc3\xa9"), ["aé"]);
        assert_eq!(lines(b"caf\xe9 \xe2"), ["café â"]);
        assert_eq!(lines(b"tab\there"), ["tab here"]);
        let guessed: Vec<bool> =
            [&b"caf\xe9"[..], b"caf\xc3\xa9", b"\xff\xfea\0", b"a"].map(is_guessed).into();
        assert_eq!(guessed, [true, false, false, false]);
    }

    #[test]
    fn what_is_not_utf_8_is_windows_1252() {
        assert_eq!(
            lines(b"bird\x92s \x93red\x94 \x96 caf\xe9 \x80\x9f"),
            ["bird’s “red” – café €Ÿ"]
        );
        assert_eq!(lines(b"\xe9\x81\x8d\x8f\x90\x9d"), ["é\\u{81}\\u{8d}\\u{8f}\\u{90}\\u{9d}"]);
        assert_eq!(lines("\u{92}é".as_bytes()), ["\\u{92}é"]); // UTF-8, not Windows-1252
    }

    #[test]
    fn a_lone_carriage_return_ends_a_line() {
        assert_eq!(lines(b"one\rtwo\r\rfour\r"), ["one", "two", "", "four"]);
        assert_eq!(lines(b"\rtwo"), ["", "two"]);
        assert_eq!(lines(b"one\rtwo\r\n\r\nfour\nfive"), ["one", "two", "", "four", "five"]);
        assert_eq!(lines(b"one\r\r\ntwo\r\r\n"), ["one", "two"]); // ends converted twice
        assert_eq!(lines(b"\rone\rtwo\n"), ["", "one", "two"]); // a blank line in front keeps its place
        let long = [b"ok\r".to_vec(), vec![b'x'; MAX_CAPTION + 1]].concat();
        let error = parse(&long, Path::new("c.txt")).unwrap_err().to_string();
        assert!(error.contains("c.txt (line 2)"), "{error}");
    }

    #[test]
    fn terminal_escapes_are_defused() {
        assert_eq!(lines(b"\x1b[31mred\x07"), ["\\u{1b}[31mred\\u{7}"]);
        assert!(lines(b"x\x01y\xc2\x9b31m")[0].chars().all(|c| !c.is_control()));
    }

    #[test]
    fn too_long_files_are_named_and_blank_ones_have_no_captions() {
        let long = [b"ok\n".to_vec(), vec![b'x'; MAX_CAPTION + 1]].concat();
        let error = parse(&long, Path::new("c.txt")).unwrap_err().to_string();
        assert!(error.contains("c.txt (line 2)") && error.contains("4097"), "{error}");
        assert!(parse(&vec![b'x'; MAX_CAPTION], Path::new("c.txt")).is_ok());
        for empty in [&b""[..], b"\n\r\n ", b"\xef\xbb\xbf", b"\xff\xfe"] {
            assert_eq!(parse(empty, Path::new("c.txt")).unwrap(), [""; 0]);
        }
    }

    /// Escapes count, because they are what is stored.
    #[test]
    fn no_caption_is_stored_longer_than_the_longest() {
        assert_eq!(one(&"x".repeat(MAX_CAPTION)), Ok("x".repeat(MAX_CAPTION)));
        assert_eq!(one(&format!(" {}\r", "x".repeat(MAX_CAPTION))), Ok("x".repeat(MAX_CAPTION)));
        assert_eq!(one(&"x".repeat(MAX_CAPTION + 1)), Err(MAX_CAPTION + 1));
        assert_eq!(one(&"\u{1}".repeat(1000)), Err(5000));
        assert!(parse(&[1; 1000], Path::new("c.txt")).is_err());
        let lines = |n: usize| parse("\n".repeat(n).as_bytes(), Path::new("c.txt"));
        assert_eq!(lines(MAX_LINES).unwrap(), [""; 0]);
        let error = lines(MAX_LINES + 1).unwrap_err().to_string();
        assert!(error.contains("at most 65536 lines"), "{error}");
    }

    #[test]
    fn utf_16_is_read_by_its_mark() {
        let units = "\u{feff}a bird\r\ncafé 🐦\r\n".encode_utf16();
        let (little, big): (Vec<_>, Vec<_>) =
            units.map(|unit| (unit.to_le_bytes(), unit.to_be_bytes())).unzip();
        for bytes in [little.concat(), big.concat()] {
            assert_eq!(lines(&bytes), ["a bird", "café 🐦"]);
        }
        for bad in [&b"\xff\xfea"[..], b"\xff\xfe\x00\xd8a\0", b"\xff\xfe\0\0a\0\0\0", b"a\0 \0b\0"]
        {
            let error = parse(bad, Path::new("c.txt")).unwrap_err().to_string();
            assert!(error.contains("c.txt") && error.contains("UTF-8"), "{error}");
        }
    }

    /// Whatever surrounds it, the caption of line i stays at i.
    #[test]
    fn no_layout_of_blank_lines_shifts_a_caption() {
        let noise = stackgan_noise::Noise::new(11);
        for case in 0..10_000 {
            let mut draws = noise.draws(stackgan_noise::Stream::Test, 0, case);
            let n = 1 + draws.below(12) as usize;
            let mut text = String::new();
            let mut expected = Vec::new();
            for i in 0..n {
                let blank = i + 1 < n && draws.chance(0.3);
                expected.push(if blank { String::new() } else { format!("caption {i}") });
                text.push_str(expected.last().unwrap());
                text.push_str(draws.choose(&[" \n", "\n", "\r\n", "\t\r\n"]).unwrap());
            }
            assert_eq!(lines(text.as_bytes()), expected);
        }
    }
}
