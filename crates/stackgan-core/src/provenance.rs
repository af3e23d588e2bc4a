//! The provenance of a picture, stored in its PNG: what another program needs to generate it again
//! and to verify the result.
//!
//! It is stored in two text chunks: `stackgan`, which is the JSON of [`Provenance`], and
//! `parameters`, the line that web interfaces show.

use std::io::Cursor;

use serde::{Deserialize, Serialize};

use crate::digest::sha256;
use crate::image::Picture;
use crate::{Error, Model, Request, Resolved, Result, Sampling, Stage};

/// The text chunk of pictures that are made of painted ones, such as sheets: the program's name
/// under the keyword that PNG has for it.
pub const SOFTWARE: (&str, &str) = ("Software", "stackgan");

/// The keyword of the chunk with the JSON.
const KEYWORD: &str = "stackgan";
/// Largest numbers of bytes of a text chunk and of a decoded picture. Larger ones were not written
/// by this program.
const LONGEST: usize = 1 << 20;
const LARGEST: usize = 64 << 20;

/// The provenance of a picture.
///
/// The same model, caption, seed, stage and scales give the same pixels if `arithmetic` is the
/// same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The caption.
    pub caption: String,
    /// The seed of all its noise.
    pub seed: u64,
    /// The stage, 1 or 2.
    pub stage: Stage,
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Scale of `z`.
    pub z_scale: f64,
    /// Scale of epsilon.
    pub eps_scale: f64,
    /// SHA-256 of the model's file, 64 hexadecimal digits.
    pub model_sha256: String,
    /// Fingerprint of the text encoder ([`Model::encoder_fingerprint`]).
    pub encoder: String,
    /// SHA-256 of the pixels, three bytes each, with rows from top to bottom.
    pub pixels_sha256: String,
    /// The version of the program that generated it.
    pub version: String,
    /// The arithmetic with which it was computed ([`stackgan_kernels::arithmetic`]). Files of
    /// earlier versions do not contain it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
    /// SHA-256 of the row of embeddings ([`embedding_sha256`]) from which it was generated, if that
    /// was given instead of computed from the caption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_sha256: Option<String>,
}

/// A model with the facts about it that its pictures record.
#[derive(Debug)]
pub struct NamedModel {
    /// The model. An encoder can be attached to it.
    pub model: Model,
    /// Its name for display.
    pub name: String,
    /// SHA-256 of its file, 64 hexadecimal digits.
    pub sha256: String,
}

impl NamedModel {
    /// Takes a model, its name, and the SHA-256 of its file.
    #[must_use]
    pub const fn new(model: Model, name: String, sha256: String) -> Self {
        Self { model, name, sha256 }
    }

    /// Returns the fingerprint of its text encoder, without standardisation; empty if it is not
    /// known.
    #[must_use]
    pub fn encoder(&self) -> &str {
        self.model.encoder_fingerprint()
    }

    /// Describes `picture`, which the model generated for `request` in the way of `how`.
    #[must_use]
    pub fn provenance(&self, request: Request<'_>, how: Resolved, picture: &Picture) -> Provenance {
        Provenance {
            caption: request.caption.to_owned(),
            seed: request.seed,
            stage: how.stage,
            width: picture.width,
            height: picture.height,
            z_scale: how.z_scale,
            eps_scale: how.eps_scale,
            model_sha256: self.sha256.clone(),
            encoder: self.encoder().to_owned(),
            pixels_sha256: pixels_sha256(picture),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            arithmetic: Some(stackgan_kernels::arithmetic(self.model.device()).to_owned()),
            embedding_sha256: None,
        }
    }
}

impl Provenance {
    /// Returns the provenance with the [`embedding_sha256`] of the row from which the picture was
    /// generated.
    #[must_use]
    pub fn with_embedding(self, row: &str) -> Self {
        Self { embedding_sha256: Some(row.to_owned()), ..self }
    }

