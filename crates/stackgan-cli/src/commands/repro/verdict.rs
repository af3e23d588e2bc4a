//! The result of comparing a picture with its repetition.

use serde_json::{Value, json};
use stackgan_core::Provenance;
use stackgan_core::image::Picture;
use stackgan_core::provenance::pixels_sha256;

use crate::version::{BUILD, VERSION};

/// The relation of the picture in a file, its provenance, and the picture painted here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All three agree.
    Equal,
    /// The file holds the pixels that it names, but other ones are painted here.
    Differs(Difference),
    /// The file holds other pixels than it names, and the named ones are painted here.
    Changed(Difference),
    /// The file holds other pixels than it names, and yet other ones are painted here.
    ChangedAndDiffers(Difference),
}

/// The difference of two pictures.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// Number of differing pixels, number of pixels, and the largest difference of a channel.
    Pixels { differing: usize, of: usize, largest: u8 },
    /// Their sizes differ.
    Sizes { file: (usize, usize), painted: (usize, usize) },
}

impl Verdict {
    /// Compares the picture of a file with the one painted from its provenance.
    pub(super) fn of(said: &Provenance, file: &Picture, painted: &Picture) -> Self {
        let named = |picture: &Picture| {
            (picture.width, picture.height) == (said.width, said.height)
                && pixels_sha256(picture) == said.pixels_sha256
        };
        let difference = || Difference::between(file, painted);
        match (named(file), named(painted)) {
            (true, true) => Self::Equal,
            (true, false) => Self::Differs(difference()),
            (false, true) => Self::Changed(difference()),
            (false, false) => Self::ChangedAndDiffers(difference()),
        }
    }

    /// The verdict in one word.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Differs(_) => "differs",
            Self::Changed(_) | Self::ChangedAndDiffers(_) => "changed",
        }
    }

    /// The verdict in one line.
    pub(super) fn line(&self, said: &Provenance, arithmetic: &str) -> String {
        match self {
            Self::Equal => "equal to the bit".to_owned(),
            Self::Differs(by) => format!("differs: {}; {}", by.line(), reason(said, arithmetic)),
            Self::Changed(by) => format!(
                "changed since it was painted: {}; what it says was painted is painted here to the bit",
                by.line()
            ),
            Self::ChangedAndDiffers(by) => format!(
                "changed since it was painted, and what is painted here is not what it names either: {}; {}",
                by.line(),
                reason(said, arithmetic)
            ),
        }
    }

    /// The verdict as fields of a document.
    pub(super) fn json(&self) -> Value {
        let by = match self {
            Self::Equal => &Difference::Pixels { differing: 0, of: 0, largest: 0 },
            Self::Differs(by) | Self::Changed(by) | Self::ChangedAndDiffers(by) => by,
        };
        let (differing, largest) = match by {
            Difference::Pixels { differing, largest, .. } => (Some(differing), Some(largest)),
            Difference::Sizes { .. } => (None, None),
        };
        json!({
            "differing": differing,
            "largest": largest,
            "file_as_named": matches!(self, Self::Equal | Self::Differs(_)),
            "painted_as_named": matches!(self, Self::Equal | Self::Changed(_)),
        })
    }
}

impl Difference {
    fn between(file: &Picture, painted: &Picture) -> Self {
        let size = |picture: &Picture| (picture.width, picture.height);
        if size(file) != size(painted) {
            return Self::Sizes { file: size(file), painted: size(painted) };
        }
        let pixels = file.rgb.chunks_exact(3).zip(painted.rgb.chunks_exact(3));
        let by = pixels.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max());
        let by: Vec<u8> = by.map(Option::unwrap_or_default).collect();
        let differing = by.iter().filter(|by| **by > 0).count();
        let largest = by.iter().copied().max().unwrap_or_default();
        Self::Pixels { differing, of: by.len(), largest }
    }

    fn line(&self) -> String {
        match self {
            Self::Pixels { differing, of, largest } => {
                format!("{differing} of {of} pixels, by {largest} of 255 at most")
            }
            Self::Sizes { file: (w, h), painted: (width, height) } => {
                format!("the file has {w}x{h} pixels, {width}x{height} are painted")
            }
        }
    }
}

