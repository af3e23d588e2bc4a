//! Alternative sources of a dataset's files: a mirror's address, or a folder.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use super::http::{Client, Failure};
use super::manifest::Set;
use crate::digest::is_hex;
use crate::formats::read_bounded;
use crate::layouts::checked_key;
use crate::{Error, Result};

/// A mirror's list of hashes, as `sha256sum` writes it.
const LIST: &str = "SHA256SUMS";
/// Maximum length of this list in bytes.
const LONGEST: u64 = 1 << 20;

/// A mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// An address below which the files of the manifest are.
    Web(String),
    /// A folder with the files of the manifest, or with an already unpacked dataset.
    Folder(PathBuf),
}

impl Mirror {
    /// Parses a user's argument: an address if it begins with `http://` or `https://`, else a
    /// folder.
    ///
    /// # Errors
    /// [`Error::Config`] for other kinds of addresses, [`Error::Missing`] when the folder does not
    /// exist.
    pub fn parse(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("http://") || lower.starts_with("https://") {
            return Ok(Self::Web(text.trim_end_matches('/').to_owned()));
        }
        if text.contains("://") {
            return Err(Error::config(
                "no such kind of address",
                ("http://…, https://… or a folder", format!("`{}`", text.escape_debug())),
                "give the address of a web server, or a folder",
            ));
        }
        let folder = PathBuf::from(text);
        if folder.is_dir() {
            return Ok(Self::Folder(folder));
        }
        Err(Error::missing(
            &folder,
            "there is no such folder to fetch from",
            "a folder with the set's archives, or with the set unpacked",
            "check the path",
        ))
    }

    /// The hashes that the mirror itself lists, by file name. They are used for files without a
    /// hash in the manifest.
    pub(super) fn sums(&self, client: &Client, set: &Set<'_>) -> Result<BTreeMap<String, String>> {
        let text = match self {
            Self::Folder(folder) => {
                let list = folder.join(LIST);
                if !list.is_file() {
                    return Ok(BTreeMap::new());
                }
                String::from_utf8_lossy(&read_bounded(&list, LONGEST)?).into_owned()
            }
            Self::Web(base) => match list(client, &format!("{base}/{LIST}"))? {
                Some(text) => text,
                None => return Ok(BTreeMap::new()),
            },
        };
        let lines = text.lines().filter_map(|line| {
            let (sha256, name) = line.split_once(char::is_whitespace)?;
            let name = name.trim_start().trim_start_matches('*').trim_start_matches("./");
            let known = set.items.iter().any(|item| item.name == name);
            (is_hex(sha256, 64) && known).then(|| (name.to_owned(), sha256.to_ascii_lowercase()))
        });
        Ok(lines.filter(|(name, _)| checked_key(name, LIST.as_ref(), 0).is_ok()).collect())
    }
}

/// The list at `address`; `None` if the mirror says that it has none. If it cannot be read, the
/// files would be accepted without it, so this is an error.
fn list(client: &Client, address: &str) -> Result<Option<String>> {
    let unreadable = |found: String| Error::Unreachable {
        what: "the mirror's list of hashes cannot be read".into(),
        address: address.into(),
        expected: format!("{LIST}, or the answer 404 where there is none").into(),
        found: found.into(),
        remedy: "run this again later, or fetch without `--from`".to_owned(),
    };
    let mut response = match client.get(address, &[]) {
        Ok(response) => response,
        Err(Failure::Fatal(error)) => return Err(error),
        Err(Failure::Again { why, .. } | Failure::Final { why, .. }) => {
            return Err(unreadable(why));
        }
    };
    match response.status().as_u16() {
        200 => {}
        404 | 410 => return Ok(None),
        status => return Err(unreadable(format!("the answer {status}"))),
    }
    let mut text = Vec::new();
    // One byte more than is accepted: a list that is cut would leave files unchecked.
    let read = response.body_mut().as_reader().take(LONGEST + 1).read_to_end(&mut text);
    read.map_err(|e| unreadable(e.to_string()))?;
    if text.len() as u64 > LONGEST {
        return Err(Error::Unreachable {
            what: "the mirror's list of hashes is too long".into(),
            address: address.into(),
            expected: format!("at most {LONGEST} bytes").into(),
            found: "more".into(),
            remedy: "list only the set's files there, or fetch without `--from`".to_owned(),
        });
    }
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}