    /// Returns the options for generating it again with [`Self::seed`].
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        Sampling {
            stage: Some(self.stage),
            z_scale: Some(self.z_scale),
            eps_scale: Some(self.eps_scale),
            ..Sampling::default()
        }
    }

    /// Encodes the picture as a PNG file that contains this provenance. `model` is the model's name
    /// for display.
    ///
    /// # Errors
    /// An empty picture.
    pub fn encode_png(&self, picture: &Picture, model: &str) -> Result<Vec<u8>> {
        let parameters = format!(
            "{}\nSteps: 1, Sampler: StackGAN, Seed: {}, Size: {}x{}, Model: {}, Model hash: {}, Version: stackgan {}",
            shown(&self.caption),
            self.seed,
            self.width,
            self.height,
            model.escape_debug(),
            self.model_sha256.get(..10).unwrap_or_default(),
            self.version,
        );
        let json = serde_json::to_string(self).map_err(|e| Error::Picture(e.to_string()))?;
        picture.encode_png_with(&[("parameters", &parameters), (KEYWORD, &json)])
    }

    /// Reads the provenance and the picture from a PNG file.
    ///
    /// # Errors
    /// [`Error::Provenance`] if the file is not a PNG of 8-bit RGB or does not contain a
    /// provenance.
    pub fn read(file: &[u8]) -> Result<(Self, Picture)> {
        let limits = png::Limits { bytes: LARGEST };
        let decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
        let mut reader = decoder.read_info().map_err(|e| unread("a PNG file", &e))?;
        let said = reader.info().utf8_text.iter().find(|chunk| chunk.keyword == KEYWORD);
        let Some(chunk) = said else {
            return Err(unread("a text chunk `stackgan`", &"none"));
        };
        let mut chunk = chunk.clone();
        chunk
            .decompress_text_with_limit(LONGEST)
            .and_then(|()| chunk.get_text())
            .map_err(|e| unread("a text chunk `stackgan`", &e))
            .and_then(|json| {
                serde_json::from_str(&json).map_err(|e| unread("what was painted, as JSON", &e))
            })
            .and_then(|provenance| Ok((provenance, pixels(&mut reader)?)))
    }
}

