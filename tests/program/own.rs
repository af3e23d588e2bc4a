//! Your own folder, from pictures and captions to a trained model: with an encoder trained here,
//! and with embeddings from elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::{TINY, WORLD, done, failed, json, set, write_given};

/// Width of an embedding.
const WIDTH: usize = 6;

/// Returns pictures of the shared birds, with the first captions of each.
pub(crate) fn birds(n: usize) -> Vec<(PathBuf, Vec<String>)> {
    let (images, text) = (WORLD.birds().join("CUB_200_2011/images"), WORLD.birds().join("text"));
    let below = |folder: &Path| {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let pictures = below(&images).into_iter().flat_map(|class| below(&class)).take(n).enumerate();
    let with_captions = pictures.map(|(i, picture)| {
        let name = picture.strip_prefix(&images).unwrap().with_extension("txt");
        let captions = fs::read_to_string(text.join(name)).unwrap();
        (picture, captions.lines().take(1 + i % 4).map(str::to_owned).collect())
    });
    with_captions.collect()
}

/// Writes `DIR/own/CLASS/NAME` with captions beside the pictures; one picture has its captions in a
/// table.
pub(crate) fn own_folder(dir: &Path) -> PathBuf {
    let own = dir.join("own");
    for (i, (picture, captions)) in birds(24).into_iter().enumerate() {
        let class = own.join(["red", "green", "blue"][i % 3]);
        fs::create_dir_all(&class).unwrap();
        let extension = picture.extension().unwrap().to_str().unwrap().to_ascii_uppercase();
        let name = format!("bird {i}");
        fs::copy(&picture, class.join(format!("{name}.{extension}"))).unwrap();
        if i == 7 {
            let row = format!("file_name,text\ngreen/{name}.{extension},\"{}\"\n", captions[0]);
            fs::write(own.join("metadata.csv"), row).unwrap();
        } else {
            fs::write(class.join(format!("{name}.txt")), captions.join("\r\n")).unwrap();
        }
    }
    own
}

fn training<'a>(stage: &'a str, run: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", "--stage", stage, "-q", "--data", "own", "--run", run];
    args.extend(set(TINY));
    args.extend(["--set", "optim.steps=2"]);
    args.extend(more);
    args
}

fn model(dir: &Path, run: &str) -> Value {
    json(dir, &["model", "info", run, "--json"])
}

