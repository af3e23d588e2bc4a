//! Paths as a run records them.

use std::path::{Component, Path, PathBuf};

use crate::output::absolute;

/// A path that means the same from any folder, and does not pass through others on its way: `a/../b` becomes `b`, beside the folder
/// that a link `a` leads to. Links after the last `..` stay, because a link may be told to lead elsewhere.
pub(crate) fn lasting(path: &Path) -> PathBuf {
    let path = absolute(path);
    let parts: Vec<_> = path.components().collect();
    let last = parts.iter().rposition(|part| *part == Component::ParentDir);
    let (through, rest) = parts.split_at(last.map_or(0, |last| last + 1));
    // What does not exist says nothing about its links.
    match through.iter().collect::<PathBuf>().canonicalize() {
        Ok(mut real) => {
            real.extend(rest);
            real
        }
        Err(_) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_path_passes_through_no_other_folder_and_keeps_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(real.join("far/deep")).unwrap();
        std::fs::create_dir(real.join("near")).unwrap();
        std::os::unix::fs::symlink(real.join("far/deep"), real.join("link")).unwrap();
        for (typed, kept) in [
            ("near/../birds", "birds"),
            ("near/../far/../birds", "birds"),
            ("near/..", ""),
            ("link/../birds", "far/birds"),
            ("near/../link", "link"),
            ("link", "link"),
            ("birds", "birds"),
            ("none/../birds", "none/../birds"),
        ] {
            assert_eq!(lasting(&real.join(typed)), real.join(kept), "{typed}");
        }
    }
}
