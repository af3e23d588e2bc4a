//! The program is killed, signalled, run twice in one folder, run on a full disk, or meets values
//! that are not finite: nothing is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use stackgan_core::noise::{Draws, Noise, Stream};

use crate::common::{
    TINY, WORLD, archive, done, failed, one_step, program, set, stackgan, training, with, without,
};
use crate::folder::{again, last, newest, saving, signal, start, stats, wait_for};
use crate::ledger::{self, ledger, times};
#[cfg(unix)]
use crate::tmpfs::Tmpfs;

/// The random numbers of a test of this file; each has others.
fn draws(test: u64) -> Draws {
    Noise::new(ledger::seed()).draws(Stream::Test, test, 0)
}

/// Kills a run 200 times with SIGKILL: every other time while it saves, else at any time from
/// before its begin to some steps later. Each kill loses at most the steps since the last
/// checkpoint, and the run ends in the same bytes as one that was not killed.
#[test]
fn two_hundred_kills_lose_nothing() {
    const KILLS: usize = 200;
    const STEPS: u64 = 420;
    let dir = tempfile::tempdir().unwrap();
    let every = ["--set", "run.checkpoint_every=2", "--set", "run.sample_every=1000"];
    let args =
        |name: &str| with(&training("1", &STEPS.to_string(), &dir.path().join(name)), &every);
    let whole = dir.path().join("whole");
    let mut reference = start(dir.path(), &args("whole"));

    let run = dir.path().join("run");
    let mut draws = draws(2);
    let (mut kills, mut lost_most, mut in_save, mut startup) = (0, 0, 0, 0.1);
    while kills < KILLS {
        let before = newest(&run).unwrap_or(0);
        assert!(before < STEPS, "the run ended after {kills} kills: make it longer");
        let started = Instant::now();
        let mut child = start(dir.path(), &args("run"));
        if kills % 2 == 0 {
            wait_for("the last kill's leftovers to go", &mut child, || !saving(&run));
            wait_for("a save", &mut child, || saving(&run));
            std::thread::sleep(Duration::from_micros(draws.below(3000)));
            startup = started.elapsed().as_secs_f64();
        } else {
            let longest = startup * 1.3;
            std::thread::sleep(Duration::from_secs_f64(draws.range(0.0, longest)));
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(!status.success(), "the run ended before kill {kills}");
        in_save += usize::from(saving(&run));
        let taken = stats(&run).len() as u64;
        let after = newest(&run).unwrap_or(0);
        assert!(after >= before, "kill {kills}: from {before} back to {after}");
        lost_most = lost_most.max(taken.saturating_sub(after));
        kills += 1;
    }
    assert!(lost_most <= 2, "{lost_most} steps lost, 2 is the interval");
    assert!(in_save >= KILLS / 10, "only {in_save} kills fell into a save");
    done(dir.path(), &args("run"));
    assert!(reference.wait().unwrap().success());
    assert!(last(&run, STEPS) == last(&whole, STEPS), "the last checkpoint is another");
    let model = |run: &Path| fs::read(run.join("model.safetensors")).unwrap();
    assert!(model(&run) == model(&whole), "the model is another");
    assert_eq!(stats(&run), stats(&whole));
    assert!(!saving(&run));
    ledger!(
        "program.kills",
        kills,
        "SIGKILLs of one run, half aimed at saves: last checkpoint, model and statistics as if there had been none"
    );
}

/// A signal or a file `STOP` at any moment ends the step, saves and tells how to resume. The
/// resumed run ends in the same bytes.
#[cfg(unix)]
#[test]
fn signals_and_the_stop_file_save_and_say_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let args = |name: &str| {
        let mut args = training("1", "80", &dir.path().join(name));
        args.retain(|arg| arg != "-q");
        with(&args, &["--set", "run.checkpoint_every=1000"])
    };
    done(dir.path(), &args("whole"));
    let whole = last(&dir.path().join("whole"), 80);
    let mut draws = draws(3);
    let mut stops = 0;
    let kinds = [("-INT", 130), ("-TERM", 143), ("-HUP", 129), ("STOP", 0)];
    for (how, code) in kinds.repeat(times(4, 25)) {
        let name = format!("run-{stops}");
        let run = dir.path().join(&name);
        let mut child = start(dir.path(), &args(&name));
        let first = 1 + draws.below(10) as usize;
        wait_for("steps", &mut child, || stats(&run).len() >= first);
        let at = Instant::now();
        match how {
            "STOP" => fs::write(run.join("STOP"), "").unwrap(),
            signal_name => signal(&child, signal_name),
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{how}: {said}");
        assert!(at.elapsed() < Duration::from_secs(10), "{how}: {:?}", at.elapsed());
        let saved = newest(&run).unwrap();
        assert_eq!(saved, stats(&run).len() as u64, "{how}: steps were taken and not saved");
        let resume = format!("stackgan train --stage 1 --run {}", run.display());
        assert!(
            said.contains(&format!("saved at step {saved}")) && said.contains(&resume),
            "{said}"
        );
        assert!(!run.join("STOP").exists(), "the run could not be gone on with");
        done(dir.path(), &again(&name));
        assert!(last(&run, 80) == whole, "{how}: other bytes");
        stops += 1;
    }
    ledger!(
        "program.stops",
        stops,
        "stops by SIGINT, SIGTERM, SIGHUP and a file STOP: saved, resumed to the same bytes"
    );
}

/// What is made between a small text encoder's training and the first step looks at no signal. To come
/// there soon, the encoder's state says that its last step is next.
#[cfg(unix)]
#[test]
fn a_signal_between_the_encoder_and_the_first_step_is_heard() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &["data", "toy", "--out", "birds", "--count", "12", "-q"]);
    let args = training("1", "1000000", &dir.path().join("run"));
    let mut args = with(&without(without(args, "--data"), "--encoder"), &["--data", "birds"]);
    args.retain(|arg| arg != "-q");
    let said = one_step(dir.path(), &args);
    assert!(said.contains("stopped at step 1"), "{said}");
    let kept = fs::read_dir(dir.path().join("birds/prepared")).unwrap().flatten();
    let mut kept = kept.map(|file| file.path());
    let state = kept.find(|file| file.extension().is_some_and(|end| end == "unfinished")).unwrap();
    let encoder = state.with_extension("");
    let mut late = archive(&state);
    late.metadata.insert("step".to_owned(), "2499".to_owned());
    fs::write(&state, late.to_bytes().unwrap()).unwrap();

    let mut child = start(dir.path(), &args);
    wait_for("the encoder", &mut child, || encoder.is_file());
    signal(&child, "-INT");
    let at = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if at.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("the signal was not heard");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(130) && !state.exists(), "{:?} {said}", output.status);
    assert!(said.contains("the same command goes on"), "{said}");
}

