//! A picture embedded in a page. A large one becomes a smaller JPEG, because a page contains dozens
//! and should open on a phone.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::ImageFormat;
use image::codecs::jpeg::JpegEncoder;

/// The quality of a picture in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// For one of many pictures.
    Small,
    /// For a picture that is looked at closely.
    Sharp,
}

impl Form {
    /// Maximum number of bytes of a PNG that is embedded unchanged.
    const fn most(self) -> usize {
        match self {
            Self::Small => 40 << 10,
            Self::Sharp => 300 << 10,
        }
    }
}

/// Maximum width of a large picture in pixels, and its JPEG quality.
const WIDTH: u32 = 1280;
const QUALITY: u8 = 88;

/// A picture in the form of an `img` address.
#[derive(Clone, Debug)]
pub(crate) struct Embedded {
    mime: &'static str,
    base64: String,
}

impl Embedded {
    /// Embeds a PNG. If it cannot be decoded, it is embedded unchanged.
    pub(crate) fn of(png: &[u8], form: Form) -> Self {
        match (png.len() > form.most()).then(|| smaller(png)).flatten() {
            Some(jpeg) => Self { mime: "image/jpeg", base64: BASE64.encode(jpeg) },
            None => Self { mime: "image/png", base64: BASE64.encode(png) },
        }
    }

    /// The `data:` address.
    pub(crate) fn address(&self) -> String {
        format!("data:{};base64,{}", self.mime, self.base64)
    }
}

fn smaller(png: &[u8]) -> Option<Vec<u8>> {
    let picture = image::load_from_memory_with_format(png, ImageFormat::Png).ok()?;
    let height = picture.height();
    let picture = if picture.width() > WIDTH { picture.thumbnail(WIDTH, height) } else { picture };
    let mut bytes = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    picture.to_rgb8().write_with_encoder(encoder).ok()?;
    Some(bytes.into_inner()).filter(|jpeg| jpeg.len() < png.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pictures_become_small_and_the_rest_stays() {
        let noisy = |width: u32, height: u32| {
            let pixel = |x: u32, y: u32| {
                let v = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503_001);
                image::Rgb([(v >> 24) as u8, (v >> 16) as u8, (v >> 8) as u8])
            };
            let mut png = Cursor::new(Vec::new());
            let picture = image::RgbImage::from_fn(width, height, pixel);
            picture.write_to(&mut png, ImageFormat::Png).unwrap();
            png.into_inner()
        };
        let (small, middle, large) = (noisy(40, 30), noisy(150, 150), noisy(2000, 500));
        assert!(
            Embedded::of(&small, Form::Small).address().starts_with("data:image/png;base64,iVBOR")
        );
        assert!(middle.len() > Form::Small.most() && middle.len() < Form::Sharp.most());
        assert_eq!(Embedded::of(&middle, Form::Small).mime, "image/jpeg");
        assert_eq!(Embedded::of(&middle, Form::Sharp).mime, "image/png");
        assert!(large.len() > Form::Sharp.most());
        let shown = Embedded::of(&large, Form::Sharp);
        assert_eq!(shown.mime, "image/jpeg");
        assert!(shown.base64.len() < large.len());
        let no_picture = vec![7; Form::Sharp.most() + 1];
        assert_eq!(Embedded::of(&no_picture, Form::Sharp).mime, "image/png");
    }
}
