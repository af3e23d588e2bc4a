//! What a dataset folder should hold and what it holds: each part found, missing or wrong, with counts and the
//! command that makes what is missing. The most frequent trouble with the original is a file in the wrong place
//! (LESSONS A2).

use crate::dataset::Split;
use crate::error::first_few;
use crate::formats::{pickle, read_bounded};
use crate::layouts::cub::{self, Parts};
use crate::layouts::{checked_key, inside};
use std::fmt;
use std::path::{Path, PathBuf};

/// What was found at one place.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// As it should be; `detail` counts.
    Found {
        /// How many records or files.
        detail: String,
    },
    /// Not there, and needed.
    Missing {
        /// What makes it.
        remedy: String,
    },
    /// Not there, and not needed.
    Absent {
        /// What it would be good for.
        detail: String,
    },
    /// There, and not as it should be.
    Wrong {
        /// What is wrong.
        detail: String,
        /// What to do.
        remedy: String,
    },
}

/// One part of a layout.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// Its path relative to the folder.
    pub path: String,
    /// What it is.
    pub what: &'static str,
    /// What was found.
    #[serde(flatten)]
    pub status: Status,
}

/// The parts of a folder. `Display` prints the expected tree.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CheckReport {
    /// The folder.
    pub dir: PathBuf,
    /// The parts, in the order of the tree.
    pub parts: Vec<Part>,
}

impl CheckReport {
    /// Whether the folder can be imported: nothing needed is missing or wrong.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part.status, Status::Found { .. } | Status::Absent { .. }))
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}/", self.dir.display())?;
        for Part { path, what, status } in &self.parts {
            let (mark, said, remedy) = match status {
                Status::Found { detail } => ("found  ", detail, None),
                Status::Missing { remedy } => ("MISSING", remedy, None),
                Status::Absent { detail } => ("absent ", detail, None),
                Status::Wrong { detail, remedy } => ("WRONG  ", detail, Some(remedy)),
            };
            writeln!(f, "  {mark}  {path:<36}  {what}: {said}")?;
            if let Some(remedy) = remedy {
                writeln!(f, "           {:<36}  do: {remedy}", "")?;
            }
        }
        if self.is_complete() {
            write!(f, "everything that is needed is there")
        } else {
            write!(f, "the folder cannot be imported yet")
        }
    }
}

const FETCH: &str =
    "fetch the set with `cargo xtask fetch-cub`, or draw one with `stackgan data toy`";

/// Examines a folder in the CUB layout. Never fails: what cannot be read is reported as wrong.
#[must_use]
pub fn check(dir: &Path) -> CheckReport {
    let parts = Parts::of(dir);
    let mut report = Report { dir, parts: Vec::new() };
    let listed = report.read(&parts.image_list, "pictures by number", || {
        let records = count_records(&parts.image_list)?;
        Ok((format!("{records} pictures"), ()))
    });
    let boxes = report.read(&parts.boxes, "boxes by number", || {
        let records = count_records(&parts.boxes)?;
        Ok((format!("{records} boxes"), ()))
    });
    let listed = match (listed, boxes) {
        (Some(()), Some(())) => cub::read_image_list(&parts),
        _ => Ok(cub::Listed::new()),
    };
    let listed = listed.unwrap_or_else(|e| {
        report.wrong(&parts.boxes, "pictures and boxes together", &e);
        cub::Listed::new()
    });
    let mut keys = Vec::new();
    for (split, (file, labels)) in
        Split::ALL.into_iter().zip(parts.filenames.iter().zip(&parts.class_info))
    {
        let names = report.read(file, "names of one split, in order", || {
            let names = pickle::decode(&read_bounded(file, cub::MAX_LIST)?, file)?.strings(file)?;
            for (entry, name) in names.iter().enumerate() {
                checked_key(name, file, entry)?;
            }
            Ok((format!("{} names", names.len()), names))
        });
        let names = names.unwrap_or_default();
        if labels.exists() {
            report.read(labels, "classes, in the order of the names", || {
                let classes = cub::read_labels(labels, file, names.len())?;
                Ok((format!("{} classes of pictures", classes.len()), ()))
            });
        } else {
            report.push(
                labels,
                "classes, in the order of the names",
                Status::Absent { detail: "not needed: folders are named by class".to_owned() },
            );
        }
        let embeddings = dir.join(split.name()).join("char-CNN-RNN-embeddings.pickle");
        let status = match std::fs::metadata(&embeddings) {
            Ok(meta) => Status::Found { detail: format!("{} MB", meta.len() / 1_000_000) },
            Err(_) => Status::Absent {
                detail: "not needed: `stackgan text train` and `text encode` make our own"
                    .to_owned(),
            },
        };
        report.push(&embeddings, "embeddings of the release", status);
        keys.extend(names);
    }
    let pictures = keys.iter().map(|key| {
        let listed = listed.get(key).map(|(name, _)| name.clone());
        listed.unwrap_or_else(|| format!("{key}.jpg"))
    });
    report.files(&parts.images, "pictures", &pictures.collect::<Vec<_>>());
    let captions: Vec<String> = keys.iter().map(|key| format!("{key}.txt")).collect();
    report.files(&parts.text, "captions, one a line", &captions);
    CheckReport { dir: dir.to_path_buf(), parts: report.parts }
}

