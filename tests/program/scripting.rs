//! `--json`, for scripts and notebooks: what each command prints is JSON and nothing else, and its
//! values are those that are printed for a person.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};
use stackgan_core::archive::Archive;

use crate::common::{
    self, WORLD, commands, done, failed, golden, slashes, stackgan, training, with, write_given,
};
use crate::errors::four_parts;
use crate::lite0::lite0;

/// Commands that have no `--json`: what they give is for a person or for a shell.
const WITHOUT: [&str; 5] = ["demo", "serve", "runs watch", "completions", "man"];

/// A folder with a run, a picture, and inputs of every command.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &training("1", "2", &dir.join("runs/00000-toy-stage1")));
    let model = dir.join("runs/00000-toy-stage1/model.safetensors");
    fs::copy(model, dir.join("model.safetensors")).unwrap();
    // With these learning rates the first update overflows.
    let rates = ["--set", "optim.lr_g=1", "--set", "optim.lr_d=1"];
    assert_eq!(failed(dir, &with(&training("1", "60", &dir.join("burst")), &rates)).0, 7);
    let files = fs::read_dir(dir.join("burst")).unwrap().map(|entry| entry.unwrap().path());
    let bundle = files.into_iter().find(|path| path.to_string_lossy().contains("nonfinite-step"));
    fs::copy(bundle.unwrap(), dir.join("bundle.safetensors")).unwrap();
    done(dir, &["generate", "-m", "model.safetensors", "-p", "a red bird", "--out", "p", "-q"]);
    let picture = fs::read_dir(dir.join("p")).unwrap().next().unwrap().unwrap().path();
    fs::copy(picture, dir.join("picture.png")).unwrap();
    fs::copy(WORLD.encoder(), dir.join("encoder.safetensors")).unwrap();
    fs::copy(golden("stage1_netG_zip.pth"), dir.join("netG.pth")).unwrap();
    done(dir, &["model", "import", "netG.pth", "--out", "plain.safetensors", "-q"]);
    let weights = Archive { tensors: lite0(), ..Archive::default() };
    fs::write(dir.join("random.safetensors"), weights.to_bytes().unwrap()).unwrap();
    write_given(dir, 3, &[0.5; 6], "a red bird\na blue bird\n");
    fs::write(dir.join("settings.toml"), done(dir, &["config", "show"])).unwrap();
    folder
});

fn document(dir: &Path, args: &[&str]) -> Value {
    common::json(dir, &[args, &["--json"]].concat())
}

/// One run of each command: its exit code, and the rest of its arguments.
fn cases() -> BTreeMap<&'static str, (i32, Vec<String>)> {
    let (birds, low) = (WORLD.birds(), WORLD.prepared(76));
    let (birds, low) = (birds.to_str().unwrap(), low.to_str().unwrap());
    let train = training("1", "1", &FOLDER.path().join("trained"));
    let train: Vec<&str> =
        train.iter().skip(1).map(String::as_str).filter(|a| *a != "-q").collect();
    let m = "model.safetensors";
    let measured = ["-m", m, "--data", low, "--num", "3"];
    let eval = [&measured[..], &["--metrics", "colours"]].concat();
    let nearest = ["--features", "random.safetensors", "-k", "1", "--out", "near"];
    let interpolate = ["-m", m, "-p", "a bird", "--seeds", "0,1", "--frames", "2", "--out", "i"];
    let shard = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../stackgan-data/tests/fixtures/shards/birds-train-000000.tar"
    );
    let cases: [(&str, i32, &[&str]); 30] = [
        ("data toy", 0, &["--out", "drawn", "--count", "12"]),
        ("data fetch", 0, &["cub", "--from", birds, "--into", "fetched", "--size", "76"]),
        ("data unpack", 0, &[shard, "--out", "unpacked"]),
        ("data import", 0, &[birds, "--size", "76"]),
        ("data check", 0, &[birds]),
        ("data preview", 0, &[low, "--output", "sheet.png", "--count", "2"]),
        ("data captions", 0, &[birds]),
        ("text train", 0, &["--data", low, "--steps", "1", "--batch", "2", "--out", "e"]),
        ("text import", 0, &["given.npy", "--out", "captions.safetensors"]),
        ("text encode", 0, &["--encoder", "encoder.safetensors", "-p", "a bird", "--output", "v"]),
        ("train", 0, &train),
        ("replay", 7, &["bundle.safetensors"]),
        ("generate", 0, &["-m", m, "-p", "a bird", "--seeds", "0-2", "--grid", "--out", "g"]),
        ("edit", 0, &["-m", m, "-p", "a {red,blue} bird", "--out", "d"]),
        ("interpolate", 0, &interpolate),
        ("repro", 4, &["-m", m, "picture.png", "none.png"]),
        ("eval", 0, &eval),
        ("nearest", 0, &[&measured[..], &nearest].concat()),
        ("model info", 0, &[m]),
        ("model import", 0, &["netG.pth", "--out", "imported.safetensors"]),
        ("model export", 0, &["plain.safetensors", "--out", "netG.safetensors"]),
        ("model verify", 0, &[m]),
        ("model diff", 5, &[m, "plain.safetensors"]),
        ("runs ls", 0, &[]),
        ("runs show", 0, &[]),
        ("config show", 0, &[]),
        ("config check", 0, &["settings.toml"]),
        ("config presets", 0, &[]),
        ("doctor", 0, &[]),
        ("config show --origin", 0, &[]),
    ];
    let owned = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect();
    cases.into_iter().map(|(name, code, args)| (name, (code, owned(args)))).collect()
}

