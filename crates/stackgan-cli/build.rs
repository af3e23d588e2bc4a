//! Tells the program which build it is: the version, and the git commit that it is built from, if
//! there is one. A package from a registry has none. Nothing in here can fail the build.
//!
//! Sets `STACKGAN_COMMIT`, twelve digits or nothing, and `STACKGAN_BUILD`, `0.1.0 (abcdef123456)` or
//! `0.1.0`.
#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

use std::fs;
use std::path::{Path, PathBuf};

/// Number of digits of a commit that are shown.
const DIGITS: usize = 12;

fn main() {
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let repository = repository(&package);
    let git = repository.as_deref().and_then(Git::of);
    let commit = git.as_ref().and_then(Git::commit).unwrap_or_default();
    let build = match commit.as_str() {
        "" => version,
        commit => format!("{version} ({commit})"),
    };
    println!("cargo::rustc-env=STACKGAN_COMMIT={commit}");
    println!("cargo::rustc-env=STACKGAN_BUILD={build}");
    // Without any such line every change in the package would run this again.
    println!("cargo::rerun-if-changed=build.rs");
    for file in git.map(|git| git.decisive()).unwrap_or_default() {
        println!("cargo::rerun-if-changed={}", file.display());
    }
}

/// The root of this program's own repository. A copy among the files of another one, as `cargo vendor`
/// makes it, lies elsewhere in it and must not tell that one's commit.
fn repository(package: &Path) -> Option<PathBuf> {
    let crates = package.parent().filter(|crates| crates.ends_with("crates"))?;
    let root = crates.parent().filter(|root| root.join(".git").exists())?;
    let is_package = package.join(".cargo_vcs_info.json").exists();
    (package.ends_with("stackgan-cli") && !is_package).then(|| root.to_path_buf())
}

/// Where git keeps what belongs to a checkout. Git itself is not asked: it would also name the commit
/// of a repository around this one, or that of `GIT_DIR`. A repository in another form than that of
/// files (reftable) tells none.
pub(crate) struct Git {
    /// `.git`: a folder, or a file that names one.
    place: PathBuf,
    /// What is its own: `HEAD`. Of a further worktree this is a folder in the repository's.
    own: PathBuf,
    /// What all worktrees share: branches.
    common: PathBuf,
}

impl Git {
    pub(crate) fn of(root: &Path) -> Option<Self> {
        let place = root.join(".git");
        let own = if place.is_dir() {
            place.clone()
        } else {
            // A worktree, or a submodule.
            root.join(line(&place)?.strip_prefix("gitdir:")?.trim())
        };
        let common = match line(&own.join("commondir")) {
            Some(folder) => own.join(folder),
            None => own.clone(),
        };
        Some(Self { place, own, common })
    }

    /// The branch that is checked out, as in `refs/heads/main`; `None` for a commit by itself.
    fn branch(&self) -> Option<String> {
        Some(line(&self.own.join("HEAD"))?.strip_prefix("ref:")?.trim().to_owned())
    }

    /// The first digits of the commit that is checked out.
    pub(crate) fn commit(&self) -> Option<String> {
        let Some(branch) = self.branch() else { return digits(line(&self.own.join("HEAD"))?) };
        let loose = line(&self.common.join(&branch)).and_then(digits);
        loose.or_else(|| {
            let packed = fs::read_to_string(self.common.join("packed-refs")).ok()?;
            let mut entries = packed.lines().filter_map(|entry| entry.split_once(' '));
            let (commit, _) = entries.find(|(_, name)| *name == branch)?;
            digits(commit.to_owned())
        })
    }

    /// The files that say which commit is checked out. All of them exist: cargo takes one that does not
    /// for changed, at every build.
    fn decisive(&self) -> Vec<PathBuf> {
        let mut files = vec![self.own.join("HEAD")];
        if self.place.is_file() {
            files.push(self.place.clone());
        }
        if let Some(branch) = self.branch() {
            let loose = self.common.join(&branch);
            if loose.is_file() {
                files.push(loose);
            } else {
                // Its next commit makes the file: the folder changes.
                files.extend(["packed-refs", "refs/heads"].map(|name| self.common.join(name)));
            }
        }
        files.retain(|file| file.exists());
        files
    }
}

/// The first line of a file.
fn line(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// The first digits of a commit; `None` for a text that is none.
fn digits(commit: String) -> Option<String> {
    let commit = commit.trim();
    let is_commit = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    commit.get(..DIGITS).filter(|_| is_commit).map(str::to_owned)
}
