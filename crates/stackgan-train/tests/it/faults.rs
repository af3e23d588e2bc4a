//! Guarantees for checkpoints, whatever the storage does: an error, a kill or a wrong byte at every
//! operation of a save, a power cut after any operation with unsynced changes lost or reordered, and
//! damaged files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::digest::sha256;
use stackgan_data::noise::{Noise, Stream};
use stackgan_train::store::{Header, Newest, Store, write_with};

use crate::disk::{Change, Disk, Fault, Sim};
use crate::ledger;
use crate::ledger::ledger;

const FOLDER: &str = "/run/checkpoints";

const FAULTS: [Fault; 6] =
    [Fault::Kill, Fault::Failure, Fault::Full, Fault::Interrupted, Fault::Short, Fault::Wrong];

/// Returns a state of `n` values that identify the step.
fn state(step: u64, n: usize) -> Archive {
    let values: Vec<f32> = (0..n).map(|i| step as f32 + (i % 97) as f32 / 128.0).collect();
    let tensor = Tensor::from_vec(values, n, &Device::Cpu).unwrap();
    Archive { tensors: [("g.w".to_owned(), tensor)].into(), ..Archive::default() }
}

fn header(step: u64) -> Header {
    Header::new(step, (step, step), "digest".to_owned())
}

fn store(sim: &Sim) -> stackgan_train::Result<Store<Sim>> {
    Store::open_on(sim.clone(), Path::new(FOLDER), 2)
}

/// Returns the step of the newest valid checkpoint, and checks that its contents belong to this
/// step.
fn newest(store: &Store<Sim>) -> Option<u64> {
    let Newest { found, .. } = store.newest(&Device::Cpu).unwrap();
    let (header, archive) = found?;
    let first = archive.tensors["g.w"].get(0).unwrap().to_scalar::<f32>().unwrap();
    assert_eq!(first, header.step as f32, "the contents are of another step");
    Some(header.step)
}

/// The disk has room for one file more. Milestones are kept besides, and no more are counted than the
/// run has left.
#[test]
fn a_warning_counts_the_checkpoints_that_are_to_come() {
    let told = |keep: usize, every: u64, steps: &[u64], left: u64| {
        let store = Store::open_on(Sim::default(), Path::new(FOLDER), keep).unwrap();
        let store = store.keeping_every(every);
        for &step in steps {
            store.save(state(step, 40), &header(step)).unwrap();
        }
        store.short_of_room(left, 0).unwrap()
    };
    for (keep, every, steps, left, more) in [
        (3, 0, &[0, 2, 4][..], 9, None),
        (3, 2, &[0, 2, 4], 9, Some(3)),
        (1000, 0, &[0], 6, Some(6)),
        (1000, 0, &[0], 1, None),
        (1000, 0, &[0], 0, None),
        (usize::MAX, 0, &[0], u64::MAX, Some(usize::MAX as u64 - 1)),
    ] {
        let said = told(keep, every, steps, left);
        let expected = more.map(|more| format!("short: {more} more of "));
        let same = match (&said, &expected) {
            (Some(said), Some(expected)) => said.contains(expected),
            (None, None) => true,
            _ => false,
        };
        assert!(same, "{said:?}, expected {expected:?}");
    }
}

/// Saves three steps. Returns the last that reported success, the last that was tried, and the errors
/// with their steps.
fn three_saves(sim: &Sim) -> (u64, u64, Vec<(u64, String)>) {
    let (mut acknowledged, mut tried, mut errors) = (0, 0, Vec::new());
    match store(sim) {
        Err(e) => errors.push((0, e.to_string())),
        Ok(store) => {
            for step in 1..=3 {
                tried = step;
                match store.save(state(step, 40), &header(step)) {
                    Ok(_) => acknowledged = step,
                    Err(e) => errors.push((step, e.to_string())),
                }
            }
        }
    }
    (acknowledged, tried, errors)
}

