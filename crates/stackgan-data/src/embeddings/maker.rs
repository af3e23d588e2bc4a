//! Whether an encoder made the embeddings of a file: its vectors of some captions are compared with
//! the file's.
//!
//! The encoder runs elsewhere (this crate has no networks): [`probes`] names the captions, a
//! [`Maker`] brings their vectors, and the import compares them as the rows pass.

use super::file::MAX_DIM;
use super::source::{Source, UNKNOWN};
use crate::dataset::evenly;
use crate::digest::sha256;
use crate::error::{counted, printable};
use crate::{Error, Result};
use std::path::Path;

/// Maximum number of captions that are compared. Their number decides how finely the agreeing part
/// is known (to half a percent), and how long it takes: seconds with the paper's encoder on a CPU.
const PROBES: usize = 200;

/// A vector agrees if it differs from the file's by less than this part of the spread of the
/// encoder's vectors.
///
/// The spread, the root mean square distance of the vectors from their mean, is the scale on which
/// sentences differ. Beside their length the difference would always look small with encoders whose
/// vectors have a large part in common.
///
/// Measured with the demo's encoder on 200 captions of toy birds (medians): 0.0004 for vectors that
/// were saved as float16; 0.02 if the first letter alone is read in another way, 0.12 for a
/// space and a full stop more at the end, 0.9 for the captions of a list that is shifted by one.
const TOLERANCE: f64 = 1e-2;

/// The part of the compared captions that must agree, in tenths. The others may be those that were
/// edited since, or that have characters which programs read in different ways.
const TENTHS: usize = 9;

/// The encoder that is said to have made embeddings, with its own vectors of some of their captions.
#[derive(Clone, Debug)]
pub struct Maker {
    /// Its name, for messages.
    pub name: String,
    /// Its fingerprint, which the file of embeddings gets if the vectors agree.
    pub fingerprint: String,
    /// The rows that are compared, rising: those of [`probes`].
    pub rows: Vec<usize>,
    /// The encoder's vectors of their captions, one after the other.
    pub vectors: Vec<f32>,
}

/// How many vectors of an encoder agree with a file's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Number of compared captions.
    pub compared: usize,
    /// Number of those that agree.
    pub agreeing: usize,
    /// The median difference, as a part of the spread of the encoder's vectors.
    pub median: f64,
}

/// The rows of the captions that are compared: up to 200, evenly spaced over those that are not
/// empty. None if all are.
#[must_use]
pub fn probes(captions: &[String]) -> Vec<usize> {
    let said = captions.iter().enumerate().filter(|(_, caption)| !caption.is_empty());
    let said: Vec<usize> = said.map(|(row, _)| row).collect();
    evenly(said.len(), PROBES).filter_map(|k| said.get(k).copied()).collect()
}

/// What is recorded as the encoder: the maker, or a hash of the sources if it is not known.
pub(super) fn encoder_of(maker: Option<&Maker>, sources: &[Source]) -> String {
    if let Some(maker) = maker {
        return maker.fingerprint.clone();
    }
    let hashes: Vec<&str> = sources.iter().map(|source| &*source.sha256).collect();
    format!("{UNKNOWN}{}", sha256(hashes.join(" ")))
}

/// A comparison in progress.
pub(super) struct Comparison<'a> {
    maker: &'a Maker,
    file: Box<Path>,
    dim: usize,
    /// Number of rows of the file that were seen.
    seen: usize,
    spread: Option<f64>,
    differences: Vec<f64>,
}

impl<'a> Comparison<'a> {
    /// Of the embeddings of `file`, which have `dim` numbers.
    ///
    /// # Errors
    /// When there is nothing to compare, or the encoder has another width.
    pub(super) fn new(maker: &'a Maker, dim: usize, file: &Path) -> Result<Self> {
        let n = maker.rows.len();
        if n == 0 {
            let pair = ("captions to compare", "none that is not empty".to_owned());
            let remedy =
                "leave `--made-by` out: without captions nobody can tell which encoder made them";
            return Err(refused(file, maker, pair, remedy));
        }
        let own = maker.vectors.len() / n;
        if own != dim || own * n != maker.vectors.len() || !(1..=MAX_DIM).contains(&dim) {
            let pair = (format!("{dim} numbers a caption, as in the file"), counted(own, "number"));
            let remedy = "name the encoder that made them, of this width";
            return Err(refused(file, maker, pair, remedy));
        }
        let spread = spread(&maker.vectors, dim);
        let (file, differences) = (file.into(), Vec::with_capacity(n));
        Ok(Self { maker, file, dim, seen: 0, spread, differences })
    }

