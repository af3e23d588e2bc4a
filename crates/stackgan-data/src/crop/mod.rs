//! From a picture file to a square of bytes: decoding within limits, the release's crop around the
//! bird, and resizing.
//!
//! Source: TensorFlow release, `misc/utils.py`, `misc/preprocess_birds.py` and `misc/datasets.py`;
//! PyTorch release, `code/miscc/datasets.py`.

mod decode;
mod webp;

pub use crate::dataset::Orientation;
pub use decode::{MAX_FILE, MAX_SIDE, decode, decode_as};
pub use image::math::Rect;

use crate::counted;
use crate::dataset::BoundingBox;
use crate::error::printable;
use crate::{Error, Result};
use fast_image_resize as fir;
use fir::pixels::U8x3;
use image::RgbImage;
use std::path::Path;

/// The size of prepared pictures: the stored square, and the random crop of it that the networks
/// see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureSize {
    /// 76 pixels stored, 64 seen by Stage-I.
    Stage1,
    /// 304 pixels stored, 256 seen by Stage-II.
    Stage2,
}

impl PictureSize {
    /// Side of the prepared square in pixels: 76 or 304.
    #[must_use]
    pub const fn prepared(self) -> usize {
        match self {
            Self::Stage1 => 76,
            Self::Stage2 => 304,
        }
    }

    /// Side of the crop in pixels: 64 or 256.
    #[must_use]
    pub const fn crop(self) -> usize {
        match self {
            Self::Stage1 => 64,
            Self::Stage2 => 256,
        }
    }

    /// The size whose prepared side is `side`.
    pub(crate) const fn from_prepared(side: usize) -> Option<Self> {
        match side {
            76 => Some(Self::Stage1),
            304 => Some(Self::Stage2),
            _ => None,
        }
    }
}

/// The filter that reduces a picture. Both filters widen with the reduction, as Pillow's do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resizing {
    /// The `residual` recipe: bicubic (a = -0.5) to 304 pixels, and from the resulting bytes
    /// bicubic to 76.
    #[default]
    Residual,
    /// The `plain` recipe: bilinear directly to 304 or 76 pixels.
    Plain,
}

/// Whether the contrast of each cropped picture is stretched to 0..=255 before resizing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stretch {
    /// Colours are not changed.
    ///
    /// Differs from the release: there, stretching is a side effect of a library call, and differs
    /// from picture to picture.
    #[default]
    None,
    /// As the TensorFlow release does implicitly: one range for all three channels together
    /// (`bytescale` in `scipy.misc.imresize`).
    AsReleased,
}

/// How the whole of a picture without a box becomes a square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// It is squeezed to a square, as in the releases.
    #[default]
    Squeeze,
    /// The largest square around its centre is taken, and what lies beside it is lost.
    Centre,
}

/// How a picture becomes a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// The size of the square.
    pub size: PictureSize,
    /// The filter.
    pub resizing: Resizing,
    /// The contrast stretch.
    pub stretch: Stretch,
    /// What happens to pictures without a box.
    pub fit: Fit,
}

impl Preparation {
    /// Squares with the pictures' own contrast; pictures without a box are squeezed.
    #[must_use]
    pub const fn squeezed(size: PictureSize, resizing: Resizing) -> Self {
        Self { size, resizing, stretch: Stretch::None, fit: Fit::Squeeze }
    }
}

/// The release's crop around a box.
///
/// The square has the centre of the box and extends 0.75 times its longer side in each direction.
/// It is clipped to the picture, so it is not always square. `None` if no part of it lies in the
/// picture.
#[must_use]
pub fn crop_rule(bounds: BoundingBox, width: u32, height: u32) -> Option<Rect> {
    let [x, y, w, h] = [bounds.x, bounds.y, bounds.width, bounds.height].map(f64::trunc);
    if ![x, y, w, h].iter().all(|v| v.is_finite()) {
        return None;
    }
    let centre_x = ((2.0 * x + w) / 2.0).trunc();
    let centre_y = ((2.0 * y + h) / 2.0).trunc();
    let r = (w.max(h) * 0.75).trunc();
    let span = |centre: f64, limit: u32| {
        let from = (centre - r).max(0.0);
        let to = (centre + r).min(f64::from(limit));
        (from < to).then_some((from as u32, (to - from) as u32))
    };
    let ((x, width), (y, height)) = (span(centre_x, width)?, span(centre_y, height)?);
    Some(Rect { x, y, width, height })
}

/// The largest square around the centre of a picture; half a pixel is rounded to the left and up.
fn centred_square(width: u32, height: u32) -> Rect {
    let side = width.min(height);
    Rect { x: (width - side) / 2, y: (height - side) / 2, width: side, height: side }
}