#[test]
fn pictures_and_captions_become_a_model_that_paints() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    own_folder(dir);
    let said = done(dir, &["data", "check", "own"]);
    for part in ["(folder)", "24 files", "metadata.csv", "3 classes", "every picture can be read"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let said = done(dir, &["data", "preview", "own", "--output", "sheet.png", "--count", "6"]);
    assert_eq!(said.lines().collect::<Vec<_>>(), ["sheet.png", "sheet.txt"]);
    assert!(image::image_dimensions(dir.join("sheet.png")).unwrap().0 > 456);
    assert!(fs::read_to_string(dir.join("sheet.txt")).unwrap().contains("green/bird"));

    // The split is requested once; training finds the folder as it was imported.
    let files = done(dir, &["data", "import", "own", "--split-seed", "5", "-q"]);
    assert_eq!(files.lines().count(), 2);
    let before = fs::read(dir.join("own/prepared/prepared-76.safetensors")).unwrap();
    done(
        dir,
        &[
            "text",
            "train",
            "--data",
            "own",
            "--steps",
            "2",
            "--batch",
            "2",
            "--out",
            "e.safetensors",
            "-q",
        ],
    );
    let run = "own/runs/low"; // what the program makes in the folder is no part of the dataset
    done(dir, &training("1", run, &["--encoder", "e.safetensors"]));
    let prepared = || fs::read(dir.join("own/prepared/prepared-76.safetensors")).unwrap();
    assert!(prepared() == before);
    assert!(model(dir, run)["info"]["encoder"].is_object());
    let paint = ["-p", "a red bird", "--out", "own/out", "-q", "--grid"];
    let pictures = done(dir, &[&["generate", "-m", run][..], &paint].concat());
    let [picture, grid] = pictures.lines().collect::<Vec<_>>()[..] else { panic!("{pictures}") };
    let painted = [picture, grid].map(|file| fs::read(dir.join(file)).unwrap());
    let said = done(dir, &["data", "check", "own"]);
    assert!(said.contains("24 files") && said.contains("2 pictures that this program"), "{said}");
    let of_model = format!("{run}/model.safetensors"); // as an encoder: the one in it
    done(dir, &training("1", "again", &["--encoder", &of_model, "--seed", "5"]));
    assert!(prepared() == before);
    let [first, second] =
        [run, "again"].map(|run| model(dir, run)["info"]["encoder_fingerprint"].clone());
    assert!(first == second && first.is_string(), "{first} {second}");

    // A picture of this program is replaced, and a file of another one is not.
    done(dir, &[&["generate", "-m", "again"][..], &paint].concat());
    assert!(fs::read(dir.join(picture)).unwrap() != painted[0]);
    for file in [picture, grid] {
        let own = fs::read(dir.join(file)).unwrap();
        fs::write(dir.join(file), "mine").unwrap();
        let (code, said) = failed(dir, &[&["generate", "-m", run][..], &paint].concat());
        assert!(code == 2 && said.contains("a picture is in the way"), "{said}");
        assert_eq!(fs::read(dir.join(file)).unwrap(), b"mine");
        fs::write(dir.join(file), own).unwrap();
    }

    let encoder = fs::read(dir.join("e.safetensors")).unwrap();
    let again = ["text", "train", "--data", "own", "--steps", "3", "--out", "e.safetensors"];
    let (code, said) = failed(dir, &again);
    assert!(code == 2 && said.contains("would replace a file"), "{said}");
    assert_eq!(fs::read(dir.join("e.safetensors")).unwrap(), encoder);
}

/// A dataset's own files are not overwritten, and a sheet does not become one of them.
#[test]
fn a_preview_loses_nothing_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let own = own_folder(dir);
    let files = |dir: &Path| fs::read_dir(dir).unwrap().count();
    let (kept, before) = (fs::read(own.join("red/bird 0.txt")).unwrap(), files(&own));
    let preview = |cwd: &Path, data: &str, output: &str| {
        failed(cwd, &["data", "preview", data, "--output", output, "--count", "2", "-q"])
    };
    for (cwd, data, output, part) in [
        (&*own, ".", "sheet.png", "part of the dataset"),
        (&own, ".", "red/bird 0.png", "part of the dataset"),
        (&own, ".", "new/sheet.png", "part of the dataset"),
        (&own, ".", "prepared/../sheet.png", "part of the dataset"),
        (dir, "own", "own/../own/sheet.png", "part of the dataset"),
        (dir, "own", "sheet.jpg", ".png"),
    ] {
        let (code, said) = preview(cwd, data, output);
        assert!(code == 2 && said.contains(part) && said.contains(output), "{code} {said}");
    }
    let args = ["data", "captions", ".", "--output", "red/bird 0.txt", "-q"];
    assert_eq!(failed(&own, &args).0, 2);
    let args = ["eval", "-m", "none", "--data", ".", "--out", "red/bird 0.txt", "-q"];
    assert_eq!(failed(&own, &args).0, 2);
    assert_eq!(fs::read(own.join("red/bird 0.txt")).unwrap(), kept);
    assert_eq!(files(&own), before);
    // What was made of the dataset is read, too.
    done(&own, &["data", "import", ".", "-q"]);
    let made = own.join("prepared/prepared-76.safetensors");
    let kept = fs::read(&made).unwrap();
    let made = made.to_str().unwrap();
    let encoder = WORLD.encoder().display().to_string();
    for args in [
        &["data", "captions", ".", "--output", made, "-q"][..],
        &["eval", "-m", "none", "--data", ".", "--out", made, "-q"],
        &["text", "encode", "--encoder", &encoder, "--data", ".", "--output", made, "-q"],
    ] {
        let (code, said) = failed(&own, args);
        assert!(code == 2 && said.contains("which is read"), "{code} {said}");
    }
    assert!(fs::read(made).unwrap() == kept);
    // Elsewhere, a sheet only replaces an earlier sheet.
    assert_eq!(preview(dir, "own", "sheet.png").0, 0);
    assert_eq!(preview(dir, "own", "sheet.png").0, 0);
    assert_eq!(preview(&own, ".", "prepared/sheet.png").0, 0);
    for (file, output) in [("notes.txt", "notes.png"), ("photo.png", "photo.png")] {
        fs::write(dir.join(file), "mine").unwrap();
        let (code, said) = preview(dir, "own", output);
        assert!(code == 2 && said.contains(file), "{code} {said}");
        assert_eq!(fs::read(dir.join(file)).unwrap(), b"mine");
        assert!(file == output || !dir.join(output).exists());
    }
}

