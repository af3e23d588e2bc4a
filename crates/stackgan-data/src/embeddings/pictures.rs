//! Matching of the names that other sources give to pictures with the pictures of a prepared file.
//!
//! A name that equals one of our keys, with or without the picture's extension, is matched first.
//! Only for a picture without such a name, a leading folder that does not identify the picture is
//! ignored on both sides: `jpg/` of Oxford-102's lists, `images/`, and `class_00098/` of Reed's
//! captions. The rest of the name must equal a whole key or its last part. It counts only if it
//! matches exactly one key and does not name another class.

use super::source::no_fit;
use crate::counted;
use crate::error::{first_few, printable};
use crate::layouts::{is_picture, stem};
use crate::prepared::Prepared;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The pictures of a prepared file, indexed by their possible names.
pub(super) struct Pictures<'a> {
    data: &'a Prepared,
    by_key: BTreeMap<&'a str, usize>,
    /// By the rest of a key after [`bare`]; `None` if several keys share it.
    by_bare: BTreeMap<&'a str, Option<usize>>,
    /// By the last part of a key; `None` if several keys share it.
    by_last: BTreeMap<&'a str, Option<usize>>,
}

/// Entries of a source in the order of the pictures.
pub(super) struct Joined<T> {
    /// The entry of each picture.
    pub(super) of: Vec<T>,
    /// Number of entries of pictures that are not in the dataset.
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

    /// The picture with this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.exact(name).or_else(|| self.alike(name))
    }

    /// The picture whose key equals the name.
    fn exact(&self, name: &str) -> Option<usize> {
        spellings(name).find_map(|name| self.by_key.get(name).copied())
    }

    /// The only picture that the name can mean if it is not a key.
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

    /// Arranges the entries of `file` in the order of the pictures.
    ///
    /// # Errors
    /// When two entries match one picture equally well, or pictures have no entry; all of these are
    /// counted.
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
            if let Some(named) = self.exact(name).and_then(|i| named.get_mut(i)) {
                *named = true;
            }
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
        let without = of.iter().enumerate().filter(|(_, entry)| entry.is_none());
        let without: Vec<&str> = without.map(|(i, _)| self.data.key(i)).collect();
        if without.is_empty() {
            return Ok(Joined { of: of.into_iter().flatten().collect(), unused });
        }
        let beside = match unused {
            0 => String::new(),
            n => format!("; entries of other pictures: {n}, such as {}", printable(&strange)),
        };
        let all = counted(self.data.len(), "picture");
        Err(Error::missing(
            file,
            format!("{} of {all} without embeddings", without.len()),
            format!("an entry for each picture, also for {}{beside}", first_few(&without)),
            "take the embeddings of this dataset, all of them, named as `stackgan data captions --names` \
             lists its pictures",
        ))
    }
}

/// A name as it is, and without a picture's extension.
fn spellings(name: &str) -> impl Iterator<Item = &str> {
    let without = stem(name).filter(|(_, e)| is_picture(e)).map(|(stem, _)| stem);
    [Some(name), without].into_iter().flatten()
}

/// A name without a leading folder that does not identify the picture.
fn bare(name: &str) -> &str {
    match name.split_once('/') {
        Some(("jpg" | "images", rest)) => rest,
        Some((_, rest)) if class(name).is_some() => rest,
        _ => name,
    }
}

/// The leading folder of a name if it is a class folder. Names with different class folders are of
/// different pictures.
fn class(name: &str) -> Option<&str> {
    name.split_once('/').map(|(folder, _)| folder).filter(|folder| folder.starts_with("class_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::PictureSize;
    use crate::prepared::import;
    use crate::testing::{dataset, options};

    /// The name that was joined to each of `keys`.
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
        // The rest of the name could match either of two keys.
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
