//! `train --hours`: a run whose length is given as time.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::common::{
    self, TINY, WORLD, done, failed, one_step, record, set, stackgan, training, with, without,
};
use crate::errors::four_parts;
use crate::folder::{again, last, newest, start, wait_for};

/// Returns the arguments of a tiny run of `hours`, with intervals that follow from them.
fn timed(stage: &str, hours: &str, run: &Path) -> Vec<String> {
    let [run, birds, encoder] =
        [run, &WORLD.birds(), &WORLD.encoder()].map(|path| path.display().to_string());
    let args = ["train", "--stage", stage, "--hours", hours, "--run", &run];
    let sizes = TINY.iter().copied().filter(|setting| !setting.starts_with("run."));
    let sizes = set(&sizes.collect::<Vec<_>>());
    with(&with(&args.map(str::to_owned), &["--data", &birds, "--encoder", &encoder]), &sizes)
}

fn document(dir: &Path, args: &[String]) -> Value {
    common::json(dir, &with(args, &["--json", "-q"]))
}

fn refused(dir: &Path, args: &[String], place: &str) -> String {
    let (code, said) = failed(dir, args);
    assert_eq!(code, 2, "{said}");
    let error = said.find("error: ").map_or(&*said, |at| &said[at..]);
    four_parts(error, place);
    said
}

fn settings(run: &Path) -> toml::Table {
    fs::read_to_string(run.join("config.toml")).unwrap().parse().unwrap()
}

/// Other tests run meanwhile, so the time may be a multiple; the same settings without the clock give
/// the same bytes.
#[test]
fn a_run_takes_about_its_hours_and_its_settings_repeat_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    WORLD.birds();
    let started = Instant::now();
    let args = with(&timed("1", "0.002", &run), &["--json"]); // 7.2 seconds
    let output = stackgan(dir.path(), &args).output().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!((2.0..60.0).contains(&seconds), "{seconds} {said}");
    let [measuring, begun] =
        ["measuring how long", "hours      0.002"].map(|said_so| said.find(said_so));
    assert!(measuring.is_some() && measuring < begun, "{said}");

    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (plan, kept) = (&answer["plan"], settings(&run));
    let steps = plan["steps"].as_u64().unwrap();
    assert_eq!((&answer["step"], &answer["state"]), (&json!(steps), &json!("done")));
    assert_eq!(kept["optim"]["steps"].as_integer(), Some(steps as i64));
    assert_eq!(kept["optim"]["epochs"].as_integer(), Some(0));
    assert_eq!((&record(&run)["plan"], &record(&run)["steps"]), (plan, &json!(steps)));
    let number = |name: &str| plan[name].as_f64().unwrap();
    assert!((number("epochs") - steps as f64 / 16.0).abs() < 1e-9, "32 pictures by 2: {plan}");
    assert!(number("hours") == 0.002 && number("seconds") <= 7.2, "{plan}");
    let taken = steps as f64 * number("seconds_a_step");
    assert!(taken > 0.3 * number("seconds") && taken <= number("seconds"), "{plan}");
    let told = said.lines().find(|line| line.starts_with("hours      0.002: ")).unwrap();
    for part in [&format!("{steps} steps, "), " epochs, at ", "ms a step", "it ends about 20"] {
        assert!(told.contains(part), "no `{part}` in: {told}");
    }
    let left = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with('.')), "{left:?}");

    let config = run.join("config.toml").display().to_string();
    let again = without(timed("1", "1", &dir.path().join("again")), "--hours");
    let at = again.iter().position(|arg| arg == "--set").unwrap();
    done(dir.path(), &with(&again[..at], &["--config", &config, "-q"]));
    assert!(last(&dir.path().join("again"), steps) == last(&run, steps), "other bytes");
}