/// The part of a picture that becomes the square; `None` is all of it.
///
/// # Errors
/// When the box lies outside of the picture; names `file`.
pub(crate) fn taken(
    bounds: Option<BoundingBox>,
    fit: Fit,
    (width, height): (u32, u32),
    file: &Path,
) -> Result<Option<Rect>> {
    match (bounds, fit) {
        (Some(bounds), _) => part(bounds, (width, height), file).map(Some),
        (None, Fit::Squeeze) => Ok(None),
        (None, Fit::Centre) => Ok(Some(centred_square(width, height))),
    }
}

/// Applies [`crop_rule`] to the picture in `file`. Boxes that reach beyond the picture are cut, as
/// the release's are.
///
/// Differs from the release: there, the square around a box that lies outside may reach into the
/// picture, and is taken.
///
/// # Errors
/// When no part of the box lies in the picture.
pub(crate) fn part(bounds: BoundingBox, (width, height): (u32, u32), file: &Path) -> Result<Rect> {
    let BoundingBox { x, y, width: w, height: h } = bounds;
    let meets = |from: f64, length: f64, limit: u32| from < f64::from(limit) && from + length > 0.0;
    let inside = meets(x, w, width) && meets(y, h, height);
    crop_rule(bounds, width, height).filter(|_| inside).ok_or_else(|| {
        let what = if inside { "is too small" } else { "lies outside of the picture" };
        Error::malformed(
            file,
            format!("bounding box {what}"),
            "bounding box",
            (format!("a box of 2 pixels or more within {width} x {height}"), bounds.to_string()),
            "correct the picture's box in bounding_boxes.txt or in the table",
        )
    })
}

/// Whether a box reaches beyond its picture by more than the pixel that may come of rounding.
pub(crate) fn reaches_beyond(bounds: BoundingBox, (width, height): (u32, u32)) -> bool {
    let BoundingBox { x, y, width: w, height: h } = bounds;
    x.min(y) < -1.0 || x + w > f64::from(width) + 1.0 || y + h > f64::from(height) + 1.0
}

/// The error for a dataset of `n` pictures, some of which have these faults.
pub(crate) fn unusable(n: usize, faults: &[Error]) -> Error {
    let (what, remedy) = if faults.len() == n {
        (format!("no picture of {n} can be used"), "replace or correct them")
    } else {
        (
            format!("{} of {} cannot be used", faults.len(), counted(n, "picture")),
            "replace or correct them, or leave them out: `stackgan data import DIR --damaged leave-out`",
        )
    };
    let expected = "whole JPEG, PNG or WebP pictures with their boxes inside";
    Error::together(what, expected, (faults, faults.len()), remedy)
}

/// The prepared square of a picture: `size * size * 3` bytes, RGB, row by row.
///
/// # Errors
/// When the box lies outside of the picture; names `file`.
pub fn prepare(
    image: RgbImage,
    bounds: Option<BoundingBox>,
    how: Preparation,
    file: &Path,
) -> Result<Vec<u8>> {
    let mut image = match taken(bounds, how.fit, image.dimensions(), file)? {
        None => image,
        Some(r) => image::imageops::crop_imm(&image, r.x, r.y, r.width, r.height).to_image(),
    };
    if how.stretch == Stretch::AsReleased {
        stretch_contrast(&mut image);
    }
    let filter = match how.resizing {
        Resizing::Residual => fir::FilterType::CatmullRom,
        Resizing::Plain => fir::FilterType::Bilinear,
    };
    let square = |side: usize| (side as u32, side as u32);
    let image = match (how.resizing, how.size) {
        (Resizing::Residual, PictureSize::Stage1) => {
            resize_to(image, square(PictureSize::Stage2.prepared()), filter, file)?
        }
        _ => image,
    };
    Ok(resize_to(image, square(how.size.prepared()), filter, file)?.into_raw())
}

/// Resizes a square picture (RGB bytes, row by row) to a side of `side` pixels.
///
/// The filter is bilinear and widens with the reduction, as Pillow's does.
///
/// # Errors
/// When the bytes are not a square picture, or `side` is 0 or above 8192; names `file`.
pub fn resize_square(picture: Vec<u8>, side: u32, file: &Path) -> Result<Vec<u8>> {
    let length = picture.len();
    let from = ((length / 3) as f64).sqrt() as u32;
    if !(1..=8192).contains(&side) {
        let pair = ("a side of 1 to 8192 pixels", side.to_string());
        let (what, remedy) = ("picture cannot be resized", "ask for another side");
        return Err(Error::malformed(file, what, "its new side", pair, remedy));
    }
    let Some(image) = RgbImage::from_raw(from, from, picture)
        .filter(|_| from > 0 && u64::from(from).pow(2) * 3 == length as u64)
    else {
        let pair = ("a square of RGB bytes", format!("{length} bytes"));
        let (what, remedy) = ("picture cannot be resized", "prepare the pictures again");
        return Err(Error::malformed(file, what, "picture", pair, remedy));
    };
    Ok(resize_to(image, (side, side), fir::FilterType::Bilinear, file)?.into_raw())
}

