//! Texts and tables that are not read because of their names, where pictures have no captions.

use super::super::scan::{files, is_picture, stem};
use super::near::{Near, OF_TEXTS};
use super::table_names::{others, tables};
use crate::Result;
use crate::error::{few_of, joined};
use std::collections::BTreeMap;
use std::path::Path;

/// What to do about files that may be tables.
const CALLED: &str =
    "call the table of captions metadata.csv, .tsv or .jsonl, with the columns file_name and text";

/// What a folder has in the place of captions.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Texts beside no picture.
    pub(super) texts: Vec<String>,
    /// Files that may be meant as tables.
    tables: Vec<String>,
    /// The texts that may be the captions of pictures.
    near: Near,
}

impl Seen {
    /// `pictures` are those without captions; `texts` are beside none; `tables` may be meant as such.
    pub(super) fn new<'n>(
        pictures: impl Iterator<Item = &'n str>,
        (texts, tables): (Vec<String>, Vec<String>),
    ) -> Self {
        let near = Near::of_texts(texts.iter().map(String::as_str), pictures);
        Self { texts, tables, near }
    }

    /// The number of pictures in `dir`, of which nothing else is known, and what else there is.
    ///
    /// # Errors
    /// As [`files`].
    pub(crate) fn of(dir: &Path) -> Result<(usize, Self)> {
        let files = files(dir)?;
        let (mut n, mut pictures, mut texts) = (0, BTreeMap::new(), BTreeMap::new());
        for name in files.keys().map(String::as_str) {
            let Some((key, extension)) = stem(name) else { continue };
            if is_picture(&extension) {
                n += 1;
                pictures.insert(key, name);
            } else if extension == "txt" {
                texts.insert(key, name);
            }
        }
        pictures.retain(|key, _| texts.remove(key).is_none());
        let texts = texts.into_values().map(str::to_owned).collect();
        let like = others(&files, &tables(&files));
        Ok((n, Self::new(pictures.into_values(), (texts, like))))
    }

    /// What there is, in words; `None` if there is nothing.
    pub(crate) fn said(&self) -> Option<String> {
        let texts = few_of(&self.texts, "text");
        let texts = texts.map(|(n, few)| format!("{n} beside no picture ({few})"));
        let tables = few_of(&self.tables, "file");
        let tables = tables.map(|(n, few)| format!("{n} like a table ({few})"));
        let said: Vec<String> = texts.into_iter().chain(tables).collect();
        (!said.is_empty()).then(|| joined(&said, "and"))
    }

    /// Whether a text may be the captions of this picture.
    pub(super) fn means(&self, picture: &str) -> bool {
        self.near.means(picture)
    }

    /// What to do about the texts that may be captions of pictures; `None` if there are none.
    pub(crate) fn texts_remedy(&self) -> Option<String> {
        self.near.remedy(OF_TEXTS)
    }

    /// What to do about files that may be tables; `None` if there are none.
    pub(crate) fn tables_remedy(&self) -> Option<String> {
        let (_, few) = few_of(&self.tables, "file")?;
        Some(format!("{CALLED}, if it is one of these: {few}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use crate::layouts::{Reading, Uncaptioned};
    use crate::testing::put;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            put(&dir, name, text);
        }
        dir
    }

    fn error(files: &[(&str, &str)], uncaptioned: Uncaptioned) -> String {
        let how = Reading { uncaptioned, ..Reading::default() };
        read(folder(files).path(), how).unwrap_err().to_string()
    }

    #[test]
    fn texts_under_other_names_are_connected_with_pictures() {
        let files =
            [("a.jpg", ""), ("a.txt", "x"), ("P.jpg", ""), ("q.jpg", ""), ("q.jpg.txt", "q")];
        let dir = folder(&[&files[..], &[("texts/p.txt", "p")]].concat());
        let said = read(dir.path(), Reading::default()).unwrap_err().to_string();
        for part in [
            "captions of pictures: 2 (P.jpg, q.jpg)",
            "1 keeps the picture's extension (q.jpg.txt for q.jpg)",
            "1 is in another folder (texts/p.txt for P.jpg)",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(!said.contains("NAME.txt"), "all are explained: {said}");
        for uncaptioned in [Uncaptioned::LeaveOut, Uncaptioned::ClassName] {
            let how = Reading { uncaptioned, ..Reading::default() };
            let said =
                read(dir.path(), how).map_or_else(|e| e.to_string(), |data| data.notes.join("\n"));
            assert!(said.contains("put texts beside their pictures"), "{said}");
        }
        let said = error(
            &[("a.jpg", ""), ("a.txt", "x"), ("b.jpg", ""), ("labels.csv", "image,what\n")],
            Uncaptioned::Refuse,
        );
        assert!(
            said.contains("with the columns file_name and text, if it is one of these: labels.csv"),
            "{said}"
        );
    }

    /// Names of folders serve as captions only where pictures are in folders.
    #[test]
    fn pictures_in_no_folder_are_to_be_put_into_some() {
        let into = "put the pictures into a folder for each kind";
        let flat = [("a.jpg", ""), ("b.jpg", "")];
        let given = error(&flat, Uncaptioned::ClassName);
        assert!(given.contains(into) && !given.contains("--uncaptioned class-name"), "{given}");
        let other = error(&flat, Uncaptioned::Refuse);
        assert!(other.contains(&format!("{into}, whose names `stackgan data import")), "{other}");
        let classes = error(&[("red/a.jpg", ""), ("blue/b.jpg", "")], Uncaptioned::Refuse);
        assert!(
            classes.contains("take the names of folders") && !classes.contains(into),
            "{classes}"
        );
    }
}