/// Neither results nor a run are put where pictures and their captions are.
#[test]
fn results_and_runs_leave_datasets_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let own = own_folder(dir);
    let picture = fs::read_dir(own.join("red")).unwrap().map(|e| e.unwrap().path());
    let picture = picture.into_iter().find(|path| path.extension().is_some_and(|e| e != "txt"));
    let (picture, encoder) = (picture.unwrap(), WORLD.encoder().display().to_string());
    let before = fs::read(&picture).unwrap();
    fs::copy(&picture, dir.join("alone.jpg")).unwrap();
    fs::write(dir.join("alone.txt"), "a red bird").unwrap();
    let inside = picture.display().to_string();
    let encode = ["text", "encode", "--encoder", &encoder, "--output"];
    for (output, more) in [
        (inside.as_str(), &["--data", "own"][..]),
        (&inside, &["-p", "a bird"]),
        ("alone.jpg", &["-p", "a bird"]),
        ("alone.txt", &["-p", "a bird"]),
    ] {
        let (code, said) = failed(dir, &[&encode[..], &[output], more].concat());
        assert_eq!(code, 2, "{output}: {said}");
    }
    for output in ["alone.jpg", "alone.txt"] {
        let (code, said) = failed(dir, &["data", "captions", "own", "--output", output]);
        assert!(code == 2 && said.contains("may be a dataset's"), "{said}");
    }
    assert!(
        fs::read(&picture).unwrap() == before && fs::read(dir.join("alone.jpg")).unwrap() == before
    );
    let others = |run: &str| fs::read_dir(dir.join(run)).unwrap().count();
    for run in ["own", "own/red"] {
        let count = others(run);
        let (code, said) = failed(dir, &training("1", run, &["--encoder", &encoder]));
        assert!(code == 2 && said.contains("holds something else"), "{said}");
        assert_eq!(others(run), count, "{run}");
    }
}

/// The options of an import hold for all later commands, until others are given.
#[test]
fn what_was_said_at_an_import_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let own = own_folder(dir);
    fs::write(own.join("red/bird 0.txt"), "\n").unwrap();
    fs::remove_file(own.join("red/bird 3.txt")).unwrap();
    let (code, said) = failed(dir, &["data", "import", "own", "-q"]);
    assert!(code == 4 && said.contains("captions of pictures: 2 (red/bird 0."), "{code} {said}");
    assert!(said.contains("`stackgan data import DIR --uncaptioned leave-out`"), "{said}");
    let said = done(dir, &["data", "check", "own", "--uncaptioned", "leave-out", "-q"]);
    assert!(said.contains("2 pictures without captions left out"), "{said}");
    let import = |more: &[&str]| {
        let mut args = vec!["data", "import", "own", "--size", "76", "-q"];
        args.extend(more);
        done(dir, &args);
        let said = done(dir, &["data", "check", "own", "-q"]);
        let kept = fs::read_to_string(own.join("prepared/import.json")).unwrap();
        (said.contains("(seed 7)"), said.contains("left out"), kept.contains("AsReleased"))
    };
    assert_eq!(import(&["--split-seed", "7", "--uncaptioned", "leave-out"]), (true, true, false));
    assert_eq!(import(&["--contrast", "as-released"]), (true, true, true));
    assert_eq!(import(&[]), (true, true, true));
    assert_eq!(import(&["--split-seed", "0"]), (false, true, true));
}

