//! Complete fetches: mirrors by address and by folder, archives and their contents, files that a
//! person put there, and `--verify`.

use std::fs;
use std::path::Path;
use std::sync::mpsc;

use stackgan_data::Error;
use stackgan_data::archive::Limits;
use stackgan_data::dataset::Split;
use stackgan_data::fetch::manifest::{COCO, CUB, Item, OXFORD, Set, Then};
use stackgan_data::fetch::{Mirror, Report, Request, fetch, verify};
use stackgan_data::layouts::{Reading, cub};

use crate::server::{Server, head, honest};
use crate::sets::{
    FILE, HASTE, NAME, fetch_all, four_parts, names, noise, notes, put, set, sha256,
};
use crate::writers::{Zipped, entry, tgz, zip};

const UNPACK: Then = Then::Unpack(Limits { bytes: 1 << 20, file: 1 << 20, entries: 100 });

/// A set in two archives: pictures, and lists with captions that only a person can download.
const ITEMS: [Item<'static>; 2] = [
    Item {
        name: "pictures.tgz",
        what: "pictures",
        web: &["http://127.0.0.1:9/pictures.tgz"],
        gives: &[&["pictures"], &["pictures/list.txt"]],
        then: UNPACK,
        ..FILE
    },
    Item {
        name: "lists.zip",
        what: "lists and captions",
        gives: &[&["train/names"], &["test/names"], &["text", "text_c10"]],
        then: UNPACK,
        ..FILE
    },
];

fn pictures() -> Vec<u8> {
    tgz(&[
        entry(b'5', b"pictures/", b""),
        entry(b'0', b"pictures/list.txt", b"1 a.jpg\n"),
        entry(b'0', b"pictures/a.jpg", b"a picture"),
        entry(b'0', b"readme.txt", b"read me"),
    ])
}

/// Returns an archive as `AttnGAN`'s users have it: everything in one folder, captions in another
/// archive, and the files that a Mac adds.
fn lists() -> Vec<u8> {
    let captions = zip(&[
        Zipped::new(b"text/a.txt", b"a caption\n"),
        Zipped::new(b"__MACOSX/._text", b"a Mac"),
    ]);
    zip(&[
        Zipped::new(b"birds/train/names", b"a"),
        Zipped::new(b"birds/test/names", b"b"),
        Zipped::stored(b"birds/text.zip", &captions),
        Zipped::new(b"__MACOSX/birds/._train", b"a Mac"),
    ])
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn a_mirror_gives_everything_and_the_rest_is_told_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    // Without the archive that only a person can download.
    let half = Server::of(vec![("m/pictures.tgz", pictures())]);
    let from = Mirror::parse(&format!("{}/m/", half.address)).unwrap();
    let (report, _) = fetch_all(&ITEMS, dir.path(), Some(&from));
    let report = report.unwrap();
    assert_eq!(report.pictures, (1, 3), "pictures, and not the list among them");
    let by_hand = report.by_hand[0].to_string();
    assert!(
        by_hand.contains("lists.zip") && by_hand.contains("open: https://example.org"),
        "{by_hand}"
    );
    assert!(by_hand.contains(&dir.path().join("lists.zip").display().to_string()), "{by_hand}");
    assert_eq!(read(dir.path(), "pictures/a.jpg"), "a picture");
    assert_eq!(names(dir.path()), ["pictures", "pictures.tgz", "readme.txt"]);
    // A person has saved it; existing files are not fetched again.
    fs::write(dir.path().join("lists.zip"), lists()).unwrap();
    let before = half.asked().len();
    let (report, events) = fetch_all(&ITEMS, dir.path(), None);
    assert!(report.unwrap().by_hand.is_empty());
    assert!(notes(&events).contains("pictures.tgz: is there already"), "{events:?}");
    assert_eq!(half.asked().len(), before);
    assert_eq!(read(dir.path(), "text/a.txt"), "a caption\n");
    assert_eq!(read(dir.path(), "train/names"), "a");
    let all = ["lists.zip", "pictures", "pictures.tgz", "readme.txt", "test", "text", "train"];
    assert_eq!(names(dir.path()), all);
    assert_eq!(read(dir.path(), ".fetched/lists.zip.sha256").lines().count(), 3 + 3);
    // Pictures that cannot be counted are not called none.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("gone.jpg", dir.path().join("pictures/b.jpg")).unwrap();
        let error = fetch_all(&ITEMS, dir.path(), None).0.unwrap_err();
        assert!(four_parts(&error).contains("links lead to nothing"), "{error}");
    }
}