#[test]
fn a_killed_run_goes_on_with_the_steps_that_were_planned() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let args = with(&timed("1", "0.5", &run), &["--set", "run.checkpoint_every=2", "-q"]);
    let mut child = start(dir.path(), &args);
    wait_for("a checkpoint", &mut child, || newest(&run) >= Some(2));
    child.kill().unwrap();
    child.wait().unwrap();
    let (plan, kept) = (record(&run)["plan"].clone(), settings(&run));
    assert!(plan["steps"].as_u64() > Some(100), "{plan}");
    assert_eq!(kept["run"]["checkpoint_every"].as_integer(), Some(2), "as it was asked for");

    // The same hours, or none, go on; the steps are those of the plan.
    let by_folder = ["train", "--stage", "1", "--run", run.to_str().unwrap(), "-q", "--json"];
    let by_folder: Vec<String> = by_folder.map(str::to_owned).to_vec();
    let mut before = newest(&run).unwrap();
    for more in [&["--hours", "0.5"][..], &[]] {
        let args = with(&by_folder, &[more, &["--max-hours", "1e-9"]].concat());
        let output = stackgan(dir.path(), &args).output().unwrap();
        assert_eq!(output.status.code(), Some(75), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&answer["plan"], &answer["steps"]), (&plan, &plan["steps"]), "{answer}");
        assert!(answer["step"].as_u64().unwrap() > before, "{answer}");
        before = answer["step"].as_u64().unwrap();
        assert_eq!((&record(&run)["plan"], settings(&run)), (&plan, kept.clone()));
    }
    let dry = common::json(dir.path(), &with(&by_folder, &["--hours", "0.5", "--dry-run"]));
    assert_eq!((&dry["plan"], &dry["goes_on"]), (&plan, &json!(true)));
    let left = plan["steps"].as_u64().unwrap() - before;
    assert_eq!(dry["estimate"]["time"]["steps_left"], left);
    let more = format!("optim.steps={}", before + 40);
    let more = ["--set", &more, "--allow-change", "optim.steps", "--dry-run"];
    let dry = common::json(dir.path(), &with(&by_folder, &more));
    assert_eq!(dry["estimate"]["time"]["steps_left"], 40, "those of another length");

    // Others do not, and nothing changes.
    let bytes = fs::read(run.join("run.json")).unwrap();
    let said = refused(dir.path(), &with(&by_folder, &["--hours", "0.6"]), "--hours 0.6");
    assert!(said.contains("`--hours 0.5`, as it began") && said.contains("optim.steps"), "{said}");
    refused(dir.path(), &with(&by_folder, &["--hours", "0.6", "--dry-run"]), "--hours 0.6");
    assert_eq!(fs::read(run.join("run.json")).unwrap(), bytes);
}

/// A file of settings says what the plan has replaced: a length, halvings, intervals.
#[test]
fn a_planned_run_goes_on_over_the_file_of_settings_that_it_began_with() {
    let dir = tempfile::tempdir().unwrap();
    let (run, file) = (dir.path().join("run"), dir.path().join("mine.toml"));
    let halved = "decay = { kind = \"halve\", every = 50_000 }";
    let optim = format!("[optim]\nepochs = 600_000\nlr_g = 1e-3\n{halved}\n");
    fs::write(&file, optim + "[run]\ncheckpoint_every = 999\nkeep = 3\n").unwrap();
    let file = file.display().to_string();
    let go_on = |args: &[String], more: &[&str]| {
        one_step(dir.path(), &with(args, &[more, &["--config", &file]].concat()));
        settings(&run)
    };
    let (args, by_folder) =
        (with(&timed("1", "0.05", &run), &["-q"]), again(run.to_str().unwrap()));
    let begun = go_on(&args, &[]);
    let (optim, intervals) = (&begun["optim"], &begun["run"]);
    assert!(optim["steps"].as_integer() > Some(4) && optim["epochs"].as_integer() == Some(0));
    assert!(optim["decay"]["every"].as_integer() != Some(50_000), "halvings follow the length");
    assert!(intervals["checkpoint_every"].as_integer() != Some(999));
    assert_eq!(intervals["keep"].as_integer(), Some(3), "what no plan sets is the file's");
    assert_eq!(go_on(&args, &[]), begun);
    assert_eq!(go_on(&by_folder, &[]), begun);
    let typed = go_on(&by_folder, &["--set", "run.checkpoint_every=7"]);
    assert_eq!(typed["run"]["checkpoint_every"].as_integer(), Some(7));
}

/// A run that was killed before its first step has its hours in its record, and no settings.
#[test]
fn a_run_that_never_began_is_planned_for_the_hours_that_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let planned = |more: &[&str]| {
        let args = ["train", "--stage", "1", "--run", run.to_str().unwrap(), "--dry-run"];
        document(dir.path(), &with(&args.map(str::to_owned), more))
    };
    done(dir.path(), &with(&timed("1", "0.003", &run), &["-q"]));
    fs::remove_file(run.join("config.toml")).unwrap();
    fs::remove_file(run.join("stats.jsonl")).unwrap();
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    assert_eq!(planned(&[])["plan"]["hours"], 0.003);
    assert_eq!(planned(&["--hours", "0.1"])["plan"]["hours"], 0.1);
    let typed = planned(&["--set", "optim.steps=9"]);
    assert_eq!((&typed["plan"], &typed["settings"]["optim"]["steps"]), (&Value::Null, &json!(9)));
    // What the killed one timed is gone when the next one begins.
    fs::create_dir(run.join(".tmp-timing-x")).unwrap();
    done(dir.path(), &with(&timed("1", "0.003", &run), &["-q"]));
    assert!(!run.join(".tmp-timing-x").exists() && run.join("config.toml").is_file());
}

