//! Decoding of JPEG, PNG and WebP within limits. All pictures are converted to 8-bit RGB:
//!
//! | stored | becomes | as Pillow's `convert("RGB")`? |
//! |---|---|---|
//! | grey | three equal channels | yes |
//! | CMYK, YCCK (JPEG) | `(255 - C) (255 - K) / 255`, and so on | yes |
//! | palette | its colours | yes |
//! | alpha | the colour on a white ground | no: it drops alpha |
//! | 16 bits | divided by 257, rounded | no: it takes the upper byte, and cuts deep grey at 255 |
//!
//! An animated WebP is refused: which of its pictures the captions mean is not known.

use super::webp;
use crate::dataset::Orientation;
use crate::error::printable;
use crate::{Error, Result};
use image::{ImageDecoder as _, ImageFormat, RgbImage};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Maximum width and height, in pixels.
pub const MAX_SIDE: u32 = 8192;

/// Maximum area, in pixels: that of telephones with 48 and 50 million. Decoding takes at most 12 bytes
/// of heap a pixel, so 0.8 GB in each thread (tests/heap).
const MAX_AREA: u64 = 64_000_000;

/// Maximum length of a picture file, in bytes.
pub const MAX_FILE: u64 = 128 << 20;

/// Decodes a JPEG, PNG or WebP as it is stored; `file` is for messages.
///
/// # Errors
/// As [`decode_as`].
pub fn decode(bytes: &[u8], file: &Path) -> Result<RgbImage> {
    decode_as(bytes, Orientation::AsStored, file)
}

/// Decodes a JPEG, PNG or WebP; `file` is for messages.
///
/// # Errors
/// When the format is another, or the picture is larger than [`MAX_SIDE`] or 64 million pixels,
/// truncated, damaged or animated. A panic in the decoder is reported as such an error too.
pub fn decode_as(bytes: &[u8], orientation: Orientation, file: &Path) -> Result<RgbImage> {
    let too_large = |found: String| {
        let million = MAX_AREA / 1_000_000;
        let what =
            format!("picture has more than {MAX_SIDE} pixels a side or {million} million in all");
        let remedy = "make it smaller, or take it out of the dataset";
        Error::malformed(file, what, "picture", ("a smaller one", found), remedy)
    };
    let refuse = |expected: String, found: String| {
        let remedy =
            "replace the picture by a whole JPEG, PNG or WebP, or take it out of the dataset";
        Error::malformed(file, "picture cannot be decoded", "picture", (expected, found), remedy)
    };
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) => format,
        _ if bytes.is_empty() => {
            return Err(refuse("JPEG, PNG or WebP".into(), "an empty file".into()));
        }
        _ => return Err(refuse("JPEG, PNG or WebP".into(), "another format".into())),
    };
    let large = |(width, height): (u32, u32)| too_large(format!("{width} x {height}"));
    let cut = |end: &str| refuse(end.into(), "a picture that is cut off".into());
    let bytes = match format {
        ImageFormat::Jpeg => match jpeg_end(bytes).and_then(|end| bytes.get(..end)) {
            Some(bytes) => bytes,
            None => return Err(cut("an end-of-image marker")),
        },
        ImageFormat::WebP => match webp::whole(bytes, fits) {
            Ok(bytes) => bytes,
            Err(webp::Flaw::Cut) => return Err(cut("as many bytes as its header says")),
            Err(webp::Flaw::Animated) => {
                return Err(refuse("one picture".into(), "an animated WebP".into()));
            }
            Err(webp::Flaw::Large(width, height)) => return Err(large((width, height))),
        },
        _ => bytes,
    };
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let mut reader = image::ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(MAX_AREA * 8);
        reader.limits(limits);
        let mut decoder = reader.into_decoder()?;
        let (width, height) = decoder.dimensions();
        if !fits(width, height) {
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
        Ok(Ok(Err(sides))) => Err(large(sides)),
        Ok(Err(image::ImageError::Limits(error))) => Err(too_large(printable(&error.to_string()))),
        Ok(Err(error)) => Err(refuse(format!("a whole {format:?}"), printable(&error.to_string()))),
        Err(_) => Err(refuse(format!("a whole {format:?}"), "what makes the decoder fail".into())),
    }
}

