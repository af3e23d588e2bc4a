//! What a file is by its first bytes, whatever it is called: a container of weights, or something
//! else that people have at hand.

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// An object of Torch 7.
    Torch7,
    /// Safetensors.
    Safetensors,
    /// Weights of PyTorch: a zip archive, or the stream of pickles of torch 0.2 to 1.5.
    PyTorch,
    /// A web page, which some servers send in place of a file.
    Page,
    /// What Git LFS leaves in place of a file.
    Pointer,
    /// Something else that is known by this name.
    Other(&'static str),
    /// Nothing that is known.
    Unknown,
}

/// Number of bytes by which text is recognised.
const BEGINNING: usize = 512;

impl Container {
    /// Recognises a file.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes {
            // As a write that was cut off leaves them.
            [0, 0, 0, 0, 0, 0, 0, 0, ..] => Self::Other("zeros at its beginning"),
            [0..=8, 0, 0, 0, ..] | [b'0'..=b'8', b'\n', b'0'..=b'9', ..] => Self::Torch7,
            [_, _, _, _, _, _, 0, 0, b'{', ..] => Self::Safetensors,
            [b'P', b'K', 3, 4, ..] => Self::of_zip(bytes),
            // A long integer: torch's magic number.
            [0x80, _, 0x8a, 0x0a, b'l', 0xfc, 0x9c, b'F', ..] => Self::PyTorch,
            [0x80, 0..=5, ..] => Self::Other("a pickle of Python"),
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Self::Other("an array of numpy"),
            [0x89, b'P', b'N', b'G', ..] => Self::Other("a PNG picture"),
            [0xff, 0xd8, 0xff, ..] => Self::Other("a JPEG picture"),
            [0x1f, 0x8b, ..] => Self::Other("a file packed by gzip"),
            [] => Self::Other("an empty file"),
            _ => Self::of_text(bytes),
        }
    }

    /// What a zip archive is, by the name of its first entry: torch writes `NAME/data.pkl` first.
    fn of_zip(bytes: &[u8]) -> Self {
        let length = bytes.get(26..28).and_then(|two| two.try_into().ok());
        let length = usize::from(length.map_or(0, u16::from_le_bytes));
        let name = bytes.get(30..30 + length).unwrap_or_default();
        if name.ends_with(b"/data.pkl") {
            Self::PyTorch
        } else if name.ends_with(b".npy") {
            Self::Other("arrays of numpy")
        } else {
            Self::Other("a zip archive")
        }
    }

    /// What a text is; [`Self::Unknown`] for bytes that are none.
    fn of_text(bytes: &[u8]) -> Self {
        let beginning = bytes.get(..BEGINNING).unwrap_or(bytes);
        let text = beginning.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        // The last of its characters may be cut.
        let whole = !text.is_empty() && beginning.len() - text.len() < 4;
        if !whole || text.chars().any(|c| c.is_control() && !c.is_ascii_whitespace()) {
            return Self::Unknown;
        }
        let text = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
        let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
        if begins(&["<!doctype html", "<html"]) {
            Self::Page
        } else if begins(&["version https://git-lfs"]) {
            Self::Pointer
        } else if begins(&["{", "["]) {
            Self::Other("JSON")
        } else {
            Self::Other("text")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of a zip archive whose first entry has this name.
    fn zip(name: &str) -> Vec<u8> {
        let mut entry = b"PK\x03\x04".to_vec();
        entry.resize(26, 0);
        entry.extend((name.len() as u16).to_le_bytes());
        entry.extend([0; 2]);
        entry.extend(name.bytes());
        entry
    }

    #[test]
    fn files_are_told_by_their_first_bytes() {
        for (bytes, container) in [
            (&b"\x03\0\0\0\x01\0\0\0"[..], Container::Torch7),
            (b"4\n1\n3\nV 1\n", Container::Torch7),
            (&[0; 16], Container::Other("zeros at its beginning")),
            (b"\x40\x02\0\0\0\0\0\0{\"a\":", Container::Safetensors),
            (&zip("archive/data.pkl"), Container::PyTorch),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", Container::PyTorch),
            (&zip("mu.npy"), Container::Other("arrays of numpy")),
            (&zip("README"), Container::Other("a zip archive")),
            (b"PK\x03\x04", Container::Other("a zip archive")),
            (b"\x80\x02]q\0.", Container::Other("a pickle of Python")),
            (b"\x93NUMPY\x01\0", Container::Other("an array of numpy")),
            (b"\x89PNG\r\n\x1a\n", Container::Other("a PNG picture")),
            (b"\xff\xd8\xff\xe0", Container::Other("a JPEG picture")),
            (b"\x1f\x8b\x08", Container::Other("a file packed by gzip")),
            (b"", Container::Other("an empty file")),
            (b"\xef\xbb\xbf\n<!DOCTYPE html>", Container::Page),
            (b"version https://git-lfs.github.com/spec/v1\n", Container::Pointer),
            (b" {\"a\": 1}", Container::Other("JSON")),
            (b"a red bird\n", Container::Other("text")),
            ("鸟".repeat(400).as_bytes(), Container::Other("text")),
            (b"\xab\x4f\xf1\x3d\x79\x9e", Container::Unknown),
            (b"a\x07bell", Container::Unknown),
        ] {
            assert_eq!(Container::of(bytes), container, "{}", bytes.escape_ascii());
        }
    }
}
