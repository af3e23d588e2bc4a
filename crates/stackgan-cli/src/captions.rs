//! Captions from the command line, or from a file with one per line.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_data::captions::MAX_CAPTION;

use crate::exit::Problem;

/// Returns captions in small chunks, so that memory is bounded; from stdin one at a time, as they
/// arrive.
///
/// # Errors
/// Code 2 unless either sentences or a file were given, or when a sentence is empty; 4 when the
/// file does not exist. The captions of a file without any end in an error with code 3.
pub(crate) fn of<'a>(
    prompts: &'a [String],
    file: Option<&'a Path>,
    chunk: usize,
) -> Result<Box<dyn Iterator<Item = Result<Vec<String>>> + 'a>> {
    if prompts.is_empty() == file.is_none() {
        let found = if prompts.is_empty() { "neither" } else { "both" };
        let parts = ("`-p \"…\"` or `--captions FILE`", found);
        let remedy = "say the sentence: `-p \"a small red bird\"`";
        return Err(Problem::usage("which captions?", "option: --prompt", parts, remedy).into());
    }
    if prompts.iter().any(|prompt| prompt.trim().is_empty()) {
        let parts = ("a sentence", "an empty one");
        let remedy = "say what is to be seen: `-p \"a small red bird\"`";
        return Err(Problem::usage("a sentence is empty", "option: --prompt", parts, remedy).into());
    }
    let Some(file) = file else {
        return Ok(Box::new(std::iter::once(Ok(prompts.to_vec()))));
    };
    if file.as_os_str() == "-" {
        return Ok(Box::new(Lines {
            from: Box::new(std::io::stdin().lock()),
            file: file.to_path_buf(),
            most: 1,
            met: 0,
            begun: false,
        }));
    }
    let opened = std::fs::File::open(file).and_then(|open| match open.metadata()?.is_dir() {
        true => Err(std::io::ErrorKind::IsADirectory.into()),
        false => Ok(open),
    });
    let open = opened.map_err(|e| {
        let place = format!("file: {}", file.display());
        Problem::missing(
            "the captions cannot be opened",
            place,
            "a text file",
            format!("check the path ({e})"),
        )
    })?;
    Ok(Box::new(Lines {
        from: Box::new(std::io::BufReader::new(open)),
        file: file.to_path_buf(),
        most: chunk,
        met: 0,
        begun: false,
    }))
}

/// The lines of a caption file; empty ones are skipped.
struct Lines {
    from: Box<dyn BufRead>,
    file: PathBuf,
    most: usize,
    /// Number of captions so far; also 1 after the error about a file without any.
    met: usize,
    /// Whether the first line was read. Some editors begin a file with a byte order mark.
    begun: bool,
}

/// The byte order mark, U+FEFF.
const MARK: &[u8] = "\u{feff}".as_bytes();

impl Iterator for Lines {
    type Item = Result<Vec<String>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut captions = Vec::new();
        while captions.len() < self.most {
            match self.line() {
                Ok(None) => break,
                Ok(Some(line)) if line.trim().is_empty() => {}
                Ok(Some(line)) => captions.push(line.trim().to_owned()),
                Err(error) => return Some(Err(error)),
            }
        }
        if captions.is_empty() && self.met == 0 {
            self.met = 1;
            let parts = ("a caption on each line", "none");
            let remedy = "write the captions into it, or say a sentence: `-p \"a small red bird\"`";
            return Some(Err(
                Problem::data("there are no captions", &self.file, parts, remedy).into()
            ));
        }
        self.met += captions.len();
        (!captions.is_empty()).then_some(Ok(captions))
    }
}

impl Lines {
    fn line(&mut self) -> Result<Option<String>> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let most = MARK.len() + MAX_CAPTION + b"\r\n".len();
        (&mut self.from).take(most as u64 + 1).read_until(b'\n', &mut bytes)?;
        let wrong = |found: &str, remedy: &str| {
            let parts = (format!("UTF-8 lines of at most {MAX_CAPTION} bytes"), found);
            Problem::data("a caption cannot be read", &self.file, parts, remedy)
        };
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let mut line = line.strip_suffix(b"\r").unwrap_or(line);
        if !self.begun {
            line = line.strip_prefix(MARK).unwrap_or(line);
            self.begun = true;
        }
        match bytes.len() {
            0 => Ok(None),
            _ if line.len() > MAX_CAPTION => {
                Err(wrong("a longer line", "write one caption on each line").into())
            }
            _ => match str::from_utf8(line) {
                Ok(line) if !line.contains('\0') => Ok(Some(line.to_owned())),
                _ => {
                    let found = "another encoding, such as Windows-1252 or UTF-16";
                    Err(wrong(found, "save the file as UTF-8").into())
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_come_in_batches_without_blank_lines() {
        let read = |text: &str, most| {
            let from = Box::new(std::io::Cursor::new(text.to_owned().into_bytes()));
            Lines { from, file: "f".into(), most, met: 0, begun: false }.collect::<Result<Vec<_>>>()
        };
        assert_eq!(read("a\n\n b \r\nc", 2).unwrap(), [vec!["a", "b"], vec!["c"]]);
        assert_eq!(read("\u{feff}a\n\u{feff}b", 2).unwrap(), [vec!["a", "\u{feff}b"]]);
        assert_eq!(read("\u{feff}\r\na", 2).unwrap(), [vec!["a"]]);
        let long = "x".repeat(MAX_CAPTION);
        for end in ["", "\n", "\r\n"] {
            assert_eq!(read(&format!("{long}{end}a"), 2).is_ok(), !end.is_empty(), "{end:?}");
            assert!(read(&format!("{long}{end}"), 2).is_ok(), "{end:?}");
            assert!(read(&format!("{long}x{end}"), 2).is_err(), "{end:?}");
        }
    }

    #[test]
    fn nothing_to_paint_is_an_error() {
        for text in ["", "\n \r\n"] {
            let from = Box::new(std::io::Cursor::new(text));
            let mut lines = Lines { from, file: "f".into(), most: 2, met: 0, begun: false };
            let error = lines.next().unwrap().unwrap_err().to_string();
            assert!(error.contains("there are no captions"), "{error}");
            assert!(lines.next().is_none());
        }
        for prompts in [&["a bird".to_owned(), " ".to_owned()][..], &[String::new()]] {
            assert!(of(prompts, None, 2).is_err());
        }
    }
}