/// A folder for each class and not one caption.
#[test]
fn names_of_folders_serve_as_captions() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (i, (picture, _)) in birds(24).into_iter().enumerate() {
        let class = dir.join("own").join(["001.red_bird", "002.green_bird"][i % 2]);
        fs::create_dir_all(&class).unwrap();
        let name = format!("{i}.{}", picture.extension().unwrap().to_str().unwrap());
        fs::copy(picture, class.join(name)).unwrap();
    }
    let (code, said) = failed(dir, &["data", "import", "own", "-q"]);
    assert!(code == 4 && said.contains("--uncaptioned class-name"), "{code} {said}");
    let import = ["data", "import", "own", "--uncaptioned", "class-name", "-q"];
    done(dir, &import);
    let said = done(dir, &["data", "captions", "own", "-q"]);
    let count = |line: &str| said.lines().filter(|said| *said == line).count();
    let forms = ["red bird", "a red bird", "a photo of a green bird", "a picture of a green bird"];
    assert_eq!(forms.map(count), [12; 4]);
    assert_eq!(said.lines().count(), 24 * 4);
    let said = done(dir, &training("1", "run", &["--dry-run"]));
    assert!(said.contains("own, 22 pictures to train on"), "{said}");
    let (code, said) = failed(dir, &[&import[..], &["--kind", "cub"]].concat());
    assert!(code == 2 && said.contains("--kind folder"), "{code} {said}");
    // A published set is one still: its folders would make sentences of their paths.
    fs::create_dir_all(dir.join("set/CUB_200_2011")).unwrap();
    let (code, said) = failed(dir, &["data", "import", "set", "--uncaptioned", "class-name", "-q"]);
    assert!(code == 2 && said.contains("--kind folder"), "{code} {said}");
    let fetch = ["data", "fetch", "cub", "--from", "nowhere", "--uncaptioned", "class-name"];
    let (code, said) = failed(dir, &fetch);
    assert!(code == 2 && said.contains("--uncaptioned"), "before anything is fetched: {said}");
}

/// Pictures that the import leaves out are left out of every count.
#[test]
fn what_is_left_out_is_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let own = own_folder(dir);
    for i in [0, 3, 6, 9] {
        let picture = fs::read_dir(own.join("red")).unwrap().map(|entry| entry.unwrap().path());
        let mut pictures =
            picture.filter(|path| path.file_stem().unwrap() == &*format!("bird {i}"));
        let picture = pictures.find(|path| path.extension().unwrap() != "txt").unwrap();
        let whole = fs::read(&picture).unwrap();
        fs::write(&picture, &whole[..whole.len() / 2]).unwrap();
    }
    done(dir, &["data", "import", "own", "--size", "76", "--damaged", "leave-out", "-q"]);
    let (code, said) = failed(dir, &["data", "check", "own"]);
    assert!(code == 0 && said.contains("4 of 24 pictures cannot be used"), "{code} {said}");
    assert!(!said.contains("--damaged leave-out"), "they are left out already: {said}");
    let found = json(dir, &["data", "check", "own", "--json", "-q"]);
    let count = |name: &str| found["prepared"][0][name].as_u64().unwrap();
    let (train, test) = (count("train_pictures"), count("test_pictures"));
    assert_eq!(train + test, 20);
    let captions = count("captions");
    let line = format!("{train} pictures to train on and {test} to test with, {captions} captions");
    let summary = found["layout"]["summary"].as_array().unwrap();
    assert!(summary[0].as_str().unwrap().starts_with(&line), "{line} in {summary:?}");
    let gone =
        |line: &Value| line.as_str().unwrap().contains("4 pictures that cannot be used left out");
    assert!(summary.iter().any(gone), "{summary:?}");
    let said = done(dir, &training("1", "run", &["--dry-run"]));
    assert!(said.contains(&format!("own, {train} pictures to train on")), "{said}");
}

