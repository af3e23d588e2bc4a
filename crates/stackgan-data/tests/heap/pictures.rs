//! The heap that one picture takes while it is decoded and made a square: at most 12 bytes a pixel, and
//! 16 MiB for the rest. A 16-bit PNG with alpha takes 12, a JPEG 6 and a progressive one up to 12 (CMYK). At the largest area that is 0.8 GB a thread (docs/datasets.md).

use crate::{HEAP, turn};
use image::{DynamicImage, ImageFormat, RgbImage};
use stackgan_data::crop::{
    Fit, Orientation, PictureSize, Preparation, Resizing, Stretch, decode_as, prepare,
};
use std::io::Cursor;
use std::path::Path;

const SIDES: (u32, u32) = (2400, 1800);

/// Decodes a picture and makes a square of it; returns the peak of the heap without the file.
fn peak(bytes: &[u8]) -> usize {
    let file = Path::new("picture");
    let how = Preparation {
        size: PictureSize::Stage2,
        resizing: Resizing::Residual,
        stretch: Stretch::None,
        fit: Fit::Centre,
    };
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let image = decode_as(bytes, Orientation::Upright, file).unwrap();
    prepare(image, None, how, file).unwrap();
    HEAP.peak_usage() - before
}

/// A JPEG with an EXIF segment whose tag says that the picture lies on its side.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let tiff = [
        &b"Exif\0\0MM\0\x2a\0\0\0\x08"[..],
        &[0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let length = (tiff.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &tiff, &jpeg[2..]].concat()
}

#[test]
fn a_picture_takes_twelve_bytes_of_heap_a_pixel_at_most() {
    let _turn = turn();
    let rgb = DynamicImage::from(RgbImage::from_fn(SIDES.0, SIDES.1, |x, y| {
        image::Rgb([x as u8, y as u8, (x * y) as u8])
    }));
    let written = |image: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let jpeg = written(&rgb, ImageFormat::Jpeg);
    let grey: DynamicImage = rgb.to_luma8().into();
    let (deep, clear): (DynamicImage, DynamicImage) =
        (rgb.to_rgba16().into(), rgb.to_rgba8().into());
    let pictures = [
        ("JPEG, turned", turned(&jpeg)),
        ("JPEG", jpeg),
        ("grey JPEG", written(&grey, ImageFormat::Jpeg)),
        ("PNG", written(&rgb, ImageFormat::Png)),
        ("PNG with alpha", written(&clear, ImageFormat::Png)),
        ("PNG with alpha and 16 bits", written(&deep, ImageFormat::Png)),
        ("WebP", written(&rgb, ImageFormat::WebP)),
        ("WebP with alpha", written(&clear, ImageFormat::WebP)),
    ];
    drop((rgb, grey, deep, clear));
    let pixels = (SIDES.0 * SIDES.1) as usize;
    for (name, bytes) in pictures {
        let peak = peak(&bytes);
        assert!(peak <= 12 * pixels + (16 << 20), "{name}: {peak} for {pixels} pixels");
    }
}
