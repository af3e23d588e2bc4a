//! Which build of the program this is. All builds between two releases have one version, so that the
//! commit tells them apart.

/// The version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version with the commit, if that is known: `0.1.0 (abcdef123456)`.
pub(crate) const BUILD: &str = env!("STACKGAN_BUILD");

/// The first digits of the commit that the program was built from; `None` where it was not built in
/// its repository. What was changed and not committed does not show.
pub(crate) const COMMIT: Option<&str> = match env!("STACKGAN_COMMIT").as_bytes() {
    [] => None,
    _ => Some(env!("STACKGAN_COMMIT")),
};

#[cfg(test)]
#[path = "../build.rs"]
#[allow(dead_code, reason = "what it prints is for cargo")]
mod build;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::build::Git;
    use super::*;

    /// The digits of the commit in a folder with these files.
    fn commit(files: &[(&str, &str)]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        fs::create_dir_all(dir.path().join("work")).unwrap();
        let at = if files.iter().any(|(name, _)| name.starts_with("work/")) { "work" } else { "" };
        Git::of(&dir.path().join(at))?.commit()
    }

    #[test]
    fn a_commit_is_read_wherever_git_keeps_it() {
        let (one, two) = (&*"1".repeat(40), &*"2".repeat(40));
        let (loose, packed) =
            (format!("{one}\n"), format!("# pack-refs\n{two} refs/heads/main\n^{one}\n"));
        let (head, main) = ((".git/HEAD", "ref: refs/heads/main\n"), ".git/refs/heads/main");
        let others = [
            (".git/worktrees/w/HEAD", "ref: refs/heads/main\n"),
            (".git/worktrees/w/commondir", "../..\n"),
            ("work/.git", "gitdir: ../.git/worktrees/w\n"),
        ];
        for (files, expected) in [
            (&[head, (main, &*loose)][..], Some(one)),
            (&[head, (".git/packed-refs", &*packed)], Some(two)),
            (&[head, (main, &*loose), (".git/packed-refs", &*packed)], Some(one)),
            (&[(".git/HEAD", &*loose)], Some(one)),
            (&[others[0], others[1], others[2], (".git/packed-refs", &*packed)], Some(two)),
            (&[head], None),
            (
                &[(".git/HEAD", "ref: refs/heads/.invalid\n"), (".git/reftable/tables.list", "")],
                None,
            ),
            (&[(".git/HEAD", "no commit\n")], None),
            (&[(".git/x", "")], None),
            (&[("x", "")], None),
        ] {
            let expected = expected.map(|digits| digits[..12].to_owned());
            assert_eq!(commit(files), expected, "{files:?}");
        }
        assert!(Git::of(Path::new("/nonexistent")).is_none());
    }

    #[test]
    fn the_build_is_the_version_and_the_commit_if_there_is_one() {
        let commit = COMMIT.map_or_else(String::new, |commit| format!(" ({commit})"));
        assert_eq!(BUILD, format!("{VERSION}{commit}"));
        let digits =
            |commit: &str| commit.len() == 12 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(COMMIT.is_none_or(digits), "{COMMIT:?}");
    }
}
