//! Help, settings, shells: what needs no data.

use std::fs;

use crate::common::{done, failed, stackgan};

#[test]
fn every_help_opens_with_examples() {
    let dir = tempfile::tempdir().unwrap();
    let commands = [
        "",
        "demo",
        "data toy",
        "data import",
        "data check",
        "data preview",
        "text train",
        "text encode",
        "train",
        "generate",
        "model info",
        "config show",
        "config check",
        "config presets",
        "doctor",
        "completions",
    ];
    for command in commands {
        let mut args: Vec<&str> = command.split_whitespace().collect();
        args.push("--help");
        let help = done(dir.path(), &args);
        let mut lines = help.lines();
        assert_eq!(lines.next(), Some("Examples:"), "{command}");
        for line in lines.take(2) {
            assert!(line.trim().starts_with("stackgan "), "{command}: {line}");
        }
    }
}

#[test]
fn exit_codes_are_in_the_help() {
    let dir = tempfile::tempdir().unwrap();
    let help = done(dir.path(), &["--help"]);
    for code in [
        "0 done",
        "2 usage",
        "3 data",
        "4 something",
        "6 storage",
        "7 training",
        "75 time",
        "130, 143",
    ] {
        assert!(
            help.split_whitespace().collect::<Vec<_>>().join(" ").contains(code),
            "{code}: {help}"
        );
    }
}

#[test]
fn settings_come_in_layers_and_say_from_where() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.toml"), "[optim]\nbatch = 3\nlr_g = 1e-3\n").unwrap();
    let args = [
        "config",
        "show",
        "--config",
        "mine.toml",
        "--set",
        "optim.lr_d=0.002",
        "--seed",
        "9",
        "--origin",
    ];
    let output = stackgan(dir.path(), &args).env("STACKGAN__OPTIM__BATCH", "5").output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let line = |key: &str| {
        let line = shown.lines().find(|l| l.starts_with(&format!("{key} "))).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("optim.batch"), "optim.batch = 5 # environment STACKGAN__OPTIM__BATCH");
    assert_eq!(line("optim.lr_g"), "optim.lr_g = 0.001 # mine.toml");
    assert_eq!(line("optim.lr_d"), "optim.lr_d = 0.002 # --set");
    assert_eq!(line("seed"), "seed = 9 # --seed");
    assert_eq!(line("net.gf"), "net.gf = 16 # preset toy-stage1");
}

#[test]
fn what_config_show_prints_is_a_complete_configuration() {
    let dir = tempfile::tempdir().unwrap();
    for (preset, stage) in [("toy", "1"), ("cub", "2"), ("oxford", "1"), ("coco", "2")] {
        let shown = done(dir.path(), &["config", "show", "--preset", preset, "--stage", stage]);
        fs::write(dir.path().join("shown.toml"), shown).unwrap();
        done(dir.path(), &["config", "check", "shown.toml"]);
    }
    let names = done(dir.path(), &["config", "presets"]);
    assert_eq!(names.lines().count(), 8);
    for name in names.lines().map(|l| l.split_whitespace().next().unwrap()) {
        fs::write(
            dir.path().join("preset.toml"),
            done(dir.path(), &["config", "presets", "--print", name]),
        )
        .unwrap();
        done(dir.path(), &["config", "check", "preset.toml"]);
    }
}

#[test]
fn doctor_and_completions_work() {
    let dir = tempfile::tempdir().unwrap();
    let doctor: serde_json::Value =
        serde_json::from_str(&done(dir.path(), &["doctor", "--json"])).unwrap();
    assert!(doctor["gflops"].as_f64().unwrap() > 0.0);
    assert!(doctor["checks"].as_array().unwrap().iter().all(|c| c["ok"] == true));
    for shell in ["bash", "zsh", "fish"] {
        assert!(done(dir.path(), &["completions", shell]).contains("generate"), "{shell}");
    }
}

#[test]
fn a_batch_in_parts_is_said_and_what_fits_no_machine_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dry = |more: &[&'static str]| [&["train", "--stage", "1", "--dry-run"][..], more].concat();
    let said = done(dir.path(), &dry(&["--micro-batch", "4"]));
    assert!(said.contains("of 16 pictures in parts of 4"), "{said}");
    let (code, error) = failed(dir.path(), &dry(&["--micro-batch", "5"]));
    assert!(code == 2 && error.contains("give `--micro-batch 4`"), "{code}: {error}");
    let huge = dry(&["--set", "optim.batch=4194304"]);
    let (code, error) = failed(dir.path(), &huge);
    // Pictures alone are too many, in parts as well: a smaller batch fits.
    assert!(code == 2 && error.contains("does not fit into memory"), "{code}: {error}");
    assert!(error.contains("`--set optim.batch="), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_dry_run_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let said = done(dir.path(), &["train", "--stage", "1", "--dry-run"]);
    assert!(
        said.contains("6000 steps of 16 pictures") && said.contains("which is drawn first"),
        "{said}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