#[test]
fn a_mirrors_own_list_of_hashes_counts_where_the_manifest_has_none() {
    let (pictures, lists) = (pictures(), lists());
    let sums = format!("{}  pictures.tgz\n{} *lists.zip\n", sha256(&pictures), sha256(&lists));
    for (sums, right) in
        [(sums.clone(), true), (sums.replace(&sha256(&lists), &sha256(b"")), false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::of(vec![
            ("pictures.tgz", pictures.clone()),
            ("lists.zip", lists.clone()),
            ("SHA256SUMS", sums.into_bytes()),
        ]);
        let from = Mirror::parse(&server.address).unwrap();
        let (report, _) = fetch_all(&ITEMS, dir.path(), Some(&from));
        match report {
            Ok(report) => assert!(right && report.by_hand.is_empty()),
            Err(error) => {
                assert!(!right && four_parts(&error).contains(&sha256(&lists)), "{error}");
                assert!(!dir.path().join("lists.zip").exists());
            }
        }
    }
    // This does not count if the manifest contains a hash.
    let pinned = [Item { sha256: Some("00"), ..ITEMS[0] }];
    let server = Server::of(vec![
        ("pictures.tgz", pictures.clone()),
        ("SHA256SUMS", format!("{}  pictures.tgz\n", sha256(&pictures)).into_bytes()),
    ]);
    let (dir, from) = (tempfile::tempdir().unwrap(), Mirror::parse(&server.address).unwrap());
    let error = fetch_all(&pinned, dir.path(), Some(&from)).0.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

#[test]
fn a_folder_of_archives_or_of_what_they_give() {
    let mirror = tempfile::tempdir().unwrap();
    fs::write(mirror.path().join("pictures.tgz"), pictures()).unwrap();
    put(mirror.path(), &["train/names", "test/names", "text_c10/a.txt", "notes/mine.txt"]);
    let from = Mirror::parse(mirror.path().to_str().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("new/cub");
    let (report, _) = fetch_all(&ITEMS, &into, Some(&from));
    assert!(report.unwrap().by_hand.is_empty());
    // The archive stays where it was; files that do not belong to the set are not copied.
    assert_eq!(names(&into), ["pictures", "readme.txt", "test", "text_c10", "train"]);
    assert_eq!(read(&into, "text_c10/a.txt"), "text_c10/a.txt");
    let said = verify(&set(&ITEMS), &into, &mut |_| {}).unwrap().join("\n");
    assert!(
        said.contains("pictures.tgz: 3 files") && said.contains("lists.zip: 3 files"),
        "{said}"
    );
    // An empty folder contains nothing usable.
    let empty = Mirror::Folder(tempfile::tempdir().unwrap().path().to_path_buf());
    let error = fetch_all(&ITEMS, &dir.path().join("other"), Some(&empty)).0.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert!(four_parts(&error).contains("pictures.tgz, or unpacked: pictures"), "{error}");
    for bad in ["ftp://example.org", "/no/such/folder"] {
        four_parts(&Mirror::parse(bad).unwrap_err());
    }
}

/// Everything that the readers of a set use is copied from an unpacked set: also lists, embeddings
/// and Reed's classes.
#[test]
fn an_unpacked_set_keeps_its_split_and_its_embeddings() {
    let lists = [
        "train/filenames.pickle",
        "train/class_info.pickle",
        "train/char-CNN-RNN-embeddings.pickle",
        "test/filenames.pickle",
        "test/class_info.pickle",
        "test/char-CNN-RNN-embeddings.pickle",
    ];
    let birds = [
        "CUB_200_2011/images/001.A/a.jpg",
        "CUB_200_2011/images.txt",
        "CUB_200_2011/bounding_boxes.txt",
        "text/001.A/a.txt",
        "text_c10/001.A.t7",
    ];
    let flowers = ["jpg/a.jpg", "testclasses.txt"];
    let captions = ["text_c10/class_00001/a.txt", "text_c10/class_00001.t7"];
    let reed = ["cvpr2016_flowers/text_c10/class_00001/a.txt", "cvpr2016_flowers/testclasses.txt"];
    let coco = [
        "annotations/captions_train2014.json",
        "annotations/captions_val2014.json",
        "train2014/a.jpg",
        "val2014/b.jpg",
    ];
    for (set, of_it) in [
        (&CUB, [&birds[..], &lists].concat()),
        (&OXFORD, [&flowers[..], &captions, &lists].concat()),
        (&OXFORD, [&flowers[..], &reed, &lists].concat()),
        (&OXFORD, [&flowers[..1], &captions].concat()),
        (&COCO, [&coco[..], &lists].concat()),
        (&COCO, coco.to_vec()),
    ] {
        let (unpacked, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        put(unpacked.path(), &of_it);
        put(unpacked.path(), &["notes/mine.txt"]);
        let from = Mirror::Folder(unpacked.path().to_path_buf());
        // Without the files that the manifest pins as they are.
        let items: Vec<Item<'_>> =
            set.items.iter().filter(|item| matches!(item.then, Then::Unpack(_))).copied().collect();
        let set = &Set { items: &items, ..*set };
        let request = Request { set, into: dir.path(), from: Some(&from), patience: HASTE };
        fetch(&request, &mut |_| {}).unwrap();
        for name in of_it {
            assert_eq!(read(dir.path(), name), name, "{}", set.name);
        }
        assert!(!dir.path().join("notes").exists());
        verify(set, dir.path(), &mut |_| {}).unwrap();
    }
}

/// Captions are enough; whoever saves the archive all the same wants what else it holds.
#[test]
fn an_archive_is_unpacked_for_lists_that_are_not_needed_only_if_it_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let items = [Item { gives: &[&["text"]], also: &["train", "test"], ..ITEMS[1] }];
    put(dir.path(), &["text/b.txt"]);
    let fetched = || fetch_all(&items, dir.path(), None);
    let (report, events) = fetched();
    assert!(report.unwrap().by_hand.is_empty());
    assert!(notes(&events).contains("is there already"), "{events:?}");
    fs::write(dir.path().join("lists.zip"), lists()).unwrap();
    fetched().0.unwrap();
    assert_eq!(read(dir.path(), "train/names"), "a");
    assert_eq!(read(dir.path(), "text/b.txt"), "text/b.txt");
    let (_, events) = fetched();
    assert!(notes(&events).contains("lists.zip: is there already"), "{events:?}");
}

#[test]
fn verify_names_what_is_gone_and_what_has_changed() {
    let mirror = tempfile::tempdir().unwrap();
    fs::write(mirror.path().join("pictures.tgz"), pictures()).unwrap();
    fs::write(mirror.path().join("lists.zip"), lists()).unwrap();
    let from = Mirror::Folder(mirror.path().to_path_buf());
    let dir = tempfile::tempdir().unwrap();
    let set = set(&ITEMS);
    let error = verify(&set, dir.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    fetch_all(&ITEMS, dir.path(), Some(&from)).0.unwrap();
    let said = verify(&set, dir.path(), &mut |_| {}).unwrap();
    let with_file = [ITEMS[0], ITEMS[1], FILE];
    let more = verify(&crate::sets::set(&with_file), dir.path(), &mut |_| {}).unwrap();
    assert_eq!(more, [&said[..], &[format!("{NAME}: is not there")]].concat());
    fs::write(dir.path().join("pictures/a.jpg"), "b picture").unwrap();
    fs::remove_file(dir.path().join("train/names")).unwrap();
    let error = verify(&set, dir.path(), &mut |_| {}).unwrap_err();
    let said = four_parts(&error);
    assert!(said.contains("of pictures.tgz 1 changed (pictures/a.jpg)"), "{said}");
    assert!(said.contains("of lists.zip 1 missing (train/names)"), "{said}");
    // Missing files are restored; files that a person may have changed are not overwritten.
    fs::remove_file(dir.path().join("pictures/list.txt")).unwrap();
    fs::remove_file(dir.path().join("readme.txt")).unwrap();
    let (report, events) = fetch_all(&ITEMS, dir.path(), Some(&from));
    report.unwrap();
    let said = notes(&events);
    for gone in ["lists.zip: missing: 1 file (train/names)", "readme.txt"] {
        assert!(said.contains(gone), "{said}");
    }
    assert!(!said.contains("kept"), "all of it is this command's own: {said}");
    assert_eq!(read(dir.path(), "train/names"), "a");
    assert_eq!(read(dir.path(), "pictures/list.txt"), "1 a.jpg\n");
    assert_eq!(read(dir.path(), "pictures/a.jpg"), "b picture");
    let said = four_parts(&verify(&set, dir.path(), &mut |_| {}).unwrap_err());
    assert!(said.contains("found of pictures.tgz 1 changed (pictures/a.jpg)\n"), "{said}");
}

/// An existing folder is completed, file by file. A person's files are neither overwritten nor
/// reported as the set's.
#[test]
fn what_a_person_put_there_is_filled_up_and_stays_theirs() {
    let unpacked = tempfile::tempdir().unwrap();
    put(
        unpacked.path(),
        &["train/names", "test/names", "text/a.txt", "text/b/c.txt", "text/d.txt"],
    );
    let archives = tempfile::tempdir().unwrap();
    let captions = ["text/a.txt", "text/b/c.txt", "text/d.txt"];
    let inner = zip(&captions.map(|name| Zipped::new(name.as_bytes(), name.as_bytes())));
    let packed = zip(&[
        Zipped::new(b"train/names", b"train/names"),
        Zipped::new(b"test/names", b"test/names"),
        Zipped::stored(b"text.zip", &inner),
    ]);
    fs::write(archives.path().join("lists.zip"), packed).unwrap();
    let (lists_only, mine) = ([ITEMS[1]], "mine");
    for source in [&unpacked, &archives] {
        let (dir, from) =
            (tempfile::tempdir().unwrap(), Mirror::Folder(source.path().to_path_buf()));
        fs::create_dir_all(dir.path().join("text")).unwrap();
        fs::write(dir.path().join("text/a.txt"), mine).unwrap();
        fs::write(dir.path().join("text/b"), mine).unwrap();
        let (report, events) = fetch_all(&lists_only, dir.path(), Some(&from));
        assert!(report.unwrap().by_hand.is_empty());
        let said = notes(&events);
        let told = "lists.zip: kept what was there: 2 files (text/a.txt, text/b/c.txt)";
        assert!(said.contains(told), "{said}");
        for (name, contents) in [
            ("text/a.txt", mine),
            ("text/b", mine),
            ("text/d.txt", "text/d.txt"),
            ("train/names", "train/names"),
        ] {
            assert_eq!(read(dir.path(), name), contents, "{name}");
        }
        let said = verify(&set(&lists_only), dir.path(), &mut |_| {}).unwrap();
        assert_eq!(said, ["lists.zip: 3 files as put there"]);
        // Missing captions are restored from the available archive. A person's own files do not
        // become the set's.
        fs::remove_file(dir.path().join("text/d.txt")).unwrap();
        let (report, events) = fetch_all(&lists_only, dir.path(), None);
        assert!(report.unwrap().by_hand.is_empty(), "the rest can be used");
        let said = notes(&events);
        assert!(said.contains("lists.zip: missing: 1 file (text/d.txt)"), "{said}");
        assert!(
            said.contains("save the file as") && !dir.path().join("text/d.txt").exists(),
            "{said}"
        );
        assert!(verify(&set(&lists_only), dir.path(), &mut |_| {}).is_err());
        fetch_all(&lists_only, dir.path(), Some(&from)).0.unwrap();
        assert_eq!(read(dir.path(), "text/d.txt"), "text/d.txt");
        assert_eq!(read(dir.path(), "text/a.txt"), mine);
        let said = verify(&set(&lists_only), dir.path(), &mut |_| {}).unwrap();
        assert_eq!(said, ["lists.zip: 3 files as put there"]);
        let (report, events) = fetch_all(&lists_only, dir.path(), Some(&from));
        report.unwrap();
        assert_eq!(notes(&events), "lists.zip: is there already");
    }
}

/// Nothing is written through a link that a person made, and no such link is replaced.
#[cfg(unix)]
#[test]
fn links_of_a_person_are_left_alone() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(dir.path().join("lists.zip"), lists()).unwrap();
    for (name, to) in [("text", other.path()), ("train", &other.path().join("absent"))] {
        std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
    }
    let (report, events) = fetch_all(&[ITEMS[1]], dir.path(), None);
    report.unwrap();
    let said = notes(&events);
    assert!(said.contains("kept what was there: 2 files") && said.contains("text/a.txt"), "{said}");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
    assert!(dir.path().join("train").is_symlink() && dir.path().join("text").is_symlink());
    verify(&set(&[ITEMS[1]]), dir.path(), &mut |_| {}).unwrap();
}

#[test]
fn archives_that_are_something_else_leave_the_folder_as_it_was() {
    let hostile = tgz(&[entry(b'0', b"pictures/list.txt", b"1"), entry(b'0', b"../x", b"2")]);
    let other = tgz(&[entry(b'0', b"photographs/a.jpg", b"1"), entry(b'0', b"b", b"2")]);
    for (archive, found) in
        [(hostile, "leaves the folder"), (other, "does not hold what it should")]
    {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pictures.tgz"), archive).unwrap();
        let error = fetch_all(&ITEMS, dir.path(), None).0.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(four_parts(&error).contains(found), "{error}");
        assert_eq!(names(dir.path()), ["pictures.tgz"]);
        assert_eq!(
            fs::read_dir(dir.path().join(".fetched")).unwrap().count(),
            1,
            "but for the lock"
        );
    }
}

#[test]
fn what_an_interrupted_fetch_left_is_swept_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join(".fetched");
    fs::create_dir_all(own.join("unpacking-x1/half")).unwrap();
    fs::create_dir_all(own.join("mine")).unwrap();
    fs::write(dir.path().join("pictures.tgz"), pictures()).unwrap();
    fetch_all(&ITEMS, dir.path(), None).0.unwrap();
    assert!(!own.join("unpacking-x1").exists() && own.join("mine").exists());
}

/// If a fetch is killed after the last name was given and before the record, all files are there
/// and their origin is known. If it is killed earlier, missing files are written again.
#[test]
fn a_fetch_killed_between_names_and_record_is_finished_or_done_again() {
    for gone in [None, Some("readme.txt"), Some("pictures/a.jpg")] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pictures.tgz"), pictures()).unwrap();
        fs::write(dir.path().join("lists.zip"), lists()).unwrap();
        fetch_all(&ITEMS, dir.path(), None).0.unwrap();
        let own = dir.path().join(".fetched");
        let record = own.join("pictures.tgz.sha256");
        fs::rename(&record, own.join("pictures.tgz.announced")).unwrap();
        fs::write(own.join(".tmp-x.partial"), "half a record").unwrap();
        if let Some(gone) = gone {
            fs::remove_file(dir.path().join(gone)).unwrap();
        }
        let said = verify(&set(&ITEMS), dir.path(), &mut |_| {}).unwrap().join("\n");
        assert!(said.contains("pictures.tgz: its fetch was not finished: fetch again"), "{said}");
        let (report, events) = fetch_all(&ITEMS, dir.path(), None);
        report.unwrap();
        let again = !notes(&events).contains("pictures.tgz: is there already");
        assert_eq!(again, gone.is_some(), "{events:?}");
        assert_eq!(fs::read_dir(&own).unwrap().count(), 3, "the lock and two records");
        let said = verify(&set(&ITEMS), dir.path(), &mut |_| {}).unwrap().join("\n");
        assert!(said.contains("pictures.tgz: 3 files"), "{said}");
    }
}

/// What is about to be placed is announced before the first file has its name. Here a folder is in the
/// announcement's place.
#[test]
fn nothing_is_placed_that_could_not_be_announced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pictures.tgz"), pictures()).unwrap();
    let in_the_way = dir.path().join(".fetched/pictures.tgz.announced");
    fs::create_dir_all(in_the_way.join("x")).unwrap();
    let error = fetch_all(&[ITEMS[0]], dir.path(), None).0.unwrap_err().to_string();
    assert!(error.contains("pictures.tgz.announced"), "{error}");
    assert_eq!(names(dir.path()), ["pictures.tgz"]);
    fs::remove_dir_all(&in_the_way).unwrap();
    fetch_all(&[ITEMS[0]], dir.path(), None).0.unwrap();
    assert_eq!(names(dir.path()), ["pictures", "pictures.tgz", "readme.txt"]);
    let said = verify(&set(&[ITEMS[0]]), dir.path(), &mut |_| {}).unwrap().join("\n");
    assert!(said.contains("pictures.tgz: 3 files as put there"), "{said}");
}

