//! File names that are not UTF-8, and names that lead to the same file: JSON is valid, and no input
//! is overwritten.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::common::{WORLD, done, failed, golden, program, stackgan, training};
use crate::errors::four_parts;

/// `b` and a byte that is not valid UTF-8.
const ODD: &[u8] = b"b\xff";

/// Runs the program, which must succeed, with arguments that may be invalid UTF-8. Returns its
/// stdout as JSON.
fn told(dir: &Path, args: &[&[u8]]) -> Value {
    let args: Vec<&OsStr> = args.iter().map(|arg| OsStr::from_bytes(arg)).collect();
    let output = stackgan(dir, &args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn json_has_names_that_are_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "2", &dir.join("run")));
    let odd = dir.join(OsStr::from_bytes(ODD));
    fs::create_dir(&odd).unwrap();
    fs::copy(dir.join("run/model.safetensors"), odd.join("model.safetensors")).unwrap();
    let begins = |found: &Value| found.as_str().is_some_and(|text| text.starts_with("b\u{fffd}"));

    let info = told(dir, &[b"model", b"info", ODD, b"--json"]);
    assert!(begins(&info["file"]), "{info}");
    let verified = told(dir, &[b"model", b"verify", ODD, b"--json"]);
    assert!(begins(&verified["file"]), "{verified}");
    let paint = [&b"generate"[..], b"-m", ODD, b"-p", b"a bird", b"--out", ODD, b"-q", b"--json"];
    let painted = told(dir, &paint);
    assert!(begins(&painted["file"]), "{painted}");
    let way = [&b"interpolate"[..], b"-m", ODD, b"-p", b"a bird", b"--seeds", b"0,1"];
    let more = [&b"--frames"[..], b"2", b"--out", ODD, b"-q", b"--json"];
    let animation = told(dir, &[&way[..], &more[..]].concat());
    assert!(begins(&animation["file"]) && begins(&animation["sheet"]), "{animation}");
    let pictures = fs::read_dir(&odd).unwrap().map(|entry| entry.unwrap().path());
    let picture = pictures.into_iter().find(|path| path.to_string_lossy().contains("000000-seed"));
    let picture = picture.unwrap();
    let picture = picture.strip_prefix(dir).unwrap().as_os_str().as_bytes();
    let judged = told(dir, &[b"repro", b"-m", ODD, picture, b"-q", b"--json"]);
    assert!(begins(&judged["file"]) && judged["verdict"] == "equal", "{judged}");

    fs::create_dir(dir.join("runs")).unwrap();
    fs::rename(dir.join("run"), dir.join("runs").join(OsStr::from_bytes(ODD))).unwrap();
    let runs = told(dir, &[b"runs", b"ls", b"--json"]);
    assert!(runs[0]["path"].as_str().unwrap().ends_with("b\u{fffd}"), "{runs}");
    let run = told(dir, &[b"runs", b"show", ODD, b"--json"]);
    assert!(run["files"][1].as_str().unwrap().ends_with("b\u{fffd}/model.safetensors"), "{run}");

    fs::remove_dir_all(&odd).unwrap();
    let drawn = told(dir, &[b"data", b"toy", b"--out", ODD, b"--count", b"12", b"--json"]);
    assert!(begins(&drawn["folder"]), "{drawn}");
    let made = told(dir, &[b"data", b"import", ODD, b"--size", b"76", b"--json"]);
    let found = told(dir, &[b"data", b"check", ODD, b"--json"]);
    assert!(begins(&made["prepared"][0]["file"]) && begins(&found["path"]), "{made} {found}");
    assert_eq!(found["prepared"], made["prepared"]);
    let plan = [&b"train"[..], b"--stage", b"1", b"-n", b"--json", b"--run", b"b\xff-run"];
    let refused = [&plan[..], &[b"--data", ODD]].concat();
    let refused: Vec<&OsStr> = refused.into_iter().map(OsStr::from_bytes).collect();
    let output = stackgan(dir, &refused).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0)); // run.json is text
    assert!(begins(&told(dir, &plan)["run"]), "the folder may have any name");
}

