//! Quotation marks in tables. One that is not closed makes the rows below it a part of a caption,
//! without an error of a reader that takes tables as they come.

use std::io::{self, BufRead};

/// What is wrong with the quotation marks of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is never closed.
    Open,
    /// It is closed before the end of the value.
    Closed,
}

/// Where a byte is in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Plain,
    Quoted,
    /// Behind a mark that closes the value, unless another mark follows.
    Mark,
    Behind,
}

/// The first fault, and the row in which its value begins, from 1 below the header.
///
/// # Errors
/// When the table cannot be read.
pub(super) fn fault(mut table: impl BufRead, separator: u8) -> io::Result<Option<(Fault, usize)>> {
    let (mut at, mut ended, mut begun, mut opened) = (At::Start, 0, false, 0);
    loop {
        let bytes = table.fill_buf()?;
        if bytes.is_empty() {
            return Ok((at == At::Quoted).then_some((Fault::Open, opened)));
        }
        for &byte in bytes {
            let end = matches!(byte, b'\n' | b'\r');
            at = match at {
                At::Quoted if byte == b'"' => At::Mark,
                At::Quoted => At::Quoted,
                _ if end => At::Start,
                _ if byte == separator => At::Start,
                At::Start if byte == b'"' => {
                    opened = ended;
                    At::Quoted
                }
                At::Start | At::Plain => At::Plain,
                At::Mark if byte == b'"' => At::Quoted,
                At::Mark | At::Behind if matches!(byte, b' ' | b'\t') => At::Behind,
                At::Mark | At::Behind => return Ok(Some((Fault::Closed, opened))),
            };
            let row_ends = end && at == At::Start;
            ended += usize::from(row_ends && begun); // empty lines are no rows
            begun = !row_ends;
        }
        let read = bytes.len();
        table.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_is_not_closed_is_found_where_it_opens() {
        let found = |table: &str| fault(table.as_bytes(), b',').unwrap();
        for whole in [
            "",
            "file_name,text\na.jpg,a red bird\n",
            "\"file_name\",\"text\"\r\n\r\na.jpg,\"red, \"\"very\"\" red\nand blue\"\t \r\n",
            "file_name,text\na.jpg,a beak of 5\" or so\nb.jpg,\"\"\nc.jpg,\"\"\"\"",
        ] {
            assert_eq!(found(whole), None, "{whole}");
        }
        let open = "file_name,text\n\na.jpg,one\nb.jpg,\"two\nc.jpg,three\n";
        assert_eq!(found(open), Some((Fault::Open, 2)));
        let closed = "file_name,text\na.jpg,\"one\nb.jpg,\"two\"\n";
        assert_eq!(found(closed), Some((Fault::Closed, 1)));
        assert_eq!(found("file_name,text\na.jpg,\"one\" \"two\""), Some((Fault::Closed, 1)));
        assert_eq!(fault(&b"a\tb\n\"x\"\ty\n"[..], b'\t').unwrap(), None);
    }
}
