//! Animated PNG (APNG) files: several pictures shown one after another, lossless, repeated for
//! ever.
//!
//! Programs that do not support animations show the first picture.

use std::fmt;
use std::io::{self, Write};

use crate::image::{self, Picture};

/// How long a picture is shown, as a fraction of a second (numerator, denominator): (1, 20) is a
/// twentieth.
pub type Delay = (u16, u16);

/// A writer of an animated PNG. Each picture is written as it is added; none is kept in memory.
pub struct Animation<W: Write> {
    writer: png::Writer<W>,
    size: (usize, usize),
}

impl<W: Write> fmt::Debug for Animation<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Animation").field("size", &self.size).finish_non_exhaustive()
    }
}

impl<W: Write> Animation<W> {
    /// Begins a file of `frames` pictures of size (width, height), with text chunks (keyword,
    /// text).
    ///
    /// # Errors
    /// Errors of `to`, no pictures, a side of 0, a keyword that is not a Latin-1 text of 1 to 79
    /// characters, or a text that holds U+0000.
    pub fn new(
        to: W,
        size: (usize, usize),
        frames: u32,
        texts: &[(&str, &str)],
    ) -> io::Result<Self> {
        let mut encoder = image::encoder(to, size, texts).map_err(into_error)?;
        encoder.set_animated(frames, 0).map_err(into_error)?;
        encoder.validate_sequence(true);
        Ok(Self { writer: encoder.write_header().map_err(into_error)?, size })
    }

    /// Writes the next picture, with the time for which it is shown.
    ///
    /// # Errors
    /// Errors of the file, a picture of another size, or more pictures than announced.
    pub fn add(&mut self, picture: &Picture, (seconds, parts): Delay) -> io::Result<()> {
        if (picture.width, picture.height) != self.size {
            let text = format!(
                "a picture of {}x{} in an animation of {:?}",
                picture.width, picture.height, self.size
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.writer.set_frame_delay(seconds, parts).map_err(into_error)?;
        self.writer.write_image_data(&picture.rgb).map_err(into_error)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Errors of the file, or fewer pictures than announced.
    pub fn finish(self) -> io::Result<()> {
        self.writer.finish().map_err(into_error)
    }
}

fn into_error(error: png::EncodingError) -> io::Error {
    match error {
        png::EncodingError::IoError(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidInput, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_out_as_they_went_in() {
        let pictures: Vec<Picture> = (0..3).map(|i| Picture::filled(4, 2, [i * 100; 3])).collect();
        let mut file = Vec::new();
        let mut animation =
            Animation::new(&mut file, (4, 2), 3, &[("kind", "three greys")]).unwrap();
        for picture in &pictures {
            animation.add(picture, (1, 20)).unwrap();
        }
        animation.finish().unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(file)).read_info().unwrap();
        let control = reader.info().animation_control.unwrap();
        assert_eq!((control.num_frames, control.num_plays), (3, 0));
        assert_eq!(reader.info().utf8_text[0].get_text().unwrap(), "three greys");
        for picture in &pictures {
            let mut rgb = vec![0; 24];
            reader.next_frame(&mut rgb).unwrap();
            assert_eq!(rgb, picture.rgb);
            let frame = reader.info().frame_control.unwrap();
            assert_eq!((frame.delay_num, frame.delay_den), (1, 20));
        }
    }

    #[test]
    fn wrong_sizes_and_counts_are_refused() {
        let picture = Picture::filled(4, 2, [9; 3]);
        let begin = |frames| Animation::new(Vec::new(), (4, 2), frames, &[]);
        assert!(begin(0).is_err());
        let text = ("kind", "no\0text");
        let error = Animation::new(Vec::new(), (4, 2), 1, &[text]).unwrap_err().to_string();
        assert!(error.contains("`kind` holds U+0000"), "{error}");
        let mut animation = begin(2).unwrap();
        assert!(animation.add(&Picture::filled(2, 4, [9; 3]), (1, 20)).is_err());
        animation.add(&picture, (1, 20)).unwrap();
        assert!(animation.finish().is_err(), "one is missing");
        let mut animation = begin(1).unwrap();
        animation.add(&picture, (1, 20)).unwrap();
        assert!(animation.add(&picture, (1, 20)).is_err(), "one is too many");
    }
}
