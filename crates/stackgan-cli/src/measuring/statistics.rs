//! Mean and covariance in an `.npz`, as pytorch-fid reads and writes them (`mu`, `sigma`, f64). Our
//! additional data are stored beside them under other names, so that a cache file is also a
//! statistics file.

use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Error, Result};
use stackgan_data::formats::{npy, npz, read_bounded};
use stackgan_data::printable;
use stackgan_eval::Error as Unmeasured;
use stackgan_eval::moments::Moments;
use stackgan_eval::report::Judge;
use stackgan_eval::rows::Rows;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::exit::Problem;

/// Maximum size of a file in bytes: 2048 features and 10,000 rows take 116 MB.
const LARGEST: u64 = 1 << 30;
/// What is said of numbers that are no statistics of features.
const UNUSABLE: &str = "the statistics cannot be used";
/// What can be done about them.
const AGAIN: &str = "take the statistics again, with `--save-stats` or pytorch-fid";

/// The contents of a statistics file.
pub(super) struct Statistics {
    pub moments: Moments,
    /// Some of the rows behind the moments; only in cache files.
    pub rows: Option<Rows>,
    /// The network that made them, and how pictures were resized for it: [`Judge::line`]. Files of
    /// other programs do not say it.
    pub by: Option<String>,
}

impl Statistics {
    /// Reads a file.
    ///
    /// # Errors
    /// Code 4 if there is none, 3 if it does not hold the mean and covariance of features.
    pub(super) fn read(file: &Path) -> Result<Self> {
        if !file.exists() {
            let expected = "statistics in pytorch-fid's format (.npz)";
            return Err(Problem::no_file(file, expected, "check the path").into());
        }
        let bytes = read_bounded(file, LARGEST)?;
        let archive = npz::decode(&bytes, file)?;
        let numbers = |name: &str| -> Result<(Vec<usize>, Vec<f64>)> {
            let member = archive.member(name)?;
            let array = npy::decode(&member, file)?;
            Ok((array.shape().to_vec(), array.to_f64()))
        };
        let names = archive.names();
        let has = |name: &str| names.iter().any(|n| n == name);
        let count = if has("count") { numbers("count")?.1.first().copied() } else { None };
        let (_, mean) = numbers("mu")?;
        let (_, covariance) = numbers("sigma")?;
        let moments = Moments::from_parts(count.unwrap_or(0.0) as u64, mean, &covariance)
            .map_err(|error| unusable(error, file))?;
        let rows = if has("rows") {
            let member = archive.member("rows")?;
            let values = npy::decode(&member, file)?.to_f32();
            let rows = Rows::from_values(moments.width(), values);
            Some(rows.map_err(|error| unusable(error, file))?)
        } else {
            None
        };
        let by = if has("by") { Some(numbers("by")?.1) } else { None };
        let by = by.map(|text| text.into_iter().map(|byte| byte as u8).collect());
        let by = by.map(|text: Vec<u8>| String::from_utf8_lossy(&text).into_owned());
        Ok(Self { moments, rows, by })
    }

    /// Serialises the statistics.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let width = self.moments.width();
        let mut file = ZipWriter::new(Cursor::new(Vec::new()));
        let mut add = |name: &str, descr: &str, shape: &[usize], numbers: &[u8]| -> Result<()> {
            let large = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .last_modified_time(zip::DateTime::default()); // equal values give equal bytes
            file.start_file(format!("{name}.npy"), large)?;
            file.write_all(&header(descr, shape))?;
            file.write_all(numbers)?;
            Ok(())
        };
        add("mu", "<f8", &[width], &bytes(self.moments.mean()))?;
        add("sigma", "<f8", &[width, width], &bytes(&self.moments.covariance()))?;
        add("count", "<f8", &[1], &(self.moments.count() as f64).to_le_bytes())?;
        if let Some(by) = &self.by {
            add("by", "|u1", &[by.len()], by.as_bytes())?;
        }
        if let Some(rows) = &self.rows {
            let numbers: Vec<u8> = rows.values().iter().flat_map(|v| v.to_le_bytes()).collect();
            add("rows", "<f4", &[rows.len(), width], &numbers)?;
        }
        Ok(file.finish()?.into_inner())
    }

    /// Checks that the statistics have as many features as the network, are its own if they say
    /// whose they are, and can be those of pictures.
    ///
    /// # Errors
    /// Code 3.
    pub(super) fn check(&self, judge: &Judge, file: &Path) -> Result<()> {
        let parts = match (self.moments.width(), &self.by) {
            (width, _) if width != judge.features => {
                (format!("{} features", judge.features), width.to_string())
            }
            (_, Some(by)) if *by != judge.line() => (judge.line(), printable(by)),
            _ if !self.moments.is_possible() => {
                let parts = ("the covariance of features", "a matrix with negative eigenvalues");
                return Err(Problem::data(UNUSABLE, file, parts, AGAIN).into());
            }
            _ => return Ok(()),
        };
        let remedy = "use statistics and network of the same kind";
        Err(Problem::data("the statistics are of another network", file, parts, remedy).into())
    }
}

