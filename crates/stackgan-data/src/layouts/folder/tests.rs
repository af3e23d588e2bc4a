//! Tests of a user's own folder: all ways of giving captions, classes, splits and boxes, and what
//! is rejected.

use super::*;
use crate::dataset::BoundingBox;
use crate::testing::put;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        put(&dir, name, text);
    }
    dir
}

fn all(files: &[(&str, &str)]) -> Dataset {
    read(folder(files).path(), Reading::default()).unwrap()
}

fn error(files: &[(&str, &str)]) -> String {
    read(folder(files).path(), Reading::default()).unwrap_err().to_string()
}

fn captions(data: &Dataset) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    for Item { key, captions, .. } in &data.items {
        found.push((key.as_str(), captions.iter().map(String::as_str).collect()));
    }
    found
}

#[test]
fn captions_beside_the_pictures() {
    let data = all(&[("b.PNG", ""), ("b.txt", "one\n\nthree\n"), ("a.jpeg", ""), ("a.txt", "a\n")]);
    assert_eq!(captions(&data), [("a", vec!["a"]), ("b", vec!["one", "three"])]);
    assert_eq!(data.orientation, Orientation::Upright);
    assert_eq!(data.classes(Split::Train).len(), 2); // one class per picture
    assert_eq!(captions(&all(&[("c.WebP", ""), ("c.txt", "c")])), [("c", vec!["c"])]);
    let data = all(&[("c.JPG", ""), ("c.TXT", "c"), ("d.TXT", "d")]);
    assert_eq!(captions(&data), [("c", vec!["c"])]);
    assert!(data.notes.join("\n").contains("beside no picture, not used (d.TXT)"));
    assert!(data.notes.iter().any(|note| note.contains("no classes")), "{:?}", data.notes);
}

#[test]
fn folders_are_classes_and_splits() {
    let names = ["red", "blue", "green", "white", "black"];
    let files: Vec<(String, &str)> = names
        .iter()
        .flat_map(|class| [(format!("{class}/1.jpg"), ""), (format!("{class}/1.txt"), "x")])
        .collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let data = all(&files);
    let classes: Vec<(&str, u32)> = data.items.iter().map(|i| (i.key.as_str(), i.class)).collect();
    assert_eq!(
        classes,
        [("black/1", 1), ("blue/1", 2), ("green/1", 3), ("red/1", 4), ("white/1", 5)]
    );
    assert_eq!((data.count(Split::Train), data.count(Split::Test)), (4, 1));
    assert!(data.notes[0].contains("1 of 5 classes"), "{:?}", data.notes);
    let data = all(&[
        ("train/red/1.jpg", ""),
        ("train/red/1.txt", "x"),
        ("train/blue/1.jpg", ""),
        ("train/blue/1.txt", "x"),
        ("validation/red/2.jpg", ""),
        ("validation/red/2.txt", "x"),
    ]);
    let sides: Vec<(u32, Split)> = data.items.iter().map(|i| (i.class, i.split)).collect();
    assert_eq!(sides, [(1, Split::Train), (2, Split::Train), (2, Split::Test)]);
    assert!(data.notes.iter().all(|note| !note.contains("no split")), "{:?}", data.notes);
    // A single folder around all pictures means nothing.
    let data = all(&[
        ("images/a.jpg", ""),
        ("images/a.txt", "x"),
        ("images/b.jpg", ""),
        ("images/b.txt", "x"),
    ]);
    assert!(data.notes.iter().any(|note| note.contains("no classes")));
}

#[test]
fn a_csv_of_hugging_face() {
    let table = "\u{feff}file_name,text,extra\na.jpg,\"red, with \"\"one\"\" line\nand two\",7\nsub/b.jpg,first,8\nsub/b.jpg,second,9\n";
    let data = all(&[("metadata.csv", table), ("a.jpg", ""), ("sub/b.jpg", "")]);
    assert_eq!(
        captions(&data),
        [("a", vec!["red, with \"one\" line and two"]), ("sub/b", vec!["first", "second"])]
    );
    // A table is in the folder of the pictures that it names.
    let data = all(&[
        ("train/metadata.csv", "file_name,caption\na.jpg,x\n"),
        ("train/a.jpg", ""),
        ("test/metadata.csv", "file_name,caption\nb.jpg,y\n"),
        ("test/b.jpg", ""),
    ]);
    assert_eq!(captions(&data), [("test/b", vec!["y"]), ("train/a", vec!["x"])]);
    assert_eq!((data.items[0].split, data.items[1].split), (Split::Test, Split::Train));
}

