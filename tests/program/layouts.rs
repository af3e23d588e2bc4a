//! Small folders in the layouts of Oxford-102 and COCO 2014, from their parts to a few steps of
//! training; and sets whose parts do not lie where they are read.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::common::{TINY, WORLD, done, failed, set, slashes, stackgan};
use crate::errors::four_parts;
use crate::own::birds;

/// Converts a picture to JPEG.
fn jpeg(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    image::open(from).unwrap().to_rgb8().save(to).unwrap();
}

fn train(dir: &Path, data: &str, preset: &str) {
    let encoder = WORLD.encoder().display().to_string();
    let mut args =
        vec!["train", "--stage", "1", "--preset", preset, "-q", "--data", data, "--run", "run"];
    args.extend(["--encoder", &encoder, "--set", "optim.epochs=0", "--set", "optim.steps=2"]);
    args.extend(set(TINY));
    done(dir, &args);
    assert!(dir.join("run/model.safetensors").is_file());
}

#[test]
fn flowers_by_class_are_imported_and_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (i, (picture, captions)) in birds(20).into_iter().enumerate() {
        let name = format!("image_{:05}", i + 1);
        jpeg(&picture, &dir.join(format!("flowers/jpg/{name}.jpg")));
        let class = dir.join(format!("flowers/text_c10/class_{:05}", 1 + i % 6));
        fs::create_dir_all(&class).unwrap();
        if i != 13 {
            fs::write(class.join(format!("{name}.txt")), captions.join("\n")).unwrap();
        }
    }
    // One picture has no captions: this is reported, and then it is left out for all later
    // commands.
    let (code, said) = failed(dir, &["data", "check", "flowers"]);
    assert!(code == 3 && said.contains("not complete"), "{code} {said}");
    let (code, said) = failed(dir, &["data", "import", "flowers", "-q"]);
    assert!(code == 4 && said.contains("jpg/image_00014"), "{code} {said}");
    done(dir, &["data", "import", "flowers", "--uncaptioned", "leave-out", "-q"]);
    let said = done(dir, &["data", "check", "flowers"]);
    assert!(said.contains("(oxford)") && said.contains("1 of 6 classes"), "{said}");
    let said = done(dir, &["data", "check", "flowers/prepared/prepared-76.safetensors"]);
    assert!(said.contains("5 and 1 class"), "{said}");
    train(dir, "flowers", "oxford");
}

#[test]
fn scenes_with_annotations_are_imported_and_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let sides = [("train2014", 0..14), ("val2014", 14..18)];
    let birds = birds(18);
    for (year, range) in sides {
        let (mut images, mut annotations) = (Vec::new(), Vec::new());
        for i in range {
            let (picture, captions) = &birds[i];
            let name = format!("COCO_{year}_{:012}.jpg", i + 9);
            jpeg(picture, &dir.join(format!("coco/{year}/{name}")));
            images.push(json!({"id": i + 9, "file_name": name, "license": 1}));
            // The captions of a picture are not adjacent, as in the real lists.
            for (n, caption) in captions.iter().enumerate() {
                annotations
                    .insert(0, json!({"image_id": i + 9, "id": 100 * i + n, "caption": caption}));
            }
        }
        fs::create_dir_all(dir.join("coco/annotations")).unwrap();
        let list = json!({"info": {"year": 2014}, "images": images, "annotations": annotations});
        let file = dir.join(format!("coco/annotations/captions_{year}.json"));
        fs::write(file, list.to_string()).unwrap();
    }
    let said = done(dir, &["data", "check", "coco"]);
    assert!(
        said.contains("(coco)") && said.contains("14 pictures to train on and 4 to test"),
        "{said}"
    );
    done(dir, &["data", "import", "coco", "--size", "76", "-q"]);
    let file = dir.join("coco/prepared/prepared-76.safetensors");
    let made = fs::read(&file).unwrap();
    let header = String::from_utf8_lossy(&made[..4096.min(made.len())]).into_owned();
    assert!(header.contains(r#"\"resizing\":\"plain\""#), "COCO is resized as its release does");
    train(dir, "coco", "coco");
    assert!(fs::read(&file).unwrap() == made, "training imported it again");
}

/// `birds.zip`, which only a person can download, unpacks to a folder `birds`.
#[test]
fn birds_unpacked_by_hand_are_found_and_fetched_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &["data", "toy", "--out", "set", "--count", "12", "-q"]);
    let birds = dir.join("set/birds");
    fs::create_dir(&birds).unwrap();
    for part in ["text", "train", "test"] {
        fs::rename(dir.join("set").join(part), birds.join(part)).unwrap();
    }
    let moves = "move text, train and test from set/birds up into set";
    let checked = stackgan(dir, &["data", "check", "set"]).output().unwrap();
    let shown = slashes(String::from_utf8(checked.stdout).unwrap());
    assert!(!checked.status.success() && shown.contains(moves), "{shown}");
    let (code, error) = failed(dir, &["data", "import", "set", "-q"]);
    assert_eq!(code, 4, "{error}");
    four_parts(&error, moves);
    done(dir, &["data", "fetch", "cub", "--into", "set", "--size", "76", "-q"]);
    assert!(birds.join("text").is_dir() && dir.join("set/train/filenames.pickle").is_file());
    let shown = done(dir, &["data", "check", "set", "-q"]);
    assert!(shown.contains("every picture can be read"), "{shown}");
}

#[test]
fn a_set_below_the_folder_that_was_named_is_pointed_at() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &["data", "toy", "--out", "deep/x/birds", "--count", "12", "-q"]);
    for command in ["check", "import"] {
        let (code, error) = failed(dir, &["data", command, "deep", "-q"]);
        assert_eq!(code, 4, "{error}");
        four_parts(&error, "`x/birds` looks like CUB-200-2011");
        assert!(error.contains("name that folder: deep/x/birds"), "{error}");
    }
}

/// As Kaggle has Flickr8k: a table `captions.txt` beside the folder of pictures.
#[test]
fn a_table_with_the_header_of_another_program_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut table = "image,caption\n".to_owned();
    for (i, (picture, captions)) in birds(6).into_iter().enumerate() {
        jpeg(&picture, &dir.join(format!("own/Images/{i}.jpg")));
        captions.iter().for_each(|caption| table += &format!("{i}.jpg,\"{caption}\"\n"));
    }
    fs::write(dir.join("own/captions.txt"), &table).unwrap();
    let (code, error) = failed(dir, &["data", "import", "own", "-q"]);
    assert_eq!(code, 4, "{error}");
    four_parts(&error, "6 are in another folder (0.jpg for Images/0.jpg)");
    fs::rename(dir.join("own/captions.txt"), dir.join("own/Images/captions.txt")).unwrap();
    let shown = done(dir, &["data", "check", "own", "-q"]);
    for part in ["captions of 6 pictures; columns used: caption, image", "can be read"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}
