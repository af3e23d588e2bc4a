//! Contact sheets: pictures with their captions, to inspect a dataset before training.
//!
//! For a folder, each source picture is shown with its box and the cropped part, beside the
//! resulting square. For a prepared file only the squares are shown.

use crate::crop::{self, Orientation, Preparation};
use crate::dataset::{BoundingBox, Dataset, Item, Split, evenly};
use crate::error::counted;
use crate::formats::read_bounded;
use crate::letters;
use crate::prepared::{Damaged, Prepared};
use crate::{Error, Result};
use fast_image_resize::FilterType;
use image::{Rgb, RgbImage};
use std::collections::BTreeSet;

/// Height of every picture on a sheet, in pixels: three times that of Stage-I's squares.
const HEIGHT: u32 = 228;

/// Maximum width of a source picture on a sheet, in pixels.
const WIDEST: u32 = 400;

/// Space between and around the elements, in pixels.
const GAP: u32 = 10;

/// Number of captions shown per picture; the sheet gives the number of the others.
const CAPTIONS: usize = 3;

/// Maximum side of a sheet, in pixels.
pub const MAX_SIDE: u64 = 16_384;

const GROUND: Rgb<u8> = Rgb([28, 28, 30]);
const NAME: Rgb<u8> = Rgb([255, 255, 255]);
const CAPTION: Rgb<u8> = Rgb([205, 205, 210]);
const QUIET: Rgb<u8> = Rgb([150, 150, 156]);
const BOX: Rgb<u8> = Rgb([255, 214, 10]);
const TAKEN: Rgb<u8> = Rgb([255, 69, 58]);
const MIDDLE: Rgb<u8> = Rgb([255, 255, 255]);

/// Explanation of the lines on a sheet of a folder.
pub const LEGEND: &str = "left: the source, yellow its box, red the part that is taken; right: the prepared square, white \
                          what evaluation sees of it";

/// Explanation of the lines on a sheet of a prepared file.
pub const LEGEND_PREPARED: &str = "prepared squares, white what evaluation sees of them";

/// One picture on a sheet.
#[derive(Clone, Debug)]
pub struct Exhibit {
    pictures: Vec<RgbImage>,
    /// The name of the picture.
    pub name: String,
    /// All its captions.
    pub captions: Vec<String>,
}

impl Exhibit {
    /// Picture `i` of a prepared file.
    ///
    /// # Errors
    /// When there is no such picture, or the file cannot be read.
    pub fn prepared(data: &Prepared, i: usize) -> Result<Self> {
        let side = data.size().prepared() as u32;
        let square = RgbImage::from_raw(side, side, data.image(i)?).unwrap_or_default();
        let name = describe(data.key(i), data.split(i).unwrap_or(Split::Train), data.class(i));
        Ok(Self {
            pictures: vec![enlarged(square, data.size().crop() as u32, data.path())?],
            name,
            captions: data.captions(i).to_vec(),
        })
    }

    /// A picture of a folder, with the square that `how` makes of it.
    ///
    /// # Errors
    /// When the picture cannot be decoded, or its box lies outside of it.
    pub fn source(item: &Item, orientation: Orientation, how: Preparation) -> Result<Self> {
        let bytes = read_bounded(&item.image, crop::MAX_FILE)?;
        let source = crop::decode_as(&bytes, orientation, &item.image)?;
        let (width, height) = source.dimensions();
        let side = how.size.prepared() as u32;
        let square = crop::prepare(source.clone(), item.bounding_box, how, &item.image)?;
        let square = RgbImage::from_raw(side, side, square).unwrap_or_default();
        let scale =
            (f64::from(HEIGHT) / f64::from(height)).min(f64::from(WIDEST) / f64::from(width));
        let scaled = |length: f64| (length * scale).round();
        let (w, h) = (scaled(f64::from(width)).max(1.0), scaled(f64::from(height)).max(1.0));
        let filter = FilterType::Bilinear;
        let mut source = crop::resize_to(source, (w as u32, h as u32), filter, &item.image)?;
        if let Some(BoundingBox { x, y, width: w, height: h }) = item.bounding_box {
            frame(&mut source, [x, y, x + w, y + h].map(scaled), BOX);
        }
        let taken = crop::taken(item.bounding_box, how.fit, (width, height), &item.image)?;
        if let Some(r) = taken {
            let taken = [r.x, r.y, r.x + r.width, r.y + r.height].map(f64::from);
            frame(&mut source, taken.map(scaled), TAKEN);
        }
        let name = describe(&item.key, item.split, Some(item.class));
        let inner = how.size.crop() as u32;
        let pictures = vec![source, enlarged(square, inner, &item.image)?];
        Ok(Self { pictures, name, captions: item.captions.clone() })
    }

