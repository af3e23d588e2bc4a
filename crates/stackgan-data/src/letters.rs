//! Text on pictures, in Noto Sans Mono of 16 pixels (`noto-sans-mono-bitmap`: Latin letters with
//! accents). Typographic signs that the font lacks are drawn as plain ones, other characters as an
//! empty box.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

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
    let mut lines: Vec<String> = Vec::new();
    for word in plainly(text).split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + letters.len() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(letters.chunks(most).map(|part| part.iter().collect::<String>())),
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// Draws `text` with its top left corner at `(x, y)`, clipped to the picture.
pub fn draw(picture: &mut RgbImage, (x, y): (u32, u32), text: &str, colour: Rgb<u8>) {
    for (n, c) in (0u32..).zip(plainly(text).chars()) {
        for (dy, row) in (0u32..).zip(ink(c)) {
            for (dx, &ink) in (0u32..).zip(row.iter()) {
                let (x, y) = (x.saturating_add(n * ADVANCE + dx), y.saturating_add(dy));
                if let Some(pixel) = picture.get_pixel_mut_checked(x, y) {
                    let ink = u32::from(ink);
                    for (ground, ours) in pixel.0.iter_mut().zip(colour.0) {
                        let mixed = u32::from(*ground) * (255 - ink) + u32::from(ours) * ink;
                        *ground = ((mixed + 127) / 255) as u8;
                    }
                }
            }
        }
    }
}

/// The ink of a letter, row by row: its own, or a box.
fn ink(c: char) -> Vec<Vec<u8>> {
    if let Some(letter) = get_raster(c, WEIGHT, SIZE) {
        return letter.rows().map(<[u8]>::to_vec).collect();
    }
    let (right, top, bottom) = (ADVANCE - 2, 3, 13);
    let edge = |x: u32, y: u32| match (x, y) {
        (x, y) if x < 1 || x > right || y < top || y > bottom => 0,
        (x, y) if x == 1 || x == right || y == top || y == bottom => 255,
        _ => 0,
    };
    (0..=bottom).map(|y| (0..ADVANCE).map(|x| edge(x, y)).collect()).collect()
}

/// What is drawn for typographic signs that the font does not have.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        '‘' | '’' | '‚' | '′' => "'",
        '“' | '”' | '„' | '″' => "\"",
        '‐' | '‑' | '‒' | '–' | '—' | '−' => "-",
        '…' => "...",
        '€' => "EUR",
        '\u{a0}' | '\u{2009}' | '\u{202f}' => " ",
        _ => return None,
    })
}

/// The text in letters that the font has, as far as there are such.
fn plainly(text: &str) -> String {
    let mut drawn = String::with_capacity(text.len());
    for c in text.chars() {
        match plain(c).filter(|_| get_raster(c, WEIGHT, SIZE).is_none()) {
            Some(plain) => drawn.push_str(plain),
            None => drawn.push(c),
        }
    }
    drawn
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
        assert_eq!(wrap("é—", 0), ["é", "-"]);
        assert_eq!(wrap("ab…", width(4)), ["ab..", "."]);
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
        assert_ne!(drawn("鳥"), drawn("\u{fffd}")); // which says that a text is damaged
        assert_eq!(drawn("“a” – ’s…"), drawn("\"a\" - 's..."));
        assert!(drawn(" ").iter().all(|&v| v == 0));
        let mut beside = RgbImage::new(40, LINE);
        draw(&mut beside, (u32::MAX - 1, 0), "a", Rgb([255; 3]));
        assert!(beside.into_raw().iter().all(|&v| v == 0));
        let far = drawn("wide beyond the picture");
        assert_eq!(far.len(), 40 * 17 * 3);
    }
}