struct Report<'d> {
    dir: &'d Path,
    parts: Vec<Part>,
}

impl Report<'_> {
    fn push(&mut self, path: &Path, what: &'static str, status: Status) {
        let path = path.strip_prefix(self.dir).unwrap_or(path).display().to_string();
        self.parts.push(Part { path, what, status });
    }

    fn wrong(&mut self, path: &Path, what: &'static str, error: &crate::Error) {
        let remedy = "correct the file, or take it from the original archive".to_owned();
        self.push(path, what, Status::Wrong { detail: error.reason(), remedy });
    }

    /// A file that is needed.
    fn read<T>(
        &mut self,
        path: &Path,
        what: &'static str,
        read: impl FnOnce() -> crate::Result<(String, T)>,
    ) -> Option<T> {
        if !path.is_file() {
            self.push(path, what, Status::Missing { remedy: FETCH.to_owned() });
            return None;
        }
        match read() {
            Ok((detail, value)) => {
                self.push(path, what, Status::Found { detail });
                Some(value)
            }
            Err(error) => {
                self.wrong(path, what, &error);
                None
            }
        }
    }

    /// A folder with these files in it.
    fn files(&mut self, folder: &Path, what: &'static str, names: &[String]) {
        let Ok(root) = folder.canonicalize() else {
            return self.push(folder, what, Status::Missing { remedy: FETCH.to_owned() });
        };
        let absent: Vec<&String> =
            names.iter().filter(|name| !matches!(inside(&root, name), Ok(Some(_)))).collect();
        let found = names.len() - absent.len();
        let status = if absent.is_empty() {
            Status::Found { detail: format!("{found} of {} files", names.len()) }
        } else {
            Status::Wrong {
                detail: format!("{found} of {} files; without {}", names.len(), first_few(&absent)),
                remedy: "add the files, or take their names out of filenames.pickle".to_owned(),
            }
        };
        self.push(folder, what, status);
    }
}

fn count_records(file: &Path) -> crate::Result<usize> {
    Ok(cub::records(&read_bounded(file, cub::MAX_LIST)?).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::cub::tests::folder;

    #[test]
    fn a_whole_folder_is_complete_and_can_be_read() {
        let dir = folder();
        let report = check(dir.path());
        assert!(report.is_complete(), "{report}");
        let said = report.to_string();
        for part in ["images.txt", "3 pictures", "2 names", "3 of 3 files", "everything"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(cub::read(dir.path()).is_ok());
    }

    #[test]
    fn each_missing_part_is_named_with_its_remedy() {
        for part in [
            "CUB_200_2011/images.txt",
            "CUB_200_2011/bounding_boxes.txt",
            "CUB_200_2011/images",
            "text",
            "train/filenames.pickle",
            "test/filenames.pickle",
        ] {
            let dir = folder();
            std::fs::rename(dir.path().join(part), dir.path().join("elsewhere")).unwrap();
            let report = check(dir.path());
            let missing = report.parts.iter().find(|p| p.path == part).map(|p| &p.status);
            assert!(matches!(missing, Some(Status::Missing { .. })), "{part}: {report}");
            assert!(!report.is_complete());
            let error = cub::read(dir.path()).unwrap_err().to_string();
            assert!(error.contains("1 parts") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn damaged_and_absent_files_are_told() {
        let dir = folder();
        std::fs::remove_file(dir.path().join("text/002.B/b.txt")).unwrap();
        std::fs::write(dir.path().join("train/filenames.pickle"), b"cos\nsystem\n.").unwrap();
        let said = check(dir.path()).to_string();
        assert!(said.contains("WRONG") && said.contains("os.system"), "{said}");
        assert!(check(Path::new("/nonexistent")).to_string().contains("MISSING"));
    }
}
