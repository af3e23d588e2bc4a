//! Runs that are resumed by their folder: a refusal changes nothing, and an unreadable run is never
//! replaced by a new one.

use std::fs;

use serde_json::Value;

use crate::common::{
    TINY, WORLD, done, failed, one_step, record, set, slashes, stackgan, training, with, without,
};
use crate::errors::four_parts;
#[cfg(unix)]
use crate::folder::{newest, start, wait_for};

/// Returns `train --run RUN` with `more` arguments.
fn again<'a>(run: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--stage", "1", "-q", "--run", run], more].concat()
}

#[test]
fn what_is_refused_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("runs/00000-toy-stage1");
    done(dir.path(), &training("1", "2", &run));
    done(dir.path(), &["data", "toy", "--out", "others", "--count", "36", "--seed", "4", "-q"]);
    let before = fs::read(run.join("run.json")).unwrap();
    let name = run.to_str().unwrap();
    let refused: [(&[&str], &str); 5] = [
        (&["--init-from", name], "--init-from"),
        (&["--data", "others"], "`data`"),
        (&["--set", "optim.lr_g=1e-4"], "optim.lr_g"),
        (&["--preset", "cub"], "--preset"),
        (&["--seed", "9"], "seed"),
    ];
    for (more, place) in refused {
        let (code, said) = failed(dir.path(), &again(name, more));
        assert_eq!(code, 2, "{more:?}: {said}");
        four_parts(&said, place);
        assert_eq!(fs::read(run.join("run.json")).unwrap(), before, "{more:?}");
    }
    done(dir.path(), &again(name, &["--preset", "toy"]));
    assert_eq!(record(&run)["state"], "done");
}

/// A run cannot become shorter than it is.
#[test]
fn fewer_steps_than_are_taken_are_refused_though_a_change_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    done(dir.path(), &training("1", "4", &run));
    let files = ["run.json", "config.toml", "stats.jsonl", "model.safetensors"];
    let kept = || {
        let checkpoints = fs::read_dir(run.join("checkpoints")).unwrap().flatten();
        let mut names: Vec<_> = checkpoints.map(|entry| entry.file_name()).collect();
        names.sort();
        (files.map(|file| fs::read(run.join(file)).unwrap()), names)
    };
    let (before, name) = (kept(), run.to_str().unwrap());
    let steps = |n: &str| {
        let more = ["--set", n, "--allow-change", "optim.steps", "--allow-change", "optim.epochs"];
        failed(dir.path(), &again(name, &more))
    };
    let (code, said) = steps("optim.steps=3");
    assert_eq!(code, 2, "{said}");
    four_parts(&said, "`optim.steps`");
    assert!(said.contains("the 4 steps") && said.contains("found 3"), "{said}");
    assert!(kept() == before, "{said}");
    assert_eq!(steps("optim.steps=5").0, 0);
    assert_eq!(record(&run)["steps"], 5);
}

/// The command that is printed has none of the options about measuring.
#[test]
fn a_run_that_goes_on_measures_as_it_was_told_and_finds_what_was_moved() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let told = ["--on-nonfinite", "rollback:2", "--eval-every", "2"];
    let told = [&told[..], &["--eval-metrics", "variety", "--eval-num", "10"]].concat();
    one_step(dir.path(), &with(&training("1", "4", &run), &told));
    let name = run.to_str().unwrap();
    let kept = record(&run);
    assert_eq!(kept["on_nonfinite"]["rollback"], 2, "{kept}");
    let mut moved = kept;
    moved["data"] = "/nowhere/birds".into();
    let encoder = std::mem::replace(&mut moved["encoder"], "/nowhere/encoder".into());
    fs::write(run.join("run.json"), moved.to_string()).unwrap();
    for dry in [&[][..], &["--dry-run"]] {
        let (code, said) = failed(dir.path(), &again(name, dry));
        assert_eq!(code, 4, "{said}");
        four_parts(&said, "/nowhere/birds");
        four_parts(&said, "/nowhere/encoder");
        assert!(said.contains("`--data PATH --encoder PATH`"), "{said}");
    }
    moved["encoder"] = encoder;
    fs::write(run.join("run.json"), moved.to_string()).unwrap();
    let (code, said) = failed(dir.path(), &again(name, &[]));
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("/nowhere/birds") && said.contains("`--data PATH`"), "{said}");
    let birds = WORLD.birds().display().to_string();
    done(dir.path(), &again(name, &["--data", &birds]));
    let measured = fs::read_to_string(run.join("eval.jsonl")).unwrap();
    let steps = measured.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["step"].as_u64().unwrap()
    });
    assert_eq!(steps.collect::<Vec<_>>(), [2, 4]);
    // As if it had been killed while it measured its last model.
    let first = measured.lines().next().unwrap().to_owned() + "\n";
    fs::write(run.join("eval.jsonl"), first).unwrap();
    done(dir.path(), &again(name, &[]));
    let again_measured = fs::read_to_string(run.join("eval.jsonl")).unwrap();
    assert_eq!(again_measured.lines().count(), 2, "{again_measured}");
    assert_eq!(record(&run)["evaluation"]["eval_metrics"][0], "variety");
    done(dir.path(), &again(name, &["--eval-every", "0"]));
    assert_eq!(record(&run)["evaluation"], Value::Null);
}