/// Every command that answers has `--json`, and prints one document, or objects one per line.
/// Progress and notes go to stderr.
#[test]
fn every_answer_is_json_and_nothing_else() {
    let (dir, cases) = (FOLDER.path(), cases());
    let all = commands(dir, "");
    for command in &all {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let has = done(dir, &args).contains("\n      --json\n");
        let group = all.iter().any(|other| other.starts_with(&format!("{command} ")));
        assert_eq!(has, !group && !WITHOUT.contains(&command.as_str()), "{command}");
        assert_eq!(has, cases.contains_key(command.as_str()), "{command} is not run here");
    }
    for (command, (code, args)) in cases {
        let words = command.split(' ').chain(args.iter().map(String::as_str)).chain(["--json"]);
        let output = stackgan(dir, &words.collect::<Vec<_>>()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let whole = serde_json::from_str::<Value>(&text);
        let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        match command {
            "generate" | "edit" | "repro" | "data captions" => {
                let lines = lines.unwrap();
                assert!(lines.len() > 1 && lines.iter().all(Value::is_object), "{command}: {text}");
            }
            "runs ls" | "config presets" | "config show --origin" => {
                assert!(!whole.unwrap().as_array().unwrap().is_empty(), "{command}: {text}");
            }
            _ => assert!(whole.unwrap().is_object() && text.ends_with("}\n"), "{command}: {text}"),
        }
        assert_eq!(said.contains("error: "), command == "repro", "{command}: {said}");
    }
}

/// The numbers in the documents are those in the lines.
#[test]
fn datasets_are_counted_alike_in_both_forms() {
    let (folder, birds) = (tempfile::tempdir().unwrap(), WORLD.birds());
    let (dir, birds) = (folder.path(), birds.to_str().unwrap());
    let drawn = document(dir, &["data", "toy", "--out", "birds", "--count", "36", "--seed", "3"]);
    let again = done(dir, &["data", "toy", "--out", "again", "--count", "36", "--seed", "3", "-q"]);
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap();
    let said = format!(
        "again: {} pictures of {} species to train on, {} of {} unseen species\n",
        number(&drawn, "train_pictures"),
        number(&drawn, "train_species"),
        number(&drawn, "test_pictures"),
        number(&drawn, "test_species")
    );
    assert_eq!(again, said);
    assert_eq!((&drawn["folder"], number(&drawn, "train_pictures")), (&json!("birds"), 32));

    let made = document(dir, &["data", "import", "birds", "--size", "76", "-q"]);
    let one = &made["prepared"][0];
    assert_eq!(one["file"], "birds/prepared/prepared-76.safetensors");
    assert_eq!((&one["pixels"], &made["embeddings"]), (&json!(76), &Value::Null));
    let sums = number(one, "train_pictures") + number(one, "test_pictures");
    assert_eq!((sums, number(one, "train_pictures")), (36, number(&drawn, "train_pictures")));
    assert_eq!(number(one, "test_classes"), number(&drawn, "test_species"));

    let found = document(dir, &["data", "check", birds, "-q"]);
    let text = done(dir, &["data", "check", birds, "-q"]);
    assert_eq!((&found["whole"], &found["pictures"]), (&json!(true), &json!("all_readable")));
    assert_eq!(found["layout"]["kind"], "cub");
    for part in found["layout"]["parts"].as_array().unwrap() {
        let line = text.lines().find(|line| line.contains(part["what"].as_str().unwrap()));
        let detail = part["detail"].as_str().unwrap();
        assert!(text.contains(detail) && line.is_some(), "{part} in {text}");
    }
    for one in found["prepared"].as_array().unwrap() {
        let [px, train, test] =
            ["pixels", "train_pictures", "test_pictures"].map(|n| number(one, n));
        let captions = number(one, "captions");
        let line = format!("{px} px, {train} train, {test} test, {captions} captions, ");
        assert!(text.contains(&line), "{line} in {text}");
    }
    // The lines list captions, the objects the pictures that have them.
    let listed = done(dir, &["data", "captions", birds, "--json"]);
    let pictures: Vec<Value> = listed.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |name: &'static str| pictures.iter().map(move |picture| picture[name].clone());
    let captions: Vec<Value> = of("captions").flat_map(|c| c.as_array().unwrap().clone()).collect();
    let plain = |args: &[&str]| -> Vec<Value> {
        let all = [&["data", "captions", birds], args].concat();
        done(dir, &all).lines().map(Value::from).collect()
    };
    assert_eq!((captions, of("name").collect::<Vec<_>>()), (plain(&[]), plain(&["--names"])));
    let train = pictures.iter().filter(|picture| picture["split"] == "train");
    assert_eq!(train.count() as u64, number(&drawn, "train_pictures"));

    // What is missing is in the document, with what to do; the error is on stderr as ever.
    fs::rename(dir.join("birds/text"), dir.join("birds/elsewhere")).unwrap();
    let output = stackgan(dir, &["data", "check", "birds", "--json", "-q"]).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let parts = found["layout"]["parts"].as_array().unwrap();
    let missing: Vec<&Value> = parts.iter().filter(|part| part["status"] == "missing").collect();
    assert_eq!((missing.len(), &missing[0]["path"]), (1, &json!("text")), "{found}");
    assert!(missing[0]["remedy"].as_str().unwrap().contains("data fetch cub"));
    assert_eq!((&found["whole"], &found["pictures"]), (&json!(false), &Value::Null));
    assert_eq!(output.status.code(), Some(3));
    four_parts(&String::from_utf8(output.stderr).unwrap(), "birds");
}

#[test]
fn settings_are_those_of_the_file_with_their_origins() {
    let dir = FOLDER.path();
    let args = ["config", "show", "--preset", "cub", "--set", "optim.batch=8", "--seed", "9"];
    let settings = document(dir, &args);
    let text: toml::Value = toml::from_str(&done(dir, &args)).unwrap();
    assert_eq!(settings, serde_json::to_value(&text).unwrap());
    assert_eq!((&settings["optim"]["batch"], &settings["seed"]), (&json!(8), &json!(9)));
    let origins = document(dir, &[&args[..], &["--origin"]].concat());
    let lines = done(dir, &[&args[..], &["--origin"]].concat());
    assert_eq!(lines.lines().count(), origins.as_array().unwrap().len());
    for (setting, line) in origins.as_array().unwrap().iter().zip(lines.lines()) {
        let [key, origin] = ["key", "origin"].map(|name| setting[name].as_str().unwrap());
        assert!(line.starts_with(&format!("{key} = ")), "{setting} {line}");
        assert!(line.ends_with(&format!("  # {origin}")), "{setting} {line}");
    }
    assert!(
        origins
            .as_array()
            .unwrap()
            .contains(&json!({ "key": "optim.batch", "value": 8, "origin": "--set" }))
    );
    let checked = document(dir, &["config", "check", "settings.toml"]);
    assert_eq!(checked["settings"], document(dir, &["config", "show"]));
    // A part of the settings is no configuration, but a layer of one.
    for (stage, part) in [("1", "[optim]\nbatch = 4\n"), ("2", "stage = 2\n")] {
        fs::write(dir.join("part.toml"), part).unwrap();
        let (code, said) = failed(dir, &["config", "check", "part.toml"]);
        assert_eq!(code, 2, "{said}");
        four_parts(&said, "file: part.toml");
        let of = if stage == "2" { "--stage 2 " } else { "" };
        let layer = format!("`stackgan config show {of}--config part.toml`");
        assert!(said.contains("not complete") && said.contains(&layer), "{said}");
        done(dir, &["config", "show", "--stage", stage, "--config", "part.toml"]);
    }
    fs::write(dir.join("part.toml"), "[optim]\nbacth = 4\n").unwrap();
    let (code, said) = failed(dir, &["config", "check", "part.toml"]);
    assert!(code == 2 && said.contains("bacth") && !said.contains("not complete"), "{said}");
    let presets = document(dir, &["config", "presets"]);
    let named = done(dir, &["config", "presets"]);
    for (preset, line) in presets.as_array().unwrap().iter().zip(named.lines()) {
        let [name, about] = ["name", "about"].map(|name| preset[name].as_str().unwrap());
        assert_eq!(line.split_once(' ').unwrap().0, name);
        assert!(line.ends_with(&format!("  {about}")), "{line}");
    }
}

/// A training answers where its run is, how far it went, and how to go on.
#[test]
fn a_training_is_planned_stopped_and_done() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, run) = (folder.path(), folder.path().join("run"));
    let args = training("1", "3", &run);
    let plan = common::json(dir, &with(&args, &["--dry-run", "--json"]));
    let text = done(dir, &with(&args, &["--dry-run"]));
    assert!(!run.exists());
    assert_eq!((&plan["settings"]["optim"]["steps"], &plan["goes_on"]), (&json!(3), &json!(false)));
    let data = slashes(WORLD.birds().display().to_string()) + ", 32 pictures to train on";
    assert_eq!((&plan["data"]["train_pictures"], text.contains(&data)), (&json!(32), true));
    let path = |path: &Path| json!(slashes(path.display().to_string()));
    assert_eq!(plan["text"], json!({ "from": "encoder", "encoder": path(&WORLD.encoder()) }));
    assert_eq!((&plan["stage1"], &plan["run"]), (&Value::Null, &path(&run)));
    let (memory, time) = (&plan["estimate"]["memory"], &plan["estimate"]["time"]);
    let mib = memory["peak_bytes"].as_u64().unwrap() as f64 / f64::from(1 << 20);
    assert!(text.contains(&format!("memory     about {mib:.0} MiB at its peak")), "{mib} {text}");
    let [left, step] = ["seconds_left", "seconds_a_step"].map(|name| time[name].as_f64().unwrap());
    assert!(time["steps_left"] == 3 && step > 0.0 && (left - 3.0 * step).abs() < 1e-9, "{time}");

    let brief = with(&args, &["--max-hours", "1e-9", "--json"]);
    let stopped = stackgan(dir, &brief).output().unwrap();
    assert_eq!(stopped.status.code(), Some(75));
    let stopped: Value = serde_json::from_slice(&stopped.stdout).unwrap();
    assert_eq!((&stopped["state"], &stopped["exit_code"]), (&json!("stopped"), &json!(75)));
    assert_eq!(stopped["how"], "time budget used");
    let shown = document(dir, &["runs", "show", "run"]);
    let absolute = stopped["next"].as_str().unwrap();
    assert!(absolute.starts_with("stackgan train --stage 1 --run "), "{absolute}");
    assert_eq!((&shown["state"], &shown["step"]), (&stopped["state"], &stopped["step"]));

    let trained = common::json(dir, &with(&args, &["--json"]));
    let expected = json!({
        "run": path(&run), "state": "done", "how": "done", "exit_code": 0, "step": 3, "steps": 3,
        "model": path(&run.join("model.safetensors")), "next": null, "plan": null,
    });
    assert_eq!(trained, expected);
    let shown = document(dir, &["runs", "show", "run"]);
    let text = done(dir, &["runs", "show", "run"]);
    for file in shown["files"].as_array().unwrap() {
        assert!(text.contains(&format!("file         {}\n", file.as_str().unwrap())), "{text}");
    }
    assert!(shown["files"].as_array().unwrap().contains(&json!("run/model.safetensors")));
    let builds: Vec<&Value> =
        shown["sittings"].as_array().unwrap().iter().map(|sitting| &sitting["commit"]).collect();
    let doctor = document(dir, &["doctor"]);
    assert_eq!(builds, [&doctor["commit"]; 2]);
    if let Some(commit) = doctor["commit"].as_str() {
        let version = format!(", version {} ({commit}): ", env!("CARGO_PKG_VERSION"));
        assert_eq!(text.matches(&version).count(), 2, "{text}");
    }
    let next = shown["next"].as_str().unwrap();
    assert!(text.ends_with(&format!("next         {next}\n")), "{text}");
}

