//! Tests of the sheet: pictures, boxes and captions are in the right places.

use super::*;
use crate::crop::{PictureSize, Preparation, Resizing};
use crate::testing::{dataset, prepared};

const HOW: Preparation = Preparation::squeezed(PictureSize::Stage1, Resizing::Residual);

/// Number of pixels of a part (x, y, width, height) that have the colour.
fn count(sheet: &RgbImage, [x, y, width, height]: [u32; 4], colour: Rgb<u8>) -> usize {
    let pixels = (y..y + height).flat_map(|y| (x..x + width).map(move |x| (x, y)));
    pixels.filter(|&(x, y)| *sheet.get_pixel(x, y) == colour).count()
}

#[test]
fn prepared_pictures_lie_in_order_with_their_captions() {
    let (_dir, _, data) = prepared(7, 2, PictureSize::Stage1);
    let exhibits = Exhibit::of_prepared(&data, 4).unwrap();
    let names: Vec<&str> = exhibits.iter().map(|e| &*e.name).collect();
    assert_eq!(
        names,
        [
            "k0 (train, class 0)",
            "k1 (train, class 1)",
            "k3 (train, class 1)",
            "k5 (train, class 1)"
        ]
    );
    let sheet = contact_sheet(&exhibits, "legend").unwrap();
    let step = HEIGHT + GAP;
    for (n, exhibit) in exhibits.iter().take(2).enumerate() {
        let at = GAP + n as u32 * step;
        let part = image::imageops::crop_imm(&sheet, at, GAP, HEIGHT, HEIGHT).to_image();
        assert!(part == exhibit.pictures[0]);
        // 64 of 76 pixels, enlarged three times: a frame at 18.
        assert_eq!(*sheet.get_pixel(at + 18, GAP + 100), MIDDLE);
        assert_ne!(*sheet.get_pixel(at + 17, GAP + 100), MIDDLE);
        assert!(count(&sheet, [at, GAP + HEIGHT, HEIGHT, 2 * letters::LINE], CAPTION) > 0);
    }
    assert!(contact_sheet(&exhibits, "legend").unwrap() == sheet);
}

#[test]
fn instead_of_a_damaged_picture_comes_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dataset(dir.path(), 6, 2);
    std::fs::write(&data.items[3].image, "damaged").unwrap();
    let of = |damaged| Exhibit::of_dataset(&data, 2, (HOW, damaged));
    assert!(of(Damaged::Refuse).is_err());
    let own = dataset(dir.path(), 3, 3);
    let shown = Exhibit::of_dataset(&own, 1, (HOW, Damaged::Refuse)).unwrap();
    assert!(!shown[0].name.contains("class"), "each has its own: {}", shown[0].name);
    std::fs::write(&data.items[3].image, "damaged").unwrap();
    let names: Vec<String> = of(Damaged::LeaveOut).unwrap().into_iter().map(|e| e.name).collect();
    let expected = [0, 4].map(|i: usize| data.items[i].key.clone());
    assert!(names.iter().zip(expected).all(|(name, key)| name.starts_with(&key)), "{names:?}");
    // If none can be used, it is said of one what is wrong with it.
    for item in &data.items {
        std::fs::write(&item.image, "damaged").unwrap();
    }
    let error = of(Damaged::LeaveOut).unwrap_err().to_string();
    assert!(error.contains(data.items[0].image.to_str().unwrap()), "{error}");
}

#[test]
fn the_source_lies_beside_its_square_with_box_and_part() {
    let dir = tempfile::tempdir().unwrap();
    let data = dataset(dir.path(), 2, 2);
    // Picture 0 has a box at (5, 6) of 20 x 30. The cropped part is (0, 0) to (37, 43), clipped at
    // the left and top edges.
    let exhibit = Exhibit::source(&data.items[0], data.orientation, HOW).unwrap();
    let [source, square] = exhibit.pictures.as_slice() else { panic!() };
    let stored = image::image_dimensions(&data.items[0].image).unwrap();
    let scale = f64::from(HEIGHT) / f64::from(stored.1);
    assert_eq!(source.height(), HEIGHT);
    let at = |x: f64, y: f64| ((x * scale).round() as u32, (y * scale).round() as u32);
    let (x, y) = at(5.0, 20.0);
    assert_eq!(*source.get_pixel(x, y), BOX);
    let (x, y) = at(37.0, 20.0);
    assert_eq!(*source.get_pixel(x - 1, y), TAKEN);
    assert_ne!(*source.get_pixel(x + 1, y), TAKEN);
    assert_eq!(square.dimensions(), (HEIGHT, HEIGHT));
    // Without a box neither line is drawn.
    let exhibit = Exhibit::source(&data.items[1], data.orientation, HOW).unwrap();
    assert!(exhibit.pictures[0].pixels().all(|&p| p != BOX && p != TAKEN));
}

#[test]
fn long_captions_are_cut_into_lines_and_counted() {
    let (_dir, _, data) = prepared(3, 2, PictureSize::Stage2);
    let mut exhibit = Exhibit::prepared(&data, 2).unwrap();
    exhibit.captions = vec!["a bird with a very long beak".repeat(9); 10];
    let lines = exhibit.lines(HEIGHT);
    assert!(lines.iter().all(|(line, _)| line.chars().count() <= HEIGHT as usize / 7));
    assert_eq!(lines.last().unwrap().0, "and 7 more captions");
    exhibit.captions.truncate(4);
    let lines = exhibit.lines(HEIGHT);
    assert_eq!(lines.last().unwrap().0, "and 1 more caption");
    let sheet = contact_sheet(&[exhibit], "l").unwrap();
    assert!(sheet.height() > HEIGHT + lines.len() as u32 * letters::LINE);
}

#[test]
fn impossible_sheets_are_refused() {
    let (_dir, _, data) = prepared(3, 2, PictureSize::Stage1);
    assert!(contact_sheet(&[], "l").is_err());
    assert!(Exhibit::prepared(&data, 3).is_err());
    let one = Exhibit::prepared(&data, 0).unwrap();
    assert!(contact_sheet(&vec![one; 8000], "l").is_err());
    assert!(Exhibit::of_prepared(&data, 100).unwrap().len() == 3);
}
