//! Mean and covariance in an `.npz`, as pytorch-fid reads and writes them (`mu`, `sigma`, f64). Our
//! additional data are stored beside them under other names, so that a cache file is also a
//! statistics file.

use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use stackgan_data::formats::{npy, npz, read_bounded};
use stackgan_data::printable;
use stackgan_eval::moments::Moments;
use stackgan_eval::report::Judge;
use stackgan_eval::rows::Rows;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::exit::Problem;

/// Maximum size of a file in bytes: 2048 features and 10,000 rows take 116 MB.
const LARGEST: u64 = 1 << 30;

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
    pub(super) fn read(file: &Path) -> Result<Self> {
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
            .with_context(|| format!("cannot use the statistics\n  file: {}", file.display()))?;
        let rows = if has("rows") {
            let member = archive.member("rows")?;
            Some(Rows::from_values(moments.width(), npy::decode(&member, file)?.to_f32())?)
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

    /// Checks that the statistics have as many features as the network, and are its own if they say
    /// whose they are.
    pub(super) fn check(&self, judge: &Judge, file: &Path) -> Result<()> {
        let parts = match (self.moments.width(), &self.by) {
            (width, _) if width != judge.features => {
                (format!("{} features", judge.features), width.to_string())
            }
            (_, Some(by)) if *by != judge.line() => (judge.line(), printable(by)),
            _ => return Ok(()),
        };
        let remedy = "use statistics and network of the same kind";
        Err(Problem::data("the statistics are of another network", file, parts, remedy).into())
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

    #[test]
    fn heads_are_those_of_numpy() {
        let head = header("<f8", &[5]);
        assert!(head.len().is_multiple_of(64) && head.ends_with(b"\n"));
        assert!(String::from_utf8_lossy(&head).contains("'shape': (5,), }"));
        assert!(String::from_utf8_lossy(&header("<f8", &[5, 6])).contains("(5, 6,)"));
    }
}
