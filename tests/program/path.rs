//! The complete sequence: birds, encoder, Stage-I, Stage-II, pictures. Equal input gives equal
//! bytes, however a run is interrupted and whatever the number of threads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{WORLD, done, failed, json, one_step, stackgan, training, with};

fn model(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).unwrap()
}

/// Compares 4 steps on one thread with one step, a stop and 3 more on two threads. How many threads
/// and steps there are otherwise: `crates/stackgan-train/tests/it/exact.rs`.
#[test]
fn resume_equals_no_interruption_for_any_number_of_threads() {
    for stage in ["1", "2"] {
        let dir = tempfile::tempdir().unwrap();
        let mut more: &[&str] = &[];
        if stage == "2" {
            done(dir.path(), &training("1", "2", &dir.path().join("low")));
            more = &["--stage1", "low"];
        }
        let args = |name: &str, threads: &str| {
            let args = with(&training(stage, "4", &dir.path().join(name)), more);
            with(&args, &["--threads", threads])
        };
        done(dir.path(), &args("whole", "1"));
        let whole = model(&dir.path().join("whole"));
        // The time budget is used up at the first step, after which the run is saved. Then it is
        // resumed by its folder alone.
        let run = dir.path().join("cut");
        one_step(dir.path(), &args("cut", "2"));
        assert!(model(&run) != whole);
        let by_folder = ["train", "--stage", stage, "--run", "cut", "--threads", "2", "-q"];
        done(dir.path(), &by_folder);
        assert!(model(&run) == whole, "stage {stage}: resumed, other bytes");
        let stats = fs::read_to_string(run.join("stats.jsonl")).unwrap();
        let step = |line: &str| serde_json::from_str::<Value>(line).unwrap()["step"].as_u64();
        let steps: Vec<_> = stats.lines().map(|line| step(line).unwrap()).collect();
        assert_eq!(steps, [1, 2, 3, 4]);
        let report = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(report.contains("<svg") && report.contains("data:image/png;base64,"));
    }
}

#[test]
fn pictures_are_reproducible_and_say_what_made_them() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &training("1", "2", &dir.path().join("low")));
    let high = training("2", "2", &dir.path().join("high"));
    done(dir.path(), &with(&high, &["--stage1", "low"]));

    let info = json(dir.path(), &["model", "info", "high", "--json"]);
    assert_eq!(
        (info["stages"].as_u64(), info["info"]["stage1"]["steps"].as_u64()),
        (Some(2), Some(2))
    );

    let caption = "a small red bird with a yellow belly";
    let paint = |out: &str, more: &[&str]| {
        let args = [&["generate", "-m", "high", "-p", caption, "--out", out, "-q"], more].concat();
        let paths = done(dir.path(), &args);
        let read = |path: &str| {
            (
                Path::new(path).file_name().unwrap().to_owned(),
                fs::read(dir.path().join(path)).unwrap(),
            )
        };
        paths.lines().map(read).collect::<BTreeMap<_, _>>()
    };
    let one = paint("a", &["--seeds", "0-2,7", "--grid"]);
    assert_eq!(one.len(), 5);
    assert!(
        one.contains_key("000003-seed00007-a-small-red-bird-with-a-yellow-belly.png".as_ref()
            as &std::ffi::OsStr)
    );
    assert!(one == paint("b", &["--seeds", "0-2,7", "--grid"]), "same seeds, other bytes");
    // A picture does not depend on the others in its batch.
    let alone = paint("c", &["--seed", "7"]);
    let name = |n: u32| format!("{n:06}-seed00007-a-small-red-bird-with-a-yellow-belly.png");
    assert_eq!(
        alone[name(0).as_ref() as &std::ffi::OsStr],
        one[name(3).as_ref() as &std::ffi::OsStr]
    );

    let picture = image::load_from_memory(alone.values().next().unwrap()).unwrap();
    assert_eq!((picture.width(), picture.height()), (256, 256));
    let low = paint("d", &["--stage", "1"]);
    assert_eq!(image::load_from_memory(low.values().next().unwrap()).unwrap().width(), 64);
    let chunks = String::from_utf8_lossy(alone.values().next().unwrap()).into_owned();
    assert!(
        chunks.contains("Sampler: StackGAN, Seed: 7, Size: 256x256")
            && chunks.contains("model_sha256")
    );
}

