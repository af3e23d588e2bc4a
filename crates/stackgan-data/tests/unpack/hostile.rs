//! Files that claim what is not so: each is refused by name, with little memory, and nothing is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::slice::from_ref;

use stackgan_data::Error;
use stackgan_data::prepared::Damaged;
use stackgan_data::unpack::{Column, Columns};

use crate::parquets::{Claims, Page, Struct, file, group, leaf, with_footer};
use crate::{HEAP, fixture, into, refused, turn};

/// Refuses a Parquet file of these bytes within 64 MiB, and returns what is said.
fn said(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile.parquet");
    fs::write(&path, bytes).unwrap();
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let error = refused(&path, &Columns::default());
    let peak = HEAP.peak_usage() - before;
    assert!(peak < 64 << 20, "{peak} bytes of heap for {}: {error}", bytes.len());
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    error.to_string()
}

#[track_caller]
fn is_refused(bytes: &[u8], part: &str) {
    let said = said(bytes);
    assert!(said.contains(part), "no `{part}` in {said}");
}

/// Two rows, the second caption of which is `text`.
fn two(text: &[u8]) -> (Page, Page) {
    let picture = fs::read(fixture("../webp/lossy.webp")).unwrap();
    (Page::plain(&[&picture, &picture[..]]), Page::plain(&[b"one", text]))
}

fn read_well(bytes: &[u8]) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("well.parquet");
    fs::write(&path, bytes).unwrap();
    let report = into(&dir.path().join("out"), &[path], &Columns::default(), Damaged::Refuse);
    report.unwrap().captions
}

#[test]
fn what_is_no_whole_file() {
    let _turn = turn();
    let whole = fs::read(fixture("test-00000-of-00001.parquet")).unwrap();
    for cut in (0..whole.len()).step_by(211).chain([whole.len() - 1]) {
        is_refused(&whole[..cut], "hostile.parquet (");
    }
    is_refused(b"PAR1", "found 4 bytes");
    is_refused(&[b"PAR1", &[9; 40][..], b"PARE"].concat(), "an encrypted file");
    is_refused(
        &[&b"PAR1"[..], &[0xff, 0xff, 0xff, 0x7f], &[0xff, 0xff, 0xff, 0xff], b"PAR1"].concat(),
        "metadata of at most",
    );
    is_refused(&with_footer(&[], &[]), "found its end");
}

/// The crate that decodes would reserve memory for what is claimed, or follow it with its stack.
#[test]
fn metadata_that_claims_too_much() {
    let _turn = turn();
    let schema = |n: u64, columns: &[Vec<u8>]| {
        let footer =
            Struct::default().int(1, 2).list(2, (12, n), columns).long(3, 1).list(4, (12, 0), &[]);
        with_footer(&[], &footer.end())
    };
    is_refused(
        &schema(2, &[group("r", i32::MAX.into()), leaf("a", None)]),
        "at most 4096 columns in a column",
    );
    is_refused(&schema(2, &[group("r", 2), leaf("a", None)]), "all columns that are announced");
    is_refused(
        &schema(3, &[group("r", 1), leaf("a", None), leaf("b", None)]),
        "columns that one column holds",
    );
    is_refused(&schema(2, &[group("r", -1), leaf("a", None)]), "at most 4096");
    let deep: Vec<Vec<u8>> = (0..60_000).map(|_| group("g", 1)).chain([leaf("a", None)]).collect();
    is_refused(&schema(60_001, &deep), "at most 4096 columns");
    is_refused(&schema(4001, &deep[56_000..]), "at most 16 deep");
    is_refused(&schema(1 << 31, &[group("r", 1)]), "a list within the header");
    is_refused(&schema(2, &[group("r", 1), leaf(&"n".repeat(2000), None)]), "at most 1024 bytes");
    let nested =
        (0..100).fold(Struct::default(), |inner, _| Struct::default().structure(14, inner));
    is_refused(&with_footer(&[], &nested.end()), "structures at most 16 deep");
    let groups = Struct::default()
        .int(1, 2)
        .list(2, (12, 2), &[group("r", 1), leaf("a", None)])
        .long(3, 1)
        .list(4, (12, u64::MAX), &[]);
    is_refused(&with_footer(&[], &groups.end()), "a list within the header");
}

