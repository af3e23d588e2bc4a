//! Tests of captions with embeddings of other programs, of the captions in our own file, and of the
//! encoder that is said to have made embeddings.

use super::tests::{DIM, Torch, World, array, demo, npz, pickled, pickled_dict};
use super::{Embeddings, Imported, Maker, captioned, captions_list, import, probes};
use crate::Result;
use crate::formats::torch_pickle;
use std::path::Path;

/// Captions with control characters, a space at the end, and one that is empty.
const CAPTIONS: [&str; 4] = ["a red bird", "caf\u{e9}\tblue ", "", "a\u{1b}[31m bird"];
/// As they are stored.
const CLEAN: [&str; 4] = ["a red bird", "caf\u{e9} blue", "", "a\\u{1b}[31m bird"];

fn captions() -> Vec<String> {
    CAPTIONS.map(str::to_owned).to_vec()
}

fn table(captions: &[String]) -> Vec<u8> {
    demo(captions, (0..captions.len()).map(World::row))
}

/// Imports a file; `None` if it holds no captions with embeddings.
fn imported(file: &Path, out: &Path, maker: Option<&Maker>) -> Result<Option<Imported>> {
    let bytes = std::fs::read(file).unwrap();
    captioned(&bytes, file, |found| found.write(out, maker))?.transpose()
}

/// The error of a file, which leaves nothing behind.
fn bad(w: &World, file: &Path) -> String {
    let said = imported(file, &w.out(), None).unwrap_err().to_string();
    assert!(!w.out().exists() && said.contains("  do: "), "{said}");
    said
}

fn all(n: usize) -> Vec<f32> {
    (0..n).flat_map(World::row).collect()
}

/// A maker of the rows of [`World`], each number off by `off`.
fn maker(captions: &[String], off: f32) -> Maker {
    let rows = probes(captions);
    let vectors = rows.iter().flat_map(|&r| World::row(r)).map(|x| x + off).collect();
    Maker { name: "e.safetensors".to_owned(), fingerprint: "f".repeat(64), rows, vectors }
}

