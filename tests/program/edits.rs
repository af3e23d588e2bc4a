//! `edit`, `interpolate` and `repro`: results other than single pictures, and reproducing pictures.

use std::fs;
use std::path::{Path, PathBuf};

use image::AnimationDecoder as _;
use image::codecs::png::PngDecoder;
use serde_json::Value;
use stackgan_core::{Provenance, Stage};

use crate::common::{TELLING, WORLD, done, failed, json, stackgan, training, with};
use crate::errors::four_parts;
#[cfg(unix)]
use crate::folder::{signal, start, wait_for};

/// Returns a folder with a Stage-I model, `run`, whose pictures depend on words and noise.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &with(&training("1", "2", &dir.path().join("run")), &TELLING));
    dir
}

/// Runs a command with `run` and `-q`, and returns the files that it names.
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

/// Returns exit code, stdout and stderr.
fn judged(dir: &Path, more: &[&str]) -> (i32, String, String) {
    let output = stackgan(dir, &[&["repro", "-q"], more].concat()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
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
    assert_eq!(judged(dir, &["-m", "run", facts[7]["file"].as_str().unwrap()]).0, 0);
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

/// Returns the pixels of an animation's frames, and their display times in milliseconds.
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
    // A shorter animation would leave frames of this one after its own. One of equal length
    // replaces them.
    let more = ["--each", "--out", "a", "--frames", "36", "--from", from, "--to", to];
    let (code, error) = failed(dir, &[&["interpolate", "-m", "run"], &more[..]].concat());
    assert_eq!(code, 2, "{error}");
    four_parts(&error, "000036.png");
    assert_eq!(frames(&files[0]).len(), 37, "nothing was written");
    painted(dir, "interpolate", &[&asked[..], &["--each", "--out", "a"]].concat());
    // Pictures of one's own stay, and a file is no folder of frames.
    fs::create_dir_all(dir.join("own/frames")).unwrap();
    fs::create_dir(dir.join("file")).unwrap();
    for (out, own) in [("own", "frames/000007.png"), ("file", "frames")] {
        let own_file = dir.join(out).join(own);
        fs::write(&own_file, "mine").unwrap();
        let more = [&["interpolate", "-m", "run"], &asked[..], &["--each", "--out", out]].concat();
        let (code, error) = failed(dir, &more);
        assert_eq!(code, 2, "{error}");
        four_parts(&error, own);
        assert_eq!(fs::read(own_file).unwrap(), b"mine");
        assert!(!dir.join(out).join("interpolation.png").exists(), "painted before it was refused");
    }
    // One thread gives the same bytes; without `--each` there are no single frames.
    let again =
        painted(dir, "interpolate", &[&asked[..], &["--out", "c", "--threads", "1"]].concat());
    assert!(fs::read(&again[0]).unwrap() == fs::read(&files[0]).unwrap());
    assert!(fs::read(&again[1]).unwrap() == fs::read(&files[1]).unwrap());
    assert_eq!(fs::read_dir(dir.join("c")).unwrap().count(), 2);
}

#[test]
fn sentence_and_seed_move_together() {
    let folder = folder();
    let dir = folder.path();
    let ends =
        [("a red bird with a yellow belly", "4"), ("a blue bird with a long black tail", "9")];
    let asked = ["--from", ends[0].0, "--to", ends[1].0, "--seeds", "4,9", "--frames", "3"];
    let way = frames(&painted(dir, "interpolate", &[&asked[..], &["--out", "a"]].concat())[0]);
    for ((caption, seed), (rgb, _)) in ends.into_iter().zip([&way[0], &way[2]]) {
        let alone = painted(dir, "generate", &["-p", caption, "--seed", seed, "--out", "b"]);
        assert!(*rgb == pixels(&alone[0]), "{caption}");
    }
    assert!(way[1].0 != way[0].0 && way[1].0 != way[2].0);
}

#[test]
fn an_animation_passes_every_seed() {
    let folder = folder();
    let dir = folder.path();
    let asked = ["-p", "a red bird", "--seeds", "3,0,7", "--frames", "9", "--json", "--out", "a"];
    let facts = json(dir, &[&["interpolate", "-m", "run", "-q"], &asked[..]].concat());
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
        (&["--from", "a bird", "--to", "a bee", "--seeds", "0-2"], "--seeds"),
        (&["--from", "a bird", "--to", " "], "option: --to"),
        (&["--from", "", "--to", "a bird"], "option: --from"),
        (&["-p", " ", "--seeds", "0,1"], "option: --prompt"),
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

#[cfg(unix)]
#[test]
fn an_animation_that_a_signal_ends_leaves_nothing() {
    let folder = folder();
    let dir = folder.path();
    let in_a = || -> Vec<PathBuf> {
        let entries = fs::read_dir(dir.join("a")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let painted = |file: &PathBuf| file.metadata().is_ok_and(|facts| facts.len() > 100_000);
    for (name, expected, more) in [("-INT", 130, &[][..]), ("-TERM", 143, &["--each"])] {
        let ways = ["-p", "a red bird", "--seeds", "0,1", "--frames", "10000", "--out", "a"];
        let args = [&["interpolate", "-m", "run"], &ways[..], more].concat();
        let mut child = start(dir, &args);
        wait_for("many frames", &mut child, || in_a().iter().any(painted));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(expected), "{said}");
        assert!(said.contains("stopped; a/interpolation.png is not written"), "{said}");
        assert_eq!(in_a(), <Vec<PathBuf>>::new(), "{name}");
    }
}

/// Writes a picture with changed metadata and pixels.
fn forged(file: &Path, to: &Path, change: impl FnOnce(&mut Provenance, &mut Vec<u8>)) {
    let (mut said, mut picture) = Provenance::read(&fs::read(file).unwrap()).unwrap();
    change(&mut said, &mut picture.rgb);
    fs::write(to, said.encode_png(&picture, "run").unwrap()).unwrap();
}

#[test]
fn pictures_are_painted_again_and_compared() {
    let folder = folder();
    let dir = folder.path();
    done(dir, &with(&training("2", "1", &dir.join("high")), &["--stage1", "run"]));
    let generate = ["generate", "-m", "high", "-q", "--out", "a"];
    let said = done(
        dir,
        &[&generate[..], &["-p", "a red bird", "-p", "a blue bird", "--seeds", "0-1"]].concat(),
    );
    let more = ["-p", "a bird", "--seed", "9", "--stage", "1", "--z-scale", "0.3"];
    let other = done(dir, &[&generate[..], &more[..]].concat());
    let files: Vec<&str> = said.lines().chain(other.lines()).collect();
    let (code, lines, error) =
        judged(dir, &[&["-m", "high", "--out", "again"], &files[..]].concat());
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(lines.lines().count(), 5);
    assert!(lines.lines().all(|line| line.ends_with(".png: equal to the bit")), "{lines}");
    let again = dir.join("again/000003-seed00001-a-blue-bird.png");
    assert!(fs::read(again).unwrap() == fs::read(dir.join(files[3])).unwrap());

    let first = dir.join(files[0]);
    forged(&first, &dir.join("touched.png"), |_, rgb| rgb[100] ^= 8);
    forged(&dir.join(files[4]), &dir.join("seed.png"), |said, _| said.seed += 1);
    forged(&first, &dir.join("version.png"), |said, _| said.version = "0.0.1".to_owned());
    let ours = ["-m", "high", "--json", "touched.png", "seed.png", "version.png", files[0]];
    let (code, lines, _) = judged(dir, &ours);
    assert_eq!(code, 5, "{lines}");
    let facts = documents(&lines);
    let verdicts: Vec<&str> = facts.iter().map(|f| f["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["changed", "differs", "equal", "equal"]);
    assert_eq!((&facts[0]["differing"], &facts[0]["largest"]), (&Value::from(1), &Value::from(8)));
    assert_eq!(facts[0]["painted_as_named"], true);
    assert_eq!(facts[3]["said"]["arithmetic"], facts[3]["arithmetic"]);
    let (code, lines, _) = judged(dir, &["-m", "high", "touched.png"]);
    assert!(
        code == 5 && lines.contains("changed since it was painted: 1 of 65536 pixels, by 8 of 255"),
        "{lines}"
    );
}

/// A picture can be given away without its caption.
#[test]
fn pictures_without_metadata_say_nothing() {
    let folder = folder();
    let dir = folder.path();
    let signed = painted(dir, "generate", &["-p", "a red bird", "--out", "a"]);
    let bare = painted(dir, "generate", &["-p", "a red bird", "--no-metadata", "--out", "b"]);
    let (_, picture) = Provenance::read(&fs::read(&signed[0]).unwrap()).unwrap();
    let bytes = fs::read(&bare[0]).unwrap();
    assert!(Provenance::read(&bytes).is_err());
    assert!(!bytes.windows(4).any(|part| part == b"iTXt"), "no text at all");
    assert_eq!(picture.encode_png().unwrap(), bytes, "the same pixels");
    let film =
        ["--seeds", "0-1", "--frames", "3", "-p", "a red bird", "--no-metadata", "--out", "c"];
    painted(dir, "interpolate", &film);
    let film = fs::read(dir.join("c/interpolation.png")).unwrap();
    assert!(!film.windows(4).any(|part| part == b"iTXt"));
}

#[test]
fn a_picture_that_cannot_be_judged_leaves_the_others() {
    let folder = folder();
    let dir = folder.path();
    let files =
        painted(dir, "generate", &["-p", "a red bird", "--seeds", "0-1", "--grid", "--out", "a"]);
    let file = |i: usize| files[i].to_str().unwrap();
    let (code, lines, error) = judged(dir, &["-m", "run", file(2), file(0)]);
    assert_eq!(code, 3, "{error}");
    four_parts(&error, "grid.png");
    assert!(
        lines.contains("grid.png: not judged") && lines.contains("equal to the bit"),
        "{lines}"
    );
    // A picture that differs has priority.
    forged(&files[0], &dir.join("seed.png"), |said, _| said.seed += 1);
    let (code, lines, error) =
        judged(dir, &["-m", "run", "--json", "seed.png", file(2), "none.png"]);
    assert_eq!((code, error.as_str()), (5, ""));
    let verdicts: Vec<Value> = documents(&lines).iter().map(|f| f["verdict"].clone()).collect();
    assert_eq!(verdicts, ["differs", "refused", "refused"]);

    done(dir, &with(&training("1", "1", &dir.join("other")), &["--seed", "1"]));
    let (said, _) = Provenance::read(&fs::read(&files[0]).unwrap()).unwrap();
    let (code, _, error) = judged(dir, &["-m", "other", file(0)]);
    assert_eq!(code, 3, "{error}");
    four_parts(&error, &said.model_sha256);
    forged(&files[0], &dir.join("stage.png"), |said, _| said.stage = Stage::Two);
    forged(&files[0], &dir.join("encoder.png"), |said, _| said.encoder = "ab".repeat(32));
    let own = files[1].parent().unwrap().to_str().unwrap();
    for (more, code, place) in [
        (&["stage.png"][..], 3, "stage 2"),
        (&["encoder.png"], 3, "another text encoder"),
        (&["none.png"], 4, "none.png"),
        (&[file(0), "--out", own], 2, "--out"),
    ] {
        let (found, _, error) = judged(dir, &[&["-m", "run"], more].concat());
        assert_eq!(found, code, "{more:?}: {error}");
        four_parts(&error, place);
    }
    assert_eq!(judged(dir, &["-m", "none", file(0)]).0, 4);
}

#[test]
fn a_picture_of_embeddings_is_painted_from_them_again() {
    let folder = folder();
    let dir = folder.path();
    let encoder = WORLD.encoder().display().to_string();
    for (name, sentence) in [("red", "a red bird with a yellow belly"), ("blue", "a blue bird")] {
        let output = format!("{name}.safetensors");
        let encode =
            ["text", "encode", "--encoder", &encoder, "--output", &output, "-q", "-p", sentence];
        done(dir, &[&encode[..], &["-p", "a bird"]].concat());
    }
    let of_row =
        painted(dir, "generate", &["--embeddings", "red.safetensors", "--rows", "0", "--out", "a"]);
    let file = of_row[0].to_str().unwrap();
    let (said, _) = Provenance::read(&fs::read(file).unwrap()).unwrap();
    // The file holds its captions; one that holds none names rows by their places.
    assert!(said.caption == "a red bird with a yellow belly" && said.embedding_sha256.is_some());
    forged(&of_row[0], &dir.join("row.png"), |said, _| said.caption = "row 0".to_owned());
    for picture in [file, "row.png"] {
        let with = |name| ["-m", "run", picture, "--embeddings", name];
        assert_eq!(judged(dir, &with("red.safetensors")).0, 0);
        let (code, lines, error) = judged(dir, &with("blue.safetensors"));
        assert_eq!(code, 4, "{picture}: {error}");
        four_parts(&error, "a row of embeddings");
        assert!(lines.contains("not judged"), "{lines}");
    }
    // Whether all rows fit on a sheet is known before the first is painted.
    let many = ["generate", "-m", "run", "--embeddings", "red.safetensors", "--seeds", "0-2048"];
    let (code, error) = failed(dir, &[&many[..], &["--grid", "--out", "many"]].concat());
    assert!(code == 2 && error.contains("too large"), "{code} {error}");
    assert!(!dir.join("many").exists(), "painted before it was refused");
    // If the caption is the sentence of the row, that is enough.
    assert_eq!(judged(dir, &["-m", "run", file]).0, 0);
    let (code, _, error) = judged(dir, &["-m", "run", "row.png"]);
    assert_eq!(code, 4, "{error}");
    four_parts(&error, "a row of embeddings");
}

/// A shell's script easily types a space too many, which no one sees.
#[test]
fn the_space_around_a_sentence_is_not_painted() {
    let folder = folder();
    let dir = folder.path();
    let bytes = |files: &[PathBuf]| files.iter().map(|f| fs::read(f).unwrap()).collect::<Vec<_>>();
    let said = painted(dir, "generate", &["-p", "a red bird", "--out", "said"]);
    let wide = painted(dir, "generate", &["-p", " a red bird\t ", "--out", "wide"]);
    assert_eq!(names(&said), names(&wide));
    assert!(bytes(&said) == bytes(&wide));
    let way = |from: &str, out: &str| {
        let more = ["--from", from, "--to", "a blue bird", "--frames", "2", "--out", out];
        bytes(&painted(dir, "interpolate", &more))
    };
    assert!(way("a red bird", "way") == way("a red bird ", "other"));
}

/// A line that cannot be read is named, and nothing is painted before it.
#[test]
fn a_wrong_line_of_captions_is_named_before_painting() {
    let folder = folder();
    let dir = folder.path();
    for (line, found) in [("x".repeat(4097), "a longer line"), ("a\0b".to_owned(), "a NUL byte")] {
        let text = format!("a red bird\n\n{}{line}\n", "a blue bird\n".repeat(40));
        fs::write(dir.join("captions.txt"), text).unwrap();
        let (code, error) =
            failed(dir, &["generate", "-m", "run", "--captions", "captions.txt", "--out", "none"]);
        assert_eq!(code, 3, "{error}");
        four_parts(&error, "file: captions.txt, line 43");
        assert!(error.contains(found) && !dir.join("none").exists(), "{error}");
    }
}

/// Some editors begin a text with a byte order mark, which is no part of the first sentence.
#[test]
fn a_mark_before_the_captions_is_not_painted() {
    let folder = folder();
    let dir = folder.path();
    fs::write(dir.join("captions.txt"), "\u{feff}a red bird\r\n").unwrap();
    let said = painted(dir, "generate", &["-p", "a red bird", "--out", "said"]);
    let read = painted(dir, "generate", &["--captions", "captions.txt", "--out", "read"]);
    assert_eq!(names(&said), names(&read));
    assert!(fs::read(&said[0]).unwrap() == fs::read(&read[0]).unwrap());
    // Blank lines between captions are told, those after the last one are not.
    for (text, told) in [("a\n\u{a0}\n\nb\n", true), ("a\nb\n\n", false)] {
        fs::write(dir.join("captions.txt"), text).unwrap();
        let read = ["generate", "-m", "run", "--captions", "captions.txt", "--out", "blank"];
        let said = stackgan(dir, &read).output().unwrap();
        let error = String::from_utf8(said.stderr).unwrap();
        assert_eq!(error.contains("2 blank lines of captions.txt"), told, "{error}");
    }
}
