//! 20,000 seeded mutations of Parquet files give rows or an error, within the limit of memory; and
//! mutations of tars through the whole way into a folder.

use std::fs;
use std::panic;
use std::sync::atomic::{AtomicU32, Ordering};

use stackgan_data::noise::{Noise, Stream};
use stackgan_data::prepared::Damaged;
use stackgan_data::unpack::parquet::Shard;
use stackgan_data::unpack::{Columns, Content, Picture};

use crate::{HEAP, fixture, into, turn};

const CASES: u64 = 20_000;

/// Panics in the crate that decodes pages.
static PANICS: AtomicU32 = AtomicU32::new(0);

#[test]
fn parquet() {
    let _turn = turn();
    let names = ["train-00000-of-00002.parquet", "lists-zstd.parquet", "bytes.parquet"];
    let corpus = names.map(|name| fs::read(fixture(name)).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mutant.parquet");
    let before = panic::take_hook();
    panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));
    let (mut well, mut refused, mut rows) = (0, 0, 0);
    for case in 0..CASES {
        let bytes =
            mutant(&corpus, case, if case % 2 == 0 { Where::Metadata } else { Where::Anywhere });
        fs::write(&path, &bytes).unwrap();
        let start = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let read = Shard::open(&path, &Columns::default()).and_then(|shard| {
            shard.read(&mut |entry, _| {
                rows += 1;
                if let Content::Sample(sample) = entry.content {
                    let Picture::Bytes(picture) = sample.picture else { panic!("no bytes") };
                    assert!(picture.len() as u64 <= 20 * (1 << 20) && !entry.name.is_empty());
                    assert!(sample.captions.iter().all(|c| !c.is_empty() && c.len() <= 4096));
                }
                Ok(())
            })
        });
        let peak = HEAP.peak_usage() - start;
        let bar = 22 * bytes.len() + (64 << 20);
        assert!(peak <= bar, "case {case}: {peak} bytes of heap for a file of {}", bytes.len());
        match read {
            Ok(()) => well += 1,
            Err(error) => {
                refused += 1;
                let said = error.to_string();
                assert!(said.contains("mutant.parquet") && said.contains("  do: "), "{said}");
            }
        }
    }
    panic::set_hook(before);
    println!(
        "{well} read, {refused} refused, {rows} rows, {} panics caught",
        PANICS.load(Ordering::Relaxed)
    );
    assert!(well > 1_000 && refused > 5_000 && rows > 20_000, "{well} {refused} {rows}");
}

#[test]
fn tars() {
    let _turn = turn();
    let names = ["birds-train-000000.tar", "apart.tar"];
    let corpus = names.map(|name| fs::read(fixture(name)).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mutant.tar");
    let (mut well, mut refused) = (0, 0);
    for case in 0..400 {
        fs::write(&path, mutant(&corpus, case, Where::Anywhere)).unwrap();
        let out = dir.path().join("out");
        match into(&out, std::slice::from_ref(&path), &Columns::default(), Damaged::Refuse) {
            Ok(_) => {
                well += 1;
                fs::remove_dir_all(&out).unwrap();
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("mutant.tar"), "{error}");
            }
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "something is left");
    }
    assert!(well > 20 && refused > 100, "{well} read, {refused} refused");
}

/// Where a file is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// In the metadata, which is at its end; its length stays.
    Metadata,
    Anywhere,
}

/// Makes up to four changes to one of the files: a truncation, a bit, a byte, a splice, a block
/// twice, or a number that becomes huge or small.
fn mutant(corpus: &[Vec<u8>], case: u64, place: Where) -> Vec<u8> {
    let mut d = Noise::new(2026).draws(Stream::Test, 0, case);
    let mut pick = |n: usize| d.below(n.max(1) as u64) as usize;
    let mut bytes = corpus[pick(corpus.len())].clone();
    for _ in 0..=pick(4) {
        let near = if place == Where::Metadata { bytes.len().min(1500) } else { bytes.len() };
        let at = (bytes.len() - near + pick(near)).min(bytes.len());
        let end = (at + 4).min(bytes.len());
        match pick(8) {
            0 if place == Where::Anywhere => bytes.truncate(at),
            1 | 2 if at < bytes.len() => bytes[at] ^= 1 << pick(8),
            3 | 4 if at < bytes.len() => bytes[at] = pick(256) as u8,
            5 if place == Where::Anywhere => {
                let end = at + pick(bytes.len() - at + 1).min(64);
                let block = bytes[at..end].to_vec();
                bytes.splice(at..at, block);
            }
            6 => bytes[at..end].copy_from_slice(&(pick(64) as u32).to_le_bytes()[..end - at]),
            _ => bytes[at..end].fill(0xff),
        }
    }
    bytes
}