/// The same rows and captions, whichever form they came in.
#[test]
fn captions_with_embeddings_come_in_any_form() {
    let w = World::new();
    let mut t7 = Torch::default();
    t7.tensor(&[4, DIM], &all(4));
    let bytes: Vec<u8> = all(4).iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![4, DIM], &bytes)
        .unwrap();
    let of_array = "an array with a list of captions";
    for (name, bytes, form) in [
        ("table.t7", table(&captions()), "captions with their embeddings"),
        ("x.npy", array(&[4, DIM], &all(4)), of_array),
        ("x.npy", array(&[4, 1, DIM], &all(4)), of_array),
        ("x.npz", npz(&[("e".to_owned(), array(&[4, DIM], &all(4)))]), of_array),
        ("x.t7", t7.bytes, of_array),
        ("x.safetensors", safetensors::serialize([("x", view)], None).unwrap(), of_array),
        ("x.pickle", pickled_dict(&[("embeddings", all(4))]), of_array),
        // The content decides, not the name.
        ("x.bin", array(&[4, DIM], &all(4)), of_array),
    ] {
        w.put("x.txt", CAPTIONS.join("\r\n") + "\r\n");
        let file = w.put(name, bytes);
        let done = imported(&file, &w.out(), None).unwrap().unwrap();
        assert_eq!((done.rows, done.dim, done.form, done.agreement), (4, DIM, form, None));
        let found = Embeddings::open(&w.out()).unwrap();
        assert!(
            found.encoder().starts_with("imported-") && found.dataset().starts_with("captions-")
        );
        assert_eq!((found.sources().len(), &*found.sources()[0].name), (1, name));
        assert_eq!(found.rows(0..4).unwrap(), all(4), "{name}");
        for (row, caption) in CLEAN.iter().enumerate() {
            assert_eq!(found.caption(row).unwrap().as_deref(), Some(*caption), "{name}");
        }
        assert!(found.caption(4).is_err() && found.check(&w.data).is_err());
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let w = World::new();
    let said = bad(&w, &w.put("t.t7", demo(&captions(), (0..3).map(World::row))));
    assert!(said.contains("4 rows in fea_txt") && said.contains("found 3 rows"), "{said}");
    let uneven = (0..4).map(|r| World::row(r)[..DIM - usize::from(r == 2)].to_vec());
    let said = bad(&w, &w.put("t.t7", demo(&captions(), uneven)));
    assert!(said.contains("(row 2)") && said.contains("found 2 numbers"), "{said}");
    let nan = (0..4).map(|r| if r == 1 { vec![f32::NAN; DIM] } else { World::row(r) });
    assert!(bad(&w, &w.put("t.t7", demo(&captions(), nan))).contains("finite numbers, found NaN"));
    assert!(bad(&w, &w.put("t.t7", table(&["x".repeat(4097)]))).contains("caption 1"));
    assert!(bad(&w, &w.put("t.t7", table(&[]))).contains("found none"));

    let file = w.put("x.npy", array(&[4, DIM], &all(4)));
    assert!(bad(&w, &file).contains("x.txt"));
    w.put("x.txt", "a\nb\nc\n");
    assert!(bad(&w, &file).contains("expected 4 lines"));
    assert!(bad(&w, &w.put("x.npy", array(&[4, 2, DIM], &all(8)))).contains("[4, 2, 3]"));
    // A dataset's.
    for (name, bytes) in [
        ("list.pickle", pickled(&[World::row(0), World::row(1)])),
        ("dict.pickle", pickled_dict(&[("a", World::row(0)), ("b", World::row(1))])),
        ("some.npz", npz(&["a", "b"].map(|n| (n.to_owned(), array(&[1, DIM], &World::row(0)))))),
    ] {
        let said = bad(&w, &w.put(name, bytes));
        assert!(said.contains("stackgan data import DIR --embeddings"), "{said}");
    }
}

