//! Names of repositories on the Hub, and their addresses there.

use std::fmt;

use hf_hub::{Repo, RepoType};

use crate::{Error, Result};

/// The branch of a dataset on which the Hub keeps the Parquet files that it makes of it.
const CONVERTED: &str = "refs/convert/parquet";

/// A repository on the Hub: `OWNER/NAME`, or `OWNER/NAME@REVISION` for a branch, tag or commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    name: String,
    revision: String,
    kind: Kind,
}

/// What a repository holds. The Hub keeps the kinds apart: one name may be of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    Dataset,
}

impl Repository {
    /// Parses the name of a model.
    ///
    /// # Errors
    /// [`Error::Config`] when it is not a valid name of the Hub.
    pub fn parse(text: &str) -> Result<Self> {
        Self::of(text, Kind::Model).ok_or_else(|| {
            refused(
                "no name of a model on the hub",
                "hub:OWNER/NAME or hub:OWNER/NAME@REVISION",
                text,
            )
        })
    }

    fn of(text: &str, kind: Kind) -> Option<Self> {
        let (name, revision) = text.split_once('@').unwrap_or((text, "main"));
        let word = |word: &str| {
            let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            plain
                && (1..=96).contains(&word.len())
                && !word.starts_with('.')
                && !word.contains("..")
        };
        let parts: Vec<&str> = name.split('/').collect();
        let is_name = (1..=2).contains(&parts.len()) && parts.into_iter().all(word);
        let (name, revision) = (name.to_owned(), revision.to_owned());
        (is_name && word(&revision)).then_some(Self { name, revision, kind })
    }

    /// The same dataset as the Hub itself converts it; `None` where another branch was asked for.
    pub(super) fn converted(&self) -> Option<Self> {
        let is_main = self.kind == Kind::Dataset && self.revision == "main";
        is_main.then(|| Self { revision: CONVERTED.to_owned(), ..self.clone() })
    }

    pub(super) fn revision(&self) -> &str {
        &self.revision
    }

    pub(super) fn repo(&self) -> Repo {
        let kind = match self.kind {
            Kind::Model => RepoType::Model,
            Kind::Dataset => RepoType::Dataset,
        };
        Repo::with_revision(self.name.clone(), kind, self.revision.clone())
    }

    /// The path of its list of files on the Hub.
    pub(super) fn listing_path(&self) -> String {
        let kind = match self.kind {
            Kind::Model => "models",
            Kind::Dataset => "datasets",
        };
        // Nothing else in a name needs escaping.
        let revision = self.revision.replace('/', "%2F");
        format!("api/{kind}/{}/revision/{revision}?blobs=true", self.name)
    }

    /// The path of a file of a commit on the Hub.
    pub(super) fn file_path(&self, commit: &str, file: &str) -> String {
        let kind = match self.kind {
            Kind::Model => "",
            Kind::Dataset => "datasets/",
        };
        format!("{kind}{}/resolve/{commit}/{}", self.name, escaped(file))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.revision.as_str() {
            "main" | CONVERTED => Ok(()),
            revision => write!(f, "@{revision}"),
        }
    }
}

/// Files of a dataset on the Hub: `OWNER/NAME`, with `@REVISION` behind it for a branch without a
/// slash, a tag or a commit, and behind that `/FOLDER` for the files of one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetFiles {
    pub(super) repository: Repository,
    /// Empty for all files.
    pub(super) folder: String,
}

impl DatasetFiles {
    /// Those of a folder among them.
    pub(super) fn inside(&self, folder: &str) -> Self {
        let slash = if self.folder.is_empty() { "" } else { "/" };
        Self { folder: format!("{}{slash}{folder}", self.folder), ..self.clone() }
    }

