//! Runs that start from a model, `--init-from`, or build on one, `--stage1`.

use std::fs;

use serde_json::Value;

use crate::common::{WORLD, done, failed, json, one_step, record, training, with, without};

/// G has learnt the vectors of one encoder, so a run that starts from it reads with the same.
#[test]
fn the_encoder_of_the_model_comes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    done(dir.path(), &training("1", "1", &at("old")));
    let plain = without(training("1", "2", &at("new")), "--encoder");
    let plan = with(&plain, &["--init-from", "old", "-n", "--json"]);
    assert_eq!(json(dir.path(), &plan)["text"]["from"], "init_from");
    one_step(dir.path(), &with(&plain, &["--init-from", "old"]));
    let print = |run: &str| {
        let info = json(dir.path(), &["model", "info", run, "--json"]);
        info["info"]["encoder_fingerprint"].as_str().unwrap().to_owned()
    };
    let learnt = print("old");
    fs::remove_dir_all(at("old")).unwrap(); // the run needs neither that model
    fs::rename(at("new"), at("moved")).unwrap(); // nor to stay where it is
    done(dir.path(), &["train", "--stage", "1", "-q", "--run", "moved"]);
    assert_eq!(print("moved"), learnt);
    assert_eq!(record(&at("moved"))["encoder"], Value::Null);
    let own = WORLD.encoder();

    // Another one is taken, but not in silence; nor is its own warned of.
    let birds = WORLD.birds().display().to_string();
    let text = ["text", "train", "--data", &birds, "--steps", "1", "--batch", "2", "--seed", "5"];
    done(dir.path(), &[&text[..], &["--out", "other.safetensors", "-q"]].concat());
    let third = without(training("1", "2", &at("third")), "--encoder");
    let said = |encoder: &str| {
        let args = with(&third, &["--init-from", "moved", "-n", "--encoder", encoder]);
        let args: Vec<_> = args.into_iter().filter(|arg| arg != "-q").collect();
        let (code, said) = failed(dir.path(), &args);
        assert_eq!(code, 0, "{said}");
        said
    };
    let warns = |said: String| said.contains("learnt the vectors of another text encoder");
    assert!(warns(said("other.safetensors")));
    assert!(!warns(said(own.to_str().unwrap())));
}

/// Stage-II keeps the Stage-I that it began on, which may be trained on or go.
#[test]
fn stage_two_goes_on_when_its_stage_one_was_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    done(dir.path(), &training("1", "1", &at("low")));
    let high = |run: &str| with(&training("2", "2", &at(run)), &["--stage1", "low"]);
    done(dir.path(), &high("whole"));
    one_step(dir.path(), &high("cut"));
    let on = ["--set", "optim.steps=2", "--allow-change", "optim.steps", "-q"];
    done(dir.path(), &[&["train", "--stage", "1", "--run", "low"][..], &on].concat());
    let again = ["train", "--stage", "2", "--run", "cut", "-q"];
    let (code, said) = failed(dir.path(), &[&again[..], &["--stage1", "low"]].concat());
    assert_eq!(code, 2, "{said}");
    fs::remove_dir_all(at("low")).unwrap();
    done(dir.path(), &[&again[..], &["-n"]].concat());
    done(dir.path(), &again);
    let model = |run: &str| fs::read(at(run).join("model.safetensors")).unwrap();
    assert!(model("cut") == model("whole"), "another model");
}