/// Checks that a new process goes on after the saves, and that a power cut loses none that reported
/// success.
fn goes_on(sim: &Sim, (acknowledged, tried): (u64, u64), case: &str) {
    let cut = Sim::holding(sim.durable.borrow().clone());
    let kept = newest(&store(&cut).unwrap()).unwrap_or(0);
    assert!(kept >= acknowledged, "{case}: {kept} is on the disk");
    let after = Sim::holding(sim.now.borrow().clone());
    let again = store(&after).unwrap();
    let found = newest(&again).unwrap_or(0);
    assert!(found >= acknowledged && found <= tried, "{case}: found {found}");
    let names = after.now.borrow().names();
    assert!(names.iter().all(|n| !n.to_string_lossy().contains(".tmp-")), "{case}");
    again.save(state(4, 40), &header(4)).unwrap();
    assert_eq!(newest(&again), Some(4), "{case}");
    assert_eq!(again.checkpoints().unwrap().len().max(2), 2, "{case}: not pruned");
}

/// Three saves meet a fault at operation `k`, for every k. The newest valid checkpoint is then that
/// of the last save that reported success, or the next one, and a new process finds it and
/// continues. The disk has it too.
#[test]
fn a_fault_at_every_operation_of_a_save_loses_nothing() {
    let (mut runs, mut wrong) = (0, 0);
    let whole = Sim { piece: Some(50), ..Sim::default() };
    assert_eq!(three_saves(&whole), (3, 3, Vec::new()));
    for fault in FAULTS {
        for k in 0..whole.calls.get() {
            let sim = Sim { piece: Some(50), fault: Some((k, fault)), ..Sim::default() };
            let (acknowledged, tried, errors) = three_saves(&sim);
            runs += 1;
            let case = format!("{fault:?} at operation {k}: {errors:?}");
            match fault {
                Fault::Interrupted | Fault::Short => {
                    assert!(acknowledged == 3 && errors.is_empty(), "{case}");
                }
                Fault::Failure | Fault::Full | Fault::Wrong => {
                    // One save may fail; the others must not.
                    let failed = errors.len() as u64;
                    assert!(failed <= 1 && (tried == 0 || acknowledged + failed >= 3), "{case}");
                    wrong += usize::from(fault == Fault::Wrong && failed == 1);
                    if let Some((step, error)) = errors.first() {
                        assert!(error.contains("file: /run") && error.contains("do: "), "{case}");
                        let older = error.contains("older checkpoints are untouched");
                        assert_eq!(older, *step > 1, "{case}");
                        if fault == Fault::Full && error.starts_with("cannot write") {
                            let told = ["needs ", "1234 are free"].map(|part| error.contains(part));
                            assert_eq!(told, [true; 2], "{case}");
                        }
                    }
                }
                Fault::Kill => {}
            }
            goes_on(&sim, (acknowledged, tried), &case);
        }
    }
    assert!(runs >= 288 && wrong >= 9, "{runs} runs, {wrong} wrong bytes told");
    ledger!(
        "store.faults",
        runs,
        "kill, EIO, ENOSPC, EINTR, a short or a wrong write at each operation of three saves"
    );
}

/// Tests every state that a power cut can leave: after each operation, any subset of the unsynced
/// changes is lost, pairs of the others are swapped, and the last write is torn at 512 bytes.
#[test]
fn a_power_cut_at_any_moment_leaves_the_old_or_the_new_checkpoint() {
    let sim = Sim { piece: Some(330), ..Sim::default() };
    let writer = store(&sim).unwrap();
    let mut moments: Vec<(u64, u64, Disk, Vec<Change>)> = Vec::new(); // acknowledged, tried
    for step in 1..=12 {
        sim.history.borrow_mut().clear();
        writer.save(state(step, 600), &header(step)).unwrap();
        // After the rename's folder is synced, the save is not acknowledged yet.
        let history = sim.history.borrow_mut().drain(..).collect::<Vec<_>>();
        moments.extend(history.into_iter().map(|(disk, pending)| (step - 1, step, disk, pending)));
        let (disk, pending) = (sim.durable.borrow().clone(), sim.pending.borrow().clone());
        moments.push((step, step, disk, pending));
    }
    let mut states = 0;
    for (acknowledged, tried, durable, pending) in &moments {
        for kept in survivors(pending) {
            let mut disk = durable.clone();
            kept.iter().for_each(|change| disk.apply(change));
            let after = store(&Sim::holding(disk)).unwrap();
            let found = newest(&after).unwrap_or(0);
            assert!(
                found >= *acknowledged && found <= *tried,
                "acknowledged {acknowledged}, tried {tried}, found {found}: kept {kept:?} of {pending:?}"
            );
            states += 1;
        }
    }
    assert!(states >= 20_000, "{states}");
    ledger!(
        "store.power",
        states,
        "states of a disk after a power cut: unsynced changes lost, reordered, torn"
    );
}

