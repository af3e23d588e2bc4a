//! Names in tables that are nearly those of pictures.

use super::super::scan::stem;
use crate::error::printable;
use std::collections::{BTreeMap, BTreeSet};

/// How a name differs from that of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slip {
    Capitals,
    Bare,
    Extension,
    Folder,
}

/// The names of one kind of slip: their number, the first, and the picture that it is nearly of.
#[derive(Debug)]
struct Slips {
    count: usize,
    first: String,
    file: String,
}

/// The names in tables that are nearly those of pictures.
#[derive(Debug, Default)]
pub(crate) struct Near {
    slips: BTreeMap<Slip, Slips>,
    /// The pictures that are meant.
    files: BTreeSet<String>,
}

impl Near {
    /// Looks for the pictures, given by name, that `names` may mean; none of them is a picture's.
    /// `has_row` tells of a picture whether another name is its own: one in another folder is then
    /// that of a picture that is gone.
    pub(super) fn of<'n>(
        names: impl Iterator<Item = &'n str>,
        pictures: impl Iterator<Item = &'n str>,
        has_row: impl Fn(&str) -> bool,
    ) -> Self {
        let mut names = names.peekable();
        if names.peek().is_none() {
            return Self::default();
        }
        // Two pictures may differ in capitals only: the first is told.
        let (mut whole, mut bare) = (BTreeMap::new(), BTreeMap::new());
        // In other folders, only one that is alone with its name can be meant.
        let mut alone: BTreeMap<String, Option<&str>> = BTreeMap::new();
        for file in pictures {
            let lower = file.to_lowercase();
            if let Some((key, _)) = stem(&lower) {
                bare.entry(key.to_owned()).or_insert(file);
            }
            let others = alone.entry(own_name(&lower).to_owned());
            others.and_modify(|file| *file = None).or_insert(Some(file));
            whole.entry(lower).or_insert(file);
        }
        let mut near = Self::default();
        for name in names {
            let lower = name.to_lowercase();
            let capitals = whole.get(&lower).map(|file| (Slip::Capitals, file));
            let lacking = || Some((Slip::Bare, bare.get(&lower)?));
            let other = || Some((Slip::Extension, bare.get(stem(&lower)?.0)?));
            let alone = || alone.get(own_name(&lower))?.as_ref();
            let elsewhere = || Some((Slip::Folder, alone().filter(|file| !has_row(file))?));
            let found = capitals.or_else(lacking).or_else(other).or_else(elsewhere);
            let Some((slip, file)) = found else { continue };
            near.files.insert((*file).to_owned());
            let slips = || Slips { count: 0, first: name.to_owned(), file: (*file).to_owned() };
            near.slips.entry(slip).or_insert_with(slips).count += 1;
        }
        near
    }

    /// Number of names.
    pub(super) fn count(&self) -> usize {
        self.slips.values().map(|slips| slips.count).sum()
    }

    /// Whether a name in a table nearly is that of this picture.
    pub(crate) fn means(&self, file: &str) -> bool {
        self.files.contains(file)
    }

    /// What to do about the names; `None` if there are none.
    pub(super) fn remedy(&self) -> Option<String> {
        let said = |(slip, Slips { count, first, file }): (&Slip, &Slips)| {
            let how = match (slip, count) {
                (Slip::Capitals, 1) => "differs only in capitals",
                (Slip::Capitals, _) => "differ only in capitals",
                (Slip::Bare, 1) => "lacks the extension",
                (Slip::Bare, _) => "lack the extension",
                (Slip::Extension, 1) => "has another extension",
                (Slip::Extension, _) => "have another extension",
                (Slip::Folder, 1) => "is in another folder",
                (Slip::Folder, _) => "are in another folder",
            };
            format!("{count} {how} ({} for {})", printable(first), printable(file))
        };
        let said: Vec<String> = self.slips.iter().map(said).collect();
        let remedy = || format!("write names in tables as those of the files: {}", said.join(", "));
        (!said.is_empty()).then(remedy)
    }
}

/// The name of a file without its folder.
fn own_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::layouts::{Reading, Uncaptioned};

    #[test]
    fn each_slip_is_counted_with_the_first_name() {
        let of = |names: &[&str], pictures: &[&str]| {
            Near::of(names.iter().copied(), pictures.iter().copied(), |_| false)
        };
        let pictures = ["A/p0.png", "A/p1.png", "b.c.jpg", "p2.PNG"];
        let near = of(&["A/P0.PNG", "a/p1.png", "b.c", "P2.jpg", "p3.png"], &pictures);
        assert_eq!(
            near.remedy().unwrap(),
            "write names in tables as those of the files: 2 differ only in capitals (A/P0.PNG for A/p0.png), \
             1 lacks the extension (b.c for b.c.jpg), 1 has another extension (P2.jpg for p2.PNG)"
        );
        assert_eq!((near.count(), near.means("p2.PNG"), near.means("p3.png")), (4, true, false));
        for (names, pictures) in [(&["x.png"][..], &pictures[..]), (&[], &pictures), (&["a"], &[])]
        {
            let near = of(names, pictures);
            assert!(near.remedy().is_none() && near.count() == 0, "{names:?}");
        }
    }

    /// As Flickr8k has it: the table beside the folder of pictures.
    #[test]
    fn a_picture_in_another_folder_is_told_if_it_is_alone() {
        let pictures = ["Images/a.jpg", "Images/b.jpg", "x/c.jpg", "y/c.jpg", "z/d.jpg"];
        let names = ["a.jpg", "old/B.JPG", "c.jpg", "d.jpg", "e.jpg"];
        let near = Near::of(names.into_iter(), pictures.into_iter(), |name| name == "z/d.jpg");
        assert_eq!(
            near.remedy().unwrap(),
            "write names in tables as those of the files: 2 are in another folder (a.jpg for Images/a.jpg)"
        );
        assert_eq!((near.count(), near.means("x/c.jpg")), (2, false));
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
}
