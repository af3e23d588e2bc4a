//! Copies between the splits: a picture for testing that is also for training makes a test easier than
//! it seems.

use crate::counted;
use crate::dataset::{Item, Split};
use std::collections::HashMap;
use std::fmt;

/// Pictures for testing whose files are equal to those of pictures for training.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copies {
    /// Number of such test pictures.
    pub count: usize,
    /// The names of the first one, and of the first training picture that it equals.
    pub first: (String, String),
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, first: (test, train) } = self;
        let (pictures, are) = (counted(*count, "picture"), if *count == 1 { "is" } else { "are" });
        write!(f, "{pictures} of the test part {are} also in training (first: {test} = {train})")
    }
}

/// Compares pictures by the SHA-256 of their files.
#[must_use]
pub fn between<'a>(pictures: impl Iterator<Item = (&'a Item, &'a str)> + Clone) -> Option<Copies> {
    let of = |split| pictures.clone().filter(move |(item, _)| item.split == split);
    let mut trained = HashMap::new();
    for (item, sha256) in of(Split::Train) {
        trained.entry(sha256).or_insert(item);
    }
    let mut copies = of(Split::Test)
        .filter_map(|(item, sha256)| Some((item.key.clone(), trained.get(sha256)?.key.clone())));
    let first = copies.next()?;
    Some(Copies { count: 1 + copies.count(), first })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_copy_and_their_number_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let data = crate::testing::dataset(dir.path(), 10, 3); // 4 and 9 are for testing
        let found = |hashes: [&str; 10]| between(data.items.iter().zip(hashes));
        assert_eq!(found(["0", "0", "2", "3", "4", "5", "6", "7", "8", "4"]), None);
        let key = |i: usize| data.items[i].key.clone();
        let copies = found(["0", "1", "2", "2", "2", "5", "6", "7", "8", "1"]).unwrap();
        assert_eq!(copies, Copies { count: 2, first: (key(4), key(2)) });
        let said = copies.to_string();
        assert!(said.starts_with("2 pictures of the test part are also in training"), "{said}");
    }
}
