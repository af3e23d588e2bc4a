//! COCO's annotations, `captions_*.json`, read as a stream. Only names, numbers and captions are
//! kept.

use crate::captions::one;
use crate::error::printable;
use crate::layouts::checked_key;
use crate::{Error, Result};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::marker::PhantomData;
use std::path::Path;

/// Maximum length of a list of captions in bytes: sixteen times that of the real training set.
const MAX_FILE: u64 = 1 << 30;

/// The pictures and captions of one file.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    /// File names by picture number.
    pictures: BTreeMap<u64, Box<str>>,
    /// Picture numbers by file name.
    numbers: BTreeMap<Box<str>, u64>,
    /// Captions by picture number and position in the file, so that a picture's captions keep the
    /// file's order.
    captions: BTreeMap<(u64, u64), Box<str>>,
}

impl Annotations {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is not such a list, has an unsafe or duplicate picture name, or a caption of an
    /// unknown picture.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let open = File::open(file).map_err(|e| Error::read(file, e))?;
        let meta = open.metadata().map_err(|e| Error::read(file, e))?;
        let refuse = |place: String, expected: &str, found: String| {
            let what = "list of captions is malformed";
            let remedy = "take the file from COCO's annotations archive, whole";
            Error::malformed(file, what, place, (expected, found), remedy)
        };
        if !meta.is_file() || meta.len() > MAX_FILE {
            let found = format!("{} bytes", meta.len());
            return Err(refuse("whole file".to_owned(), "a file of at most 1 GiB", found));
        }
        let reader = BufReader::with_capacity(1 << 16, open.take(meta.len()));
        let mut json = serde_json::Deserializer::from_reader(reader);
        let mut annotations = Self::default();
        let read = json.deserialize_map(Document(&mut annotations)).and_then(|()| json.end());
        read.map_err(|e| {
            let place = format!("line {} column {}", e.line(), e.column());
            refuse(place, "an object with `images` and `annotations`", printable(&e.to_string()))
        })?;
        for (entry, (number, name)) in annotations.pictures.iter().enumerate() {
            checked_key(name, file, entry)?;
            if annotations.numbers.insert(name.clone(), *number).is_some() {
                let found = printable(name);
                return Err(refuse(format!("image {number}"), "each picture once", found));
            }
        }
        let strange =
            annotations.captions.keys().find(|key| !annotations.pictures.contains_key(&key.0));
        match strange {
            None => Ok(annotations),
            Some((number, place)) => Err(refuse(
                format!("annotation {place}"),
                "a caption of one of the file's pictures",
                format!("image_id {number}"),
            )),
        }
    }

    /// The numbers and file names of the pictures, by number.
    pub(crate) fn pictures(&self) -> impl Iterator<Item = (u64, &str)> {
        self.pictures.iter().map(|(&number, name)| (number, &**name))
    }

    /// The number of a picture.
    pub(crate) fn id_of(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied()
    }

    /// The captions of a picture, in the order of the file.
    pub(crate) fn captions(&self, number: u64) -> Vec<String> {
        let own = self.captions.range((number, 0)..=(number, u64::MAX));
        own.map(|(_, caption)| caption.to_string()).collect()
    }

    /// Number of captions of all pictures.
    pub(crate) fn caption_count(&self) -> usize {
        self.captions.len()
    }
}

#[derive(serde::Deserialize)]
struct Picture {
    id: u64,
    file_name: Box<str>,
}

#[derive(serde::Deserialize)]
struct Caption {
    image_id: u64,
    caption: Box<str>,
}

/// The whole file. Everything except `images` and `annotations` is skipped.
struct Document<'a>(&'a mut Annotations);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with `images` and `annotations`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut pictures, mut captions) = (false, false);
        while let Some(name) = map.next_key::<Box<str>>()? {
            match &*name {
                "images" => {
                    pictures = true;
                    map.next_value_seed(Each::new(|picture: Picture| {
                        let (id, name) = (picture.id, picture.file_name);
                        match self.0.pictures.insert(id, name) {
                            None => Ok(()),
                            Some(_) => Err(format!("image {id} comes twice")),
                        }
                    }))?;
                }
                "annotations" => {
                    captions = true;
                    let mut place = self.0.captions.len() as u64;
                    map.next_value_seed(Each::new(|Caption { image_id, caption }| {
                        let caption =
                            one(&caption).map_err(|n| format!("a caption of {n} bytes"))?;
                        self.0.captions.insert((image_id, place), caption.into());
                        place += 1;
                        Ok(())
                    }))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (pictures, captions) {
            (true, true) => Ok(()),
            (false, _) => Err(A::Error::custom("there is no `images`")),
            _ => Err(A::Error::custom("there is no `annotations`")),
        }
    }
}

/// A list whose entries are passed on one by one.
struct Each<T, F>(F, PhantomData<T>);

impl<T, F: FnMut(T) -> Result<(), String>> Each<T, F> {
    const fn new(take: F) -> Self {
        Self(take, PhantomData)
    }
}

impl<'de, T, F> DeserializeSeed<'de> for Each<T, F>
where
    T: Deserialize<'de>,
    F: FnMut(T) -> Result<(), String>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T, F> Visitor<'de> for Each<T, F>
where
    T: Deserialize<'de>,
    F: FnMut(T) -> Result<(), String>,
{
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element()? {
            (self.0)(entry).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
