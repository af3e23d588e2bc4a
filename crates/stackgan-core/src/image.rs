//! Pictures as bytes: conversion from a generator's tensor, PNG encoding and grids.

use std::io::{self, Write};

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use stackgan_kernels::locked_values;

use crate::{Error, Result};

/// Number of pixels per parallel task.
const PIXELS: usize = 1 << 13;

/// An RGB picture, with rows from top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// `3 * width * height` bytes.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// Converts a batch `(batch, 3, height, width)` in [-1, 1] to pictures.
    ///
    /// -1 always becomes 0, and 1 always becomes 255, so pictures from different calls can be
    /// compared.
    ///
    /// # Errors
    /// A tensor of another shape; [`Error::NotFinite`], because such a pixel has no colour.
    pub fn from_batch(images: &Tensor) -> Result<Vec<Self>> {
        let (_, channels, height, width) = images.dims4()?;
        if channels != 3 {
            return Err(Error::Picture(format!(
                "expected 3 channels, found shape {:?}",
                images.dims()
            )));
        }
        if !images.device().is_cpu()
            && let Some(pictures) = Self::from_device(images)?
        {
            return Ok(pictures);
        }
        let images = images.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
        let (storage, layout) = images.storage_and_layout();
        let values = locked_values(&storage, layout)?;
        let pixels = (height * width).max(1);
        if let Some(at) = values.par_iter().position_first(|value| !value.is_finite()) {
            let found = values.get(at).copied().unwrap_or(f32::NAN);
            return Err(Error::NotFinite { place: at / (3 * pixels), found });
        }
        let planes = values.chunks_exact(pixels);
        let planes: Vec<&[f32]> = planes.collect();
        Ok(planes.chunks_exact(3).map(|planes| Self::from_planes(planes, width, height)).collect())
    }

    /// As [`Self::from_batch`], with bytes that the device computes: a quarter of the size of the
    /// numbers has to be brought from it. `None` if one of them has no colour.
    fn from_device(images: &Tensor) -> Result<Option<Vec<Self>>> {
        let (batch, _, height, width) = images.dims4()?;
        let images = images.to_dtype(DType::F32)?;
        // A product of zero with NaN or infinity is NaN.
        if images.affine(0.0, 0.0)?.sum_all()?.to_scalar::<f32>()? != 0.0 {
            return Ok(None);
        }
        let levels = images.affine(1.0, 1.0)?.affine(127.5, 0.0)?.clamp(0f32, 255f32)?;
        let bytes = levels.affine(1.0, f64::from(HALF))?.to_dtype(DType::U8)?;
        let bytes = bytes.permute((0, 2, 3, 1))?.contiguous()?.flatten_all()?.to_vec1::<u8>()?;
        let size = (3 * height * width).max(1);
        let pictures = bytes.chunks_exact(size).take(batch);
        Ok(Some(pictures.map(|rgb| Self { width, height, rgb: rgb.to_vec() }).collect()))
    }

    /// Combines a red, a green and a blue plane in [-1, 1].
    fn from_planes(planes: &[&[f32]], width: usize, height: usize) -> Self {
        let mut rgb = vec![0; 3 * width * height];
        if let [red, green, blue] = planes {
            let planes =
                red.par_chunks(PIXELS).zip(green.par_chunks(PIXELS)).zip(blue.par_chunks(PIXELS));
            rgb.par_chunks_mut(3 * PIXELS).zip(planes).for_each(|(rgb, ((red, green), blue))| {
                for (((pixel, r), g), b) in rgb.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
                    pixel.copy_from_slice(&[byte(*r), byte(*g), byte(*b)]);
                }
            });
        }
        Self { width, height, rgb }
    }

    /// Returns a picture of a single colour.
    #[must_use]
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, rgb: colour.repeat(width * height) }
    }

    /// Returns the picture with every pixel repeated `factor` times in both directions.
    #[must_use]
    pub fn enlarged(&self, factor: usize) -> Self {
        let (width, height) = (self.width * factor, self.height * factor);
        let pixel = |i: usize| {
            let (y, x) = (i / width / factor, i % width / factor);
            self.rgb
                .get(3 * (y * self.width + x)..)
                .and_then(|s| s.first_chunk::<3>())
                .copied()
                .unwrap_or_default()
        };
        Self { width, height, rgb: (0..width * height).flat_map(pixel).collect() }
    }

    /// Returns the picture reduced to the means of squares of `factor` x `factor` pixels.
    #[must_use]
    pub fn reduced(&self, factor: usize) -> Self {
        let factor = factor.max(1);
        let (width, height) = (self.width / factor, self.height / factor);
        let mut rgb = Vec::with_capacity(3 * width * height);
        for (y, x, c) in
            (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| (y, x, c))))
        {
            let at = |dy, dx| 3 * ((y * factor + dy) * self.width + x * factor + dx) + c;
            let count = (factor * factor) as u64;
            let sum: u64 = (0..factor * factor)
                .map(|i| self.rgb.get(at(i / factor, i % factor)).map_or(0, |&v| u64::from(v)))
                .sum();
            rgb.push(((sum + count / 2) / count) as u8);
        }
        Self { width, height, rgb }
    }

    /// Encodes the picture as a PNG file with text chunks (keyword, text), which any viewer can
    /// show.
    ///
    /// # Errors
    /// When a keyword is no Latin-1 text of 1 to 79 characters, or a text holds U+0000.
    pub fn encode_png_with(&self, texts: &[(&str, &str)]) -> Result<Vec<u8>> {
        let failed = |e: png::EncodingError| Error::Picture(e.to_string());
        let mut file = Vec::new();
        let encoder = encoder(&mut file, (self.width, self.height), texts)
            .map_err(|e| Error::PictureText(e.to_string()))?; // nothing is written yet
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.rgb).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(file)
    }

    /// Encodes the picture as a PNG file.
    ///
    /// # Errors
    /// An empty picture.
    pub fn encode_png(&self) -> Result<Vec<u8>> {
        self.encode_png_with(&[])
    }
}

