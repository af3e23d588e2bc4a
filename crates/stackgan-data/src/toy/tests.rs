//! Tests of the drawn birds as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::backdrop::Background;
use super::captions::{Caption, MAX_LEN, Mentions, PER_PICTURE, captions};
use super::picture::{Picture, Pose};
use super::shape::{HEIGHT, WIDTH};
use super::species::{Length, Size, species};
use super::*;
use crate::dataset::Split;

/// Every file under `dir` with its bytes, sorted by path.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                all.push((name, fs::read(path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

fn write_with(threads: usize, dir: &Path, count: usize, seed: u64) -> ToyReport {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| write(dir, &ToyConfig { count, seed }, &|_, _| ())).unwrap()
}

fn sample(seed: u64, n: usize) -> Vec<Picture> {
    let all = species(seed, n).unwrap();
    all.into_iter().enumerate().map(|(i, s)| Picture::new(seed, i, s)).collect()
}

#[test]
fn same_seed_same_bytes_whatever_the_threads() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    write_with(1, &at("a"), 40, 7);
    write_with(3, &at("b"), 40, 7);
    write_with(2, &at("c"), 40, 8);
    let (a, b, c) = (files(&at("a")), files(&at("b")), files(&at("c")));
    assert!(a == b);
    assert!(a != c);
    // There is nothing besides the three.
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 3);
}

fn is_word(word: &str, text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphabetic()).any(|w| w == word)
}

/// Reads only the text, except for the colours, which `named_in` reads.
fn check_words(text: &str, m: &Mentions) {
    let said = |words: &[&str]| words.iter().any(|w| is_word(w, text));
    assert_eq!(named_in(text), m.named, "{text}");
    let small = said(&["small", "little"]);
    assert_eq!(
        (small, said(&["large", "big"])),
        (m.size == Some(Size::Small), m.size == Some(Size::Large))
    );
    assert_eq!(
        (said(&["left"]), said(&["right"])),
        (m.facing == Some(Facing::Left), m.facing == Some(Facing::Right))
    );
    assert_eq!(said(&["branch"]), m.pose.is_some_and(|p| p != Pose::Standing), "{text}");
    assert_eq!(said(&["standing"]), m.pose == Some(Pose::Standing), "{text}");
    assert_eq!(said(&["lifting", "raised"]), m.pose == Some(Pose::WingLifted), "{text}");
    assert_eq!(said(&["beak", "bill"]), m.beak.is_some() || m.beak_length.is_some(), "{text}");
    assert_eq!(said(&["tail"]), m.tail.is_some(), "{text}");
    let count =
        |w: &str| text.split(|c: char| !c.is_ascii_alphabetic()).filter(|x| *x == w).count();
    for length in [Length::Short, Length::Long] {
        let named = [m.beak_length, m.tail].iter().filter(|l| **l == Some(length)).count();
        assert_eq!(count(length.name()), named, "{text}");
    }
    for c in Colour::PLUMAGE.into_iter().chain([Colour::Orange, Colour::Gray]) {
        let Named { body, wing, belly, crown } = m.named;
        let parts = [body, wing, belly, crown, m.beak, m.tail_colour];
        assert_eq!(count(c.name()), parts.iter().filter(|p| **p == Some(c)).count(), "{text}");
    }
    for (background, words) in [
        (Background::Sky, vec!["sky"]),
        (Background::Leaves, vec!["leaves", "foliage"]),
        (Background::Water, vec!["water", "lake"]),
        (Background::Snow, vec!["snowy", "winter"]),
        (Background::Meadow, vec!["meadow", "grassy", "grassland"]),
        (Background::Dusk, vec!["sunset", "dusk", "evening"]),
    ] {
        assert_eq!(said(&words), m.background == Some(background), "{text}");
    }
}

/// Checks that every mention is an attribute of the picture.
fn check_truth(text: &str, m: &Mentions, p: &Picture) {
    fn holds<T: PartialEq>(said: Option<T>, is: T) -> bool {
        said.is_none_or(|s| s == is)
    }
    let s = &p.species;
    let truths = [
        holds(m.named.body, s.body),
        holds(m.named.wing, s.wing),
        holds(m.named.belly, s.belly),
        holds(m.named.crown, s.crown),
        holds(m.beak, s.beak),
        holds(m.beak_length, s.beak_length),
        holds(m.tail, s.tail),
        holds(m.tail_colour, s.wing),
        holds(m.size, s.size),
        holds(m.facing, p.facing),
        holds(m.background, p.background),
        holds(m.pose, p.pose),
    ];
    assert_eq!(truths, [true; 12], "{text}");
}

