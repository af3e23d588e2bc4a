//! Views of a run during and after training: `runs ls | show | watch`, the page, the grids,
//! TensorBoard's files, estimates.

use std::fs;
use std::process::Child;

use crate::common::{WORLD, done, failed, json, one_step, set, training, with, without};
use crate::errors::four_parts;
use crate::folder::{start, wait_for};

/// A training process that is killed if the test ends before it.
struct Trainer(Child);

impl Drop for Trainer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Users choose an epoch by eye: milestones stay, and each paints.
#[test]
fn milestones_are_kept_and_paint() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let kept = set(&["run.checkpoint_every=4", "run.keep=2", "run.keep_every=3"]);
    done(dir, &with(&training("1", "8", &dir.join("run")), &kept));
    let mut files: Vec<String> = fs::read_dir(dir.join("run/checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, [3, 4, 6, 8].map(|step| format!("step-{step:07}.safetensors")));
    let painted = |model: &str, out: &str| {
        let args = ["generate", "-m", model, "-p", "a red bird", "--json", "-q", "--out", out];
        json(dir, &args)["pixels_sha256"].as_str().unwrap().to_owned()
    };
    let at = |step: u64| format!("run/checkpoints/step-{step:07}.safetensors");
    let newest = painted("run", "newest");
    assert_eq!(painted(&at(8), "eight"), newest);
    assert_ne!(painted(&at(3), "three"), newest);
    let info = json(dir, &["model", "info", "--json", &at(3)]);
    assert_eq!(info["info"]["stage1"]["steps"], 3);
    // It is painted again from the checkpoint that its picture names.
    let picture = fs::read_dir(dir.join("three")).unwrap().next().unwrap().unwrap().path();
    let said = done(dir, &["repro", "-m", &at(3), picture.to_str().unwrap()]);
    assert!(said.contains("equal to the bit"), "{said}");
    // A damaged one is named, not painted.
    let mut bytes = fs::read(dir.join(at(6))).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(dir.join(at(6)), bytes).unwrap();
    let (code, error) = failed(dir, &["generate", "-m", &at(6), "-p", "x"]);
    assert!(code == 3 && error.contains("checkpoint is damaged"), "{code} {error}");
}

#[test]
fn a_run_is_watched_stopped_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("runs/00000-toy-stage1");
    let mut trainer = Trainer(start(dir.path(), &training("1", "100000", &run)));
    let lines = || fs::read_to_string(run.join("stats.jsonl")).unwrap_or_default().lines().count();
    wait_for("three reports", &mut trainer.0, || lines() >= 3);

    let list = json(dir.path(), &["runs", "ls", "--json"]);
    assert_eq!(
        (list[0]["state"].as_str(), list[0]["steps"].as_u64()),
        (Some("running"), Some(100_000))
    );
    assert!(list[0]["steps_a_second"].as_f64().unwrap() > 0.0);
    wait_for("a page", &mut trainer.0, || run.join("report.html").is_file());
    assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("data-again"));

    // The key of the dashboard does the same.
    fs::write(run.join("STOP"), "").unwrap();
    let watched = done(dir.path(), &["runs", "watch", "0"]);
    let last = watched.lines().last().unwrap();
    assert!(last.starts_with("00000-toy-stage1: stopped at step"), "{watched}");
    assert!(watched.lines().count() >= 2 && watched.contains("p_real") && !watched.contains("NaN"));
    assert!(trainer.0.wait().unwrap().success());
    fs::remove_file(run.join("STOP")).unwrap_or_default();

    let shown = json(dir.path(), &["runs", "show", "--json"]);
    let next = shown["next"].as_str().unwrap();
    assert!(next.starts_with("stackgan train --stage 1 --run ") && shown["model"] == true);
    assert_eq!(
        shown["checkpoints"].as_array().unwrap().last().unwrap()["step"],
        shown["checkpoint"]
    );
    let text = done(dir.path(), &["runs", "show"]);
    assert!(text.contains("state        stopped") && text.contains("report.html"), "{text}");
    let (code, error) = failed(dir.path(), &["runs", "show", "7"]);
    assert!(code == 4 && error.contains("do: "), "{error}");
}

/// A run is not lost with its record, which says what it was told.
#[test]
fn a_run_without_its_record_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &training("1", "2", &dir.path().join("runs/mine")));
    fs::remove_file(dir.path().join("runs/mine/run.json")).unwrap();
    let list = json(dir.path(), &["runs", "ls", "--json"]);
    assert_eq!((&list[0]["run"], &list[0]["state"]), (&"mine".into(), &"unknown".into()), "{list}");
    assert_eq!((&list[0]["step"], &list[0]["steps"]), (&2.into(), &2.into()), "{list}");
}