    /// `n` pictures of a dataset, evenly spread over it. Instead of a damaged one that is left out
    /// comes one of those after it.
    ///
    /// # Errors
    /// As [`Exhibit::source`].
    pub fn of_dataset(
        data: &Dataset,
        n: usize,
        (how, damaged): (Preparation, Damaged),
    ) -> Result<Vec<Self>> {
        let starts: Vec<usize> = evenly(data.items.len(), n).collect();
        let ends = starts.iter().skip(1).copied().chain([data.items.len()]);
        let classes: BTreeSet<u32> = data.items.iter().map(|item| item.class).collect();
        let known = classes.len() < data.items.len(); // else each picture has its own
        let of = |item: &Item| -> Result<Self> {
            let shown = Self::source(item, data.orientation, how)?;
            let name = describe(&item.key, item.split, known.then_some(item.class));
            Ok(Self { name, ..shown })
        };
        let mut found = Vec::new();
        for (start, end) in starts.iter().zip(ends) {
            let items = data.items.get(*start..end).unwrap_or_default();
            let mut tried = items.iter().map(of);
            match damaged {
                Damaged::Refuse => found.extend(tried.next().transpose()?),
                Damaged::LeaveOut => found.extend(tried.find_map(Result::ok)),
            }
        }
        match data.items.first().filter(|_| found.is_empty() && n > 0) {
            Some(first) => Ok(vec![of(first)?]), // none can be used: what is wrong with the first
            None => Ok(found),
        }
    }

    /// `n` pictures of a prepared file, evenly spread over it.
    ///
    /// # Errors
    /// As [`Exhibit::prepared`].
    pub fn of_prepared(data: &Prepared, n: usize) -> Result<Vec<Self>> {
        evenly(data.len(), n).map(|i| Self::prepared(data, i)).collect()
    }

    fn width(&self) -> u32 {
        let pictures: u32 = self.pictures.iter().map(|picture| picture.width() + GAP).sum();
        pictures.saturating_sub(GAP)
    }

    /// The lines under the picture, at most `width` pixels wide.
    fn lines(&self, width: u32) -> Vec<(String, Rgb<u8>)> {
        let mut lines = Vec::new();
        let mut add = |text: &str, colour: Rgb<u8>| {
            lines.extend(letters::wrap(text, width).into_iter().map(|line| (line, colour)));
        };
        add(&self.name, NAME);
        for caption in self.captions.iter().take(CAPTIONS) {
            add(if caption.is_empty() { "(no text)" } else { caption }, CAPTION);
        }
        match self.captions.len().saturating_sub(CAPTIONS) {
            0 => {}
            more => add(&format!("and {}", counted(more, "more caption")), QUIET),
        }
        lines
    }
}

fn describe(key: &str, split: Split, class: Option<u32>) -> String {
    let class = class.map_or_else(String::new, |class| format!(", class {class}"));
    format!("{key} ({}{class})", split.name())
}

/// A square enlarged to the size of the sheet, with a frame around its middle part of `inner` of
/// its own pixels.
fn enlarged(square: RgbImage, inner: u32, file: &std::path::Path) -> Result<RgbImage> {
    let side = f64::from(square.width().max(1));
    let mut large = crop::resize_to(square, (HEIGHT, HEIGHT), FilterType::Bilinear, file)?;
    let scale = f64::from(HEIGHT) / side;
    let corner = (side - f64::from(inner)) / 2.0;
    let (low, high) = ((corner * scale).round(), ((side - corner) * scale).round());
    frame(&mut large, [low, low, high, high], MIDDLE);
    Ok(large)
}