/// Wide pictures, copies and captions in other letters are told; `--fit centre` holds for later imports.
#[test]
fn wide_pictures_and_copies_are_told_and_the_centre_can_be_taken() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let wide = dir.join("wide");
    for (i, (picture, captions)) in birds(8).into_iter().enumerate() {
        let split = wide.join(if i < 6 { "train" } else { "test" });
        fs::create_dir_all(&split).unwrap();
        let height = if i < 5 { 30 } else { 60 };
        let filter = image::imageops::FilterType::Nearest;
        let picture = image::open(&picture).unwrap().resize_exact(60, height, filter);
        picture.save(split.join(format!("{i}.png"))).unwrap();
        fs::write(split.join(format!("{i}.txt")), captions.join("\n")).unwrap();
    }
    fs::copy(wide.join("train/2.png"), wide.join("test/7.png")).unwrap();
    fs::write(wide.join("train/0.txt"), "красная птица\n").unwrap();
    let copies =
        "WARNING: 1 picture of the test part is also in training (first: test/7 = train/2)";
    let import = |more: &[&str]| {
        let args = [&["data", "import", "wide", "--size", "76"], more].concat();
        let (code, said) = failed(dir, &args);
        assert_eq!(code, 0, "{said}");
        let file = fs::read(wide.join("prepared/prepared-76.safetensors")).unwrap();
        let checked = done(dir, &["data", "check", "wide", "-q"]);
        assert!(checked.contains("prepared-76.safetensors: 76 px"), "out of date: {checked}");
        (said.contains(copies), checked, file)
    };
    let (warned, checked, squeezed) = import(&[]);
    let shape = "6 pictures without a box are wider or higher than 4:3";
    let small = "are less than 256 pixels wide or high";
    for part in [copies, shape, small, "--fit centre", "WARNING: 1 of ", "first train/0, \"красная"]
    {
        assert!(warned && checked.contains(part), "{part} in {checked}");
    }
    let (warned, checked, centred) = import(&["--fit", "centre"]);
    assert!(warned && checked.contains(copies) && !checked.contains(shape), "{checked}");
    assert!(centred != squeezed);
    assert!(import(&[]).2 == centred, "it holds for later imports");
    assert!(import(&["--fit", "squeeze"]).2 == squeezed);
    let document = json(dir, &["data", "check", "wide", "--json", "-q"]);
    assert_eq!(document["warnings"].as_array().unwrap().len(), 3, "{document}");
    assert_eq!(document["warnings"][2], copies);
}

/// Writes an array (rows, WIDTH) and the list of its captions.
fn encoded_elsewhere(dir: &Path, list: &str) {
    let rows = list.lines().count();
    let values: Vec<f32> = (0..rows * WIDTH).map(|k| (k * 37 % 101) as f32 / 50.0 - 1.0).collect();
    write_given(dir, WIDTH, &values, list);
}

/// Returns captions and the hashes of the pixels that `generate` painted.
pub(crate) fn painted(dir: &Path, model: &str, more: &[&str]) -> Vec<(String, String)> {
    let args = [&["generate", "-m", model, "--json", "--out", "out", "-q"], more].concat();
    let of = |line: &str| {
        let facts: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| facts[key].as_str().unwrap().to_owned();
        (text("caption"), text("pixels_sha256"))
    };
    done(dir, &args).lines().map(of).collect()
}