/// Returns the unsynced changes that can survive, in all combinations.
fn survivors(pending: &[Change]) -> Vec<Vec<Change>> {
    let n = pending.len();
    assert!(n <= 12, "{n} changes: too many subsets");
    let mut all: Vec<Vec<Change>> = Vec::new();
    for subset in 0..1u32 << n {
        let kept = |i: &usize| subset & (1 << i) != 0;
        all.push((0..n).filter(kept).map(|i| pending[i].clone()).collect());
    }
    for a in 0..n {
        for b in a + 1..n {
            let mut swapped = pending.to_vec();
            swapped.swap(a, b);
            all.push(swapped);
        }
    }
    if let Some((Change::Bytes(content, at, bytes), before)) = pending.split_last() {
        for cut in (0..bytes.len()).step_by(512) {
            let torn = Change::Bytes(*content, *at, bytes[..cut].to_vec());
            all.push([before, &[torn]].concat());
        }
    }
    all
}

fn path(step: u64) -> PathBuf {
    Path::new(FOLDER).join(format!("step-{step:07}.safetensors"))
}

/// Returns a disk with two checkpoints of 24 KiB.
fn two() -> Disk {
    let sim = Sim::default();
    let writer = store(&sim).unwrap();
    for step in [1, 2] {
        writer.save(state(step, 6000), &header(step)).unwrap();
    }
    sim.now.take()
}

/// Tests 2,000 flipped bits, 200 truncations and 50 zeroed pages: each is detected and reported,
/// and the older file is used.
#[test]
fn damage_is_noticed_and_the_older_checkpoint_taken() {
    let whole = two();
    let bytes = whole.file(&path(2)).unwrap();
    let mut draws = Noise::new(ledger::seed()).draws(Stream::Test, 1, 0);
    let mut cases = 0;
    let mut check = |damaged: Vec<u8>, what: &str| {
        assert_ne!(&damaged, bytes);
        let mut disk = whole.clone();
        disk.put(&path(2), damaged);
        let Newest { found, passed_over } =
            store(&Sim::holding(disk)).unwrap().newest(&Device::Cpu).unwrap();
        assert_eq!(found.unwrap().0.step, 1, "{what} was not noticed");
        assert!(passed_over.len() == 1 && passed_over[0].contains("step-0000002"), "{what}");
        cases += 1;
    };
    for _ in 0..2000 {
        let bit = draws.below(8 * bytes.len() as u64) as usize;
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        check(damaged, &format!("bit {bit}"));
    }
    for _ in 0..200 {
        let cut = draws.below(bytes.len() as u64) as usize;
        check(bytes[..cut].to_vec(), &format!("cut at {cut}"));
    }
    let pages = bytes.len().div_ceil(4096);
    for case in 0..50 {
        // Whole pages first, then pages that were only partly written.
        let from = 4096 * (case % pages) + 512 * (case / pages) % 4096;
        let mut damaged = bytes.clone();
        let end = (from + 4096).min(damaged.len());
        damaged[from.min(end - 64)..end].fill(0);
        check(damaged, &format!("zeroed from {from}"));
    }
    assert_eq!(cases, 2250);
    ledger!(
        "store.damage",
        cases,
        "damaged checkpoints noticed: 2,000 flipped bits, 200 cuts, 50 zeroed pages"
    );
}