#[test]
fn captions_are_true_short_plain_and_varied() {
    let mut frequency = [0usize; 4];
    let birds = sample(5, 600);
    for (i, p) in birds.iter().enumerate() {
        let all = captions(5, i, p);
        assert_eq!(all.len(), PER_PICTURE);
        for Caption { text, mentions } in &all {
            check_words(text, mentions);
            check_truth(text, mentions, p);
            assert!(text.len() <= MAX_LEN && text.is_ascii(), "{text}");
            assert!(!text.contains("  ") && *text == text.to_ascii_lowercase(), "{text}");
            let Named { body, wing, belly, crown } = mentions.named;
            for (n, part) in frequency.iter_mut().zip([body, wing, belly, crown]) {
                *n += usize::from(part.is_some());
            }
        }
        let texts: BTreeSet<_> = all.iter().map(|c| &c.text).collect();
        let subsets: BTreeSet<_> = all.iter().map(|c| c.mentions).collect();
        assert_eq!(texts.len(), PER_PICTURE);
        assert!(subsets.len() >= 5, "{all:?}");
    }
    let share = frequency.map(|n| n as f64 / (birds.len() * PER_PICTURE) as f64);
    println!("named: body, wing, belly, crown {share:.2?}");
    assert!(share.into_iter().zip([0.8, 0.6, 0.55, 0.55]).all(|(s, least)| s > least));
}

#[test]
fn the_box_is_that_of_the_bird_and_its_crop_stays_inside() {
    let (w, h) = (WIDTH as usize, HEIGHT as usize);
    for p in sample(8, 120) {
        let b = p.draw().bounds;
        let (left, top, width, height) = (b.x, b.y, b.width, b.height);
        let labels = p.labels();
        let seen = |x: usize, y: usize| labels[y * w + x] != 0;
        let columns: Vec<usize> = (0..w).filter(|&x| (0..h).any(|y| seen(x, y))).collect();
        let rows: Vec<usize> = (0..h).filter(|&y| (0..w).any(|x| seen(x, y))).collect();
        let ends = [columns[0], rows[0], columns[columns.len() - 1] + 1, rows[rows.len() - 1] + 1];
        // The tip of a beak is narrower than a pixel.
        for (end, exact) in ends.into_iter().zip([left, top, left + width, top + height]) {
            assert!((end as f64 - exact).abs() <= 2.5, "{ends:?} {left} {top} {width} {height}");
        }
        let radius = 0.75 * width.max(height);
        let (x, y) = (left + width / 2.0, top + height / 2.0);
        let outside = [radius - x, radius - y, x + radius - w as f64, y + radius - h as f64];
        assert!(outside.into_iter().all(|o| o < 6.0), "{outside:?}");
    }
}

/// The strings or integers of a protocol-0 list: the lines `V...`, or `I...`.
fn pickled(bytes: &[u8], kind: char) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap().replace("\na", "\n");
    text.lines().filter_map(|l| l.strip_prefix(kind)).map(str::to_owned).collect()
}

#[test]
fn the_layout_is_that_of_cub_and_complete() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("birds");
    fs::create_dir(&dir).unwrap(); // an empty folder is accepted
    let (n, calls) = (100, std::sync::Mutex::new(BTreeSet::new()));
    let progress = |done: usize, total: usize| {
        assert_eq!(total, n);
        assert!(calls.lock().unwrap().insert(done));
    };
    let report = write(&dir, &ToyConfig { count: n, seed: 5 }, &progress).unwrap();
    assert_eq!(calls.into_inner().unwrap(), (1..=n).collect());
    assert_eq!(report.train_pictures + report.test_pictures, n);
    assert_eq!((report.train_species, report.test_species), (21, 4));

    let cub = dir.join("CUB_200_2011");
    let table = |name: &str| -> Vec<Vec<String>> {
        let text = fs::read_to_string(cub.join(name)).unwrap();
        text.lines().map(|l| l.split(' ').map(str::to_owned).collect()).collect()
    };
    let (images, boxes, labels) =
        (table("images.txt"), table("bounding_boxes.txt"), table("image_class_labels.txt"));
    let (training, classes) = (table("train_test_split.txt"), table("classes.txt"));
    assert_eq!(classes.len(), 25);
    let mut keys = BTreeSet::new();
    for (i, ((image, bounds), (label, seen))) in
        images.iter().zip(&boxes).zip(labels.iter().zip(&training)).enumerate()
    {
        let id = (i + 1).to_string();
        assert_eq!([&image[0], &bounds[0], &label[0], &seen[0]], [&id; 4]);
        assert!(bounds[1..].iter().all(|v| v.parse::<f32>().unwrap() > 1.0));
        let key = image[1].strip_suffix(".jpg").unwrap();
        let class = &classes[label[1].parse::<usize>().unwrap() - 1];
        assert_eq!(class[1], key.split('/').next().unwrap());
        let picture = image::open(cub.join("images").join(&image[1])).unwrap();
        assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT));
        let text = fs::read_to_string(dir.join("text").join(format!("{key}.txt"))).unwrap();
        assert_eq!(text.lines().count(), PER_PICTURE);
        keys.insert((key.to_owned(), label[1].clone(), seen[1] == "1"));
    }
    assert_eq!(keys.len(), n);

    let mut listed = BTreeSet::new();
    for split in [Split::Train, Split::Test] {
        let read = |name: &str| fs::read(dir.join(split.name()).join(name)).unwrap();
        let names = pickled(&read("filenames.pickle"), 'V');
        let ids = pickled(&read("class_info.pickle"), 'I');
        assert_eq!(names.len(), ids.len());
        assert!(!names.is_sorted(), "{split:?}");
        listed.extend(names.into_iter().zip(ids).map(|(k, c)| (k, c, split == Split::Train)));
    }
    assert!(keys == listed);

    // The reader of real CUB folders accepts it as it is.
    let dataset = crate::layouts::cub::read(&dir, crate::layouts::Reading::default()).unwrap();
    assert_eq!(dataset.count(Split::Train), report.train_pictures);
    assert_eq!(dataset.count(Split::Test), report.test_pictures);
    assert_eq!(dataset.caption_count(), n * PER_PICTURE);
    assert!(dataset.classes(Split::Train).is_disjoint(&dataset.classes(Split::Test)));
    let csv = fs::read_to_string(dir.join("attributes.csv")).unwrap();
    let columns: BTreeSet<usize> = csv.lines().map(|l| l.split(',').count()).collect();
    assert_eq!((csv.lines().count(), columns), (n + 1, BTreeSet::from([14])));
}