/// Under `nohup`, closing the terminal does not end the program.
#[cfg(unix)]
#[test]
fn a_hang_up_that_is_ignored_stays_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut command = program(dir.path(), &["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]);
    command.args(training("1", "40", &run)).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for("steps", &mut child, || stats(&run).len() >= 3);
    signal(&child, "-HUP");
    assert!(child.wait().unwrap().success());
    assert_eq!(newest(&run), Some(40));
}

/// The second of two trainers in one folder exits with code 6, and the first goes on. The lock ends
/// with its holder.
#[test]
fn a_run_folder_belongs_to_one_trainer() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let args = training("1", "100000", &run);
    let mut races = 0;
    for _ in 0..times(8, 50) {
        let mut children = [start(dir.path(), &args), start(dir.path(), &args)];
        let started = Instant::now();
        let loser = loop {
            let ended = children.iter_mut().position(|c| c.try_wait().unwrap().is_some());
            if let Some(loser) = ended {
                break loser;
            }
            if started.elapsed() > Duration::from_secs(30) {
                children.iter_mut().for_each(|child| drop(child.kill()));
                panic!("both train");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let [a, b] = children;
        let (loser, mut winner) = if loser == 0 { (a, b) } else { (b, a) };
        let output = loser.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{said}");
        assert!(said.contains("another process") && said.contains("LOCK"), "{said}");
        assert!(said.contains("do: "), "{said}");
        let taken = stats(&run).len();
        wait_for("more steps of the winner", &mut winner, || stats(&run).len() > taken);
        winner.kill().unwrap();
        winner.wait().unwrap();
        races += 1;
    }
    // The lock is free although its holder was killed.
    one_step(dir.path(), &args);
    ledger!(
        "program.races",
        races,
        "pairs of trainers started at once in one folder: one winner each"
    );
}

/// The disk fills up during training: saved files are kept, training continues until the third save
/// that fails, and ends with code 6 and the number of bytes needed. With more space the run ends in the
/// same bytes.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let args = |run: &Path| with(&training("1", "16", run), &["--set", "run.sample_every=1000"]);
    let whole = dir.path().join("whole");
    done(dir.path(), &args(&whole));
    let size = |file: &Path| file.metadata().unwrap().len().div_ceil(1024);
    let checkpoint = size(&whole.join("checkpoints/step-0000016.safetensors"));
    let model = size(&whole.join("model.safetensors"));
    let mut disks = 0;
    for tenths in [15, 22, 35] {
        let at = dir.path().join(format!("disk-{tenths}"));
        let kib = 200 + checkpoint * tenths / 10 + if tenths > 30 { model } else { 0 };
        let Some(disk) = Tmpfs::mount(&at, kib) else {
            eprintln!("skipped: a tmpfs cannot be mounted here");
            return;
        };
        let run = at.join("run");
        let (code, said) = failed(dir.path(), &args(&run));
        let (newest, lines) = (newest(&run), stats(&run).len());
        assert_eq!(code, 6, "{tenths}: {said}");
        assert!(said.contains("bytes are free") || said.contains("No space"), "{said}");
        assert!(newest.is_some() && !saving(&run), "{tenths}: {newest:?}, {lines} lines");
        // Every second step is saved; on larger disks one or two saves succeed, of which the last has
        // no room for the model.
        assert!((6..=10).contains(&lines), "{tenths}: {lines} steps, three saves were to be tried");
        assert!(said.contains("step-00000"), "the third failure is of a checkpoint: {said}");
        disk.grow(100 * checkpoint + 100 * model);
        done(dir.path(), &args(&run));
        assert!(last(&run, 16) == last(&whole, 16), "{tenths}: other bytes");
        disks += 1;
    }
    ledger!(
        "program.full",
        disks,
        "disks that fill up while training: the run is resumed to the same bytes once there is room"
    );
}

/// Embeddings of 1e30 overflow: code 7 and a bundle, whose replay gives the same result.
#[test]
fn a_number_that_is_none_is_named_and_can_be_looked_at_alone() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &training("1", "1", &dir.path().join("first")));
    let folder = WORLD.birds().join("prepared");
    let cached = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let is_ours = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with("embeddings-");
    let mut bytes = fs::read(cached.filter(is_ours).min().unwrap()).unwrap();
    let (middle, few) = (bytes.len() / 8 * 4, bytes.len() / 64 * 4);
    for at in (middle..middle + few).step_by(4) {
        bytes[at..at + 4].copy_from_slice(&1e30f32.to_le_bytes());
    }
    // A file of an earlier version, whose rows have no sums: the change is not noticed when they are read.
    let sums = bytes.windows(10).position(|name| name == b"row_crc32c").unwrap();
    bytes[sums..sums + 10].copy_from_slice(b"row_unread");
    fs::write(dir.path().join("bad.safetensors"), bytes).unwrap();
    let run = dir.path().join("run");
    let birds = WORLD.birds().display().to_string();
    let folder = run.display().to_string();
    let fixed = ["train", "--stage", "1", "-q", "--run", &folder, "--data", &birds];
    let more = ["--embeddings", "bad.safetensors", "--set", "optim.steps=60"];
    let args = [&fixed[..], &more, &set(TINY)].concat();
    let (code, said) = failed(dir.path(), &args);
    assert_eq!(code, 7, "{said}");
    let named = said.split('`').find_map(|part| part.strip_prefix("stackgan replay ")).unwrap();
    let (code, _) = failed(dir.path(), &["replay", named]);
    assert_eq!(code, 7);
    let output = stackgan(dir.path(), &["replay", named]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let value =
        |key: &str| printed.lines().find_map(|l| l.strip_prefix(key)).unwrap().trim().to_owned();
    assert_eq!(value("then"), value("now"), "{printed}");
    assert!(said.contains(value("then").split(' ').next().unwrap()), "{said} {printed}");
    let (code, said) = failed(dir.path(), &["replay", "bad.safetensors"]);
    assert!(code == 3 && said.contains("do: "), "{said}");
    let (code, said) = failed(dir.path(), &["replay", "."]);
    assert!(code == 3 && said.contains("found something that is not a file"), "{said}");
    let args = [&args[..], &["--on-nonfinite", "rollback:1000"]].concat();
    done(dir.path(), &args);
    // Repeated steps appear only once in TensorBoard's files.
    let files = fs::read_dir(run.join("tb")).unwrap().map(|entry| entry.unwrap().path());
    let bytes: Vec<u8> = files.flat_map(|file| fs::read(file).unwrap()).collect();
    let reports = bytes.windows(11).filter(|w| *w == b"loss/d_real").count();
    assert_eq!(reports, stats(&run).len());
}

