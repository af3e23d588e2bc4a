//! Detection of pages that a server sends in place of a file, by the first bytes: quota pages,
//! error pages, log-in pages.
//!
//! Dead links and Google Drive's pages are the most frequent complaint of the original's users (for
//! example hanzhanggit/StackGAN-v2 issues 13 and 42).

use crate::error::printable;

/// Number of leading bytes to examine.
pub(super) const ENOUGH: usize = 4096;
/// With fewer bytes nothing is decided, unless the file ends there.
pub(super) const LEAST: usize = 512;

/// Checks that `start` can be the start of a file of that name.
///
/// # Errors
/// What it is instead, such as `a web page, "Google Drive - Quota exceeded"`.
pub(super) fn examine(name: &str, content_type: Option<&str>, start: &[u8]) -> Result<(), String> {
    let kinds: [(&[&str], &[u8]); 3] =
        [(&[".tgz", ".gz"], &[0x1f, 0x8b]), (&[".zip"], b"PK"), (&[".mat"], b"MATLAB")];
    let lower = name.to_lowercase();
    let kind = kinds.iter().find(|(ends, _)| ends.iter().any(|end| lower.ends_with(end)));
    if kind.is_some_and(|(_, magic)| start.starts_with(magic)) {
        return Ok(()); // whatever the server calls it
    }
    let text = String::from_utf8_lossy(start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start));
    let opening = text.trim_start().to_lowercase();
    let marks = ["<!doctype", "<html", "<head", "<?xml", "<!--", "<body"];
    let page = marks.iter().any(|mark| opening.starts_with(mark))
        || content_type.is_some_and(|kind| kind.to_lowercase().contains("text/html"));
    if page {
        return Err(match title(&text) {
            Some(title) => format!("a web page, \"{title}\""),
            None => "a web page".to_owned(),
        });
    }
    match kind {
        None => Ok(()),
        Some(_) if start.is_empty() => Err("an empty file".to_owned()),
        Some(_) if opening.starts_with('{') => {
            Err(format!("a message: {}", printable(opening.trim_end())))
        }
        Some((ends, _)) => Err(format!("no {} file", ends.first().copied().unwrap_or_default())),
    }
}

fn title(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase(); // the same length as `text`
    let from = lower.find("<title>")? + "<title>".len();
    let to = from + lower.get(from..)?.find("</title>")?;
    Some(printable(text.get(from..to)?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_every_shape_are_told_from_files() {
        let quota = b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title>";
        let virus = b"\n  <html><head><TITLE>Google Drive - Virus scan warning</TITLE></head>";
        for (name, content_type, start, found) in [
            ("a.zip", Some("text/html; charset=utf-8"), &quota[..], "Quota exceeded"),
            ("a.zip", None, virus, "Virus scan warning"),
            ("a.tgz", None, b"\xef\xbb\xbf<!DOCTYPE html>".as_slice(), "a web page"),
            ("a.tgz", None, b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", "web page"),
            ("a.bin", Some("text/html"), b"Moved", "a web page"),
            ("a.tgz", None, b"{\"message\": \"rate limited\"}", "rate limited"),
            ("a.mat", None, b"not found", "no .mat file"),
            ("a.zip", None, b"", "an empty file"),
            ("a.zip", None, b"\x1f\x8b", "no .zip file"),
        ] {
            let said = examine(name, content_type, start).unwrap_err();
            assert!(said.contains(found), "{said}");
        }
        assert_eq!(examine("A.TGZ", Some("text/html"), &[0x1f, 0x8b, 8]), Ok(()));
        assert_eq!(examine("a.zip", None, b"PK\x03\x04"), Ok(()));
        assert_eq!(examine("SHA256SUMS", Some("text/plain"), b"0a 0b"), Ok(()));
    }

    #[test]
    fn titles_cannot_reach_the_terminal_raw() {
        let said = examine("a.zip", None, b"<html><title>\x1b[31mred</title>").unwrap_err();
        assert!(!said.contains('\x1b'), "{said}");
    }
}