/// The error about numbers that are no statistics of features.
fn unusable(error: Unmeasured, file: &Path) -> Error {
    match error {
        Unmeasured::Input { expected, found, .. } => {
            Problem::data(UNUSABLE, file, (expected, found), AGAIN).into()
        }
        error => error.into(),
    }
}

fn bytes(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The header of an `.npy` of version 1: a multiple of 64 bytes that ends in a newline.
fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let shape: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let shape = shape.strip_suffix(' ').unwrap_or(&shape);
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((length as u16).to_le_bytes());
    head.extend(format!("{text:<0$}\n", length - 1).into_bytes());
    head
}

#[cfg(test)]
mod tests {
    use stackgan_eval::features::Network;

    use super::*;
    use crate::exit::{Exit, code};

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s.npz");
        let rows = Rows::from_values(3, (0..21).map(|i| (i * i % 11) as f32).collect()).unwrap();
        let moments = Moments::of(&rows).unwrap();
        let by = Some("a network, ä resize to 9".to_owned());
        let written = Statistics { moments, rows: Some(rows.clone()), by: by.clone() };
        std::fs::write(&file, written.to_bytes().unwrap()).unwrap();
        let read = Statistics::read(&file).unwrap();
        assert_eq!(read.moments.mean(), written.moments.mean());
        assert_eq!(read.moments.covariance(), written.moments.covariance());
        assert_eq!((read.moments.count(), read.rows, &read.by), (7, Some(rows), &by));
        assert!(read.moments.covariance().iter().any(|v| *v != 0.0));
        assert_eq!(written.to_bytes().unwrap(), written.to_bytes().unwrap());
        let mut judge = Judge::new(Network::InceptionFid, "aa");
        for features in [4, 3] {
            judge.features = features;
            let error = Statistics::read(&file).unwrap().check(&judge, &file).unwrap_err();
            assert!(error.to_string().contains("another network"), "{error}");
        }
        Statistics { by: None, ..written }.check(&judge, &file).unwrap();
    }

    /// Returns the file of another program with these numbers.
    fn foreign(mean: &[f64], covariance: &[f64]) -> Vec<u8> {
        let mut file = ZipWriter::new(Cursor::new(Vec::new()));
        let n = mean.len();
        for (name, shape, numbers) in [("mu", &[n][..], mean), ("sigma", &[n, n], covariance)] {
            file.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
            file.write_all(&header("<f8", shape)).unwrap();
            file.write_all(&bytes(numbers)).unwrap();
        }
        file.finish().unwrap().into_inner()
    }

    #[test]
    fn what_is_no_covariance_is_damaged_data() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s.npz");
        let mut judge = Judge::new(Network::InceptionFid, "aa");
        judge.features = 3;
        let read = |covariance: [f64; 9]| {
            std::fs::write(&file, foreign(&[0.0; 3], &covariance)).unwrap();
            Statistics::read(&file).and_then(|found| found.check(&judge, &file))
        };
        read([2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
        read([0.0; 9]).unwrap();
        for bad in [
            [1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
            [1.0, 0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0, 1.0],
            [1.0, 0.0, 0.0, 0.0, f64::NAN, 0.0, 0.0, 0.0, 1.0],
            // Each pair of features is possible, all three together are not.
            [1.0, -0.9, -0.9, -0.9, 1.0, -0.9, -0.9, -0.9, 1.0],
        ] {
            let error = read(bad).unwrap_err();
            assert_eq!(code(&error), Exit::Data, "{error:?}");
            let text = error.to_string();
            assert!(text.contains("s.npz") && text.contains("statistics again"), "{text}");
        }
        let error = Statistics::read(&dir.path().join("none.npz")).err().unwrap();
        assert_eq!(code(&error), Exit::Missing);
    }

    #[test]
    fn heads_are_those_of_numpy() {
        let head = header("<f8", &[5]);
        assert!(head.len().is_multiple_of(64) && head.ends_with(b"\n"));
        assert!(String::from_utf8_lossy(&head).contains("'shape': (5,), }"));
        assert!(String::from_utf8_lossy(&header("<f8", &[5, 6])).contains("(5, 6,)"));
    }
}