#[test]
fn a_dry_run_plans_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let text = done(dir.path(), &with(&timed("1", "0.01", &run), &["-n"]));
    let plan = text.lines().find(|line| line.starts_with("hours      0.01: ")).unwrap();
    assert!(plan.contains(" epochs, at ") && !text.contains("eval-every"), "{text}");
    let measuring = ["-n", "--eval-every", "9", "--eval-metrics", "variety"];
    let text = done(dir.path(), &with(&timed("1", "0.01", &run), &measuring));
    assert!(text.contains("what `--eval-every` measures comes on top"), "{text}");

    // Halvings of the learning rate follow the length, and both recipes are timed.
    let coco = ["-n", "--preset", "coco", "--set", "net.residual_blocks=1"];
    let few = document(dir.path(), &with(&timed("1", "0.02", &run), &coco));
    let many = document(dir.path(), &with(&timed("1", "10", &run), &coco));
    let of = |plan: &Value| {
        let (planned, optim) = (&plan["plan"], &plan["settings"]["optim"]);
        assert_eq!((&planned["steps"], &optim["epochs"]), (&optim["steps"], &json!(0)));
        assert_eq!(plan["settings"]["net"]["recipe"], "plain");
        let share = optim["decay"]["every"].as_f64().unwrap() / planned["epochs"].as_f64().unwrap();
        assert!((share - 20.0 / 120.0).abs() < 0.02, "{plan}");
        planned["steps"].as_u64().unwrap()
    };
    assert!(of(&many) > 50 * of(&few));
    let given =
        with(&timed("1", "10", &run), &[&coco[..], &["--set", "optim.decay.every=7"]].concat());
    assert_eq!(document(dir.path(), &given)["settings"]["optim"]["decay"]["every"], 7);
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[test]
fn stage2_has_hours_too() {
    let dir = tempfile::tempdir().unwrap();
    let low = dir.path().join("runs/00000-toy-stage1");
    done(dir.path(), &training("1", "1", &low));
    let run = dir.path().join("two");
    let low = low.display().to_string();
    let more = ["--stage1", &low, "--max-hours", "1e-9", "--json", "-q"];
    let args = with(&timed("2", "0.05", &run), &more);
    let output = stackgan(dir.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["steps"], &answer["step"]), (&answer["plan"]["steps"], &json!(1)));
    assert!(answer["steps"].as_u64() > Some(4), "{answer}");
    done(dir.path(), &["generate", "-m", "two", "-p", "a red bird", "--out", "out", "-q"]);
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    for key in ["optim.steps=9", "optim.epochs=9"] {
        let args = with(&timed("1", "1", &run), &["--set", key]);
        let said = refused(dir.path(), &args, "optim.");
        assert!(said.contains("from: --set") && said.contains("`--hours 1`"), "{said}");
    }
    let args = with(&timed("1", "1", &run), &["-n"]);
    let output = stackgan(dir.path(), &args).env("STACKGAN__OPTIM__STEPS", "9").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("STACKGAN__OPTIM__STEPS"), "{said}");
    let said = refused(dir.path(), &timed("1", "0.0000001", &run), "--hours");
    assert!(said.contains("no run fits in so short a time"), "{said}");
    for hours in ["0", "-1", "nan", "inf", "1e9", "two"] {
        let (code, said) =
            failed(dir.path(), &["train", "--stage", "1", &format!("--hours={hours}")]);
        assert!(code == 2 && said.contains("such as 2.5"), "{said}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);

    // A run whose steps were given has no hours.
    done(dir.path(), &training("1", "2", &run));
    let args = ["train", "--stage", "1", "--run", run.to_str().unwrap(), "--hours", "1"];
    let said = refused(dir.path(), &args.map(str::to_owned), "--hours 1");
    assert!(said.contains("the number of steps with which it began"), "{said}");
    assert_eq!(settings(&run)["optim"]["steps"].as_integer(), Some(2));
}