/// An encoder of RGB pictures of size (width, height), with text chunks (keyword, text).
///
/// # Errors
/// As [`Picture::encode_png_with`].
pub(crate) fn encoder<'a, W: Write>(
    to: W,
    (width, height): (usize, usize),
    texts: &[(&str, &str)],
) -> std::result::Result<png::Encoder<'a, W>, png::EncodingError> {
    let mut encoder = png::Encoder::new(to, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    for (keyword, text) in texts {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        if text.contains('\0') {
            return Err(invalid(format!("the text `{keyword}` holds U+0000")).into());
        }
        let latin = keyword.chars().all(|c| u32::from(c) < 256);
        if !latin || !(1..=79).contains(&keyword.chars().count()) {
            return Err(invalid(format!("the keyword `{keyword}`")).into());
        }
        encoder.add_itxt_chunk((*keyword).to_owned(), (*text).to_owned())?;
    }
    Ok(encoder)
}

/// The largest value below one half, so that the sum of [`byte`] is never rounded up to the next
/// integer.
pub(crate) const HALF: f32 = 0.499_999_97;

/// Maps -1 to 0 and 1 to 255, and rounds values between them to the nearest byte.
///
/// Differs from the release: the PyTorch release truncates, so its pictures are half a level
/// darker on average.
fn byte(value: f32) -> u8 {
    (((value + 1.0) * 127.5).clamp(0.0, 255.0) + HALF) as u8
}