    /// Compares those of the file's next rows that are to be.
    pub(super) fn see(&mut self, numbers: &[f32]) {
        let first = self.seen;
        self.seen += numbers.len() / self.dim;
        let from = self.maker.rows.partition_point(|&row| row < first);
        for (k, &row) in self.maker.rows.iter().enumerate().skip(from) {
            let at = row.checked_sub(first);
            let given = at.and_then(|at| numbers.chunks_exact(self.dim).nth(at));
            let Some(given) = given else { break };
            let own = self.maker.vectors.chunks_exact(self.dim).nth(k).unwrap_or_default();
            let scale = self.spread.unwrap_or_else(|| distance(own, &vec![0.0; self.dim]));
            let difference = distance(own, given);
            // An encoder that gives zeros for a caption agrees with zeros.
            self.differences.push(if difference == 0.0 { 0.0 } else { difference / scale });
        }
    }

    /// The result for all rows that were seen.
    ///
    /// # Errors
    /// When too few agree.
    pub(super) fn end(mut self) -> Result<Agreement> {
        self.differences.sort_by(f64::total_cmp); // NaN last
        let compared = self.maker.rows.len();
        let agreeing = self.differences.iter().filter(|d| **d < TOLERANCE).count();
        let median = self.differences.get(compared / 2).copied().unwrap_or(f64::INFINITY);
        if agreeing * 10 >= compared * TENTHS {
            return Ok(Agreement { compared, agreeing, median });
        }
        let expected = format!(
            "at least {} of {} to differ by less than {TOLERANCE} of the encoder's spread",
            (compared * TENTHS).div_ceil(10),
            counted(compared, "compared caption")
        );
        let found = format!("{agreeing}; the median difference is {median:.3}");
        let remedy = "import the encoder with another treatment of capitals and unknown characters (`stackgan text import \
                      … --case keep`, `--unknown space`, `--unknown truncate`), or name the encoder that made them; \
                      without `--made-by` they are imported as those of an unknown encoder";
        Err(refused(&self.file, self.maker, (expected, found), remedy))
    }
}

fn refused(
    file: &Path,
    maker: &Maker,
    pair: (impl Into<Box<str>>, impl Into<Box<str>>),
    remedy: &str,
) -> Error {
    let place = format!("beside the vectors of {}", printable(&maker.name));
    Error::malformed(file, "the encoder did not make these embeddings", place, pair, remedy)
}

