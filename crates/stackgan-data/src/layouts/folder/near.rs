//! Names in tables, and of texts, that are nearly those of pictures.

use super::super::scan::{own_name, stem};
use super::spelling::folded;
use crate::error::printable;
use std::collections::{BTreeMap, BTreeSet};

/// How a name differs from that of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slip {
    Capitals,
    Accents,
    Bare,
    Extension,
    /// A text is called `NAME.jpg.txt`.
    Twofold,
    Folder,
}

/// The names of one kind of slip: their number, the first, and the picture that it is nearly of.
#[derive(Debug)]
struct Slips {
    count: usize,
    first: String,
    file: String,
}

/// The names in tables, or those of texts, that are nearly those of pictures.
#[derive(Debug, Default)]
pub(crate) struct Near {
    slips: BTreeMap<Slip, Slips>,
    /// The pictures that are meant.
    files: BTreeSet<String>,
}

/// What to do about names in tables.
pub(super) const IN_TABLES: &str = "write names in tables as those of the files";

/// What to do about texts.
pub(super) const OF_TEXTS: &str = "put texts beside their pictures, under the same names";

impl Near {
    /// Looks for the pictures, given by name, that `names` in tables may mean; none of them is a picture's.
    /// `has_row` tells of a picture whether another name is its own: one in another folder is then
    /// that of a picture that is gone.
    pub(super) fn of_rows<'t, 'n>(
        names: impl Iterator<Item = &'t str>,
        pictures: impl Iterator<Item = &'n str>,
        has_row: impl Fn(&str) -> bool,
    ) -> Self {
        Self::of(names, pictures, |name, pictures| pictures.of_row(name, &has_row))
    }

    /// Looks for the pictures, given by name, that `texts` may be the captions of; none of them has the
    /// name of one.
    pub(super) fn of_texts<'t, 'n>(
        texts: impl Iterator<Item = &'t str>,
        pictures: impl Iterator<Item = &'n str>,
    ) -> Self {
        Self::of(texts, pictures, |name, pictures| pictures.of_text(name))
    }

    fn of<'t, 'n>(
        names: impl Iterator<Item = &'t str>,
        pictures: impl Iterator<Item = &'n str>,
        find: impl Fn(&str, &Pictures<'n>) -> Option<(Slip, &'n str)>,
    ) -> Self {
        let mut near = Self::default();
        let mut names = names.peekable();
        if names.peek().is_none() {
            return near;
        }
        let pictures = Pictures::of(pictures);
        for name in names {
            let Some((slip, file)) = find(name, &pictures) else { continue };
            near.files.insert(file.to_owned());
            let slips = || Slips { count: 0, first: name.to_owned(), file: file.to_owned() };
            near.slips.entry(slip).or_insert_with(slips).count += 1;
        }
        near
    }

    /// Number of names.
    pub(super) fn count(&self) -> usize {
        self.slips.values().map(|slips| slips.count).sum()
    }

    /// Whether a name nearly is that of this picture.
    pub(super) fn means(&self, file: &str) -> bool {
        self.files.contains(file)
    }

    /// What to do about the names: `what`, and how they differ; `None` if there are none.
    pub(super) fn remedy(&self, what: &str) -> Option<String> {
        let said = |(slip, Slips { count, first, file }): (&Slip, &Slips)| {
            let how = match (slip, count) {
                (Slip::Capitals, 1) => "differs only in capitals",
                (Slip::Capitals, _) => "differ only in capitals",
                (Slip::Accents, 1) => "has its accents in another form, NFC or NFD",
                (Slip::Accents, _) => "have their accents in another form, NFC or NFD",
                (Slip::Bare, 1) => "lacks the extension",
                (Slip::Bare, _) => "lack the extension",
                (Slip::Extension, 1) => "has another extension",
                (Slip::Extension, _) => "have another extension",
                (Slip::Twofold, 1) => "keeps the picture's extension",
                (Slip::Twofold, _) => "keep the picture's extension",
                (Slip::Folder, 1) => "is in another folder",
                (Slip::Folder, _) => "are in another folder",
            };
            format!("{count} {how} ({} for {})", printable(first), printable(file))
        };
        let said: Vec<String> = self.slips.iter().map(said).collect();
        (!said.is_empty()).then(|| format!("{what}: {}", said.join(", ")))
    }
}

/// Pictures by what they may be called elsewhere.
#[derive(Default)]
struct Pictures<'n> {
    /// By the name, and by that without the extension. Two may differ in capitals only: the first is told.
    whole: BTreeMap<String, &'n str>,
    bare: BTreeMap<String, &'n str>,
    /// The same without folders: only a picture that is alone with its name can be meant.
    alone: BTreeMap<String, Option<&'n str>>,
    alone_bare: BTreeMap<String, Option<&'n str>>,
}

