//! Models as ONNX files through the program: `model export --onnx`. The contents of the files are
//! tested in `crates/stackgan-core/tests/onnx`.

use std::path::Path;

use crate::common::{WORLD, done, failed, golden, json, stackgan, training};

fn holds(file: &Path, text: &str) -> bool {
    std::fs::read(file).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

fn export<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["model", "export"], args].concat()
}

#[test]
fn a_model_of_both_stages_becomes_files_that_say_whose_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let import = |file: &str, out: &str| {
        let file = golden(file);
        done(dir.path(), &["model", "import", file.to_str().unwrap(), "--out", out]);
    };
    import("stage1_netG_zip.pth", "low.safetensors");
    import("stage2_netG_legacy.pth", "high.safetensors");

    let said = done(dir.path(), &export(&["high.safetensors", "--onnx", "new/high.onnx"]));
    assert_eq!(said, "new/high.onnx\n");
    done(dir.path(), &export(&["high.safetensors", "--onnx", "again.onnx"]));
    let bytes = std::fs::read(path("new/high.onnx")).unwrap();
    assert!(bytes == std::fs::read(path("again.onnx")).unwrap(), "equal models are equal bytes");
    let info = json(dir.path(), &["model", "info", "high.safetensors", "--json"]);
    for text in [info["sha256"].as_str().unwrap(), "epsilon2", "stage2.upsample4.1.weight"] {
        assert!(holds(&path("again.onnx"), text), "{text}");
    }
    done(dir.path(), &export(&["high.safetensors", "--onnx", "again.onnx", "--stage", "1"]));
    assert!(!holds(&path("again.onnx"), "epsilon2"));

    let refused = |args: &[&str], code: i32, part: &str| {
        let (found, error) = failed(dir.path(), &export(args));
        assert_eq!(found, code, "{args:?}: {error}");
        assert!(error.contains(part), "{args:?}: {error}");
        assert!(!path("no").exists(), "{args:?}");
    };
    refused(&["low.safetensors", "--onnx", "no", "--stage", "2"], 2, "no such stage");
    refused(&["low.safetensors", "--onnx", "no", "--out", "no"], 2, "--out");
    refused(&["low.safetensors", "--onnx", "no", "--hub", "no"], 2, "--hub");
    refused(&["low.safetensors", "--stage", "1"], 2, "--onnx");
    refused(&["low.safetensors", "--onnx-encoder", "no", "--onnx", "on"], 2, "no text encoder");
    refused(&["nothing.safetensors", "--onnx", "no"], 4, "there is no model");
    std::fs::write(path("words.txt"), "a red bird\na blue bird\n").unwrap();
    refused(&["low.safetensors", "--onnx", "no", "--fold-captions", "words.txt"], 4, "encoder");
    refused(&["low.safetensors", "--onnx", "no", "--fold-captions", "none.txt"], 4, "none.txt");
}

#[test]
fn a_trained_model_takes_its_encoder_and_sentences_along() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let run = WORLD.root().join("onnx-run");
    done(dir.path(), &training("1", "2", &run));
    let run = run.to_str().unwrap();
    let written = |args: &[&str]| done(dir.path(), &export(&[&[run], args].concat()));
    let said = written(&["--onnx", "birds.onnx", "--onnx-encoder", "words.onnx"]);
    assert_eq!(said, "words.onnx\nbirds.onnx\n");
    for (file, text) in [
        ("birds.onnx", "text.standardise.mean"),
        ("birds.onnx", "truncated"),
        ("words.onnx", "text.conv1.weight"),
        ("words.onnx", "zero-row"),
    ] {
        assert!(holds(&path(file), text), "{file}: {text}");
    }
    std::fs::write(path("words.txt"), "a red bird\na blue bird\n").unwrap();
    written(&["--onnx", "classes.onnx", "--fold-captions", "words.txt"]);
    assert!(holds(&path("classes.onnx"), "text.classes"));
    for (text, why) in [
        ("\n", "no captions"),
        ("a red bird\n\na blue bird\n", "line 2 is blank"),
        ("\u{feff}\r\na red bird\n", "line 1 is blank"),
        ("a red bird\n\u{a0}\u{3000}\n \na blue bird\n", "line 2 is blank"),
    ] {
        std::fs::write(path("words.txt"), text).unwrap();
        for file in ["words.txt", "-"] {
            let args = export(&[run, "--onnx", "no", "--fold-captions", file]);
            let said = stackgan(dir.path(), &args).write_stdin(text).output().unwrap();
            let error = String::from_utf8(said.stderr).unwrap();
            assert_eq!(said.status.code(), Some(3), "{file}: {error}");
            assert!(error.contains(why), "{file}: {error}");
        }
    }
    assert!(!path("no").exists());
}