/// Settings that differ from the checkpoint's give code 2 with key, old and new value; with
/// permission the run continues.
#[test]
fn other_settings_need_leave() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    one_step(dir.path(), &training("1", "4", &run));
    let folder = run.display().to_string();
    let other = ["train", "--stage", "1", "--run", &folder, "-q", "--set", "loss.kl=1.5"];
    let (code, said) = failed(dir.path(), &other);
    assert!(code == 2 && said.contains("`loss.kl`") && said.contains("found 1.5"), "{said}");
    done(dir.path(), &[&other[..], &["--allow-change", "loss.kl"]].concat());
    assert_eq!(newest(&run), Some(4));
}

/// The terminal is closed or full: training continues to the same bytes and succeeds.
#[test]
fn a_closed_or_full_terminal_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let args = |name: &str| {
        let mut args = training("1", "4", &dir.path().join(name));
        args.retain(|arg| arg != "-q");
        args
    };
    done(dir.path(), &args("whole"));
    let whole = last(&dir.path().join("whole"), 4);
    let full = || fs::OpenOptions::new().write(true).open("/dev/full");
    let mut cases = 0;
    for name in ["pipes", "full"] {
        let mut command = program(dir.path(), &[]);
        command.args(args(name)).stdin(Stdio::null());
        let status = if name == "full" {
            let Ok(full) = full() else { continue };
            command.stdout(Stdio::null()).stderr(full).status().unwrap()
        } else {
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            drop((child.stdout.take(), child.stderr.take()));
            child.wait().unwrap()
        };
        assert!(status.success(), "{name}: {status}");
        assert!(last(&dir.path().join(name), 4) == whole, "{name}: other bytes");
        cases += 1;
    }
    assert!(cases > 0);
}

