//! The program on a GPU. Without one these tests say so and pass; with `STACKGAN_TEST_DEVICE=cuda`
//! there must be one, or the stand-in of `cargo xtask gpu-stand-in`, which can also refuse.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::common::{WORLD, archive, done, set, stackgan, training, with};
use crate::encoders::{assert_equal, bert};
use crate::folder::{newest, start, stats, wait_for};

/// The function of the driver that the stand-in lets fail, for want of memory.
const REFUSES: &str = "STAND_IN_REFUSES";
/// The bytes of the stand-in's memory that no other program holds.
const FREE: &str = "STAND_IN_FREE";

fn there_is_a_gpu() -> bool {
    let there = std::env::var_os("STACKGAN_TEST_DEVICE").is_some_and(|device| device == "cuda");
    if !there {
        eprintln!("skipped: no GPU");
    }
    there
}

/// Whether the GPU is the stand-in for one.
fn stands_in(dir: &Path) -> bool {
    done(dir, &["doctor", "--device", "cuda", "--json"]).contains("stand-in")
}

/// Returns a folder for a test that needs the stand-in, where it is.
fn on_the_stand_in() -> Option<tempfile::TempDir> {
    let dir = there_is_a_gpu().then(|| tempfile::tempdir().unwrap())?;
    if stands_in(dir.path()) {
        return Some(dir);
    }
    eprintln!("skipped: not on a true GPU");
    None
}

/// Returns the arguments of a tiny run on the GPU, which says what it does. Without R1, whose steps
/// are not recorded.
fn on_gpu(stage: &str, steps: &str, run: &Path) -> Vec<String> {
    let mut args = training(stage, steps, run);
    args.retain(|arg| arg != "-q");
    with(&args, &["--device", "cuda", "--set", "loss.r1.gamma=0"])
}

fn under(dir: &Path, args: &[String], (name, value): (&str, &str)) -> Output {
    stackgan(dir, args).env(name, value).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn model(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).unwrap()
}

/// Recorded steps, steps whose recording is refused or finds no memory, convolutions whose fastest
/// algorithm fails, and a run that was killed and goes on, give the same model to the byte.
#[test]
fn a_run_is_the_same_to_the_byte_however_its_steps_are_taken() {
    if !there_is_a_gpu() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str| dir.path().join(name);
    done(dir.path(), &on_gpu("1", "8", &run("recorded")));
    let expected = model(&run("recorded"));
    let stand_in = stands_in(dir.path());
    for function in ["cuGraphInstantiate", "cuGraphLaunch"] {
        let output = under(dir.path(), &on_gpu("1", "8", &run(function)), (REFUSES, function));
        assert!(output.status.success(), "{function}: {}", said(&output));
        assert_eq!(said(&output).contains("cannot be recorded"), stand_in, "{}", said(&output));
        assert!(model(&run(function)) == expected, "{function}");
    }
    let fails = (REFUSES, "cudnnConvolution");
    let slower = under(dir.path(), &on_gpu("1", "8", &run("slower")), fails);
    assert!(slower.status.success(), "{}", said(&slower));
    assert!(!said(&slower).contains("cannot be recorded"), "{}", said(&slower));
    assert!(model(&run("slower")) == expected);
    let killed = run("killed");
    let mut child = start(dir.path(), &on_gpu("1", "8", &killed));
    wait_for("a checkpoint", &mut child, || newest(&killed) >= Some(2));
    child.kill().unwrap();
    child.wait().unwrap();
    done(dir.path(), &on_gpu("1", "8", &killed));
    assert!(model(&killed) == expected);
}

/// A picture of the GPU is that of the CPU, up to rounding.
#[test]
fn both_stages_are_trained_and_painted() {
    if !there_is_a_gpu() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    done(dir.path(), &on_gpu("1", "4", &first));
    let args = on_gpu("2", "4", &second);
    done(dir.path(), &with(&args, &["--stage1", &first.display().to_string()]));
    let paint = |device: &str| -> PathBuf {
        let out = dir.path().join(device);
        let args = ["generate", "-m", "second", "-p", "a red bird", "--seed", "5", "-q"];
        let more = ["--device", device, "--precision", "f32", "--out", device];
        done(dir.path(), &[&args[..], &more].concat());
        fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|e| e == "png"))
            .unwrap()
    };
    let [here, there] = ["cpu", "cuda"].map(|device| {
        let decoded = image::open(paint(device)).unwrap().to_rgb8();
        assert_eq!(decoded.dimensions(), (256, 256));
        decoded.into_raw()
    });
    let far = here.iter().zip(&there).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(far <= 2, "{far}");
}

