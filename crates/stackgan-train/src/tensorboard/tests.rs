//! Tests against a file from TensorBoard's own writer (`tests/golden/in_tensorboard.py`), and tests
//! of truncation.

use super::*;

const GOLDEN: &[u8] = include_bytes!("golden.tfevents");

/// The step and the bytes of every event.
fn records(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while let Some((data, rest)) = record::first(bytes) {
        found.push((event::step(data).unwrap(), data));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "{} bytes are no record", bytes.len());
    found
}

#[test]
fn our_bytes_are_those_of_tensorboard() {
    let golden = records(GOLDEN);
    let picture = golden[3].1;
    let at = picture.windows(4).position(|w| w == b"\x89PNG").unwrap();
    let png = &picture[at..];
    let numbers = [("loss/d_loss".to_owned(), 1.25f32), ("probability/p_real".to_owned(), 0.5f32)];
    let ours = [
        event::encode(1_700_000_000.25, 0, What::Version),
        event::encode(1_700_000_001.0, 301, What::Start),
        event::encode(1_700_000_002.0, 300, What::Scalars(&numbers)),
        event::encode(1_700_000_003.0, 300, What::Image("samples", png_size(png).unwrap(), png)),
        event::encode(1_700_000_004.0, 0, What::Text("config", "```toml\nseed = 0\n```\n")),
    ];
    for (ours, (_, golden)) in ours.iter().zip(&golden) {
        assert_eq!(ours, golden);
    }
    assert_eq!(golden.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [0, 301, 300, 300, 0]);
    assert_eq!(ours.iter().flat_map(|data| record::framed(data)).collect::<Vec<u8>>(), GOLDEN);
}

fn report(step: u64) -> TrainEvent {
    let terms = vec![("d_real", 0.5), ("p_fake", 0.25), ("g_grad", 3.0), ("sigma", 0.9)];
    TrainEvent::Report { step, epoch: 0, lr_g: 1e-4, lr_d: 2e-4, terms, seconds: step as f64 }
}

fn started(step: u64) -> TrainEvent {
    TrainEvent::Started {
        step,
        steps: 9,
        steps_per_epoch: 3,
        batch: 2,
        parameters_g: 1,
        parameters_d: 1,
    }
}

/// The steps of all scalars and texts in the folder, by file.
fn steps(run: &Path) -> Vec<Vec<u64>> {
    let of = |(_, path): (u64, PathBuf)| {
        records(&fs::read(path).unwrap()).iter().map(|(step, _)| *step).collect()
    };
    files(&run.join("tb")).unwrap().into_iter().map(of).collect()
}

#[test]
fn a_run_that_goes_on_forgets_what_it_takes_again() {
    let run = tempfile::tempdir().unwrap();
    let mut board = Board::new(run.path());
    for event in [started(0), report(1), report(2), report(3), report(4)] {
        board.on(&event).unwrap();
    }
    // Killed in the middle of a record.
    drop(board);
    let first = files(&run.path().join("tb")).unwrap().remove(0).1;
    let whole = fs::read(&first).unwrap();
    fs::write(&first, &whole[..whole.len() - 5]).unwrap();
    let mut board = Board::new(run.path());
    for event in [started(2), report(3), report(4)] {
        board.on(&event).unwrap();
    }
    assert!(!run.path().join(ASIDE).exists());
    // Version, config and captions have step 0; the mark of a start has the first step that is
    // taken again.
    assert_eq!(steps(run.path()), [vec![0, 0, 0, 1, 2], vec![0, 3, 3, 4]]);
    drop(board);
    // Again from an earlier checkpoint.
    Board::new(run.path()).on(&started(1)).unwrap();
    assert_eq!(steps(run.path()), [vec![0, 0, 0, 1], vec![0], vec![0, 2]]);
}

