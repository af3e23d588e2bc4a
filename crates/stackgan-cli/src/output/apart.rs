//! Keeps results apart from inputs and from one another, whatever name or link leads to them, so
//! that a half-finished command never destroys its own input; and from other files of this program.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_data::whole_file::folder_of;

use super::own::{EMBEDDINGS, spare};
use crate::exit::Problem;

/// Refuses to overwrite a file that is read, and to write a file twice; and to replace a model or
/// another file of this program, except one of embeddings, which their own commands write anew.
/// `written` contains options and the files that they name.
///
/// # Errors
/// Code 2.
pub(crate) fn apart(read: &[Option<&Path>], written: &[(&str, Option<&Path>)]) -> Result<()> {
    let read = read.iter().flatten().filter_map(|file| Some((leads_to(file)?, *file)));
    let mut taken: Vec<(PathBuf, String)> =
        read.map(|(place, file)| (place, format!("{}, which is read", file.display()))).collect();
    for (option, file) in written {
        let Some((file, place)) = file.and_then(|file| Some((file, leads_to(file)?))) else {
            continue;
        };
        if let Some((_, whose)) = taken.iter().find(|(other, _)| *other == place) {
            let parts = ("a file of its own", format!("that of {whose}"));
            let (what, remedy) = ("the result cannot be written there", "name another file");
            let place = format!("option: {option} {}", file.display());
            return Err(Problem::usage(what, place, parts, remedy).into());
        }
        spare((option, file), &[EMBEDDINGS])?;
        taken.push((place, (*option).to_owned()));
    }
    Ok(())
}

/// Returns the file that is written under this name. Links are followed, except broken ones. `None`
/// for anything but a file, such as a pipe or a folder.
pub(crate) fn leads_to(path: &Path) -> Option<PathBuf> {
    match path.metadata() {
        Ok(facts) if facts.is_file() => path.canonicalize().ok(),
        Ok(_) => None,
        Err(_) => {
            let folder = folder_of(path);
            let folder = folder.canonicalize().or_else(|_| std::path::absolute(folder)).ok()?;
            Some(folder.join(path.file_name()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn one_file_is_one_by_whatever_name() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("a")).unwrap();
        std::fs::write(at("model"), "").unwrap();
        symlink(at("model"), at("a/link")).unwrap();
        symlink(at("a"), at("b")).unwrap();
        symlink(at("nothing"), at("a/broken")).unwrap();
        for (read, written, fits) in [
            ("model", ["other", "third"], true),
            ("model", ["model", "third"], false),
            ("model", ["other", "a/link"], false),
            ("b/link", ["other", "a/../model"], false),
            ("model", ["a/new", "b/new"], false),
            ("model", ["new/a", "new/a"], false),
            ("model", ["a/broken", "nothing"], true), // the link itself is replaced
            ("none", ["a", "b"], true),               // folders cause another error
        ] {
            let [first, second] = written.map(at);
            let written = [("--one", Some(first.as_path())), ("--two", Some(second.as_path()))];
            let found = apart(&[Some(&at(read)), None], &written);
            assert_eq!(found.is_ok(), fits, "{read} {written:?}");
        }
        let null = Path::new("/dev/null");
        assert!(apart(&[Some(null)], &[("--one", Some(null)), ("--two", Some(null))]).is_ok());
        assert!(apart(&[], &[("--one", None)]).is_ok());
    }
}