/// Steps of TensorBoard's events: none appears twice after an interruption.
#[test]
fn tensorboard_has_every_step_once_however_a_run_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut args = training("1", "5", &run);
    one_step(dir.path(), &args);
    args.retain(|arg| arg != "-q");
    done(dir.path(), &args);
    let mut files: Vec<_> =
        fs::read_dir(run.join("tb")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2);
    let bytes: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap()).collect();
    let count = |text: &str| bytes.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
    assert_eq!((count("loss/d_real"), count("brain.Event:2")), (5, 2));
    assert!(count("optim") >= 1 && count("reals") == 1 && count("samples") == 1);

    // The record says when it was trained, how far, and how that ended.
    let shown = json(dir.path(), &["runs", "show", "run", "--json"]);
    let [first, second] = shown["sittings"].as_array().unwrap().as_slice() else {
        panic!("{shown}");
    };
    assert_eq!((&first["how"], &first["from_step"]), (&"time budget used".into(), &0.into()));
    assert_eq!((&second["how"], &second["to_step"]), (&"done".into(), &5.into()));
    assert_eq!(first["to_step"], second["from_step"]);
    assert!(first["ended"].as_str().unwrap() <= second["began"].as_str().unwrap(), "{shown}");
    let text = done(dir.path(), &["runs", "show", "run"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("trained      20")).count(), 2);
}

#[test]
fn sentences_of_ones_own_have_rows_in_the_grids_and_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::write(dir.join("own.txt"), "a small red bird\n\na 鸟\n").unwrap();
    fs::write(dir.join("other.txt"), "a blue bird\na <b> bird\na red bird").unwrap();
    let args = training("1", "3", &dir.join("run"));
    let showing = |file| with(&args, &["--sample-captions", file]);
    let plan = done(dir, &with(&showing("own.txt"), &["--dry-run"]));
    assert!(plan.contains("\ngrids      with 2 sentences of own.txt\n"), "{plan}");
    assert!(!dir.join("run").exists());

    let mut first = showing("own.txt");
    first.retain(|arg| arg != "-q");
    let said = one_step(dir, &first);
    assert!(said.contains("warning: `a 鸟`: the encoder does not know `鸟`"), "{said}");
    assert!(said.contains("1 blank line of own.txt skipped"), "{said}");
    let text = |file: &str| fs::read_to_string(dir.join(file)).unwrap();
    assert!(text("run/samples/captions.txt").ends_with("\na 鸟 (no real picture)\n"));
    let board = fs::read(dir.join("run/tb/events.out.tfevents.0000000000.stackgan")).unwrap();
    let listed = "a 鸟 \\(no real picture\\)".as_bytes();
    assert!(board.windows(listed.len()).any(|words| words == listed));

    // Others take their place, and stay without the option.
    one_step(dir, &showing("other.txt"));
    done(dir, &args);
    let plain = training("1", "3", &dir.join("plain"));
    done(dir, &plain);
    let bytes = |file: String| fs::read(dir.join(file)).unwrap();
    for file in ["model.safetensors", "checkpoints/step-0000003.safetensors"] {
        assert!(bytes(format!("run/{file}")) == bytes(format!("plain/{file}")), "{file}");
    }
    let below = "a blue bird (no real picture)\na <b> bird (no real picture)\na red bird (no real picture)\n";
    assert_eq!(text("run/samples/captions.txt"), text("plain/samples/captions.txt") + below);
    assert!(text("run/report.html").contains("<li>a &lt;b&gt; bird (no real picture)</li>"));
    let height = |run: &str| {
        let png = bytes(format!("{run}/samples/000003.png"));
        u32::from_be_bytes(png[20..24].try_into().unwrap())
    };
    assert_eq!(height("run"), height("plain") + 3 * 66);

    // As many as the dataset's, and an encoder to read them.
    fs::write(dir.join("many.txt"), "a bird\n".repeat(9)).unwrap();
    let (code, error) = failed(dir, &with(&plain, &["--sample-captions", "many.txt"]));
    four_parts(&error, "file: many.txt");
    assert!(code == 2 && error.contains("at most 8") && error.contains("found more"), "{error}");
    let [birds, encoder] = [WORLD.birds(), WORLD.encoder()].map(|path| path.display().to_string());
    let encode = ["text", "encode", "-q", "--encoder", &encoder, "--data", &birds];
    done(dir, &[&encode[..], &["--output", "v.safetensors"]].concat());
    let imported = without(training("1", "3", &dir.join("imported")), "--encoder");
    let imported = with(&imported, &["--embeddings", "v.safetensors"]);
    for more in [&["--dry-run"][..], &[]] {
        let own = with(&imported, &["--sample-captions", "own.txt"]);
        let (code, error) = failed(dir, &with(&own, more));
        four_parts(&error, "file: own.txt");
        assert!(code == 4 && error.contains("`--encoder ENCODER`"), "{error}");
    }
    assert!(!dir.join("imported").exists());
}

#[test]
fn memory_and_time_are_estimated_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let args = with(&training("1", "2", &run), &["--dry-run"]);
    let said = done(dir.path(), &args);
    assert!(said.contains("memory     about") && said.contains("MiB"), "{said}");
    assert!(said.contains("time       about") && said.contains("2 steps in about"), "{said}");
    assert!(!run.exists() && !said.contains("NaN"));
    let memory = |matching: &str| {
        let matching = format!("loss.matching={matching}");
        let said = done(dir.path(), &with(&args, &set(&["optim.batch=16", &matching])));
        said.lines().find(|line| line.starts_with("memory")).unwrap().to_owned()
    };
    assert_ne!(memory("0"), memory("2"));
}