/// Arranges pictures in rows of `columns`, `gap` white pixels apart. Cells have the size of the
/// largest picture.
#[must_use]
pub fn grid(pictures: &[Picture], columns: usize, gap: usize) -> Picture {
    let columns = columns.clamp(1, pictures.len().max(1));
    let rows = pictures.len().div_ceil(columns);
    let cell_w = pictures.iter().map(|p| p.width).max().unwrap_or(0) + gap;
    let cell_h = pictures.iter().map(|p| p.height).max().unwrap_or(0) + gap;
    let mut sheet = Picture::filled(columns * cell_w + gap, rows * cell_h + gap, [255; 3]);
    for (i, picture) in pictures.iter().enumerate() {
        let (row, column) = (i / columns, i % columns);
        let (top, left) = (gap + row * cell_h, gap + column * cell_w);
        for (y, line) in picture.rgb.chunks_exact(3 * picture.width.max(1)).enumerate() {
            let start = 3 * ((top + y) * sheet.width + left);
            if let Some(target) = sheet.rgb.get_mut(start..start + line.len()) {
                target.copy_from_slice(line);
            }
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// It would be black, as a picture may be.
    #[test]
    fn a_pixel_that_is_no_number_is_an_error() {
        for found in [f32::NAN, f32::INFINITY] {
            let mut values = [0f32; 18];
            values[13] = found;
            let batch = Tensor::new(&values, &Device::Cpu).unwrap().reshape((3, 3, 1, 2)).unwrap();
            let error = Picture::from_batch(&batch).unwrap_err();
            assert!(matches!(error, Error::NotFinite { place: 2, .. }), "{error}");
        }
    }

    #[test]
    fn tensors_become_bytes_in_the_right_places() -> Result<()> {
        // Two pictures of 1 row and 2 columns.
        let values = [-1f32, 1.0, 0.0, 0.5, -3.0, 3.0, 1.0, 1.0, -1.0, -1.0, 0.0, 0.0];
        let batch = Tensor::new(&values, &Device::Cpu)?.reshape((2, 3, 1, 2))?;
        let pictures = Picture::from_batch(&batch)?;
        assert_eq!(pictures[0].rgb, [0, 128, 0, 255, 191, 255]);
        assert_eq!(pictures[1].rgb, [255, 0, 128, 255, 0, 128]);
        Ok(())
    }

    /// As computed on a GPU, whose operations are these too.
    #[test]
    fn a_device_computes_the_same_bytes() -> Result<()> {
        let near = |level: u16| (f32::from(level) + 0.5) / 127.5 - 1.0;
        let mut values: Vec<f32> = (0..255).flat_map(|level| [near(level), -near(level)]).collect();
        values.extend([-1.0, 1.0, -7.0, 7.0, 0.0, -0.0]);
        let batch = Tensor::from_vec(values.clone(), (2, 3, 2, 43), &Device::Cpu)?;
        assert_eq!(Picture::from_device(&batch)?, Some(Picture::from_batch(&batch)?));
        for found in [f32::NAN, f32::NEG_INFINITY] {
            let mut values = values.clone();
            values[100] = found;
            let batch = Tensor::from_vec(values, (2, 3, 2, 43), &Device::Cpu)?;
            assert_eq!(Picture::from_device(&batch)?, None);
        }
        Ok(())
    }

    #[test]
    fn a_grid_that_is_not_square_has_every_picture_in_its_cell() {
        let pictures: Vec<_> = (1..=5).map(|i| Picture::filled(2, 2, [i * 10; 3])).collect();
        let sheet = grid(&pictures, 3, 1);
        assert_eq!((sheet.width, sheet.height), (10, 7));
        let at = |x: usize, y: usize| sheet.rgb[3 * (y * sheet.width + x)];
        assert_eq!(
            [at(1, 1), at(4, 1), at(7, 1), at(1, 4), at(4, 4), at(7, 4)],
            [10, 20, 30, 40, 50, 255]
        );
        assert_eq!([at(0, 0), at(3, 1), at(2, 2)], [255, 255, 10]);
    }

    #[test]
    fn enlarging_and_reducing_undo_each_other() {
        let picture = Picture { width: 3, height: 2, rgb: (0..18).map(|i| i * 10).collect() };
        let large = picture.enlarged(4);
        assert_eq!((large.width, large.height, large.rgb[3 * (7 * 12 + 11)]), (12, 8, 150));
        assert_eq!(large.reduced(4), picture);
        let white = |side| Picture::filled(side, side, [255; 3]);
        assert!(white(4200).reduced(4200) == white(1), "sums beyond 32 bits");
    }

    #[test]
    fn a_png_can_be_read_back_with_its_texts() -> Result<()> {
        let picture = Picture { width: 3, height: 2, rgb: (0..18).map(|i| i * 10).collect() };
        let file = picture.encode_png_with(&[("stackgan", "a red bird – 2")])?;
        let mut reader = png::Decoder::new(io::Cursor::new(file)).read_info().unwrap();
        let mut rgb = vec![0; 18];
        reader.next_frame(&mut rgb).unwrap();
        assert_eq!(rgb, picture.rgb);
        assert_eq!(reader.info().utf8_text[0].get_text().unwrap(), "a red bird – 2");
        Ok(())
    }
}
