//! Files of the Hugging Face Hub, in the cache that all programs of the Hub share.
//!
//! Addresses and the layout of the cache come from `hf-hub`. The download itself is our own,
//! because `hf-hub` 0.5 ignores `HF_TOKEN`, has no offline mode, appends to a partial file even if
//! the server ignores the range, and verifies no hash. What is complete in the cache
//! is not fetched again.

mod dataset;
mod repository;

use std::path::{Path, PathBuf};

use hf_hub::Cache;
use serde::Deserialize;

use super::download::{Download, download};
use super::event::Listener;
use super::hash::Pinned;
use super::http::Client;
use super::job::Job;
use super::lock::{Alone, Lock, lock};
use super::patience::Patience;
use super::side::is_loopback;
use crate::digest::is_hex;
use crate::formats::read_bounded;
use crate::whole_folder::make_folder;
use crate::{Error, Result};

pub use repository::{DatasetFiles, Repository};

/// The address of the Hub, unless `HF_ENDPOINT` is set.
const ENDPOINT: &str = "https://huggingface.co";
/// Maximum length of a repository's list of files, in bytes.
const LONGEST: u64 = 64 << 20;

/// A file of a repository.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name, with its folders.
    pub name: &'a str,
    /// Maximum number of bytes to accept.
    pub most: u64,
    /// Whether the repository is unusable without it.
    pub needed: bool,
}

/// The files of a kind of repository, and what a person is told of one that lacks a file.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// The files.
    pub files: &'a [Wanted<'a>],
    /// What the repository should be.
    pub expected: &'a str,
    /// What to do.
    pub remedy: &'a str,
}

/// The Hub, and its cache on this machine.
#[derive(Clone, Debug)]
pub struct Hub {
    endpoint: String,
    cache: Cache,
    token: Option<String>,
    offline: bool,
    patience: Patience,
}

/// How much of a repository must be in the cache, so that no request is needed.
#[derive(Clone, Copy)]
enum Enough {
    /// Everything: each file is in the cache, or the repository is known to lack it. Another
    /// program may have fetched only some files.
    All,
    /// Only the required files.
    Needed,
}

/// The Hub's description of a repository.
#[derive(Deserialize)]
struct Listing {
    sha: String,
    siblings: Vec<Sibling>,
}

/// The Hub's description of one file.
#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

/// The Hub's description of a file in large-file storage, where weights are kept.
#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Sibling {
    /// Its length and SHA-256, as far as they are known.
    fn facts(&self) -> (Option<u64>, Option<&str>) {
        match &self.lfs {
            Some(lfs) => (lfs.size.or(self.size), lfs.sha256.as_deref()),
            None => (self.size, None),
        }
    }
}

