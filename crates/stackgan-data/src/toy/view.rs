//! A drawn picture as the networks see it: prepared like every dataset (cropped around the bird,
//! 76x76), and a 64x64 window of that.

use std::path::Path;

use image::RgbImage;

use super::picture::{Drawn, Picture};
use super::shape::{HEIGHT, WIDTH};
use crate::crop::{PictureSize, Preparation, Resizing, crop_rule, prepare};
use crate::{Error, Result};

/// Side of a picture that the judge examines, in pixels.
pub const SIDE: usize = PictureSize::Stage1.crop();

/// Side of the prepared picture, of which the networks see a window.
pub(super) const STORED: usize = PictureSize::Stage1.prepared();

/// The position of the window outside of training: the middle.
pub(super) const CENTRE: (usize, usize) = ((STORED - SIDE) / 2, (STORED - SIDE) / 2);

/// A prepared picture: 76x76 RGB, and the part that each pixel shows.
#[derive(Clone, Debug)]
pub(super) struct View {
    rgb: Vec<u8>,
    labels: Vec<u8>,
}

impl View {
    pub(super) fn new(picture: &Picture) -> Result<Self> {
        let Drawn { rgb, bounds } = picture.draw();
        let square = crop_rule(bounds, WIDTH, HEIGHT).zip(RgbImage::from_raw(WIDTH, HEIGHT, rgb));
        let (square, image) = square.ok_or_else(|| {
            Error::config(
                "a toy bird was drawn outside of its picture",
                ("a box inside", format!("{bounds:?}")),
                "use another seed, and report this one",
            )
        })?;
        let how = Preparation::squeezed(PictureSize::Stage1, Resizing::Residual);
        let rgb = prepare(image, Some(bounds), how, Path::new("toy bird"))?;
        // Labels cannot be averaged: take the pixel in the middle of the area that a prepared pixel
        // covers.
        let middle = |i: usize, from: u32, side: u32| {
            from as usize + (2 * i + 1) * side as usize / (2 * STORED)
        };
        let all = picture.labels();
        let mut labels = Vec::with_capacity(STORED * STORED);
        for row in (0..STORED).map(|y| middle(y, square.y, square.height)) {
            for column in (0..STORED).map(|x| middle(x, square.x, square.width)) {
                labels.push(all.get(row * WIDTH as usize + column).copied().unwrap_or(0));
            }
        }
        Ok(Self { rgb, labels })
    }

    /// The window whose top left corner is at (x, y), each in 0..=12.
    pub(super) fn rgb(&self, at: (usize, usize)) -> Vec<u8> {
        window(&self.rgb, 3, at)
    }

    /// The parts in that window.
    pub(super) fn labels(&self, at: (usize, usize)) -> Vec<u8> {
        window(&self.labels, 1, at)
    }
}

fn window(pixels: &[u8], channels: usize, (x, y): (usize, usize)) -> Vec<u8> {
    let rows = pixels.chunks_exact(STORED * channels).skip(y).take(SIDE);
    rows.flat_map(|r| r.iter().skip(x * channels).take(SIDE * channels)).copied().collect()
}