/// `timeout` signals the program and then its group: the program saves as after one signal.
#[cfg(unix)]
#[test]
fn a_signal_that_comes_twice_loses_no_step() {
    let dir = tempfile::tempdir().unwrap();
    let mut draws = draws(4);
    done(dir.path(), &training("1", "24", &dir.path().join("whole")));
    let whole = last(&dir.path().join("whole"), 24);
    let mut twice = 0;
    for case in 0..times(6, 50) {
        let name = format!("run-{case}");
        let run = dir.path().join(&name);
        let args = with(&training("1", "24", &run), &["--set", "run.checkpoint_every=100"]);
        let mut child = start(dir.path(), &args);
        wait_for("a step", &mut child, || !stats(&run).is_empty());
        signal(&child, "-TERM");
        std::thread::sleep(Duration::from_micros(draws.below(2000)));
        signal(&child, "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(143));
        let kept = fs::read_dir(run.join("checkpoints")).unwrap();
        let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
        assert!(kept.iter().any(|file| file != "step-0000000.safetensors"), "{name}: {kept:?}");
        done(dir.path(), &training("1", "24", &run));
        assert!(last(&run, 24) == whole, "{name}: other bytes");
        twice += 1;
    }
    ledger!(
        "program.twice",
        twice,
        "stops by two signals in a row: code 143, saved, resumed to the same bytes"
    );
}

/// A damaged checkpoint: `--strict` gives code 3 and changes nothing; without it the previous one
/// is used, with a message.
#[test]
fn a_damaged_checkpoint_is_told_and_strict_refuses_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    done(dir.path(), &training("1", "6", &run));
    let whole = last(&run, 6);
    let file = run.join("checkpoints/step-0000006.safetensors");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 4;
    fs::write(&file, &damaged).unwrap();
    let folder = run.display().to_string();
    let strict = ["train", "--stage", "1", "--run", &folder, "-q", "--strict"];
    let (code, said) = failed(dir.path(), &strict);
    assert!(code == 3 && said.contains("step-0000006") && said.contains("do: "), "{said}");
    assert!(fs::read(&file).unwrap() == damaged, "something was changed");
    let output = stackgan(dir.path(), &strict[..5]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("warning: checkpoint is damaged"), "{said}");
    assert!(last(&run, 6) == whole, "other bytes");
    done(dir.path(), &strict);
}

