//! Unusual places and environments: a run trains to the same bytes, or its exit code tells why not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use crate::common::{TINY, WORLD, done, failed, one_step, program, set, stackgan, training, with};
use crate::errors::four_parts;
use crate::folder::last;
use crate::ledger::ledger;
use crate::tmpfs::Tmpfs;

const STEPS: &str = "4";
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Returns the program, started by a shell that first runs `before`.
fn from_shell(dir: &Path, before: &str) -> Command {
    let mut command = program(dir, &["sh", "-c", &format!("{before}; exec \"$@\""), "sh"]);
    command.stdin(Stdio::null());
    command
}

/// Trains in `run`, with everything but the place unchanged.
fn trained(command: Command, run: &Path) -> Output {
    trained_with(command, run, &[])
}

/// [`trained`] with additional arguments.
fn trained_with(mut command: Command, run: &Path, more: &[&str]) -> Output {
    for arg in with(&training("1", STEPS, Path::new("RUN")), more) {
        if arg == "RUN" {
            command.arg(run)
        } else {
            command.arg(arg)
        };
    }
    command.output().unwrap()
}

/// Sets the time of every file below `folder`.
fn dated(folder: &Path, time: SystemTime) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            dated(&path, time);
        } else {
            fs::File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
        }
    }
}

/// Builds a library whose wall clock jumps at every reading. It writes the number of readings into
/// the file `LOOKS`.
fn turned(dir: &Path) -> Option<PathBuf> {
    const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static long looks;
int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (result == 0 && id == CLOCK_REALTIME)
        now->tv_sec += (__sync_fetch_and_add(&looks, 1) % 2 ? -730 : 365) * 86400L;
    return result;
}
__attribute__((destructor)) static void tell(void) {
    FILE *file = getenv("LOOKS") ? fopen(getenv("LOOKS"), "w") : NULL;
    if (file) {
        fprintf(file, "%ld", looks);
        fclose(file);
    }
}
"#;
    let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
    fs::write(&source, CLOCK).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
    compiler.status().is_ok_and(|status| status.success()).then_some(library)
}

#[test]
fn a_run_is_the_same_in_odd_places() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    done(dir, &training("1", STEPS, &dir.join("whole")));
    let whole = last(&dir.join("whole"), 4);
    let mut cases = 0;
    let mut same = |what: &str, output: Output, run: &Path| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{what}: {said}");
        assert!(last(run, 4) == whole, "{what}: other bytes");
        cases += 1;
    };
    fs::create_dir(dir.join("real")).unwrap();
    symlink(dir.join("real"), dir.join("link")).unwrap();
    same("a link", trained(from_shell(dir, ":"), &dir.join("link")), &dir.join("real"));
    let odd: [(&str, &[u8]); 4] = [
        ("a name that is no UTF-8", b"r\xff\xfe"),
        ("blanks and quotes", b" a 'run' of \"mine\" "),
        ("a line break and an escape", b"a\n\x1b[31mrun"),
        ("a name like an option", b"./--run"),
    ];
    for (what, name) in odd {
        let run = Path::new(OsStr::from_bytes(name));
        same(what, trained(from_shell(dir, ":"), run), &dir.join(run));
    }
    let shells = [
        ("a working folder that is gone", "mkdir gone; cd gone; rmdir ../gone"),
        ("umask 077", "umask 077"),
        ("umask 0", "umask 0"),
        ("no home", "unset HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME USER"),
        ("no folder for temporary files", "export TMPDIR=/nowhere/at/all"),
        ("no locale and no terminal", "unset TERM LANG LC_ALL; export LC_ALL=nonsense"),
        ("nothing open", "exec <&- >&- 2>&-"),
    ];
    for (i, (what, before)) in shells.into_iter().enumerate() {
        let run = dir.join(format!("shell-{i}"));
        same(what, trained(from_shell(dir, before), &run), &run);
    }
    let mode = |run: &str| fs::metadata(dir.join(run).join("model.safetensors")).unwrap();
    assert_eq!(mode("shell-1").permissions().mode() & 0o777, 0o600);

    // Clocks: a resumed run has files from next year and from 1971.
    let now = SystemTime::now();
    for (i, time) in [now + YEAR, SystemTime::UNIX_EPOCH + YEAR].into_iter().enumerate() {
        let run = dir.join(format!("dated-{i}"));
        one_step(dir, &training("1", STEPS, &run));
        dated(&run, time);
        same("files of another year", trained(from_shell(dir, ":"), &run), &run);
    }
    // The monotonic clock, a year ahead.
    let ahead = "unshare --time --monotonic 31536000 --fork";
    if Command::new("sh").args(["-c", &format!("{ahead} true")]).status().unwrap().success() {
        let run = dir.join("ahead");
        let words = ["unshare", "--time", "--monotonic", "31536000", "--fork"];
        same("a clock a year on", trained(program(dir, &words), &run), &run);
    } else {
        eprintln!("skipped: the clock of a process cannot be set here");
    }
    // The wall clock, which jumps a year ahead and two years back at every reading.
    if let Some(clock) = turned(dir) {
        let (run, count) = (dir.join("turned"), dir.join("looks"));
        let mut command = from_shell(dir, ":");
        command.env("LD_PRELOAD", clock).env("LOOKS", &count);
        same("a clock that jumps", trained_with(command, &run, &["--max-hours", "1"]), &run);
        let looks: u64 = fs::read_to_string(count).unwrap().parse().unwrap();
        assert!(looks > 1, "nobody looked at the clock");
    } else {
        eprintln!("skipped: no C compiler for a clock that jumps");
    }
    assert!(cases >= 14, "{cases}: all but the clocks can be had everywhere");
    ledger!(
        "program.places",
        cases,
        "odd places and surroundings (names, links, umasks, no home, closed files, dates, clocks): the same bytes"
    );
}

