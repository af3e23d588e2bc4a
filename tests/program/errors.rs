//! Bad input of every kind: the exit code, and an error in four parts that names the place.

use std::fs;

use crate::common::{WORLD, done, failed, one_step, program, slashes, stackgan, training, with};
use crate::folder::newest;

/// Asserts that an error contains the problem, the place, the expected and found values and a
/// remedy, once and without a backtrace.
#[track_caller]
pub(crate) fn four_parts(error: &str, place: &str) {
    assert!(error.starts_with("error: "), "{error}");
    for part in ["expected ", "found ", "do: ", place] {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
    assert_eq!(error.matches("error: ").count(), 1, "{error}");
    assert!(!error.contains("panicked") && !error.contains("stack backtrace"), "{error}");
}

#[test]
fn wrong_usage_is_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 11] = [
        (&["train", "--stage", "1", "--set", "optim.bacth=3"], "did you mean `optim.batch`?"),
        (&["train", "--stage", "1", "--set", "optim.batch=0"], "optim.batch"),
        (&["train", "--stage", "1", "--set", "optim.batch"], "--set"),
        (&["train", "--stage", "1", "--preset", "cubb"], "did you mean `cub-stage1`?"),
        (&["config", "show", "--set", "optim.lr_g=nan"], "optim.lr_g"),
        (&["config", "presets", "--print", "nothing"], "--print"),
        (&["generate", "-m", "m", "-p", "x", "--seeds", "7-1"], "--seeds"),
        (&["generate", "-m", "m"], "--prompt"),
        (&["generate", "-m", "m", "-p", " "], "--prompt"),
        (&["config", "show", "--stage", "1", "--preset", "cub-stage2"], "`--stage 2`"),
        (&["doctor", "--device", "abacus"], "--device"),
    ];
    for (args, place) in cases {
        let (code, error) = failed(dir.path(), args);
        assert_eq!(code, 2, "{args:?}: {error}");
        four_parts(&error, place);
    }
    for args in [
        &["train", "--stage", "3"][..],
        &["paint"],
        &["demo", "--minutes", "-1"],
        &["text", "train", "--data", "x", "--steps", "0"],
        &["generate", "-m", "m", "-p", "x", "--columns", "3"],
        &[],
    ] {
        assert_eq!(failed(dir.path(), args).0, 2, "{args:?}");
    }
}

#[test]
fn what_is_missing_is_code_4_with_the_way_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["generate", "-m", "none.safetensors", "-p", "x"], "none.safetensors"),
        (&["model", "info", "empty"], "empty"),
        (&["train", "--stage", "2"], "stackgan train --stage 1 --preset toy"),
        (&["train", "--stage", "1", "--preset", "cub"], "stackgan text train"),
        (&["train", "--stage", "1", "--config", "none.toml"], "none.toml"),
        (&["data", "import", "empty"], "empty"),
        (&["text", "encode", "--encoder", "none", "--data", "empty", "--output", "x"], "none"),
        (&["doctor", "--device", "cuda:0"], "--device"),
    ];
    for (args, place) in cases {
        let (code, error) = failed(dir.path(), args);
        assert_eq!(code, 4, "{args:?}: {error}");
        four_parts(&error, place);
    }
}

#[test]
fn a_folder_without_a_model_is_told_from_a_run_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("run")).unwrap();
    fs::write(dir.path().join("run/run.json"), "{}").unwrap();
    let data = WORLD.birds().display().to_string();
    for (folder, says) in
        [(".", "no run's folder"), (&data, "no run's folder"), ("run", "has not finished")]
    {
        let (code, error) = failed(dir.path(), &["generate", "-m", folder, "-p", "a bird"]);
        assert_eq!(code, 4, "{folder}: {error}");
        four_parts(&error, says);
    }
}

#[test]
fn damaged_files_are_code_3_and_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(WORLD.encoder()).unwrap();
    fs::write(dir.path().join("cut.safetensors"), &whole[..whole.len() / 2]).unwrap();
    fs::write(dir.path().join("text.safetensors"), "a bird is no model").unwrap();
    fs::write(dir.path().join("empty.safetensors"), "").unwrap();
    for file in ["cut.safetensors", "text.safetensors", "empty.safetensors"] {
        let commands: [&[&str]; 4] = [
            &["model", "info", file],
            &["generate", "-m", file, "-p", "x"],
            &["data", "check", file],
            &["text", "encode", "--encoder", file, "--data", ".", "--output", "prepared/x"],
        ];
        for args in commands {
            let (code, error) = failed(dir.path(), args);
            assert_eq!(code, 3, "{args:?}: {error}");
            four_parts(&error, file);
        }
    }
    // An encoder is not a model: the file is valid, but of another kind.
    let (code, error) = failed(WORLD.root(), &["model", "info", "encoder.safetensors"]);
    assert_eq!(code, 3, "{error}");
    four_parts(&error, "encoder.safetensors");
    assert!(error.contains("a text encoder") && error.contains("--encoder"), "{error}");
    // The same for a checkpoint that is not in its run's folder.
    let run = dir.path().join("run");
    done(dir.path(), &training("1", "1", &run));
    let file = "step-0000001.safetensors";
    fs::copy(run.join("checkpoints").join(file), dir.path().join(file)).unwrap();
    let (code, error) = failed(dir.path(), &["generate", "-m", file, "-p", "x"]);
    assert!(code == 3 && error.contains("a checkpoint of a run"), "{error}");
}

