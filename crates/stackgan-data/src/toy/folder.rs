//! The birds as a dataset folder, in exactly the layout of CUB-200-2011 that the release uses.
//!
//! It contains `CUB_200_2011/` with its text files and `images/`, `text/` with ten captions per
//! picture, and `train/` and `test/` with protocol-0 pickles of keys and class numbers (TensorFlow
//! release, `misc/preprocess_birds.py` and `misc/datasets.py`); and additionally `attributes.csv`.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;
use stackgan_noise::{Noise, Stream};

use super::captions::captions;
use super::picture::Picture;
use super::shape::{HEIGHT, WIDTH};
use super::species::{MAX_SPECIES, Species, species};
use crate::dataset::{BoundingBox, Split};
use crate::formats::pickle::{write_ints, write_strings};
use crate::whole_folder::{Growing, Made, make_folder, refuse_occupied};
use crate::{Error, Result};

/// Number of pictures per species, as long as there are species left. An encoder and a generator
/// learn unseen combinations of colours from many combinations, not from many pictures of one.
const PER_SPECIES: usize = 4;

/// Maximum number of pictures.
const MOST: usize = 24_000;

/// With fewer pictures than this many full species need, species have fewer pictures instead.
const MIN_SPECIES: usize = 6;

/// The file with what is in each picture, and its first line.
const ATTRIBUTES: &str = "attributes.csv";
const COLUMNS: &str = "key,split,class,body,wing,belly,crown,beak,beak_length,tail,size,facing,\
                       background,pose\n";

/// What is drawn, while it is unfinished.
const BIRDS: Made =
    Made { over: "toy birds are not drawn over what is there", prefix: ".toy-partial-" };

/// JPEG quality, out of 100.
const QUALITY: u8 = 95;

/// What to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToyConfig {
    /// Number of pictures, about four per species, and more per species above 8,000; one species in
    /// six is held out.
    pub count: usize,
    /// The seed; equal seeds give equal bytes.
    pub seed: u64,
}

impl Default for ToyConfig {
    fn default() -> Self {
        Self { count: 2880, seed: 1 }
    }
}

/// What was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToyReport {
    /// Number of species of the training split.
    pub train_species: usize,
    /// Number of held-out species.
    pub test_species: usize,
    /// Number of pictures of the training split.
    pub train_pictures: usize,
    /// Number of pictures of held-out species.
    pub test_pictures: usize,
}

/// One picture's place in the dataset.
#[derive(Clone, Debug)]
struct Entry {
    picture: Picture,
    /// The class number, from 1.
    class: usize,
    /// `002.Class_Name/Class_Name_0002_14`: the path without extension.
    key: String,
}

/// Draws `cfg.count` captioned birds into the new folder `dir`.
///
/// Pictures are drawn by the threads of the current rayon pool. `progress` is called with (done,
/// total) after each, from any thread. The folder gets its name when it is complete, or its contents
/// if it exists and is empty; an interrupted call leaves nothing there. If another process has drawn
/// the same birds there in the meantime, these are the result.
///
/// # Errors
/// [`Error::Config`] if `dir` exists and is not an empty folder, or if `cfg.count` is below 2 or
/// above 24,000; [`Error::Write`] if the system cannot write.
pub fn write(
    dir: &Path,
    cfg: &ToyConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<ToyReport> {
    let entries = plan(cfg)?;
    let growing = Growing::begin(dir, BIRDS)?;
    let root = growing.root();

    let birds = root.join("CUB_200_2011");
    for folder in class_folders(&entries) {
        make_folder(&birds.join("images").join(folder))?;
        make_folder(&root.join("text").join(folder))?;
    }
    let done = AtomicUsize::new(0);
    let boxes: Vec<BoundingBox> = entries
        .par_iter()
        .enumerate()
        .map(|(index, entry)| {
            let bounds = write_picture(&root, cfg.seed, index, entry)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, entries.len());
            Ok(bounds)
        })
        .collect::<Result<_>>()?;
    write_lists(&birds, cfg, &entries, &boxes)?;
    for split in Split::ALL {
        write_split(&root.join(split.name()), cfg.seed, split, &entries)?;
    }
    let attributes = attributes(&entries);
    write_file(&root.join(ATTRIBUTES), attributes.as_bytes())?;

    if let Err(error) = growing.place(&[Split::Test.name(), ATTRIBUTES]) {
        let others = fs::read(dir.join(ATTRIBUTES));
        if !others.is_ok_and(|others| others == attributes.as_bytes()) {
            refuse_occupied(dir, BIRDS)?;
            return Err(Error::write(dir, error));
        }
    }
    Ok(report(&entries))
}

/// Whether a folder holds toy birds: its `attributes.csv` begins as that of [`write()`].
#[must_use]
pub fn is_toy(folder: &Path) -> bool {
    let mut start = vec![0; COLUMNS.len()];
    let file = fs::File::open(folder.join(ATTRIBUTES));
    file.is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == COLUMNS.as_bytes()
}

/// The list of pictures: species in order, with their pictures together.
fn plan(cfg: &ToyConfig) -> Result<Vec<Entry>> {
    if !(2..=MOST).contains(&cfg.count) {
        return Err(Error::config(
            "this number of toy birds cannot be drawn",
            (format!("2 to {MOST} pictures"), cfg.count.to_string()),
            "choose another count",
        ));
    }
    let n = cfg.count.div_ceil(PER_SPECIES).clamp(MIN_SPECIES, MAX_SPECIES).min(cfg.count);
    let mut entries = Vec::with_capacity(cfg.count);
    for (i, species) in species(cfg.seed, n)?.into_iter().enumerate() {
        let (first, end) = (i * cfg.count / n, (i + 1) * cfg.count / n);
        let (class, name) = (i + 1, species.class_name());
        for index in first..end {
            entries.push(Entry {
                picture: Picture::new(cfg.seed, index, species),
                class,
                key: format!("{class:03}.{name}/{name}_{:04}_{}", index - first + 1, index + 1),
            });
        }
    }
    Ok(entries)
}

