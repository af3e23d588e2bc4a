//! Tests of the import: every form gives the same rows, in any order. A source that is truncated,
//! permuted without names, of another count or of another picture is rejected and leaves nothing
//! behind.

use super::{Embeddings, captions_list, import};
use crate::crop::PictureSize;
use crate::dataset::Split;
use crate::formats::pickle;
use crate::prepared::Prepared;
use crate::testing::prepared;
use std::path::{Path, PathBuf};

pub(super) const DIM: usize = 3;
const PICTURES: usize = 11;

pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) data: Prepared,
}

impl World {
    pub(super) fn new() -> Self {
        let (dir, _, data) = prepared(PICTURES, 3, PictureSize::Stage1);
        std::fs::create_dir(dir.path().join("given")).unwrap();
        Self { dir, data }
    }

    /// A path for an input, in a folder of its own.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join("given").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub(super) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn out(&self) -> PathBuf {
        self.dir.path().join("e.safetensors")
    }

    /// The embedding of caption row `r`, different for every row.
    pub(super) fn row(r: usize) -> Vec<f32> {
        (0..DIM).map(|d| r as f32 + d as f32 / 8.0).collect()
    }

    /// The embeddings of picture `i`.
    fn rows(&self, i: usize) -> Vec<f32> {
        self.data.caption_range(i).flat_map(Self::row).collect()
    }

    fn npy(&self, i: usize) -> Vec<u8> {
        array(&[self.data.caption_range(i).len(), DIM], &self.rows(i))
    }

    fn keys(&self) -> Vec<String> {
        (0..self.data.len()).map(|i| self.data.key(i).to_owned()).collect()
    }

    /// Imports and checks every row. Returns the form, and the number of entries of other pictures.
    fn good(&self, path: &Path) -> (&'static str, usize) {
        let done = import(path, &self.data, &self.out(), None, &|_, _| {}).unwrap();
        let found = Embeddings::open(&self.out()).unwrap();
        found.check(&self.data).unwrap();
        assert_eq!((found.len(), found.dim()), (self.data.caption_count(), DIM));
        assert_eq!((done.rows, done.dim), (found.len(), DIM));
        for r in 0..found.len() {
            assert_eq!(
                found.rows(r..r + 1).unwrap(),
                Self::row(r),
                "row {r} of {}",
                path.display()
            );
        }
        std::fs::remove_file(self.out()).unwrap();
        (done.form, done.unused)
    }

    /// The error message.
    fn bad(&self, path: &Path) -> String {
        let said = import(path, &self.data, &self.out(), None, &|_, _| {}).unwrap_err().to_string();
        assert!(!self.out().exists(), "{said}");
        assert!(said.contains("  do: "), "{said}");
        said
    }
}

/// An `.npy` file of version 1.0.
pub(super) fn array(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({extents}), }}\n")
        .into_bytes();
    let length = (header.len() as u16).to_le_bytes();
    let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\0", &length[..], &header, &values].concat()
}

/// A zip of stored files.
fn zip(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let at = out.len() as u32;
        let facts: Vec<u8> = [
            &20u16.to_le_bytes()[..],
            &[0; 8],
            &crc.sum().to_le_bytes(),
            &(bytes.len() as u32).to_le_bytes(),
            &(bytes.len() as u32).to_le_bytes(),
            &(name.len() as u16).to_le_bytes(),
            &[0; 2],
        ]
        .concat();
        out.extend([b"PK\x03\x04", &facts[..], name.as_bytes(), bytes].concat());
        central.extend(
            [b"PK\x01\x02\x14\x00", &facts[..], &[0; 10], &at.to_le_bytes(), name.as_bytes()]
                .concat(),
        );
    }
    let n = (members.len() as u16).to_le_bytes();
    let places = [(central.len() as u32).to_le_bytes(), (out.len() as u32).to_le_bytes()].concat();
    out.extend(&central);
    out.extend([b"PK\x05\x06\0\0\0\0", &n[..], &n, &places, &[0, 0]].concat());
    out
}

pub(super) fn npz(arrays: &[(String, Vec<u8>)]) -> Vec<u8> {
    let named = |(name, bytes): &(String, Vec<u8>)| (format!("{name}.npy"), bytes.clone());
    zip(&arrays.iter().map(named).collect::<Vec<_>>())
}

/// Writes `.t7`: every object gets the next index.
#[derive(Default)]
pub(super) struct Torch {
    pub(super) bytes: Vec<u8>,
    index: i32,
}

