//! 20,000 seeded mutations of each format give a value or an error, never a panic, and stay within
//! the memory limit.

use crate::packs::{self, Record};
use crate::prepared;
use crate::readers::{self, FILE, Read};
use crate::tables;
use crate::{turn, within_bar};
use stackgan_data::noise::{Noise, Stream};

const CASES: u64 = 20_000;

#[test]
fn pickles() {
    let _turn = turn();
    mutate(packs::pickles(), readers::pickles, 500);
}

#[test]
fn npy() {
    let _turn = turn();
    let mut corpus = packs::npy();
    corpus.retain(|record| record.name.contains(" npy-"));
    mutate(corpus, readers::npy, 300);
}

#[test]
fn npz() {
    let _turn = turn();
    let mut corpus = packs::npy();
    corpus.retain(|record| record.name.contains(" npz-"));
    mutate(corpus, readers::npz, 500);
}

#[test]
fn matlab() {
    let _turn = turn();
    mutate(packs::matlab(), readers::matlab, 500);
}

#[test]
fn torch_7() {
    let _turn = turn();
    let mut corpus = packs::torch7();
    corpus.push(Record {
        name: "functions, an object and a cycle".to_owned(),
        bytes: functions(),
        holds: serde_json::Value::Null,
    });
    mutate(corpus, readers::torch7, 500);
}

/// Returns a table of ignored objects: functions of each tag, an object of another class, and the
/// table itself.
fn functions() -> Vec<u8> {
    let word = |n: u32| n.to_le_bytes();
    let string = |text: &[u8]| [&word(text.len() as u32)[..], text].concat();
    let values = [
        [&word(6)[..], &string(b"code"), &word(0)].concat(),
        [&word(7)[..], &word(2), &string(b"code"), &word(0)].concat(),
        [&word(8)[..], &word(3), &string(b"\x1bLJ"), &word(3), &word(4), &word(0)].concat(),
        [&word(4)[..], &word(5), &string(b"V 1"), &string(b"nn.Linear"), &word(3), &word(1)]
            .concat(),
        [word(3), word(1)].concat(),
    ];
    let mut file = [word(3), word(1), word(values.len() as u32)].concat();
    for (key, value) in (1u8..).zip(values) {
        file.extend([&word(1)[..], &f64::from(key).to_le_bytes(), &value].concat());
    }
    file
}

#[test]
fn pytorch_zip() {
    let _turn = turn();
    let mut corpus = packs::torch_pickle();
    corpus.retain(|record| record.bytes.starts_with(b"PK"));
    mutate(corpus, readers::torch_pickle, 100);
}

#[test]
fn pytorch_legacy() {
    let _turn = turn();
    let mut corpus = packs::torch_pickle();
    corpus.retain(|record| !record.bytes.starts_with(b"PK"));
    mutate(corpus, readers::torch_pickle, 500);
}

/// The contents of blocks are changed, and their sums made anew.
#[test]
fn tensorflow() {
    let _turn = turn();
    let numbers = tables::packed(&[1.0, 2.0, 3.0, 4.0]);
    let names = ["g_net/custom_conv2d/custom_conv2d/w", "hr_g_net/x/w"];
    let of = |name| (name, &[2, 2][..], tables::bytes(1, &[]), numbers.clone());
    let sum = tables::masked(&readers::NUMBERS[..16]);
    let corpus = [
        ("slices", tables::slices(&names.map(of))),
        ("index", tables::index(&[(names[0], &[2, 2], 0, sum), (names[1], &[2, 2], 16, sum)])),
    ];
    let record = |(name, bytes): (&str, Vec<u8>)| Record {
        name: name.to_owned(),
        bytes,
        holds: serde_json::Value::Null,
    };
    mutate(corpus.map(record).into(), readers::tensorflow, 500);
}

#[test]
fn prepared() {
    let _turn = turn();
    // Most bytes of a file are pixels, which can have any value, so most files here have no
    // pictures.
    let corpus = [0, 0, 0, 0, 1, 2].map(|pictures| Record {
        name: format!("{pictures} pictures"),
        bytes: prepared::file(pictures),
        holds: serde_json::Value::Null,
    });
    mutate(corpus.into(), readers::prepared, 500);
}

/// At least `some` mutants must be accepted, and most refused; otherwise the mutations test
/// nothing.
fn mutate(corpus: Vec<Record>, read: Read, some: u32) {
    let noise = Noise::new(2016);
    let (mut well, mut refused) = (0u32, 0u32);
    for case in 0..CASES {
        let mut d = noise.draws(Stream::Test, 0, case);
        let mut pick = |n: usize| d.below(n as u64) as usize;
        let record = &corpus[pick(corpus.len())];
        let mut bytes = record.bytes.clone();
        for _ in 0..=pick(4) {
            let other = &corpus[pick(corpus.len())].bytes;
            change(&mut bytes, other, &mut pick);
        }
        match within_bar(&format!("case {case} of {}", record.name), &bytes, read) {
            Ok(()) => well += 1,
            Err(error) => {
                refused += 1;
                assert!(error.contains(&format!("{FILE} (")), "{error}");
                assert!(error.contains("  do: "), "{error}");
            }
        }
    }
    assert!(well > some && refused > 5_000, "{well} read, {refused} refused");
}

/// Makes one change: a truncation, a bit, a byte, a splice, a duplicated block, or a number that
/// becomes huge or small.
fn change(bytes: &mut Vec<u8>, other: &[u8], pick: &mut impl FnMut(usize) -> usize) {
    let at = pick(bytes.len().max(1)).min(bytes.len());
    let end = (at + 4).min(bytes.len());
    match pick(7) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] ^= 1 << pick(8),
        2 if at < bytes.len() => bytes[at] = pick(256) as u8,
        3 => bytes.extend_from_slice(&other[pick(other.len())..]),
        4 => {
            let end = at + pick(bytes.len() - at + 1).min(64);
            let block = bytes[at..end].to_vec();
            bytes.splice(at..at, block);
        }
        5 => bytes[at..end].copy_from_slice(&(pick(64) as u32).to_le_bytes()[..end - at]),
        _ => bytes[at..end].fill(0xff),
    }
}
