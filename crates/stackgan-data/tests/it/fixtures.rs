//! Pickles of `CPython` 2.7, 3.8 and 3.11 with three versions of numpy and protocols 0 to 5: every
//! value is equal, and every unsupported kind is refused by name.

use crate::packs::{Record, pickles};
use stackgan_data::formats::pickle::{self, Document, Value};
use std::path::Path;

/// Returns shape and elements in row-major order of each array in a document.
fn arrays(document: &Document<'_>) -> Vec<(Vec<usize>, Vec<f32>)> {
    let views = document.arrays(Path::new("fixture")).unwrap();
    views.iter().map(|view| (view.shape().to_vec(), view.to_f32())).collect()
}

fn ramp(shape: &[usize], from: usize, step: usize) -> (Vec<usize>, Vec<f32>) {
    let n: usize = shape.iter().product();
    (shape.to_vec(), (0..n).map(|i| (from + i * step) as f32).collect())
}

#[test]
fn every_value_is_equal() {
    let file = Path::new("fixture");
    let mut checked = 0;
    for Record { name, holds, bytes } in pickles() {
        let kind = holds.as_str().unwrap();
        let decoded = pickle::decode(&bytes, file);
        if let Some(refused) = kind.strip_prefix("refused-") {
            let part = match refused {
                "object" => "O8",
                "complex" => "c8",
                "ordered" => "collections.OrderedDict",
                _ => "",
            };
            let error = decoded.unwrap_err().to_string();
            for part in ["byte ", "  do: ", part] {
                assert!(error.contains(part), "{name}: {error}");
            }
            continue;
        }
        let document = decoded.unwrap_or_else(|e| panic!("{name}: {e}"));
        let ints = || document.ints(file).unwrap();
        let strings = || document.strings(file).unwrap();
        match kind {
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
            "half" => {
                assert_eq!(arrays(&document), [(vec![3], vec![1.5, -2.0, 65504.0])], "{name}");
            }
            "many" => assert_eq!(ints(), (0..1200).collect::<Vec<_>>(), "{name}"),
            "index" => assert_eq!(ints(), [3, 1, 2], "{name}"),
            "axes" => {
                let element = |b: usize, r: usize, c: usize| (12 * b + 4 * r + c) as f32;
                let cell = |i: usize, [n, m, l]: [usize; 3]| [i / (m * l) % n, i / l % m, i % l];
                let array = |shape: [usize; 3], of: &dyn Fn([usize; 3]) -> f32| {
                    (shape.to_vec(), (0..24).map(|i| of(cell(i, shape))).collect::<Vec<f32>>())
                };
                let first = array([2, 4, 3], &|[b, c, r]| element(b, r, c));
                let second = array([4, 2, 3], &|[c, b, r]| element(b, r, c));
                assert_eq!(arrays(&document), [first, second], "{name}");
            }
            "long" => assert_eq!(arrays(&document), [ramp(&[600], 0, 1)], "{name}"),
            "longtext" => {
                assert_eq!(strings(), ["\u{e9}\\u0041\n\u{1f426} ".repeat(100)], "{name}");
            }
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
    assert_eq!(checked, 17 * (6 + 6 + 6));
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

/// Python 3 writes empty bytes as a call in protocols 0 to 2: written by `CPython` 3.11.7 with numpy
/// 2.4 from `[b'', b'x', b'']` and `np.zeros((0, 4), np.float32)`.
#[test]
fn empty_bytes_of_python_3() {
    let file = Path::new("f");
    for pickled in [
        &b"(lp0\nc__builtin__\nbytes\np1\n(tRp2\nac_codecs\nencode\np3\n(Vx\np4\nVlatin1\np5\ntp6\nRp7\nag2\na."[..],
        b"]q\x00(c__builtin__\nbytes\nq\x01)Rq\x02c_codecs\nencode\nq\x03(X\x01\x00\x00\x00xq\x04X\x06\x00\x00\x00latin1q\x05tq\x06Rq\x07h\x02e.",
        b"\x80\x02]q\x00(c__builtin__\nbytes\nq\x01)Rq\x02c_codecs\nencode\nq\x03X\x01\x00\x00\x00xq\x04X\x06\x00\x00\x00latin1q\x05\x86q\x06Rq\x07h\x02e.",
    ] {
        let document = pickle::decode(pickled, file).unwrap();
        assert_eq!(document.strings(file).unwrap(), ["", "x", ""]);
    }
    let array = b"cnumpy._core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nc_codecs\nencode\np3\n(Vb\np4\n\
        Vlatin1\np5\ntp6\nRp7\ntp8\nRp9\n(I1\n(I0\nI4\ntp10\ncnumpy\ndtype\np11\n(Vf4\np12\nI00\nI01\ntp13\nRp14\n(I3\n\
        V<\np15\nNNNI-1\nI-1\nI0\ntp16\nbI00\nc__builtin__\nbytes\np17\n(tRp18\ntp19\nb.";
    let document = pickle::decode(array, file).unwrap();
    let view = document.array().unwrap();
    assert_eq!((view.shape(), view.to_f32()), (&[0, 4][..], Vec::new()));
}

/// A machine with the other byte order writes `>`. The first scalar is 3 with `<`.
#[test]
fn scalars_of_either_byte_order() {
    let list = |order: &str, bytes: &str| {
        format!(
            "(lp0\ncnumpy.core.multiarray\nscalar\np1\n(cnumpy\ndtype\np2\n(S'i8'\np3\nI0\nI1\ntp4\nRp5\n(I3\nS'{order}'\n\
             p6\nNNNI-1\nI-1\nI0\ntp7\nbS'{bytes}'\np8\ntp9\nRp10\na."
        )
    };
    let zeros = r"\x00".repeat(7);
    for (order, bytes) in [("<", format!(r"\x03{zeros}")), (">", format!(r"{zeros}\x03"))] {
        let pickled = list(order, &bytes);
        let document = pickle::decode(pickled.as_bytes(), Path::new("f")).unwrap();
        assert_eq!(document.ints(Path::new("f")).unwrap(), [3], "{order}");
    }
}
