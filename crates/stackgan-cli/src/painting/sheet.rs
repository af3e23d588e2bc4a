//! A table of pictures on one sheet, with a heading, and with labels above the columns and before
//! the rows.

use anyhow::Result;
use image::{Rgb, RgbImage, imageops};
use stackgan_core::image::Picture;
use stackgan_data::contact_sheet::MAX_SIDE;
use stackgan_data::letters::{self, ADVANCE, LINE};

use crate::exit::Problem;

/// Minimum side of a picture in pixels. Smaller ones are enlarged, so that there is room for the
/// labels.
const CELL: usize = 128;
/// Number of characters per line of a row label.
const LETTERS: u32 = 20;
/// Maximum number of lines above a column.
const ABOVE: usize = 16;
/// Space between pictures and around them, in pixels.
const GAP: u32 = 4;

const GROUND: Rgb<u8> = Rgb([255; 3]);
const INK: Rgb<u8> = Rgb([30, 30, 34]);

/// A sheet with its labels. Pictures are placed on it as they are painted.
pub(crate) struct Sheet {
    sheet: RgbImage,
    /// Position of the first picture.
    corner: (u32, u32),
    /// Side of a picture on the sheet, and side of the pictures to place.
    side: (u32, usize),
}

impl Sheet {
    /// Returns an empty sheet for pictures of `side` pixels, with a column for each of `columns`
    /// and a row for each of `rows`. If all row labels are empty, no space is left for them. A
    /// label that does not fit beside its row, or in 16 lines above its column, ends in dots.
    ///
    /// # Errors
    /// Code 2 if the sheet would be larger than 16,384 pixels per side.
    pub(crate) fn new(
        heading: &str,
        columns: &[String],
        rows: &[String],
        side: usize,
    ) -> Result<Self> {
        let cell = (side * CELL.div_ceil(side.max(1)).max(1)) as u32;
        let beside = (cell / LINE).max(1) as usize;
        let before: Vec<Vec<String>> =
            rows.iter().map(|row| label(row, LETTERS * ADVANCE, beside)).collect();
        let longest = before.iter().flatten().map(|line| line.chars().count()).max().unwrap_or(0);
        let margin = if longest == 0 { 0 } else { longest as u32 * ADVANCE + 2 * GAP };
        let left = GAP + margin;
        let across = u64::from(left) + columns.len() as u64 * u64::from(cell + GAP);
        let above: Vec<Vec<String>> =
            columns.iter().map(|column| label(column, cell, ABOVE)).collect();
        let heading = letters::wrap(heading, (across as u32).saturating_sub(2 * GAP));
        let rows_of_words = above.iter().map(Vec::len).max().unwrap_or(0) as u32;
        let head = GAP + heading.len() as u32 * LINE + GAP;
        let top = head + rows_of_words * LINE + GAP;
        let down = u64::from(top) + rows.len() as u64 * u64::from(cell + GAP);
        if across > MAX_SIDE || down > MAX_SIDE {
            let parts = (
                format!("at most {MAX_SIDE} pixels a side"),
                format!("{across} x {down}, for {} x {} pictures", columns.len(), rows.len()),
            );
            let fewer = "ask for fewer alternatives or seeds";
            let remedy = match side {
                0..=64 => fewer.to_owned(),
                _ => format!("{fewer}, or for smaller pictures: `--stage 1`"),
            };
            let what = "the sheet is too large";
            return Err(Problem::usage(what, "option: --prompt", parts, remedy).into());
        }
        let mut sheet = RgbImage::from_pixel(across as u32, down as u32, GROUND);
        let mut write = |x: u32, y: u32, lines: &[String]| {
            for (n, line) in (0u32..).zip(lines) {
                letters::draw(&mut sheet, (x, y + n * LINE), line, INK);
            }
        };
        write(GAP, GAP, &heading);
        for (n, lines) in (0u32..).zip(&above) {
            let down = rows_of_words - lines.len() as u32; // the last line touches the picture
            write(left + n * (cell + GAP), head + down * LINE, lines);
        }
        for (n, lines) in (0u32..).zip(&before) {
            let room = cell.saturating_sub(lines.len() as u32 * LINE) / 2;
            write(GAP, top + n * (cell + GAP) + room, lines);
        }
        Ok(Self { sheet, corner: (left, top), side: (cell, side) })
    }