/// What a TensorBoard knows that has read these events as they were written. The mark of a start
/// removes what is at its step or later, as `EventAccumulator._Purge` does.
fn known(events: &[(u64, Vec<u8>)]) -> Vec<u64> {
    let mut known = Vec::new();
    for (step, event) in events {
        // The bytes after the time and the step: a session log, field 7, with status 1.
        if event.ends_with(&[7 << 3 | 2, 2, 1 << 3, 1]) {
            known.retain(|s| s < step);
        } else if *step > 0 {
            known.push(*step);
        }
    }
    known
}

/// Within one process, for a reader that opens the folder afterwards and for one that has followed
/// the run.
#[test]
fn a_run_that_goes_back_forgets_what_it_takes_again() {
    let run = tempfile::tempdir().unwrap();
    let mut board = Board::new(run.path());
    let mut seen: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut read: Vec<PathBuf> = Vec::new();
    // Reads the files that have not been read yet.
    let mut look = |seen: &mut Vec<(u64, Vec<u8>)>| {
        for (_, path) in files(&run.path().join("tb")).unwrap() {
            if !read.contains(&path) {
                let bytes = fs::read(&path).unwrap();
                seen.extend(records(&bytes).iter().map(|(step, data)| (*step, data.to_vec())));
                read.push(path);
            }
        }
    };
    let warning = |step| TrainEvent::Warning { step, text: "left out".to_owned() };
    for event in [started(0), report(1), report(2), report(3), report(4)] {
        board.on(&event).unwrap();
    }
    look(&mut seen);
    for event in [TrainEvent::WentBack { step: 2 }, warning(2), report(3), report(4), report(5)] {
        board.on(&event).unwrap();
    }
    look(&mut seen);
    assert_eq!(known(&seen), [1, 2, 2, 3, 4, 5]);
    assert_eq!(steps(run.path()), [vec![0, 0, 0, 1, 2], vec![0, 3, 2, 3, 4, 5]]);
    // Back to the same step twice; no speed can be given across the way back.
    for event in [TrainEvent::WentBack { step: 2 }, report(3)] {
        board.on(&event).unwrap();
    }
    look(&mut seen);
    assert_eq!(known(&seen), [1, 2, 2, 3]);
    let last = fs::read(files(&run.path().join("tb")).unwrap().pop().unwrap().1).unwrap();
    assert!(!last.windows(9).any(|w| w == b"steps_a_s"));
}

#[test]
fn the_largest_numbers_are_no_end() {
    let run = tempfile::tempdir().unwrap();
    let folder = run.path().join("tb");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(format!("events.out.tfevents.{}.stackgan", u64::MAX)), "").unwrap();
    for step in [0, u64::MAX] {
        Board::new(run.path()).on(&started(step)).unwrap();
    }
    assert_eq!(steps(run.path()), [vec![0, 0, 0], vec![0, u64::MAX]]);
}

#[test]
fn numbers_are_grouped_and_speed_needs_two_reports() {
    let run = tempfile::tempdir().unwrap();
    let mut board = Board::new(run.path());
    for event in [started(0), report(10), report(30)] {
        board.on(&event).unwrap();
    }
    let bytes = fs::read(&files(&run.path().join("tb")).unwrap()[0].1).unwrap();
    let has = |text: &str| bytes.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
    for name in ["loss/d_real", "probability/p_fake", "gradient/g_grad", "conditioning/sigma"] {
        assert_eq!(has(name), 2, "{name}");
    }
    assert_eq!((has("rate/lr_d"), has("rate/steps_a_second")), (2, 1));
}

#[test]
fn captions_cannot_become_markup() {
    assert_eq!(listed("a *red* bird\n# b\n"), "1. a \\*red\\* bird\n2. \\# b\n");
}

#[test]
fn a_storage_that_refuses_ends_the_writing_and_not_more() {
    let run = tempfile::tempdir().unwrap();
    fs::write(run.path().join("tb"), "a file where the folder should be").unwrap();
    let mut board = Board::new(run.path());
    assert!(board.on(&started(0)).is_err());
    board.on(&report(1)).unwrap();
}