/// The crate that decodes reads a field by its number, whatever kind of value the file says it has.
#[test]
fn fields_of_other_kinds_are_refused() {
    let _turn = turn();
    let kinds = "kinds of parquet.thrift";
    let start = || Struct::default().int(1, 2);
    is_refused(&with_footer(&[], &start().long(2, 1 << 40).end()), kinds);
    let holds = Struct::default().int(3, 0).binary(4, b"r").long(5, i32::MAX.into()).end();
    let columns = |first: Vec<u8>| start().list(2, (12, 2), &[first, leaf("a", None)]);
    is_refused(&with_footer(&[], &columns(holds).long(3, 1).end()), kinds);
    // A blob that would be read as the rest of its structure, with other columns.
    let blob = Struct::default().binary(2, b"\x00\x00").end();
    let rows = columns(group("r", 1)).long(3, 1).list(4, (12, 1), &[blob]);
    is_refused(&with_footer(&[], &rows.end()), kinds);
    // Fields whose numbers are written in full: 65538, which the crate cuts to 2, and 1 again.
    for number in [&[0x84, 0x80, 0x08][..], &[2]] {
        let footer = [&start().end()[..2], &[0x09], number, &[0x0c, 0]].concat();
        is_refused(&with_footer(&[], &footer), "fields in their order");
    }
    let (image, text) = two(b"two");
    let page = |more: Vec<u8>, dictionary: bool| {
        let page = Page { more, dictionary, ..image.clone() };
        file(Claims::of(2), &[page, image.clone()], from_ref(&text))
    };
    let two_values = |claims: i64| Struct::default().int(1, claims).int(2, 0).end();
    // Behind a dictionary's own facts, those of a page of two values.
    is_refused(&page([vec![0x1c], two_values(2)].concat(), true), "a page of one kind");
    // A page of values whose kind says a dictionary, in a second field of the same number.
    let strange = Page { more: vec![0x05, 2, 4], ..image.clone() };
    is_refused(&file(Claims::of(2), &[strange], from_ref(&text)), "fields in their order");
    let other = Page { says: Some(2), ..image.clone() };
    let other = file(Claims::of(2), &[other], from_ref(&text));
    is_refused(&other, "facts about a page of its kind, found others, kind 2");
}

/// As some write them: an empty list without a kind, and the number of a field in full where it need not be
/// (the crate of Thrift for Rust writes 15 after 0 in full, which is the type of half precision).
#[test]
fn other_ways_of_writing_are_read() {
    let _turn = turn();
    let (image, text) = two(b"two");
    let bytes = file(Claims::of(2), from_ref(&image), from_ref(&text));
    let (body, end) = bytes.split_at(bytes.len() - 8);
    let length = u32::from_le_bytes(end[..4].try_into().unwrap()) as usize;
    let (body, footer) = body.split_at(body.len() - length);
    let plain = leaf("text", Some(0));
    let at = footer.windows(plain.len()).position(|window| window == plain).unwrap();
    let (before, after) = footer.split_at(at + plain.len() - 1);
    // Field 10 of the column, the union of types, with its field 1; then an unknown field 14.
    let typed = [before, &[0x4c, 0x0c, 2, 0, 0], after].concat();
    let footer = [&typed[..typed.len() - 1], &[0xa9, 0, 0]].concat();
    assert_eq!(read_well(&with_footer(&body[4..], &footer)), 2);
}