fn class_folders(entries: &[Entry]) -> impl Iterator<Item = &str> {
    let mut last = 0;
    entries.iter().filter_map(move |e| {
        let first = std::mem::replace(&mut last, e.class) != e.class;
        e.key.split_once('/').filter(|_| first).map(|(folder, _)| folder)
    })
}

/// Writes a JPEG and its captions; returns the bird's box.
fn write_picture(root: &Path, seed: u64, index: usize, entry: &Entry) -> Result<BoundingBox> {
    let drawn = entry.picture.draw();
    let file = root.join("CUB_200_2011/images").join(format!("{}.jpg", entry.key));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode(&drawn.rgb, WIDTH, HEIGHT, ExtendedColorType::Rgb8)
        .map_err(|e| Error::write(&file, std::io::Error::other(e)))?;
    write_file(&file, &jpeg)?;
    let captions = captions(seed, index, &entry.picture);
    let text: String = captions.into_iter().map(|caption| caption.text + "\n").collect();
    write_file(&root.join("text").join(format!("{}.txt", entry.key)), text.as_bytes())?;
    Ok(drawn.bounds)
}

/// Writes the text files of `CUB_200_2011/`, one record per line.
fn write_lists(
    birds: &Path,
    cfg: &ToyConfig,
    entries: &[Entry],
    boxes: &[BoundingBox],
) -> Result<()> {
    let [mut images, mut bounding, mut labels, mut training, mut classes] =
        <[String; 5]>::default();
    for (i, (entry, b)) in entries.iter().zip(boxes).enumerate() {
        let id = i + 1;
        let seen = u8::from(entry.picture.species.split == Split::Train);
        // Writing to a String cannot fail.
        let _ = writeln!(images, "{id} {}.jpg", entry.key);
        let _ = writeln!(bounding, "{id} {:.1} {:.1} {:.1} {:.1}", b.x, b.y, b.width, b.height);
        let _ = writeln!(labels, "{id} {}", entry.class);
        let _ = writeln!(training, "{id} {seen}");
    }
    for (i, folder) in class_folders(entries).enumerate() {
        let _ = writeln!(classes, "{} {folder}", i + 1);
    }
    let readme = format!(
        "Birds drawn by `stackgan data toy`, in the layout of CUB-200-2011.\n\n\
         {} pictures of {} invented species, {}x{} pixels, seed {}.\n\
         No photograph and no caption of CUB is in here.\n\n\
         images.txt              image id, path\n\
         bounding_boxes.txt      image id, left, top, width, height of the bird in pixels\n\
         classes.txt             class id, folder\n\
         image_class_labels.txt  image id, class id\n\
         train_test_split.txt    image id, 1 if its species is one of training\n\
         ../text/                ten captions a picture\n\
         ../train/, ../test/     keys and class ids of the two splits, whose species differ\n\
         ../attributes.csv       what is in each picture\n",
        entries.len(),
        entries.last().map_or(0, |e| e.class),
        WIDTH,
        HEIGHT,
        cfg.seed,
    );
    for (name, text) in [
        ("images.txt", images),
        ("bounding_boxes.txt", bounding),
        ("image_class_labels.txt", labels),
        ("train_test_split.txt", training),
        ("classes.txt", classes),
        ("README", readme),
    ] {
        write_file(&birds.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Writes `filenames.pickle` and `class_info.pickle` of one split. Within a class the order is not
/// that of the names, as in the real files, so that pairing by position instead of by key is
/// noticed.
fn write_split(dir: &Path, seed: u64, split: Split, entries: &[Entry]) -> Result<()> {
    let mut mine: Vec<&Entry> =
        entries.iter().filter(|e| e.picture.species.split == split).collect();
    Noise::new(seed).draws(Stream::Order, 0, split as u64).shuffle(&mut mine);
    mine.sort_by_key(|e| e.class); // stable: keeps the random order within a class
    let keys: Vec<String> = mine.iter().map(|e| e.key.clone()).collect();
    let classes: Vec<i64> = mine.iter().map(|e| e.class as i64).collect();
    make_folder(dir)?;
    write_file(&dir.join("filenames.pickle"), &write_strings(&keys))?;
    write_file(&dir.join("class_info.pickle"), &write_ints(&classes))
}

fn attributes(entries: &[Entry]) -> String {
    let mut csv = COLUMNS.to_owned();
    for Entry { picture, class, key } in entries {
        let Species { body, wing, belly, crown, beak, beak_length, tail, size, split } =
            picture.species;
        let colours = [body, wing, belly, crown, beak].map(|c| c.name()).join(",");
        let _ = writeln!(
            csv,
            "{key},{},{class},{colours},{},{},{},{},{},{}",
            split.name(),
            beak_length.name(),
            tail.name(),
            size.name(),
            picture.facing.name(),
            picture.background.name(),
            picture.pose.name(),
        );
    }
    csv
}

fn report(entries: &[Entry]) -> ToyReport {
    let pictures = |split| entries.iter().filter(move |e| e.picture.species.split == split);
    let species = |split| {
        let mut classes: Vec<usize> = pictures(split).map(|e| e.class).collect();
        classes.dedup();
        classes.len()
    };
    ToyReport {
        train_species: species(Split::Train),
        test_species: species(Split::Test),
        train_pictures: pictures(Split::Train).count(),
        test_pictures: pictures(Split::Test).count(),
    }
}

fn write_file(file: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(file, bytes).map_err(|e| Error::write(file, e))
}
