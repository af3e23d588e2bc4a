//! Torch 7 files: decodes them, requests everything in the tables and objects of the first levels,
//! and converts the whole as Reed's encoder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackgan_data::formats::torch7::{self, Value, char_cnn_rnn};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = torch7::decode(bytes, Path::new("fuzz")) else { return };
    look(document.root(), 3);
    let _ = document.table().is_ok();
    if let Ok(found) = char_cnn_rnn(&document) {
        for (name, array) in found {
            assert!(!name.is_empty() && array.to_f32().len() == array.len());
        }
    }
});

fn look(value: Value<'_>, levels: u32) {
    assert!(!value.kind().is_empty());
    match value {
        Value::Tensor(array) | Value::Storage(array) => {
            assert_eq!(array.to_f32().len(), array.len());
        }
        Value::Table(table) if levels > 0 => {
            let _ =
                (table.get("txt").kind(), table.text("img").is_ok(), table.tensor("char").is_ok());
            let _ = table.list().count();
            for (key, value) in table.pairs().take(16) {
                look(key, levels - 1);
                look(value, levels - 1);
            }
        }
        Value::Object(object) if levels > 0 => {
            if let Some(fields) = object.fields() {
                look(Value::Table(fields), levels - 1);
            }
        }
        _ => {}
    }
}