#[test]
fn options_of_a_run_that_is_not_there_begin_no_other() {
    let dir = tempfile::tempdir().unwrap();
    for more in [&["--allow-change", "optim.steps"][..], &["--strict"]] {
        let (code, said) = failed(dir.path(), &again("runs/misspelt", more));
        assert_eq!(code, 2, "{said}");
        four_parts(&said, "runs/misspelt");
    }
    let (code, said) = failed(dir.path(), &again("run", &["--stage1", "model"]));
    assert_eq!(code, 2, "{said}");
    four_parts(&said, "--stage1");
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_run_that_cannot_be_read_begins_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    done(dir.path(), &training("1", "2", &run));
    let name = run.to_str().unwrap();
    let kept = fs::read(run.join("run.json")).unwrap();
    let damaged: [&[u8]; 4] = [b"", &kept[..40], b"\xff\xfe{}", b"{\"stage\": 900}"];
    for bytes in damaged {
        fs::write(run.join("run.json"), bytes).unwrap();
        let (code, said) = failed(dir.path(), &again(name, &[]));
        assert_eq!(code, 3, "{said}");
        four_parts(&said, "run.json");
    }
    fs::remove_file(run.join("run.json")).unwrap();
    let (code, said) = failed(dir.path(), &again(name, &[]));
    assert_eq!(code, 4, "{said}");
    four_parts(&said, "run.json");
    // Its options can be given again.
    done(dir.path(), &training("1", "2", &run));
    assert_eq!(record(&run)["stage"], 1);
    let config = run.join("config.toml");
    let whole = fs::read_to_string(&config).unwrap();
    let line = |name: &str| whole.lines().find(|line| line.starts_with(name)).unwrap();
    let [batch, seed] = ["batch = ", "seed = "].map(line);
    for (line, lacks) in [(batch, "`optim.batch` is missing"), (seed, "`seed` is missing")] {
        fs::write(&config, whole.replacen(line, "", 1)).unwrap();
        let (code, said) = failed(dir.path(), &again(name, &[]));
        assert!(code == 2 && said.contains(lacks), "{code} {said}");
    }
    fs::remove_file(config).unwrap();
    let (code, said) = failed(dir.path(), &again(name, &[]));
    assert_eq!(code, 4, "{said}");
    four_parts(&said, "config.toml");
    assert!(!dir.path().join("data").exists(), "no toy birds were drawn");
}

/// A run that ended before its first step has no settings yet, but its options are recorded.
#[test]
fn a_run_that_never_began_keeps_what_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    fs::create_dir(&run).unwrap();
    let told = format!(
        "{{\"dataset\":\"cub\",\"stage\":1,\"data\":{:?},\"encoder\":{:?},\"stage1\":null,\"sittings\":[],\"version\":\"0\",\"state\":\"failed\"}}",
        WORLD.birds(),
        WORLD.encoder()
    );
    fs::write(run.join("run.json"), told).unwrap();
    let more = [&["-n"], &set(TINY)[..]].concat();
    let said = done(dir.path(), &again("run", &more));
    assert!(said.contains(&slashes(WORLD.birds().display().to_string())), "{said}");
    assert!(said.contains("600 epochs"), "the preset's: {said}");
}

/// Whenever it is killed, what it was told is what it goes on with.
#[cfg(unix)]
#[test]
fn a_run_that_is_killed_at_its_start_keeps_its_settings() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let args = with(&training("1", "3", &run), &["--set", "seed=7", "--set", "net.gf=64"]);
    let mut child = start(dir.path(), &args);
    wait_for("the record", &mut child, || run.join("run.json").is_file());
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(kept.contains("seed = 7") && kept.contains("gf = 64"), "{kept}");
    done(dir.path(), &again("run", &[]));
    assert_eq!(fs::read_to_string(run.join("config.toml")).unwrap(), kept);
    assert_eq!(newest(&run), Some(3));
}