#[test]
fn a_damaged_picture_is_found_by_check() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &["data", "toy", "--out", "birds", "--count", "12", "-q"]);
    assert!(
        done(dir.path(), &["data", "check", "birds", "-q"]).contains("every picture can be read")
    );
    let images = dir.path().join("birds/CUB_200_2011/images");
    let class = fs::read_dir(images).unwrap().next().unwrap().unwrap().path();
    let picture = fs::read_dir(class).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&picture).unwrap();
    fs::write(&picture, &whole[..whole.len() / 2]).unwrap();
    let name = picture.file_name().unwrap().to_str().unwrap();
    for command in ["check", "import"] {
        let (code, error) = failed(dir.path(), &["data", command, "birds", "-q"]);
        assert_eq!(code, 3, "{error}");
        four_parts(&error, name);
    }
    // They are left out with this option, which also holds for later commands on this folder.
    let leave_out = ["data", "import", "birds", "--size", "76", "--damaged", "leave-out"];
    let out = stackgan(dir.path(), &leave_out).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let key = name.split_once('.').unwrap().0;
    assert!(out.status.success() && said.contains("left out: ") && said.contains(key), "{said}");
    let captions = done(dir.path(), &["data", "captions", "birds", "--names", "-q"]);
    assert!(captions.lines().count() == 11 && !captions.contains(key), "{captions}");
    let checked = done(dir.path(), &["data", "check", "birds", "-q"]);
    assert!(checked.contains("every other picture can be read"), "{checked}");
    assert!(checked.contains("prepared-76.safetensors: 76 px"), "{checked}");

    // A letter of the prepared captions has changed, which the next import would mend in silence.
    let prepared = dir.path().join("birds/prepared/prepared-76.safetensors");
    let mut bytes = fs::read(&prepared).unwrap();
    let letter = bytes.windows(5).position(|word| word == b" bird").unwrap();
    bytes[letter + 1] = b'B';
    fs::write(&prepared, bytes).unwrap();
    let (code, error) = failed(dir.path(), &["data", "check", "birds", "-q"]);
    assert!(code == 3 && error.contains("prepared-76.safetensors"), "{code} {error}");
}

#[test]
fn a_width_that_was_said_and_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let args = with(&training("1", "2", &dir.path().join("run")), &["--set", "net.text_dim=7"]);
    for dry in [&[][..], &["--dry-run"]] {
        let (code, error) = failed(dir.path(), &with(&args, dry));
        assert_eq!(code, 2, "{error}");
        four_parts(&error, "net.text_dim = 128");
    }
}

#[test]
fn time_budget_is_code_75_and_the_stop_file_is_code_0() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut args = training("1", "500", &run);
    args.retain(|arg| arg != "-q");
    let said = one_step(dir.path(), &args);
    assert!(said.contains("stackgan train --stage 1 --run"), "{said}");
    assert!(run.join("model.safetensors").is_file());
    fs::write(run.join("STOP"), "").unwrap();
    done(dir.path(), &training("1", "500", &run));
    assert_eq!(newest(&run), Some(2), "one step each");
}