#[test]
fn a_folder_has_one_fetch_at_a_time_and_one_edition() {
    let dir = tempfile::tempdir().unwrap();
    let body = noise(1, 1_000);
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::start(move |ask, line| {
        let _ = wait.lock().unwrap().recv(); // until the second one was refused
        let (head, rest) = honest(ask, &body, None);
        line.send(head.as_bytes())?;
        line.send(rest)
    });
    let address = format!("{}/{NAME}", server.address);
    let items = [Item { web: &[address.as_str()], ..FILE }];
    std::thread::scope(|scope| {
        let first = scope.spawn(|| fetch_all(&items, dir.path(), None).0);
        while server.asked().is_empty() {
            std::thread::yield_now();
        }
        let error = fetch_all(&items, dir.path(), None).0.unwrap_err();
        assert!(matches!(error, Error::Storage { .. }), "{error}");
        assert!(four_parts(&error).contains("in use"), "{error}");
        drop(go);
        first.join().unwrap().unwrap();
    });
    let mirror = tempfile::tempdir().unwrap();
    fs::write(mirror.path().join("pictures.tgz"), pictures()).unwrap();
    let (dir, from) = (tempfile::tempdir().unwrap(), Mirror::Folder(mirror.path().to_path_buf()));
    fetch_all(&ITEMS, dir.path(), Some(&from)).0.unwrap();
    let newer = Set { edition: "2", ..set(&ITEMS) };
    let request = Request { set: &newer, into: dir.path(), from: Some(&from), patience: HASTE };
    let error = fetch(&request, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(four_parts(&error).contains("another edition"), "{error}");
}

#[test]
fn a_mirror_that_fails_is_no_reason_to_do_it_by_hand() {
    let server = Server::start(|ask, line| {
        let status = if ask.path == "/SHA256SUMS" { 404 } else { 500 };
        line.send(head(status, "Content-Length: 0").as_bytes())
    });
    let (dir, from) = (tempfile::tempdir().unwrap(), Mirror::parse(&server.address).unwrap());
    let lists_only = [ITEMS[1]];
    let error = fetch_all(&lists_only, dir.path(), Some(&from)).0.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(four_parts(&error).contains("500: not now"), "{error}");
}

#[test]
fn a_folder_of_real_birds_is_a_subset_and_says_so() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cub");
    if !shared.exists() {
        eprintln!("skipped: {} is not at hand", shared.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let from = Mirror::parse(shared.to_str().unwrap()).unwrap();
    let request = Request { set: &CUB, into: dir.path(), from: Some(&from), patience: HASTE };
    let report = fetch(&request, &mut |_| {}).unwrap();
    assert_eq!(report, Report { by_hand: Vec::new(), pictures: (2_889, 11_788) });
    assert_eq!(names(dir.path()), ["CUB_200_2011", "test", "text", "train"]);
    let data = cub::read(dir.path(), Reading::default()).unwrap();
    assert_eq!((data.count(Split::Train), data.count(Split::Test)), (1_906, 983));
    verify(&CUB, dir.path(), &mut |_| {}).unwrap();
}

/// The folder to fetch from may be in the dataset's folder.
#[test]
fn a_file_to_keep_is_copied_from_a_folder_below() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &[&format!("mirror/{NAME}")]);
    let from = Mirror::Folder(dir.path().join("mirror"));
    for _ in 0..2 {
        fetch_all(&[FILE], dir.path(), Some(&from)).0.unwrap();
        assert_eq!(read(dir.path(), NAME), format!("mirror/{NAME}"));
    }
}