/// A run that is stopped after every step measures what one that is not stopped measures, and so does
/// one that is killed while it measures, or goes back to an earlier checkpoint.
#[test]
fn stops_change_nothing_of_what_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let more = ["--eval-every", "3", "--eval-metrics", "variety", "--eval-num", "10"];
    let args = |name: &str| with(&training("1", "8", &dir.path().join(name)), &more);
    let file = |name: &str| dir.path().join(name).join("eval.jsonl");
    let measured = |name: &str| fs::read_to_string(file(name)).unwrap_or_default();
    done(dir.path(), &args("whole"));
    let whole = measured("whole");
    let step =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].clone();
    assert_eq!(whole.lines().map(step).collect::<Vec<_>>(), [4, 6, 8]);
    for steps in 1..8 {
        one_step(dir.path(), &args("parts"));
        let lines = measured("parts").lines().count();
        assert_eq!(lines, [0, 0, 0, 0, 1, 1, 2][steps - 1], "a stop waits for no measurement");
    }
    done(dir.path(), &args("parts"));
    assert_eq!(measured("parts"), whole);
    let best = |name: &str| fs::read(dir.path().join(name).join("best.safetensors")).unwrap();
    assert!(best("parts") == best("whole"));

    let (first, cut) = (whole.lines().next().unwrap(), "{\"step\":8,\"best\":fal");
    for before in [whole.clone(), format!("{whole}{cut}"), format!("{first}\n{cut}")] {
        fs::remove_file(dir.path().join("whole/checkpoints/step-0000008.safetensors")).unwrap();
        fs::write(file("whole"), &before).unwrap();
        done(dir.path(), &args("whole"));
        assert_eq!(measured("whole"), whole, "after {before}");
    }

    // The best model is of a step that is cut.
    let run = dir.path().join("whole");
    fs::copy(run.join("model.safetensors"), run.join("best.safetensors")).unwrap();
    fs::remove_file(run.join("checkpoints/step-0000008.safetensors")).unwrap();
    let mut again = args("whole");
    again.retain(|arg| arg != "-q");
    let output = stackgan(dir.path(), &again).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("warning: best.safetensors is not the model of step"), "{said}");
    assert_eq!(measured("whole"), whole);
}

/// What was measured is noted although the model cannot be kept, and the cause is told once.
#[cfg(unix)]
#[test]
fn a_best_model_that_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let more = ["--eval-every", "2", "--eval-metrics", "variety", "--eval-num", "10"];
    let mut args = with(&training("1", "4", &run), &more);
    one_step(dir.path(), &args);
    fs::create_dir(run.join(".tmp-best.safetensors")).unwrap(); // where it is written
    args.retain(|arg| arg != "-q");
    let output = stackgan(dir.path(), &args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("not measured"), "{said}");
    for words in ["the best so far, but not kept as best.safetensors", "Is a directory"] {
        assert_eq!(said.matches(words).count(), 2, "{words}: {said}");
    }
    let lines = fs::read_to_string(run.join("eval.jsonl")).unwrap();
    assert_eq!(lines.matches("\"best\":false").count(), 2, "{lines}");
    assert!(!run.join("best.safetensors").exists());
}