#[test]
fn what_is_there_is_not_overwritten() {
    let temp = tempfile::tempdir().unwrap();
    let kept = temp.path().join("kept");
    fs::write(&kept, "mine").unwrap();
    for (dir, found) in [(temp.path(), "something in it"), (&kept, "a file")] {
        let e = write(dir, &ToyConfig { count: 6, seed: 1 }, &|_, _| ()).unwrap_err().to_string();
        assert!(e.contains(found) && e.contains("expected") && e.contains("do: "), "{e}");
    }
    assert_eq!(fs::read(&kept).unwrap(), b"mine");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    for count in [0, 1, 24_001] {
        let cfg = ToyConfig { count, seed: 1 };
        assert!(write(&temp.path().join("new"), &cfg, &|_, _| ()).is_err());
    }
    write(&temp.path().join("new"), &ToyConfig { count: 2, seed: 1 }, &|_, _| ()).unwrap();
}

#[cfg(unix)]
#[test]
fn an_empty_folder_is_filled_under_whatever_name_it_has() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    fs::create_dir(at("empty")).unwrap();
    std::os::unix::fs::symlink("empty", at("link")).unwrap();
    write_with(2, &at("link"), 12, 7);
    fs::create_dir(at("here")).unwrap();
    write_with(2, &at("here/."), 12, 7);
    write_with(2, &at("new"), 12, 7);
    assert!(at("link").is_symlink());
    assert!(files(&at("empty")) == files(&at("new")) && files(&at("here")) == files(&at("new")));
    assert!(is_toy(&at("link")) && !is_toy(temp.path()));
    fs::write(at("attributes.csv"), "key,colour\n").unwrap();
    assert!(!is_toy(temp.path()), "someone's own table");
    // What cannot be a folder is refused before anything is drawn.
    std::os::unix::fs::symlink("nowhere", at("lost")).unwrap();
    let drawn = |_, _| panic!("drawn in vain");
    let error = write(&at("lost"), &ToyConfig { count: 12, seed: 7 }, &drawn).unwrap_err();
    assert!(error.to_string().contains("a link that leads nowhere"), "{error}");
}

#[test]
fn who_comes_second_gets_the_same_birds() {
    let temp = tempfile::tempdir().unwrap();
    for (name, seeds, good) in [("same", [7, 7], 2), ("others", [7, 8], 1)] {
        let dir = temp.path().join(name);
        let start = std::sync::Barrier::new(2);
        let drawn: Vec<bool> = std::thread::scope(|scope| {
            let draw = |seed| {
                let (dir, start) = (&dir, &start);
                scope.spawn(move || {
                    let wait = |done: usize, _: usize| {
                        if done == 1 {
                            start.wait(); // both have found nothing there
                        }
                    };
                    write(dir, &ToyConfig { count: 12, seed }, &wait).is_ok()
                })
            };
            seeds.map(draw).map(|thread| thread.join().unwrap()).to_vec()
        });
        assert_eq!(drawn.iter().filter(|done| **done).count(), good, "{name}");
    }
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "nothing is left");
}

#[test]
fn what_a_killed_process_drew_is_removed_and_what_is_being_drawn_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    for name in [".toy-partial-a", ".toy-partial-b"] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("LOCK"), "").unwrap();
    }
    let lock = fs::File::open(at(".toy-partial-b/LOCK")).unwrap();
    lock.lock().unwrap();
    write_with(2, &at("birds"), 12, 7);
    assert!(!at(".toy-partial-a").exists() && at(".toy-partial-b").exists());
    drop(lock);
}