/// A record refuses names that could lead out of the folder on some system, so no such file is
/// copied.
#[cfg(unix)]
#[test]
fn files_whose_names_no_record_can_hold_are_left_and_told() {
    let (unpacked, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let odd = ["text/a:b", "text/a\\b", "text/a\nb"]; // captions with such names are refused
    put(unpacked.path(), &["train/names", "test/names", "text/c.txt"]);
    put(unpacked.path(), &odd);
    let (lists, from) = ([ITEMS[1]], Mirror::Folder(unpacked.path().to_path_buf()));
    let (report, events) = fetch_all(&lists, dir.path(), Some(&from));
    report.unwrap();
    let said = notes(&events);
    assert!(said.contains("lists.zip: not copied, for the names: 3 files (text/a"), "{said}");
    assert_eq!(read(dir.path(), "text/c.txt"), "text/c.txt");
    assert!(odd.iter().all(|name| !dir.path().join(name).exists()));
    fetch_all(&lists, dir.path(), Some(&from)).0.unwrap();
    verify(&set(&lists), dir.path(), &mut |_| {}).unwrap();
}

#[test]
fn a_list_of_hashes_that_cannot_be_read_is_not_passed_over() {
    for (answer, why) in [(500, "the answer 500"), (403, "the answer 403"), (200, "")] {
        let server = Server::start(move |ask, line| match ask.path.as_str() {
            "/SHA256SUMS" if answer == 200 => {
                line.send(head(200, "Content-Length: 900").as_bytes())?;
                line.send(b"0123")
            }
            "/SHA256SUMS" => line.send(head(answer, "Content-Length: 0").as_bytes()),
            _ => {
                let pictures = pictures();
                let (head, rest) = honest(ask, &pictures, None);
                line.send(head.as_bytes())?;
                line.send(rest)
            }
        });
        let (dir, from) = (tempfile::tempdir().unwrap(), Mirror::parse(&server.address).unwrap());
        let error = fetch_all(&ITEMS, dir.path(), Some(&from)).0.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(four_parts(&error).contains(why), "{error}");
        assert!(names(dir.path()).is_empty());
    }
}