impl Torch {
    fn int(&mut self, n: i32) {
        self.bytes.extend(n.to_le_bytes());
    }

    fn name(&mut self, text: &str) {
        self.int(text.len() as i32);
        self.bytes.extend(text.as_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.int(2);
        self.name(text);
    }

    pub(super) fn number(&mut self, n: f64) {
        self.int(1);
        self.bytes.extend(n.to_le_bytes());
    }

    fn object(&mut self, tag: i32) {
        self.index += 1;
        self.int(tag);
        self.int(self.index);
    }

    pub(super) fn table(&mut self, entries: usize) {
        self.object(3);
        self.int(entries as i32);
    }

    pub(super) fn tensor(&mut self, shape: &[usize], values: &[f32]) {
        self.object(4);
        self.name("V 1");
        self.name("torch.FloatTensor");
        self.int(shape.len() as i32);
        let strides = (0..shape.len()).map(|d| shape[d + 1..].iter().product::<usize>());
        for n in shape.iter().copied().chain(strides).chain([1]) {
            self.bytes.extend((n as i64).to_le_bytes());
        }
        self.object(4);
        self.name("V 1");
        self.name("torch.FloatStorage");
        self.bytes.extend((values.len() as i64).to_le_bytes());
        self.bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    }

    fn record(&mut self, w: &World, i: usize, image: &str) {
        self.table(2);
        self.text("img");
        self.text(image);
        self.text("txt");
        self.tensor(&[w.data.caption_range(i).len(), DIM], &w.rows(i));
    }
}

fn record(w: &World, i: usize, image: &str) -> Vec<u8> {
    let mut t = Torch::default();
    t.record(w, i, image);
    t.bytes
}

/// A protocol-2 pickle of (rows, DIM) arrays of f4 in numpy's form.
pub(super) fn pickled(arrays: &[Vec<f32>]) -> Vec<u8> {
    let mut out = b"\x80\x02]q\x00(".to_vec();
    arrays.iter().for_each(|values| pickle_array(&mut out, values));
    out.extend(b"e.");
    out
}

/// The same of a dict.
pub(super) fn pickled_dict(arrays: &[(&str, Vec<f32>)]) -> Vec<u8> {
    let mut out = b"\x80\x02}q\x00(".to_vec();
    for (name, values) in arrays {
        out.extend([b"X", &(name.len() as u32).to_le_bytes()[..], name.as_bytes()].concat());
        pickle_array(&mut out, values);
    }
    out.extend(b"u.");
    out
}

fn pickle_array(out: &mut Vec<u8>, values: &[f32]) {
    let rows = (values.len() / DIM) as u8;
    out.extend(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R");
    out.extend([b"(K\x01K", &[rows][..], b"K", &[DIM as u8], b"\x86"].concat());
    out.extend(b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R");
    out.extend(b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
    out.extend((values.len() as u32 * 4).to_le_bytes());
    out.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    out.extend(b"tb");
}

const PICKLE: &str = "char-CNN-RNN-embeddings.pickle";

/// The release's lists and pickles of these pictures.
fn release(w: &World, splits: [&[usize]; 2]) -> PathBuf {
    for (split, pictures) in Split::ALL.into_iter().zip(splits) {
        let names: Vec<String> = pictures.iter().map(|&i| w.data.key(i).to_owned()).collect();
        w.put(&format!("r/{}/filenames.pickle", split.name()), pickle::write_strings(&names));
        let arrays: Vec<Vec<f32>> = pictures.iter().map(|&i| w.rows(i)).collect();
        w.put(&format!("r/{}/{PICKLE}", split.name()), pickled(&arrays));
    }
    w.at("r")
}

/// The release's folder of all pictures.
pub(super) fn whole_release(w: &World) -> PathBuf {
    let [train, test] = Split::ALL.map(|split| w.data.indices(split));
    release(w, [&train, &test])
}

#[test]
fn the_release_s_pickles_are_joined_by_their_lists() {
    let w = World::new();
    let folder = whole_release(&w);
    assert_eq!(w.good(&folder), ("the release's pickles", 0));
    assert_eq!(w.good(&w.at(&format!("r/test/{PICKLE}"))), ("the release's pickles", 0));
    // Another order, another split: the lists identify the arrays.
    let order: Vec<usize> = (0..PICTURES).rev().collect();
    let folder = release(&w, [&order[..4], &order[4..]]);
    assert_eq!(w.good(&folder).1, 0);
    // One name less in the list than there are arrays.
    let names = w.at("r/train/filenames.pickle");
    std::fs::write(&names, pickle::write_strings(&w.keys()[7..10])).unwrap();
    let said = w.bad(&folder);
    assert!(said.contains("3 arrays as") && said.contains("found 4 arrays"), "{said}");
    std::fs::remove_file(&names).unwrap();
    assert!(w.bad(&folder).contains("filenames.pickle"));
    // A picture without embeddings, and embeddings of no picture.
    let folder = release(&w, [&order[..4], &order[5..]]);
    let said = w.bad(&folder);
    assert!(said.contains("1 of 11 pictures") && said.contains("k6"), "{said}");
    let folder = release(&w, [&order[..4], &order[4..]]);
    w.put("r/train/skip-thought-embeddings.pickle", pickled(&[]));
    assert!(w.bad(&folder).contains("several encoders"));
    assert_eq!(w.good(&w.at(&format!("r/train/{PICKLE}"))).1, 0);
}

/// A user's own pickles: arrays by name, or one array, in a dict or alone, with the captions of its
/// rows beside it.
#[test]
fn dicts_of_arrays_are_read() {
    let w = World::new();
    let keys = w.keys();
    let by_name = |order: &mut dyn Iterator<Item = usize>| -> Vec<u8> {
        let named = |i: usize| (keys[i].as_str(), w.rows(i));
        pickled_dict(&order.map(named).collect::<Vec<_>>())
    };
    let dict = w.put("dict.pkl", by_name(&mut (0..PICTURES).rev()));
    assert_eq!(w.good(&dict), ("arrays by name", 0));
    let all: Vec<f32> = (0..PICTURES).flat_map(|i| w.rows(i)).collect();
    let one = w.put("one.pickle", pickled_dict(&[("embeddings", all.clone())]));
    assert!(w.bad(&one).contains("one.txt"), "which rows are which is not said");
    w.put("one.txt", captions_list(&w.data));
    assert_eq!(w.good(&one), w.good(&w.put("one.npy", array(&[all.len() / DIM, DIM], &all))));
    // What is no such dict says what to do.
    let mut other = by_name(&mut (0..2));
    other.truncate(other.len() - 2);
    other.extend(b"X\x05\x00\x00\x00namesK\x07u.");
    let said = w.bad(&w.put("other.pkl", other));
    assert!(said.contains("entry `names` of the dict") && said.contains("an integer"), "{said}");
    assert!(said.contains("by the names of pictures and nothing else"), "{said}");
    let said = w.bad(&w.put("numbers.pkl", b"\x80\x02}q\x00(K\x01K\x02u."));
    assert!(said.contains("key 0 of the dict"), "{said}");
    let said = w.bad(&w.put("list.pkl", pickled(&[w.rows(0)])));
    assert!(said.contains("filenames.pickle") && said.contains("pickle a dict"), "{said}");
    // Beside the release's lists, too.
    w.put("filenames.pickle", pickle::write_strings(&keys[..3]));
    assert_eq!(w.good(&dict).1, 0);
}

#[test]
fn embeddings_of_a_larger_set_serve_a_part_of_it() {
    let w = World::new();
    let (_dir, _, more) = prepared(PICTURES + 9, 3, PictureSize::Stage1);
    let arrays: Vec<(String, Vec<u8>)> = (0..more.len())
        .map(|i| {
            let values: Vec<f32> = more.caption_range(i).flat_map(World::row).collect();
            (more.key(i).to_owned(), array(&[more.caption_range(i).len(), DIM], &values))
        })
        .collect();
    assert_eq!(w.good(&w.put("all.npz", npz(&arrays))), ("arrays by name", 9));
}

#[test]
fn arrays_by_name_come_in_any_order() {
    let w = World::new();
    let mut arrays: Vec<(String, Vec<u8>)> =
        (0..PICTURES).map(|i| (w.data.key(i).to_owned(), w.npy(i))).collect();
    arrays.reverse();
    arrays.swap(2, 5);
    assert_eq!(w.good(&w.put("e.npz", npz(&arrays))), ("arrays by name", 0));
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = (0..PICTURES)
        .map(|i| {
            let bytes = w.rows(i).iter().flat_map(|x| x.to_le_bytes()).collect();
            (format!("{}.jpg", w.data.key(i)), vec![w.data.caption_range(i).len(), DIM], bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (
            name.clone(),
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes)
                .unwrap(),
        )
    });
    let file = w.put("e.safetensors", safetensors::serialize(views, None).unwrap());
    assert_eq!(w.good(&file), ("arrays by name", 0));
    // Two swapped arrays: only their counts can reveal it, and they do.
    let (a, b) = (arrays[0].1.clone(), arrays[1].1.clone());
    (arrays[0].1, arrays[1].1) = (b, a);
    let said = w.bad(&w.put("e.npz", npz(&arrays)));
    assert!(said.contains("array k") && said.contains("a row for each caption"), "{said}");
    arrays[1].0 = arrays[0].0.clone();
    assert!(!w.bad(&w.put("e.npz", npz(&arrays))).is_empty());
}

/// The releases' captions with their embeddings.
pub(super) fn demo(captions: &[String], rows: impl ExactSizeIterator<Item = Vec<f32>>) -> Vec<u8> {
    let mut t = Torch::default();
    t.table(2);
    t.text("raw_txt");
    t.table(captions.len());
    for (r, caption) in captions.iter().enumerate() {
        t.number(r as f64 + 1.0);
        t.text(caption);
    }
    t.text("fea_txt");
    t.table(rows.len());
    for (r, row) in rows.enumerate() {
        t.number(r as f64 + 1.0);
        t.tensor(&[1, row.len()], &row);
    }
    t.bytes
}

#[test]
fn torch_tables_of_records_tensors_and_captions() {
    let w = World::new();
    let order: Vec<usize> = (0..PICTURES).rev().collect();
    let mut records = Torch::default();
    records.table(PICTURES);
    for (n, &i) in order.iter().enumerate() {
        records.number(n as f64 + 1.0);
        records.record(&w, i, &format!("jpg/{}.jpg", w.data.key(i)));
    }
    assert_eq!(w.good(&w.put("records.t7", &records.bytes)), ("arrays by name", 0));
    let mut named = Torch::default();
    named.table(PICTURES);
    for &i in &order {
        named.text(w.data.key(i));
        named.tensor(&[w.data.caption_range(i).len(), DIM], &w.rows(i));
    }
    assert_eq!(w.good(&w.put("named.t7", &named.bytes)), ("arrays by name", 0));
    let demo = |captions: &[String]| demo(captions, (0..captions.len()).map(World::row));
    let mut captions = w.data.all_captions().to_vec();
    assert_eq!(w.good(&w.put("demo.t7", demo(&captions))).0, "captions with their embeddings");
    captions.swap(3, 4);
    let said = w.bad(&w.put("demo.t7", demo(&captions)));
    assert!(said.contains("caption 4"), "{said}");
}

#[test]
fn folders_of_pictures_and_of_classes() {
    let w = World::new();
    for i in 0..PICTURES {
        let key = w.data.key(i).to_owned();
        match i % 3 {
            0 => {
                w.put(&format!("f/class_00098/{key}.t7"), record(&w, i, &format!("jpg/{key}.jpg")))
            }
            1 => w.put(&format!("f/{key}.t7"), record(&w, i, &format!("{key}.png"))),
            _ => w.put(&format!("f/{key}.npy"), w.npy(i)),
        };
    }
    let folder = w.at("f");
    assert_eq!(w.good(&folder), ("a folder of files", 0));
    w.put("f/k99.npy", w.npy(0));
    assert_eq!(w.good(&folder).1, 1);
    let own = w.put("f/k1.t7", record(&w, 1, "k4.jpg"));
    assert!(w.bad(&folder).contains("named after"));
    std::fs::remove_file(own).unwrap();
    assert!(w.bad(&folder).contains("1 of 11 pictures"));
    // A record with another file name, and the same picture a second time.
    w.put("f/anything.t7", record(&w, 1, "k1.jpg"));
    assert_eq!(w.good(&folder).1, 1);
    w.put("f/again.t7", record(&w, 1, "k1.jpg"));
    assert!(w.bad(&folder).contains("a second one for k1"));

    // A file for each class: pictures with the same number of captions, and the list of their
    // names.
    for class in 0..3 {
        let of: Vec<usize> = (0..PICTURES).rev().filter(|i| i % 3 == class).collect();
        let values: Vec<f32> = of.iter().flat_map(|&i| w.rows(i)).collect();
        let shape = [of.len(), w.data.caption_range(of[0]).len(), DIM];
        let mut t = Torch::default();
        t.tensor(&shape, &values);
        w.put(&format!("c/class{class}.t7"), t.bytes);
        let names: Vec<&str> = of.iter().map(|&i| w.data.key(i)).collect();
        w.put(&format!("c/class{class}.txt"), names.join("\n"));
    }
    assert_eq!(w.good(&w.at("c")), ("a folder of files", 0));
    w.put("c/class1.txt", "k1\nk4\nk7");
    assert!(w.bad(&w.at("c")).contains("found 3 lines"));
    std::fs::remove_file(w.at("c/class1.txt")).unwrap();
    assert!(w.bad(&w.at("c")).contains("list of their names"));
    assert!(w.bad(&w.at("empty/x").with_file_name("")).contains("no embeddings"));
}

#[test]
fn an_array_of_one_picture_has_no_parts() {
    let w = World::new();
    for i in 0..PICTURES {
        w.put(&format!("f/{}.npy", w.data.key(i)), w.npy(i));
    }
    let (folder, captions) = (w.at("f"), w.data.caption_range(4).len());
    w.put("f/k4.npy", array(&[1, 1, captions, DIM], &w.rows(4)));
    assert_eq!(w.good(&folder).1, 0);
    w.put("f/k4.npy", array(&[3, captions, DIM], &w.rows(4).repeat(3)));
    let said = w.bad(&folder);
    assert!(said.contains("k4.npy") && said.contains("found shape [3, 2, 3]"), "{said}");
    w.put("f/k4.npy", array(&[1, 3, captions, DIM], &w.rows(4).repeat(3)));
    assert!(w.bad(&folder).contains("[3, 2, 3]"));
}

#[test]
fn an_array_without_names_needs_its_list() {
    let w = World::new();
    let n = w.data.caption_count();
    let values: Vec<f32> = (0..n).flat_map(World::row).collect();
    let file = w.put("e.npy", array(&[n, DIM], &values));
    let said = w.bad(&file);
    assert!(said.contains("stackgan data captions") && said.contains("e.txt"), "{said}");
    w.put("e.txt", captions_list(&w.data));
    assert_eq!(w.good(&file), ("an array with a list of captions", 0));
    w.put("e.txt", captions_list(&w.data).replace('\n', "\r\n"));
    assert_eq!(w.good(&file).1, 0);
    let mut lines: Vec<&str> = w.data.all_captions().iter().map(String::as_str).collect();
    lines.swap(5, 6);
    w.put("e.txt", lines.join("\n"));
    assert!(w.bad(&file).contains("caption 6"));
    lines.swap(5, 6);
    w.put("e.txt", lines[1..].join("\n"));
    assert!(w.bad(&file).contains(&format!("found {} lines", n - 1)));
    w.put("e.txt", captions_list(&w.data));
    let short = w.put("e.npy", array(&[n - 1, DIM], &values[DIM..]));
    assert!(w.bad(&short).contains(&format!("found {n} lines")));
}

/// One array of pictures with one caption each, in an arbitrary order.
#[test]
fn a_list_of_pictures_puts_an_array_in_order() {
    let w = World::new();
    let (_dir, _, two) = prepared(2, 1, PictureSize::Stage1); // with one caption and with two
    assert_eq!(two.caption_count(), 3);
    let of: Vec<usize> = (0..PICTURES).rev().collect();
    let values: Vec<f32> = of.iter().flat_map(|&i| w.rows(i)[..DIM].to_vec()).collect();
    let file = w.put("p.npy", array(&[PICTURES, 1, DIM], &values));
    w.put("p.txt", of.iter().map(|&i| w.data.key(i)).collect::<Vec<_>>().join("\n"));
    let said = w.bad(&file);
    assert!(said.contains("entry 9, k1") && said.contains("shape (2, 3)"), "{said}");
}

#[test]
fn numbers_that_are_none_and_other_widths_are_named() {
    let w = World::new();
    let mut arrays: Vec<(String, Vec<u8>)> =
        (0..PICTURES).map(|i| (w.data.key(i).to_owned(), w.npy(i))).collect();
    let mut values = w.rows(4);
    values[4] = f32::NAN;
    arrays[4].1 = array(&[2, DIM], &values);
    let said = w.bad(&w.put("e.npz", npz(&arrays)));
    assert!(said.contains("array k4, k4") && said.contains("NaN in row 1"), "{said}");
    arrays[4].1 = array(&[2, DIM + 1], &[0.0; 8]);
    assert!(w.bad(&w.put("e.npz", npz(&arrays))).contains("expected shape (2, 3)"));
    arrays[4].1 = array(&[2, DIM, 1], &[0.0; 6]);
    assert!(w.bad(&w.put("e.npz", npz(&arrays))).contains("found shape [2, 3, 1]"));
    assert!(w.bad(&w.put("e.csv", "1,2")).contains(".csv"));
    assert!(w.bad(&w.at("nothing.npy")).contains("there are no embeddings"));
}

/// A file that is truncated anywhere is rejected: nothing is imported from a part of it.
#[test]
fn cut_files_are_refused() {
    let w = World::new();
    let n = w.data.caption_count();
    let values: Vec<f32> = (0..n).flat_map(World::row).collect();
    w.put("e.txt", captions_list(&w.data));
    let arrays: Vec<(String, Vec<u8>)> =
        (0..PICTURES).map(|i| (w.data.key(i).to_owned(), w.npy(i))).collect();
    let mut t7 = Torch::default();
    t7.tensor(&[n, DIM], &values);
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![n, DIM], &bytes)
        .unwrap();
    let whole = [
        ("e.npy", array(&[n, DIM], &values)),
        ("e.npz", npz(&arrays)),
        ("e.t7", t7.bytes),
        ("e.safetensors", safetensors::serialize([("x", view)], None).unwrap()),
    ];
    for (name, bytes) in whole {
        w.good(&w.put(name, &bytes));
        for cut in (0..bytes.len()).step_by(23).chain([bytes.len() - 1]) {
            w.bad(&w.put(name, &bytes[..cut]));
        }
    }
    let folder = whole_release(&w);
    let file = w.at(&format!("r/train/{PICKLE}"));
    let bytes = std::fs::read(&file).unwrap();
    for cut in (0..bytes.len()).step_by(17) {
        std::fs::write(&file, &bytes[..cut]).unwrap();
        w.bad(&folder);
    }
}

#[test]
fn the_source_is_recorded_and_decides_the_encoder_s_name() {
    let w = World::new();
    let n = w.data.caption_count();
    w.put("e.txt", captions_list(&w.data));
    let facts = |values: &[f32]| {
        let bytes = array(&[n, DIM], values);
        let file = w.put("e.npy", &bytes);
        import(&file, &w.data, &w.out(), None, &|_, _| {}).unwrap();
        let found = Embeddings::open(&w.out()).unwrap();
        let [source] = found.sources() else { panic!("{:?}", found.sources()) };
        assert_eq!((&*source.name, source.files), ("e.npy", 1));
        assert_eq!(source.sha256, crate::digest::sha256(&bytes));
        (found.encoder().to_owned(), source.sha256.clone())
    };
    let values: Vec<f32> = (0..n).flat_map(World::row).collect();
    let (one, again) = (facts(&values), facts(&values));
    assert_eq!(one, again);
    assert!(one.0.starts_with("imported-"));
    let other = facts(&vec![0.5; n * DIM]);
    assert!(other.0 != one.0 && other.1 != one.1);
    // A file that was imported, or encoded by us, can be imported unchanged.
    let kept = w.dir.path().join("kept.safetensors");
    std::fs::rename(w.out(), &kept).unwrap();
    let done = import(&kept, &w.data, &w.out(), None, &|_, _| {}).unwrap();
    assert_eq!(done.form, "a file of this program");
    assert!(std::fs::read(&kept).unwrap() == std::fs::read(w.out()).unwrap());
    let (_dir, _, foreign) = prepared(5, 2, PictureSize::Stage1);
    assert!(import(&kept, &foreign, &w.out(), None, &|_, _| {}).is_err());
}

#[test]
fn whatever_an_archive_calls_an_array_is_found_again() {
    let w = World::new();
    let names = ["a".repeat(240), "b\u{200e}c".to_owned(), "d\te".to_owned()];
    let arrays: Vec<_> = (0..).zip(&names).map(|(i, name)| (name.clone(), w.npy(i))).collect();
    let bytes = npz(&arrays);
    let archive = crate::formats::npz::decode(&bytes, Path::new("a.npz")).unwrap();
    assert_eq!(archive.names(), names);
    for (name, array) in &arrays {
        assert!(*archive.member(name).unwrap() == array[..], "{name:?}");
    }
}