#[test]
fn a_text_with_the_separator_wants_quotation_marks() {
    let head = "file_name,text\n";
    let one =
        error(&[("a.jpg", ""), ("metadata.csv", &format!("{head}a.jpg,a red, small bird\n"))]);
    for part in ["row 1", "2 values with commas between them, found 3 values", "that has a comma"] {
        assert!(one.contains(part), "{one}");
    }
    let rows = "a.jpg,red, small\nb.jpg,blue, small\n";
    let said = error(&[("a.jpg", ""), ("b.jpg", ""), ("metadata.csv", &format!("{head}{rows}"))]);
    for part in ["2 rows of the table", "row 2: ", "do: put a text that has a comma"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("CSV error"), "{said}");
}

/// The reader of tables would take the rows behind it for a part of the caption.
#[test]
fn a_quotation_mark_that_is_not_closed_is_refused_with_its_row() {
    for (rows, found) in [
        ("a.jpg,one\nb.jpg,\"a red bird\nc.jpg,three\n", "never closed"),
        ("a.jpg,one\nb.jpg,\"a red bird\nc.jpg,\"three\"\n", "closes within a value"),
    ] {
        let table = format!("file_name,text\n{rows}");
        let pictures = ["a.jpg", "b.jpg", "c.jpg"].map(|name| (name, ""));
        let said = error(&[&pictures[..], &[("metadata.csv", &table)]].concat());
        assert!(said.contains(found) && said.contains("row 2"), "{said}");
    }
}

#[test]
fn a_table_adds_boxes_classes_and_splits_to_captions_beside() {
    let table = "file_name,label,split,x,y,width,height\na.jpg,finch,train,1,2,3.5,4\nb.jpg,wren,test,,,,\n";
    let data = all(&[
        ("metadata.csv", table),
        ("a.jpg", ""),
        ("a.txt", "c"),
        ("b.jpg", ""),
        ("b.txt", "c"),
    ]);
    let (a, b) = (&data.items[0], &data.items[1]);
    assert_eq!(a.bounding_box, Some(BoundingBox { x: 1.0, y: 2.0, width: 3.5, height: 4.0 }));
    assert_eq!(
        (a.class, a.split, b.class, b.split, b.bounding_box),
        (1, Split::Train, 2, Split::Test, None)
    );
}

#[test]
fn json_lines() {
    let table = "{\"file_name\": \"a.jpg\", \"text\": [\"one\", \"\", \"three\"], \"bbox\": [0, 1, 2, 3], \"label\": 4}\n\n\
                 {\"file_name\": \"b.jpg\", \"captions\": [\"x\"], \"caption\": \"only\", \"label\": 5, \"class\": \"c\", \"other\": {\"x\": [1]}}\n";
    let data = all(&[("metadata.jsonl", table), ("a.jpg", ""), ("b.jpg", "")]);
    assert_eq!(captions(&data), [("a", vec!["one", "three"]), ("b", vec!["only"])]);
    assert_eq!(data.items[0].bounding_box.unwrap().height, 3.0);
    assert_eq!((data.items[0].class, data.items[1].class), (1, 2));
    // Of several keys for one thing, the first of the documentation's is read.
    assert!(data.notes.join("\n").contains("not used: captions, label, other"), "{:?}", data.notes);
}

#[test]
fn a_table_with_captions_comes_before_texts_and_says_so() {
    let table = "file_name,text\na.jpg,row\na.jpg,\nb.jpg,\nc.jpg,same\nd.jpg,row\n";
    let texts =
        [("a.txt", "text\nmore\n"), ("b.txt", "text\n"), ("c.txt", "same\n"), ("d.txt", "\n")];
    let pictures = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"].map(|name| (name, ""));
    let data = all(&[&[("metadata.csv", table)][..], &texts, &pictures].concat());
    let expected = ["row", "text", "same", "row"].map(|caption| vec![caption]);
    assert_eq!(captions(&data), ["a", "b", "c", "d"].into_iter().zip(expected).collect::<Vec<_>>());
    let notes = data.notes.join("\n");
    let note = "1 picture with captions in a table and others beside it: the table's taken (a.jpg)";
    assert!(notes.contains(note), "{notes}");
    // A picture whose captions are all empty has none.
    let said = error(&[("metadata.csv", "file_name,text\na.jpg,\na.jpg, \n"), ("a.jpg", "")]);
    assert!(said.contains("captions of pictures: 1 (a.jpg)"), "{said}");
}

