//! Captions from the command line, or from a file with one per line.

use std::cell::Cell;
use std::io::{BufRead, BufReader, ErrorKind, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_data::captions::MAX_CAPTION;
use stackgan_data::counted;

use crate::exit::Problem;

/// What is done about blank lines before a caption. Those after the last caption are always
/// skipped.
pub(crate) enum Blank<'a> {
    /// They are skipped and counted here.
    Counted(&'a Cell<usize>),
    /// They are refused: the number of a caption is that of its line.
    Refused,
}

/// Refuses a sentence without words.
///
/// # Errors
/// Code 2.
pub(crate) fn check_said(prompts: &[String]) -> Result<()> {
    if prompts.iter().any(|prompt| prompt.trim().is_empty()) {
        let parts = ("a sentence", "an empty one");
        let remedy = "say what is to be seen: `-p \"a small red bird\"`";
        return Err(Problem::usage("a sentence is empty", "option: --prompt", parts, remedy).into());
    }
    Ok(())
}

/// Returns captions in small chunks, so that memory is bounded; from stdin one at a time, as they
/// arrive. All of a file is checked before; what comes through a pipe is checked as it comes.
///
/// # Errors
/// Code 2 unless either sentences or a file were given, or when a sentence is empty; 4 when the
/// file does not exist. The captions of a file without any end in an error with code 3, and so do
/// those after a blank line that is refused.
pub(crate) fn of<'a>(
    prompts: &'a [String],
    file: Option<&'a Path>,
    chunk: usize,
    blank: Blank<'a>,
) -> Result<Box<dyn Iterator<Item = Result<Vec<String>>> + 'a>> {
    if prompts.is_empty() == file.is_none() {
        let found = if prompts.is_empty() { "neither" } else { "both" };
        let parts = ("`-p \"…\"` or `--captions FILE`", found);
        let remedy = "say the sentence: `-p \"a small red bird\"`";
        return Err(Problem::usage("which captions?", "option: --prompt", parts, remedy).into());
    }
    check_said(prompts)?;
    let Some(file) = file else {
        return Ok(Box::new(std::iter::once(Ok(prompts.to_vec()))));
    };
    if file.as_os_str() == "-" {
        return Ok(Box::new(Lines::new(Box::new(std::io::stdin().lock()), file, 1, blank)));
    }
    let opened = std::fs::File::open(file).and_then(|open| match open.metadata()?.is_dir() {
        true => Err(ErrorKind::IsADirectory.into()),
        false => Ok(open),
    });
    let cannot = |e: std::io::Error| {
        let place = format!("file: {}", file.display());
        let (what, expected) = ("the captions cannot be opened", "a text file");
        match e.kind() {
            ErrorKind::IsADirectory => {
                let remedy = "name a file with a sentence on each line; `stackgan data captions DIR --output FILE` writes a dataset's";
                Problem::usage(what, place, (expected, "a folder"), remedy)
            }
            _ => Problem::missing(what, place, expected, format!("check the path ({e})")),
        }
    };
    let mut open = opened.map_err(cannot)?;
    if open.metadata().is_ok_and(|facts| facts.is_file()) {
        let counted = Cell::new(0); // again when they are taken
        let blank = match blank {
            Blank::Counted(_) => Blank::Counted(&counted),
            Blank::Refused => Blank::Refused,
        };
        let mut all = Lines::new(Box::new(BufReader::new(&open)), file, chunk, blank);
        all.try_for_each(|captions| captions.map(drop))?;
        drop(all);
        open.rewind().map_err(cannot)?;
    }
    Ok(Box::new(Lines::new(Box::new(BufReader::new(open)), file, chunk, blank)))
}

/// One line about the blank lines of a file that were skipped, if any.
pub(crate) fn skipped(file: Option<&Path>, blank: &Cell<usize>) -> Option<String> {
    let blank = Some(blank.get()).filter(|blank| *blank > 0)?;
    Some(format!("{} of {} skipped", counted(blank, "blank line"), file?.display()))
}