/// A sentence as a line for people: a PNG's text holds no U+0000, and other control characters but line breaks are to be left
/// out of it (PNG specification, 11.3.3). The JSON escapes U+0000 by itself.
fn shown(caption: &str) -> String {
    let mut shown = String::with_capacity(caption.len());
    for character in caption.chars() {
        match character {
            c if c.is_control() && c != '\n' => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Returns the SHA-256 of a picture's pixels in hexadecimal.
#[must_use]
pub fn pixels_sha256(picture: &Picture) -> String {
    sha256(&picture.rgb)
}

/// Returns the SHA-256 of a row of embeddings in hexadecimal.
///
/// The row is as its encoder returned it, before any standardisation: 32-bit floats, in
/// little-endian order.
#[must_use]
pub fn embedding_sha256(row: &[f32]) -> String {
    sha256(&row.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

fn pixels(reader: &mut png::Reader<Cursor<&[u8]>>) -> Result<Picture> {
    let expected = "pixels of three bytes";
    if reader.output_color_type() != (png::ColorType::Rgb, png::BitDepth::Eight) {
        return Err(unread(expected, &format!("{:?}", reader.output_color_type())));
    }
    let size = reader.output_buffer_size().filter(|size| *size <= LARGEST);
    let size = size.ok_or_else(|| unread(expected, &"more than 64 MiB of them"))?;
    let mut rgb = vec![0; size];
    reader.next_frame(&mut rgb).map_err(|e| unread(expected, &e))?;
    let (width, height) = reader.info().size();
    Ok(Picture { width: width as usize, height: height as usize, rgb })
}

fn unread(expected: &'static str, found: &dyn std::fmt::Display) -> Error {
    Error::Provenance { expected, found: found.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted() -> (Provenance, Picture) {
        let picture = Picture { width: 3, height: 2, rgb: (0..18).map(|i| i * 10).collect() };
        let provenance = Provenance {
            caption: "a \"red\" bird\nwith – a belly".to_owned(),
            seed: u64::MAX,
            stage: Stage::Two,
            width: 3,
            height: 2,
            z_scale: 0.1,
            eps_scale: 0.0,
            model_sha256: "ab".repeat(32),
            encoder: "cd".repeat(32),
            pixels_sha256: pixels_sha256(&picture),
            version: "0.1.0".to_owned(),
            arithmetic: Some("cpu avx2".to_owned()),
            embedding_sha256: None,
        };
        (provenance, picture)
    }

    #[test]
    fn what_a_picture_says_is_read_back() -> Result<()> {
        let (provenance, picture) = painted();
        let file = provenance.encode_png(&picture, "birds")?;
        assert_eq!(Provenance::read(&file)?, (provenance.clone(), picture.clone()));
        let of_row = provenance.with_embedding(&embedding_sha256(&[0.5, -1.0]));
        let file = of_row.encode_png(&picture, "birds")?;
        assert_eq!(Provenance::read(&file)?, (of_row, picture));
        Ok(())
    }

    /// What stands in the text chunks of a PNG file behind their keywords, as bytes.
    fn texts(file: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut rest = file.get(8..).unwrap_or_default();
        let mut texts = Vec::new();
        while let Some((head, after)) = rest.split_first_chunk::<8>() {
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            if head[4..] == *b"iTXt" {
                let mut parts = after[..length].splitn(2, |byte| *byte == 0);
                let keyword = String::from_utf8_lossy(parts.next().unwrap_or_default());
                // Two numbers, and two empty texts that end in a zero.
                let text = parts.next().and_then(|rest| rest.strip_prefix(&[0; 4])).unwrap();
                texts.push((keyword.into_owned(), text.to_vec()));
            }
            rest = &after[length + 4..];
        }
        texts
    }

    #[test]
    fn a_sentence_with_control_characters_makes_texts_without() -> Result<()> {
        let (provenance, picture) = painted();
        let caption = "a\0red\u{7}\u{1b}[31m bird\t\nwith é\u{85}".to_owned();
        let provenance = Provenance { caption, ..provenance };
        let file = provenance.encode_png(&picture, "bi\0rds")?;
        let texts = texts(&file);
        let keywords: Vec<&str> = texts.iter().map(|(keyword, _)| keyword.as_str()).collect();
        assert_eq!(keywords, ["parameters", KEYWORD]);
        for (keyword, text) in &texts {
            assert!(!text.contains(&0), "{keyword}");
        }
        let first = "a\\u{0}red\\u{7}\\u{1b}[31m bird\\t\nwith é\\u{85}\nSteps: 1";
        assert!(texts[0].1.starts_with(first.as_bytes()), "{texts:?}");
        assert_eq!(Provenance::read(&file)?.0, provenance, "the sentence is read as it was");
        for (keyword, text, said) in [("a", "b\0", "`a` holds U+0000"), ("", "b", "the keyword ``")]
        {
            let error = picture.encode_png_with(&[(keyword, text)]).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("three bytes"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn files_of_before_are_read() -> Result<()> {
        let (provenance, picture) = painted();
        let mut said = serde_json::to_value(&provenance).unwrap_or_default();
        let fields = said.as_object_mut();
        assert!(fields.is_some_and(|fields| fields.remove("arithmetic").is_some()));
        let file = picture.encode_png_with(&[(KEYWORD, &said.to_string())])?;
        let before = Provenance { arithmetic: None, ..provenance };
        assert_eq!(Provenance::read(&file)?.0, before);
        Ok(())
    }

    #[test]
    fn pixels_have_the_sum_that_other_programs_find() {
        // printf '\x01\x02\x03' | sha256sum
        let picture = Picture { width: 1, height: 1, rgb: vec![1, 2, 3] };
        let expected = "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81";
        assert_eq!(pixels_sha256(&picture), expected);
        // printf '\x00\x00\x80\x3f' | sha256sum
        let expected = "e00e5eb9444182f352323374ef4e08ebcb784725fdd4fd612d7730540b3e0c8c";
        assert_eq!(embedding_sha256(&[1.0]), expected);
    }

    #[test]
    fn what_says_nothing_is_refused_and_nothing_panics() -> Result<()> {
        let (provenance, picture) = painted();
        let said = |file: &[u8]| Provenance::read(file).map_err(|e| e.to_string()).unwrap_err();
        assert!(said(b"GIF89a").contains("a PNG file"), "{}", said(b"GIF89a"));
        assert!(said(&picture.encode_png()?).contains("found none"));
        let other = picture.encode_png_with(&[(KEYWORD, "{\"caption\": 3}")])?;
        assert!(said(&other).contains("as JSON"), "{}", said(&other));
        let file = provenance.encode_png(&picture, "birds")?;
        for end in 0..file.len() {
            let _ = Provenance::read(&file[..end]);
            let mut changed = file.clone();
            changed[end] ^= 0x55;
            if let Ok((said, _)) = Provenance::read(&changed) {
                assert_eq!(said, provenance, "a sum is wrong at {end}");
            }
        }
        Ok(())
    }
}