impl<'n> Pictures<'n> {
    fn of(files: impl Iterator<Item = &'n str>) -> Self {
        let mut pictures = Self::default();
        for file in files {
            let name = folded(file);
            if let Some((key, _)) = stem(&name) {
                enter(&mut pictures.alone_bare, own_name(key), file);
                pictures.bare.entry(key.to_owned()).or_insert(file);
            }
            enter(&mut pictures.alone, own_name(&name), file);
            pictures.whole.entry(name).or_insert(file);
        }
        pictures
    }

    /// The picture that a name in a table may mean.
    fn of_row(&self, name: &str, has_row: &impl Fn(&str) -> bool) -> Option<(Slip, &'n str)> {
        let lower = folded(name);
        let same = self.whole.get(&lower).map(|&file| (respelt(name, file), file));
        let lacking = || Some((Slip::Bare, *self.bare.get(&lower)?));
        let other = || Some((Slip::Extension, *self.bare.get(stem(&lower)?.0)?));
        let alone = || *self.alone.get(own_name(&lower))?;
        let elsewhere = || Some((Slip::Folder, alone().filter(|file| !has_row(file))?));
        same.or_else(lacking).or_else(other).or_else(elsewhere)
    }

    /// The picture that a text may be the captions of.
    fn of_text(&self, text: &str) -> Option<(Slip, &'n str)> {
        let (key, _) = stem(text)?;
        let (lower, own) = (folded(key), folded(own_name(key)));
        let told = |file: &'n str| Some((respelt(key, stem(file)?.0), file));
        let same = self.bare.get(&lower).and_then(|&file| told(file));
        let twofold = || Some((Slip::Twofold, *self.whole.get(&lower)?));
        let alone = || *self.alone_bare.get(&own).or_else(|| self.alone.get(&own))?;
        let elsewhere = || Some((Slip::Folder, alone()?));
        same.or_else(twofold).or_else(elsewhere)
    }
}

/// Enters a picture under a name; under one of several, none.
fn enter<'n>(pictures: &mut BTreeMap<String, Option<&'n str>>, name: &str, file: &'n str) {
    let others = pictures.entry(name.to_owned());
    others.and_modify(|file| *file = None).or_insert(Some(file));
}