#[test]
fn swapped_files_are_noticed_and_a_run_never_starts_from_scratch_silently() {
    let whole = two();
    let mut disk = whole.clone();
    let (one, two) = (whole.file(&path(1)).unwrap().clone(), whole.file(&path(2)).unwrap().clone());
    disk.put(&path(1), two);
    disk.put(&path(2), one);
    let error = store(&Sim::holding(disk)).unwrap().newest(&Device::Cpu).unwrap_err().to_string();
    for said in ["no checkpoint of this run is whole", "step-0000001", "step-0000002", "do: "] {
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_state_with_a_number_that_is_none_is_not_written() {
    let sim = Sim::default();
    let writer = store(&sim).unwrap();
    writer.save(state(1, 5), &header(1)).unwrap();
    let mut bad = state(2, 5);
    let nan = Tensor::new(&[1f32, f32::NAN], &Device::Cpu).unwrap();
    bad.tensors.insert("d.w".to_owned(), nan);
    let error = writer.save(bad, &header(2)).unwrap_err().to_string();
    assert!(error.contains("d.w") && error.contains("NaN"), "{error}");
    assert_eq!(newest(&writer), Some(1));
}

#[test]
fn what_is_loaded_is_saved_as_the_same_bytes() {
    let sim = Sim::holding(two());
    let reader = store(&sim).unwrap();
    let (header, archive) = reader.newest(&Device::Cpu).unwrap().found.unwrap();
    let before = sim.now.borrow().file(&path(2)).unwrap().clone();
    reader.save(archive, &header).unwrap();
    assert!(sim.now.borrow().file(&path(2)).unwrap() == &before);
}

/// Other small files of a run folder are written in the same way: a file is either old or new,
/// never partial.
#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let file = Path::new("/run/model.safetensors");
    let (old, new) = (vec![1u8; 2000], vec![2u8; 3000]);
    for fault in [Fault::Kill, Fault::Failure, Fault::Full] {
        for k in 0.. {
            let mut disk = Disk::default();
            disk.put(file, old.clone());
            let sim = Sim { piece: Some(700), fault: Some((k, fault)), ..Sim::holding(disk) };
            let result = write_with(&sim, file, &new[..]);
            let found = sim.now.borrow().file(file).unwrap().clone();
            assert!(found == new || (found == old && result.is_err()), "{fault:?} at {k}");
            if result.is_ok() {
                break;
            }
        }
    }
}

/// Readers beside a trainer that saves all the time see only complete checkpoints, and pruning
/// breaks none of their reads.
#[test]
fn readers_see_whole_checkpoints_while_a_trainer_saves() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("checkpoints");
    let writer = Store::open(&folder, 2).unwrap();
    writer.save(state(1, 40), &header(1)).unwrap();
    let reads = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let readers = [(); 4].map(|()| {
            scope.spawn(|| {
                while reads.fetch_add(1, Ordering::Relaxed) < 2000 {
                    let newest = Store::reading(&folder).newest(&Device::Cpu).unwrap();
                    assert!(newest.passed_over.is_empty(), "{:?}", newest.passed_over);
                    let (header, archive) = newest.found.unwrap();
                    let first = archive.tensors["g.w"].get(0).unwrap().to_scalar::<f32>().unwrap();
                    assert_eq!(first, header.step as f32);
                }
            })
        });
        let mut step = 1;
        while readers.iter().any(|reader| !reader.is_finished()) {
            step += 1;
            writer.save(state(step, 40), &header(step)).unwrap();
        }
    });
    ledger!(
        "store.readers",
        2000,
        "reads by four readers beside a trainer that saves without pause: each whole, none broken"
    );
}

/// Reads a file of version 1. The test writes the file itself, so that the reader
/// does not just follow the writer.
#[test]
fn version_one_is_read_for_ever() {
    let origins = r#"{\"data\":\"d\",\"pictures\":2,\"captions\":3,\"pixels\":\"\",\"encoder\":\"e\",\"stage1\":\"\"}"#;
    let header = |sum: &str| {
        let facts = format!(
            r#"{{\"format\":\"stackgan-checkpoint/1\",\"step\":7,\"optimiser_steps\":[7,8],\"digest\":\"abc\",\"config\":\"\",\"origins\":{origins},\"sha256\":\"{sum}\"}}"#
        );
        let mut text = format!(
            r#"{{"__metadata__":{{"stackgan":"{facts}"}},"g.w":{{"data_offsets":[0,8],"dtype":"F32","shape":[2]}}}}"#
        )
        .into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut file = (text.len() as u64).to_le_bytes().to_vec();
        file.extend(text);
        file.extend([1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()));
        file
    };
    let folder = tempfile::tempdir().unwrap();
    let whole = header(&sha256(&header("")));
    std::fs::write(folder.path().join("step-0000007.safetensors"), whole).unwrap();
    let (found, archive) =
        Store::reading(folder.path()).newest(&Device::Cpu).unwrap().found.unwrap();
    assert_eq!((found.step, found.optimiser_steps, found.digest.as_str()), (7, (7, 8), "abc"));
    assert_eq!(archive.tensors["g.w"].to_vec1::<f32>().unwrap(), [1.5, -2.0]);
}