/// Encoders, embeddings and models say what they are in both forms.
#[test]
fn files_are_described_alike_in_both_forms() {
    let dir = FOLDER.path();
    let info = document(dir, &["model", "info", "model.safetensors"]);
    let text = done(dir, &["model", "info", "model.safetensors"]);
    let net = &info["info"]["stage1"]["net"];
    let sizes = format!(
        "64x64, gf {}, df {}, c {}, z {}; 2 steps",
        net["gf"], net["df"], net["cond_dim"], net["z_dim"]
    );
    let sha256 = info["sha256"].as_str().unwrap();
    assert!(text.contains(&sizes) && text.contains(sha256), "{text}");
    assert!(info["parameters"]["stage1"].as_u64().unwrap() > 1000, "{info}");
    let parameters =
        format!("parameters {} in the generator of stage-I", info["parameters"]["stage1"]);
    assert!(text.ends_with(&format!("{parameters}\n")), "{text}");
    assert_eq!((&info["stages"], &info["parameters"]["stage2"]), (&json!(1), &Value::Null));

    // Two species are unseen, so that there are scores.
    done(dir, &["data", "toy", "--out", "more", "--count", "60", "-q"]);
    let train = ["text", "train", "--data", "more", "--steps", "2", "--batch", "2", "--out"];
    let trained = document(dir, &[&train[..], &["two"]].concat());
    let said = failed(dir, &[&train[..], &["another"]].concat()).1;
    let scores = &trained["scores"];
    let [top1, ap50] = ["top1", "ap50"].map(|name| scores[name].as_f64().unwrap());
    let line = format!("top-1 {top1:.2} of {} classes (chance ", scores["classes"]);
    let line = [line, format!("), AP@50 {ap50:.2}, ")];
    assert!(line.iter().all(|part| said.contains(part)), "{trained} {said}");
    assert_eq!((&trained["file"], &trained["steps"]), (&json!("two"), &json!(2)));

    let encode = ["text", "encode", "--encoder", "two", "-p", "a", "-p", "b", "--output", "two.v"];
    let encoded = document(dir, &encode);
    assert_eq!((&encoded["rows"], &encoded["encoder"]), (&json!(2), &trained["fingerprint"]));
    let imported = document(dir, &["text", "import", "given.npy", "--out", "given.safetensors"]);
    assert_eq!(imported["kind"], "embeddings");
    assert_eq!((&imported["rows"], &imported["dim"]), (&json!(2), &json!(3)));
    let imported = document(dir, &["model", "import", "netG.pth", "--out", "again.safetensors"]);
    assert_eq!(imported, json!({ "files": ["again.safetensors"] }));
}

