//! The file of embeddings: tensor `embeddings`, f32 (captions, D), with row `r` for caption `r` of
//! the prepared file, and `row_crc32c`, u32 (captions), the CRC-32C of each row (absent in early
//! files).
//!
//! The metadata names the encoder that made them, the dataset, and the files they were imported
//! from, if any. A file that is of no dataset can hold its captions (`texts`). The file is written
//! as a stream and read by position: 8,855 pictures with ten captions of 1,024 numbers are 363 MB
//! (the training birds of the release), which need not be in memory.

use super::source::Source;
use super::texts::{StoredTexts, Texts};
use crate::container::{Container, Element, Spec, Tensor, header, is_ours, words};
use crate::counted;
use crate::digest::sha256;
use crate::error::printable;
use crate::prepared::Prepared;
use crate::sums::{StoredSums, Sums};
use crate::whole_file::AtomicFile;
use crate::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The version of the format that this crate reads and writes.
const VERSION: u32 = 1;

/// Maximum width of an embedding.
pub(super) const MAX_DIM: usize = 65_536;

/// The metadata of a file of embeddings.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Facts {
    kind: String,
    version: u32,
    encoder: String,
    dataset: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sources: Vec<Source>,
}

/// Writes embeddings row by row; created by [`Embeddings::create`].
#[derive(Debug)]
pub struct EmbeddingsWriter {
    file: AtomicFile,
    path: PathBuf,
    facts: Facts,
    texts: Option<Texts>,
    pub(super) dim: usize,
    pub(super) rows: usize,
    written: usize,
    sums: Sums,
}

/// What is known of a file before its numbers.
pub(super) struct About<'a> {
    /// Number of embeddings.
    pub(super) rows: usize,
    /// Number of values of each.
    pub(super) dim: usize,
    /// The encoder's fingerprint.
    pub(super) encoder: &'a str,
    /// The dataset's fingerprint.
    pub(super) dataset: &'a str,
    /// What they were imported from.
    pub(super) sources: &'a [Source],
    /// The captions to be stored, one for each embedding; of a dataset none are.
    pub(super) captions: Option<&'a [String]>,
}

impl EmbeddingsWriter {
    /// Appends whole rows, in the order of the captions.
    ///
    /// # Errors
    /// When the numbers are not whole rows, exceed the announced number of rows, or are not finite
    /// (the row is named).
    pub fn append(&mut self, numbers: &[f32]) -> Result<()> {
        let rows = numbers.len() / self.dim;
        if rows * self.dim != numbers.len() || rows > self.rows - self.written {
            let expected =
                format!("at most {} of {}", counted(self.rows - self.written, "row"), self.dim);
            return Err(self.refuse(expected, counted(numbers.len(), "number")));
        }
        if let Some((at, number)) = numbers.iter().enumerate().find(|(_, n)| !n.is_finite()) {
            let found = format!("{number} in row {}", self.written + at / self.dim);
            return Err(self.refuse("finite numbers".to_owned(), found));
        }
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.file.write(&bytes)?;
        self.sums.add(&bytes, 4 * self.dim);
        self.written += rows;
        Ok(())
    }

    /// Finishes the file and gives it its name.
    ///
    /// # Errors
    /// When rows are missing, or the storage fails.
    pub fn finish(mut self) -> Result<()> {
        if self.written != self.rows {
            return Err(self.refuse(counted(self.rows, "row"), counted(self.written, "row")));
        }
        if let Some(texts) = &self.texts {
            self.file.write(&texts.bytes())?;
        }
        self.file.write(&self.sums.bytes())?;
        self.file.commit()
    }

    /// Replaces facts that are known only at the end: the encoder, and the SHA-256 of the sources.
    /// Both must have the announced length.
    pub(super) fn describe(&mut self, encoder: String, sources: Vec<Source>) -> Result<()> {
        let before = self.begin()?.len();
        self.facts.encoder = encoder;
        self.facts.sources = sources;
        let header = self.begin()?;
        if header.len() != before {
            let expected = format!("a header of {before} bytes");
            return Err(self.refuse(expected, format!("{} bytes", header.len())));
        }
        self.file.rewrite_start(&header)
    }

    /// The bytes of the file before the numbers.
    fn begin(&self) -> Result<Vec<u8>> {
        let json =
            serde_json::to_string(&self.facts).map_err(|e| Error::write(&self.path, e.into()))?;
        let (shape, rows) = ([self.rows, self.dim], [self.rows]);
        let mut specs = vec![Spec { name: "embeddings", element: Element::F32, shape: &shape }];
        specs.extend(self.texts.iter().flat_map(Texts::specs));
        specs.push(Sums::spec(&rows));
        header(&self.path, &specs, &json)
    }

