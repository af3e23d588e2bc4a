//! Programs that read a model while a trainer replaces it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use stackgan_core::digest::sha256;

use crate::common::{failed, stackgan, training, with};
use crate::folder::start;
use crate::ledger::{ledger, times};

const STEPS: u64 = 10;

/// Four readers run `generate` on a run folder while its trainer writes a model after every step.
/// Each reads a complete model of the trainer, and the same model always paints the same picture.
#[test]
fn generate_reads_whole_models_while_a_trainer_replaces_them() {
    let dir = tempfile::tempdir().unwrap();
    let args = |name: &str| {
        let args = training("1", &STEPS.to_string(), &dir.path().join(name));
        with(&args, &["--set", "run.checkpoint_every=1"])
    };
    // The trainer's models, one by one: the program stops after each step.
    let mut list = BTreeSet::new();
    let one = with(&args("steps"), &["--max-hours", "1e-9"]);
    for step in 1..=STEPS {
        let (code, said) = failed(dir.path(), &one);
        assert_eq!(code, if step == STEPS { 0 } else { 75 }, "{said}");
        list.insert(sha256(&fs::read(dir.path().join("steps/model.safetensors")).unwrap()));
    }
    assert_eq!(list.len() as u64, STEPS);

    let run = dir.path().join("run");
    assert!(start(dir.path(), &args("run")).wait().unwrap().success());
    let (reads, wanted) = (AtomicUsize::new(0), times(120, 2000));
    let seen: Vec<BTreeSet<(String, String)>> = std::thread::scope(|scope| {
        let readers = [0, 1, 2, 3].map(|reader| {
            let (dir, list, reads) = (dir.path(), &list, &reads);
            scope.spawn(move || {
                let mut seen = BTreeSet::new();
                let args = ["generate", "-m", "run", "-p", "a red bird", "--json", "-q", "--out"];
                loop {
                    let read = reads.fetch_add(1, Ordering::Relaxed);
                    if read >= wanted {
                        return seen;
                    }
                    let out = format!("painted-{reader}/{read}"); // another model's picture is kept
                    let args = [&args[..], &[&out]].concat();
                    let output = stackgan(dir, &args).output().unwrap();
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(output.status.success(), "{said}");
                    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
                    let of = |key: &str| facts[key].as_str().unwrap().to_owned();
                    assert!(list.contains(&of("model_sha256")), "no model of the trainer: {facts}");
                    seen.insert((of("model_sha256"), of("pixels_sha256")));
                }
            })
        });
        // Repeats the run from the first step; the model is kept until the next one replaces it.
        while readers.iter().any(|reader| !reader.is_finished()) {
            fs::remove_dir_all(run.join("checkpoints")).unwrap();
            fs::remove_file(run.join("stats.jsonl")).unwrap();
            let status = start(dir.path(), &args("run")).wait().unwrap();
            assert!(status.success(), "the trainer is disturbed: {status}");
        }
        readers.map(|reader| reader.join().unwrap()).to_vec()
    });
    let seen: BTreeSet<_> = seen.into_iter().flatten().collect();
    let models: BTreeSet<_> = seen.iter().map(|(model, _)| model).collect();
    assert_eq!(models.len(), seen.len(), "one model, two pictures: {seen:?}");
    assert!(models.len() > 1, "the trainer did not train meanwhile");
    ledger!(
        "program.readers",
        wanted,
        "paintings by `generate` beside a trainer that replaces the model: each of a whole model of that trainer"
    );
}