/// What holds no captions is left to the readers of weights.
#[test]
fn weights_are_something_else() {
    let w = World::new();
    let mut weights = Torch::default();
    weights.table(1);
    weights.text("conv1.weight");
    weights.tensor(&[2, DIM], &all(2));
    let bytes: Vec<u8> = all(1).iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = || safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![DIM], &bytes);
    let two = [("a", view().unwrap()), ("b", view().unwrap())];
    for (name, bytes) in [
        ("w.t7", weights.bytes),
        ("w.safetensors", safetensors::serialize(two, None).unwrap()),
        ("w.pth", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec()),
        ("w.zip", b"PK\x03\x04".to_vec()),
        ("w.txt", b"words".to_vec()),
        ("empty", Vec::new()),
    ] {
        assert!(imported(&w.put(name, bytes), &w.out(), None).unwrap().is_none(), "{name}");
    }
    assert!(torch_pickle::begins(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."));
}

/// A file that is truncated or changed anywhere gives an error or a file, and no panic.
#[test]
fn mutations_of_captions_are_read_or_refused() {
    let w = World::new();
    let whole = table(&captions());
    imported(&w.put("t.t7", &whole), &w.out(), None).unwrap();
    let own = std::fs::read(w.out()).unwrap();
    std::fs::remove_file(w.out()).unwrap();
    for cut in 4..whole.len() {
        bad(&w, &w.put("t.t7", &whole[..cut]));
    }
    let noise = stackgan_noise::Noise::new(4);
    let file = w.at("own.safetensors");
    let mut refused = 0;
    for case in 0..3000 {
        let mut d = noise.draws(stackgan_noise::Stream::Test, 1, case);
        for (bytes, of_torch) in [(&whole, true), (&own, false)] {
            let mut bytes = bytes.clone();
            let at = d.below(bytes.len() as u64) as usize;
            bytes[at] = d.below(256) as u8;
            if of_torch {
                let found = captioned(&bytes, Path::new("t.t7"), |_| ());
                refused += u32::from(!matches!(found, Ok(Some(()))));
                continue;
            }
            std::fs::write(&file, &bytes).unwrap();
            let Ok(found) = Embeddings::open(&file) else { continue };
            refused += u32::from((0..found.len()).any(|row| found.caption(row).is_err()));
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn other_programs_files_say_how_they_are_imported() {
    let w = World::new();
    for (name, bytes) in
        [("t.t7", table(&captions())), ("x.npy", array(&[4, DIM], &all(4))), ("empty", Vec::new())]
    {
        let said = Embeddings::open(&w.put(name, bytes)).unwrap_err().to_string();
        assert!(said.contains("`stackgan text import FILE"), "{said}");
        assert!(said.contains("`stackgan data import DIR --embeddings FILE`"), "{said}");
    }
    // Our own is not imported a second time.
    imported(&w.put("t.t7", table(&captions())), &w.out(), None).unwrap();
    let said = imported(&w.out(), &w.at("again"), None).unwrap_err().to_string();
    assert!(said.contains("`stackgan generate -m MODEL --embeddings FILE`"), "{said}");
    let own = std::fs::read(w.out()).unwrap();
    let cut = w.put("cut.safetensors", &own[..own.len() - 1]);
    let said = imported(&cut, &w.at("again"), None).unwrap_err().to_string();
    assert!(said.contains("a file that this program made is damaged"), "{said}");
}

#[test]
fn the_encoder_that_made_captions_embeddings_is_recorded() {
    let w = World::new();
    let file = w.put("t.t7", table(&captions()));
    let wrong = imported(&file, &w.out(), Some(&maker(&captions(), 5.0)));
    let said = wrong.unwrap_err().to_string();
    assert!(said.contains("3 of 3 compared captions") && said.contains("found 0"), "{said}");
    assert!(!w.out().exists());
    let right = maker(&captions(), 1e-4);
    let done = imported(&file, &w.out(), Some(&right)).unwrap().unwrap();
    assert_eq!(done.agreement.map(|found| (found.compared, found.agreeing)), Some((3, 3)));
    let found = Embeddings::open(&w.out()).unwrap();
    assert_eq!((found.encoder(), found.sources().len()), (&*right.fingerprint, 1));
}

/// Of every form: the release's pickles, one array, and a file of ours.
#[test]
fn the_encoder_that_made_a_dataset_s_embeddings_is_recorded() {
    let w = World::new();
    let captions = w.data.all_captions();
    w.put("x.txt", captions_list(&w.data));
    let array = w.put("x.npy", array(&[captions.len(), DIM], &all(captions.len())));
    let kept = w.at("kept.safetensors");
    import(&array, &w.data, &kept, None, &|_, _| {}).unwrap();
    let right = maker(captions, 1e-4);
    let width = Maker { vectors: right.vectors[..right.rows.len()].to_vec(), ..right.clone() };
    for source in [&array, &kept, &super::tests::whole_release(&w)] {
        for (wrong, part) in
            [(&maker(captions, 5.0), "the median difference is"), (&width, "1 number")]
        {
            let refused = import(source, &w.data, &w.out(), Some(wrong), &|_, _| {});
            let said = refused.unwrap_err().to_string();
            assert!(said.contains(part) && !w.out().exists(), "{said}");
        }
        let done = import(source, &w.data, &w.out(), Some(&right), &|_, _| {}).unwrap();
        let agreement = done.agreement.unwrap();
        assert_eq!((agreement.compared, agreement.agreeing), (captions.len(), captions.len()));
        let found = Embeddings::open(&w.out()).unwrap();
        found.check(&w.data).unwrap();
        assert_eq!((found.encoder(), found.sources().is_empty()), (&*right.fingerprint, false));
        assert_eq!(found.rows(0..captions.len()).unwrap(), all(captions.len()));
        std::fs::remove_file(w.out()).unwrap();
    }
}