#[test]
fn captions_come_from_a_file_or_from_stdin() {
    let dir = tempfile::tempdir().unwrap();
    // Enough steps that captions and noise change whole grey levels.
    let args = training("1", "40", &dir.path().join("run"));
    let more = ["--set", "optim.ema=0", "--set", "run.report_every=40"];
    done(dir.path(), &with(&args, &more));
    fs::write(dir.path().join("captions.txt"), "a red bird\n\na blue bird\n").unwrap();
    let read = |paths: &str| {
        paths.lines().map(|p| fs::read(dir.path().join(p)).unwrap()).collect::<Vec<_>>()
    };
    let file = done(
        dir.path(),
        &["generate", "-m", "run", "--captions", "captions.txt", "--out", "a", "-q"],
    );
    let mut command = stackgan(
        dir.path(),
        &["generate", "-m", "run", "--captions", "-", "--out", "b", "--json", "-q"],
    );
    let output = command.write_stdin("a red bird\n\na blue bird\n").output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let facts: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(
        facts.iter().map(|f| f["caption"].as_str().unwrap()).collect::<Vec<_>>(),
        ["a red bird", "a blue bird"]
    );
    let paths: Vec<&str> = facts.iter().map(|f| f["file"].as_str().unwrap()).collect();
    assert_eq!(read(&file), read(&paths.join("\n")));
    assert_eq!(file.lines().count(), 2);
    let more = [
        "generate",
        "-m",
        "run",
        "-p",
        "a red bird",
        "--seeds",
        "1-3",
        "--out",
        "c",
        "--json",
        "-q",
    ];
    let more = done(dir.path(), &more);
    let more = more.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let pixels: BTreeSet<String> =
        more.chain(facts).map(|f| f["pixels_sha256"].as_str().unwrap().to_owned()).collect();
    assert_eq!(pixels.len(), 5, "another caption or another seed, the same pixels");

    let paint = |more: &[&str]| {
        failed(dir.path(), &[&["generate", "-m", "run", "--out", "d"], more].concat())
    };
    fs::write(dir.path().join("empty.txt"), "\n").unwrap();
    let (code, error) = paint(&["--captions", "empty.txt"]);
    assert!(code == 3 && error.contains("there are no captions"), "{error}");
    let (code, error) = paint(&["-p", "a red bird", "--stage", "2"]);
    assert!(code == 2 && error.contains("no such stage") && !error.contains("painting"), "{error}");
    assert!(!dir.path().join("d").exists());
    let (code, said) = paint(&["-p", "птица"]);
    assert!(code == 0 && said.contains("the encoder knows no character"), "{said}");
}

/// It is that of the encoder's own file, whatever the run does with its vectors.
#[test]
fn an_encoder_has_one_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &training("1", "1", &dir.path().join("run")));
    let paint = ["generate", "-m", "run", "-p", "a red bird", "--json", "-q"];
    let painted = json(dir.path(), &paint);
    let print = painted["encoder"].as_str().unwrap();
    let info = json(dir.path(), &["model", "info", "run", "--json"]);
    assert_eq!(info["info"]["encoder_fingerprint"], print);
    let encoder = WORLD.encoder().display().to_string();
    let args = ["text", "encode", "--encoder", &encoder, "-p", "x", "--output", "x.safetensors"];
    done(dir.path(), &args);
    let file = fs::read(dir.path().join("x.safetensors")).unwrap();
    assert!(String::from_utf8_lossy(&file).contains(print), "{print}");
}

#[test]
fn equal_seeds_draw_and_prepare_equal_bytes() {
    let dir = tempfile::tempdir().unwrap();
    for out in ["a", "b"] {
        let threads = if out == "a" { "1" } else { "2" };
        done(
            dir.path(),
            &[
                "data",
                "toy",
                "--out",
                out,
                "--count",
                "12",
                "--seed",
                "5",
                "--threads",
                threads,
                "-q",
            ],
        );
        done(dir.path(), &["data", "import", out, "--size", "76", "--threads", threads, "-q"]);
    }
    let read = |out: &str| {
        fs::read(dir.path().join(out).join("prepared/prepared-76.safetensors")).unwrap()
    };
    assert!(read("a") == read("b"), "two threads prepared other bytes");
    done(dir.path(), &["data", "toy", "--out", "c", "--count", "12", "--seed", "6", "-q"]);
    done(dir.path(), &["data", "import", "c", "--size", "76", "-q"]);
    assert!(read("a") != read("c"), "another seed, the same birds");
}

#[test]
fn prepared_files_can_be_checked_and_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let file = WORLD.prepared(76).display().to_string();
    let said = done(dir.path(), &["data", "check", &file]);
    assert!(said.contains("76 px") && said.contains("360 captions"), "{said}");
    done(dir.path(), &["data", "preview", &file, "--output", "sheet.png", "--count", "9"]);
    let sheet = image::open(dir.path().join("sheet.png")).unwrap();
    assert_eq!((sheet.width() - 10) % 238, 0);
    let listing = fs::read_to_string(dir.path().join("sheet.txt")).unwrap();
    assert!(
        listing.starts_with("# captions of the sheet") && listing.lines().count() == 1 + 9 * 11
    );
    let encoder = WORLD.encoder().display().to_string();
    let args = [
        "text",
        "encode",
        "--encoder",
        &encoder,
        "--data",
        &file,
        "--output",
        "e.safetensors",
        "-q",
    ];
    done(dir.path(), &args);
    assert!(dir.path().join("e.safetensors").is_file());
}

#[test]
fn an_import_makes_a_damaged_file_again_and_looks_for_embeddings_first() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &["data", "toy", "--out", "birds", "--count", "12", "-q"]);
    let import = ["data", "import", "birds", "--size", "76"];
    let mistaken = [&import[..], &["--embeddings", "birds"]].concat();
    let (code, said) = failed(dir.path(), &mistaken);
    assert!(code == 4 && said.contains("folder has no embeddings"), "{code} {said}");
    assert!(!dir.path().join("birds/prepared/prepared-76.safetensors").exists());

    let file = dir.path().join(done(dir.path(), &import).trim());
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1; // of the last picture
    fs::write(&file, damaged).unwrap();
    let left = dir.path().join("birds/prepared/.tmp-Xy1z2w.partial"); // by a killed import
    assert_eq!(failed(dir.path(), &["data", "check", "birds"]).0, 3);
    let again = stackgan(dir.path(), &import).output().unwrap();
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.success() && said.contains("it is made again"), "{said}");
    assert!(fs::read(&file).unwrap() == whole, "other bytes");
    fs::write(&left, "").unwrap();
    done(dir.path(), &import);
    assert!(!left.exists());
    let other = failed(dir.path(), &["data", "import", "birds"]).1; // the other size alone
    assert!(!other.contains("preparing 76"), "{other}");
}