/// Places that cannot be written or read are reported with code 6 or 4, and nothing is changed.
#[test]
fn places_that_refuse_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let long = dir.join("x".repeat(300));
    let said = trained(from_shell(dir, ":"), &long);
    assert_eq!(said.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&said.stderr).contains("do: "));

    done(dir, &training("1", "2", &dir.join("run")));
    let model = dir.join("run/model.safetensors");
    let paint = |model: &Path| {
        let mut command = from_shell(dir, ":");
        command.args(["generate", "-p", "a red bird", "-q", "--out", "painted", "-m"]).arg(model);
        command
    };
    if let Some(disk) = Tmpfs::mount(&dir.join("disk"), 20_000) {
        let copy = dir.join("disk/model.safetensors");
        fs::copy(&model, &copy).unwrap();
        done(dir, &training("1", "2", &dir.join("disk/run")));
        disk.remount("ro");
        for run in ["disk/new", "disk/run"] {
            let output = trained(from_shell(dir, ":"), &dir.join(run));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(6), "{run}: {said}");
            assert!(said.contains("disk") && said.contains("do: "), "{said}");
        }
        assert!(!dir.join("disk/new").exists());
        assert!(paint(&copy).output().unwrap().status.success(), "reading needs no writing");
    } else {
        eprintln!("skipped: a tmpfs cannot be mounted here");
    }

    // As a user without access to the folder; only root can become another user.
    let locked = dir.join("locked");
    fs::create_dir(&locked).unwrap();
    fs::copy(&model, locked.join("model.safetensors")).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    let mut nobody = paint(&locked.join("model.safetensors"));
    let Ok(output) = nobody.uid(65534).gid(65534).output() else {
        eprintln!("skipped: only root can become somebody else");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    four_parts(&said, "locked");
}

