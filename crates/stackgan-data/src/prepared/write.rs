//! Creates a prepared file: pictures are decoded in parallel, a few at a time, and streamed in
//! order.

use super::manifest::{Manifest, VERSION, boxes, fingerprint, fit, orientation};
use crate::container::{Element, Spec, header};
use crate::copies::{self, Copies};
use crate::crop::{self, Orientation, Preparation, Resizing, Stretch};
use crate::dataset::{Dataset, Item};
use crate::digest::{hex, sha256};
use crate::error::few_of;
use crate::formats::read_bounded;
use crate::sums::Sums;
use crate::whole_file::AtomicFile;
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of pictures in memory at a time: about 60 MB at 304 pixels, with their sources.
const CHUNK: usize = 64;

/// How a dataset is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// Size, filter and contrast of the squares.
    pub preparation: Preparation,
    /// How to treat unusable pictures.
    pub damaged: Damaged,
}

/// How to treat pictures that cannot be read or decoded, or whose box lies outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Damaged {
    /// Reject the dataset, listing all of them.
    #[default]
    Refuse,
    /// Leave them out, with a note of their number in the file.
    LeaveOut,
}

/// The result of preparing a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// Identifies the file's description, as [`super::Prepared::identity`].
    pub identity: String,
    /// The pictures that [`Damaged::LeaveOut`] left out, in order.
    pub left_out: Vec<LeftOut>,
    /// Test pictures that are also in training.
    pub copies: Option<Copies>,
}

/// A picture that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its name.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Prepares `dataset` as the file `out`, which is replaced atomically on success.
///
/// `progress` is called with the number of finished pictures and the total, from several threads.
/// If pictures are left out, it is called a second time for the others.
///
/// # Errors
/// All damaged pictures together, the first ones by name, unless they are left out and others
/// remain; an empty dataset; storage errors. Nothing is left behind.
pub fn import(
    dataset: &Dataset,
    out: &Path,
    options: &ImportOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<ImportReport> {
    let items = &dataset.items;
    if items.is_empty() {
        return Err(Error::config(
            "dataset has no pictures",
            ("at least one", "none"),
            "check the folder with `stackgan data check`",
        ));
    }
    let all: Vec<&Item> = items.iter().collect();
    let faults = match write(dataset, &all, Vec::new(), (out, options, progress))? {
        Attempt::Written(report) => return Ok(report),
        Attempt::Damaged(faults) => faults,
    };
    let n = all.len();
    if options.damaged == Damaged::Refuse || faults.len() == n {
        return Err(unusable(n, faults));
    }
    // The tables precede the pictures and must not contain these, so the others are prepared again.
    // Memory stays bounded.
    let left_out = faults
        .iter()
        .map(|(item, fault)| LeftOut { key: item.key.clone(), reason: fault.reason() })
        .collect();
    let mut gone = faults.iter().map(|(item, _)| *item).peekable();
    let rest = |item: &&Item| gone.next_if(|gone| std::ptr::eq(*gone, *item)).is_none();
    let rest: Vec<&Item> = items.iter().filter(rest).collect();
    match write(dataset, &rest, left_out, (out, options, progress))? {
        Attempt::Written(report) => Ok(report),
        Attempt::Damaged(faults) => Err(unusable(rest.len(), faults)), // damaged in the meantime
    }
}

fn unusable(n: usize, faults: Vec<(&Item, Error)>) -> Error {
    let faults: Vec<Error> = faults.into_iter().map(|(_, fault)| fault).collect();
    crop::unusable(n, &faults)
}

/// The result of one attempt.
enum Attempt<'a> {
    /// All pictures are in the file.
    Written(ImportReport),
    /// These are unusable; no file was written.
    Damaged(Vec<(&'a Item, Error)>),
}

/// Prepares these pictures of `dataset` as the file `out`; others have been left out.
fn write<'a>(
    dataset: &Dataset,
    items: &[&'a Item],
    left_out: Vec<LeftOut>,
    (out, options, progress): (&Path, &ImportOptions, &(dyn Fn(usize, usize) + Sync)),
) -> Result<Attempt<'a>> {
    let side = options.preparation.size.prepared();
    let tables = Tables::of(items);
    let n = items.len();
    let (rows, mut sums) = ([n * side], Sums::default());
    let specs = [
        Spec { name: "caption_offsets", element: Element::U64, shape: &[tables.captions + 1] },
        Spec { name: "caption_ranges", element: Element::U64, shape: &[n + 1] },
        Spec { name: "class_id", element: Element::U32, shape: &[n] },
        Spec { name: "captions", element: Element::U8, shape: &[tables.text] },
        Spec { name: "split", element: Element::U8, shape: &[n] },
        Spec { name: "images", element: Element::U8, shape: &[n, side, side, 3] },
        Sums::spec(&rows),
    ];
    // The hashes are known only at the end and have a fixed length: a placeholder reserves their
    // space.
    let mut manifest = Manifest {
        kind: "prepared".to_owned(),
        version: VERSION,
        name: dataset.name.clone(),
        resizing: match options.preparation.resizing {
            Resizing::Residual => "residual".to_owned(),
            Resizing::Plain => "plain".to_owned(),
        },
        stretch: match options.preparation.stretch {
            Stretch::None => "none".to_owned(),
            Stretch::AsReleased => "as-released".to_owned(),
        },
        fit: fit(options.preparation.fit).to_owned(),
        orientation: orientation(dataset.orientation).to_owned(),
        boxes: boxes(items),
        notes: dataset.notes.iter().cloned().chain(note(&left_out)).collect(),
        fingerprint: hex(&[0; 32]),
        tables_crc32c: Some(format!("{:08x}", crc32c::crc32c(&tables.bytes))),
        keys: items.iter().map(|item| item.key.clone()).collect(),
        sha256: vec![hex(&[0; 32]); n],
    };
    let placeholder = header(out, &specs, &json(&manifest, out)?)?;
    let mut file = AtomicFile::create(out)?;
    file.write(&placeholder)?;
    file.write(&tables.bytes)?;

    let done = AtomicUsize::new(0);
    let mut hashes = Vec::with_capacity(n);
    let mut damaged = Vec::new();
    for chunk in items.chunks(CHUNK) {
        let squares: Vec<_> = chunk
            .par_iter()
            .map(|item| {
                let square = square(item, dataset.orientation, options.preparation);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, n);
                square
            })
            .collect();
        for (&item, square) in chunk.iter().zip(squares) {
            match square {
                Ok((bytes, hash)) => {
                    hashes.push(hash);
                    if damaged.is_empty() {
                        file.write(&bytes)?;
                        sums.add(&bytes, 3 * side);
                    }
                }
                Err(fault) => damaged.push((item, fault)),
            }
        }
    }
    if !damaged.is_empty() {
        return Ok(Attempt::Damaged(damaged));
    }
    file.write(&sums.bytes())?;
    manifest.fingerprint = fingerprint(items, &hashes);
    let named = items.iter().copied().zip(hashes.iter().map(String::as_str));
    let copies = copies::between(named);
    manifest.sha256 = hashes;
    let described = json(&manifest, out)?;
    file.rewrite_start(&header(out, &specs, &described)?)?;
    file.commit()?;
    Ok(Attempt::Written(ImportReport { identity: sha256(&described), left_out, copies }))
}