impl Hub {
    /// Configures the Hub from the environment.
    ///
    /// Reads `HF_ENDPOINT`; `HF_HUB_CACHE`, `HF_HOME` or `XDG_CACHE_HOME`; `HF_TOKEN`, or the token
    /// that `hf auth login` stored (unless `HF_HUB_DISABLE_IMPLICIT_TOKEN`); and `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn from_env() -> Result<Self> {
        let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let yes = |name: &str| {
            let value = said(name).unwrap_or_default().to_ascii_lowercase();
            matches!(value.as_str(), "1" | "on" | "yes" | "true")
        };
        // As `huggingface_hub`. `Cache::from_env` panics if there is no home folder, and reads no
        // `XDG_CACHE_HOME`.
        let caches =
            || path("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache")));
        let home = path("HF_HOME").or_else(|| Some(caches()?.join("huggingface")));
        let hub = home.map(|home| home.join("hub"));
        let token = match said("HF_TOKEN") {
            Some(token) => Some(token),
            None if yes("HF_HUB_DISABLE_IMPLICIT_TOKEN") => None,
            None => hub.clone().and_then(|hub| Cache::new(hub).token()),
        };
        let Some(cache) = path("HF_HUB_CACHE").or(hub) else {
            return Err(Error::config(
                "there is no place for the hub's cache",
                ("HF_HUB_CACHE, HF_HOME or a home folder", "none of them"),
                "set HF_HUB_CACHE to a folder",
            ));
        };
        let endpoint = said("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let hub = Self::new(&endpoint, cache, token, Patience::default())?;
        Ok(if yes("HF_HUB_OFFLINE") { hub.offline() } else { hub })
    }

    /// A Hub at `endpoint` with its cache in the folder `cache`.
    ///
    /// # Errors
    /// [`Error::Config`] when a token would be sent unencrypted, or is malformed.
    pub fn new(
        endpoint: &str,
        cache: PathBuf,
        token: Option<String>,
        patience: Patience,
    ) -> Result<Self> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let token = token.map(|token| token.trim().to_owned());
        if token.is_some() && !is_private(&endpoint) {
            return Err(Error::config(
                "a token for the hub is only sent where nobody else can read it",
                ("an `HF_ENDPOINT` of https://…", format!("`{}`", endpoint.escape_debug())),
                "use https, or unset HF_TOKEN and set HF_HUB_DISABLE_IMPLICIT_TOKEN=1",
            ));
        }
        if token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::config(
                "the token for the hub cannot be sent",
                ("letters and digits, such as `hf_…`", "other characters".to_owned()),
                "check HF_TOKEN",
            ));
        }
        let cache = Cache::new(cache);
        Ok(Self { endpoint, cache, token, offline: false, patience })
    }

    /// The same Hub, restricted to the cache.
    #[must_use]
    pub fn offline(self) -> Self {
        Self { offline: true, ..self }
    }

    /// The folder of a repository with all wanted files; downloads those that are not in the cache.
    ///
    /// # Errors
    /// [`Error::Missing`] when a file is not in the cache and must not be fetched, or the
    /// repository does not have it; [`Error::Storage`] while another program downloads from the
    /// same repository; [`Error::Unreachable`], [`Error::Malformed`] and storage errors as for
    /// other downloads.
    pub fn folder(
        &self,
        repository: &Repository,
        layout: &Layout<'_>,
        hear: &mut Listener<'_>,
    ) -> Result<PathBuf> {
        let wanted = layout.files;
        if let Some(folder) = self.kept(repository, wanted, Enough::All) {
            return Ok(folder);
        }
        if self.offline {
            // The repository's list of files is not known offline: the required ones suffice.
            if let Some(folder) = self.kept(repository, wanted, Enough::Needed) {
                return Ok(folder);
            }
            let needed: Vec<&str> = wanted.iter().filter(|w| w.needed).map(|w| w.name).collect();
            return Err(self.not_kept(repository, &needed.join(", ")));
        }
        self.fetched(repository, layout, hear).map_err(|error| {
            match self.kept(repository, wanted, Enough::Needed) {
                Some(_) => or_offline(error, "what is needed is in the cache"),
                None => error,
            }
        })
    }

    /// The folder of a repository, with the files that are not in the cache downloaded.
    fn fetched(
        &self,
        repository: &Repository,
        layout: &Layout<'_>,
        hear: &mut Listener<'_>,
    ) -> Result<PathBuf> {
        let wanted = layout.files;
        let home = self.home(repository);
        let (_lock, client) = self.locked(repository)?;
        if let Some(folder) = self.kept(repository, wanted, Enough::All) {
            return Ok(folder); // downloaded in the meantime
        }
        let listing = self.listing(repository, &client, hear)?;
        let folder = self.cache.repo(repository.repo()).pointer_path(&listing.sha);
        for wanted in wanted {
            let found = listing.siblings.iter().find(|file| file.rfilename == wanted.name);
            if let Some(file) = found {
                self.fetch_file((repository, &listing.sha), (file, wanted.most), &client, hear)?;
                continue;
            }
            if wanted.needed {
                let what = format!("hub:{repository} has no {}", wanted.name);
                let path = folder.join(wanted.name);
                return Err(Error::missing(&path, what, layout.expected, layout.remedy));
            }
            let mark = absent(&home, &listing.sha, wanted);
            make_folder(mark.parent().unwrap_or(&home))?;
            std::fs::write(&mark, "").map_err(|e| Error::write(&mark, e))?;
        }
        self.complete(repository, &listing.sha)?;
        Ok(folder)
    }

    /// The folder of a repository in the cache.
    fn home(&self, repository: &Repository) -> PathBuf {
        self.cache.path().join(repository.repo().folder_name())
    }

    /// What a download begins with: a lock on the repository's folder, and what asks the Hub.
    fn locked(&self, repository: &Repository) -> Result<(Lock, Client)> {
        let home = self.home(repository);
        make_folder(&home)?;
        let alone = Alone {
            what: &format!("hub:{repository} is being downloaded"),
            expected: "one download of a repository at a time",
            remedy: "wait for it, and run this again",
        };
        let lock = lock(&home, &alone)?;
        let client = Client::with_token(&self.patience, self.token.as_deref(), &self.endpoint);
        Ok((lock, client))
    }

    /// Downloads a file of a commit, unless it is in the cache.
    fn fetch_file(
        &self,
        (repository, commit): (&Repository, &str),
        (file, most): (&Sibling, u64),
        client: &Client,
        hear: &mut Listener<'_>,
    ) -> Result<()> {
        let folder = self.cache.repo(repository.repo()).pointer_path(commit);
        let path = folder.join(&file.rfilename);
        if path.is_file() {
            return Ok(());
        }
        make_folder(path.parent().unwrap_or(&folder))?;
        let (size, sha256) = file.facts();
        let address =
            format!("{}/{}", self.endpoint, repository.file_path(commit, &file.rfilename));
        let job = Job {
            name: &file.rfilename,
            pinned: Pinned::of(size, sha256.filter(|sha256| is_hex(sha256, 64))),
            cap: size.unwrap_or(most).min(most),
            path: &path,
            after: 0,
            by_hand: Some(&[]),
        };
        self.get(client, &job, &address, hear)
    }

    /// Records, when all files are there, of which commit they are.
    fn complete(&self, repository: &Repository, commit: &str) -> Result<()> {
        let cached = self.cache.repo(repository.repo());
        cached.create_ref(commit).map_err(|e| Error::write(&self.home(repository), e))
    }

    /// The error of what is not in the cache, where nothing must be fetched.
    fn not_kept(&self, repository: &Repository, expected: &str) -> Error {
        Error::missing(
            &self.home(repository),
            format!("hub:{repository} is not in the cache, and HF_HUB_OFFLINE is set"),
            expected,
            "fetch it once with HF_HUB_OFFLINE unset; or give a folder that holds it",
        )
    }

    /// The folder of a revision in the cache, if enough is there.
    fn kept(
        &self,
        repository: &Repository,
        wanted: &[Wanted<'_>],
        enough: Enough,
    ) -> Option<PathBuf> {
        let (home, commit) = (self.home(repository), self.commit(repository)?);
        let folder = self.cache.repo(repository.repo()).pointer_path(&commit);
        let spared = |wanted: &Wanted<'_>| match enough {
            Enough::All => absent(&home, &commit, wanted).exists(),
            Enough::Needed => true,
        };
        let there = |wanted: &Wanted<'_>| {
            folder.join(wanted.name).exists() || !wanted.needed && spared(wanted)
        };
        wanted.iter().all(there).then_some(folder)
    }

    /// The commit of a revision, as far as the cache knows it.
    fn commit(&self, repository: &Repository) -> Option<String> {
        let revision = repository.revision();
        // A commit stands for itself: Python's programs write no reference for it.
        if is_hex(revision, 40) {
            return Some(revision.to_ascii_lowercase());
        }
        let reference = self.home(repository).join("refs").join(revision);
        Some(std::fs::read_to_string(reference).ok()?.trim().to_owned())
    }

    /// The current commit and files of a revision.
    fn listing(
        &self,
        repository: &Repository,
        client: &Client,
        hear: &mut Listener<'_>,
    ) -> Result<Listing> {
        let revision = repository.revision().replace('/', "-");
        let path = self.home(repository).join(format!("files-of-{revision}.json"));
        let name = format!("the list of files of hub:{repository}");
        let address = format!("{}/{}", self.endpoint, repository.listing_path());
        let pinned = Pinned::of(None, None);
        let job = Job { name: &name, pinned, cap: LONGEST, path: &path, after: 0, by_hand: None };
        self.get(client, &job, &address, hear)?;
        let read = read_bounded(&path, LONGEST);
        std::fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
        let listing: Result<Listing, _> = serde_json::from_slice(&read?);
        match listing {
            Ok(listing) if is_hex(&listing.sha, 40) => Ok(listing),
            other => Err(Error::Unreachable {
                what: format!("the hub's answer about hub:{repository} cannot be read").into(),
                address: address.into(),
                expected: "a commit and a list of files".into(),
                found: other.err().map_or_else(|| "no commit".to_owned(), |e| e.to_string()).into(),
                remedy: "check HF_ENDPOINT, or run this again later".to_owned(),
            }),
        }
    }

    /// Downloads a file. If the Hub denies access, the error explains what that means there.
    fn get(
        &self,
        client: &Client,
        job: &Job<'_>,
        address: &str,
        hear: &mut Listener<'_>,
    ) -> Result<()> {
        let mut failed = match download((client, &self.patience), job, &[address.to_owned()], hear)
        {
            Ok(Download::Whole(_)) => return Ok(()),
            Ok(Download::Absent(error)) => error,
            Err(error) => error,
        };
        let refused = is_refused(&failed);
        if let Error::Unreachable { remedy, .. } = &mut failed {
            *remedy = match (refused, &self.token) {
                (false, _) => format!(
                    "{remedy}; HF_ENDPOINT names another hub, and a folder with the files will do instead of hub:"
                ),
                (true, None) => {
                    "check the name; what is private or gated needs a token: set HF_TOKEN"
                        .to_owned()
                }
                (true, Some(_)) => {
                    "check the name, and whether the token of HF_TOKEN may read it".to_owned()
                }
            };
        }
        Err(failed)
    }
}

