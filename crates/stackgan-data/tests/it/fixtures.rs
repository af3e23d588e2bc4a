//! Pickles of `CPython` 2.7, 3.8 and 3.11 with three versions of numpy, protocols 0 to 5: every value equal, every
//! kind that we do not read refused by name, and 20,000 mutations without a panic.

use stackgan_data::formats::pickle::{self, Document, Value};
use stackgan_data::noise::{Noise, Stream};
use std::path::Path;

const PACKS: [(&str, &[u8]); 3] = [
    ("py27-np116", include_bytes!("../fixtures/pickles/py27-np116.pack")),
    ("py38-np124", include_bytes!("../fixtures/pickles/py38-np124.pack")),
    ("py311-np24", include_bytes!("../fixtures/pickles/py311-np24.pack")),
];

struct Record {
    name: String,
    kind: String,
    bytes: Vec<u8>,
}

fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for (pack, mut rest) in PACKS {
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let head = std::str::from_utf8(&rest[..end]).unwrap();
            let fields: Vec<&str> = head.split(' ').collect();
            let length: usize = fields[2].parse().unwrap();
            let bytes = rest[end + 1..end + 1 + length].to_vec();
            let name = format!("{pack} {} {}", fields[0], fields[1]);
            records.push(Record { name, kind: fields[1].to_owned(), bytes });
            rest = &rest[end + 1 + length + 1..];
        }
    }
    records
}

/// Each array of a document: shape and elements in row-major order.
fn arrays(document: &Document<'_>) -> Vec<(Vec<usize>, Vec<f32>)> {
    let views = document.arrays(Path::new("fixture")).unwrap();
    views.iter().map(|view| (view.shape.clone(), view.to_f32())).collect()
}

fn ramp(shape: &[usize], from: usize, step: usize) -> (Vec<usize>, Vec<f32>) {
    let n: usize = shape.iter().product();
    (shape.to_vec(), (0..n).map(|i| (from + i * step) as f32).collect())
}

#[test]
fn every_value_is_equal() {
    let file = Path::new("fixture");
    let mut checked = 0;
    for Record { name, kind, bytes } in records() {
        let decoded = pickle::decode(&bytes, file);
        if kind.starts_with("refused-") {
            let error = decoded.unwrap_err().to_string();
            assert!(error.contains("byte ") && error.contains("  do: "), "{name}: {error}");
            continue;
        }
        let document = decoded.unwrap_or_else(|e| panic!("{name}: {e}"));
        let ints = || document.ints(file).unwrap();
        let strings = || document.strings(file).unwrap();
        match kind.as_str() {
            "text" => {
                let key = "002.Laysan_Albatross/Laysan_Albatross_0002_1027";
                assert_eq!(strings(), [key, "back\\slash\nnewline", "éœ", "🐦", key], "{name}");
            }
            "bytes" => assert_eq!(strings(), ["\0ÿ'\"\\\n", "plain"], "{name}"),
            "ints" => {
                let big = 1i64 << 31;
                let expected =
                    [0, 1, -1, 255, 256, 65536, -65536, big, -big - 1, i64::MAX, i64::MIN, 7];
                assert_eq!(ints(), expected, "{name}");
            }
            "scalars" => assert_eq!(ints(), [2, 2, 134, -5, 200], "{name}"),
            "many" => assert_eq!(ints(), (0..1200).collect::<Vec<_>>(), "{name}"),
            "index" => assert_eq!(ints(), [3, 1, 2], "{name}"),
            "arrays" => {
                let r = |from| ramp(&[2, 3], from, 1);
                assert_eq!(arrays(&document), [r(0), r(10), r(0)], "{name}");
            }
            "fortran" => assert_eq!(arrays(&document), [ramp(&[2, 3], 0, 1)], "{name}"),
            "big" => assert_eq!(arrays(&document), vec![ramp(&[2, 3], 0, 1); 2], "{name}"),
            "cube" | "cubef" => {
                let expected = [ramp(&[3, 4], 0, 1), ramp(&[3, 4], 12, 1)];
                assert_eq!(arrays(&document), expected, "{name}");
            }
            "images" => assert_eq!(arrays(&document), [ramp(&[4, 4, 3], 0, 5)], "{name}"),
            "plain" => plain(&document, &name),
            other => panic!("unknown kind {other}"),
        }
        checked += 1;
    }
    assert_eq!(checked, 13 * (6 + 6 + 6));
}