/// Models, encoders and lists are kept if a result is given their name.
#[test]
fn no_result_takes_the_place_of_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "2", &dir.join("run")));
    fs::copy(dir.join("run/model.safetensors"), dir.join("m.safetensors")).unwrap();
    fs::copy(WORLD.encoder(), dir.join("e.safetensors")).unwrap();
    fs::copy(WORLD.prepared(76), dir.join("p.safetensors")).unwrap();
    fs::copy(golden("stage1_netG_zip.pth"), dir.join("netG.pth")).unwrap();
    symlink("m.safetensors", dir.join("link")).unwrap();
    fs::write(dir.join("words.txt"), "a red bird\n").unwrap();
    let files = ["m.safetensors", "e.safetensors", "p.safetensors", "netG.pth", "words.txt"];
    let bytes = || files.map(|file| fs::read(dir.join(file)).unwrap());
    let before = bytes();
    let run = "run/model.safetensors";
    let export = ["model", "export", "m.safetensors"];
    let encode = ["text", "encode", "--encoder", "e.safetensors"];
    let eval = ["eval", "--data", "p.safetensors", "--metrics", "variety", "--num", "2", "-m"];
    let measure = |model: &'static str| [&eval[..], &[model]].concat();
    for (command, more, place) in [
        (&export[..], &["--onnx", "m.safetensors"][..], "--onnx"),
        (&export, &["--onnx", "link"], "--onnx"),
        (&export, &["--onnx-encoder", "./m.safetensors"], "--onnx-encoder"),
        (&export, &["--onnx", "new", "--onnx-encoder", "new"], "--onnx-encoder"),
        (&export, &["--onnx", "words.txt", "--fold-captions", "words.txt"], "--onnx"),
        (&["model", "export", "run"], &["--onnx", run], "--onnx"),
        (&export, &["--out", "m.safetensors"], "--out"),
        (&["model", "import", "netG.pth"], &["--out", "netG.pth"], "--out"),
        (&["text", "import", "e.safetensors"], &["--out", "e.safetensors"], "--out"),
        (&encode, &["-p", "a", "--output", "e.safetensors"], "--output"),
        (&encode, &["--captions", "words.txt", "--output", "words.txt"], "--output"),
        (&encode, &["--data", "p.safetensors", "--output", "p.safetensors"], "--output"),
        (&["text", "train", "--data", "p.safetensors"], &["--out", "p.safetensors"], "--out"),
        (&["data", "captions", "p.safetensors"], &["--output", "p.safetensors"], "--output"),
        (&measure("run"), &["--out", run], "--out"),
        (&measure("m.safetensors"), &["--out", "link"], "--out"),
        (&measure("run"), &["--out", "p.safetensors"], "--out"),
        (&measure("run"), &["--save-stats", "p.safetensors"], "--save-stats"),
        (&measure("run"), &["--embeddings", "words.txt", "--out", "words.txt"], "--out"),
        (&measure("run"), &["--features", "netG.pth", "--out", "netG.pth"], "--out"),
    ] {
        let (code, error) = failed(dir, &[command, more].concat());
        assert_eq!(code, 2, "{command:?} {more:?}: {error}");
        four_parts(&error, place);
    }
    assert!(bytes() == before && !dir.join("new").exists());
}

/// Files of this program take long to make. A command writes its own results anew, and replaces no
/// others.
#[test]
fn no_result_takes_the_place_of_another_kind_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "2", &dir.join("run")));
    let (birds, encoder) = (WORLD.birds(), WORLD.encoder());
    let (birds, encoder) = (birds.to_str().unwrap(), encoder.to_str().unwrap());
    let checkpoint = "run/checkpoints/step-0000002.safetensors";
    fs::copy(encoder, dir.join("e.safetensors")).unwrap();
    fs::copy(WORLD.prepared(76), dir.join("p.safetensors")).unwrap();
    symlink("run/model.safetensors", dir.join("link")).unwrap();
    fs::write(dir.join("notes.txt"), "mine; they name stackgan-onnx/1").unwrap();
    let captions = ["data", "captions", birds, "--output"];
    let encode = ["text", "encode", "--encoder", encoder, "-p", "a bird", "--output"];
    let onnx = ["model", "export", "run", "--onnx"];
    let words = ["model", "export", "run", "--onnx-encoder"];
    // Twice: the second replaces the first.
    for (command, file) in [
        (&captions[..], "list.txt"),
        (&encode, "v.safetensors"),
        (&onnx, "birds.onnx"),
        (&words, "words.onnx"),
    ] {
        for _ in 0..2 {
            done(dir, &[command, &[file, "-q"]].concat());
        }
    }
    let state_dict = golden("stage1_netG_zip.pth").display().to_string();
    done(dir, &["model", "import", &state_dict, "--out", "plain.safetensors", "-q"]);
    let export = ["model", "export", "plain.safetensors", "--out"];
    let ours = ["run/model.safetensors", "link", checkpoint, "e.safetensors", "p.safetensors"];
    let more = ["v.safetensors", "notes.txt", "list.txt"];
    let bytes =
        || [&ours[..], &more].concat().iter().map(|f| fs::read(dir.join(f)).unwrap()).collect();
    let before: Vec<Vec<u8>> = bytes();
    let refused = |command: &[&str], file: &str| {
        let (code, error) = failed(dir, &[command, &[file, "-q"]].concat());
        assert_eq!(code, 2, "{command:?} {file}: {error}");
        four_parts(&error, &format!("option: {} {file}", command.last().unwrap()));
    };
    for file in ours {
        [&captions[..], &encode, &onnx, &words].iter().for_each(|command| refused(command, file));
        if file.ends_with(".safetensors") {
            refused(&export, file); // another name is refused for its end
        }
    }
    for command in [&captions[..], &onnx, &export] {
        refused(command, "v.safetensors");
    }
    for file in ["notes.txt", "list.txt"] {
        refused(&onnx, file);
        refused(&words, file);
    }
    assert!(bytes() == before);
}