/// The captions of a file, one on each line that is not blank.
struct Lines<'a> {
    from: Box<dyn BufRead + 'a>,
    file: PathBuf,
    most: usize,
    /// Number of captions so far; also 1 after the error about a file without any.
    met: usize,
    /// Number of lines so far. Some editors begin the first one with a byte order mark.
    read: usize,
    /// Number of blank lines since the last caption.
    waiting: usize,
    blank: Blank<'a>,
}

/// The byte order mark, U+FEFF.
const MARK: &[u8] = "\u{feff}".as_bytes();

impl Iterator for Lines<'_> {
    type Item = Result<Vec<String>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut captions = Vec::new();
        while captions.len() < self.most {
            match self.line() {
                Ok(None) => break,
                Ok(Some(line)) if line.trim().is_empty() => self.waiting += 1,
                Ok(Some(line)) => match self.pass_blank() {
                    Ok(()) => captions.push(line.trim().to_owned()),
                    Err(error) => return Some(Err(error)),
                },
                Err(error) => return Some(Err(error)),
            }
        }
        if captions.is_empty() && self.met == 0 {
            self.met = 1;
            let parts = ("a caption on each line", "none");
            let remedy = "write a caption on each line of it";
            return Some(Err(
                Problem::data("there are no captions", &self.file, parts, remedy).into()
            ));
        }
        self.met += captions.len();
        (!captions.is_empty()).then_some(Ok(captions))
    }
}

impl<'a> Lines<'a> {
    fn new(from: Box<dyn BufRead + 'a>, file: &Path, most: usize, blank: Blank<'a>) -> Self {
        Self { from, file: file.to_path_buf(), most, met: 0, read: 0, waiting: 0, blank }
    }

    /// Counts or refuses the blank lines before the caption that was just read.
    fn pass_blank(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        match self.blank {
            Blank::Refused if waiting > 0 => {
                let found = format!("line {} is blank", self.read - waiting);
                let parts = ("a caption on each line, because lines are counted", found);
                let remedy = "take the blank lines out, or write a caption on each";
                Err(Problem::data("a line has no caption", &self.file, parts, remedy).into())
            }
            Blank::Refused => Ok(()),
            Blank::Counted(blank) => {
                blank.set(blank.get() + waiting);
                Ok(())
            }
        }
    }