/// Draws a frame of two pixels just inside the rectangle (left, top, right, bottom), clipped to the
/// picture.
fn frame(picture: &mut RgbImage, [left, top, right, bottom]: [f64; 4], colour: Rgb<u8>) {
    let (width, height) = picture.dimensions();
    let inside = |value: f64, limit: u32| value.clamp(0.0, f64::from(limit)) as u32;
    let (left, right) = (inside(left, width), inside(right, width));
    let (top, bottom) = (inside(top, height), inside(bottom, height));
    for (x, y) in (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y))) {
        let edge = (x - left).min(y - top).min(right - 1 - x).min(bottom - 1 - y);
        if edge < 2
            && let Some(pixel) = picture.get_pixel_mut_checked(x, y)
        {
            *pixel = colour;
        }
    }
}

/// Arranges the exhibits in rows, in their order, with their captions, and `legend` at the bottom.
/// The sheet is about as wide as high.
///
/// # Errors
/// When there are no exhibits, or more than fit on a sheet of [`MAX_SIDE`] pixels per side.
pub fn contact_sheet(exhibits: &[Exhibit], legend: &str) -> Result<RgbImage> {
    let cell = exhibits.iter().map(Exhibit::width).max().unwrap_or(0).max(HEIGHT);
    let lines: Vec<_> = exhibits.iter().map(|exhibit| exhibit.lines(cell)).collect();
    let height = |lines: &[(String, Rgb<u8>)]| {
        HEIGHT + GAP / 2 + lines.len() as u32 * letters::LINE + 2 * GAP
    };
    let mean =
        lines.iter().map(|lines| u64::from(height(lines))).sum::<u64>() / lines.len().max(1) as u64;
    let square = (exhibits.len() as f64 * mean as f64 / f64::from(cell + GAP)).sqrt().round();
    let columns = (square as usize).clamp(1, exhibits.len().max(1));
    let rows: Vec<u32> = lines
        .chunks(columns)
        .map(|row| row.iter().map(|lines| height(lines)).max().unwrap_or(0))
        .collect();
    let width = columns as u64 * u64::from(cell + GAP) + u64::from(GAP);
    let legend = letters::wrap(legend, width.min(MAX_SIDE) as u32 - 2 * GAP);
    let foot = legend.len() as u64 * u64::from(letters::LINE) + u64::from(GAP);
    let all = rows.iter().map(|&row| u64::from(row)).sum::<u64>() + u64::from(GAP) + foot;
    if exhibits.is_empty() || width > MAX_SIDE || all > MAX_SIDE {
        let expected = format!("1 picture or more and at most {MAX_SIDE} pixels a side");
        let found = format!("{} pictures, {width} x {all} pixels", exhibits.len());
        let what = "contact sheet cannot have this size";
        return Err(Error::config(what, (expected, found), "show fewer pictures"));
    }
    let mut sheet = RgbImage::from_pixel(width as u32, all as u32, GROUND);
    let mut top = GAP;
    for ((exhibits, lines), height) in exhibits.chunks(columns).zip(lines.chunks(columns)).zip(rows)
    {
        let mut left = GAP;
        for (exhibit, lines) in exhibits.iter().zip(lines) {
            let mut x = left;
            for picture in &exhibit.pictures {
                image::imageops::replace(&mut sheet, picture, i64::from(x), i64::from(top));
                x += picture.width() + GAP;
            }
            for (n, (line, colour)) in lines.iter().enumerate() {
                let y = top + HEIGHT + GAP / 2 + n as u32 * letters::LINE;
                letters::draw(&mut sheet, (left, y), line, *colour);
            }
            left += cell + GAP;
        }
        top += height;
    }
    for (n, line) in legend.iter().enumerate() {
        letters::draw(&mut sheet, (GAP, top + n as u32 * letters::LINE), line, QUIET);
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests;
