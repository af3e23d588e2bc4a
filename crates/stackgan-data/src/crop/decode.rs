//! Decoding of JPEG and PNG within limits. All pictures are converted to 8-bit RGB:
//!
//! | stored | becomes | as Pillow's `convert("RGB")`? |
//! |---|---|---|
//! | grey | three equal channels | yes |
//! | CMYK, YCCK (JPEG) | `(255 - C) (255 - K) / 255`, and so on | yes |
//! | palette | its colours | yes |
//! | alpha | dropped, the colour beneath stays | yes |
//! | 16 bits | divided by 257, rounded | no: it takes the upper byte, and cuts deep grey at 255 |

use crate::dataset::Orientation;
use crate::error::printable;
use crate::{Error, Result};
use image::{ImageDecoder as _, ImageFormat, RgbImage};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Maximum width and height, in pixels.
pub const MAX_SIDE: u32 = 8192;

/// Maximum area, in pixels.
pub const MAX_AREA: u64 = 40_000_000;

/// Maximum length of a picture file, in bytes.
pub const MAX_FILE: u64 = 128 << 20;

/// Decodes a JPEG or PNG as it is stored; `file` is for messages.
///
/// # Errors
/// As [`decode_as`].
pub fn decode(bytes: &[u8], file: &Path) -> Result<RgbImage> {
    decode_as(bytes, Orientation::AsStored, file)
}

/// Decodes a JPEG or PNG; `file` is for messages.
///
/// # Errors
/// When the format is another, or the picture is larger than [`MAX_SIDE`] or [`MAX_AREA`],
/// truncated or damaged. A panic in the decoder is reported as such an error too.
pub fn decode_as(bytes: &[u8], orientation: Orientation, file: &Path) -> Result<RgbImage> {
    let too_large = |found: String| {
        let million = MAX_AREA / 1_000_000;
        let what =
            format!("picture has more than {MAX_SIDE} pixels a side or {million} million in all");
        let remedy = "make it smaller, or take it out of the dataset";
        Error::malformed(file, what, "picture", ("a smaller one", found), remedy)
    };
    let refuse = |expected: String, found: String| {
        let remedy = "replace the picture by a whole JPEG or PNG, or take it out of the dataset";
        Error::malformed(file, "picture cannot be decoded", "picture", (expected, found), remedy)
    };
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) => format,
        _ if bytes.is_empty() => return Err(refuse("JPEG or PNG".into(), "an empty file".into())),
        _ => return Err(refuse("JPEG or PNG".into(), "another format".into())),
    };
    let bytes = match format {
        ImageFormat::Jpeg => jpeg_end(bytes).and_then(|end| bytes.get(..end)),
        _ => Some(bytes),
    };
    let Some(bytes) = bytes else {
        return Err(refuse("an end-of-image marker".into(), "a picture that is cut off".into()));
    };
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let mut reader = image::ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(MAX_AREA * 8);
        reader.limits(limits);
        let mut decoder = reader.into_decoder()?;
        let (width, height) = decoder.dimensions();
        if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_AREA
        {
            return Ok(Err((width, height)));
        }
        let turn = match orientation {
            Orientation::AsStored => image::metadata::Orientation::NoTransforms,
            Orientation::Upright => decoder.orientation()?,
        };
        let stored = image::DynamicImage::from_decoder(decoder)?;
        let stored = match stored.color().has_alpha() {
            true => on_white(&stored.into_rgba8()),
            false => stored.into_rgb8(),
        };
        let mut image = image::DynamicImage::from(stored);
        image.apply_orientation(turn);
        Ok::<_, image::ImageError>(Ok(image.into_rgb8()))
    }));
    match attempt {
        Ok(Ok(Ok(image))) if image.width() > 0 && image.height() > 0 => Ok(image),
        Ok(Ok(Ok(_))) => Err(refuse("at least one pixel".into(), "none".into())),
        Ok(Ok(Err((width, height)))) => Err(too_large(format!("{width} x {height}"))),
        Ok(Err(image::ImageError::Limits(error))) => Err(too_large(printable(&error.to_string()))),
        Ok(Err(error)) => Err(refuse(format!("a whole {format:?}"), printable(&error.to_string()))),
        Err(_) => Err(refuse(format!("a whole {format:?}"), "what makes the decoder fail".into())),
    }
}

