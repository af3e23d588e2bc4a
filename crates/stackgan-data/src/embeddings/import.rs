//! Import of embeddings from a path to a file of embeddings: the choice of a reader.

use super::arrays::{self, Opened};
use super::file::{About, Embeddings};
use super::maker::Maker;
use super::pictures::{Joined, Pictures};
use super::sink::{Compared, Imported, Sink, Task};
use super::source::{extension, file_name};
use super::{folder, listed, released};
use crate::container::is_ours;
use crate::digest::sha256;
use crate::formats::{MAX_FILE, read_bounded};
use crate::prepared::Prepared;
use crate::{Error, Result};
use std::path::Path;

/// Creates the file of embeddings `out` for the captions of `data` from `path`:
///
/// - a folder of the release (`train/char-CNN-RNN-embeddings.pickle` and `test/`), or one such
///   pickle;
/// - a pickle of a dict with an array for each picture, by its key;
/// - a folder with a `.t7` or `.npy` for each picture or class;
/// - a `.npz` or safetensors file with an array for each picture, by its key;
/// - a `.t7` table: records with `img` and `txt`, arrays by key, or `raw_txt` with `fea_txt`;
/// - one array (`.npy`, `.npz`, safetensors, `.t7`, a pickle) with a list of captions or keys
///   beside it;
/// - a file of embeddings that this program wrote.
///
/// Arrays of a picture have the shape (captions, width). `out` is replaced only on success.
/// `progress` is called with the number of finished pictures and the total.
///
/// The encoder is recorded as unknown, by a hash of the sources. If `maker` is given and made the
/// embeddings, its fingerprint is recorded, so that the encoder can be used with the model that is
/// trained on them.
///
/// # Errors
/// Names the file and entry that does not match, and all pictures without embeddings. Also when the
/// embeddings are not those of `maker`.
pub fn import(
    path: &Path,
    data: &Prepared,
    out: &Path,
    maker: Option<&Maker>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Imported> {
    let task = Task { data, out, maker, progress };
    check_source(path)?;
    if path.is_dir() {
        return match released::of_folder(path)? {
            Some(pickles) => released::import(&pickles, &task),
            None => folder::import(path, &task),
        };
    }
    match extension(path).as_str() {
        "pickle" | "pkl" if released::has_names(path) => {
            released::import(&released::of_file(path), &task)
        }
        "safetensors" if is_ours(path)? => own(path, &task),
        _ => one_file(path, &task),
    }
}

/// Checks that there is a file, or a folder with files, that [`import`] would read. None is opened.
///
/// # Errors
/// [`Error::Missing`]; a folder with embeddings of several encoders.
pub fn check_source(path: &Path) -> Result<()> {
    if path.is_dir() {
        return match released::of_folder(path)? {
            Some(_) => Ok(()),
            None => folder::sources(path).map(drop),
        };
    }
    if path.is_file() {
        return Ok(());
    }
    let expected = "a file or a folder of embeddings";
    Err(Error::missing(path, "there are no embeddings", expected, "check the path"))
}

/// Imports a file that our own encoder or an earlier import wrote.
fn own(path: &Path, task: &Task<'_>) -> Result<Imported> {
    let found = Embeddings::open(path)?;
    found.check(task.data)?;
    let about = About {
        rows: found.len(),
        dim: found.dim(),
        encoder: task.maker.map_or(found.encoder(), |maker| &maker.fingerprint),
        dataset: found.dataset(),
        sources: found.sources(),
        captions: None,
    };
    let mut copy = Compared::create(task.out, about, task.maker, path)?;
    for i in 0..task.data.len() {
        copy.append(&found.rows(task.data.caption_range(i))?)?;
        (task.progress)(i + 1, task.data.len());
    }
    copy.finish("a file of this program", 0)
}

/// Imports one file of another format.
fn one_file(path: &Path, task: &Task<'_>) -> Result<Imported> {
    let bytes = read_bounded(path, MAX_FILE)?;
    let pictures = Pictures::of(task.data);
    arrays::opened(&bytes, path, &pictures, |opened| {
        let mut sink = Sink::new(task, vec![(file_name(path), 1)]);
        let (form, unused) = match &opened {
            Opened::Named(named) => {
                let entries = (0..named.len()).map(|at| (named.name(at), at));
                let Joined { of, unused } = pictures.join(path, entries)?;
                for &at in &of {
                    sink.push(&named.numbers(at)?)?;
                }
                ("arrays by name", unused)
            }
            Opened::Captions(captions, rows) => {
                listed::captions(task.data, path, captions)?;
                listed::push_rows(&mut sink, path, rows)?;
                ("captions with their embeddings", 0)
            }
            Opened::Bare(array) => listed::import(path, array, &pictures, &mut sink)?,
        };
        sink.finish(vec![sha256(&bytes)], form, unused)
    })
}
