//! Captioned pictures in tars, as the `webdataset` package writes them: the files of one sample share
//! a name up to the first dot, and what follows says what a file holds: `KEY.jpg`, `KEY.txt`,
//! `KEY.json`, `KEY.cls`.
//!
//! A tar is unpacked by `archive` into a folder aside, which checks names and sizes; the names are
//! used only to join files. The files of a sample need not be beside each other.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::columns::{CLASSES, Column, Columns, Found, TEXTS};
use super::sample::{self, Captions, Content, Entry, Picture, Sample};
use crate::archive::{self, Limits, Member};
use crate::error::printable;
use crate::formats::read_bounded;
use crate::layouts::{is_foreign, is_picture};
use crate::{Error, Result, captions, crop};

/// Limits on a tar. One file is as long as a picture may be.
const LIMITS: Limits = Limits { bytes: 1 << 42, file: crop::MAX_FILE, entries: 3_000_000 };

/// Maximum length of a text or a JSON, in bytes.
const TEXT: u64 = 1 << 20;

/// The extensions of texts and of JSON, without stated columns.
const TEXT_FILES: [&str; 2] = ["txt", "text"];
const JSON_FILES: [&str; 2] = ["json", "jsn"];
/// The extension of classes.
const CLASS_FILE: &str = "cls";

