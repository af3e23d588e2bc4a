//! The header of a table: what separates its columns, and which of them hold names of files and
//! captions.

use std::borrow::Cow;

/// The separators of tables: Excel writes semicolons where the comma is the decimal mark, and the
/// table of Flickr30k has bars.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The names of a column of pictures or captions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// Those of the documentation.
    ours: &'static [&'static str],
    /// Those of other programs.
    theirs: &'static [&'static str],
}

/// The columns of a table that hold pictures and captions, by position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) files: Option<usize>,
    pub(super) texts: Option<usize>,
}

/// The columns of which several may be meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclear<'h> {
    /// What they may hold.
    pub(super) what: &'static str,
    /// What the right one should be called.
    pub(super) name: &'static str,
    pub(super) columns: Vec<&'h str>,
}

/// Of the column of pictures. Sources: `ImageFolder` of Hugging Face (`file_name`); Flickr8k
/// (`image`) and Flickr30k (`image_name`) as Kaggle has them.
const FILES: Names = Names {
    ours: &["file_name"],
    theirs: &["filename", "file", "image", "image_name", "image_path", "path"],
};

/// Of that of captions. Sources: as for [`FILES`]; Flickr30k has `comment`.
const TEXTS: Names =
    Names { ours: &["text", "caption"], theirs: &["captions", "comment", "description"] };

/// Finds the columns in a header: the first with one of our names, else the only one with one of
/// theirs. A table whose pictures are called as ours is one of ours: what others call captions may be
/// anything there.
///
/// # Errors
/// Their columns, if there are several.
pub(super) fn find<'h>(header: &[&'h str]) -> Result<Found, Unclear<'h>> {
    if let files @ Some(_) = FILES.ours(header) {
        return Ok(Found { files, texts: TEXTS.ours(header) });
    }
    let unclear = |what, names: Names| {
        let name = names.ours.first().copied().unwrap_or_default();
        move |columns| Unclear { what, name, columns }
    };
    let files = FILES.theirs(header).map_err(unclear("pictures", FILES))?;
    let texts = match TEXTS.ours(header) {
        None => TEXTS.theirs(header).map_err(unclear("captions", TEXTS))?,
        ours => ours,
    };
    Ok(Found { files, texts })
}

impl Names {
    /// The position of the first column with one of our names.
    fn ours(self, header: &[&str]) -> Option<usize> {
        header.iter().position(|column| is_one(column, self.ours))
    }

    /// The position of the only column with one of theirs.
    fn theirs<'h>(self, header: &[&'h str]) -> Result<Option<usize>, Vec<&'h str>> {
        let theirs = header.iter().copied().enumerate();
        let theirs = theirs.filter(|(_, column)| is_one(column, self.theirs));
        let (places, columns): (Vec<usize>, Vec<&str>) = theirs.unzip();
        match places.as_slice() {
            [] => Ok(None),
            [at] => Ok(Some(*at)),
            _ => Err(columns),
        }
    }
}

/// Whether a column has one of these names, in capitals or not.
fn is_one(column: &str, names: &[&str]) -> bool {
    names.iter().any(|name| column.eq_ignore_ascii_case(name))
}

/// The separator of a table that begins so: the one that sets a column of pictures apart, else the
/// one that the header has most of.
pub(super) fn separator(beginning: &[u8]) -> u8 {
    separator_of(&first_line(beginning))
}

fn separator_of(header: &str) -> u8 {
    let count = |separator: u8| header.bytes().filter(|b| *b == separator).count();
    let sets_apart = |names: &[&str]| {
        SEPARATORS.into_iter().find(|&separator| {
            count(separator) > 0 && columns(header, separator).any(|column| is_one(column, names))
        })
    };
    let most = || SEPARATORS.into_iter().rev().max_by_key(|separator| count(*separator));
    let ours = sets_apart(FILES.ours).or_else(|| sets_apart(FILES.theirs));
    ours.or_else(most).unwrap_or(b',')
}

/// What a separator is called.
pub(super) const fn named(separator: u8) -> &'static str {
    match separator {
        b';' => "semicolon",
        b'\t' => "tab",
        b'|' => "bar",
        _ => "comma",
    }
}

/// Whether what begins so is a table of pictures and captions.
pub(super) fn is_of_captions(beginning: &[u8]) -> bool {
    let header = first_line(beginning);
    let columns: Vec<&str> = columns(&header, separator_of(&header)).collect();
    match find(&columns) {
        Ok(found) => found.files.is_some() && found.texts.is_some(),
        // Its reader says that several may be meant.
        Err(_) => {
            columns.iter().any(|column| is_one(column, TEXTS.ours) || is_one(column, TEXTS.theirs))
        }
    }
}

fn first_line(beginning: &[u8]) -> Cow<'_, str> {
    let line = beginning.split(|b| matches!(b, b'\n' | b'\r')).next();
    String::from_utf8_lossy(line.unwrap_or_default())
}

/// The names in a header.
fn columns(header: &str, separator: u8) -> impl Iterator<Item = &str> {
    header.split(char::from(separator)).map(bare)
}