/// Resizes to a width and height, ignoring the aspect ratio.
pub(crate) fn resize_to(
    image: RgbImage,
    (to_width, to_height): (u32, u32),
    filter: fir::FilterType,
    file: &Path,
) -> Result<RgbImage> {
    if image.dimensions() == (to_width, to_height) {
        return Ok(image);
    }
    let failed = |e: &dyn std::fmt::Display| {
        let pair = ("a picture", printable(&e.to_string()));
        Error::malformed(file, "picture cannot be resized", "picture", pair, "replace it")
    };
    let (width, height) = image.dimensions();
    // Typed views: for images of any type the crate's loops for every type would be compiled here.
    let source = fir::images::TypedImageRef::<U8x3>::from_buffer(width, height, image.as_raw())
        .map_err(|e| failed(&e))?;
    let mut resized = RgbImage::new(to_width, to_height);
    let mut target =
        fir::images::TypedImage::<U8x3>::from_buffer(to_width, to_height, &mut resized)
            .map_err(|e| failed(&e))?;
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter));
    fir::Resizer::new().resize_typed(&source, &mut target, &options).map_err(|e| failed(&e))?;
    Ok(resized)
}

/// scipy's `bytescale`: maps the range of all channels together to 0..=255, rounding half up.
fn stretch_contrast(image: &mut RgbImage) {
    let (low, high) = image.iter().fold((255u8, 0u8), |(low, high), &v| (low.min(v), high.max(v)));
    let range = if high > low { f64::from(high - low) } else { 1.0 };
    let table: Vec<u8> = (0..=255u8)
        .map(|v| (f64::from(v.saturating_sub(low)) * (255.0 / range)).clamp(0.0, 255.0) + 0.5)
        .map(|v| v as u8)
        .collect();
    for value in image.iter_mut() {
        *value = table.get(usize::from(*value)).copied().unwrap_or(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn bounds(x: f64, y: f64, width: f64, height: f64) -> BoundingBox {
        BoundingBox { x, y, width, height }
    }

    #[test]
    fn crops_follow_the_release_by_hand() {
        // (60, 27, 325, 304) in 500 x 335: centre (222, 179), R 243.
        let r = crop_rule(bounds(60.0, 27.0, 325.0, 304.0), 500, 335).unwrap();
        assert_eq!(r, Rect { x: 0, y: 0, width: 465, height: 335 });
        // Completely inside: centre (50, 50), R 15.
        let r = crop_rule(bounds(40.9, 40.2, 20.7, 20.1), 100, 100).unwrap();
        assert_eq!(r, Rect { x: 35, y: 35, width: 30, height: 30 });
    }

    /// Compares random boxes with the rule in integers.
    #[test]
    fn random_boxes_equal_the_rule_in_integers() {
        let noise = stackgan_noise::Noise::new(3);
        for case in 0..5000 {
            let mut d = noise.draws(stackgan_noise::Stream::Test, 0, case);
            let [x, y] = [0, 1].map(|_| d.range(-50.0, 600.0));
            let [w, h] = [0, 1].map(|_| d.range(0.0, 600.0));
            let (width, height) = (1 + d.below(500) as i64, 1 + d.below(500) as i64);
            let [xi, yi, wi, hi] = [x, y, w, h].map(|v| v as i64);
            let (cx, cy, r) = ((2 * xi + wi) / 2, (2 * yi + hi) / 2, 3 * wi.max(hi) / 4);
            let (x1, x2) = ((cx - r).max(0), (cx + r).min(width));
            let (y1, y2) = ((cy - r).max(0), (cy + r).min(height));
            let expected = (x1 < x2 && y1 < y2).then(|| Rect {
                x: x1 as u32,
                y: y1 as u32,
                width: (x2 - x1) as u32,
                height: (y2 - y1) as u32,
            });
            assert_eq!(crop_rule(bounds(x, y, w, h), width as u32, height as u32), expected);
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(crop_rule(bounds(bad, 0.0, 5.0, 5.0), 10, 10), None);
        }
    }

    /// The square around a box may reach into a picture where the box does not.
    #[test]
    fn a_box_without_a_pixel_of_its_picture_is_refused_and_one_with_some_is_cut() {
        let of = |x, y, w, h| part(bounds(x, y, w, h), (80, 60), Path::new("a.png"));
        for (x, y, w, h) in [
            (90.0, 70.0, 50.0, 50.0), // its square begins at 78, 58
            (80.0, 0.0, 50.0, 50.0),
            (0.0, 60.0, 50.0, 50.0),
            (-50.0, 0.0, 50.0, 50.0),
            (0.0, -50.5, 50.0, 50.0),
            (90.0, 0.0, 1.0, 1.0),
            (f64::NAN, 0.0, 50.0, 50.0),
        ] {
            let said = of(x, y, w, h).unwrap_err().to_string();
            assert!(said.contains("lies outside of the picture"), "{said}");
            assert!(said.contains("a.png") && said.contains("within 80 x 60"), "{said}");
        }
        for (x, y, w, h, beyond) in [
            (79.5, 59.5, 50.0, 50.0, true),
            (-49.5, -49.5, 50.0, 50.0, true),
            (70.0, 10.0, 11.5, 40.0, true),
            (10.0, 20.0, 40.0, 41.0, false),
            (-1.0, -1.0, 82.0, 62.0, false),
            (10.0, 10.0, 20.0, 20.0, false),
        ] {
            let bounds = bounds(x, y, w, h);
            assert_eq!(of(x, y, w, h).unwrap(), crop_rule(bounds, 80, 60).unwrap());
            assert_eq!(reaches_beyond(bounds, (80, 60)), beyond, "{bounds}");
        }
        let small = of(10.0, 10.0, 1.9, 1.9).unwrap_err().to_string();
        assert!(small.contains("too small"), "{small}");
    }

    #[test]
    fn stretching_is_joint_over_the_channels() {
        let mut image = RgbImage::from_fn(2, 1, |x, _| Rgb([50 + x as u8 * 100, 75, 100]));
        stretch_contrast(&mut image);
        assert_eq!(image.as_raw()[..], [0, 64, 127, 255, 64, 127]); // 2.55 * 50 < 127.5 in floats
        let mut flat = RgbImage::from_pixel(3, 3, Rgb([9, 9, 9]));
        stretch_contrast(&mut flat);
        assert!(flat.iter().all(|&v| v == 0));
    }

    #[test]
    fn the_centred_square_is_the_largest_and_lies_inside() {
        for (sides, square) in [
            ((5, 5), [0, 0, 5]),
            ((8, 5), [1, 0, 5]),
            ((5, 8), [0, 1, 5]),
            ((9, 5), [2, 0, 5]),
            ((1, 7), [0, 3, 1]),
            ((8192, 1), [4095, 0, 1]),
        ] {
            let r = centred_square(sides.0, sides.1);
            assert_eq!(([r.x, r.y, r.width], r.height), (square, r.width), "{sides:?}");
            assert!(r.x + r.width <= sides.0 && r.y + r.height <= sides.1);
        }
    }

    /// A wide picture that is blue beside a centred green square. A box is not touched by the fit.
    #[test]
    fn the_centre_is_taken_only_without_a_box() {
        let image = RgbImage::from_fn(300, 100, |x, _| {
            if (100..200).contains(&x) { Rgb([0, 255, 0]) } else { Rgb([0, 0, 255]) }
        });
        let of = |fit, bounds| {
            let how = Preparation {
                size: PictureSize::Stage1,
                resizing: Resizing::Plain,
                stretch: Stretch::None,
                fit,
            };
            prepare(image.clone(), bounds, how, Path::new("f")).unwrap()
        };
        assert!(of(Fit::Centre, None).chunks_exact(3).all(|p| p == [0, 255, 0]));
        assert!(of(Fit::Squeeze, None).chunks_exact(3).any(|p| p == [0, 0, 255]));
        let bounds = Some(bounds(0.0, 0.0, 40.0, 40.0));
        assert_eq!(of(Fit::Centre, bounds), of(Fit::Squeeze, bounds));
    }

    #[test]
    fn squares_have_their_size_and_keep_flat_colours() {
        for size in [PictureSize::Stage1, PictureSize::Stage2] {
            for resizing in [Resizing::Residual, Resizing::Plain] {
                let how = Preparation::squeezed(size, resizing);
                let image = RgbImage::from_pixel(500, 333, Rgb([10, 200, 30]));
                let square =
                    prepare(image, Some(bounds(3.0, 4.0, 100.0, 50.0)), how, Path::new("f"))
                        .unwrap();
                assert_eq!(square.len(), size.prepared().pow(2) * 3);
                assert!(square.chunks_exact(3).all(|p| p == [10, 200, 30]));
            }
        }
        let how = Preparation::squeezed(PictureSize::Stage1, Resizing::Plain);
        let (image, outside) = (RgbImage::new(20, 20), Some(bounds(90.0, 0.0, 5.0, 5.0)));
        let refused = prepare(image, outside, how, Path::new("f.jpg"));
        assert!(refused.unwrap_err().to_string().contains("f.jpg"));
    }
}
