//! Caption files: one caption a line, line `i` for row `i` of the picture's embeddings.
//!
//! A blank line in the middle is kept as an empty caption, because dropping it would shift every later caption
//! against its embedding; blank lines at the end are not captions. UTF-8, else the whole file as Latin-1.

use crate::formats::read_bounded;
use crate::{Error, Result};
use std::path::Path;

/// The longest caption, in bytes.
pub const MAX_CAPTION: usize = 4096;

/// The longest caption file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The captions of a file, in order.
///
/// # Errors
/// When the file cannot be read, is over 1 MiB, has a line over [`MAX_CAPTION`], or has no caption at all.
pub fn read(file: &Path) -> Result<Vec<String>> {
    parse(&read_bounded(file, MAX_FILE)?, file)
}

/// The captions in the bytes of a file; `file` is for messages.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], file: &Path) -> Result<Vec<String>> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().map(|&byte| byte as char).collect(),
    };
    let mut captions = Vec::new();
    for (i, line) in text.split('\n').enumerate() {
        let line = line.trim();
        if line.len() > MAX_CAPTION {
            return Err(Error::malformed(
                file,
                "caption is too long",
                format!("line {}", i + 1),
                (format!("at most {MAX_CAPTION} bytes"), format!("{} bytes", line.len())),
                "shorten the caption; each line of the file is one caption",
            ));
        }
        captions.push(clean(line));
    }
    while captions.last().is_some_and(String::is_empty) {
        captions.pop();
    }
    if captions.is_empty() {
        return Err(Error::malformed(
            file,
            "caption file is empty",
            "whole file",
            ("one caption a line", "none"),
            "write at least one caption for this picture",
        ));
    }
    Ok(captions)
}

/// `line` with tabs as blanks and every other control character escaped, so that a caption can be printed.
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
    }

    #[test]
    fn terminal_escapes_are_defused() {
        assert_eq!(lines(b"\x1b[31mred\x07"), ["\\u{1b}[31mred\\u{7}"]);
        assert!(lines(b"x\0y\xc2\x9b31m")[0].chars().all(|c| !c.is_control()));
    }

    #[test]
    fn too_long_and_empty_files_are_named() {
        let long = [b"ok\n".to_vec(), vec![b'x'; MAX_CAPTION + 1]].concat();
        let error = parse(&long, Path::new("c.txt")).unwrap_err().to_string();
        assert!(error.contains("c.txt (line 2)") && error.contains("4097"), "{error}");
        assert!(parse(&vec![b'x'; MAX_CAPTION], Path::new("c.txt")).is_ok());
        for empty in [&b""[..], b"\n\r\n ", b"\xef\xbb\xbf"] {
            assert!(parse(empty, Path::new("c.txt")).is_err());
        }
    }

    /// RELIABILITY D1: whatever lies around it, the caption of line i stays at i.
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
