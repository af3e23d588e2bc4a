//! Valid files in the wrong place: a model with other sizes, of the other stage, or a file of
//! another kind. Each is refused with code 2, 3 or 4 and the expected and found values.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{TINY, WORLD, done, failed, golden, set, training, with, without};
use crate::errors::four_parts;
use crate::ledger::ledger;

/// The differences of six models. The last one has a second stage on top of the first.
const MODELS: [(&str, &str, &[&str]); 6] = [
    ("first", "1", &[]),
    ("wider", "1", &["net.gf=8"]),
    ("noise", "1", &["net.z_dim=6"]),
    ("augmentation", "1", &["net.cond_dim=6"]),
    ("recipe", "1", &["net.recipe=\"plain\"", "data.wrong=\"next-text\""]),
    ("stage2", "2", &[]),
];

fn args(dir: &Path, name: &str, run: &Path) -> Vec<String> {
    let (_, stage, settings) = MODELS.into_iter().find(|(n, ..)| *n == name).unwrap();
    let args = with(&training(stage, "1", run), &set(settings));
    let first = dir.join("first").display().to_string();
    let first = ["--stage1", &first];
    with(&args, if stage == "2" { &first } else { &[] })
}

#[test]
fn a_model_of_other_sizes_or_of_the_other_stage_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (name, ..) in MODELS {
        done(dir, &args(dir, name, &dir.join(name)));
    }
    let mut pairs = 0;
    for (given, ..) in MODELS {
        for (wanted, _, settings) in MODELS {
            let run = dir.join(format!("{given}-{wanted}"));
            let model = dir.join(given).display().to_string();
            let args = with(&args(dir, wanted, &run), &["--init-from", &model]);
            // The first stage is also part of the two-stage model.
            let fits = given == wanted || (given == "stage2" && wanted == "first");
            let (code, said) = failed(dir, &args);
            assert_eq!(code, if fits { 0 } else { 2 }, "{given} for {wanted}: {said}");
            if !fits {
                four_parts(&said, "--init-from");
                for setting in settings.iter().filter(|s| s.starts_with("net.")) {
                    let (key, value) = setting[4..].split_once('=').unwrap();
                    let value = value.trim_matches('"');
                    assert!(
                        wanted == "stage2" || said.contains(&format!("{key} {value}")),
                        "{said}"
                    );
                }
                assert!(!run.join("stats.jsonl").exists(), "a step was taken");
            }
            pairs += 1;
        }
    }
    // The Stage-I model of a Stage-II run must be a model.
    let args = without(args(dir, "first", &dir.join("none")), "--stage");
    let model = WORLD.encoder().display().to_string();
    let args = with(&args, &["--stage", "2", "--stage1", &model]);
    let (code, said) = failed(dir, &args);
    assert!(code == 3, "{said}");
    four_parts(&said, "encoder.safetensors");
    ledger!(
        "program.models",
        pairs,
        "pairs of a model and the settings of a model of six: the ones that fit taken, the others refused by key"
    );
}

#[test]
fn a_file_of_another_kind_is_refused_wherever_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    done(dir, &training("1", "2", &dir.join("run")));
    let cached = fs::read_dir(WORLD.birds().join("prepared")).unwrap();
    let is_ours = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with("embeddings-");
    let embeddings = cached.map(|entry| entry.unwrap().path()).find(is_ours).unwrap();
    let text = |path: PathBuf| path.display().to_string();
    let files = [
        ("model", text(dir.join("run/model.safetensors"))),
        ("checkpoint", text(dir.join("run/checkpoints/step-0000002.safetensors"))),
        ("encoder", text(WORLD.encoder())),
        ("embeddings", text(embeddings)),
        ("prepared", text(WORLD.prepared(76))),
        ("picture", text(dir.join("run/reals.png"))),
        ("statistics", text(dir.join("run/stats.jsonl"))),
    ];
    let (birds, encoder) = (text(WORLD.birds()), text(WORLD.encoder()));
    let commands: [(&str, &[&str]); 8] = [
        ("model", &["generate", "-p", "a bird", "-q", "-m"]),
        ("model", &["model", "info"]),
        ("model", &["eval", "--num", "2", "--data", &birds, "--metrics", "variety", "-q", "-m"]),
        ("encoder", &["train", "--stage", "1", "--data", &birds, "-q", "--encoder"]),
        ("encoder", &["text", "encode", "-p", "a bird", "--output", "v", "-q", "--encoder"]),
        ("embeddings", &["train", "--stage", "1", "--data", &birds, "-q", "--embeddings"]),
        ("prepared", &["train", "--stage", "1", "--encoder", &encoder, "-q", "--data"]),
        ("nothing here", &["replay"]),
    ];
    let small = set(&[TINY, &["optim.steps=1"]].concat());
    let mut refused = 0;
    for (wanted, command) in commands {
        for (kind, file) in &files {
            let mut args = [command, &[file]].concat();
            let run = format!("{}-{kind}-for-{wanted}-{}", command[0], command.len());
            if command[0] == "train" {
                args.extend(["--run", &run]);
                args.extend(&small);
            }
            if command[0] == "generate" {
                args.extend(["--out", &run]);
            }
            // A checkpoint in its run's folder paints, like the model; a model holds an encoder.
            let also = [("checkpoint", "model"), ("model", "encoder")];
            if *kind == wanted || also.contains(&(kind, wanted)) {
                done(dir, &args);
                continue;
            }
            let (code, said) = failed(dir, &args);
            assert!(matches!(code, 2..=4), "{kind} for {wanted}: {code}: {args:?}: {said}");
            let name = Path::new(file).file_name().unwrap().to_str().unwrap();
            four_parts(&said, name);
            let ours = !matches!(*kind, "picture" | "statistics");
            let told = !ours || !said.contains("damaged") && !said.contains("remove");
            assert!(told, "{kind} for {wanted} is not damaged: {said}");
            assert!(!dir.join(&run).join("stats.jsonl").exists(), "a step was taken");
            refused += 1;
        }
    }
    ledger!(
        "program.kinds",
        refused,
        "whole files of another kind than the one that is asked for: refused with what was found"
    );
}