#[test]
fn stage2_takes_the_data_of_its_stage1() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &["data", "toy", "--out", "others", "--count", "36", "--seed", "4", "-q"]);
    let runs = dir.path().join("runs");
    done(dir.path(), &training("1", "1", &runs.join("00000-toy-stage1")));
    let second = without(training("1", "1", &runs.join("00001-toy-stage1")), "--data");
    // Recorded as what it is, without `runs`.
    done(dir.path(), &with(&second, &["--data", "runs/../others"]));

    let planned = |more: &[&str]| {
        let dry = [&["train", "--stage", "2", "-n"], more, &set(TINY)[..]].concat();
        done(dir.path(), &dry)
    };
    let others = slashes(dir.path().join("others").display().to_string());
    let newest = planned(&[]);
    assert!(newest.contains("00001-toy-stage1") && newest.contains(&others), "{newest}");
    let named = planned(&["--data", WORLD.birds().to_str().unwrap()]);
    assert!(named.contains("00000-toy-stage1"), "the newest on these data: {named}");
    let none = [&["train", "--stage", "2", "-n", "--data", "."], &set(TINY)[..]].concat();
    let (code, said) = failed(dir.path(), &none);
    assert_eq!(code, 4, "{said}");
    four_parts(&said, "runs");
    // A model on other data is used if it is given, with a message.
    let mut mixed = training("2", "1", &runs.join("00002-toy-stage2"));
    mixed.retain(|arg| arg != "-q");
    let mixed = with(&mixed, &["--stage1", "runs/00001-toy-stage1"]);
    let said = stackgan(dir.path(), &mixed).output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("trained on other data"), "{said}");

    // Its data were moved: they are known from its record, which then no longer finds it.
    fs::rename(dir.path().join("others"), dir.path().join("moved")).unwrap();
    let first = ["--stage1", "runs/00001-toy-stage1"];
    for (more, options) in [(&[][..], "00001-toy-stage1 --data PATH`"), (&first, "`--data PATH`")] {
        let dry = [&["train", "--stage", "2", "-n"], more, &set(TINY)[..]].concat();
        let (code, said) = failed(dir.path(), &dry);
        assert_eq!(code, 4, "{said}");
        four_parts(&said, &others);
        assert!(said.contains("00001-toy-stage1/run.json") && said.contains(options), "{said}");
    }
    let found = planned(&[&first[..], &["--data", "moved"]].concat());
    assert!(found.contains("/moved"), "{found}");
}

/// With the paper's presets, which use embeddings without standardisation.
#[test]
fn an_encoder_becomes_part_of_the_model_whatever_is_done_to_its_embeddings() {
    let dir = tempfile::tempdir().unwrap();
    for standardise in ["true", "false"] {
        let run = dir.path().join(format!("run-{standardise}"));
        let setting = format!("data.embedding_standardise={standardise}");
        let settings = set(&[&setting, "loss.matching=0"]);
        done(dir.path(), &with(&training("1", "1", &run), &settings));
        let run = run.to_str().unwrap();
        done(dir.path(), &["generate", "-m", run, "-p", "a red bird", "--out", run, "-q"]);
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_ours_in_the_environment_may_be_anything() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tempfile::tempdir().unwrap();
    let show = ["config", "show", "--stage", "1"];
    let odd = OsStr::from_bytes(b"\xff");
    stackgan(dir.path(), &show).env("ODD", odd).assert().success();
    stackgan(dir.path(), &show).env("STACKGAN__OPTIM__BATCH", odd).assert().code(2);
}

/// A shell's limit for file sizes, and a full disk behind standard output.
#[cfg(target_os = "linux")]
#[test]
fn limits_of_files_are_errors_of_the_storage() {
    let dir = tempfile::tempdir().unwrap();
    let shell = |script: &str| crate::common::program(dir.path(), &["sh", "-c", script]);
    let run = training("1", "4", &dir.path().join("run"));
    let output = shell("ulimit -f 16; \"$0\" \"$@\"").args(run).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{said}");
    let checkpoints = fs::read_dir(dir.path().join("run/checkpoints")).unwrap();
    assert_eq!(checkpoints.count(), 0, "nothing half written stays");
    let full = shell("\"$0\" config show --stage 1 > /dev/full").output().unwrap();
    let said = String::from_utf8(full.stderr).unwrap();
    assert_eq!(full.status.code(), Some(6), "{said}");
    four_parts(&said, "standard output");
}