/// Reads the samples of a tar, in the order of their first files. What is unpacked lies in a folder
/// in `aside`, and is removed afterwards. `progress` is called with the number of bytes of the tar
/// that have been read.
///
/// # Errors
/// When the tar is damaged or not safe; when it is not clear which files hold pictures or captions;
/// those of `take`.
pub(super) fn read(
    tar: &Path,
    (aside, columns): (&Path, &Columns),
    found: &mut Found,
    progress: &mut dyn FnMut(u64),
    take: &mut dyn FnMut(Entry<'_>) -> Result<()>,
) -> Result<()> {
    let unpacked = archive::unpack(tar, aside, LIMITS, progress).map_err(of_other_names)?;
    let (mut order, mut samples) = (Vec::new(), BTreeMap::<&str, Files<'_>>::new());
    for member in &unpacked.members {
        let Some((key, extension)) = parts(&member.path) else {
            found.leave(&member.path);
            continue;
        };
        let files = samples.entry(key).or_default();
        if files.is_empty() {
            order.push(key);
        }
        if files.insert(extension, member).is_some() {
            let what = "two files of one sample have the same extension";
            let parts = ("each extension once, in upper or lower case", printable(&member.path));
            let remedy = "rename one of them";
            return Err(Error::malformed(tar, what, "names of files", parts, remedy));
        }
    }
    let root = unpacked.folder.path();
    for key in order {
        let files = samples.remove(key).unwrap_or_default();
        let reader = Reader { tar, key, root, files: &files, columns, found };
        let content = reader.content()?;
        take(Entry { name: key, content })?;
    }
    Ok(())
}

/// The error of a tar that was made elsewhere: the same tar does not help, another one does.
fn of_other_names(mut error: Error) -> Error {
    if let Error::Malformed { what, remedy, .. } = &mut error
        && what == archive::NOT_SAFE
    {
        "nothing was unpacked; rename the entry or leave it out, and write the tar again"
            .clone_into(remedy);
    }
    error
}

/// The files of a sample, by extension in lower case.
type Files<'a> = BTreeMap<String, &'a Member>;

/// The name of a sample and the extension of a file in it. Hidden files belong to none.
fn parts(path: &str) -> Option<(&str, String)> {
    let name = path.rfind('/').map_or(0, |at| at + 1);
    let dot = name + path.get(name..)?.find('.').filter(|&dot| dot > 0)?;
    Some((path.get(..dot)?, path.get(dot + 1..)?.to_lowercase()))
}

/// The part of an extension that tells a picture: of `left.jpg`, the last.
fn last(extension: &str) -> &str {
    extension.rsplit('.').next().unwrap_or_default()
}

/// Reads the files of one sample.
struct Reader<'a> {
    tar: &'a Path,
    key: &'a str,
    root: &'a Path,
    files: &'a Files<'a>,
    columns: &'a Columns,
    found: &'a mut Found,
}

/// The JSON of a sample: its extension and its entries.
type Json = (String, Map<String, Value>);

impl<'a> Reader<'a> {
    fn content(mut self) -> Result<Content<'a>> {
        let others = self.files.keys().filter(|name| !JSON_FILES.contains(&name.as_str()));
        others.for_each(|extension| self.found.leave(extension));
        let Some((extension, member)) = self.picture()? else { return Ok(Content::NoPicture) };
        self.found.image.insert(extension);
        let json = match self.json() {
            Ok(json) => json,
            Err(flaw) => return Ok(Content::Unusable(flaw)),
        };
        if let Some((extension, facts)) = &json {
            facts.keys().for_each(|key| self.found.leave(&format!("{extension}.{key}")));
        }
        let texts = self.texts(json.as_ref())?;
        let class = self.class(json.as_ref())?;
        Ok(match self.sample(texts, class) {
            Ok((captions, class)) => {
                let picture = Picture::File(self.root.join(&member.path), &member.sha256);
                Content::Sample(Sample { picture, captions, class })
            }
            Err(flaw) => Content::Unusable(flaw),
        })
    }

    /// The file of the picture.
    fn picture(&self) -> Result<Option<(String, &'a Member)>> {
        match self.pictures().as_slice() {
            [] => Ok(None),
            [(extension, member)] => Ok(Some(((*extension).to_owned(), *member))),
            several => {
                let all: Vec<&str> = several.iter().map(|(extension, _)| *extension).collect();
                let remedy = "name the extension of pictures, for example `--image jpg`";
                Err(self.unclear("pictures", &all.join(", "), remedy))
            }
        }
    }

    /// The files that may be the picture: those of the stated extension, else those that can be read,
    /// else those of other formats, which lie beside a readable one as its original.
    fn pictures(&self) -> Vec<(&'a str, &'a Member)> {
        if let Some(stated) = &self.columns.image {
            let stated = stated.to_lowercase();
            return self.those(|extension| extension == stated);
        }
        let readable = self.those(|extension| is_picture(last(extension)));
        if readable.is_empty() {
            self.those(|extension| is_foreign(last(extension)))
        } else {
            readable
        }
    }

    /// The files whose extensions fit, with these.
    fn those(&self, fits: impl Fn(&str) -> bool) -> Vec<(&'a str, &'a Member)> {
        let all = self.files.iter().filter(|(extension, _)| fits(extension));
        all.map(|(extension, member)| (extension.as_str(), *member)).collect()
    }

    fn unclear(&self, what: &str, found: &str, remedy: &str) -> Error {
        let tar = self.tar.file_name().unwrap_or_default().to_string_lossy();
        let (tar, key) = (printable(&tar), printable(self.key));
        Error::config(
            format!("{tar}: it is not clear where the {what} are"),
            ("one place for each sample", format!("{} of {key}", printable(found))),
            remedy,
        )
    }

    fn json(&self) -> Result<Option<Json>, String> {
        let Some((extension, member)) =
            JSON_FILES.iter().find_map(|name| self.files.get_key_value(*name))
        else {
            return Ok(None);
        };
        let bytes = self.bytes(member)?;
        let refuse =
            |e: serde_json::Error| format!("a JSON that is none: {}", printable(&e.to_string()));
        match serde_json::from_slice(&bytes).map_err(refuse)? {
            Value::Object(facts) => Ok(Some((extension.clone(), facts))),
            _ => Err("a JSON that is no object".to_owned()),
        }
    }

    fn bytes(&self, member: &Member) -> Result<Vec<u8>, String> {
        read_bounded(&self.root.join(&member.path), TEXT).map_err(|e| e.reason())
    }

    /// Where the captions are: extensions of files, or values of the JSON.
    fn texts<'j>(&mut self, json: Option<&'j Json>) -> Result<Vec<Place<'a, 'j>>> {
        let found: Vec<(String, Place<'a, 'j>)> = match &self.columns.text {
            Column::None => Vec::new(),
            Column::Named(names) => {
                names.iter().filter_map(|name| self.named(name, json)).collect()
            }
            Column::Find => match TEXT_FILES.iter().find_map(|name| self.file(name)) {
                Some(file) => vec![file],
                None => {
                    let remedy = "name the key of the captions, for example `--text caption`";
                    self.only(&TEXTS, json, ("captions", remedy))?.into_iter().collect()
                }
            },
        };
        let (names, places): (Vec<String>, Vec<_>) = found.into_iter().unzip();
        self.found.text.extend(names);
        Ok(places)
    }

    fn class<'j>(&mut self, json: Option<&'j Json>) -> Result<Option<Place<'a, 'j>>> {
        let found = match &self.columns.class {
            Column::None => None,
            Column::Named(name) => self.named(name, json),
            Column::Find => match self.file(CLASS_FILE) {
                None => {
                    let remedy = "name the key of the classes, `--class KEY`, or leave them out: `--class none`";
                    self.only(&CLASSES, json, ("classes", remedy))?
                }
                file => file,
            },
        };
        Ok(found.map(|(name, place)| {
            self.found.class.insert(name);
            place
        }))
    }

    /// The file with this extension, and the extension.
    fn file(&self, extension: &str) -> Option<(String, Place<'a, 'static>)> {
        self.files.get(extension).map(|member| (extension.to_owned(), Place::File(member)))
    }

    /// The file with this extension, else the value of the JSON with this key, with its name.
    fn named<'j>(&self, name: &str, json: Option<&'j Json>) -> Option<(String, Place<'a, 'j>)> {
        if let Some(file) = self.file(&name.to_lowercase()) {
            return Some(file);
        }
        let (extension, facts) = json?;
        let key = name.strip_prefix(&format!("{extension}.")).unwrap_or(name);
        Some((format!("{extension}.{key}"), Place::Value(facts.get(key)?)))
    }

    /// The one value of the JSON with one of these keys.
    fn only<'j>(
        &self,
        keys: &[&str],
        json: Option<&'j Json>,
        (what, remedy): (&str, &str),
    ) -> Result<Option<(String, Place<'a, 'j>)>> {
        let there: Vec<&str> = keys
            .iter()
            .copied()
            .filter(|key| json.is_some_and(|(_, facts)| facts.contains_key(*key)))
            .collect();
        match there.as_slice() {
            [] => Ok(None),
            [key] => Ok(self.named(key, json)),
            _ => Err(self.unclear(what, &there.join(", "), remedy)),
        }
    }

    /// The captions and the class.
    fn sample(
        &self,
        texts: Vec<Place<'_, '_>>,
        class: Option<Place<'_, '_>>,
    ) -> Result<(Vec<String>, Option<String>), String> {
        let mut all = Captions::default();
        for place in texts {
            match place {
                Place::File(member) => {
                    let path = self.root.join(&member.path);
                    let lines = captions::read(&path).map_err(|e| e.reason())?;
                    lines.iter().try_for_each(|line| all.add(line))?;
                }
                Place::Value(Value::String(text)) => all.add(text)?,
                Place::Value(Value::Array(texts)) => {
                    for text in texts {
                        all.add(text.as_str().ok_or("captions that are no texts")?)?;
                    }
                }
                Place::Value(Value::Null) => {}
                Place::Value(_) => return Err("a caption that is no text".to_owned()),
            }
        }
        let class = match class {
            None | Some(Place::Value(Value::Null)) => None,
            Some(Place::Value(Value::String(name))) => sample::class(name)?,
            Some(Place::Value(Value::Number(number))) => Some(number.to_string()),
            Some(Place::Value(_)) => {
                return Err("a class that is neither text nor number".to_owned());
            }
            Some(Place::File(member)) => {
                let bytes = self.bytes(member)?;
                let name = std::str::from_utf8(&bytes).map_err(|_| "a class that is no UTF-8")?;
                sample::class(name)?
            }
        };
        Ok((all.into_all(), class))
    }
}

/// Where a caption or a class is.
#[derive(Clone, Copy, Debug)]
enum Place<'a, 'j> {
    File(&'a Member),
    Value(&'j Value),
}
