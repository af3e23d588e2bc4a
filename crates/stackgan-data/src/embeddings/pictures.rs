//! Names that others give to pictures, and the pictures of a prepared file.
//!
//! A name is a key of ours, with or without the picture's extension: such names are taken first. Only where a picture has
//! none, folders that say nothing of the picture are left aside on both sides: `jpg/` of Oxford-102's lists, `images/`, and
//! `class_00098/` of Reed's captions (FACTS 4.1, 4.7); what is left is the last part of a key, or a whole one. It counts if
//! it is that of one key alone, and no other class was named.

use super::import::no_fit;
use crate::counted;
use crate::error::{first_few, printable};
use crate::layouts::{is_picture, stem};
use crate::prepared::Prepared;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The pictures of a prepared file by the names that others may give them.
pub(super) struct Pictures<'a> {
    data: &'a Prepared,
    by_key: BTreeMap<&'a str, usize>,
    /// By what [`bare`] leaves of a key; `None` where it leaves that of several.
    by_bare: BTreeMap<&'a str, Option<usize>>,
    /// By the last part; `None` where several keys end in it.
    by_last: BTreeMap<&'a str, Option<usize>>,
}

/// Entries of a source in the order of the pictures.
pub(super) struct Joined<T> {
    /// For each picture its entry.
    pub(super) of: Vec<T>,
    /// Entries of pictures that the dataset does not have.
    pub(super) unused: usize,
}

impl<'a> Pictures<'a> {
    pub(super) fn of(data: &'a Prepared) -> Self {
        let mut by_key = BTreeMap::new();
        let (mut by_bare, mut by_last) = (BTreeMap::new(), BTreeMap::new());
        for i in 0..data.len() {
            let key = data.key(i);
            by_key.insert(key, i);
            let last = key.rsplit_once('/').map_or(key, |(_, last)| last);
            for (map, name) in [(&mut by_bare, bare(key)), (&mut by_last, last)] {
                map.entry(name).and_modify(|found| *found = None).or_insert(Some(i));
            }
        }
        Self { data, by_key, by_bare, by_last }
    }

    /// The picture of that name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.exact(name).or_else(|| self.alike(name))
    }

    /// The picture whose key that is.
    fn exact(&self, name: &str) -> Option<usize> {
        spellings(name).find_map(|name| self.by_key.get(name).copied())
    }

    /// The only picture that the name can mean, whose key it is not.
    fn alike(&self, name: &str) -> Option<usize> {
        let found = spellings(bare(name)).find_map(|bare| {
            let whole = bare.contains('/') || self.by_key.contains_key(bare);
            let map = if whole { &self.by_bare } else { &self.by_last };
            map.get(bare).copied().flatten()
        });
        found.filter(|&i| match (class(name), class(self.data.key(i))) {
            (Some(said), Some(own)) => said == own,
            _ => true,
        })
    }

    /// The key of picture `i`.
    pub(super) fn key(&self, i: usize) -> &'a str {
        self.data.key(i)
    }

    /// The entries of `file` in the order of the pictures.
    ///
    /// # Errors
    /// When two entries are of one picture, equally near to its key, or a picture has none; all of these are counted.
    pub(super) fn join<T: Clone>(
        &self,
        file: &Path,
        entries: impl Iterator<Item = (String, T)>,
    ) -> Result<Joined<T>> {
        let mut of: Vec<Option<T>> = vec![None; self.data.len()];
        let (mut unused, mut strange) = (0, String::new());
        let (exact, others): (Vec<_>, Vec<_>) =
            entries.partition(|(name, _)| self.exact(name).is_some());
        let mut named = vec![false; self.data.len()];
        for (name, _) in &exact {
            self.exact(name).and_then(|i| named.get_mut(i)).into_iter().for_each(|n| *n = true);
        }
        for (name, entry) in exact.into_iter().chain(others) {
            let alike = || self.alike(&name).filter(|&i| named.get(i) == Some(&false));
            let Some(i) = self.exact(&name).or_else(alike) else {
                unused += 1;
                strange = name;
                continue;
            };
            if of.get(i).is_some_and(Option::is_some) {
                let place = format!("entry {}", printable(&name));
                let key = printable(self.data.key(i));
                let pair = ("one entry for each picture", format!("a second one for {key}"));
                return Err(no_fit(file, &place, pair));
            }
            if let Some(place) = of.get_mut(i) {
                *place = Some(entry);
            }
        }
        let without: Vec<&str> = (0..of.len())
            .filter(|&i| of.get(i).is_some_and(Option::is_none))
            .map(|i| self.data.key(i))
            .collect();
        if without.is_empty() {
            return Ok(Joined { of: of.into_iter().flatten().collect(), unused });
        }
        let beside = match unused {
            0 => String::new(),
            n => format!("; entries of other pictures: {n}, such as {}", printable(&strange)),
        };
        Err(Error::Missing {
            what: format!("{} of {} without embeddings", without.len(), counted(self.data.len(), "picture")),
            file: file.to_path_buf(),
            expected: format!("an entry for each picture, also for {}{beside}", first_few(&without)),
            remedy: "take the embeddings of this dataset, all of them, named as `stackgan data captions --names` \
                     lists its pictures"
                .to_owned(),
        })
    }
}