/// Nothing is made for a run that cannot be written: no picture is prepared, no encoder is trained.
#[test]
fn a_run_that_cannot_be_written_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    done(dir, &["data", "toy", "--out", "birds", "--count", "36", "--seed", "3", "-q"]);
    fs::write(dir.join("afile"), "").unwrap();
    let birds = dir.join("birds");
    let refused = |at: &Path, run: &[&str], place: &str| {
        for dry in [&[][..], &["--dry-run"]] {
            // Where it is not refused, the encoder's training ends after its first step.
            let base = ["train", "--stage", "1", "--preset", "toy", "--max-hours", "1e-9"];
            let args = [&base[..], &["--data", birds.to_str().unwrap()], run, dry].concat();
            let (code, said) = failed(at, &args);
            assert_eq!(code, 6, "{args:?}: {said}");
            four_parts(&said, place);
            assert!(!said.contains("checkpoint"), "{said}");
            assert!(!birds.join("prepared").exists(), "{said}");
        }
    };
    refused(dir, &["--run", "afile"], "--run afile");
    refused(dir, &["--run", "afile/run"], "a file is where a folder is wanted");
    let Some(disk) = Tmpfs::mount(&dir.join("disk"), 1000) else {
        eprintln!("skipped: a tmpfs cannot be mounted here");
        return;
    };
    disk.remount("ro");
    refused(dir, &["--run", "disk/new"], "--run disk/new");
    refused(&dir.join("disk"), &[], "disk/runs");
}

/// A dataset that cannot be written: what was made of it is read there, and only what is missing is made elsewhere.
#[test]
fn what_was_made_of_a_dataset_is_read_where_nothing_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let Some(disk) = Tmpfs::mount(&dir.join("disk"), 20_000) else {
        eprintln!("skipped: a tmpfs cannot be mounted here");
        return;
    };
    done(dir, &["data", "toy", "--out", "disk/birds", "--count", "36", "--seed", "3", "-q"]);
    let (birds, prepared) = (dir.join("disk/birds"), dir.join("disk/birds/prepared"));
    let run = |at: &str, more: &[&str]| {
        let (at, run) = (dir.join(at), dir.join("runs").join(at));
        fs::create_dir_all(&at).unwrap();
        let base = ["train", "--stage", "1", "--preset", "toy", "--set", "optim.steps=1"];
        let mut command = stackgan(&at, &base);
        command.args(set(TINY)).arg("--data").arg(&birds).arg("--run").arg(run).args(more);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let named = |prefix: &str| {
        let names = fs::read_dir(&prepared).unwrap().map(|entry| entry.unwrap().path());
        let is = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
        names.into_iter().find(is).unwrap()
    };
    // A training that is stopped tells the name of its encoder. Another one takes its place.
    let (code, said) = run("begun", &["--max-hours", "1e-9"]);
    assert_eq!(code, Some(75), "{said}");
    let unfinished = named("encoder-");
    let encoder = unfinished.with_extension(""); // without `.unfinished`
    fs::copy(WORLD.encoder(), &encoder).unwrap();
    fs::remove_file(&unfinished).unwrap();
    let (code, said) = run("whole", &[]);
    assert_eq!(code, Some(0), "{said}");

    disk.remount("ro");
    let (code, said) = run("there", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("text encoder {}", encoder.display())), "{said}");
    assert!(!said.contains("preparing") && !said.contains("encoding captions"), "{said}");
    assert!(!dir.join("there/data").exists());

    disk.remount("rw");
    let embeddings = named("embeddings-");
    fs::remove_file(&embeddings).unwrap();
    disk.remount("ro");
    let (code, said) = run("missing", &[]);
    assert_eq!(code, Some(0), "{said}");
    let made = dir.join("missing/data/prepared").join(embeddings.file_name().unwrap());
    assert!(made.is_file(), "{said}");
    assert_eq!(made.parent().unwrap().read_dir().unwrap().count(), 1, "the encoder was there");

    // Where an encoder can be written nowhere, none is trained.
    disk.remount("rw");
    fs::remove_file(&encoder).unwrap();
    fs::create_dir(dir.join("disk/place")).unwrap();
    disk.remount("ro");
    let (code, said) = run("disk/place", &["--max-hours", "1e-9"]);
    assert_eq!(code, Some(6), "{said}");
    four_parts(&said, "disk/place/data/prepared/encoder-");
    assert!(said.contains("STACKGAN_HOME") && !said.contains("checkpoint"), "{said}");
}