/// How two names differ that are the same but for capitals and accents.
fn respelt(one: &str, other: &str) -> Slip {
    if one.to_lowercase() == other.to_lowercase() { Slip::Capitals } else { Slip::Accents }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::layouts::{Reading, Uncaptioned};
    use crate::testing::put;

    #[test]
    fn each_slip_is_counted_with_the_first_name() {
        let of = |names: &[&str], pictures: &[&str]| {
            Near::of_rows(names.iter().copied(), pictures.iter().copied(), |_| false)
        };
        let pictures = ["A/p0.png", "A/p1.png", "b.c.jpg", "p2.PNG"];
        let near = of(&["A/P0.PNG", "a/p1.png", "b.c", "P2.jpg", "p3.png"], &pictures);
        assert_eq!(
            near.remedy(IN_TABLES).unwrap(),
            "write names in tables as those of the files: 2 differ only in capitals (A/P0.PNG for A/p0.png), \
             1 lacks the extension (b.c for b.c.jpg), 1 has another extension (P2.jpg for p2.PNG)"
        );
        assert_eq!((near.count(), near.means("p2.PNG"), near.means("p3.png")), (4, true, false));
        for (names, pictures) in [(&["x.png"][..], &pictures[..]), (&[], &pictures), (&["a"], &[])]
        {
            let near = of(names, pictures);
            assert!(near.remedy(IN_TABLES).is_none() && near.count() == 0, "{names:?}");
        }
    }

    /// As Flickr8k has it: the table beside the folder of pictures.
    #[test]
    fn a_picture_in_another_folder_is_told_if_it_is_alone() {
        let pictures = ["Images/a.jpg", "Images/b.jpg", "x/c.jpg", "y/c.jpg", "z/d.jpg"];
        let names = ["a.jpg", "old/B.JPG", "c.jpg", "d.jpg", "e.jpg"];
        let near = Near::of_rows(names.into_iter(), pictures.into_iter(), |name| name == "z/d.jpg");
        assert_eq!(
            near.remedy(IN_TABLES).unwrap(),
            "write names in tables as those of the files: 2 are in another folder (a.jpg for Images/a.jpg)"
        );
        assert_eq!((near.count(), near.means("x/c.jpg")), (2, false));
    }

    #[test]
    fn texts_are_told_with_the_pictures_that_they_may_be_of() {
        let pictures = [
            "IMG_1.JPG",
            "IMG_2.JPG",
            "p.jpg",
            "images/q.png",
            "cafe\u{301}.jpg",
            "x/c.jpg",
            "y/c.jpg",
        ];
        let texts = [
            "img_1.txt",
            "img_2.txt",
            "p.JPG.txt",
            "captions/Q.txt",
            "captions/q.png.txt",
            "caf\u{e9}.txt",
            "captions/c.txt",
            "README.txt",
        ];
        let near = Near::of_texts(texts.into_iter(), pictures.into_iter());
        assert_eq!(
            near.remedy(OF_TEXTS).unwrap(),
            "put texts beside their pictures, under the same names: 2 differ only in capitals (img_1.txt for IMG_1.JPG), \
             1 has its accents in another form, NFC or NFD (caf\u{e9}.txt for cafe\u{301}.jpg), \
             1 keeps the picture's extension (p.JPG.txt for p.jpg), \
             2 are in another folder (captions/Q.txt for images/q.png)"
        );
        assert_eq!(
            (near.count(), near.means("IMG_2.JPG"), near.means("x/c.jpg")),
            (6, true, false)
        );
        assert!(Near::of_texts(["a.txt"].into_iter(), [].into_iter()).remedy(OF_TEXTS).is_none());
    }

    /// As in an archive of macOS: the table is of another system.
    #[test]
    fn accents_of_names_in_tables_may_have_another_form() {
        let near =
            Near::of_rows(["Caf\u{e9}.jpg"].into_iter(), ["cafe\u{301}.jpg"].into_iter(), |_| {
                false
            });
        let said = near.remedy(IN_TABLES).unwrap();
        assert!(said.contains("1 has its accents in another form"), "{said}");
    }

    #[test]
    fn names_that_nearly_match_are_told_when_a_folder_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["p0.png", "p1.png", "p2.png"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let said = |table: &str, uncaptioned| {
            std::fs::write(dir.path().join("metadata.csv"), table).unwrap();
            let how = Reading { uncaptioned, ..Reading::default() };
            read(dir.path(), how).unwrap_err().to_string()
        };
        let all = said("file_name,text\nP0.PNG,a\np1,b\np2.jpg,c\n", Uncaptioned::Refuse);
        for part in [
            "pictures named by a table: 3 (P0.PNG, p1, p2.jpg)",
            "do: write names in tables as those of the files: 1 differs only in capitals (P0.PNG for p0.png), \
             1 lacks the extension (p1 for p1.png), 1 has",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
        // All are explained: no captions are missing, and no picture is.
        assert!(!all.contains("NAME.txt") && !all.contains("add "), "{all}");
        let some = said("file_name,text\nP0.PNG,a\nz.png,b\np2.png,c\n", Uncaptioned::Refuse);
        for part in
            ["(P0.PNG for p0.png); add the other pictures, or take", "write NAME.txt beside"]
        {
            assert!(some.contains(part), "{part} in {some}");
        }
        let other = said("file_name,text\nz.png,b\np2.png,c\n", Uncaptioned::LeaveOut);
        assert!(other.ends_with("do: add the pictures, or take their rows out"), "{other}");
    }

    /// Also where something else is said of a picture than that it has no captions.
    #[test]
    fn names_that_nearly_match_are_told_with_the_reason_for_missing_captions() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("metadata.csv", "file_name,text\nP0.PNG,a\n"),
            ("p0.png", ""),
            ("rose/a.png", ""),
            ("iris/b.png", ""),
        ] {
            put(&dir, name, text);
        }
        let told = |uncaptioned, reason: &str| {
            let how = Reading { uncaptioned, ..Reading::default() };
            let said = read(dir.path(), how).unwrap_err().to_string();
            let name = format!("captions of pictures: 1 (p0.png{reason})");
            assert!(said.contains(&name), "{name} in {said}");
            assert!(said.contains("differs only in capitals (P0.PNG for p0.png)"), "{said}");
            assert!(!said.contains("NAME.txt"), "all are explained: {said}");
        };
        told(Uncaptioned::ClassName, ", which is in no class");
        for (name, text) in [("p0.txt", " \n"), ("rose/a.txt", "a"), ("iris/b.txt", "b")] {
            put(&dir, name, text);
        }
        told(Uncaptioned::Refuse, " (its text is blank)");
    }
}