/// A possible reason why another picture was painted.
fn reason(said: &Provenance, arithmetic: &str) -> String {
    let (version, then) = (VERSION, said.version.escape_debug());
    let here = format!("here version {version} computes with {arithmetic}");
    match &said.arithmetic {
        None => format!(
            "it was painted by version {then}, its file does not say with what arithmetic; {here}"
        ),
        Some(with) if said.version == version && with == arithmetic => format!(
            "version ({version}) and arithmetic ({arithmetic}) are the same, so that another build of this version painted it \
             (this one is {BUILD}), or what the file says is not how it was painted, or the two machines differ elsewhere \
             (another GPU)"
        ),
        Some(with) => {
            format!("it was painted by version {then} with {}; {here}", with.escape_debug())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(grey: u8) -> Picture {
        Picture::filled(2, 2, [grey; 3])
    }

    fn said(picture: &Picture) -> Provenance {
        serde_json::from_value(json!({
            "caption": "a bird", "seed": 0, "stage": 1, "width": picture.width, "height": picture.height,
            "z_scale": 1.0, "eps_scale": 1.0, "model_sha256": "", "encoder": "",
            "pixels_sha256": pixels_sha256(picture), "version": VERSION, "arithmetic": "cpu avx2",
        }))
        .unwrap()
    }

    #[test]
    fn what_is_named_what_is_there_and_what_is_painted_are_told_apart() {
        let named = picture(9);
        let mut other = picture(9);
        other.rgb[4] = 12;
        let of = |file: &Picture, painted: &Picture| Verdict::of(&said(&named), file, painted);
        let by = || Difference::Pixels { differing: 1, of: 4, largest: 3 };
        assert_eq!(of(&named, &named), Verdict::Equal);
        assert_eq!(of(&named, &other), Verdict::Differs(by()));
        assert_eq!(of(&other, &named), Verdict::Changed(by()));
        let none = Difference::Pixels { differing: 0, of: 4, largest: 0 };
        assert_eq!(of(&other, &other), Verdict::ChangedAndDiffers(none));
    }

    #[test]
    fn the_same_pixels_in_another_shape_are_another_picture() {
        let named = picture(9);
        let long = Picture { width: 4, height: 1, ..named.clone() };
        let verdict = Verdict::of(&said(&named), &long, &named);
        assert!(
            verdict.line(&said(&named), "cpu avx2").contains("has 4x1 pixels, 2x2 are painted")
        );
        assert_eq!((verdict.name(), &verdict.json()["differing"]), ("changed", &Value::Null));
    }

    #[test]
    fn the_reason_is_what_differs() {
        let (mut said, other) = (said(&picture(9)), picture(8));
        let line = |said: &Provenance, arithmetic: &str| {
            Verdict::of(said, &picture(9), &other).line(said, arithmetic)
        };
        assert!(line(&said, "cpu avx2").contains("4 of 4 pixels, by 1 of 255 at most; version"));
        assert!(
            line(&said, "cpu avx2").contains(&format!(
                "another build of this version painted it (this one is {BUILD})"
            ))
        );
        assert!(line(&said, "cpu avx512").contains("with cpu avx2; here"));
        said.version = "0.0.9".to_owned();
        assert!(line(&said, "cpu avx2").contains("by version 0.0.9 with cpu avx2; here version"));
        said.arithmetic = Some("\u{1b}[2J".to_owned());
        assert!(!line(&said, "cpu avx2").contains('\u{1b}'), "a file's words reach the terminal");
        said.arithmetic = None;
        assert!(line(&said, "cpu avx2").contains("does not say with what arithmetic"));
    }
}
