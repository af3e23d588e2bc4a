//! Unpacking of a downloaded `.tgz` as if its author meant harm: plain files and folders only, no name that leaves the
//! folder, everything counted while it is written. The folder appears whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use flate2::read::GzDecoder;
use tar::EntryType;

/// Most entries of an archive.
const ENTRIES: usize = 50_000;
/// Most bytes of one file.
const LARGEST: u64 = 64 << 20;
/// Deepest path.
const DEPTH: usize = 16;

/// Unpacks `archive` and puts its folder `folder` into `into`. At most `most` bytes are written.
pub(crate) fn unpack(archive: &Path, into: &Path, folder: &str, most: u64) -> Result<()> {
    let staging = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(into)?; // mode 0700
    let mut budget = most;
    let mut seen = BTreeSet::new();
    let mut tar = tar::Archive::new(GzDecoder::new(File::open(archive)?));
    for (n, entry) in tar.entries()?.enumerate() {
        let mut entry = entry.context("the archive is damaged")?;
        let raw = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&raw).escape_debug().to_string();
        if n >= ENTRIES {
            bail!("the archive has more than {ENTRIES} entries");
        }
        let name = safe_name(&raw)
            .with_context(|| format!("refused entry `{shown}`; nothing was unpacked"))?;
        if !seen.insert(name.to_string_lossy().to_lowercase()) {
            bail!("refused entry `{shown}`: it is there twice; nothing was unpacked");
        }
        let target = staging.path().join(&name);
        match entry.header().entry_type() {
            EntryType::Directory => fs::create_dir_all(&target)?,
            EntryType::Regular => {
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent)?;
                }
                let room = budget.min(LARGEST);
                let mut out = OpenOptions::new().write(true).create_new(true).open(&target)?;
                let written = io::copy(&mut (&mut entry).take(room + 1), &mut out)?;
                if written > room {
                    bail!(
                        "refused entry `{shown}`: larger than the {room} bytes left for it; nothing was unpacked"
                    );
                }
                budget -= written;
            }
            kind => {
                bail!("refused entry `{shown}`: {kind:?} is no plain file; nothing was unpacked")
            }
        }
    }
    let made = staging.path().join(folder);
    if !made.is_dir() {
        bail!("the archive holds no folder `{folder}`");
    }
    let place = into.join(folder);
    fs::rename(&made, &place).with_context(|| format!("cannot make {}", place.display()))?;
    Ok(())
}

/// The path of an entry, if it stays inside the folder.
fn safe_name(raw: &[u8]) -> Result<PathBuf> {
    let text = std::str::from_utf8(raw).context("its name is no UTF-8")?;
    if text.contains(['\\', '\0', ':']) || text.chars().any(char::is_control) || raw.len() > 1024 {
        bail!("its name has characters that a path must not have");
    }
    let mut name = PathBuf::new();
    for component in Path::new(text).components() {
        match component {
            Component::Normal(part)
                if part.len() <= 255 && !part.as_encoded_bytes().ends_with(b".") =>
            {
                name.push(part);
            }
            Component::CurDir => {}
            _ => bail!("its name leaves the folder"),
        }
    }
    if name.as_os_str().is_empty() && text != "./" && text != "." {
        bail!("it has no name");
    }
    if name.components().count() > DEPTH {
        bail!("it lies deeper than {DEPTH} folders");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;

    enum Put {
        File(&'static str, u64),
        Link(&'static str, &'static str, EntryType),
    }

    fn archive(dir: &Path, entries: &[Put]) -> PathBuf {
        let path = dir.join("a.tgz");
        let mut tar =
            Builder::new(GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast()));
        for entry in entries {
            let mut header = Header::new_gnu();
            header.set_mode(0o4777);
            match entry {
                Put::File(name, size) => {
                    set_name(&mut header, name);
                    header.set_size(*size);
                    header.set_cksum();
                    tar.append(&header, io::repeat(b'x').take(*size)).unwrap();
                }
                Put::Link(name, to, kind) => {
                    set_name(&mut header, name);
                    header.set_entry_type(*kind);
                    header.set_link_name(to).unwrap();
                    header.set_size(0);
                    header.set_cksum();
                    tar.append(&header, io::empty()).unwrap();
                }
            }
        }
        tar.into_inner().unwrap().finish().unwrap();
        path
    }

    /// Past the checks of the library, as an attacker would.
    fn set_name(header: &mut Header, name: &str) {
        let field = &mut header.as_old_mut().name;
        field.fill(0);
        field[..name.len()].copy_from_slice(name.as_bytes());
    }

    fn unpacked(entries: &[Put], most: u64) -> (Result<()>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("in");
        fs::create_dir(&inside).unwrap();
        let file = archive(dir.path(), entries);
        let result = unpack(&file, &inside, "set", most);
        let list = |d: &Path| -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(d)
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(list(dir.path()), ["a.tgz", "in"], "something was written outside");
        (result, list(&inside))
    }

    #[test]
    fn an_honest_archive_is_unpacked() {
        let (result, names) =
            unpacked(&[Put::File("set/a/b.jpg", 10), Put::File("other.txt", 3)], 100);
        result.unwrap();
        assert_eq!(names, ["set"]);
    }

    #[test]
    fn everything_else_is_refused_and_leaves_nothing() {
        let ok = || Put::File("set/ok", 1);
        let cases: Vec<(&str, Vec<Put>)> = vec![
            ("parent", vec![ok(), Put::File("../x", 1)]),
            ("inner parent", vec![ok(), Put::File("set/../../x", 1)]),
            ("absolute", vec![ok(), Put::File("/tmp/x", 1)]),
            ("drive", vec![ok(), Put::File("C:x", 1)]),
            ("backslash", vec![ok(), Put::File("set\\..\\x", 1)]),
            ("trailing dot", vec![ok(), Put::File("set/x.", 1)]),
            ("symlink", vec![ok(), Put::Link("set/l", "/etc", EntryType::Symlink)]),
            ("hard link", vec![ok(), Put::Link("set/l", "set/ok", EntryType::Link)]),
            ("device", vec![ok(), Put::Link("set/d", "x", EntryType::Char)]),
            ("fifo", vec![ok(), Put::Link("set/d", "x", EntryType::Fifo)]),
            ("twice", vec![ok(), Put::File("set/OK", 1)]),
            ("bomb", vec![ok(), Put::File("set/large", 1000)]),
            ("sum", vec![ok(), Put::File("set/a", 60), Put::File("set/b", 60)]),
            ("no folder", vec![Put::File("other/x", 1)]),
        ];
        for (name, entries) in cases {
            let (result, left) = unpacked(&entries, 100);
            assert!(result.is_err(), "{name} was unpacked");
            assert!(left.is_empty(), "{name} left {left:?}");
        }
    }
}
