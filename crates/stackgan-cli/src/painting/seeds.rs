//! Parsing of lists of seeds and of rows.

use anyhow::Result;

use crate::args::Seeds;
use crate::exit::Problem;

/// Maximum number of seeds or rows of one command.
const MOST: usize = 100_000;

/// The requested seeds; 0 if there are none.
///
/// # Errors
/// Code 2 when the list is malformed.
pub(crate) fn seeds(asked: &Seeds) -> Result<Vec<u64>> {
    match &asked.seeds {
        Some(list) => numbers("seeds", list),
        None => Ok(vec![asked.seed.unwrap_or(0)]),
    }
}

/// Parses the numbers of `--seeds` or `--rows`.
///
/// # Errors
/// Code 2 when the list is malformed or too long.
pub(crate) fn numbers(of: &str, list: &str) -> Result<Vec<u64>> {
    let wrong = |found: &str| {
        let parts = (
            format!(
                "at most {MOST} numbers below 2^64, or ranges from the smaller to the larger: `0-7,9`"
            ),
            format!("`{}`", found.escape_debug()),
        );
        let (what, place) = (format!("the {of} cannot be read"), format!("option: --{of}"));
        Problem::usage(what, place, parts, format!("write `--{of} 0-7`"))
    };
    let mut numbers = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number =
            |text: &str| text.trim().parse::<u64>().map_err(|_| anyhow::Error::from(wrong(part)));
        let (first, last) = (number(first)?, number(last)?);
        let room = (MOST - numbers.len()) as u64;
        if last < first || last - first >= room {
            return Err(wrong(part).into());
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numbers_and_ranges() {
        let parse = |list: &str| numbers("seeds", list);
        assert_eq!(parse("0-3,9").unwrap(), [0, 1, 2, 3, 9]);
        assert_eq!(parse("5").unwrap(), [5]);
        for bad in ["", "a", "3-1", "0-99999999999", "1,,2", "0-18446744073709551615"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