    fn line(&mut self) -> Result<Option<String>> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let most = MARK.len() + MAX_CAPTION + b"\r\n".len();
        (&mut self.from).take(most as u64 + 1).read_until(b'\n', &mut bytes)?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let mut line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.read == 0 {
            line = line.strip_prefix(MARK).unwrap_or(line);
        }
        self.read += usize::from(!bytes.is_empty());
        let wrong = |found: &str, remedy: &str| {
            let parts = (format!("a line of UTF-8 of at most {MAX_CAPTION} bytes"), found);
            let place = format!("file: {}, line {}", self.file.display(), self.read);
            let problem = Problem::data("a caption cannot be read", &self.file, parts, remedy);
            Problem { place, ..problem }
        };
        match bytes.len() {
            0 => Ok(None),
            _ if line.len() > MAX_CAPTION => {
                Err(wrong("a longer line", "write one caption on each line").into())
            }
            _ => match str::from_utf8(line) {
                Ok(line) if line.contains('\r') => {
                    let found = "several lines that end in CR alone";
                    Err(wrong(found, "save the file with line ends LF or CR LF").into())
                }
                // A tab is a space, as in the captions of a dataset.
                Ok(line) if !line.contains('\0') => Ok(Some(line.replace('\t', " "))),
                Ok(_) => {
                    let found = "a NUL byte, as in UTF-16 and in files that are no text";
                    Err(wrong(found, "save the file as UTF-8, and take the byte out").into())
                }
                Err(_) => {
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
            let blank = Cell::new(0);
            let lines = Lines::new(from, Path::new("f"), most, Blank::Counted(&blank));
            lines.collect::<Result<Vec<_>>>()
        };
        assert_eq!(read("a\n\n b \r\nc", 2).unwrap(), [vec!["a", "b"], vec!["c"]]);
        assert_eq!(read("\u{feff}a\n\u{feff}b", 2).unwrap(), [vec!["a", "\u{feff}b"]]);
        assert_eq!(read("\u{feff}\r\na", 2).unwrap(), [vec!["a"]]);
        assert_eq!(read("a\tb\n", 2).unwrap(), [vec!["a b"]]);
        assert!(read("a\rb\r", 2).unwrap_err().to_string().contains("CR alone"));
        let long = "x".repeat(MAX_CAPTION);
        for end in ["", "\n", "\r\n"] {
            assert_eq!(read(&format!("{long}{end}a"), 2).is_ok(), !end.is_empty(), "{end:?}");
            assert!(read(&format!("{long}{end}"), 2).is_ok(), "{end:?}");
            assert!(read(&format!("{long}x{end}"), 2).is_err(), "{end:?}");
        }
    }

    #[test]
    fn the_line_that_cannot_be_read_is_named_before_any_caption_of_a_file_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.txt");
        let long = "x".repeat(MAX_CAPTION + 1);
        for (last, at, found) in [
            (long.as_bytes(), "f.txt, line 4", "found a longer line"),
            (b"a\0bird", "f.txt, line 4", "found a NUL byte"),
            (b"a \xff bird", "f.txt, line 4", "found another encoding"),
        ] {
            let text = [b"\xef\xbb\xbfa\n\nb\n", last, b"\nc\n"].concat();
            std::fs::write(&file, &text).unwrap();
            let counter = Cell::new(0);
            let error = of(&[], Some(&file), 1, Blank::Counted(&counter)).err().unwrap();
            let said = error.to_string();
            assert!(said.contains(at) && said.contains(found), "{said}");
            assert_eq!(crate::exit::code(&error), crate::exit::Exit::Data);
            // What comes through a pipe is taken until there.
            let from = Box::new(std::io::Cursor::new(text));
            let lines = Lines::new(from, Path::new("-"), 1, Blank::Counted(&counter));
            let taken: Vec<_> = lines.map_while(Result::ok).collect();
            assert_eq!(taken, [["a"], ["b"]]);
        }
        std::fs::write(&file, "a\n\nb\n").unwrap();
        let counter = Cell::new(0);
        let lines = of(&[], Some(&file), 1, Blank::Counted(&counter)).unwrap();
        assert_eq!(lines.map(Result::unwrap).collect::<Vec<_>>(), [["a"], ["b"]]);
        assert_eq!(counter.get(), 1, "it is counted once");
    }

    #[test]
    fn blank_lines_between_captions_are_counted_or_refused() {
        for (text, blank, first) in [
            ("a\nb", 0, None),
            ("a\nb\n\n\u{a0}\n", 0, None),
            ("a\n\nb\n \nc", 2, Some("line 2 is")),
            ("\u{feff}\r\n\u{3000}\na\n\n", 2, Some("line 1 is")),
            ("a\nb\nc\n\u{a0}\n\nd", 2, Some("line 4 is")),
        ] {
            let read = |blank| {
                let from = Box::new(std::io::Cursor::new(text));
                Lines::new(from, Path::new("f"), 2, blank).collect::<Result<Vec<_>>>()
            };
            let counter = Cell::new(0);
            read(Blank::Counted(&counter)).unwrap();
            assert_eq!(counter.get(), blank, "{text:?}");
            let refused = read(Blank::Refused).err().map(|error| error.to_string());
            let told = refused.as_deref().zip(first).is_some_and(|(why, at)| why.contains(at));
            assert!(told || (refused.is_none() && first.is_none()), "{text:?}: {refused:?}");
        }
    }

    #[test]
    fn nothing_to_paint_is_an_error() {
        for text in ["", "\n \r\n"] {
            let from = Box::new(std::io::Cursor::new(text));
            let mut lines = Lines::new(from, Path::new("f"), 2, Blank::Refused);
            let error = lines.next().unwrap().unwrap_err().to_string();
            assert!(error.contains("there are no captions"), "{error}");
            assert!(lines.next().is_none());
        }
        for prompts in [&["a bird".to_owned(), " ".to_owned()][..], &[String::new()]] {
            assert!(of(prompts, None, 2, Blank::Refused).is_err());
        }
    }
}
