//! Keeps the files of this program, which take long to make, and what datasets are made of from results
//! of another kind.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use stackgan_data::layouts::folder::is_table_of_captions;
use stackgan_data::layouts::is_picture;
use stackgan_data::spoken;
use stackgan_train::run_files::about;

use crate::exit::Problem;

/// The kind of files of embeddings.
pub(super) const EMBEDDINGS: &str = "embeddings";

/// Refuses to replace a file that says of itself that this program made it, such as a model, unless
/// it is of one of the kinds `replaced`; and a picture, its captions, or a table of them. `option`
/// names the file.
///
/// # Errors
/// Code 2.
pub(crate) fn spare((option, file): (&str, &Path), replaced: &[&str]) -> Result<()> {
    let kind = about(file).and_then(|about| said_kind(&about));
    let (whose, found) = match (kind, part_of_a_dataset(file)) {
        (Some(kind), _) if !replaced.contains(&kind.as_str()) => {
            ("of this program", spoken(&kind).unwrap_or("another file of this program"))
        }
        (None, Some(part)) => ("that may be a dataset's", part),
        _ => return Ok(()),
    };
    let what = format!("the result would replace a file {whose}");
    Err(would_replace(&what, (option, file), ("a free name", found)).into())
}

/// The refusal to replace the file that `option` names; `parts` are what may lie there, and what does.
pub(crate) fn would_replace(
    what: &str,
    (option, file): (&str, &Path),
    parts: (&str, &str),
) -> Problem {
    let place = format!("option: {option} {}", file.display());
    let remedy = "name another file; or remove this one, if nothing needs it any more";
    Problem::usage(what, place, parts, remedy)
}

/// What a file, or that to which a link leads, is in a folder of pictures with captions: a picture, the
/// captions beside one, or a table. `None` for any other.
pub(crate) fn part_of_a_dataset(file: &Path) -> Option<&'static str> {
    let file = file.canonicalize().ok().filter(|file| file.is_file())?;
    let extension = file.extension()?.to_str()?.to_ascii_lowercase();
    let is_called = |name| file.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(name));
    match &*extension {
        "csv" | "tsv" | "jsonl" if is_called("metadata") => Some("a table of captions"),
        "csv" | "txt" if is_called("captions") && is_table_of_captions(&file) => {
            Some("a table of captions")
        }
        "txt" if is_beside_a_picture(&file) => Some("the captions of the picture beside it"),
        extension if is_picture(extension) => Some("a picture"),
        _ => None,
    }
}

fn is_beside_a_picture(file: &Path) -> bool {
    let entries = file.parent().and_then(|folder| folder.read_dir().ok()).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).any(|other| {
        let extension = other.extension().and_then(OsStr::to_str).unwrap_or_default();
        other.file_stem() == file.file_stem() && is_picture(&extension.to_ascii_lowercase())
    })
}

/// The kind of a file in what it says of itself.
pub(crate) fn said_kind(about: &str) -> Option<String> {
    let about: Value = serde_json::from_str(about).ok()?;
    Some(about.get("kind").or_else(|| about.get("format"))?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use stackgan_core::archive::KEY;

    use super::*;

    #[test]
    fn files_that_say_what_they_are_stay() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let allows = |bytes: &[u8], replaced: &[&str]| {
            std::fs::write(&file, bytes).unwrap();
            spare(("--output", &file), replaced)
        };
        assert!(
            spare(("--output", &file), &[]).is_ok() && spare(("--out", dir.path()), &[]).is_ok()
        );
        let ours = |about: &str| {
            let header = serde_json::json!({ "__metadata__": { KEY: about } }).to_string();
            [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), b"cut"].concat()
        };
        for (about, called) in [
            ("{\"format\":\"stackgan-model/1\"}", "found a model"),
            ("{\"format\":\"stackgan-checkpoint/1\"}", "found a checkpoint"),
            ("{\"kind\":\"prepared\"}", "found a prepared dataset"),
            ("{\"kind\":\"encoder\"}", "found a text encoder"),
            ("{\"kind\":\"anything\"}", "found another file"),
        ] {
            let error = allows(&ours(about), &[EMBEDDINGS]).unwrap_err();
            assert_eq!(crate::exit::code(&error), crate::exit::Exit::Usage);
            assert!(error.to_string().contains(called), "{about}: {error}");
        }
        let embeddings = ours("{\"kind\":\"embeddings\"}");
        assert!(allows(&embeddings, &[]).is_err() && allows(&embeddings, &[EMBEDDINGS]).is_ok());
        for (name, spared) in [
            ("a.jpg", true),
            ("b.PNG", true),
            ("a.txt", true),
            ("b.txt", true),
            ("alone.txt", false),
            ("metadata.csv", true),
            ("numbers.csv", false),
        ] {
            let file = dir.path().join(name);
            std::fs::write(&file, "theirs").unwrap();
            assert_eq!(spare(("--output", &file), &[]).is_err(), spared, "{name}");
        }
        for (name, text, spared) in [
            ("captions.csv", "image,caption\na.jpg,red\n", true),
            ("captions.txt", "image|caption\n", true),
            ("captions.txt", "an image, a caption\n", false),
            ("others.csv", "image,caption\n", false),
        ] {
            let file = dir.path().join(name);
            std::fs::write(&file, text).unwrap();
            assert_eq!(spare(("--output", &file), &[]).is_err(), spared, "{name}: {text}");
        }
        #[cfg(unix)]
        for (leads_to, name) in [("b.PNG", "link"), ("b.txt", "link.list")] {
            let link = dir.path().join(name);
            std::os::unix::fs::symlink(leads_to, &link).unwrap();
            assert!(spare(("--output", &link), &[]).is_err(), "{name}");
        }
        let mut theirs = ours("{}");
        assert!(allows(&theirs, &[]).is_ok(), "it has no kind");
        theirs.truncate(12);
        for bytes in [&theirs[..], b"", b"a red bird\n", &[0xff; 64]] {
            assert!(allows(bytes, &[]).is_ok(), "{bytes:?}");
        }
    }
}