/// What other programs wrote is named, with the command that brings it in, if there is one.
#[test]
fn a_file_of_another_program_is_told_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    done(dir, &training("1", "1", &dir.join("run")));
    for (theirs, name) in [
        ("stage1_netG_zip.pth", "zip.pth"),
        ("stage1_netG_legacy.pth", "legacy.pth"),
        ("tensorflow_release.ckpt", "whole.ckpt"),
        ("tensorflow_stage1.ckpt.index", "parts.ckpt.index"),
        ("tensorflow_stage1.ckpt.data-00000-of-00001", "parts.ckpt.data-00000-of-00001"),
    ] {
        fs::copy(golden(theirs), dir.join(name)).unwrap();
    }
    done(dir, &["model", "import", "zip.pth", "--out", "imported.safetensors"]);
    done(dir, &["model", "export", "imported.safetensors", "--out", "netG.safetensors"]);
    for (name, bytes) in [
        ("net.t7", &b"\x03\0\0\0\x01\0\0\0\0\0\0\0"[..]),
        ("page.pth", b"<!DOCTYPE html><html>too many people fetch this file"),
        ("facts.json", b"{\"recipe\": \"plain\"}"),
        ("words.txt", b"a red bird\n"),
        ("bird.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("bird.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF"),
        ("numbers", b"\xab\x4f\xf1\x3d\x79\x9e\x1a\xbe\x79\x05\xf8\x3d"),
    ] {
        fs::write(dir.join(name), bytes).unwrap();
    }
    // The commands that bring a file in as a model, and as an encoder.
    let (model, text) = ("stackgan model import", "stackgan text import");
    let files = [
        ("zip.pth", "weights of PyTorch", [Some(model), Some(text)]),
        ("legacy.pth", "weights of PyTorch", [Some(model), Some(text)]),
        ("net.t7", "weights of Torch 7", [Some(model), Some(text)]),
        ("netG.safetensors", "a state dict", [Some(model), Some(text)]),
        ("whole.ckpt", "a checkpoint of TensorFlow", [Some(model), None]),
        ("parts.ckpt.index", "a checkpoint of TensorFlow", [Some(model), None]),
        ("parts.ckpt.data-00000-of-00001", "a checkpoint of TensorFlow", [Some(model), None]),
        ("page.pth", "a web page", [None; 2]),
        ("facts.json", "JSON", [None; 2]),
        ("words.txt", "text", [None; 2]),
        ("bird.png", "a PNG picture", [None; 2]),
        ("bird.jpg", "a JPEG picture", [None; 2]),
        ("numbers", "another beginning", [None; 2]),
    ];
    let low = with(&training("1", "1", &dir.join("low")), &["--init-from"]);
    let high = with(&training("2", "1", &dir.join("high")), &["--stage1"]);
    let read = with(&without(training("1", "1", &dir.join("read")), "--encoder"), &["--encoder"]);
    let words = |args: &[&str]| with(&[], args);
    // Of each kind, the first command is given every file, the others one.
    let commands = [
        (0, words(&["model", "info"])),
        (0, words(&["generate", "-p", "a bird", "-q", "-m"])),
        (0, low),
        (0, high),
        (1, words(&["text", "encode", "-p", "a bird", "--output", "v", "-q", "--encoder"])),
        (1, words(&["generate", "-m", "run", "-p", "a bird", "-q", "--encoder"])),
        (1, read),
    ];
    for (wanted, command) in commands {
        let every = command[0] == "model" || command[0] == "text";
        for (name, what, imports) in &files[..if every { files.len() } else { 1 }] {
            let args = with(&command, &[name]);
            let (code, said) = failed(dir, &args);
            assert_eq!(code, 3, "{args:?}: {said}");
            four_parts(&said, name);
            let kind = ["model", "text encoder"][wanted];
            let kind = if *name == "numbers" { "safetensors file" } else { kind };
            assert!(said.contains(&format!("this is no {kind}")), "{args:?}: {said}");
            assert!(said.contains(&format!("found {what}")), "{args:?}: {said}");
            match imports[wanted] {
                Some(command) => {
                    let told = said.contains(&format!("`{command} "));
                    assert!(told && said.contains(&format!("{name}`")), "{args:?}: {said}");
                }
                None => assert!(!said.contains("import"), "{args:?}: {said}"),
            }
        }
    }
    // As `Saver.save` returns its name: there is no such file.
    let (code, said) = failed(dir, &["model", "info", "parts.ckpt"]);
    assert!(code == 3 && said.contains("`stackgan model import parts.ckpt`"), "{code}: {said}");
    for run in ["low", "high", "read"] {
        assert!(!dir.join(run).join("stats.jsonl").exists(), "a step was taken");
    }
}

/// Without augmentation Stage-I's sigma is not trained, so a Stage-II that draws with it is refused.
#[test]
fn a_stage2_draws_with_no_untrained_sigma() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mean = ["--set", "knobs.conditioning=mean"];
    done(dir, &with(&training("1", "1", &dir.join("low")), &mean));
    let high = with(&training("2", "1", &dir.join("high")), &["--stage1", "low"]);
    for dry in [&[][..], &["--dry-run"]] {
        let (code, said) = failed(dir, &with(&high, dry));
        assert_eq!(code, 2, "{said}");
        four_parts(&said, "`--set knobs.conditioning=mean`");
    }
    done(dir, &with(&high, &mean));
}