/// The file's note about pictures that were left out.
fn note(left_out: &[LeftOut]) -> Option<String> {
    let keys: Vec<&str> = left_out.iter().map(|picture| &*picture.key).collect();
    let (n, few) = few_of(&keys, "picture")?;
    Some(format!("{n} that cannot be used left out ({few})"))
}

/// The square of one picture and the hash of its source.
fn square(item: &Item, orientation: Orientation, how: Preparation) -> Result<(Vec<u8>, String)> {
    let source = read_bounded(&item.image, crop::MAX_FILE)?;
    let image = crop::decode_as(&source, orientation, &item.image)?;
    let hash = sha256(&source);
    drop(source);
    Ok((crop::prepare(image, item.bounding_box, how, &item.image)?, hash))
}

fn json(manifest: &Manifest, out: &Path) -> Result<String> {
    serde_json::to_string(manifest).map_err(|e| Error::write(out, e.into()))
}

/// The small tensors, as bytes in the order of the file.
struct Tables {
    captions: usize,
    text: usize,
    bytes: Vec<u8>,
}

impl Tables {
    fn of(items: &[&Item]) -> Self {
        let captions = || items.iter().flat_map(|item| &item.captions);
        let ends = |lengths: &mut dyn Iterator<Item = usize>| {
            let mut bytes = vec![0u8; 8];
            let mut end = 0u64;
            for length in lengths {
                end += length as u64;
                bytes.extend_from_slice(&end.to_le_bytes());
            }
            bytes
        };
        let mut bytes = ends(&mut captions().map(String::len));
        bytes.extend(ends(&mut items.iter().map(|item| item.captions.len())));
        bytes.extend(items.iter().flat_map(|item| item.class.to_le_bytes()));
        let before = bytes.len();
        bytes.extend(captions().flat_map(|caption| caption.bytes()));
        let text = bytes.len() - before;
        bytes.extend(items.iter().map(|item| item.split as u8));
        Self { captions: captions().count(), text, bytes }
    }
}