    fn refuse(&self, expected: String, found: String) -> Error {
        let place = format!("row {}", self.written);
        let remedy = "make one embedding for each caption, with one encoder";
        Error::malformed(&self.path, "embeddings do not fit", place, (expected, found), remedy)
    }
}

/// An open file of embeddings.
#[derive(Debug)]
pub struct Embeddings {
    container: Container,
    tensor: Tensor,
    sums: Option<StoredSums>,
    texts: Option<StoredTexts>,
    rows: usize,
    dim: usize,
    facts: Facts,
}

impl Embeddings {
    /// Creates a file for the embeddings of all captions of `data`, in the order of
    /// [`Prepared::all_captions`], of `dim` numbers each. `encoder` is a fingerprint.
    ///
    /// # Errors
    /// When `dim` is zero or above 65,536, or the file cannot be created.
    pub fn create(
        path: &Path,
        dim: usize,
        encoder: &str,
        data: &Prepared,
    ) -> Result<EmbeddingsWriter> {
        let (rows, dataset) = (data.caption_count(), data.fingerprint());
        let about = About { rows, dim, encoder, dataset, sources: &[], captions: None };
        Self::create_about(path, about)
    }

    /// As [`Embeddings::create`], for the embeddings of captions that are of no dataset: the file
    /// holds them, and a hash of them is in the dataset's place.
    ///
    /// # Errors
    /// As [`Embeddings::create`], and when there are no captions, or more than 4 GiB of them.
    pub fn create_with_captions(
        path: &Path,
        dim: usize,
        encoder: &str,
        captions: &[String],
    ) -> Result<EmbeddingsWriter> {
        let dataset = &*fingerprint(captions);
        let (rows, captions) = (captions.len(), Some(captions));
        Self::create_about(path, About { rows, dim, encoder, dataset, sources: &[], captions })
    }

    /// As [`Embeddings::create`], with all facts.
    pub(super) fn create_about(path: &Path, about: About<'_>) -> Result<EmbeddingsWriter> {
        let About { rows, dim, encoder, dataset, sources, captions } = about;
        if dim == 0 || dim > MAX_DIM || rows == 0 {
            return Err(Error::config(
                "embeddings cannot have this shape",
                (format!("rows and 1 to {MAX_DIM} numbers each"), format!("({rows}, {dim})")),
                "check the encoder's width and the dataset's captions",
            ));
        }
        let facts = Facts {
            kind: "embeddings".to_owned(),
            version: VERSION,
            encoder: encoder.to_owned(),
            dataset: dataset.to_owned(),
            sources: sources.to_vec(),
        };
        let texts = captions.map(|captions| Texts::of(captions, path)).transpose()?;
        let (file, path) = (AtomicFile::create(path)?, path.to_path_buf());
        let (written, sums) = (0, Sums::default());
        let mut writer = EmbeddingsWriter { file, path, facts, texts, dim, rows, written, sums };
        let header = writer.begin()?;
        writer.file.write(&header)?;
        Ok(writer)
    }

    /// Opens a file without reading any embedding.
    ///
    /// # Errors
    /// When the file is damaged, or of another kind or version, or of another program: then the
    /// remedy says how it is imported.
    pub fn open(path: &Path) -> Result<Self> {
        if !is_ours(path)? {
            return Err(foreign(path));
        }
        let versions = VERSION..=VERSION;
        let (container, facts): (_, Facts) = Container::open(path, "embeddings", versions)?;
        let tensor = container.tensor("embeddings", Element::F32, 2)?;
        let (rows, dim) = match *tensor.shape.as_slice() {
            [rows, dim] if rows > 0 && (1..=MAX_DIM).contains(&dim) => (rows, dim),
            _ => {
                let found = format!("{:?}", tensor.shape);
                return Err(container.malformed("embeddings", "shape (captions, width)", found));
            }
        };
        let texts = StoredTexts::find(&container, rows)?;
        let sums = StoredSums::find(&container, rows)?;
        Ok(Self { container, tensor, sums, texts, rows, dim, facts })
    }

