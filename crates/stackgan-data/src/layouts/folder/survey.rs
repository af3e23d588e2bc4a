//! A survey of a user's folder, on which all decisions are based.

use super::super::painted::is_painted;
use super::super::reading::{CLASS_NAME, LEAVE_OUT, Uncaptioned};
use super::super::scan::{OWN, children, files, is_foreign, is_picture, own_name, stem};
use super::super::split::Classes;
use super::class_names::sentences;
use super::found::{Found, Origin};
use super::near::{IN_TABLES, Near};
use super::seen::Seen;
use super::sides;
use super::table::{self, Columns, Row, side};
use super::table_names::{CAPTIONS, TABLES, others, tables};
use crate::dataset::Split;
use crate::error::{counted, few_of, first_few, printable};
use crate::{Error, Result, captions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Maximum number of entries examined before a folder is taken not to be of this kind.
const LOOK: usize = 50_000;

/// The pictures, captions and tables of a folder.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Pictures with captions, by key: the path without its extension.
    pub(crate) pictures: BTreeMap<String, Found>,
    /// Pictures without captions, by key, each with what is said of that.
    bare: BTreeMap<String, (Found, &'static str)>,
    /// Pictures without captions that this program painted.
    pub(crate) ours: Vec<String>,
    /// Pictures whose captions cannot be used, with the error of their text file or row.
    pub(crate) unread: Vec<(String, Error)>,
    /// Names in tables for which there is no picture.
    pub(crate) named_only: Vec<String>,
    /// Those of them that are nearly the name of a picture.
    pub(crate) near: Near,
    /// Pictures with captions in a table and beside them; the latter are not used.
    pub(crate) both: Vec<String>,
    /// Pictures whose captions are of a guessed encoding.
    pub(crate) guessed: Vec<String>,
    /// Texts without a picture, and what may be meant as tables, if there is none.
    pub(super) seen: Seen,
    /// Pictures in unsupported formats.
    pub(crate) foreign: Vec<String>,
    pub(crate) tables: Vec<String>,
    /// Files with the name of a table of captions, and another header.
    not_tables: Vec<String>,
    /// The columns of all tables.
    pub(crate) columns: Columns,
}

impl Survey {
    /// Examines `dir`; reads tables and captions, but no picture.
    ///
    /// # Errors
    /// When a folder cannot be read, a table is malformed, or pictures have the same name: all that
    /// do, together.
    pub(crate) fn of(dir: &Path) -> Result<Self> {
        let files = files(dir)?;
        let known = tables(&files);
        let like = if known.is_empty() { others(&files, &known) } else { Vec::new() };
        let mut survey = Self::default();
        let sorted = survey.sort(files, &known)?;
        survey.near = sorted.near();
        let Sorted { pictures, mut texts, mut rows, mut unread } = sorted;
        for (key, (name, image)) in pictures {
            let text = texts.remove(&key).map(|(_, path)| path);
            let row = rows.remove(&name).map(|(_, row)| row).unwrap_or_default();
            match unread.remove(&name) {
                Some(error) => survey.unread.push((name, error)),
                None => survey.add(key, (name, image), (row, text)),
            }
        }
        survey.named_only = rows.into_keys().collect();
        let texts = texts.into_values().map(|(name, _)| name).collect();
        let textless = survey.bare.values().filter(|(_, why)| *why != BLANK);
        let textless = textless.map(|(found, _)| found.name.as_str());
        survey.seen = Seen::new(textless, (texts, like));
        Ok(survey)
    }

    /// Sorts files by what they are, and reads the tables among them, which are `known`.
    ///
    /// # Errors
    /// When a table is malformed, or pictures have the same name: all that do, together.
    fn sort(
        &mut self,
        files: BTreeMap<String, PathBuf>,
        known: &BTreeSet<String>,
    ) -> Result<Sorted> {
        let (mut sorted, mut namesakes) = (Sorted::default(), Vec::new());
        for (name, path) in files {
            if known.contains(&name) {
                self.add_table(name, &path, &mut sorted)?;
                continue;
            }
            match stem(&name) {
                Some((key, extension)) if is_picture(&extension) => {
                    if let Some((before, _)) = sorted.pictures.get(key) {
                        namesakes.push(twice(&path, &format!("{before} and {name}")));
                        continue;
                    }
                    sorted.pictures.insert(key.to_owned(), (name, path));
                }
                Some((key, extension)) if extension == "txt" => {
                    sorted.texts.insert(key.to_owned(), (name, path));
                }
                Some((_, extension)) if is_foreign(&extension) => self.foreign.push(name),
                _ if CAPTIONS.contains(&own_name(&name)) => self.not_tables.push(name),
                _ => {}
            }
        }
        if namesakes.is_empty() { Ok(sorted) } else { Err(alike(namesakes)) }
    }

    /// Adds a picture with its row, whose captions come first, and the text beside it.
    fn add(
        &mut self,
        key: String,
        (name, image): (String, PathBuf),
        (row, text): (Row, Option<PathBuf>),
    ) {
        let Row { mut captions, class, split, bounds } = row;
        captions.retain(|caption| !caption.is_empty());
        let found = Found { name, image, captions, from: Origin::Table, bounds, class, split };
        match text {
            text if !found.captions.is_empty() => {
                let others = text.is_some_and(|text| has_others(&text, &found.captions));
                self.both.extend(others.then(|| found.name.clone()));
                self.pictures.insert(key, found);
            }
            Some(text) => self.add_with_text(key, found, &text),
            None if is_painted(&found.image) => self.ours.push(found.name),
            None => self.add_bare(key, found, ""),
        }
    }

    /// Adds a picture whose captions are in `text`.
    fn add_with_text(&mut self, key: String, found: Found, text: &Path) {
        match written(text) {
            Ok((captions, _)) if captions.is_empty() => self.add_bare(key, found, BLANK),
            Ok((captions, guessed)) => {
                self.guessed.extend(guessed.then(|| found.name.clone()));
                self.pictures.insert(key, Found { captions, from: Origin::Text, ..found });
            }
            Err(error) => self.unread.push((found.name, error)),
        }
    }

    /// Adds a picture without captions, of which `why` is said.
    fn add_bare(&mut self, key: String, found: Found, why: &'static str) {
        self.bare.insert(key, (Found { from: Origin::Class, ..found }, why));
    }

    /// Reads the table `name` into `sorted`, which holds the rows of earlier ones.
    ///
    /// # Errors
    /// When it is malformed, or names a picture that an earlier one names.
    fn add_table(&mut self, name: String, path: &Path, sorted: &mut Sorted) -> Result<()> {
        let own = own_name(&name);
        let prefix = name.strip_suffix(own).unwrap_or_default();
        let read = if own == "metadata.jsonl" { table::read_jsonl } else { table::read_csv };
        let table = read(path)?;
        self.columns.join(table.columns);
        let faults = table.unread.into_iter();
        sorted.unread.extend(faults.map(|(name, error)| (format!("{prefix}{name}"), error)));
        let number = self.tables.len();
        for (picture, row) in table.rows {
            let full = format!("{prefix}{picture}");
            if let Some((earlier, _)) = sorted.rows.insert(full.clone(), (number, row)) {
                let earlier = self.tables.get(earlier).map(String::as_str).unwrap_or_default();
                return Err(in_two_tables(path, &full, (earlier, &name)));
            }
        }
        self.tables.push(name);
        Ok(())
    }

    /// The names of pictures without captions, each with what is said of that.
    pub(crate) fn uncaptioned(&self) -> Vec<String> {
        self.bare.values().map(|(found, why)| format!("{}{why}", found.name)).collect()
    }

    /// What to do about names in tables for which there is no picture; `None` if there are none.
    pub(crate) fn names_remedy(&self) -> Option<String> {
        let near = self.near.remedy(IN_TABLES);
        let others = self.named_only.len().saturating_sub(self.near.count());
        let add = match (others, &near) {
            (0, _) => None,
            (_, None) => Some("add the pictures, or take their rows out".to_owned()),
            (_, Some(_)) => Some("add the other pictures, or take their rows out".to_owned()),
        };
        let said: Vec<String> = near.into_iter().chain(add).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// What to do about pictures without captions, which are treated as `given`; `None` if there are none,
    /// or if their captions are all in a table, for names that are nearly theirs.
    pub(crate) fn captions_remedy(&self, given: Uncaptioned) -> Option<String> {
        let is_near = |name: &str| self.near.means(name) || self.seen.means(name);
        let mut said: Vec<String> = self.seen.texts_remedy().into_iter().collect();
        if !self.bare.values().all(|(found, _)| is_near(&found.name)) {
            said.extend(self.seen.tables_remedy());
            let classes = match given {
                Uncaptioned::ClassName => FOLDERS.to_owned(),
                _ if self.has_classes() => {
                    format!("take the names of folders for captions with {CLASS_NAME}")
                }
                _ => format!("{FOLDERS}, whose names {CLASS_NAME} takes for captions"),
            };
            said.push(format!(
                "write NAME.txt beside each picture or a row in metadata.csv, or leave such pictures out with {LEAVE_OUT}, or {classes}"
            ));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Whether any picture without captions is in a class.
    fn has_classes(&self) -> bool {
        let is_in_folder = |key: &str| match key.rsplit_once('/') {
            Some((folder, _)) => side(folder).is_none(),
            None => false,
        };
        self.bare.iter().any(|(key, (found, _))| found.class.is_some() || is_in_folder(key))
    }

    /// Gives each picture without captions those of its class's name, if it has one.
    ///
    /// # Errors
    /// When tables give the classes of some pictures only, or folders the split.
    pub(crate) fn caption_by_class(&mut self, dir: &Path) -> Result<()> {
        let bare = std::mem::take(&mut self.bare).into_iter();
        self.pictures.extend(bare.map(|(key, (found, _))| (key, found)));
        let classes: Vec<_> = self.classes(dir)?.into_iter().map(sentences).collect();
        for (found, captions) in self.pictures.values_mut().zip(classes) {
            if found.from == Origin::Class {
                found.captions = captions;
            }
        }
        let nameless = |_: &String, found: &mut Found| found.captions.is_empty();
        for (key, found) in self.pictures.extract_if(.., nameless) {
            self.bare.insert(key, (found, ", which is in no class"));
        }
        Ok(())
    }

    /// Notes for the user about files that are not used.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some((n, few)) = few_of(&self.foreign, "picture") {
            notes.push(format!(
                "{n} neither JPEG nor PNG nor WebP, not used ({few}); to use them, save them as JPEG or PNG (HEIC is what many telephones write)"
            ));
        }
        if let Some((n, few)) = few_of(&self.ours, "picture") {
            notes.push(format!("{n} that this program painted, not used ({few})"));
        }
        if let Some((n, few)) = few_of(&self.seen.texts, "text") {
            notes.push(format!("{n} beside no picture, not used ({few})"));
        }
        if let Some((n, few)) = few_of(&self.not_tables, "file") {
            let what = "no table in UTF-8 with a column of pictures and one of captions, or below another table";
            notes.push(format!("{n} not used ({few}): {what}"));
        }
        if let Some((n, few)) = few_of(&self.guessed, "picture") {
            notes.push(format!(
                "captions of {n} are not UTF-8 and were read as Windows-1252 ({few}); if they look wrong, save them as UTF-8"
            ));
        }
        if let Some((n, few)) = few_of(&self.both, "picture") {
            let what = "with captions in a table and others beside it";
            notes.push(format!("{n} {what}: the table's taken ({few})"));
        }
        let by_class = self.pictures.values().filter(|found| found.from == Origin::Class);
        let names: Vec<&str> =
            by_class.filter_map(|found| found.captions.first()).map(|name| &**name).collect();
        if !names.is_empty() {
            let n = counted(names.len(), "picture");
            let distinct: Vec<&str> = BTreeSet::from_iter(names).into_iter().collect();
            let few = first_few(&distinct);
            notes.push(format!("{n} captioned with the names of their classes ({few})"));
        }
        if !self.columns.unused.is_empty() {
            notes.push(format!("columns of tables that are not used: {}", self.columns.unused()));
        }
        notes
    }

    /// The note about pictures that are left out because their captions cannot be used.
    pub(super) fn unread_left_out(&self) -> Option<String> {
        let said = |(name, error): &(String, Error)| format!("{name}: {}", error.reason());
        let (n, few) = few_of(&self.unread.iter().map(said).collect::<Vec<_>>(), "picture")?;
        Some(format!("{n} whose captions cannot be used left out ({few})"))
    }

    /// The class of each picture: from tables; else its folder if there are two or more; else its
    /// own number.
    ///
    /// # Errors
    /// When tables give the classes of some pictures only, or folders the split.
    pub(in crate::layouts) fn labels(&self, dir: &Path) -> Result<(Vec<u32>, Classes)> {
        let names = self.classes(dir)?;
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        if distinct.len() < 2 {
            return Ok(((0..names.len() as u32).collect(), Classes::None));
        }
        let number: BTreeMap<&str, u32> = distinct.into_iter().zip(1..).collect();
        let labels = names.iter().map(|name| number.get(name).copied().unwrap_or(0));
        let captions = self.pictures.values().any(|found| found.from == Origin::Class);
        let classes = if captions { Classes::AsCaptions } else { Classes::Known };
        Ok((labels.collect(), classes))
    }

    /// The name of each picture's class: from tables, else its folder; empty if it has none.
    fn classes(&self, dir: &Path) -> Result<Vec<&str>> {
        let said: Vec<Option<&str>> =
            self.pictures.values().map(|found| found.class.as_deref()).collect();
        if let Some(given) = whole(&said, (dir, &self.tables), "class")? {
            return Ok(given);
        }
        // Where tables say the split, no picture lies beside it.
        let in_tables = self.pictures.values().any(|found| found.split.is_some());
        let folders = match sides::of(&self.pictures, dir) {
            Err(_) if in_tables => None,
            folders => folders?,
        };
        let below = folders.map_or(Below::Top, |_| Below::Split);
        Ok(self.pictures.keys().map(|key| folder_of(key, below)).collect())
    }

    /// The split of each picture: from tables; else from folders named `train` and `test`; `None`
    /// if there is neither.
    ///
    /// # Errors
    /// When tables, or folders, give the split of some pictures only.
    pub(super) fn splits(&self, dir: &Path) -> Result<Option<Vec<Split>>> {
        let said: Vec<Option<Split>> = self.pictures.values().map(|found| found.split).collect();
        if let Some(splits) = whole(&said, (dir, &self.tables), "split")? {
            return Ok(Some(splits));
        }
        sides::of(&self.pictures, dir)
    }
}

/// The files of a folder by what they are: names and paths of pictures and texts, by key.
#[derive(Default)]
struct Sorted {
    pictures: BTreeMap<String, (String, PathBuf)>,
    texts: BTreeMap<String, (String, PathBuf)>,
    /// The rows of all tables by picture, each with the number of its table.
    rows: BTreeMap<String, (usize, Row)>,
    /// The rows whose captions cannot be used, by picture.
    unread: BTreeMap<String, Error>,
}

impl Sorted {
    /// Names in tables that are nearly those of pictures.
    fn near(&self) -> Near {
        let named: BTreeSet<&str> = self.pictures.values().map(|(name, _)| &**name).collect();
        let others = self.rows.keys().map(String::as_str).filter(|name| !named.contains(name));
        Near::of_rows(others, named.iter().copied(), |name| self.rows.contains_key(name))
    }
}

/// What is said of a picture with a text that has no captions.
const BLANK: &str = " (its text is blank)";

/// What to do about pictures of which nothing says what they show.
const FOLDERS: &str = "put the pictures into a folder for each kind";

/// The level at which class folders begin.
#[derive(Clone, Copy)]
enum Below {
    Top,
    Split,
}

/// The folder of a picture, without that of its split.
fn folder_of(key: &str, below: Below) -> &str {
    let key = match (below, key.split_once('/')) {
        (Below::Split, Some((_, rest))) => rest,
        _ => key,
    };
    key.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The values if all pictures have one; `None` if no picture has.
fn whole<T: Copy>(
    said: &[Option<T>],
    (dir, tables): (&Path, &[String]),
    what: &str,
) -> Result<Option<Vec<T>>> {
    let n = said.iter().flatten().count();
    if n == 0 {
        return Ok(None);
    }
    if n == said.len() {
        return Ok(Some(said.iter().flatten().copied().collect()));
    }
    Err(Error::malformed(
        dir,
        format!("tables say the {what} of some pictures only"),
        first_few(tables),
        (format!("all {} with a {what}, or none", said.len()), format!("{n} with one")),
        format!("fill in the {what} of every picture, or take the column out"),
    ))
}

/// The captions of a file, and whether its encoding was guessed. No embeddings count its lines, as
/// those of CUB's files do, so blank lines are no captions, wherever they are.
fn written(file: &Path) -> Result<(Vec<String>, bool)> {
    let bytes = captions::bytes(file)?;
    let mut captions = captions::parse(&bytes, file)?;
    captions.retain(|caption| !caption.is_empty());
    Ok((captions, captions::is_guessed(&bytes)))
}

/// Whether a text can be read and has captions other than these.
fn has_others(text: &Path, captions: &[String]) -> bool {
    written(text).is_ok_and(|(beside, _)| !beside.is_empty() && beside != captions)
}

fn twice(file: &Path, found: &str) -> Error {
    Error::malformed(
        file,
        "picture is named twice",
        "its name",
        ("one picture for each name", printable(found)),
        "rename or remove one of them",
    )
}

/// The error about a picture that two tables name.
fn in_two_tables(file: &Path, picture: &str, (one, other): (&str, &str)) -> Error {
    let [picture, one, other] = [picture, one, other].map(printable);
    Error::malformed(
        file,
        "picture is named in two tables",
        "its rows",
        ("each picture in one table", format!("{picture} in {one} and in {other}")),
        format!("remove {one} or {other}, or take the rows of such pictures out of one of them"),
    )
}

/// The error about pictures of which each has the name of an earlier one.
fn alike(mut faults: Vec<Error>) -> Error {
    if faults.len() == 1 {
        return faults.remove(0);
    }
    Error::together(
        format!("{} have the name of another", counted(faults.len(), "picture")),
        "one picture for each name",
        (&faults, faults.len()),
        "rename or remove one of each two",
    )
}

/// Whether `dir` looks like a user's own folder: it has a table, or a picture with a text file of
/// the same name, within two levels.
pub(crate) fn has_marks(dir: &Path) -> bool {
    has(dir, |folder| TABLES.iter().any(|table| folder.join(table).is_file()))
}

/// Whether it has a table of captions within two levels, which any other kind may have, too.
pub(crate) fn has_captions(dir: &Path) -> bool {
    has(dir, |folder| {
        let mut files = CAPTIONS.iter().map(|name| folder.join(name));
        files.any(|file| file.is_file() && table::is_table_of_captions(&file))
    })
}

/// Whether `dir`, within two levels, has a folder with a `table`, or a picture with its text.
fn has(dir: &Path, table: impl Fn(&PathBuf) -> bool) -> bool {
    let own = dir.join(OWN); // may hold a preview's sheet and its text
    let mut level = vec![dir.to_path_buf()];
    let mut looked = 0;
    for _ in 0..3 {
        if level.iter().any(&table) {
            return true;
        }
        let mut below = Vec::new();
        for folder in level {
            let mut pairs = Pairs::default();
            for path in children(&folder).filter(|path| *path != own) {
                looked += 1;
                if looked > LOOK {
                    return below.iter().any(&table);
                }
                if path.is_dir() {
                    below.push(path);
                } else if pairs.closes(&path) {
                    return true;
                }
            }
        }
        level = below;
    }
    false
}

/// The pictures and texts of one folder, by name without extension.
#[derive(Default)]
struct Pairs {
    pictures: BTreeSet<PathBuf>,
    texts: BTreeSet<PathBuf>,
}

impl Pairs {
    /// Whether this file and another are a picture and its captions, in capitals or not, as they are
    /// read.
    fn closes(&mut self, file: &Path) -> bool {
        let extension = file.extension().and_then(|extension| extension.to_str());
        let Some(extension) = extension.map(str::to_ascii_lowercase) else { return false };
        let name = file.with_extension("");
        if is_picture(&extension) {
            // The text may come after more files than are looked at.
            let beside = self.texts.contains(&name) || file.with_extension("txt").is_file();
            self.pictures.insert(name);
            beside
        } else if extension == "txt" && file.is_file() {
            let beside = self.pictures.contains(&name);
            self.texts.insert(name);
            beside
        } else {
            false
        }
    }
}