#[test]
fn embeddings_made_elsewhere_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let own = own_folder(dir);
    let list = done(dir, &["data", "captions", "own", "-q"]);
    let names = done(dir, &["data", "captions", "own", "--names", "-q"]);
    assert_eq!((names.lines().count(), names.lines().next()), (24, Some("blue/bird 11")));
    encoded_elsewhere(dir, &list);
    let args = ["data", "import", "own", "--embeddings", "given.npy", "-q"];
    let said = done(dir, &args);
    assert!(said.lines().last().unwrap().ends_with("prepared/embeddings.safetensors"), "{said}");
    let checked = done(dir, &["data", "check", "own", "-q"]);
    assert!(checked.contains("embeddings of 6 numbers, one for each caption"), "{checked}");
    let file = own.join("prepared/embeddings.safetensors");
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let sums = 4 * list.lines().count();
    damaged[whole.len() - sums - 1] ^= 1; // in the last number of the last row
    fs::write(&file, damaged).unwrap();
    let (code, said) = failed(dir, &["data", "check", "own", "-q"]);
    assert!(
        code == 3 && said.contains(&format!("(embeddings, row {})", list.lines().count() - 1)),
        "{code} {said}"
    );
    fs::write(&file, whole).unwrap();
    let pictures = own.join("prepared/prepared-304.safetensors");
    let whole = fs::read(&pictures).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1; // the pictures are nearly all of the file
    fs::write(&pictures, damaged).unwrap();
    let (code, said) = failed(dir, &["data", "check", "own", "-q"]);
    assert!(code == 3 && said.contains("prepared-304.safetensors (picture "), "{code} {said}");
    fs::write(&pictures, whole).unwrap();

    done(dir, &training("1", "low", &[]));
    let low = model(dir, "low");
    assert!(low["info"]["encoder"].is_null(), "{low}");
    assert!(low["info"]["encoder_fingerprint"].as_str().unwrap().starts_with("imported-"), "{low}");
    assert_eq!(low["info"]["stage1"]["net"]["text_dim"].as_u64(), Some(WIDTH as u64));
    done(dir, &training("2", "high", &["--stage1", "low"]));
    assert_eq!(
        model(dir, "high")["info"]["encoder_fingerprint"],
        low["info"]["encoder_fingerprint"]
    );
    let (code, said) = failed(dir, &["generate", "-m", "low", "-p", "a bird", "-q"]);
    assert!(code == 4 && said.contains("no text encoder of its own"), "{code} {said}");
    // Stage-II takes the embeddings of its Stage-I; no encoder is trained in their place.
    let (embeddings, aside) = (own.join("prepared/embeddings.safetensors"), dir.join("aside"));
    fs::rename(&embeddings, &aside).unwrap();
    for more in [&["--stage1", "low"][..], &["--stage1", "low", "-n"]] {
        let (code, said) = failed(dir, &training("2", "another", more));
        assert!(code == 4 && said.contains("was trained with embeddings"), "{code} {said}");
    }
    done(dir, &training("1", "named", &["--embeddings", "aside"]));
    let plan = done(dir, &training("2", "another", &["--stage1", "named", "-n"]));
    assert!(
        plan.lines().any(|line| line.starts_with("embeddings") && line.ends_with("aside")),
        "{plan}"
    );
    fs::rename(&aside, &embeddings).unwrap();
    // It paints from the embeddings. With the data their captions are known, without the data only
    // their numbers.
    let beside = ["--embeddings", "own/prepared/embeddings.safetensors"];
    let of_data = painted(dir, "high", &["--data", "own", "--rows", "0,3", "--seeds", "1-2"]);
    let of_file =
        painted(dir, "high", &[&beside[..], &["--rows", "0,3", "--seeds", "1-2"]].concat());
    assert_eq!(of_data.len(), 4);
    assert_eq!(of_data[0].0, list.lines().next().unwrap());
    assert_eq!(of_file[3].0, "row 3");
    assert!(of_data.iter().map(|p| &p.1).eq(of_file.iter().map(|p| &p.1)));
    let (code, said) = failed(dir, &["generate", "-m", "low", "--data", "own", "--rows", "99999"]);
    assert!(code == 2 && said.contains("--rows"), "{code} {said}");

    // Captions in another order, a missing line, or another dataset: refused, and existing files
    // are kept.
    let kept = fs::read(own.join("prepared/embeddings.safetensors")).unwrap();
    let mut lines: Vec<&str> = list.lines().collect();
    lines.swap(2, 9);
    fs::write(dir.join("given.txt"), lines.join("\n")).unwrap();
    let (code, said) = failed(dir, &args);
    assert!(code == 3 && said.contains("caption 3"), "{code} {said}");
    fs::write(dir.join("given.txt"), lines[1..].join("\n")).unwrap();
    assert_eq!(failed(dir, &args).0, 3);
    fs::remove_file(dir.join("given.txt")).unwrap();
    let (code, said) = failed(dir, &args);
    assert!(code == 4 && said.contains("stackgan data captions"), "{code} {said}");
    assert!(fs::read(own.join("prepared/embeddings.safetensors")).unwrap() == kept);
    let (code, said) = failed(dir, &training("1", "x", &["--encoder", "e", "--embeddings", "f"]));
    assert!(code == 2 && said.contains("--embeddings"), "{code} {said}");

    // A picture file is only touched: what was made of it is still known to be of it. Without the
    // prepared files nobody can tell, until they are made again.
    let touched = fs::read_dir(own.join("red")).unwrap().map(|entry| entry.unwrap().path());
    let touched = touched.filter(|path| path.extension().unwrap() != "txt").max().unwrap();
    let touched = fs::File::options().write(true).open(touched).unwrap();
    touched.set_modified(std::time::UNIX_EPOCH).unwrap();
    let checked = done(dir, &["data", "check", "own", "-q"]);
    assert!(!checked.contains("still belong"), "{checked}");
    for side in ["76", "304"] {
        fs::remove_file(own.join(format!("prepared/prepared-{side}.source"))).unwrap();
    }
    let checked = done(dir, &["data", "check", "own", "-q"]);
    assert!(checked.contains("one for each caption"), "{checked}");
    assert!(checked.contains("whether the embeddings still belong"), "{checked}");
    done(dir, &["data", "import", "own", "--contrast", "as-released", "-q"]);
    let checked = done(dir, &["data", "check", "own", "-q"]);
    assert!(!checked.contains("still belong"), "{checked}");

    // A caption is corrected: the embeddings now belong to another dataset.
    let text = own.join("red/bird 0.txt");
    fs::write(&text, "another bird").unwrap();
    let (code, said) = failed(dir, &["data", "check", "own", "-q"]);
    assert!(code == 3 && said.contains("the embeddings are stale"), "{code} {said}");
    let (code, said) = failed(dir, &training("1", "y", &[]));
    assert!(code == 3 && said.contains("belong to another dataset"), "{code} {said}");
}