/// A device has no end, a pipe has one.
#[test]
fn a_model_comes_from_a_pipe_and_not_from_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "2", &dir.join("run")));
    let (code, error) = failed(dir, &["model", "info", "/dev/zero"]);
    assert_eq!(code, 3, "{error}");
    four_parts(&error, "/dev/zero");
    let piped = |args: &[&str]| {
        let file = fs::File::open(dir.join("run/model.safetensors")).unwrap();
        let mut cat = std::process::Command::new("cat");
        let mut cat = cat.stdin(file).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let pipe = cat.stdout.take().unwrap();
        let output = program(dir, &[]).args(args).stdin(pipe).output().unwrap();
        assert!(cat.wait().unwrap().success());
        output
    };
    let output = piped(&["model", "info", "/dev/stdin"]);
    let named = done(dir, &["model", "info", "run"]);
    let told = String::from_utf8(output.stdout).unwrap();
    let behind = |told: &str| told.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert!(behind(&told) == behind(&named) && !behind(&told).is_empty(), "{told}");
    // A folder for the hub holds the model that was read, which a pipe gives only once.
    let output = piped(&["model", "export", "/dev/stdin", "--hub", "card"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    done(dir, &["model", "diff", "card", "run"]);
}

/// A pipe without a writer would be waited for.
#[test]
fn a_named_pipe_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let made = std::process::Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap();
    assert!(made.success());
    for args in [&["model", "info", "pipe"][..], &["generate", "-m", "pipe", "-p", "a bird"]] {
        let (code, error) = failed(dir, args);
        assert_eq!(code, 3, "{error}");
        four_parts(&error, "file: pipe");
        assert!(error.contains("a named pipe"), "{error}");
    }
}

/// A link in the new folder leads to the picture that is compared; the picture is kept.
#[test]
fn a_picture_that_is_judged_is_not_painted_over_by_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "2", &dir.join("run")));
    let said = done(dir, &["generate", "-m", "run", "-p", "a red bird", "--out", "old", "-q"]);
    let picture = said.trim();
    // Bytes after the end of a PNG are ignored by readers, and would be lost.
    let whole = [fs::read(dir.join(picture)).unwrap(), b"mine".to_vec()].concat();
    fs::write(dir.join(picture), &whole).unwrap();
    fs::create_dir(dir.join("new")).unwrap();
    let name = Path::new(picture).file_name().unwrap();
    symlink(dir.join(picture), dir.join("new").join(name)).unwrap();
    let (code, error) = failed(dir, &["repro", "-m", "run", picture, "--out", "new", "-q"]);
    assert_eq!(code, 2, "{error}");
    four_parts(&error, "--out");
    // A copy is a different file.
    fs::remove_file(dir.join("new").join(name)).unwrap();
    fs::copy(dir.join(picture), dir.join("new").join(name)).unwrap();
    done(dir, &["repro", "-m", "run", picture, "--out", "new", "-q"]);
    assert!(fs::read(dir.join(picture)).unwrap() == whole);
}
