//! `stackgan demo --quick`: everything from the drawing to the report, in one command.

use std::fs;

use crate::common::{done, failed};

#[test]
fn a_quick_demo_leaves_a_model_and_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let said = done(dir.path(), &["demo", "--quick", "--out", "demo", "-q"]);
    let out = dir.path().join("demo");
    for file in [
        "model.safetensors",
        "encoder.safetensors",
        "sheets/64.png",
        "sheets/256.png",
        "stage1/stats.jsonl",
        "stage2/config.toml",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    for part in [
        "<svg",
        "data:image/png;base64,",
        "a red bird with a yellow belly",
        "R-precision",
        "class=\"slider\"",
        "quick run",
    ] {
        assert!(report.contains(part), "no {part}");
    }
    assert!(
        !report.contains("http:") && !report.contains("https:"),
        "the report needs the network"
    );
    // The judge and the encoder's measure give plausible values for real pictures, whatever was
    // painted.
    let real = said.lines().find(|l| l.starts_with("real pictures")).unwrap();
    let body: f64 = real.split_whitespace().find_map(|w| w.parse().ok()).unwrap();
    assert!(body > 0.9, "{real}");
    assert!(said.contains("model.safetensors") && said.contains("report.html"));
    done(dir.path(), &["generate", "-m", "demo", "-p", "a red bird", "--stage", "1", "-q"]);
    let (code, error) = failed(dir.path(), &["demo", "--quick", "--out", "demo"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("not empty") && error.contains("do: "));
}