/// What is made for a folder that cannot be written is found by its name alone, as in the folder.
#[test]
fn a_folder_that_cannot_be_written_has_its_embeddings_too() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let own = own_folder(dir);
    fs::write(own.join("prepared"), "in the way").unwrap(); // not even root can make the folder
    let list = done(dir, &["data", "captions", "own", "-q"]);
    encoded_elsewhere(dir, &list);
    let import = ["data", "import", "own", "--contrast", "as-released", "-q"];
    let said = done(dir, &[&import[..], &["--embeddings", "given.npy"]].concat());
    assert!(said.lines().count() == 3 && said.lines().all(|line| line.starts_with("data/")));
    let checked = done(dir, &["data", "check", "own", "-q"]);
    assert!(checked.contains("embeddings of 6 numbers, one for each caption"), "{checked}");
    done(dir, &training("1", "low", &[]));
    done(dir, &training("2", "high", &["--stage1", "low"]));
    let low = model(dir, "low");
    assert!(low["info"]["encoder_fingerprint"].as_str().unwrap().starts_with("imported-"), "{low}");
    assert_eq!(painted(dir, "high", &["--data", "own", "--rows", "0,3"]).len(), 2);
    assert_eq!(fs::read_dir(dir.join("data/prepared")).unwrap().count(), 1);
    // With the options of the import, nothing is prepared again.
    let files = said.lines().take(2).map(|file| dir.join(file));
    let times = |file: PathBuf| file.metadata().unwrap().modified().unwrap();
    let before: Vec<_> = files.clone().map(times).collect();
    done(dir, &["data", "import", "own", "-q"]);
    assert!(files.map(times).eq(before));

    // Writable again, and what is new lies in the folder: the embeddings are found where they were.
    fs::remove_file(own.join("prepared")).unwrap();
    fs::remove_file(dir.join(said.lines().nth(1).unwrap())).unwrap();
    let eval = ["eval", "-m", "high", "--data", "own", "--metrics", "variety", "--num", "10"];
    done(dir, &[&eval[..], &["--split", "train", "-q"]].concat());
    assert!(own.join("prepared/prepared-304.safetensors").is_file());
}