    /// Places a picture in its cell.
    pub(crate) fn put(&mut self, (column, row): (usize, usize), picture: &Picture) {
        let (cell, side) = self.side;
        let picture = picture.enlarged(cell as usize / side.max(1));
        let image = RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.rgb);
        let (left, top) = self.corner;
        let at = |corner: u32, n: usize| i64::from(corner) + n as i64 * i64::from(cell + GAP);
        imageops::replace(
            &mut self.sheet,
            &image.unwrap_or_default(),
            at(left, column),
            at(top, row),
        );
    }

    /// The sheet as a picture.
    pub(crate) fn picture(self) -> Picture {
        let (width, height) = (self.sheet.width() as usize, self.sheet.height() as usize);
        Picture { width, height, rgb: self.sheet.into_raw() }
    }
}

/// Breaks a label into lines of at most `width` pixels. If there are more than `most` lines, the
/// last one ends in three full stops, because the font has no ellipsis.
fn label(words: &str, width: u32, most: usize) -> Vec<String> {
    const DOTS: &str = "...";
    let mut lines = letters::wrap(words, width);
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            let room = ((width / ADVANCE) as usize).saturating_sub(DOTS.len());
            let kept: String = last.chars().take(room).collect();
            *last = kept.trim_end().to_owned() + DOTS;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn pictures_lie_in_their_cells_and_words_do_not_reach_into_them() {
        let mut sheet = Sheet::new(
            "a {red,blue} bird",
            &words(&["red", "blue"]),
            &words(&["seed 0", "seed 1"]),
            64,
        )
        .unwrap();
        for (column, row) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let grey = 100 + 10 * (row * 2 + column) as u8;
            sheet.put((column, row), &Picture::filled(64, 64, [grey; 3]));
        }
        let (left, top) = sheet.corner;
        let at = |x: u32, y: u32| sheet.sheet.get_pixel(left + x, top + y).0[0];
        let step = 128 + GAP;
        assert_eq!([at(0, 0), at(127, 127), at(step, 0)], [100, 100, 110]);
        assert_eq!([at(0, step), at(step, step), at(step + 127, step + 127)], [120, 130, 130]);
        assert_eq!([at(128, 0), at(0, 128)], [255, 255]);
        assert_eq!((sheet.sheet.width(), sheet.sheet.height()), (left + 2 * step, top + 2 * step));
        let ink = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
            y.flat_map(|y| x.clone().map(move |x| (x, y)))
                .any(|(x, y)| sheet.sheet.get_pixel(x, y).0[0] < 90)
        };
        assert!(ink(0..left + 2 * step, 0..GAP + LINE), "no heading");
        assert!(
            ink(left..left + step, GAP + LINE..top)
                && ink(left + step..left + 2 * step, GAP + LINE..top)
        );
        assert!(ink(0..left, top..top + step) && ink(0..left, top + step..top + 2 * step));
    }

    #[test]
    fn rows_without_words_take_no_room_and_large_sheets_are_refused() {
        let sheet = Sheet::new("h", &words(&["a"]), &words(&[""]), 256).unwrap();
        assert_eq!(sheet.corner.0, GAP);
        assert_eq!(sheet.sheet.width(), 256 + 2 * GAP);
        for (side, columns, proposes) in [(256, 64, true), (64, 130, false)] {
            let columns = words(&["a"].repeat(columns));
            let error = Sheet::new("h", &columns, &words(&[""]), side).err().unwrap().to_string();
            assert!(error.contains("too large"), "{error}");
            assert_eq!(error.contains("--stage 1"), proposes, "{error}");
        }
    }

    #[test]
    fn long_words_end_in_dots_before_the_next_row() {
        let long = "a bird with a very long description of its plumage ".repeat(40);
        let long = long.trim_end();
        let sheet =
            Sheet::new("h", &words(&[long, "red"]), &words(&[long, long, "seed 1"]), 64).unwrap();
        let (left, top) = sheet.corner;
        assert_eq!(top, GAP + LINE + GAP + ABOVE as u32 * LINE + GAP, "the column's words are cut");
        let rows = |from: u32, to: u32| {
            let ink = |y: &u32| (0..left).any(|x| sheet.sheet.get_pixel(x, top + y).0[0] < 90);
            (from..to).filter(ink).count()
        };
        let step = 128 + GAP;
        assert!(rows(0, 128) > 30 && rows(step, step + 128) > 30, "no words before the rows");
        assert_eq!([rows(128, step), rows(step + 128, 2 * step)], [0, 0], "words run over");
        let lines = label(long, LETTERS * ADVANCE, 7);
        assert!(lines.len() == 7 && lines[6].ends_with("..."), "{lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= LETTERS as usize), "{lines:?}");
        assert_eq!(label("seed 1", 160, 7), ["seed 1"]);
    }
}