#[test]
fn pages_that_claim_too_much() {
    let _turn = turn();
    let (image, text) = two(b"two");
    let whole = file(Claims::of(2), from_ref(&image), from_ref(&text));
    assert_eq!(read_well(&whole), 2, "the files of this test can be read");
    let claims = |claims: Claims| file(claims, from_ref(&image), from_ref(&text));
    is_refused(&claims(Claims { rows: 3, ..Claims::of(2) }), "3 rows, 2 in its groups");
    is_refused(&claims(Claims::of(1 << 40)), "no more than bytes");
    is_refused(&claims(Claims::of(-2)), "rows");
    is_refused(&claims(Claims::of(3)), "a value for each row");
    is_refused(&claims(Claims { shift: 1 << 30, ..Claims::of(2) }), "a column within the file");
    is_refused(&claims(Claims { shift: -100, ..Claims::of(2) }), "a column within the file");
    is_refused(&claims(Claims { longer: 1 << 40, ..Claims::of(2) }), "a column within the file");
    is_refused(&claims(Claims { longer: -1000, ..Claims::of(2) }), "a column within the file");
    is_refused(&claims(Claims { codec: 2, ..Claims::of(2) }), "pages packed by GZIP");
    let pages = |image: Page| file(Claims::of(2), &[image], from_ref(&text));
    is_refused(
        &pages(Page { unpacked: i32::MAX.into(), ..image.clone() }),
        "at most 1 GiB and 20 times",
    );
    is_refused(&pages(Page { unpacked: -5, ..image.clone() }), "a length from 0");
    is_refused(&pages(Page { encoding: 6, ..image.clone() }), "encoding DELTA_LENGTH_BYTE_ARRAY");
    is_refused(&pages(Page { values: 1, ..image.clone() }), "a value for each row");
    let dictionary = Page { dictionary: true, values: i32::MAX.into(), ..image.clone() };
    let numbers = Page { encoding: 8, unpacked: 3, body: vec![1, 4, 0], ..image.clone() };
    let of_two = Page { values: 2, ..dictionary.clone() };
    let both =
        |dictionary: Page| file(Claims::of(2), &[dictionary, numbers.clone()], from_ref(&text));
    assert_eq!(read_well(&both(of_two)), 2, "a dictionary can be read");
    is_refused(&both(dictionary), "no more values than fit into the dictionary");
    // At numbers without a dictionary the crate that decodes panics.
    let numbers = [numbers.clone()];
    is_refused(&file(Claims::of(2), &numbers, from_ref(&text)), "what makes the reader fail");
    // Packed by zstd, and 20 times as small as it claims.
    let packed = Page { unpacked: 3 << 20, ..image.clone() };
    is_refused(&file(Claims { codec: 6, ..Claims::of(2) }, &[packed], from_ref(&text)), "20 times");
}

/// One picture in a dictionary, to which thousands of rows refer.
#[test]
fn a_file_that_unpacks_to_too_much() {
    let _turn = turn();
    let rows = 5000_i64;
    let picture = [fs::read(fixture("../webp/lossy.webp")).unwrap(), vec![0; 3000]].concat();
    let dictionary = Page { dictionary: true, ..Page::plain(&[&picture]) };
    // A run of the number 0: its length twice, in a number of one bit.
    let run = vec![1, (rows << 1 & 0x7f | 0x80) as u8, (rows >> 6) as u8, 0];
    let numbers = Page {
        encoding: 8,
        unpacked: 4,
        values: rows,
        dictionary: false,
        says: None,
        more: Vec::new(),
        body: run,
    };
    let texts = vec![&b"a"[..]; rows as usize];
    let bytes = file(Claims::of(rows), &[dictionary, numbers], &[Page::plain(&texts)]);
    is_refused(&bytes, "the file unpacks to too much");
}

