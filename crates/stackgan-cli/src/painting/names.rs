//! File names of pictures and of sheets.

use stackgan_core::digest::sha256;

/// The sheet of `generate --grid`.
pub(crate) const GRID: &str = "grid.png";
/// The sheet of `edit`.
pub(crate) const EDIT: &str = "edit.png";
/// The animation of `interpolate`.
pub(crate) const ANIMATION: &str = "interpolation.png";
/// The sheet of `interpolate`.
pub(crate) const FRAMES: &str = "sheet.png";
/// The sheet of `nearest`.
pub(crate) const NEAREST: &str = "nearest.png";

/// File names in a folder of pictures that contain several pictures.
pub(crate) const SHEETS: [&str; 5] = [GRID, EDIT, ANIMATION, FRAMES, NEAREST];

/// A name such as `000010-seed00042-a-small-red-bird.png`. It sorts in the order of painting and
/// contains the seed and the caption. If it does not contain the whole sentence literally, it has
/// the beginning of its SHA-256, because another command may paint into the same folder.
pub(crate) fn file_name(index: usize, seed: u64, caption: &str) -> String {
    let mut slug = String::new();
    for word in caption.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
        if slug.len() + word.len() > 60 {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    let mut name = format!("{index:06}-seed{seed:05}");
    let hash = sha256(caption.as_bytes());
    let lost = slug.replace('-', " ") != caption;
    for part in [slug.as_str(), hash.get(..8).filter(|_| lost).unwrap_or_default()] {
        if !part.is_empty() {
            name.push('-');
            name.push_str(part);
        }
    }
    name + ".png"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_sort_and_are_safe() {
        assert_eq!(file_name(10, 42, "a small red bird"), "000010-seed00042-a-small-red-bird.png");
        assert!(
            file_name(10, 42, "A small, red bird!")
                .starts_with("000010-seed00042-a-small-red-bird-")
        );
        assert!(file_name(0, 0, "../../é").starts_with("000000-seed00000-"));
        assert!(file_name(0, 0, &"word ".repeat(500)).len() < 100);
    }

    #[test]
    fn sentences_that_differ_have_names_that_differ() {
        let long = "word ".repeat(30);
        let said = ["a red bird", "A red bird", "a red bird!", "a-red bird", "é", "ü", "птица"];
        let said = said.iter().map(|s| (*s).to_owned());
        let said = said.chain([format!("{long}red"), format!("{long}blue")]);
        let names: std::collections::BTreeSet<String> = said.map(|s| file_name(0, 0, &s)).collect();
        assert_eq!(names.len(), 9, "{names:?}");
    }
}
