//! Text on pictures, in Noto Sans Mono of 16 pixels (`noto-sans-mono-bitmap`: Latin letters with
//! accents). Characters that the font lacks are drawn as a question mark in a box.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{
    FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width,
};

const WEIGHT: FontWeight = FontWeight::Regular;
const SIZE: RasterHeight = RasterHeight::Size16;

/// Distance between lines in pixels.
pub const LINE: u32 = 17;

/// Width of every letter in pixels.
pub const ADVANCE: u32 = get_raster_width(WEIGHT, SIZE) as u32;

/// Splits `text` into lines of at most `width` pixels, between words if possible. Returns at least
/// one line.
pub fn wrap(text: &str, width: u32) -> Vec<String> {
    let most = (width / ADVANCE).max(1) as usize;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + letters.len() <= most {
            if let Some(line) = lines.last_mut() {
                line.push(' ');
                line.extend(letters);
            }
            continue;
        }
        if used > 0 {
            lines.push(String::new());
        }
        while letters.len() > most {
            let rest = letters.split_off(most);
            if let Some(line) = lines.last_mut() {
                line.extend(letters);
            }
            lines.push(String::new());
            letters = rest;
        }
        if let Some(line) = lines.last_mut() {
            line.extend(letters);
        }
    }
    lines
}

/// Draws `text` with its top left corner at `(x, y)`, clipped to the picture.
pub fn draw(picture: &mut RgbImage, (x, y): (u32, u32), text: &str, colour: Rgb<u8>) {
    for (n, c) in (0u32..).zip(text.chars()) {
        let Some(letter) = letter(c) else { continue };
        for (dy, row) in (0u32..).zip(letter.rows()) {
            for (dx, &ink) in (0u32..).zip(row.iter()) {
                if let Some(pixel) = picture.get_pixel_mut_checked(x + n * ADVANCE + dx, y + dy) {
                    let mixed = |ground: u8, colour: u8| {
                        let (ink, ground, colour) =
                            (u32::from(ink), u32::from(ground), u32::from(colour));
                        ((ground * (255 - ink) + colour * ink + 127) / 255) as u8
                    };
                    let (Rgb(ground), Rgb(ours)) = (*pixel, colour);
                    *pixel = Rgb(std::array::from_fn(|c| {
                        mixed(
                            ground.get(c).copied().unwrap_or(0),
                            ours.get(c).copied().unwrap_or(0),
                        )
                    }));
                }
            }
        }
    }
}

fn letter(c: char) -> Option<RasterizedChar> {
    let of = |c| get_raster(c, WEIGHT, SIZE);
    of(c).or_else(|| of('\u{fffd}')).or_else(|| of('?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_between_words() {
        let width = |letters: u32| letters * ADVANCE;
        assert_eq!(wrap("a small red bird", width(9)), ["a small", "red bird"]);
        assert_eq!(wrap("a small red bird", width(16)), ["a small red bird"]);
        assert_eq!(wrap("abcdefgh ij", width(3)), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("  ", width(3)), [""]);
        assert_eq!(wrap("é—", 0), ["é", "—"]);
    }

    #[test]
    fn every_letter_leaves_ink_of_its_own() {
        let drawn = |text: &str| {
            let mut picture = RgbImage::from_pixel(40, LINE, Rgb([0; 3]));
            draw(&mut picture, (2, 0), text, Rgb([255, 0, 9]));
            picture.into_raw()
        };
        let mut seen = std::collections::BTreeSet::new();
        for c in ('!'..='~').chain("éÄŁő".chars()) {
            assert!(seen.insert(drawn(&c.to_string())), "{c}");
        }
        assert!(seen.insert(drawn("鳥"))); // a missing character is visible as such
        assert_eq!(drawn("鳥"), drawn("鸟"));
        assert!(drawn(" ").iter().all(|&v| v == 0));
        let far = drawn("wide beyond the picture");
        assert_eq!(far.len(), 40 * 17 * 3);
    }
}
