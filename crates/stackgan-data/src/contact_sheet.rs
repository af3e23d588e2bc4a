//! Many prepared pictures on one sheet, to look at a dataset before training on it.

use crate::prepared::Prepared;
use crate::{Error, Result};
use image::{Rgb, RgbImage};

/// How a sheet is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SheetLayout {
    /// Pictures in a row, at least 1.
    pub columns: usize,
    /// Pixels between pictures and around them.
    pub gap: usize,
    /// Whether the part that the middle crop takes is framed.
    pub frame: Frame,
}

/// Whether the middle crop is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A white line around what evaluation sees.
    MiddleCrop,
    /// Nothing.
    None,
}

impl Default for SheetLayout {
    fn default() -> Self {
        Self { columns: 8, gap: 4, frame: Frame::None }
    }
}

/// The largest side of a sheet in pixels.
const MAX_SIDE: usize = 16_384;

/// The pictures `indices` in rows, in their order.
///
/// # Errors
/// When there are no pictures, more than fit a sheet of 16,384 pixels a side, or an index is not in the file.
pub fn contact_sheet(data: &Prepared, indices: &[usize], layout: SheetLayout) -> Result<RgbImage> {
    let side = data.size().prepared();
    let columns = layout.columns.clamp(1, indices.len().max(1));
    let rows = indices.len().div_ceil(columns);
    let step = side.saturating_add(layout.gap);
    let pixels = |n: usize| n.saturating_mul(step).saturating_add(layout.gap);
    let (width, height) = (pixels(columns), pixels(rows));
    if indices.is_empty() || width > MAX_SIDE || height > MAX_SIDE {
        return Err(Error::config(
            "contact sheet cannot have this size",
            (
                format!("1 picture or more and at most {MAX_SIDE} pixels a side"),
                format!("{} pictures, {width} x {height} pixels", indices.len()),
            ),
            "show fewer pictures, or other columns",
        ));
    }
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, Rgb([40, 40, 40]));
    for (place, &i) in indices.iter().enumerate() {
        let Some(mut picture) = RgbImage::from_raw(side as u32, side as u32, data.image(i)?) else {
            continue; // `image` returns exactly these bytes
        };
        if layout.frame == Frame::MiddleCrop {
            frame(&mut picture, data.size().crop() as u32);
        }
        let (x, y) = (layout.gap + place % columns * step, layout.gap + place / columns * step);
        image::imageops::replace(&mut sheet, &picture, x as i64, y as i64);
    }
    Ok(sheet)
}

/// A white line around the middle square of `inner` pixels.
fn frame(picture: &mut RgbImage, inner: u32) {
    let from = (picture.width() - inner) / 2;
    let (low, high) = (from.saturating_sub(1), from + inner);
    for k in low..=high {
        for (x, y) in [(k, low), (k, high), (low, k), (high, k)] {
            if let Some(pixel) = picture.get_pixel_mut_checked(x, y) {
                *pixel = Rgb([255; 3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::PictureSize;
    use crate::testing::prepared;

    #[test]
    fn pictures_lie_in_order() {
        let (_dir, _, data) = prepared(7, 2, PictureSize::Stage1);
        let layout = SheetLayout { columns: 3, gap: 2, frame: Frame::None };
        let sheet = contact_sheet(&data, &[6, 1, 2, 3, 4], layout).unwrap();
        assert_eq!(sheet.dimensions(), (3 * 78 + 2, 2 * 78 + 2));
        let at = |i: usize, x: usize, y: usize| {
            let bytes = data.image(i).unwrap();
            let from = (y * 76 + x) * 3;
            Rgb([bytes[from], bytes[from + 1], bytes[from + 2]])
        };
        assert_eq!(*sheet.get_pixel(2 + 9, 2 + 5), at(6, 9, 5));
        assert_eq!(*sheet.get_pixel(2 + 78 + 75, 2 + 78), at(4, 75, 0));
        assert_eq!(*sheet.get_pixel(0, 0), Rgb([40; 3]));
        let framed = SheetLayout { frame: Frame::MiddleCrop, ..layout };
        let framed = contact_sheet(&data, &[6], framed).unwrap();
        assert_eq!(*framed.get_pixel(2 + 5, 2 + 40), Rgb([255; 3]));
        assert_eq!(*framed.get_pixel(2 + 6, 2 + 40), at(6, 6, 40));
    }

    #[test]
    fn impossible_sheets_are_refused() {
        let (_dir, _, data) = prepared(3, 2, PictureSize::Stage1);
        let default = SheetLayout::default();
        assert!(contact_sheet(&data, &[], default).is_err());
        assert!(contact_sheet(&data, &[3], default).is_err());
        assert!(contact_sheet(&data, &[0; 2000], SheetLayout { columns: 1, ..default }).is_err());
        assert!(contact_sheet(&data, &[0], SheetLayout { gap: usize::MAX, ..default }).is_err());
    }
}
