//! `.npy`, `.npz`, `.mat`, `.t7` and `.pth` files of the genuine tools: every value is equal, and
//! unsupported contents are refused by name.

use crate::packs::{self, Record};
use serde_json::{Value as Json, json};
use stackgan_data::formats::torch7::{self, Value};
use stackgan_data::formats::{ArrayView, matlab, npy, npz, torch_pickle};
use std::path::Path;

const FILE: &str = "fixture";

/// Asserts that `array` equals what the tool read: shape, and values in Python's notation.
fn assert_holds(array: &ArrayView<'_>, expected: &Json, name: &str) {
    let list = |key: &str| expected[key].as_array().unwrap_or_else(|| panic!("{name}: {expected}"));
    let shape: Vec<usize> = list("shape").iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let values: Vec<f64> =
        list("values").iter().map(|n| n.as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(array.shape(), shape, "{name}");
    assert_eq!(array.to_f64(), values, "{name}");
    let single: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    assert_eq!(array.to_f32(), single, "{name}");
}

/// Asserts that an error contains its place, a remedy, and the text in the fixture.
fn assert_refused(record: &Record, error: &str) {
    let part =
        record.holds["refused"].as_str().unwrap_or_else(|| panic!("{}: {error}", record.name));
    assert!(error.contains(part) && error.contains("  do: "), "{}: {error}", record.name);
}

#[test]
fn arrays_of_numpy() {
    let file = Path::new(FILE);
    let mut read = 0;
    for record in packs::npy() {
        if record.name.contains("npz-") {
            let archive = npz::decode(&record.bytes, file).unwrap();
            let expected = record.holds.as_object().unwrap();
            let mut names = archive.names();
            names.sort();
            assert_eq!(names, expected.keys().cloned().collect::<Vec<_>>());
            for (name, holds) in expected {
                let member = archive.member(name).unwrap();
                assert_holds(&npy::decode(&member, file).unwrap(), holds, &record.name);
            }
            let error = archive.member("nothing").unwrap_err().to_string();
            assert!(error.contains("mu") && error.contains("sigma"), "{error}");
        } else {
            match npy::decode(&record.bytes, file) {
                Ok(array) => assert_holds(&array, &record.holds, &record.name),
                Err(error) => assert_refused(&record, &error.to_string()),
            }
        }
        read += u32::from(record.holds.get("refused").is_none());
    }
    assert_eq!(read, 3 * 25 - 1);
}

#[test]
fn variables_of_matlab() {
    let file = Path::new(FILE);
    let mut read = 0;
    for record in packs::matlab() {
        let Some(expected) = record.holds.as_object() else { panic!("{}", record.name) };
        let decoded = match matlab::decode(&record.bytes, file) {
            Ok(decoded) => decoded,
            Err(error) => {
                assert_refused(&record, &error.to_string());
                continue;
            }
        };
        if expected.contains_key("refused") {
            assert_eq!(decoded.names().collect::<Vec<_>>(), ["x"]);
            assert_refused(&record, &decoded.array("x").unwrap_err().to_string());
            continue;
        }
        let mut names: Vec<&str> = decoded.names().collect();
        names.sort_unstable();
        assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{}", record.name);
        for (name, holds) in expected {
            assert_holds(&decoded.array(name).unwrap(), holds, &format!("{} {name}", record.name));
            read += 1;
        }
        let error = decoded.array("nothing").unwrap_err().to_string();
        assert!(error.contains(names[0]), "{error}");
    }
    assert_eq!(read, 2 * (2 * (11 + 1 + 1 + 3) + 4 * 7));
}

/// Returns a value in the form of the fixtures.
fn described(value: Value<'_>) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(truth) => truth.into(),
        Value::Number(number) if number.fract() == 0.0 => (number as i64).into(),
        Value::Number(number) => number.into(),
        Value::String(bytes) => {
            json!({ "string": bytes.iter().map(|&byte| char::from(byte)).collect::<String>() })
        }
        Value::Table(table) => {
            let pair = |(key, value)| json!([described(key), described(value)]);
            json!({ "table": table.pairs().map(pair).collect::<Vec<Json>>() })
        }
        Value::Tensor(array) | Value::Storage(array) => {
            json!({ "shape": array.shape(), "values": array.to_f64() })
        }
        Value::Object(_) | Value::Function => panic!("{}", value.kind()),
    }
}

/// Sorts the pairs of tables.
fn sorted(mut value: Json) -> Json {
    if let Some(pairs) = value.get_mut("table").and_then(Json::as_array_mut) {
        for pair in pairs.iter_mut() {
            *pair = json!([sorted(pair[0].take()), sorted(pair[1].take())]);
        }
        pairs.sort_by_key(Json::to_string);
    }
    value
}

#[test]
fn objects_of_torch_7() {
    let records = packs::torch7();
    assert_eq!(records.len(), 20);
    for record in records {
        let document = torch7::decode(&record.bytes, Path::new(FILE)).unwrap();
        assert_eq!(sorted(described(document.root())), sorted(record.holds), "{}", record.name);
        let table = document.table();
        if record.name.ends_with("list") {
            let text = |value: Value<'_>| match value {
                Value::String(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                other => panic!("{}", other.kind()),
            };
            let list: Vec<String> = table.unwrap().list().map(text).collect();
            assert_eq!(list, ["caption 1", "caption 2", "caption 3", "caption 4"]);
        } else if record.name.ends_with("record") {
            let table = table.unwrap();
            assert_eq!(table.text("img").unwrap(), "a/b.jpg");
            assert_eq!(table.tensor("txt").unwrap().shape(), [2, 12]);
            let error = table.tensor("img").unwrap_err().to_string();
            assert!(error.contains("key img") && error.contains("a string"), "{error}");
            assert!(table.text("absent").unwrap_err().to_string().contains("nil"));
        } else if record.name.ends_with("number") {
            assert!(table.unwrap_err().to_string().contains("found a number"));
        }
    }
}

#[test]
fn tensors_of_pytorch() {
    let mut read = 0;
    for record in packs::torch_pickle() {
        let tensors = match torch_pickle::decode(&record.bytes, Path::new(FILE)) {
            Ok(tensors) => tensors,
            Err(error) => {
                assert_refused(&record, &error.to_string());
                assert!(error.to_string().contains("(byte "), "{error}");
                continue;
            }
        };
        let expected = record.holds.as_object().unwrap();
        assert_eq!(tensors.len(), expected.len(), "{}", record.name);
        for tensor in &tensors {
            let name = format!("{} {}", record.name, tensor.name);
            assert_holds(&tensor.array, &expected[&tensor.name], &name);
        }
        read += 1;
    }
    assert_eq!(read, (6 + 2) + (6 + 6 + 2));
}