/// The program says which build it is, if it was built in its repository.
#[test]
fn the_build_is_named() {
    let dir = FOLDER.path();
    let doctor = document(dir, &["doctor"]);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(doctor["version"], version);
    let build = match doctor["commit"].as_str() {
        None => version.to_owned(),
        Some(commit) => {
            let digits = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(commit.len() == 12 && digits, "{commit}");
            format!("{version} ({commit})")
        }
    };
    assert_eq!(done(dir, &["--version"]), format!("stackgan {build}\n"));
    assert!(done(dir, &["doctor"]).starts_with(&format!("stackgan   {build}\n")));
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.git");
    let log = repository.join("logs/HEAD");
    match fs::read_to_string(&log) {
        Ok(log) if !log.is_empty() => {
            let mut commits = log.lines().filter_map(|line| line.split(' ').nth(1));
            let commit = doctor["commit"].as_str().unwrap();
            assert!(commits.any(|known| known.starts_with(commit)), "{commit}");
        }
        _ => eprintln!("skipped: no commits in {}", log.display()),
    }
}

/// `--out` and `--output` are one, whichever of them a command is documented with.
#[test]
fn what_is_written_is_named_by_either_option() {
    let (folder, inputs) = (tempfile::tempdir().unwrap(), FOLDER.path());
    let (dir, birds) = (folder.path(), WORLD.birds().display().to_string());
    let low = WORLD.prepared(76).display().to_string();
    let [model, encoder, plain, given] =
        ["model.safetensors", "encoder.safetensors", "netG.pth", "given.npy"]
            .map(|name| inputs.join(name).display().to_string());
    let (eval, bare) =
        (["--num", "3", "--metrics", "colours"], ["--num", "1", "--features", "none"]);
    let measured = ["-m", &model, "--data", &low];
    let eval = [&["eval"], &measured[..], &eval, &["--output", "eval.json"]].concat();
    let nearest = [&["nearest"], &measured[..], &bare, &["--output", "near"]].concat();
    let cases: [(&[&str], &str); 10] = [
        (&["data", "toy", "--count", "12", "--output", "drawn"], "drawn/text"),
        (&["data", "fetch", "cub", "--from", &birds, "--size", "76", "--out", "cub"], "cub"),
        (&["data", "captions", &birds, "--out", "captions.txt"], "captions.txt"),
        (&["data", "preview", &low, "--count", "2", "--out", "sheet.png"], "sheet.png"),
        (&["text", "encode", "--encoder", &encoder, "-p", "a", "--out", "vector"], "vector"),
        (&["text", "import", &given, "--output", "given"], "given"),
        (&["model", "import", &plain, "--output", "imported"], "imported"),
        (&["generate", "-m", &model, "-p", "a bird", "--output", "painted"], "painted"),
        (&eval, "eval.json"),
        (&nearest, "near/nearest.json"),
    ];
    for (args, file) in cases {
        done(dir, &[args, &["-q"]].concat());
        assert!(dir.join(file).exists(), "{args:?}");
    }
}

/// A command that fails answers nothing: the reason is on stderr, in four parts, and the exit code
/// says which kind it is.
#[test]
fn a_failure_prints_nothing_on_stdout() {
    let dir = FOLDER.path();
    let cases: [(i32, &[&str]); 7] = [
        (4, &["model", "info", "none"]),
        (3, &["model", "info", "encoder.safetensors"]),
        (2, &["config", "show", "--set", "optim.batch=0"]),
        (4, &["data", "check", "none"]),
        (2, &["train", "--stage", "1", "--dry-run", "--set", "optim.batch=0"]),
        (4, &["text", "import", "none.t7"]),
        (4, &["runs", "show", "7"]),
    ];
    for (code, args) in cases {
        let output = stackgan(dir, &[args, &["--json"]].concat()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{args:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        four_parts(&error, "");
    }
    for args in [&["data", "captions", "x", "--names"][..], &["config", "presets", "--print", "a"]]
    {
        let (code, error) = failed(dir, &[args, &["--json"]].concat());
        assert!(code == 2 && error.contains("cannot be used with"), "{error}");
    }
}