/// The picture on a white ground.
fn on_white(image: &image::RgbaImage) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let image::Rgba([r, g, b, alpha]) = *image.get_pixel(x, y);
        let alpha = u32::from(alpha);
        let over = |c: u8| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        image::Rgb([r, g, b].map(over))
    })
}

/// Finds the end of a JPEG: the offset after the end-of-image marker that follows its scans (ITU-T
/// T.81, B.1.1 and B.2).
///
/// `None` if there is no such marker, because decoders silently accept most truncated files. What
/// cameras append after it (a film, larger previews) is not part of the picture. A thumbnail is
/// inside a segment, which is skipped by its length. Compressed data contains no markers except
/// restarts, because its 0xff bytes are followed by 0.
fn jpeg_end(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut scans) = (2, 0);
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        // Any number of 0xff bytes may precede a marker.
        at += bytes.get(at..)?.iter().position(|&byte| byte != 0xff)?;
        let marker = bytes.get(at).copied()?;
        at += 1;
        match marker {
            0xd9 => return (scans > 0).then_some(at),
            0xd8 if scans > 0 => return None, // the start of another picture
            0xc0..=0xcf | 0xda..=0xfe => {
                let length = bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)?;
                at += usize::from(length).max(2);
                scans += usize::from(marker == 0xda);
            }
            _ => {} // a byte of compressed data, a restart, or a marker without a segment
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn encoded(image: &image::DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn noise_picture(width: u32, height: u32) -> RgbImage {
        let mut d = stackgan_noise::Noise::new(1).draws(stackgan_noise::Stream::Test, 0, 0);
        RgbImage::from_fn(width, height, |_, _| Rgb([0; 3].map(|_: u8| d.below(256) as u8)))
    }

    #[test]
    fn what_is_too_large_is_told_with_its_size() {
        let wide = image::DynamicImage::new_luma8(9000, 3);
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let error = decode(&encoded(&wide, format), Path::new("a")).unwrap_err();
            let (said, listed) = (error.to_string(), error.reason());
            assert!(said.contains("make it smaller"), "{said}");
            let told = listed.contains("8192 pixels a side") && listed.contains("9000 x 3");
            assert!(told, "{listed}");
        }
        let empty = decode(b"", Path::new("a")).unwrap_err().reason();
        assert!(empty.contains("an empty file"), "{empty}");
    }

    /// Drawings are often saved on a transparent ground, whose stored colour is black.
    #[test]
    fn what_is_transparent_is_white() {
        let image = image::RgbaImage::from_fn(4, 1, |x, _| {
            image::Rgba(
                [[200, 0, 0, 255], [0, 0, 0, 0], [200, 0, 100, 128], [9, 9, 9, 0]][x as usize],
            )
        });
        let png = encoded(&image.into(), ImageFormat::Png);
        let found = decode(&png, Path::new("p")).unwrap();
        let pixels: Vec<[u8; 3]> = found.pixels().map(|p| p.0).collect();
        assert_eq!(pixels, [[200, 0, 0], [255; 3], [227, 127, 177], [255; 3]]);
    }

    #[test]
    fn grey_alpha_and_deep_pictures_become_rgb() {
        let grey = image::GrayImage::from_fn(9, 7, |x, y| image::Luma([(x * 20 + y) as u8]));
        let grey = image::DynamicImage::from(grey);
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let rgb = decode(&encoded(&grey, format), Path::new("g")).unwrap();
            assert!(rgb.pixels().all(|p| p.0[0] == p.0[1] && p.0[1] == p.0[2]));
        }
        let image = noise_picture(5, 5);
        let plain = image::DynamicImage::from(image.clone());
        for deep in [plain.to_rgba8().into(), plain.to_rgb16().into()] {
            let deep: image::DynamicImage = deep;
            assert_eq!(decode(&encoded(&deep, ImageFormat::Png), Path::new("p")).unwrap(), image);
        }
    }

    #[test]
    fn cut_and_foreign_pictures_are_refused() {
        let whole = encoded(&noise_picture(64, 48).into(), ImageFormat::Jpeg);
        assert!(decode(&whole, Path::new("j")).is_ok());
        for cut in (0..whole.len() - 1).step_by(7) {
            let error = decode(&whole[..cut], Path::new("a/b.jpg")).unwrap_err().to_string();
            assert!(error.contains("a/b.jpg"), "{error}");
        }
        let png = encoded(&noise_picture(64, 48).into(), ImageFormat::Png);
        for cut in (0..png.len() - 16).step_by(97) {
            assert!(decode(&png[..cut], Path::new("p")).is_err(), "{cut} of {}", png.len());
        }
        assert!(decode(b"GIF89a", Path::new("g")).is_err());
    }

    #[test]
    fn what_follows_a_whole_picture_is_left_aside() {
        let whole = encoded(&noise_picture(64, 48).into(), ImageFormat::Jpeg);
        let own = decode(&whole, Path::new("j")).unwrap();
        let video = [0xff, 0xda, 0, 0xff, 0xd8, 7].repeat(40);
        for after in [&[0xff, 0xda][..], &[0; 9], &video, &whole[..whole.len() / 2], &whole] {
            let found = decode(&[&whole, after].concat(), Path::new("motion.jpg")).unwrap();
            assert_eq!(found, own);
            // A truncated picture stays one, whatever a camera appended to it.
            for cut in [whole.len() / 2, whole.len() - 2] {
                let cut = [&whole[..cut], &whole, after].concat();
                assert!(decode(&cut, Path::new("cut.jpg")).is_err());
            }
        }
    }

    #[test]
    fn the_end_of_a_jpeg_is_that_of_its_own_scans() {
        let thumbnail =
            [&[0xff, 0xe1, 0, 12][..], &[0xff, 0xd8, 0xff, 0xda, 1, 0xff, 0xd9, 0xff, 0xda, 2]]
                .concat();
        let scan = [0xff, 0xda, 0, 4, 0xff, 0xd9, 5, 0xff, 0, 0xff, 0xd3, 0xff, 0xff, 0xff, 0, 9];
        let tables = [0xff, 0xff, 0xc4, 0, 3, 0xff];
        let whole =
            [&[0xff, 0xd8][..], &thumbnail, &tables, &scan, &tables, &scan, &[0xff, 0xff, 0xd9]]
                .concat();
        assert_eq!(jpeg_end(&whole), Some(whole.len()));
        assert_eq!(jpeg_end(&[&whole, &[0xff, 0xd9, 0xff, 0xda][..]].concat()), Some(whole.len()));
        for cut in 0..whole.len() {
            assert_eq!(jpeg_end(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(jpeg_end(&[&[0xff, 0xd8][..], &thumbnail, &[0xff, 0xd9]].concat()), None); // no scan
    }

    /// Rejected by the header, before any pixel is decoded.
    #[test]
    fn bombs_are_refused_by_their_header() {
        let mut jpeg = encoded(&noise_picture(16, 16).into(), ImageFormat::Jpeg);
        let sof = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        for (height, width) in [(0xffff, 0xffff), (8193, 1), (8000, 8000u16)] {
            let (h, w) = (height as u16)
                .to_be_bytes()
                .into_iter()
                .zip(width.to_be_bytes())
                .unzip::<_, _, Vec<_>, Vec<_>>();
            jpeg[sof + 5..sof + 7].copy_from_slice(&h);
            jpeg[sof + 7..sof + 9].copy_from_slice(&w);
            let started = std::time::Instant::now();
            assert!(decode(&jpeg, Path::new("bomb.jpg")).is_err());
            assert!(started.elapsed().as_millis() < 500);
        }
    }

    #[test]
    fn seeded_damage_never_panics() {
        let noise = stackgan_noise::Noise::new(5);
        for (k, format) in [ImageFormat::Jpeg, ImageFormat::Png].into_iter().enumerate() {
            let whole = encoded(&noise_picture(24, 20).into(), format);
            for case in 0..1500 {
                let mut d = noise.draws(stackgan_noise::Stream::Test, k as u64, case);
                let mut bytes = whole.clone();
                for _ in 0..=d.below(6) {
                    let at = d.below(bytes.len() as u64) as usize;
                    bytes[at] = d.below(256) as u8;
                }
                let _ = decode(&bytes, Path::new("x")).map(|image| image.dimensions());
            }
        }
    }
}