/// The root mean square distance of vectors from their mean; `None` if they are all the same.
fn spread(vectors: &[f32], dim: usize) -> Option<f64> {
    let n = (vectors.len() / dim) as f64;
    let mut mean = vec![0.0; dim];
    for vector in vectors.chunks_exact(dim) {
        mean.iter_mut().zip(vector).for_each(|(sum, &number)| *sum += f64::from(number) / n);
    }
    let around = |vector: &[f32]| -> f64 {
        vector.iter().zip(&mean).map(|(&number, mean)| (f64::from(number) - mean).powi(2)).sum()
    };
    let squares: f64 = vectors.chunks_exact(dim).map(around).sum();
    let first = vectors.get(..dim)?;
    let alike = vectors.chunks_exact(dim).all(|vector| vector == first);
    (!alike).then(|| (squares / n).sqrt())
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIM: usize = 8;

    /// Vectors of `n` captions: one part in common, and one of their own.
    fn vectors(n: usize) -> Vec<f32> {
        let own = stackgan_noise::Noise::new(5).normal(stackgan_noise::Stream::Test, 0, 0, n * DIM);
        own.iter().map(|x| 20.0 + x).collect()
    }

    fn maker(rows: Vec<usize>, all: &[f32]) -> Maker {
        let vectors = rows.iter().flat_map(|r| all[r * DIM..(r + 1) * DIM].to_vec()).collect();
        Maker { name: "e".to_owned(), fingerprint: "f".repeat(64), rows, vectors }
    }

    /// Compares in pieces of `piece` rows.
    fn compared(maker: &Maker, given: &[f32], piece: usize) -> Result<Agreement> {
        let mut comparison = Comparison::new(maker, DIM, Path::new("x.npy"))?;
        given.chunks(piece * DIM).for_each(|numbers| comparison.see(numbers));
        comparison.end()
    }

    #[test]
    fn probes_are_spread_over_what_is_said() {
        let said = |n: usize| vec!["a".to_owned(); n];
        assert_eq!(probes(&said(3)), [0, 1, 2]);
        let of_many = probes(&said(40_000));
        assert_eq!((of_many.len(), of_many[0], of_many[1], of_many[199]), (200, 0, 200, 39_800));
        let mut some = said(5);
        some[0].clear();
        some[3].clear();
        assert_eq!(probes(&some), [1, 2, 4]);
        assert!(probes(&vec![String::new(); 9]).is_empty() && probes(&[]).is_empty());
    }

    #[test]
    fn one_encoder_agrees_with_itself_and_its_roundings() {
        let all = vectors(50);
        let maker = maker((0..50).step_by(3).collect(), &all);
        for piece in [1, 7, 50] {
            let found = compared(&maker, &all, piece).unwrap();
            assert_eq!(found, Agreement { compared: 17, agreeing: 17, median: 0.0 });
        }
        let rounded: Vec<f32> = all.iter().map(|x| x * (1.0 + 1e-4)).collect();
        let found = compared(&maker, &rounded, 4).unwrap();
        assert!(found.agreeing == 17 && (1e-4..1e-2).contains(&found.median), "{found:?}");
    }

    /// Vectors of 20 ± 1 are all within a tenth of one another: their length says nothing.
    #[test]
    fn what_is_small_beside_the_length_of_vectors_is_not_small() {
        let all = vectors(50);
        let maker = maker((0..50).collect(), &all);
        let mut shuffled = all[DIM..].to_vec();
        shuffled.extend(&all[..DIM]);
        let said = compared(&maker, &shuffled, 7).unwrap_err().to_string();
        for part in ["at least 45 of 50 compared captions", "found 0; the median difference is 1."]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(said.contains("--unknown truncate") && said.contains("x.npy (beside"), "{said}");
    }

    #[test]
    fn nine_in_ten_are_enough() {
        let all = vectors(20);
        let maker = maker((0..20).collect(), &all);
        let mut given = all.clone();
        given[0] += 1.0;
        given[DIM] = f32::NAN;
        let found = compared(&maker, &given, 3).unwrap();
        assert_eq!((found.compared, found.agreeing), (20, 18));
        given[2 * DIM] += 1.0;
        assert!(compared(&maker, &given, 3).is_err());
        // Fewer rows than there should be.
        assert!(compared(&maker, &all[..12 * DIM], 3).is_err());
    }

    #[test]
    fn without_captions_or_width_nothing_is_compared() {
        let all = vectors(2);
        let said = compared(&maker(Vec::new(), &all), &all, 1).unwrap_err().to_string();
        assert!(said.contains("leave `--made-by` out"), "{said}");
        let other = Maker { vectors: vec![0.0; 6], ..maker(vec![0, 1], &all) };
        let said = compared(&other, &all, 1).unwrap_err().to_string();
        assert!(said.contains("8 numbers a caption") && said.contains("found 3 numbers"), "{said}");
        // A single vector has no spread: its length is the scale.
        let one = maker(vec![1], &all);
        assert_eq!(compared(&one, &all, 2).unwrap().agreeing, 1);
        assert!(compared(&one, &[&all[DIM..], &all[..DIM]].concat(), 2).is_err());
    }
}