    /// Parses a name.
    ///
    /// # Errors
    /// [`Error::Config`] when it is not a valid name of the Hub.
    pub fn parse(text: &str) -> Result<Self> {
        // Behind the second slash; and behind the first one after a revision, for names without owner.
        let second = || text.match_indices('/').nth(1).map(|(at, _)| at);
        let behind = |mark: usize| Some(mark + text.get(mark..)?.find('/')?);
        let end = match text.find('@') {
            Some(mark) if second().is_none_or(|at| mark < at) => behind(mark),
            _ => second(),
        };
        let (name, folder) = text.split_at(end.unwrap_or(text.len()));
        let plain = |name: &str| {
            !matches!(name, "" | "." | "..")
                && !name.chars().any(|c| c.is_control() || "\\:".contains(c))
        };
        let repository = Repository::of(name, Kind::Dataset);
        let folder = match folder.strip_prefix('/') {
            None => Some(String::new()),
            Some(folder) => folder.split('/').all(plain).then(|| folder.to_owned()),
        };
        repository.zip(folder).map(|(repository, folder)| Self { repository, folder }).ok_or_else(|| {
            let expected = "hub:OWNER/NAME, hub:OWNER/NAME@REVISION, or one of these with /FOLDER behind it";
            refused("no name of a dataset on the hub", expected, text)
        })
    }
}

impl fmt::Display for DatasetFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, folder } = self;
        write!(f, "{repository}")?;
        if folder.is_empty() {
            return Ok(());
        }
        // Or a name without an owner would be read as the owner.
        let bare = !repository.name.contains('/') && repository.revision == "main";
        write!(f, "{}/{folder}", if bare { "@main" } else { "" })
    }
}

fn refused(what: &str, expected: &str, text: &str) -> Error {
    Error::config(
        what,
        (expected, format!("`hub:{}`", text.escape_debug())),
        "give the owner of the repository and its name",
    )
}

/// A path as it is written in an address.
fn escaped(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    path.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hub_are_told_from_others() {
        for (text, shown) in [
            ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
            ("gpt2", "gpt2"),
            ("a/b@main", "a/b"),
            ("a/b@v1.0", "a/b@v1.0"),
        ] {
            assert_eq!(Repository::parse(text).unwrap().to_string(), shown);
            assert_eq!(DatasetFiles::parse(text).unwrap().to_string(), shown);
        }
        for bad in [
            "", "/", "a/", "/b", "a/..", "../b", "a/b@", "a/b@../x", "a b", "a/b?x", "a/.b", "é/b",
            "a/b/", "a/b//c", "a/b/../c", "a/b/c\\d", "a/b/c:d",
        ] {
            assert!(Repository::parse(bad).is_err(), "{bad}");
            assert!(DatasetFiles::parse(bad).is_err(), "{bad}");
        }
        assert!(Repository::parse("a/b/c").is_err());
        for (text, repository, folder) in [
            ("a/b/c", "a/b", "c"),
            ("a/b@v1/c d/e", "a/b@v1", "c d/e"),
            ("a/b@main/x", "a/b", "x"),
            ("a@v1/b/c", "a@v1", "b/c"),
        ] {
            let name = DatasetFiles::parse(text).unwrap();
            assert_eq!((&*name.repository.to_string(), &*name.folder), (repository, folder));
        }
    }

    #[test]
    fn addresses_are_those_of_the_hub() {
        let model = Repository::parse("a/b@v1").unwrap();
        assert_eq!(model.listing_path(), "api/models/a/b/revision/v1?blobs=true");
        assert_eq!(
            model.file_path("c0", "1_Pooling/config.json"),
            "a/b/resolve/c0/1_Pooling/config.json"
        );
        assert!(model.converted().is_none());
        let dataset = DatasetFiles::parse("a/b").unwrap().repository;
        assert_eq!(dataset.listing_path(), "api/datasets/a/b/revision/main?blobs=true");
        assert_eq!(
            dataset.file_path("c0", "x y/é#?.tar"),
            "datasets/a/b/resolve/c0/x%20y/%C3%A9%23%3F.tar"
        );
        let converted = dataset.converted().unwrap();
        assert_eq!(
            converted.listing_path(),
            "api/datasets/a/b/revision/refs%2Fconvert%2Fparquet?blobs=true"
        );
        assert_eq!(converted.to_string(), "a/b");
        assert!(DatasetFiles::parse("a/b@v1").unwrap().repository.converted().is_none());
    }
}