fn plain(document: &Document<'_>, name: &str) {
    let Value::Dict(pairs) = document.root() else { panic!("{name}") };
    let text = |value: &Value<'_>| match value {
        Value::Text(text) => text.to_string(),
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{name}: {other:?}"),
    };
    let mut found: Vec<(String, &Value<'_>)> =
        pairs.iter().map(|&(key, value)| (text(document.get(key)), document.get(value))).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["float", "list", "no", "none", "tuple", "yes"]);
    assert_eq!(found[0].1, &Value::Float(-1.5));
    assert_eq!(found[1].1, &Value::List(Vec::new()));
    assert_eq!((found[2].1, found[5].1), (&Value::Bool(false), &Value::Bool(true)));
    assert_eq!(found[3].1, &Value::None);
    let Value::Tuple(parts) = found[4].1 else { panic!("{name}") };
    let lengths: Vec<usize> = parts
        .iter()
        .map(|&part| match document.get(part) {
            Value::Tuple(parts) => parts.len(),
            value => usize::from(value == &Value::Int(1)) + 100,
        })
        .collect();
    assert_eq!(lengths, [101, 1, 0, 4]);
}

#[test]
fn refusals_name_what_they_refuse() {
    for (kind, part) in [
        ("refused-object", "O8"),
        ("refused-complex", "c8"),
        ("refused-half", "f2"),
        ("refused-ordered", "collections.OrderedDict"),
    ] {
        for Record { name, kind: own, bytes } in records() {
            if own == kind {
                let error = pickle::decode(&bytes, Path::new("f")).unwrap_err().to_string();
                assert!(error.contains(part), "{name}: {error}");
            }
        }
    }
}

/// RELIABILITY R0: the result is a document or an error; equal bytes, equal result.
#[test]
fn twenty_thousand_mutations() {
    let corpus = records();
    let file = Path::new("mutant");
    let noise = Noise::new(2016);
    let (mut read, mut refused) = (0u32, 0u32);
    for case in 0..20_000 {
        let mut d = noise.draws(Stream::Test, 0, case);
        let mut pick = |n: usize| d.below(n as u64) as usize;
        let mut bytes = corpus[pick(corpus.len())].bytes.clone();
        for _ in 0..=pick(4) {
            let at = pick(bytes.len().max(1)).min(bytes.len());
            match pick(6) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] ^= 1 << pick(8),
                2 if at < bytes.len() => bytes[at] = pick(256) as u8,
                3 => {
                    let other = &corpus[pick(corpus.len())].bytes;
                    bytes.extend_from_slice(&other[pick(other.len())..]);
                }
                4 => {
                    let end = at + pick(bytes.len() - at + 1).min(64);
                    let block = bytes[at..end].to_vec();
                    bytes.splice(at..at, block);
                }
                _ => {
                    // A length or index becomes huge.
                    let end = (at + 4).min(bytes.len());
                    bytes[at..end].fill(0xff);
                }
            }
        }
        match pickle::decode(&bytes, file) {
            Ok(document) => {
                read += 1;
                let _ = document.strings(file).map(|s| s.len());
                let _ = document.ints(file).map(|s| s.len());
                if let Ok(arrays) = document.arrays(file) {
                    assert!(arrays.iter().all(|array| array.to_f32().len() == array.len()));
                }
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("mutant (byte "), "{error}");
            }
        }
    }
    assert!(read > 500 && refused > 5_000, "{read} read, {refused} refused");
}