#[test]
fn a_box_has_four_columns() {
    for (columns, unused) in
        [("width,height", "height, width"), ("x,width,height", "height, width, x"), ("x,y", "x, y")]
    {
        let numbers = vec!["640"; columns.split(',').count()].join(",");
        let table = format!("file_name,text,{columns}\na.jpg,c,{numbers}\n");
        let data = all(&[("metadata.csv", &table), ("a.jpg", "")]);
        assert_eq!(data.items[0].bounding_box, None);
        let notes = data.notes.join("\n");
        assert!(notes.contains(&format!("not used: {unused}")), "{notes}");
    }
}

#[cfg(unix)]
#[test]
fn only_names_of_pictures_and_captions_must_be_plain() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir =
        folder(&[("a.jpg", ""), ("a.txt", "x"), ("notes 10:30.md", ""), ("t: 1/x\\y.doc", "")]);
    std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.md")), "").unwrap();
    assert_eq!(captions(&read(dir.path(), Reading::default()).unwrap()), [("a", vec!["x"])]);
    for name in
        [&b"10:30.jpg"[..], b"10:30.TXT", b"t: 1/b.png", b"a\nb.jpg", b"caf\xe9.png", b"x\\y.txt"]
    {
        let path = dir.path().join(std::ffi::OsStr::from_bytes(name));
        std::fs::write(&path, "").unwrap();
        let said = read(dir.path(), Reading::default()).unwrap_err().to_string();
        let shown = path.file_name().unwrap().to_string_lossy().replace('\n', "\\n");
        let first = said.lines().nth(1).unwrap();
        assert!(first.starts_with("  file: ") && first.contains(&*shown), "{said}");
        assert!(said.contains("rename") && !said.contains("trust"), "{said}");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_has_no_partner_is_listed() {
    let files = [
        ("a.jpg", ""),
        ("a.txt", "x"),
        ("b.jpg", ""),
        ("c.jpg", ""),
        ("d.txt", "x"),
        ("e.gif", ""),
    ];
    let said = error(&files);
    assert!(said.contains("captions of pictures: 2 (b.jpg, c.jpg)"), "{said}");
    let dir = folder(&files);
    let how = Reading { uncaptioned: Uncaptioned::LeaveOut, ..Reading::default() };
    let data = read(dir.path(), how).unwrap();
    assert_eq!(captions(&data), [("a", vec!["x"])]);
    let notes = data.notes.join("\n");
    for part in ["2 pictures without captions left out", "d.txt", "e.gif"] {
        assert!(notes.contains(part), "{notes}");
    }
    let said = error(&[("metadata.csv", "file_name,text\na.jpg,x\nz.jpg,y\n"), ("a.jpg", "")]);
    assert!(said.contains("pictures named by a table: 1 (z.jpg)"), "{said}");
    assert!(error(&[("a.gif", "")]).contains("no pictures"));
}

#[test]
fn blank_texts_are_no_captions_and_unread_ones_are_all_named() {
    let dir = folder(&[("a.jpg", ""), ("a.txt", "x"), ("b.jpg", ""), ("b.txt", " \n\n")]);
    let said = read(dir.path(), Reading::default()).unwrap_err().to_string();
    assert!(said.contains("captions of pictures: 1 (b.jpg (its text is blank))"), "{said}");
    assert!(said.contains("`stackgan data import DIR --uncaptioned leave-out`"), "{said}");
    let how = Reading { uncaptioned: Uncaptioned::LeaveOut, ..Reading::default() };
    let data = read(dir.path(), how).unwrap();
    assert_eq!(captions(&data), [("a", vec!["x"])]);
    assert!(data.notes[0].contains("1 picture without captions left out"), "{:?}", data.notes);
    let long = "x".repeat(5000);
    let said = error(&[("a.jpg", ""), ("a.txt", &*long), ("b.jpg", ""), ("b.txt", &*long)]);
    assert!(said.starts_with("captions of 2 pictures cannot be used"), "{said}");
    assert!(said.contains("a.txt: caption is too long") && said.contains("b.txt:"), "{said}");
}

#[test]
fn pictures_whose_captions_cannot_be_used_are_told_with_others_and_left_out() {
    let long = "x".repeat(5000);
    let dir =
        folder(&[("a.jpg", ""), ("a.txt", &*long), ("b.jpg", ""), ("c.jpg", ""), ("c.txt", "c")]);
    let table = format!("file_name,text\nt.jpg,short\nt.jpg,{long}\n");
    std::fs::write(dir.path().join("metadata.csv"), table).unwrap();
    std::fs::write(dir.path().join("t.jpg"), "").unwrap();
    std::fs::write(dir.path().join("d.jpg"), "").unwrap();
    std::fs::write(dir.path().join("d.txt"), b"\xff\xfea").unwrap(); // half a character of UTF-16
    let said = read(dir.path(), Reading::default()).unwrap_err().to_string();
    for part in [
        "captions of 3 pictures cannot be used",
        "metadata.csv: caption of row 2 is too long (found 5000 bytes)",
        "captions of pictures: 1 (b.jpg)",
        "`stackgan data import DIR --uncaptioned leave-out`",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let how = Reading { uncaptioned: Uncaptioned::LeaveOut, ..Reading::default() };
    let data = read(dir.path(), how).unwrap();
    assert_eq!(captions(&data), [("c", vec!["c"])]);
    let notes = data.notes.join("\n");
    for part in [
        "1 picture without captions left out (b.jpg)",
        "3 pictures whose captions cannot be used left out (a.jpg: caption is too long (found 5000 bytes), d.jpg: ",
    ] {
        assert!(notes.contains(part), "{part} in {notes}");
    }
}

#[test]
fn columns_without_a_meaning_are_named() {
    let csv = "file_name,caption,text,bbox\n./a.jpg,x,y,\"[1,2,3,4]\"\n";
    let jsonl = "\u{feff}{\"file_name\": \"././b.jpg\", \"text\": \"z\", \"colour\": 1}\n";
    let data =
        all(&[("metadata.csv", csv), ("metadata.jsonl", jsonl), ("a.jpg", ""), ("b.jpg", "")]);
    assert_eq!(captions(&data), [("a", vec!["x"]), ("b", vec!["z"])]);
    let notes = data.notes.join("\n");
    assert!(notes.contains("columns of tables that are not used: bbox, colour, text"), "{notes}");
    let dir = folder(&[("a.jpg", "")]);
    std::fs::write(dir.path().join("metadata.csv"), b"\xff\xfef\0").unwrap();
    let said = read(dir.path(), Reading::default()).unwrap_err().to_string();
    assert!(said.contains("found UTF-16") && said.contains("save the table as UTF-8"), "{said}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let csv = |table: &'static str| error(&[("metadata.csv", table), ("a.jpg", ""), ("b.jpg", "")]);
    for (table, part) in [
        ("name,text\na.jpg,x\n", "no file names"),
        ("name,text\na.jpg,x\n", "a column `file_name`"),
        (
            "file_name,text,split\na.jpg,x,train\na.jpg,y,val\n",
            "train as in an earlier row, found test",
        ),
        ("file_name,text\na.jpg\n", "row 1"),
        ("file_name,text\n../a.jpg,x\n", "not safe"),
        ("file_name,text,split\na.jpg,x,train\nb.jpg,x,both\n", "split is not known"),
        ("file_name,text,split\na.jpg,x,train\nb.jpg,x,\n", "split of some pictures only"),
        ("file_name,text,class\na.jpg,x,1\na.jpg,y,2\nb.jpg,x,1\n", "contradict"),
        ("file_name,text,x,y,width,height\na.jpg,x,0,0,0,5\n", "box is malformed"),
        ("file_name,text,x,y,width,height\na.jpg,x,0,0,5,\n", "box is malformed"),
        ("file_name,text,x,y,width,height\na.jpg,x,0,0,5,wide\n", "found 0, 0, 5, wide"),
    ] {
        let said = csv(table);
        assert!(said.contains(part), "{part} in {said}");
    }
    let said = error(&[("a.jpg", ""), ("a.png", ""), ("a.txt", "x")]);
    assert!(said.contains("named twice") && said.contains("a.jpg and a.png"), "{said}");
    let said = error(&[("metadata.jsonl", "{\"file_name\": \"a.jpg\"\n"), ("a.jpg", "")]);
    assert!(said.contains("metadata.jsonl (row 1)"), "{said}");
}

#[test]
fn all_pictures_of_one_name_are_told_together() {
    let mut names: Vec<String> =
        (10..33).flat_map(|i| [format!("{i}.jpg"), format!("{i}.png")]).collect();
    names.extend(["10.webp", "11.txt", "sub/10.jpg"].map(str::to_owned));
    let said = error(&names.iter().map(|name| (&**name, "")).collect::<Vec<_>>());
    assert!(said.starts_with("24 pictures have the name of another"), "{said}");
    for part in [
        "10.png: picture is named twice (found 10.jpg and 10.png)",
        "10.webp: picture is named twice (found 10.jpg and 10.webp)",
        "28.png: ",
        "and 4 more",
        "do: rename or remove",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("29.png") && !said.contains("sub/"), "{said}");
}

/// All errors are reported together, so that a table can be corrected in one go.
#[test]
fn all_rows_that_cannot_be_read_are_told_together() {
    let table = "file_name,text,x,y,width,height\na.jpg,x,0,0,0,5\nb.jpg,x,0,0,9,9\na.jpg,x\n../b.jpg,x,0,0,9,9\n";
    let said = error(&[("metadata.csv", table), ("a.jpg", ""), ("b.jpg", "")]);
    assert!(said.contains("3 rows of the table cannot be read"), "{said}");
    for part in ["row 1: box is malformed", "row 3: ", "entry 4: ", "metadata.csv"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("row 2:"), "{said}");
    let lines = "{\"file_name\": 3}\n{\"file_name\": \"a.jpg\", \"text\": \"x\"}\n{\n";
    let said = error(&[("metadata.jsonl", lines), ("a.jpg", "")]);
    for part in ["2 rows", "row 1: ", "row 3: "] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let many: String = (0..30).map(|i| format!("{i}.jpg\n")).collect();
    let said = error(&[("metadata.csv", &format!("file_name,text\n{many}")), ("a.jpg", "")]);
    assert!(said.contains("30 rows") && said.contains("and 20 more"), "{said}");
}

#[test]
fn tables_as_spreadsheets_write_them() {
    let expected = [("a", vec!["red, round"]), ("b", vec!["blue; x"])];
    for (name, table) in [
        ("metadata.csv", "File_Name,Caption\na.jpg,\"red, round\"\nb.jpg,blue; x\n"),
        ("metadata.csv", "\u{feff}file_name;text\r\na.jpg;red, round\r\nb.jpg;\"blue; x\"\r\n"),
        ("metadata.csv", "\"FILE_NAME\";\"text\"\na.jpg;red, round\nb.jpg;\"blue; x\"\n"),
        ("metadata.csv", "file_name\ttext\na.jpg\tred, round\nb.jpg\tblue; x\n"),
        ("metadata.csv", "text, long;file_name;text\n;a.jpg;red, round\n;b.jpg;\"blue; x\"\n"),
        ("metadata.tsv", "file_name\tText\na.jpg\tred, round\nb.jpg\tblue; x\n"),
        ("metadata.tsv", "text, long\tfile_name\ttext\n\ta.jpg\tred, round\n\tb.jpg\tblue; x\n"),
    ] {
        let data = all(&[(name, table), ("a.jpg", ""), ("b.jpg", "")]);
        assert_eq!(captions(&data), expected, "{table}");
    }
}

/// Whatever else is in the folder, captions stay with their pictures.
#[test]
fn no_folder_shifts_a_caption() {
    let noise = stackgan_noise::Noise::new(12);
    for case in 0..300 {
        let mut d = noise.draws(stackgan_noise::Stream::Test, 0, case);
        let dir = tempfile::tempdir().unwrap();
        let n = 1 + d.below(9);
        let mut table = "file_name,text\n".to_owned();
        for i in 0..n {
            let key = format!("{}{i}", ["", "x/", "y/z/"][d.below(3) as usize]);
            let path = put(&dir, &format!("{key}.jpg"), "");
            let captions: Vec<String> = (0..=d.below(3)).map(|c| format!("{c} of {key}")).collect();
            if d.chance(0.5) {
                std::fs::write(path.with_extension("txt"), captions.join("\n")).unwrap();
            } else {
                captions.iter().for_each(|c| table.push_str(&format!("{key}.jpg,{c}\n")));
            }
        }
        std::fs::write(dir.path().join("metadata.csv"), table).unwrap();
        let data = read(dir.path(), Reading::default()).unwrap();
        assert_eq!(data.items.len() as u64, n);
        for item in &data.items {
            for (c, caption) in item.captions.iter().enumerate() {
                assert_eq!(*caption, format!("{c} of {}", item.key));
            }
        }
    }
}

#[test]
fn captions_in_another_encoding_are_told() {
    let dir = folder(&[("a.jpg", ""), ("b.jpg", ""), ("b.txt", "b")]);
    std::fs::write(dir.path().join("a.txt"), b"caf\xe9").unwrap();
    let data = read(dir.path(), Reading::default()).unwrap();
    assert_eq!(captions(&data), [("a", vec!["café"]), ("b", vec!["b"])]);
    let said = "captions of 1 picture are not UTF-8 and were read as Windows-1252 (a.jpg)";
    assert!(data.notes.iter().any(|note| note.starts_with(said)), "{:?}", data.notes);
}

#[test]
fn a_table_in_another_encoding_says_so() {
    let dir = folder(&[("a.jpg", "")]);
    std::fs::write(dir.path().join("metadata.csv"), b"file_name,text\na.jpg,caf\xe9\n").unwrap();
    let said = read(dir.path(), Reading::default()).unwrap_err().to_string();
    assert!(said.contains("save the table as UTF-8") && said.contains("Windows-1252"), "{said}");
}

#[test]
fn what_the_program_painted_is_no_part_of_the_dataset() {
    let dir = folder(&[("a.jpg", ""), ("a.txt", "x"), ("out/b.txt", "a caption of one's own")]);
    let painted = b"\x89PNG\r\n\x1a\n\0\0\0\x0eiTXtstackgan\0\0\0\0\0{}sum!";
    for name in ["out/b.png", "out/c.png"] {
        std::fs::write(dir.path().join(name), painted).unwrap();
    }
    let data = read(dir.path(), Reading::default()).unwrap();
    assert_eq!(captions(&data).len(), 2, "one that has captions is a picture like others");
    assert!(data.notes.iter().any(|note| note.contains("1 picture that this program painted")));
}

#[test]
fn names_of_classes_serve_as_captions() {
    let how = Reading { uncaptioned: Uncaptioned::ClassName, ..Reading::default() };
    let mut files =
        vec![("002.pink_primrose/a.jpg", "mine\n"), ("002.pink_primrose/a.txt", "mine\n")];
    let names: Vec<String> = (0..5).map(|i| format!("{i} lily/b.png")).collect();
    files.extend(names.iter().map(|name| (&**name, "")));
    files.extend([
        ("002.pink_primrose/c.jpg", ""),
        ("03.wild/04.iris/d.jpg", ""),
        ("03.wild/04.iris/d.txt", "\n"),
    ]);
    let dir = folder(&files);
    let data = read(dir.path(), how).unwrap();
    let said = captions(&data);
    let of = |key: &str| &said.iter().find(|(other, _)| *other == key).unwrap().1;
    assert_eq!(*of("002.pink_primrose/a"), ["mine"]);
    for (key, name, one) in [
        ("0 lily/b", "0 lily", "a 0 lily"),
        ("002.pink_primrose/c", "pink primrose", "a pink primrose"),
        ("03.wild/04.iris/d", "wild iris", "a wild iris"),
    ] {
        let photo = format!("a photo of {one}");
        assert_eq!(*of(key), [name, one, &*photo, &*photo.replace("photo", "picture")]);
    }
    assert_eq!(said.len(), 8);
    let notes = data.notes.join("\n");
    for part in [
        "7 pictures captioned with the names of their classes (0 lily, 1 lily,",
        "none is kept for testing", // a tenth of the pictures, not a fifth of the classes
        "7 classes",
    ] {
        assert!(notes.contains(part), "{part} in {notes}");
    }
}

#[test]
fn names_of_classes_come_from_tables_and_a_picture_without_a_class_is_told() {
    let how = Reading { uncaptioned: Uncaptioned::ClassName, ..Reading::default() };
    let csv = "file_name,label\nx/a.jpg,red_rose\nx/b.jpg,iris\n";
    let dir = folder(&[("metadata.csv", csv), ("x/a.jpg", ""), ("x/b.jpg", "")]);
    let data = read(dir.path(), how).unwrap();
    let first = captions(&data).iter().map(|(_, captions)| captions[0]).collect::<Vec<_>>();
    assert_eq!(first, ["red rose", "iris"]);
    assert_ne!(data.items[0].class, data.items[1].class);
    let dir = folder(&[("a.jpg", ""), ("rose/b.jpg", ""), ("iris/c.jpg", "")]);
    let said = read(dir.path(), how).unwrap_err().to_string();
    assert!(said.contains("captions of pictures: 1 (a.jpg, which is in no class)"), "{said}");
    let said = crate::layouts::read(dir.path(), crate::layouts::Kind::Oxford, how).unwrap_err();
    assert!(said.to_string().contains("`--kind folder`"), "{said}");
}

#[test]
fn classes_whose_names_are_captions_are_split_by_picture() {
    let how = Reading { uncaptioned: Uncaptioned::ClassName, ..Reading::default() };
    let names: Vec<String> = (0..60).map(|i| format!("c{}/{i}.jpg", i % 6)).collect();
    let dir = folder(&names.iter().map(|name| (&**name, "")).collect::<Vec<_>>());
    let data = read(dir.path(), how).unwrap();
    assert_eq!(data.count(Split::Test), 6);
    assert_eq!(data.classes(Split::Train).len(), 6);
    assert!(
        data.notes.join("\n").contains("because names of classes are captions"),
        "{:?}",
        data.notes
    );
}

/// Spreadsheets write rows without values behind the last one.
#[test]
fn blank_rows_of_tables_are_left_out_and_nameless_ones_told() {
    let blank = "file_name;text;class;split\na.jpg;x;c;train\n;;;\n; ;;\n   \n;;\n;;;\n";
    let data = all(&[("metadata.csv", blank), ("a.jpg", "")]);
    assert_eq!(captions(&data), [("a", vec!["x"])]);
    let said = error(&[("metadata.csv", "file_name,text\na.jpg,x\n,\n,lost\n"), ("a.jpg", "")]);
    for part in ["row has no file name", "metadata.csv (row 3)", "or take it out"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let said = error(&[("metadata.csv", "file_name,text\n,a\n,b\n"), ("a.jpg", "")]);
    assert!(said.contains("2 rows of the table") && said.contains("do: give each row"), "{said}");
    let said =
        error(&[("metadata.jsonl", "{\"file_name\": \"\", \"text\": \"x\"}"), ("a.jpg", "")]);
    assert!(said.contains("metadata.jsonl (row 1)") && said.contains("no file name"), "{said}");
}

#[test]
fn two_tables_that_name_a_picture_are_both_named() {
    let (csv, jsonl) = ("file_name,text\na.jpg,x\n", "{\"file_name\": \"a.jpg\", \"text\": \"x\"}");
    for (files, found) in [
        (
            [("metadata.csv", csv), ("metadata.jsonl", jsonl), ("a.jpg", "")],
            "a.jpg in metadata.csv and in metadata.jsonl",
        ),
        (
            [
                ("metadata.csv", "file_name,text\ns/a.jpg,x\n"),
                ("s/metadata.csv", csv),
                ("s/a.jpg", ""),
            ],
            "s/a.jpg in metadata.csv and in s/metadata.csv",
        ),
    ] {
        let said = error(&files);
        for part in ["picture is named in two tables", found, "do: remove metadata.csv or"] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}

#[test]
fn a_column_without_a_name_is_not_told() {
    let notes = |table: &str| all(&[("metadata.csv", table), ("a.jpg", "")]).notes.join("\n");
    assert!(!notes(",file_name,text\n0,a.jpg,x\n").contains("not used"));
    let said = notes(",file_name,text,hue\n0,a.jpg,x,1\n");
    assert!(said.contains("columns of tables that are not used: hue\n"), "{said}");
}

#[test]
fn other_extensions_of_jpeg_are_pictures_and_of_other_formats_named() {
    let data = all(&[
        ("a.JFIF", ""),
        ("a.txt", "a"),
        ("b.jpe", ""),
        ("b.txt", "b"),
        ("c.heif", ""),
        ("d.NEF", ""),
    ]);
    assert_eq!(captions(&data), [("a", vec!["a"]), ("b", vec!["b"])]);
    let notes = data.notes.join("\n");
    assert!(
        notes.contains("2 pictures neither JPEG nor PNG nor WebP, not used (c.heif, d.NEF)"),
        "{notes}"
    );
}