/// A user is never told to remove what this program did not make.
#[test]
fn a_file_in_the_place_of_a_folder_is_told_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "1", &dir.join("run")));
    fs::write(dir.join("CUB.tgz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]).unwrap();
    for (args, words) in [
        (&["data", "import", "CUB.tgz"][..], "this is not a folder"),
        (&["data", "check", "CUB.tgz"], "unpack an archive first"),
        (&["data", "check", "run/model.safetensors"], "this is not a prepared dataset"),
        (
            &["generate", "-m", "run", "-p", "a", "--out", "CUB.tgz"],
            "a file is where a folder is wanted",
        ),
    ] {
        let output = stackgan(dir, args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{args:?}: {said}");
        assert!(!said.contains("remove"), "{args:?}: {said}");
    }
}

#[test]
fn a_closed_pipe_is_success() {
    let dir = tempfile::tempdir().unwrap();
    let birds = WORLD.birds().display().to_string();
    for args in [
        &["config", "presets", "--print", "cub-stage1"][..],
        &["config", "show", "--json"],
        &["data", "captions", &birds, "--json"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program(dir.path(), &[]).args(args).stdout(writer).output().unwrap();
        assert!(output.status.success(), "{args:?}: {:?}", output.status);
        assert!(output.stderr.is_empty(), "{args:?}");
    }
}

/// If stdout is closed, pictures and their sheet are still written, and a server still answers.
#[test]
fn a_closed_pipe_leaves_no_result_out() {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "2", &dir.join("run")));
    let closed = |args: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = program(dir, &[]);
        command.args(args).stdout(writer);
        command
    };
    let edit = ["edit", "-m", "run", "-p", "a {red,blue,green} bird", "--seeds", "0,1", "-q"];
    assert!(closed(&edit).status().unwrap().success());
    assert_eq!(fs::read_dir(dir.join("out")).unwrap().count(), 7, "six pictures and a sheet");
    let encoder = WORLD.encoder().display().to_string();
    let encode = ["text", "encode", "--encoder", &encoder, "-p", "a", "--output", "e", "-q"];
    assert!(closed(&encode).status().unwrap().success());
    assert!(dir.join("e").is_file());

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut server = closed(&["serve", "-m", "run", "-q", "--listen", &free.to_string()]);
    let mut server = server.spawn().unwrap();
    let answers = || -> std::io::Result<bool> {
        let mut line = TcpStream::connect(free)?;
        line.set_read_timeout(Some(std::time::Duration::from_secs(1)))?;
        let ask = format!("GET /healthz HTTP/1.1\r\nHost: {free}\r\nConnection: close\r\n\r\n");
        line.write_all(ask.as_bytes())?;
        let mut answer = String::new();
        line.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    let waiting = std::time::Instant::now();
    let mut served = false;
    while !served && server.try_wait().unwrap().is_none() && waiting.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        served = answers().unwrap_or(false);
    }
    let _ = server.kill();
    let _ = server.wait();
    assert!(served, "the server does not answer");
}

/// With these learning rates the first update already overflows.
#[test]
fn training_that_becomes_non_finite_is_code_7() {
    let dir = tempfile::tempdir().unwrap();
    let rates = ["--set", "optim.lr_g=1", "--set", "optim.lr_d=1"];
    let args = with(&training("1", "60", &dir.path().join("run")), &rates);
    let (code, error) = failed(dir.path(), &args);
    assert_eq!(code, 7, "{error}");
    four_parts(&error, "at step ");
    // The page and the suggested commands agree.
    let page = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(page.contains("<dd>failed</dd>") && slashes(page).contains("run/nonfinite-step-"));
    let shown = done(dir.path(), &["runs", "show", "run"]);
    assert!(shown.contains("next         stackgan replay run/nonfinite-step-"), "{shown}");
    assert!(shown.contains("--on-nonfinite rollback:3"), "{shown}");
    let trained = shown.lines().find(|line| line.starts_with("trained ")).unwrap();
    let what = error.lines().next().unwrap().trim_start_matches("error: ");
    assert!(trained.contains("from step 0, ") && trained.contains(what), "{trained} {error}");
}

#[test]
fn nothing_hostile_reaches_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let output = stackgan(dir.path(), &["train", "--stage", "1", "--set", "a\u{1b}[31m=1"])
        .output()
        .unwrap();
    assert!(!output.stderr.contains(&0x1b));
}

/// What is missing has the code of what is missing, whether the kind is named or guessed.
#[test]
fn a_folder_that_is_not_there_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["import", "check"] {
        for kind in [&[][..], &["--kind", "folder"], &["--kind", "cub"], &["--kind", "coco"]] {
            let (code, error) = failed(dir.path(), &[&["data", command, "none"], kind].concat());
            assert_eq!(code, 4, "{command} {kind:?}: {error}");
            four_parts(&error, "none");
        }
    }
}

/// A run that is refused leaves no folder, and is refused by a dry run too.
#[cfg(unix)]
#[test]
fn a_refused_run_leaves_no_folder() {
    use std::os::unix::ffi::OsStrExt as _;

    use crate::common::{TINY, set};
    let dir = tempfile::tempdir().unwrap();
    let (birds, encoder) = (WORLD.birds(), WORLD.encoder());
    let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"birds-\xff"));
    std::os::unix::fs::symlink(&birds, &odd).unwrap();
    let judged = ["--eval-every", "1", "--eval-metrics", "rp"];
    for (data, more, expected, place) in [
        (&birds, &judged[..], 4, "--judge"),
        (&birds, &["--eval-every", "1", "--eval-metrics", "rp", "--eval-judge", "none"], 4, "none"),
        (&birds, &["--set", "optim.batch=100"], 2, "found 100"),
        (&odd, &[], 2, "birds-\\xFF"),
    ] {
        for dry in [&[][..], &["--dry-run"]] {
            let mut command = stackgan(dir.path(), &["train", "--stage", "1", "--data"]);
            command.arg(data).arg("--encoder").arg(&encoder).args(set(TINY));
            let output = command.args(more).args(dry).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(expected), "{more:?} {dry:?}: {error}");
            four_parts(error.get(error.find("error: ").unwrap()..).unwrap(), place);
            assert!(!dir.path().join("runs").exists(), "{more:?} {dry:?}");
        }
    }
}
