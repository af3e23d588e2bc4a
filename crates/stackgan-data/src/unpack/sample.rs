//! One captioned picture on its way from a source into a folder.

use std::path::PathBuf;

use image::ImageFormat;

use crate::captions::{MAX_CAPTION, one, one_line};
use crate::error::printable;
use crate::layouts::MAX_LINE;

/// A row of a table, or the files of one name in a tar.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its name for messages: `row 17`, or the name that its files share.
    pub name: &'a str,
    /// What it holds.
    pub content: Content<'a>,
}

/// What an entry holds.
#[derive(Debug)]
pub enum Content<'a> {
    /// A picture.
    Sample(Sample<'a>),
    /// No picture.
    NoPicture,
    /// Something that cannot be used, and why.
    Unusable(String),
}

/// A picture with its captions and its class.
#[derive(Debug)]
pub struct Sample<'a> {
    /// The picture.
    pub picture: Picture<'a>,
    /// Its captions, none of them empty; there may be none.
    pub captions: Vec<String>,
    /// The name of its class.
    pub class: Option<String>,
}

/// The file of a picture.
#[derive(Clone, Debug)]
pub enum Picture<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// A file on the disk, which may be moved, and its SHA-256 in hexadecimal.
    File(PathBuf, &'a str),
}

/// The extension of a picture that begins with `start`.
///
/// # Errors
/// Says what the file is instead.
pub(super) fn extension(start: &[u8]) -> Result<&'static str, String> {
    match image::guess_format(start) {
        Ok(ImageFormat::Jpeg) => Ok("jpg"),
        Ok(ImageFormat::Png) => Ok("png"),
        Ok(ImageFormat::WebP) => Ok("webp"),
        Ok(other) => {
            Err(format!("a picture in the format {other:?}, neither JPEG nor PNG nor WebP"))
        }
        Err(_) if start.is_empty() => Err("an empty file".to_owned()),
        Err(_) if start.get(4..8) == Some(b"ftyp") => {
            Err("a picture in the format AVIF or HEIC, neither JPEG nor PNG nor WebP".to_owned())
        }
        Err(_) => Err("no picture of a known format".to_owned()),
    }
}

/// Gathers the captions of one picture.
#[derive(Debug, Default)]
pub(super) struct Captions {
    captions: Vec<String>,
    bytes: usize,
}

impl Captions {
    /// Adds a caption, as one line that can be printed. An empty one is left out.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn add(&mut self, caption: &str) -> Result<(), String> {
        let caption = one(caption)
            .map_err(|n| format!("a caption of {n} bytes, {MAX_CAPTION} are the most"))?;
        self.bytes += caption.len();
        if self.bytes as u64 > MAX_LINE / 4 {
            return Err(format!("more than {} bytes of captions", MAX_LINE / 4));
        }
        if !caption.is_empty() {
            self.captions.push(caption);
        }
        Ok(())
    }

    pub(super) fn into_all(self) -> Vec<String> {
        self.captions
    }
}

/// Maximum length of the name of a class, in bytes.
const CLASS: usize = 255;

/// The name of a class; `None` if it is empty.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn class(name: &str) -> Result<Option<String>, String> {
    let name = name.trim();
    if name.len() > CLASS {
        return Err(format!("a class of {} bytes: {}", name.len(), printable(name)));
    }
    Ok(Some(one_line(name)).filter(|name| !name.is_empty()))
}
