//! The preset of a run that is told none.

use std::path::Path;

use serde_json::Value;

use crate::common::{TINY, WORLD, done, failed, record, set, slashes, stackgan};
use crate::own::own_folder;

/// Returns what a dry run with `more` arguments says on stderr, and its document.
fn planned(dir: &Path, more: &[&str]) -> (String, Value) {
    let args = [&["train", "-n", "--json"], more, &set(TINY)[..]].concat();
    let output = stackgan(dir, &args).output().unwrap();
    let said = slashes(String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}");
    (said, serde_json::from_slice(&output.stdout).unwrap())
}

/// Whether a plan has the rate, the mirroring and the matching of a preset of Stage-I.
fn is_of(preset: &str, plan: &Value) -> bool {
    let settings = &plan["settings"];
    let found = (
        settings["optim"]["lr_g"].as_f64().unwrap(),
        settings["data"]["flip"].as_bool().unwrap(),
        settings["loss"]["matching"].as_f64().unwrap_or_default(), // not written when off
    );
    found == if preset == "toy" { (1e-3, false, 1.0) } else { (3e-4, true, 0.0) }
}

#[test]
fn toy_birds_have_their_preset_and_other_pictures_that_of_photographs() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    own_folder(dir);
    let (birds, file) = (WORLD.birds().display().to_string(), WORLD.prepared(76));
    let first = |more: &[&str]| planned(dir, &[&["--stage", "1"], more].concat());
    for (more, preset, why) in [
        (&["--data", &birds][..], "toy", "holds toy birds"),
        (&["--data", file.to_str().unwrap()], "toy", "holds toy birds"),
        (&[], "toy", "without `--data`"),
        (&["--data", "own"], "photo", "own holds no toy birds"),
    ] {
        let (said, plan) = first(more);
        assert!(is_of(preset, &plan), "{more:?}: {plan}");
        let notes: Vec<&str> = said.lines().filter(|line| line.starts_with("preset ")).collect();
        assert!(
            notes.len() == 1
                && notes[0].starts_with(&format!("preset {preset}: "))
                && notes[0].contains(why),
            "{said}"
        );
    }
    let (_, plan) = first(&["--data", "own"]);
    assert_eq!(plan["text"]["from"], "captions");
    let (said, plan) = first(&["--data", "own", "--preset", "toy"]);
    assert!(is_of("toy", &plan) && !said.contains("preset "), "{said}");
    let (code, said) = failed(dir, &["train", "--stage", "1", "--preset", "photo", "-n"]);
    assert!(code == 4 && said.contains("`--data DIR`"), "{code} {said}");
}

#[test]
fn what_has_begun_keeps_its_preset_and_stage2_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    own_folder(dir);
    let encoder = WORLD.encoder().display().to_string();
    let base = ["train", "--stage", "1", "-q", "--data", "own", "--encoder", &encoder];
    let train = |more: &[&str]| {
        let steps = ["--set", "optim.steps=1"];
        done(dir, &[&base[..], &set(TINY)[..], &steps, more].concat())
    };
    let preset = |run: &str| record(&dir.join(run))["preset"].clone();
    train(&["--preset", "toy", "--run", "runs/old"]);
    let second = |more: &[&str]| planned(dir, &[&["--stage", "2"], more].concat());
    let (said, _) = second(&[]);
    assert!(said.contains("preset toy: as runs/old"), "{said}");

    train(&[]);
    let run = "runs/00000-photo-stage1";
    assert_eq!([preset(run), preset("runs/old")], ["photo", "toy"]);
    for more in [&[][..], &["--data", "own"], &["--stage1", run]] {
        let (said, plan) = second(more);
        assert!(said.contains(&format!("preset photo: as {run}")), "{more:?}: {said}");
        assert!(slashes(plan["stage1"].as_str().unwrap().to_owned()).ends_with(run), "{plan}");
        assert_eq!(plan["settings"]["optim"]["lr_g"], 3e-4, "{plan}");
    }
    for more in [&["--stage1", "runs/old"][..], &["--preset", "toy"]] {
        let (said, plan) = second(more);
        assert!(plan["stage1"].as_str().unwrap().ends_with("old"), "{plan}");
        assert_eq!(plan["settings"]["optim"]["lr_g"], 5e-4, "{said}");
    }
    let birds = WORLD.birds().display().to_string();
    let (code, said) = failed(dir, &["train", "--stage", "2", "--data", &birds, "-n"]);
    assert!(code == 4 && said.contains("--stage 1 --preset toy --data"), "{code} {said}");

    for (run, preset, other) in [("runs/old", "toy", "photo"), (run, "photo", "toy")] {
        let again = ["train", "--stage", "1", "--run", run];
        let output = stackgan(dir, &[&again[..], &["-n", "--json"]].concat()).output().unwrap();
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(is_of(preset, &plan) && !said.contains("preset "), "{said}");
        let (code, said) = failed(dir, &[&again[..], &["--preset", other]].concat());
        assert!(code == 2 && said.contains("the run is of another preset"), "{code} {said}");
    }
}