/// The name of a column, without the blanks and quotation marks around it.
pub(super) fn bare(column: &str) -> &str {
    let column = column.trim();
    column.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(column)
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use crate::Result;
    use crate::dataset::Dataset;
    use crate::layouts::{Kind, Reading, detect};
    use crate::testing::put;

    /// A folder with two pictures and these files.
    fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("a.jpg", ""), ("b.jpg", "")].iter().chain(files) {
            put(&dir, name, text);
        }
        dir
    }

    fn read_with(files: &[(&str, &str)]) -> Result<Dataset> {
        read(with(files).path(), Reading::default())
    }

    fn captions(data: &Dataset) -> Vec<&str> {
        data.items.iter().flat_map(|item| &item.captions).map(String::as_str).collect()
    }

    #[test]
    fn columns_may_have_the_names_of_other_programs() {
        for table in [
            "image,caption\na.jpg,red\na.jpg,\"red, round\"\nb.jpg,blue\n",
            "filename;Captions\na.jpg;red\na.jpg;red, round\nb.jpg;blue\n",
            "file\tdescription\na.jpg\tred\na.jpg\tred, round\nb.jpg\tblue\n",
            "image_name| comment_number| comment\na.jpg| 0| red\na.jpg| 1| red, round\nb.jpg| 0| blue\n",
            "id,Image_Path,text,comment\n1,a.jpg,red,x\n2,./a.jpg,\"red, round\",x\n3,b.jpg,blue,x\n",
            "comment,path\nred,a.jpg\n\"red, round\",a.jpg\nblue,b.jpg\n",
            // The names of the documentation come before others.
            "\"image\", \"caption\"\na.jpg,red\na.jpg,\"red, round\"\nb.jpg,blue\n",
            "image,path,file_name,description,comment,text\n,,a.jpg,,,red\n,,a.jpg,,,\"red, round\"\n,,b.jpg,,,blue\n",
        ] {
            let data = read_with(&[("metadata.csv", table)]).unwrap();
            assert_eq!(captions(&data), ["red", "red, round", "blue"], "{table}");
        }
    }

    #[test]
    fn columns_of_which_several_may_be_meant_are_named() {
        for (header, parts) in [
            (
                "image,Path,text",
                [
                    "it is not clear which column holds the pictures",
                    "found `image` and `Path`",
                    "name the one that holds them `file_name`",
                ],
            ),
            (
                "image,captions,comment,description",
                [
                    "it is not clear which column holds the captions",
                    "found `captions`, `comment` and `description`",
                    "name the one that holds them `text`",
                ],
            ),
        ] {
            let row = vec!["a.jpg"; header.split(',').count()].join(",");
            let table = format!("{header}\n{row}\n");
            let said = read_with(&[("metadata.csv", &table)]).unwrap_err().to_string();
            for part in parts {
                assert!(said.contains(part), "{part} in {said}");
            }
        }
    }

    /// Columns of notes that are called so are no captions of pictures that have theirs beside them.
    #[test]
    fn in_a_table_of_ours_others_columns_are_not_captions() {
        let texts = [("a.txt", "one"), ("b.txt", "two")];
        for header in ["file_name,comment", "comment,file_name,description"] {
            let row = header.replace("file_name", "a.jpg");
            let table = format!("{header}\n{row}\n");
            let data = read_with(&[&texts[..], &[("metadata.csv", &table)]].concat()).unwrap();
            assert_eq!(captions(&data), ["one", "two"], "{header}");
            assert!(data.notes.join("\n").contains("not used: comment"), "{:?}", data.notes);
        }
    }

    #[test]
    fn a_file_of_captions_is_a_table_if_its_header_says_so() {
        let table = "image,caption\na.jpg,red\nb.jpg,blue\n";
        for name in ["captions.txt", "captions.csv"] {
            let dir = with(&[(name, table)]);
            assert_eq!(detect(dir.path()).unwrap(), Kind::Folder, "{name}");
            let data = read(dir.path(), Reading::default()).unwrap();
            assert_eq!(captions(&data), ["red", "blue"], "{name}");
            assert!(!data.notes.join("\n").contains("beside no picture"), "{:?}", data.notes);
        }
        // A caption file of a picture, a table beside one of ours, and what has no such header.
        let texts = [("a.txt", "one"), ("b.txt", "two")];
        for (files, expected) in [
            (
                &[("captions.jpg", ""), ("captions.txt", table)][..],
                &["one", "two", "image,caption", "a.jpg,red", "b.jpg,blue"][..],
            ),
            (
                &[("metadata.csv", "file_name,text\na.jpg,mine\n"), ("captions.csv", table)],
                &["mine", "two"],
            ),
            (&[("captions.txt", "an image, a caption\n")], &["one", "two"]),
            (&[("captions.csv", "image,width\na.jpg,1\n")], &["one", "two"]),
            (&[("captions.csv", "caption\nred\n")], &["one", "two"]),
            (&[("captions.csv", "image,path,width\na.jpg,a,1\n")], &["one", "two"]),
        ] {
            let data = read_with(&[&texts[..], files].concat()).unwrap();
            assert_eq!(captions(&data), expected, "{files:?}");
        }
        let dir = with(&[("captions.txt", "an image, a caption\n")]);
        assert!(detect(dir.path()).is_err());
        // A published set stays one with such a table beside it.
        let dir = with(&[("captions.csv", table), ("CUB_200_2011/images.txt", "")]);
        assert_eq!(detect(dir.path()).unwrap(), Kind::Cub);
    }
}