    /// Number of embeddings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no embeddings; always false for an open file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Number of values of one embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.container.path()
    }

    /// The fingerprint of the encoder that made the embeddings.
    #[must_use]
    pub fn encoder(&self) -> &str {
        &self.facts.encoder
    }

    /// The fingerprint of the dataset whose captions were embedded.
    #[must_use]
    pub fn dataset(&self) -> &str {
        &self.facts.dataset
    }

    /// The files that the embeddings were imported from; empty if our own encoder made them.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.facts.sources
    }

    /// The caption of a row, if the file holds captions.
    ///
    /// # Errors
    /// When there is no such row, or the file cannot be read.
    pub fn caption(&self, row: usize) -> Result<Option<String>> {
        self.texts.as_ref().map(|texts| texts.read(&self.container, row)).transpose()
    }

    /// Checks that these are the embeddings of `data`.
    ///
    /// # Errors
    /// Names both files and both numbers or fingerprints.
    pub fn check(&self, data: &Prepared) -> Result<()> {
        if self.rows == data.caption_count() && self.dataset() == data.fingerprint() {
            return Ok(());
        }
        let said = |rows: usize, print: &str| {
            let print = printable(print.get(..12).unwrap_or(print));
            format!("{} of dataset {print}", counted(rows, "caption"))
        };
        let wanted = said(data.caption_count(), data.fingerprint());
        Err(Error::malformed(
            self.path(),
            "embeddings belong to another dataset",
            "metadata",
            (format!("{wanted} ({})", data.path().display()), said(self.rows, self.dataset())),
            "encode the captions of this dataset with `stackgan text encode`, or import the embeddings again with \
             `stackgan data import DIR --embeddings PATH`",
        ))
    }

    /// Reads consecutive rows: `rows.len() * dim` numbers.
    ///
    /// # Errors
    /// When there are no such rows, or the file cannot be read.
    pub fn rows(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        if rows.end > self.rows || rows.start > rows.end {
            return Err(self.container.malformed(
                "embeddings",
                format!("rows within {}", self.rows),
                format!("{} to {}", rows.start, rows.end),
            ));
        }
        let width = self.dim * 4;
        let start = rows.start as u64 * width as u64;
        let bytes = self.container.read(&self.tensor, start, rows.len() * width)?;
        if let Some(sums) = &self.sums {
            let place = |row| format!("embeddings, row {row}");
            sums.check(&self.container, (rows.start, &place), &bytes, width)?;
        }
        Ok(words(&bytes).map(f32::from_le_bytes).collect())
    }

    /// The mean of some rows, `dim` numbers. The recipes feed this mean to the networks (TensorFlow
    /// release, `misc/datasets.py`, `sample_embeddings`).
    ///
    /// # Errors
    /// When `rows` is empty or contains an invalid row, or the file cannot be read.
    pub fn mean(&self, rows: &[usize]) -> Result<Vec<f32>> {
        let (Some(&low), Some(&high)) = (rows.iter().min(), rows.iter().max()) else {
            return Err(self.container.malformed("embeddings", "at least one row", "none"));
        };
        // The captions of one picture are consecutive: one read.
        let numbers = self.rows(low..high.saturating_add(1))?;
        let mut sum = vec![0f32; self.dim];
        for &row in rows {
            let from = (row - low) * self.dim;
            for (sum, number) in sum.iter_mut().zip(numbers.iter().skip(from)) {
                *sum += number;
            }
        }
        let n = rows.len() as f32;
        sum.iter_mut().for_each(|sum| *sum /= n);
        Ok(sum)
    }

    /// The mean of each dimension over the given rows, and one overall standard deviation around
    /// these means.
    ///
    /// These are the values that standardise embeddings. Sums are computed in f64 in the order of
    /// `rows`.
    ///
    /// # Errors
    /// When `rows` is empty or contains an invalid row, or the file cannot be read.
    pub fn mean_and_std(&self, rows: &[usize]) -> Result<(Vec<f32>, f32)> {
        if rows.is_empty() {
            return Err(self.container.malformed("embeddings", "at least one row", "none"));
        }
        let mut sum = vec![0f64; self.dim];
        for &row in rows {
            for (sum, number) in sum.iter_mut().zip(self.rows(row..row.saturating_add(1))?) {
                *sum += f64::from(number);
            }
        }
        let n = rows.len() as f64;
        sum.iter_mut().for_each(|sum| *sum /= n);
        let mut squares = 0f64;
        for &row in rows {
            for (mean, number) in sum.iter().zip(self.rows(row..row.saturating_add(1))?) {
                squares += (f64::from(number) - mean).powi(2);
            }
        }
        let std = (squares / (n * self.dim as f64)).sqrt();
        Ok((sum.iter().map(|&mean| mean as f32).collect(), std as f32))
    }
}

/// What stands for a dataset's fingerprint where there are only captions.
pub(super) fn fingerprint(captions: &[String]) -> String {
    format!("captions-{}", sha256(captions.join("\n")))
}

