//! What is made of sentences beside single pictures: `edit`, `interpolate`.

use std::fs;
use std::path::{Path, PathBuf};

use image::AnimationDecoder as _;
use image::codecs::png::PngDecoder;
use serde_json::Value;

use crate::common::{done, failed, train, training};
use crate::errors::four_parts;

/// A folder with a Stage-I model, `run`, whose pictures differ by words and noise.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut args = training("1", "2", &dir.path().join("run"));
    args.extend(["--set", "optim.lr_g=0.1"].map(str::to_owned)); // words shall be seen at once
    train(dir.path(), &args);
    dir
}

/// Runs a command with `run` and `-q`; the files that it names.
fn painted(dir: &Path, command: &str, more: &[&str]) -> Vec<PathBuf> {
    let said = done(dir, &[&[command, "-m", "run", "-q"], more].concat());
    said.lines().map(|line| dir.join(line)).collect()
}

fn names(files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn documents(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn alternatives_are_painted_as_their_sentences_are() {
    let folder = folder();
    let dir = folder.path();
    let prompt = ["-p", "a {red, blue} bird with a {short,long} beak", "--seeds", "0,5"];
    let edited = painted(dir, "edit", &[&prompt[..], &["--out", "a"]].concat());
    assert_eq!(edited.len(), 9);
    assert_eq!(edited[8], dir.join("a/edit.png"));
    let sheet = image::open(&edited[8]).unwrap();
    assert!(
        sheet.width() > 2 * 128 && sheet.height() > 4 * 128,
        "two columns, two rows for each seed"
    );
    let sentences = [
        "red bird with a short",
        "red bird with a long",
        "blue bird with a short",
        "blue bird with a long",
    ];
    for (i, file) in edited[..8].iter().enumerate() {
        let (sentence, seed) = (format!("a {} beak", sentences[i / 2]), ["0", "5"][i % 2]);
        let alone = painted(dir, "generate", &["-p", &sentence, "--seed", seed, "--out", "b"]);
        assert_eq!(
            names(&edited)[i][6..],
            names(&alone)[0][6..],
            "the same name but for its number"
        );
        assert!(fs::read(file).unwrap() == fs::read(&alone[0]).unwrap(), "{sentence}, seed {seed}");
    }
    let said =
        done(dir, &[&["edit", "-m", "run", "-q", "--json", "--out", "c"], &prompt[..]].concat());
    let facts = documents(&said);
    assert_eq!(
        (facts.len(), &facts[7]["caption"]),
        (8, &Value::from("a blue bird with a long beak"))
    );
    assert_eq!(fs::read(dir.join("c/edit.png")).unwrap(), fs::read(&edited[8]).unwrap());
    let generate =
        ["generate", "-m", "run", "-q", "-p", "a bird", "--json", "--grid", "--out", "d"];
    assert_eq!(documents(&done(dir, &generate)).len(), 1, "JSON alone");
    assert!(dir.join("d/grid.png").is_file());
}

#[test]
fn alternatives_that_cannot_be_read_are_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let many = "{a,b}".repeat(9);
    for prompt in
        ["a {red bird", "a red} bird", "a {red,} bird", "a {red} bird", "a red bird", "", &many]
    {
        let (code, error) = failed(dir.path(), &["edit", "-m", "none", "-p", prompt]);
        assert_eq!(code, 2, "{prompt}: {error}");
        four_parts(&error, "--prompt");
    }
    let args = ["edit", "-m", "none", "-p", "a {red,blue} bird", "--seeds", "0-999"];
    let (code, error) = failed(dir.path(), &args);
    assert_eq!(code, 2, "{error}");
    four_parts(&error, "2000");
}

/// Pixels of the frames of an animation, and how long each stays, in milliseconds.
fn frames(file: &Path) -> Vec<(Vec<u8>, u32)> {
    let decoder = PngDecoder::new(std::io::BufReader::new(fs::File::open(file).unwrap())).unwrap();
    let frames = decoder.apng().unwrap().into_frames().collect_frames().unwrap();
    let frame = |frame: image::Frame| {
        let (milliseconds, parts) = frame.delay().numer_denom_ms();
        let rgb = image::DynamicImage::ImageRgba8(frame.into_buffer()).into_rgb8();
        (rgb.into_raw(), milliseconds / parts)
    };
    frames.into_iter().map(frame).collect()
}

fn pixels(file: &Path) -> Vec<u8> {
    image::open(file).unwrap().into_rgb8().into_raw()
}

#[test]
fn an_animation_leads_from_one_sentence_to_the_other() {
    let folder = folder();
    let dir = folder.path();
    let (from, to) = ("a red bird with a yellow belly", "a blue bird with a long black tail");
    let asked = ["--from", from, "--to", to, "--seed", "4", "--frames", "37", "--fps", "25"];
    let files = painted(dir, "interpolate", &[&asked[..], &["--each", "--out", "a"]].concat());
    assert_eq!(names(&files), ["interpolation.png", "sheet.png"]);
    let way = frames(&files[0]);
    assert_eq!(way.len(), 37);
    assert_eq!([way[0].1, way[1].1, way[35].1, way[36].1], [1000, 40, 40, 1000]);
    for (caption, frame) in [(from, 0), (to, 36)] {
        let alone = painted(dir, "generate", &["-p", caption, "--seed", "4", "--out", "b"]);
        assert!(way[frame].0 == pixels(&alone[0]), "{caption}");
        let single = dir.join(format!("a/frames/{frame:06}.png"));
        assert!(fs::read(single).unwrap() == fs::read(&alone[0]).unwrap(), "{caption}");
    }
    for (frame, (rgb, _)) in way.iter().enumerate() {
        assert!(*rgb == pixels(&dir.join(format!("a/frames/{frame:06}.png"))), "{frame}");
        assert!(frame == 0 || *rgb != way[0].0, "{frame}");
    }
    assert_eq!(fs::read_dir(dir.join("a/frames")).unwrap().count(), 37);
    // The same bytes on one thread, and no single frames.
    let again =
        painted(dir, "interpolate", &[&asked[..], &["--out", "c", "--threads", "1"]].concat());
    assert!(fs::read(&again[0]).unwrap() == fs::read(&files[0]).unwrap());
    assert!(fs::read(&again[1]).unwrap() == fs::read(&files[1]).unwrap());
    assert_eq!(fs::read_dir(dir.join("c")).unwrap().count(), 2);
}

#[test]
fn an_animation_passes_every_seed() {
    let folder = folder();
    let dir = folder.path();
    let asked = ["-p", "a red bird", "--seeds", "3,0,7", "--frames", "9", "--json", "--out", "a"];
    let said = done(dir, &[&["interpolate", "-m", "run", "-q"], &asked[..]].concat());
    let facts: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&facts["frames"], &facts["stops"][2]["seed"]), (&Value::from(9), &Value::from(7)));
    let way = frames(&dir.join(facts["file"].as_str().unwrap()));
    let alone = painted(dir, "generate", &["-p", "a red bird", "--seeds", "3,0,7", "--out", "b"]);
    for (stop, file) in alone.iter().enumerate() {
        assert!(way[4 * stop].0 == pixels(file), "{stop}");
    }
    assert!(way[2].0 != way[0].0 && way[2].0 != way[4].0);
    for (more, place) in [
        (&["-p", "a bird", "--seeds", "3"][..], "--seeds"),
        (&["-p", "a bird", "--seeds", "0-9", "--frames", "9"], "--seeds"),
        (&["--from", "a bird", "--to", " "], "--from"),
    ] {
        let (code, error) = failed(dir, &[&["interpolate", "-m", "run"], more].concat());
        assert_eq!(code, 2, "{more:?}: {error}");
        four_parts(&error, place);
    }
    for more in [
        &["-p", "a bird"][..],
        &["--from", "a bird"],
        &[],
        &["--to", "a", "--from", "b", "-p", "c"],
    ] {
        assert_eq!(failed(dir, &[&["interpolate", "-m", "run"], more].concat()).0, 2, "{more:?}");
    }
}
