//! What lies in the folders below a dataset's: a whole set, or parts of one whose archive was
//! unpacked by hand into a folder of its own.

use super::scan::{OWN, children};
use crate::error::{joined, shown};
use std::path::{Path, PathBuf};

/// Number of levels that are looked at.
const LEVELS: usize = 2;

/// Maximum number of entries that are looked at.
const LOOK: usize = 20_000;

/// The folders below `dir`: the nearest first, then by name.
pub(super) fn folders(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut level, mut left) = (Vec::new(), vec![dir.to_path_buf()], LOOK);
    for _ in 0..LEVELS {
        let mut below = Vec::new();
        // A folder of very many pictures does not hide those beside it.
        let share = left / level.len().max(1);
        for folder in &level {
            for path in children(folder).take(share) {
                left -= 1;
                if path.is_dir() && !path.ends_with(OWN) {
                    below.push(path);
                }
            }
        }
        below.sort();
        found.extend_from_slice(&below);
        level = below;
    }
    found
}

/// Parts of a dataset that lie together in a folder below the one where they are read.
#[derive(Debug)]
pub(crate) struct Astray {
    parts: Vec<String>,
    from: PathBuf,
    to: PathBuf,
}

impl Astray {
    /// Those of `parts` that are not in `dir`, but in the first folder below it that `holds` them.
    pub(super) fn find(dir: &Path, parts: &[&str], holds: impl Fn(&Path) -> bool) -> Option<Self> {
        let lacking: Vec<&str> =
            parts.iter().copied().filter(|part| !dir.join(part).exists()).collect();
        let found = folders(dir).into_iter().filter(|folder| holds(folder)).map(|from| {
            let parts = lacking.iter().filter(|part| from.join(part).exists());
            let parts: Vec<String> = parts.map(|&part| part.to_owned()).collect();
            Self { parts, from, to: dir.to_path_buf() }
        });
        let mut found = found.filter(|astray| !astray.parts.is_empty());
        found.next()
    }

    /// What to do about them.
    pub(crate) fn remedy(&self) -> String {
        let (parts, from, to) = (joined(&self.parts, "and"), shown(&self.from), shown(&self.to));
        format!("move {parts} from {from} up into {to}")
    }
}

/// The remedy of an error about missing parts: to move those that were found, and to `check`.
pub(super) fn remedy(found: &[Option<Astray>], check: &str) -> String {
    let moves = found.iter().flatten().map(Astray::remedy);
    moves.chain([check.to_owned()]).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::put;

    #[test]
    fn two_levels_are_looked_at_and_not_what_is_our_own() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/c/d/x", "a/x", "b/.git/x", "prepared/y/x", "x"] {
            put(&dir, name, "");
        }
        let found = folders(dir.path());
        let found: Vec<&Path> =
            found.iter().map(|folder| folder.strip_prefix(dir.path()).unwrap()).collect();
        assert_eq!(found, ["a", "b", "b/c"].map(Path::new));
        assert!(folders(Path::new("/nonexistent")).is_empty());
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..LOOK {
            std::fs::create_dir_all(dir.path().join(format!("many/{i}"))).unwrap();
        }
        put(&dir, "other/inner/x", "");
        let found = folders(dir.path());
        assert!(found.len() < LOOK && found.iter().any(|folder| folder.ends_with("other/inner")));
    }

    #[test]
    fn parts_that_are_there_already_are_not_moved() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["birds/text/x", "birds/train/x", "birds/test/x", "test/x"] {
            put(&dir, name, "");
        }
        let find = |parts: &[&str]| Astray::find(dir.path(), parts, |at| at.join("text").is_dir());
        let (said, at) = (find(&["text", "train", "test"]).unwrap().remedy(), dir.path().display());
        assert_eq!(
            said.replace('\\', "/"),
            format!("move text and train from {at}/birds up into {at}")
        );
        assert!(find(&["test"]).is_none());
    }
}