/// A name as it is, and without the extension of a picture.
fn spellings(name: &str) -> impl Iterator<Item = &str> {
    let without = stem(name).filter(|(_, e)| is_picture(e)).map(|(stem, _)| stem);
    [Some(name), without].into_iter().flatten()
}

/// A name without a first folder that says nothing of the picture.
fn bare(name: &str) -> &str {
    match name.split_once('/') {
        Some(("jpg" | "images", rest)) => rest,
        Some((_, rest)) if class(name).is_some() => rest,
        _ => name,
    }
}

/// The first folder of a name, if it is that of a class: two of them are of different pictures.
fn class(name: &str) -> Option<&str> {
    name.split_once('/').map(|(folder, _)| folder).filter(|folder| folder.starts_with("class_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::PictureSize;
    use crate::prepared::import;
    use crate::testing::{dataset, options};

    /// For each of `keys` the name that was joined to it.
    fn joined(keys: &[&str], names: &[&str]) -> Result<(Vec<String>, usize)> {
        let dir = tempfile::tempdir().unwrap();
        let mut source = dataset(dir.path(), keys.len(), 2);
        for (item, key) in source.items.iter_mut().zip(keys) {
            item.key = (*key).to_owned();
        }
        let out = dir.path().join("p.safetensors");
        import(&source, &out, &options(PictureSize::Stage1), &|_, _| {}).unwrap();
        let data = Prepared::open(&out).unwrap();
        let entries = names.iter().map(|name| ((*name).to_owned(), (*name).to_owned()));
        let joined = Pictures::of(&data).join(Path::new("e.npz"), entries)?;
        Ok((joined.of, joined.unused))
    }

    fn refused(keys: &[&str], names: &[&str]) -> String {
        joined(keys, names).map(|joined| joined.0).unwrap_err().to_string()
    }

    #[test]
    fn keys_that_differ_in_their_class_alone_are_different_pictures() {
        let keys = ["class_1/a", "class_1/b", "class_2/a", "class_2/b"];
        assert_eq!(joined(&keys, &keys).unwrap(), (keys.map(str::to_owned).to_vec(), 0));
        let said = refused(&["class_1/a", "class_2/b"], &["class_2/a", "class_2/b"]);
        assert!(said.contains("1 of 2 pictures") && said.contains("class_1/a"), "{said}");
        assert!(said.contains("entries of other pictures: 1, such as class_2/a"), "{said}");
        // What is left of a name could be either of two.
        for name in ["a", "images/a", "a.jpg"] {
            assert!(refused(&keys[..3], &[name, "class_1/b"]).contains("2 of 3"), "{name}");
            assert!(refused(&["jpg/a", "x/a"], &["x/a", "a"]).contains("1 of 2"), "{name}");
        }
        assert!(refused(&["jpg/a"], &["class_1/a", "class_2/a"]).contains("a second one"));
    }

    #[test]
    fn an_exact_name_comes_before_one_that_is_alike() {
        let (of, unused) = joined(&["a", "jpg/b"], &["class_7/a", "a", "b", "jpg/b.jpg"]).unwrap();
        assert_eq!((of, unused), (vec!["a".to_owned(), "jpg/b.jpg".to_owned()], 2));
        assert!(refused(&["a"], &["a", "a.jpg"]).contains("a second one for a"));
    }

    #[test]
    fn folders_that_say_nothing_are_left_aside() {
        let keys = ["jpg/image_1", "class_3/c", "001.Auk/d", "e"];
        for names in [
            ["class_00098/image_1", "c", "d", "images/e"],
            ["image_1.jpg", "images/c.png", "images/001.Auk/d", "class_9/e"],
        ] {
            assert_eq!(joined(&keys, &names).unwrap(), (names.map(str::to_owned).to_vec(), 0));
        }
    }
}