/// The error for a file of another program.
fn foreign(path: &Path) -> Error {
    let remedy = "import them first: to paint from captions with their embeddings, `stackgan text import FILE --out \
                  captions.safetensors`; to train on a dataset's, `stackgan data import DIR --embeddings FILE`";
    let what = "embeddings are not in this program's form";
    let expected = "a file of `text encode`, `text import` or `data import`";
    Error::malformed(path, what, "its beginning", (expected, "one of another program"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::PictureSize;
    use crate::testing::prepared;

    fn written(data: &Prepared, path: &Path, dim: usize) -> Vec<f32> {
        let noise = stackgan_noise::Noise::new(8);
        let count = data.caption_count() * dim;
        let numbers = noise.normal(stackgan_noise::Stream::Test, 0, 0, count);
        let mut writer = Embeddings::create(path, dim, "enc", data).unwrap();
        for chunk in numbers.chunks(7 * dim) {
            writer.append(chunk).unwrap();
        }
        writer.finish().unwrap();
        numbers
    }

    #[test]
    fn rows_means_and_moments() {
        let (dir, _, data) = prepared(12, 3, PictureSize::Stage1);
        let path = dir.path().join("e.safetensors");
        let numbers = written(&data, &path, 5);
        let e = Embeddings::open(&path).unwrap();
        e.check(&data).unwrap();
        assert_eq!((e.len(), e.dim(), e.encoder()), (data.caption_count(), 5, "enc"));
        assert_eq!(e.rows(0..e.len()).unwrap(), numbers);
        assert_eq!(e.rows(3..5).unwrap(), numbers[15..25]);
        assert!(e.rows(3..e.len() + 1).is_err() && e.mean(&[]).is_err() && e.mean(&[999]).is_err());
        assert!(e.mean(&[usize::MAX]).is_err());
        let mean = e.mean(&[4, 2]).unwrap();
        for d in 0..5 {
            assert_eq!(mean[d], (numbers[20 + d] + numbers[10 + d]) / 2.0);
        }
        let rows = [1, 4, 7, 8];
        let (mean, std) = e.mean_and_std(&rows).unwrap();
        let column = |d: usize| rows.map(|r| f64::from(numbers[r * 5 + d]));
        let mut squares = 0.0;
        for (d, &mean) in mean.iter().enumerate() {
            let m = column(d).iter().sum::<f64>() / 4.0;
            assert!((f64::from(mean) - m).abs() < 1e-6);
            squares += column(d).iter().map(|x| (x - m).powi(2)).sum::<f64>();
        }
        assert!((f64::from(std) - (squares / 20.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn a_changed_bit_is_noticed_where_its_row_is_read() {
        let (dir, _, data) = prepared(4, 2, PictureSize::Stage1);
        let path = dir.path().join("e.safetensors");
        let rows = written(&data, &path, 5).len() / 5;
        let mut bytes = std::fs::read(&path).unwrap();
        let numbers = bytes.len() - rows * 4 - rows * 20;
        bytes[numbers + 2 * 20 + 3] ^= 1; // the sign's neighbour in the third row
        std::fs::write(&path, bytes).unwrap();
        let e = Embeddings::open(&path).unwrap();
        for row in 0..rows {
            assert_eq!(e.rows(row..row + 1).is_err(), row == 2, "{row}");
        }
        let error = e.rows(0..rows).unwrap_err().to_string();
        assert!(error.contains("embeddings, row 2") && error.contains("CRC-32C"), "{error}");
    }

    #[test]
    fn other_datasets_and_bad_numbers_are_refused() {
        let (dir, _, data) = prepared(6, 2, PictureSize::Stage1);
        let path = dir.path().join("e.safetensors");
        let create = |rows, dim, dataset| {
            let encoder = "e";
            let about = About { rows, dim, encoder, dataset, sources: &[], captions: None };
            Embeddings::create_about(&path, about)
        };
        let refused = |rows: usize, numbers: &[f32]| {
            let mut writer = create(rows, 2, "d").unwrap();
            writer.append(numbers).and_then(|()| writer.finish()).unwrap_err().to_string()
        };
        assert!(refused(2, &[0.0, 1.0, f32::NAN, 0.0]).contains("NaN in row 1"));
        assert!(refused(1, &[0.0; 4]).contains("at most 1 row of 2"));
        assert!(refused(2, &[0.0; 3]).contains("3 numbers"));
        assert!(refused(2, &[0.0; 2]).contains("found 1 row"));
        assert!(!path.exists());
        assert!(create(1, 0, "d").is_err() && create(0, 1, "d").is_err());
        let mut writer = create(1, 2, "another").unwrap();
        writer.append(&[0.0; 2]).unwrap();
        writer.finish().unwrap();
        let error = Embeddings::open(&path).unwrap().check(&data).unwrap_err().to_string();
        assert!(error.contains("1 caption of dataset another"), "{error}");
        assert!(Embeddings::open(data.path()).is_err());
        assert!(Prepared::open(&path).is_err());
    }
}