/// Whether a picture of these sides is decoded.
fn fits(width: u32, height: u32) -> bool {
    width <= MAX_SIDE && height <= MAX_SIDE && u64::from(width) * u64::from(height) <= MAX_AREA
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
        let lossless = encoded(&plain, ImageFormat::WebP);
        assert_eq!(decode(&lossless, Path::new("w")).unwrap(), image);
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
        let webp = encoded(&noise_picture(64, 48).into(), ImageFormat::WebP);
        for webp in [&webp, LOSSY, EXTENDED] {
            assert!(decode(webp, Path::new("w")).is_ok());
            assert!(decode(&[webp, &b"after"[..]].concat(), Path::new("w")).is_ok());
            for cut in 0..webp.len() - 1 {
                assert!(decode(&webp[..cut], Path::new("w")).is_err(), "{cut} of {}", webp.len());
            }
        }
        let error = decode(ANIMATED, Path::new("a.webp")).unwrap_err().to_string();
        assert!(error.contains("found an animated WebP"), "{error}");
        assert!(decode(b"GIF89a", Path::new("g")).is_err());
    }

    /// Written by Pillow (`tests/fixtures/webp/make.py`), with what Pillow decodes.
    const LOSSY: &[u8] = include_bytes!("../../tests/fixtures/webp/lossy.webp");
    const EXTENDED: &[u8] = include_bytes!("../../tests/fixtures/webp/extended.webp");
    const ANIMATED: &[u8] = include_bytes!("../../tests/fixtures/webp/animated.webp");

    /// A lossy picture in the upper half of which red fades to green; the extended one has a
    /// transparent lower half and an EXIF tag that turns it by 90 degrees.
    #[test]
    fn a_webp_of_another_program_is_read() {
        let picture = decode(LOSSY, Path::new("w")).unwrap();
        assert_eq!(picture.dimensions(), (40, 24));
        let near = |found: &RgbImage, (x, y): (u32, u32), wanted: [u8; 3]| {
            let found = found.get_pixel(x, y).0;
            let far = found.iter().zip(wanted).any(|(a, b)| a.abs_diff(b) > 12);
            assert!(!far, "{found:?} at {x}, {y}, not {wanted:?}");
        };
        near(&picture, (2, 4), [240, 12, 0]);
        near(&picture, (37, 4), [20, 235, 0]);
        near(&picture, (20, 20), [0, 0, 255]);
        let upright = decode_as(EXTENDED, Orientation::Upright, Path::new("w")).unwrap();
        assert_eq!(upright.dimensions(), (24, 40));
        near(&upright, (19, 2), [240, 12, 0]);
        near(&upright, (3, 20), [255, 255, 255]);
    }

    /// The sizes in a file's header and in its picture contradict each other.
    #[test]
    fn a_webp_bomb_is_refused_before_memory_is_reserved() {
        let at = LOSSY.windows(3).position(|w| w == [0x9d, 0x01, 0x2a]).unwrap() + 3;
        let mut bomb = LOSSY.to_vec();
        bomb[at..at + 4].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
        let error = decode(&bomb, Path::new("bomb.webp")).unwrap_err().to_string();
        assert!(error.contains("found 16383 x 16383"), "{error}");
        let mut bomb = encoded(&noise_picture(16, 16).into(), ImageFormat::WebP);
        let at = bomb.iter().position(|&byte| byte == 0x2f).unwrap() + 1;
        bomb[at..at + 4].fill(0xff);
        let error = decode(&bomb, Path::new("bomb.webp")).unwrap_err().to_string();
        assert!(error.contains("found 16384 x 16384"), "{error}");
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
        for (height, width) in [(0xffff, 0xffff), (8193, 1), (8192, 8192u16)] {
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
    fn pictures_of_telephones_are_taken() {
        for (width, height) in [(8000, 6000), (6120, 8160), (8192, 6144), (8000, 8000)] {
            assert!(fits(width, height) && fits(height, width), "{width} x {height}");
        }
        assert!(!fits(8192, 8192) && !fits(8193, 1) && !fits(8001, 8000));
    }

    #[test]
    fn seeded_damage_never_panics() {
        let noise = stackgan_noise::Noise::new(5);
        let of = |format| encoded(&noise_picture(24, 20).into(), format);
        let own = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP].map(of);
        let corpus = own.into_iter().chain([LOSSY.to_vec(), EXTENDED.to_vec()]);
        for (k, whole) in corpus.enumerate() {
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
