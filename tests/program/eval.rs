//! `stackgan eval` and `nearest` through the program, with a feature network of random weights:
//! what is printed with each number, what is stored, the results of gates, and what is refused.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;
use stackgan_core::archive::Archive;

use crate::common::{TELLING, WORLD, done, failed, json, stackgan, training, with, without};
use crate::lite0::lite0;

/// A Stage-I model, an encoder with its image side, and untrained weights of EfficientNet-Lite0.
struct Bench {
    folder: tempfile::TempDir,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let args = training("1", "2", &folder.path().join("run"));
    done(folder.path(), &with(&args, &["--set", "optim.batch=4"])); // for pictures that differ
    let weights = Archive { tensors: lite0(), ..Archive::default() };
    std::fs::write(folder.path().join("random.safetensors"), weights.to_bytes().unwrap()).unwrap();
    Bench { folder }
});

impl Bench {
    fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the arguments of a small measurement, followed by `more`.
    fn args(&self, more: &[&str]) -> Vec<String> {
        let birds = WORLD.birds().display().to_string();
        let args =
            ["eval", "-m", "run", "--features", "random.safetensors", "-q", "--data", &birds];
        with(&args.map(str::to_owned), more)
    }
}

/// Every number is given with its network, hash, resize, counts and splits. Random weights never
/// give a plain FID. The same seed gives the same bits with other numbers of threads, with and
/// without stored features.
#[test]
fn numbers_come_with_all_that_they_depend_on() {
    let metrics = "--metrics=fid,kid,is,pr,rp,variety";
    let encoder = WORLD.encoder().display().to_string();
    let more = [
        metrics,
        "--num",
        "20",
        "--judge",
        &encoder,
        "--candidates",
        "2",
        "--json",
        "--bootstrap",
        "5",
        "--split",
        "all",
    ];
    let args = BENCH.args(&[&more[..], &["--threads", "1"]].concat());
    let first = json(BENCH.dir(), &args);
    assert_eq!(first["format"], "stackgan-eval/1");
    assert_eq!(first["judge"]["network"], "efficientnet-lite0");
    assert_eq!(first["judge"]["resize"], "bilinear (Pillow)");
    assert_eq!(first["judge"]["published_as"], Value::Null);
    assert_eq!(first["judge"]["weights_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(first["pictures"]["stage"], 1);
    assert_eq!(first["pictures"]["dataset"], "toy");
    assert_eq!(first["pictures"]["model_sha256"].as_str().unwrap().len(), 64);
    assert!(!first["pictures"]["encoder"].as_str().unwrap().is_empty());
    assert!(first["pictures"]["arithmetic"].as_str().unwrap().starts_with("cpu "));
    assert_eq!(first["real"]["split"], "all");
    let measures = first["measures"].as_array().unwrap();
    let keys: Vec<&str> = measures.iter().map(|m| m["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["fid", "kid", "is", "precision", "recall", "rp", "variety"]);
    for measure in measures {
        let name = measure["name"].as_str().unwrap();
        assert!(!["FID", "KID", "IS"].contains(&name), "{measure}");
        assert!(measure["value"].as_f64().unwrap().is_finite(), "{measure}");
        assert!(measure["count"].as_u64().unwrap() > 0 && measure["by"] != "", "{measure}");
    }
    assert_eq!(measures[0]["name"], "FD (EfficientNet-Lite0, unknown weights)");
    assert!(measures[2]["how"].as_str().unwrap().contains("10 splits"));
    let warnings = first["warnings"].to_string();
    for part in [
        "fewer than 10000",
        "NO MORE THAN THE 1280 FEATURES",
        "20 pictures on one side",
        "stand-in",
        "not a published file",
        "the encoder that the model was trained with",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    assert_eq!(measures[6]["count"], 8, "4 pictures of each of 2 captions");
    for (metric, unused) in [
        ("kid", ["--stats", "real.npz"]),
        ("kid", ["--bootstrap", "5"]),
        ("is", ["--judge", &encoder]),
        ("is", ["--candidates", "5"]),
    ] {
        let args = BENCH.args(&[&["--metrics", metric][..], &unused].concat());
        let (code, said) = failed(BENCH.dir(), &args);
        assert!(code == 2 && said.contains(unused[0]), "{said}");
    }
    let again = json(BENCH.dir(), &BENCH.args(&[&more[..], &["--threads", "2"]].concat()));
    assert_eq!(first, again);

    let table = done(BENCH.dir(), &BENCH.args(&["--num", "20", "--bootstrap", "0"]));
    for part in [
        "trained on toy",
        "sha256",
        "FD (EfficientNet-Lite0, unknown weights)",
        "20 against",
        "10 splits",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
}

/// A failed gate gives exit code 5. A gate for FID needs a network that measures FID.
#[test]
fn gates_have_their_exit_code() {
    let gate = |more: &[&str]| {
        let args =
            BENCH.args(&[&["--metrics", "fid", "--num", "4", "--bootstrap", "0"], more].concat());
        failed(BENCH.dir(), &args)
    };
    assert_eq!(gate(&["--max-fd", "1e9"]).0, 0);
    assert_eq!(gate(&["--max-fd", "0"]).0, 5);
    let (code, text) = gate(&["--max-fid", "1e9"]);
    assert!(code == 2 && text.contains("--max-fd"), "{text}");
    let args = BENCH.args(&["--metrics", "is", "--max-fd", "3"]);
    assert_eq!(failed(BENCH.dir(), &args).0, 2);
}

/// Statistics are written and read in pytorch-fid's format. A set of pictures has distance zero
/// from its own statistics.
#[test]
fn a_folder_of_pictures_and_statistics_of_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let features = BENCH.dir().join("random.safetensors").display().to_string();
    let birds = WORLD.birds().display().to_string();
    let shown = copied(&dir.path().join("shown"), 6);
    let common =
        ["eval", "--pictures", &shown, "--data", &birds, "--features", &features, "--json", "-q"];
    let run = |more: &[&str]| json(dir.path(), &[&common[..], more].concat());
    let fid = ["--metrics", "fid", "--bootstrap", "0"];
    let first = run(&[&fid[..], &["--save-stats", "real.npz"]].concat());
    let second = run(&["--metrics", "fid", "--bootstrap", "5", "--stats", "real.npz"]);
    assert_eq!(first["count"], 6);
    let value = |document: &Value| document["measures"][0]["value"].as_f64().unwrap();
    assert!((value(&first) - value(&second)).abs() < 1e-6 * value(&first), "{first} {second}");
    assert!(value(&first) > 0.0);
    // The covariance of six pictures has a null space of more than a thousand features; the
    // interval is still finite.
    let interval = &second["measures"][0]["interval"];
    assert!(interval["low"].is_number() && interval["high"].is_number(), "{second}");
    let file = std::fs::read(dir.path().join("real.npz")).unwrap();
    std::fs::write(dir.path().join("cut.npz"), &file[..file.len() / 2]).unwrap();
    for (file, code) in [("cut.npz", 3), ("nope.npz", 4)] {
        let args = [&common[..], &fid[..], &["--stats", file]].concat();
        assert_eq!(failed(dir.path(), &args).0, code, "{file}");
    }
}

/// Only what is compared with real pictures needs them.
#[test]
fn a_folder_is_measured_without_a_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let features = BENCH.dir().join("random.safetensors").display().to_string();
    let birds = WORLD.birds().display().to_string();
    let shown = copied(&dir.path().join("shown"), 12);
    let common = ["eval", "--pictures", &shown, "--features", &features, "--bootstrap", "0", "-q"];
    let run = |more: &[&str]| json(dir.path(), &[&common[..], &["--json"], more].concat());
    let saved = ["--metrics", "fid", "--save-stats", "real.npz", "--data", &birds];
    run(&saved);
    for more in [&["--metrics", "is"][..], &["--metrics", "fid", "--stats", "real.npz"]] {
        let (alone, beside) = (run(more), run(&[more, &["--data", &birds]].concat()));
        assert_eq!(alone["measures"].as_array().unwrap().len(), 1, "{alone}");
        assert_eq!(alone["measures"], beside["measures"]);
        for field in ["data", "fingerprint", "size", "pixels", "resizing", "split"] {
            assert!(alone["real"][field].is_null(), "{field}: {alone}");
            assert!(!beside["real"][field].is_null(), "{field}: {beside}");
        }
    }
    for more in [&["--metrics", "kid"][..], &saved[..4]] {
        let (code, text) = failed(dir.path(), &[&common[..], more].concat());
        assert!(code == 2 && text.contains("--data"), "{more:?}: {code} {text}");
    }
    let table = done(dir.path(), &[&common[..], &["--metrics", "is"]].concat());
    assert!(table.contains("real      none"), "{table}");

    // A Fréchet distance is of pictures of one size, an inception score of any.
    image::RgbImage::new(64, 64).save(dir.path().join("shown/small.png")).unwrap();
    let distance = ["--metrics", "fid", "--stats", "real.npz"];
    let (code, text) = failed(dir.path(), &[&common[..], &distance].concat());
    assert!(code == 2 && text.contains("1 of these and 12 larger"), "{code} {text}");
    let prepared = WORLD.prepared(76).display().to_string();
    for more in [&["--data", prepared.as_str()][..], &[]] {
        assert_eq!(run(&[&["--metrics", "is"][..], more].concat())["count"], 13);
    }
}

/// A folder's numbers depend on the size of the real pictures and on the filter that made them. Both
/// are said, and so is which measure takes statistics instead.
#[test]
fn the_real_pictures_beside_a_folder_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let features = BENCH.dir().join("random.safetensors").display().to_string();
    done(dir.path(), &["data", "toy", "--out", "birds", "--count", "36", "--seed", "3", "-q"]);
    let shown = copied(&dir.path().join("shown"), 4);
    let common = ["eval", "--pictures", &shown, "--data", "birds", "--features", &features, "-q"];
    let run = |more: &[&str]| {
        let metrics = ["--metrics", "fid,kid", "--bootstrap", "0"];
        [&common[..], &metrics, more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    // The usual filter, where nothing is prepared; then the one of the last import.
    let usual = json(dir.path(), &run(&["--json"]));
    assert_eq!(usual["real"]["resizing"], "residual");
    done(dir.path(), &["data", "import", "birds", "--recipe", "plain", "-q"]);
    let other = json(dir.path(), &run(&["--json", "--save-stats", "real.npz"]));
    assert_eq!(other["real"]["resizing"], "plain");
    assert_eq!(other["real"]["size"], 256);
    let warnings = other["warnings"].to_string();
    assert!(warnings.contains("4 of 4 pictures are not 256x256 (one is 420x380)"), "{warnings}");
    let real = "toy, test split, 256x256, resized for the recipe plain";
    let table = done(dir.path(), &run(&[]));
    assert!(table.contains(&format!("real      {real}\n")), "{table}");
    let table = done(dir.path(), &run(&["--stats", "real.npz"]));
    let both = format!("statistics of real.npz (Fréchet distance); {real} (others)");
    assert!(table.contains(&both), "{table}");

    // Fewer pictures of a folder cannot be asked for.
    let loud: Vec<String> = run(&[]).into_iter().filter(|arg| arg != "-q").collect();
    let (code, said) = failed(dir.path(), &loud);
    let few = said.lines().find(|line| line.contains("real pictures to compare with")).unwrap();
    assert!(code == 0 && few.contains("--split all") && !few.contains("--num"), "{code} {said}");

    let small = dir.path().join("shown/small.png");
    image::RgbImage::new(64, 64).save(small).unwrap();
    let (code, text) = failed(dir.path(), &run(&[]));
    assert!(code == 2 && text.contains("1 of these and 4 larger"), "{code} {text}");
}

/// `eval` and `nearest` scale the noise as `generate` does. Without noise all pictures of a caption
/// are the same, and each of the two kinds makes them differ.
#[test]
fn the_noise_of_measured_pictures_can_be_scaled() {
    let (dir, birds) = (BENCH.dir(), WORLD.birds().display().to_string());
    done(dir, &with(&training("1", "2", &dir.join("told")), &TELLING));
    let common = ["-m", "told", "--data", &birds, "--num", "2", "-q", "--json"];
    let measured = |(z, eps), own: &[&str]| {
        let scales = ["--z-scale", z, "--eps-scale", eps];
        json(dir, &[own, &common[..], &scales].concat())
    };
    let eval = ["eval", "--metrics", "variety"];
    let nearest = ["nearest", "--features", "none", "--out", "scaled"];
    for own in [&eval[..], &nearest] {
        let document = measured(("0.25", "0.75"), own);
        assert_eq!(document["pictures"]["z_scale"], 0.25);
        assert_eq!(document["pictures"]["eps_scale"], 0.75);
    }

    let variety = |document: &Value| document["measures"][0]["value"].as_f64().unwrap();
    let none = variety(&measured(("0", "0"), &eval));
    assert!((none - 1.0).abs() < 1e-12, "{none}");
    let usual = json(dir, &[&eval[..], &common].concat());
    for some in [usual, measured(("1", "0"), &eval), measured(("0", "1"), &eval)] {
        assert!(variety(&some) < none - 1e-7, "{some}");
    }
}

/// Together with other measures this is a warning, on its own an error. A table is never empty.
#[test]
fn a_measure_without_a_number_is_told() {
    let few = |metrics| BENCH.args(&["--metrics", metrics, "--num", "4", "--bootstrap", "0"]);
    let (code, text) = failed(BENCH.dir(), &few("is"));
    assert!(code == 2 && text.contains("ten pictures or more"), "{code} {text}");
    let document = json(BENCH.dir(), &with(&few("kid,is"), &["--json"]));
    assert_eq!(document["measures"].as_array().unwrap().len(), 1);
    let told = document["warnings"].as_array().unwrap().iter().filter_map(Value::as_str);
    assert!(told.into_iter().any(|w| w.starts_with("left out: an inception score")), "{document}");
}

/// Copies some pictures of the shared dataset into a new folder, and returns its path.
fn copied(to: &Path, count: usize) -> String {
    std::fs::create_dir(to).unwrap();
    for (i, file) in pictures(&WORLD.birds()).into_iter().take(count).enumerate() {
        let extension = file.extension().unwrap().display();
        std::fs::copy(&file, to.join(format!("{i}.{extension}"))).unwrap();
    }
    to.display().to_string()
}

fn pictures(folder: &Path) -> Vec<PathBuf> {
    let mut waiting = vec![folder.join("CUB_200_2011").join("images")];
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Writes a sheet with a row for each picture, and a document that lists only training pictures,
/// the nearest first.
#[test]
fn the_nearest_training_pictures_are_shown_and_listed() {
    let birds = WORLD.birds().display().to_string();
    let args = [
        "nearest",
        "-m",
        "run",
        "--data",
        &birds,
        "--features",
        "random.safetensors",
        "--num",
        "3",
        "-k",
        "2",
        "--out",
        "near",
        "-q",
    ];
    let printed = done(BENCH.dir(), &args);
    assert_eq!(printed.lines().count(), 2, "{printed}");
    let sheet = image::open(BENCH.dir().join("near/nearest.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (8 + 2 * 7 + 5 * 64 + 2 * 12, 3 * 68 + 4));
    let text = std::fs::read_to_string(BENCH.dir().join("near/nearest.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let near = document["near"].as_array().unwrap();
    assert_eq!(near.len(), 3);
    let sheet = std::fs::read(BENCH.dir().join("near/nearest.png")).unwrap();
    assert!(sheet.windows(8).any(|part| part == b"Software"), "the sheet says who made it");
    for one in near {
        for space in ["features", "pixels"] {
            let found = one[space].as_array().unwrap();
            let distance = |i: usize| found[i]["distance"].as_f64().unwrap();
            assert!(found.len() == 2 && distance(0) <= distance(1), "{one}");
        }
    }
}

/// Pixels are compared without a network as with one, on a machine that has none.
#[test]
fn the_nearest_by_pixels_take_no_network() {
    let birds = WORLD.birds().display().to_string();
    let common = ["nearest", "-m", "run", "--data", &birds, "--num", "3", "-k", "2", "-q"];
    let near = |features: &str, out: &str| -> Value {
        let more = ["--features", features, "--out", out, "--json"];
        json(BENCH.dir(), &[&common[..], &more].concat())
    };
    let (both, pixels) = (near("random.safetensors", "both"), near("none", "pixels"));
    assert!(both["judge"].is_object() && pixels["judge"].is_null(), "{pixels}");
    let rows = |of: &Value| of["near"].as_array().unwrap().clone();
    assert_eq!(rows(&pixels).len(), 3);
    for (one, other) in rows(&pixels).iter().zip(rows(&both)) {
        assert!(one["features"].is_null() && other["features"].is_array(), "{one}");
        for same in ["caption", "seed", "pixels"] {
            assert_eq!(one[same], other[same]);
        }
    }
    let sheet = image::open(BENCH.dir().join("pixels/nearest.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (8 + 2 * 4 + 3 * 64 + 12, 3 * 68 + 4));
    let (code, said) = failed(BENCH.dir(), &[&common[..], &["--out", "nothing"]].concat());
    assert!(code == 4 && said.contains("`--features none`"), "{code}: {said}");
}

#[test]
fn what_cannot_measure_is_refused_by_its_exit_code() {
    let birds = WORLD.birds().display().to_string();
    let eval = |features: &[&str]| {
        failed(BENCH.dir(), &[&["eval", "-m", "run", "--data", &birds, "-q"], features].concat())
    };
    let (code, text) = eval(&[]);
    assert!(code == 4 && text.contains("stackgan model import"), "{text}");
    let (code, text) = eval(&["--features", "inception-fid"]);
    assert!(code == 4 && text.contains("pt_inception-2015-12-05-6726825d.pth"), "{text}");
    assert_eq!(eval(&["--features", "inception"]).0, 2);
    assert_eq!(eval(&["--features", &birds]).0, 2);
    let encoder = WORLD.encoder().display().to_string();
    assert_eq!(eval(&["--features", &encoder]).0, 3);
    assert_eq!(eval(&["--features", "random.safetensors", "--metrics", "rp"]).0, 4);
    let (code, text) = failed(BENCH.dir(), &["model", "import", "random.safetensors"]);
    assert!(code == 3 && text.contains("efficientnet-lite0-57934424.pth"), "{text}");
    let nothing = stackgan(BENCH.dir(), &["eval", "--data", &birds]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
    // What nothing is painted with is refused; what the model is to paint from is taken.
    for option in
        [["--num", "20"], ["--z-scale", "1"], ["--eps-scale", "1"], ["--embeddings", "none"]]
    {
        let folder = ["eval", "--pictures", ".", "--data", &birds];
        let (code, text) = failed(BENCH.dir(), &[&folder[..], &option].concat());
        assert!(code == 2 && text.contains("--pictures"), "{option:?}: {code} {text}");
    }
    let (code, text) = eval(&["--metrics", "variety", "--embeddings", "none.safetensors"]);
    assert!(code == 4 && text.contains("none.safetensors"), "{code} {text}");
}

/// A run measures its own model at checkpoints and keeps the best. Both continue when it is
/// resumed.
#[test]
fn a_run_measures_itself_and_keeps_its_best() {
    let dir = BENCH.dir();
    let run = dir.join("watched");
    let watched = |steps: &str| {
        let more = ["--eval-every", "2", "--eval-features", "random.safetensors"];
        let more = [&more[..], &["--eval-num", "10", "--set", "run.checkpoint_every=2"]].concat();
        with(&training("1", steps, &run), &more)
    };
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(run.join("eval.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    done(dir, &watched("4"));
    let first = lines();
    assert_eq!(first.iter().map(|l| l["step"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(first[0]["best"], true);
    assert_eq!(first[0]["measures"][0]["key"], "kid");

    // The last measurement equals that of `eval` for the model itself.
    let args = BENCH.args(&["--metrics", "kid", "--num", "10", "--bootstrap", "0", "--json"]);
    let args = with(&without(args, "-m"), &["-m", "watched"]);
    assert_eq!(json(dir, &args)["measures"][0]["value"], first[1]["measures"][0]["value"]);

    // A plan refuses what the run would.
    let (code, text) = failed(dir, &with(&watched("6"), &["--dry-run"]));
    assert!(code == 2 && text.contains("--allow-change optim.steps"), "{text}");
    done(dir, &with(&watched("6"), &["--allow-change", "optim.steps"]));
    let all = lines();
    assert_eq!(all[..2], first[..]);
    assert_eq!(all[2]["step"], 6);
    let values: Vec<f64> =
        all.iter().map(|l| l["measures"][0]["value"].as_f64().unwrap()).collect();
    let mut best = f64::INFINITY;
    for (line, value) in all.iter().zip(&values) {
        assert_eq!(line["best"], *value < best, "{values:?}");
        best = best.min(*value);
    }
    let bytes = |name: &str| std::fs::read(run.join(name)).unwrap();
    let last_is_best = all[2]["best"] == true;
    assert_eq!(bytes("best.safetensors") == bytes("model.safetensors"), last_is_best);

    let nothing = dir.join("nothing");
    let unknown = ["--eval-every", "2", "--eval-features", "inception-fid"];
    let args = with(&training("1", "4", &nothing), &unknown);
    let (code, text) = failed(dir, &args);
    assert!(code == 4 && text.contains("stackgan model import"), "{text}");
    assert!(!nothing.join("stats.jsonl").exists(), "no step is taken");
    let empty = tempfile::tempdir().unwrap();
    let (code, text) = failed(empty.path(), &[&["train", "--stage", "1"][..], &unknown].concat());
    assert!(code == 4 && text.contains("stackgan model import"), "{text}");
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0, "no birds are drawn for it: {text}");

    let bad = without(watched("8"), "--eval-every");
    assert_eq!(failed(dir, &bad).0, 2, "--eval-num without --eval-every");
}

/// If a result cannot be written, this is reported before the work; existing files are kept.
#[test]
fn results_are_tried_before_the_work() {
    let dir = BENCH.dir();
    let birds = WORLD.birds().display().to_string();
    let eval = BENCH.args(&["--metrics", "kid", "--num", "10", "--out", "."]);
    let train = ["text", "train", "--data", &birds, "--steps", "20", "--out", "."];
    let nearest = ["nearest", "-m", "run", "--data", &birds, "--features", "none"];
    let nearest = |out| [&nearest[..], &["--out", out]].concat();
    std::fs::create_dir(dir.join("own")).unwrap();
    std::fs::write(dir.join("own/nearest.png"), "mine").unwrap();
    let (code, text) = failed(dir, &nearest("own"));
    assert!(code == 2 && text.contains("in the way"), "{code} {text}");
    let owned = |args: &[&str]| with(&[], args);
    for args in [eval, owned(&train), owned(&nearest("random.safetensors"))] {
        let (code, text) = failed(dir, &args);
        assert!(code == 6 && text.contains("cannot write"), "{text}");
        assert!(!text.contains("pictures"), "worked: {text}");
    }
    let encoder = WORLD.encoder().display().to_string();
    let encode =
        ["text", "encode", "--encoder", &encoder, "--captions", ".", "--output", "x.safetensors"];
    let (code, text) = failed(dir, &encode);
    assert!(code == 2 && text.contains("file: .") && text.contains("a folder"), "{text}");
}

/// A measure without a number is reported, decides nothing, and does not affect the others. Too few
/// captions for R-precision are reported before anything is painted or trained.
#[test]
fn one_measure_that_fails_leaves_the_others() {
    let dir = BENCH.dir();
    let run = dir.join("partly");
    let watched = |more: &[&str]| {
        let common = ["--eval-every", "2", "--eval-features", "random.safetensors", "--eval-num"];
        with(&training("1", "2", &run), &[&common[..], more].concat())
    };
    let encoder = WORLD.encoder().display().to_string();
    let rp = ["10", "--eval-metrics", "rp", "--eval-judge", &encoder];
    let (code, text) = failed(dir, &watched(&rp));
    assert!(code == 2 && text.contains("R-precision cannot be measured"), "{text}");
    assert!(!run.join("stats.jsonl").exists(), "a step was taken");
    let eval = BENCH.args(&["--metrics", "kid,rp", "--num", "10", "--judge", &encoder]);
    let (code, text) = failed(dir, &eval);
    assert!(code == 2 && text.contains("option: --candidates"), "{text}");
    assert!(!text.contains("pictures to measure"), "painted: {text}");

    // Three pictures have no third neighbours, so precision, the deciding measure, has no number.
    done(dir, &watched(&["3", "--eval-metrics", "pr,kid"]));
    let line: Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("eval.jsonl")).unwrap()).unwrap();
    assert_eq!(line["best"], false);
    let left_out = line["left_out"][0].as_str().unwrap();
    assert!(left_out.starts_with("pr: ") && !left_out.contains('\n'), "{line}");
    assert_eq!(line["measures"].as_array().unwrap().len(), 1);
    assert!(!run.join("best.safetensors").exists());
    let few = BENCH.args(&["--metrics", "pr,variety", "--num", "3", "--json"]);
    let document = json(dir, &few);
    assert_eq!(document["measures"][0]["key"], "variety");
    assert!(document["warnings"].to_string().contains("left out: pr: "), "{document}");
}

/// Colours and R-precision of toy birds need no network. Each number is given with its interval,
/// its judge and the value for real pictures.
#[test]
fn colours_of_toy_birds_are_judged_without_a_network() {
    let (birds, encoder) =
        (WORLD.birds().display().to_string(), WORLD.encoder().display().to_string());
    let common = ["eval", "-m", "run", "-q", "--data", &birds, "--split", "all", "--num", "40"];
    let more = ["--metrics", "colours,rp", "--judge", &encoder, "--candidates", "2"];
    let run = |args: &[&str]| {
        let args = [&common[..], &more, args].concat();
        done(BENCH.dir(), &args)
    };
    let document: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!((&document["judge"], &document["count"]), (&Value::Null, &Value::from(40)));
    let measures = document["measures"].as_array().unwrap();
    let keys: Vec<&str> = measures.iter().map(|m| m["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["colour_body", "colour_wing", "colour_belly", "colour_crown", "rp"]);
    for measure in measures {
        let number = |value: &Value| value.as_f64().unwrap();
        let (low, high) = (&measure["interval"]["low"], &measure["interval"]["high"]);
        let value = number(&measure["value"]);
        assert!(number(low) <= value && value <= number(high), "{measure}");
        assert!((5..=40).contains(&measure["count"].as_u64().unwrap()), "{measure}");
        assert!(measure["how"].as_str().unwrap().contains("chance 0."), "{measure}");
    }
    // Two steps of training paint no colours; real birds have the right ones.
    assert!(measures[0]["value"].as_f64().unwrap() < 0.5, "{document}");
    let real = measures[0]["how"].as_str().unwrap().rsplit(' ').next().unwrap();
    assert!(real.parse::<f64>().unwrap() > 0.9, "{real}");
    let table = run(&["--threads", "1"]);
    assert!(table.contains("network   none") && table.contains("judge of toy birds"), "{table}");
}

/// Birds are not toy birds if many captions name other colours. Colours are measured neither for a
/// folder of pictures nor in a run on such birds.
#[test]
fn colours_of_other_birds_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &["data", "toy", "--out", "birds", "--count", "36", "--seed", "3", "-q"]);
    let (mut waiting, mut texts) = (vec![dir.path().join("birds/text")], Vec::new());
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else {
            texts.push(path);
        }
    }
    texts.sort();
    for (i, path) in texts.iter().enumerate().filter(|(i, _)| i % 5 < 2) {
        let colour = ["a blue bird", "a red bird"][i % 2];
        std::fs::write(path, format!("{colour} with a red belly and red wings\n").repeat(10))
            .unwrap();
    }
    done(dir.path(), &["data", "import", "birds", "-q"]);
    let birds = dir.path().join("birds").display().to_string();
    let args = ["eval", "-m", "run", "-q", "--metrics", "colours", "--num", "4", "--data"];
    let (code, text) = failed(BENCH.dir(), &[&args[..], &[&birds]].concat());
    assert!(
        code == 2 && text.contains("stackgan data toy") && text.contains("named colours"),
        "{text}"
    );
    let pictures = ["eval", "--pictures", &birds, "--data", &birds, "--metrics", "colours", "-q"];
    let (code, text) = failed(dir.path(), &pictures);
    assert!(code == 2 && text.contains("no caption names the colours"), "{text}");
    let pictures = ["eval", "--pictures", &birds, "--data", &birds, "--metrics", "rp", "-q"];
    let (code, text) = failed(dir.path(), &pictures);
    assert!(code == 2 && text.contains("R-precision") && text.contains("--model"), "{text}");
    let run = dir.path().join("run");
    let more = ["--data", &birds, "--eval-every", "2", "--eval-metrics", "colours"];
    let args = with(&without(training("1", "2", &run), "--data"), &more);
    let (code, text) = failed(dir.path(), &args);
    assert!(code == 2 && text.contains("colours cannot be judged here"), "{text}");
    assert!(!run.join("stats.jsonl").exists(), "a step was taken");
}