/// The first step of Stage-II with settings of which each takes its own way through a step. Its rates
/// are small, because Adam's first step amplifies the sign of a vanishing gradient, and G's gradient
/// is that of a D that has taken it.
#[test]
fn a_step_of_stage2_has_the_numbers_of_the_cpu() {
    if !there_is_a_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &with(&training("1", "2", &dir.join("first")), &["--set", "optim.batch=4"]));
    for (name, settings) in [
        ("tuned", &["knobs.finetune_stage1=0.1", "optim.ema=0.0"][..]),
        ("parts", &["knobs.micro_batch=2", "loss.matching=1"]),
        ("r1", &["loss.r1={ gamma = 3.3, every = 1 }"]),
    ] {
        let [here, there] = ["cpu", "cuda"].map(|device| {
            let run = dir.join(format!("{name}-{device}"));
            let device = ["--stage1", "first", "--device", device, "--precision", "f32"];
            let sizes = set(&["optim.batch=4", "optim.lr_g=1e-7", "optim.lr_d=1e-7"]);
            let more = [&device[..], &sizes, &set(settings)].concat();
            done(dir, &with(&training("2", "1", &run), &more));
            let line: Value = serde_json::from_str(&stats(&run)[0]).unwrap();
            line.as_object().unwrap().clone()
        });
        assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
        for (term, value) in &here {
            let [a, b] = [value, &there[term]].map(|value| value.as_f64().unwrap());
            let far = (a - b).abs() > 0.02 * a.abs().max(0.1);
            assert!(!far, "{name}, {term}: {a}, on the GPU {b}");
        }
    }
}

/// Both kinds of encoder, with captions of different lengths.
#[test]
fn captions_have_the_vectors_of_the_cpu() {
    if !there_is_a_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let captions: Vec<String> =
        (0..70).map(|i| format!("a {}bird {i}", "small red ".repeat(i % 5))).collect();
    fs::write(dir.join("captions.txt"), captions.join("\n")).unwrap();
    bert(dir, "bert", 1);
    let own = WORLD.encoder().display().to_string();
    for encoder in ["bert", &own] {
        let [here, there] = ["cpu", "cuda"].map(|device| {
            let args = ["text", "encode", "--encoder", encoder, "--captions", "captions.txt"];
            let more = ["--precision", "f32", "--device", device, "--output", device, "-q"];
            done(dir, &[&args[..], &more].concat());
            archive(&dir.join(device)).tensors["embeddings"].clone()
        });
        assert_equal(&there, &here, 1e-4);
    }
}

/// The memory of a recorded step is not that of other work. Where there is not enough for both, the
/// recorded step gives way, and the run is the same to the byte.
fn gives_way_to(other: &[&str]) {
    let Some(dir) = on_the_stand_in() else { return };
    let args = |run: &str| with(&on_gpu("1", "8", &dir.path().join(run)), &set(other));
    done(dir.path(), &args("enough"));
    let expected = model(&dir.path().join("enough"));
    // From too little for any, over enough for queued steps, until one can be recorded.
    let mut less_was_enough = false;
    let gave_way = (4_000..20_000).step_by(500).any(|kib: u32| {
        let (name, bytes) = (kib.to_string(), (kib * 1024).to_string());
        let output = under(dir.path(), &args(&name), (FREE, &bytes));
        let (went, gave_way) =
            (output.status.success(), said(&output).contains("beside a recorded"));
        assert!(went || !gave_way && !less_was_enough, "{kib}: {}", said(&output));
        less_was_enough = went;
        assert!(!went || model(&dir.path().join(&name)) == expected, "{kib}");
        gave_way
    });
    assert!(gave_way, "no such memory was tried");
}

/// Every fourth step with R1 is queued; no other such step is, before the run ends.
#[test]
fn a_recorded_step_gives_way_to_a_queued_one() {
    gives_way_to(&["optim.batch=4", "loss.r1={ gamma = 0.5, every = 4 }"]);
}

/// A grid of samples needs more memory than a step of two pictures.
#[test]
fn a_recorded_step_gives_way_to_a_grid() {
    gives_way_to(&["run.sample_every=4"]);
}

/// What does not fit says so, and proposes half of the batch.
#[test]
fn a_full_memory_is_told_with_what_to_do() {
    let Some(dir) = on_the_stand_in() else { return };
    let args = with(&on_gpu("1", "8", &dir.path().join("run")), &["--set", "optim.batch=4"]);
    let output = under(dir.path(), &args, (FREE, "3000000"));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for expected in ["the GPU's memory is full", "optim.batch=2"] {
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}