#[test]
fn rows_that_cannot_be_used_are_counted_and_named() {
    let _turn = turn();
    let picture = fs::read(fixture("../webp/lossy.webp")).unwrap();
    let other = [&picture[..], b"other"].concat();
    let long = "x".repeat(4097);
    let images: Vec<&[u8]> = vec![&picture, b"GIF89a...", b"", b"text", &other, &picture, &picture];
    let texts: Vec<&[u8]> =
        vec![b"\x1b[31mone\n two", b"a", b"b", b"c", b"\xff\xfe", long.as_bytes(), b" \t"];
    let bytes = file(Claims::of(7), &[Page::plain(&images)], &[Page::plain(&texts)]);
    let said = said(&bytes);
    for part in [
        "5 of 7 pictures cannot be used",
        "row 1 (found a picture in the format Gif",
        "row 2 (found an empty file)",
        "row 3 (found no picture of a known format)",
        "row 4 (found a caption that is no UTF-8)",
        "row 5 (found a caption of 4097 bytes, 4096 are the most)",
        "--damaged leave-out",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("some.parquet"), dir.path().join("out"));
    fs::write(&path, bytes).unwrap();
    let report = into(&out, &[path], &Columns::default(), Damaged::LeaveOut).unwrap();
    assert_eq!((report.pictures, report.captions), (1, 1));
    assert!(
        report
            .notes
            .iter()
            .any(|n| n.starts_with("5 pictures that cannot be used left out (row 1"))
    );
    let table = fs::read_to_string(out.join("metadata.jsonl")).unwrap();
    assert!(table.contains(r#""text":["\\u{1b}[31mone  two"]"#), "{table}");
    let none = file(Claims::of(1), &[Page::plain(&[b"GIF89a"])], &[Page::plain(&[b"a"])]);
    is_refused(&none, "no picture of 1 can be used");
}

#[test]
fn what_is_not_clear_lists_the_columns() {
    let _turn = turn();
    let ask = |name: &str, columns: &Columns| {
        let error = refused(&fixture(name), columns);
        assert!(matches!(error, Error::Config { .. }), "{error}");
        error.to_string()
    };
    let columns = Columns::default;
    let said = ask("unclear.parquet", &columns());
    assert!(
        said.contains("front.bytes (bytes), back.bytes (bytes)") && said.contains("--image"),
        "{said}"
    );
    let said = ask("unclear.parquet", &Columns { image: Some("front".to_owned()), ..columns() });
    assert!(said.contains("title (text), story (text)") && said.contains("--text"), "{said}");
    let said = ask("unclear.parquet", &Columns { image: Some("title".to_owned()), ..columns() });
    assert!(said.contains("holds no pictures") && said.contains("title (text)"), "{said}");
    let said = ask(
        "lists-zstd.parquet",
        &Columns { text: Column::Named(vec!["caption".to_owned()]), ..columns() },
    );
    assert!(
        said.contains("no column `caption`") && said.contains("captions (lists of text)"),
        "{said}"
    );
    let class = Column::Named("captions".to_owned());
    let said = ask("lists-zstd.parquet", &Columns { class, ..columns() });
    assert!(said.contains("holds no classes"), "{said}");
    let said = refused(&fixture("paths.parquet"), &columns()).to_string();
    assert!(
        said.contains("only where it was: /home/me/0.png") && said.contains("(row 0)"),
        "{said}"
    );
}

/// Writes a tar of these files.
fn tar(path: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let mut bytes = Vec::new();
    for (name, contents) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", contents.len()).as_bytes());
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        bytes.extend(*contents);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend([0; 1024]);
    fs::write(path, bytes).unwrap();
    path.to_path_buf()
}

/// Originals and drawings lie beside the pictures that were made of them.
#[test]
fn the_only_picture_that_can_be_read_is_taken() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let picture = fs::read(fixture("../webp/lossy.webp")).unwrap();
    for original in ["a.svg", "a.dng", "a.raw.psd", "a.GIF"] {
        let files: &[(&str, &[u8])] = &[(original, b"x"), ("a.txt", b"x"), ("a.webp", &picture)];
        let path = tar(&dir.path().join("both.tar"), files);
        let out = dir.path().join(original);
        let report = into(&out, &[path], &Columns::default(), Damaged::Refuse).unwrap();
        assert_eq!((report.pictures, report.captions), (1, 1), "{original}");
        let said = report.notes.join("\n");
        assert!(said.contains("pictures from `webp`"), "{said}");
    }
    // Alone it is a picture all the same, which cannot be read.
    let files: &[(&str, &[u8])] = &[("a.svg", b"x"), ("a.txt", b"x")];
    let alone = refused(&tar(&dir.path().join("alone.tar"), files), &Columns::default());
    assert!(alone.to_string().contains("a (found no picture of a known format"), "{alone}");
    let files: &[(&str, &[u8])] = &[("a.svg", b"x"), ("a.dng", b"x"), ("a.txt", b"x")];
    let two = refused(&tar(&dir.path().join("two.tar"), files), &Columns::default());
    assert!(two.to_string().contains("dng, svg of a"), "{two}");
}

#[test]
fn tars_that_are_hostile_or_not_clear() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let picture = fs::read(fixture("../webp/lossy.webp")).unwrap();
    let said = |files: &[(&str, &[u8])]| {
        let path = tar(&dir.path().join("hostile.tar"), files);
        refused(&path, &Columns::default()).to_string()
    };
    for (name, part) in [
        ("../a.webp", "leaves the folder"),
        ("/etc/a.webp", "an absolute path"),
        ("a/../../a.webp", "leaves the folder"),
        ("a\x1b[2J.webp", "control character"),
        ("2020-01-01T12:00:00.webp", "colon"),
        ("A.TXT", "there twice"),
    ] {
        let said = said(&[("a.TXT", b"x"), (name, &picture)]);
        assert!(said.contains(part) && said.contains("hostile.tar"), "{name}: {said}");
        assert!(said.contains("rename the entry") && !said.contains("fetch it again"), "{said}");
    }
    let found = said(&[("a.webp", &picture), ("a.txt", b"x"), ("a.webp", &picture)]);
    assert!(found.contains("there twice"), "{found}");
    let found = said(&[("a.webp", &picture), ("a.seg.png", &picture), ("a.txt", b"x")]);
    assert!(
        found.contains("where the pictures are") && found.contains("seg.png, webp of a"),
        "{found}"
    );
    let json = br#"{"caption": "x", "text": "y", "label": 1}"#;
    let found = said(&[("a.webp", &picture), ("a.json", json)]);
    assert!(found.contains("text, caption of a"), "{found}");
    let found = said(&[("a.webp", &picture)]);
    assert!(found.contains("the pictures have no captions"), "{found}");
    assert!(said(&[("a.txt", b"x")]).contains("there are no pictures"));
    let found = said(&[("a.webp", &picture), ("a.json", b"{"), ("b.jpg", b"x"), ("b.txt", b"x")]);
    for part in [
        "no picture of 2",
        "a (found a JSON that is none",
        "b (found no picture of a known format)",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
    let found = said(&[
        ("a.webp", &picture),
        ("a.txt", b"x"),
        ("a.cls", b"1"),
        ("b.webp", &[&picture[..], b"b"].concat()),
    ]);
    assert!(found.contains("only some pictures have a class") && found.contains("(b)"), "{found}");
    // A tar that was cut off between two entries.
    let path = tar(&dir.path().join("cut.tar"), &[("a.webp", &picture), ("a.txt", b"x")]);
    let whole = fs::read(&path).unwrap();
    for cut in [512, 1024, 1536, 2048, whole.len() - 1024] {
        fs::write(&path, &whole[..cut]).unwrap();
        let found = refused(&path, &Columns::default()).to_string();
        assert!(found.contains("damaged"), "{cut}: {found}");
    }
}