/// Whether the Hub refused what was asked for, or does not have it.
fn is_refused(error: &Error) -> bool {
    let Error::Unreachable { found, .. } = error else { return false };
    [401, 403, 404].iter().any(|code| found.contains(&format!("the answer {code}:")))
}

/// The empty file by which the hub's own programs record that a commit lacks a file:
/// `.no_exist/COMMIT/NAME`. Without it, an optional file would be requested each time.
fn absent(home: &Path, commit: &str, wanted: &Wanted<'_>) -> PathBuf {
    home.join(".no_exist").join(commit).join(wanted.name)
}

/// The error of a download without which the repository can be used; `there` says what the cache has.
fn or_offline(mut error: Error, there: &str) -> Error {
    let longer = format!("{}; or set HF_HUB_OFFLINE=1: {there}", error.remedy());
    match &mut error {
        Error::Unreachable { remedy, .. } | Error::Storage { remedy, .. } => *remedy = longer,
        Error::Write { file, source } => {
            return Error::Storage {
                what: "cannot write".into(),
                file: std::mem::take(file),
                expected: "a cache that can be written".into(),
                found: source.to_string().into(),
                remedy: longer,
            };
        }
        _ => {}
    }
    error
}

/// Whether data sent to `endpoint` cannot be read on the way.
fn is_private(endpoint: &str) -> bool {
    let Some((scheme, rest)) = endpoint.split_once("://") else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    scheme.eq_ignore_ascii_case("https") || is_loopback(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_over_safe_lines_only() {
        let with = |endpoint: &str, token: &str| {
            let cache = PathBuf::from("cache");
            Hub::new(endpoint, cache, Some(token.to_owned()), Patience::default()).is_ok()
        };
        for good in [
            "https://huggingface.co",
            "http://127.0.0.1:80",
            "http://localhost:1/x",
            "http://[::1]:8080",
        ] {
            assert!(with(good, "hf_x"), "{good}");
        }
        for bad in [
            "http://huggingface.co",
            "http://192.168.0.7",
            "ftp://x",
            "huggingface.co",
            "http://127.0.0.1.evil.org",
        ] {
            assert!(!with(bad, "hf_x"), "{bad}");
        }
        assert!(!with("https://huggingface.co", "hf_x\r\nHost: evil"));
    }
}
