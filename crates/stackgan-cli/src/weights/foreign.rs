//! The error for a file of another program where a file of this one is wanted: what it is, and the
//! command that brings it in.

use std::path::Path;

use safetensors::SafeTensors;
use stackgan_core::archive::KEY;
use stackgan_data::formats::tensorflow::Checkpoint;
use stackgan_data::whole_file::folder_of;

use super::container::Container;
use crate::exit::Problem;
use crate::output::quoted;

/// What a file was expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A model.
    Model,
    /// A text encoder.
    Encoder,
    /// A text encoder with its image side.
    Trained,
}

/// A found file, and what to do with it.
struct Found {
    what: &'static str,
    remedy: String,
}

/// The remedy for a file that nothing can be made of.
const PATH: &str = "check the path";
/// That for an encoder without an image side.
pub(crate) const NO_IMAGE_SIDE: &str = "name the file that `stackgan text train` wrote: an encoder that was imported has no image side";

/// The error for a file that another program wrote, which could not be read as the expected one. `None`
/// for a file of this program, whatever is wrong with it.
pub(crate) fn foreign(bytes: &[u8], file: &Path, expected: Expected) -> Option<Problem> {
    if let Some(problem) = of_tensorflow(file, expected) {
        return Some(problem);
    }
    let of_no_use = |what| Found { what, remedy: PATH.to_owned() };
    let found = match Container::of(bytes) {
        Container::Torch7 => expected.imported("weights of Torch 7", file),
        Container::PyTorch => expected.state_dict("weights of PyTorch", file),
        Container::Safetensors => match tensors(bytes)? {
            Tensors::Weights => expected.state_dict("a state dict", file),
            Tensors::Others => of_no_use("tensors of another program"),
        },
        Container::Page => Found {
            what: "a web page",
            remedy: "fetch the file itself: this page came in its place".to_owned(),
        },
        Container::Pointer => Found {
            what: "a pointer of Git LFS",
            remedy: "fetch the file itself: `git lfs pull`".to_owned(),
        },
        Container::Other(what) => of_no_use(what),
        Container::Unknown => {
            let parts = (expected.file(), "another beginning");
            return Some(Problem::data("this is no safetensors file", file, parts, PATH));
        }
    };
    Some(expected.refuse(file, found))
}

/// The same for a checkpoint of TensorFlow, which may be named by the beginning of its files' names: a
/// file of this name need not exist.
pub(crate) fn of_tensorflow(file: &Path, expected: Expected) -> Option<Problem> {
    // What cannot be opened as one is judged by its bytes.
    Checkpoint::open(file).ok().flatten()?;
    let what = "a checkpoint of TensorFlow";
    let found = match expected {
        Expected::Model => expected.imported(what, file),
        Expected::Encoder | Expected::Trained => Found { what, remedy: PATH.to_owned() },
    };
    Some(expected.refuse(file, found))
}

impl Expected {
    /// The name of such a file.
    const fn file(self) -> &'static str {
        match self {
            Self::Model => "a model file",
            Self::Encoder => "an encoder file",
            Self::Trained => "an encoder of `stackgan text train`",
        }
    }

    /// Weights, which a command brings in.
    fn imported(self, what: &'static str, file: &Path) -> Found {
        let bring = |command| {
            format!("bring it in first: `{command} {}`, and name its result", quoted(file))
        };
        let remedy = match self {
            Self::Model => bring("stackgan model import"),
            Self::Encoder => bring("stackgan text import"),
            Self::Trained => NO_IMAGE_SIDE.to_owned(),
        };
        Found { what, remedy }
    }

    /// Weights of PyTorch or as safetensors, which may be a part of a sentence encoder.
    fn state_dict(self, what: &'static str, file: &Path) -> Found {
        if file.with_file_name("tokenizer.json").is_file() {
            let folder = quoted(folder_of(file));
            let remedy = match self {
                Self::Encoder => format!("name its folder: `--encoder {folder}`"),
                Self::Model => {
                    format!("name a model here; that folder is an encoder: `--encoder {folder}`")
                }
                Self::Trained => NO_IMAGE_SIDE.to_owned(),
            };
            return Found { what: "one file of a sentence encoder", remedy };
        }
        self.imported(what, file)
    }

    fn refuse(self, file: &Path, Found { what, remedy }: Found) -> Problem {
        let problem = match self {
            Self::Model => "this is no model of this program",
            Self::Encoder | Self::Trained => "this is no text encoder of this program",
        };
        Problem::data(problem, file, (self.file(), what), remedy)
    }
}

/// The tensors of another program's safetensors.
enum Tensors {
    /// Those of a network.
    Weights,
    /// Anything else, such as embeddings.
    Others,
}

/// What a safetensors file of another program holds; `None` for one that is not whole, or says that
/// this program wrote it.
fn tensors(bytes: &[u8]) -> Option<Tensors> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let mut said = header.metadata().iter().flatten();
    if said.any(|(key, _)| key.starts_with(KEY)) {
        return None;
    }
    let is_weight = |name: &String| name.ends_with("weight") || name.ends_with("bias");
    let weights = header.offset_keys().iter().any(is_weight);
    Some(if weights { Tensors::Weights } else { Tensors::Others })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use stackgan_core::archive::Archive;

    use super::*;

    fn archive(tensor: &str, key: &str) -> Vec<u8> {
        let mut archive = Archive::default();
        let value = Tensor::new(&[1.0f32, 2.0], &Device::Cpu).unwrap();
        archive.tensors.insert(tensor.to_owned(), value);
        archive.metadata.insert(key.to_owned(), "x".to_owned());
        archive.to_bytes().unwrap()
    }

    fn told(bytes: &[u8], file: &Path, expected: Expected) -> Option<String> {
        foreign(bytes, file, expected).map(|problem| problem.to_string())
    }

    #[test]
    fn weights_are_told_with_the_command_that_brings_them_in() {
        let (theirs, file) = (archive("fc.weight", "format"), Path::new("a b.pth"));
        for (bytes, what) in [
            (&b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."[..], "found weights of PyTorch"),
            (b"\x03\0\0\0\x01\0\0\0", "found weights of Torch 7"),
            (&theirs, "found a state dict"),
        ] {
            for (expected, name, command) in [
                (Expected::Model, "no model", "`stackgan model import 'a b.pth'`"),
                (Expected::Encoder, "no text encoder", "`stackgan text import 'a b.pth'`"),
            ] {
                let said = told(bytes, file, expected).unwrap();
                let command =
                    if cfg!(windows) { command.replace('\'', "\"") } else { command.into() };
                for part in [what, name, &command] {
                    assert!(said.contains(part), "{part}: {said}");
                }
            }
        }
    }

    #[test]
    fn what_nothing_can_be_made_of_is_told_too() {
        let others = archive("embeddings", "format");
        for (bytes, what) in [
            (&others[..], "found tensors of another program"),
            (b"<html><body>quota exceeded", "found a web page"),
            (b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
            (b"\x89PNG\r\n", "found a PNG picture"),
            (b"\xab\x4f\xf1\x3d", "this is no safetensors file"),
        ] {
            let said = told(bytes, Path::new("file"), Expected::Model).unwrap();
            assert!(said.contains(what) && !said.contains("import"), "{what}: {said}");
        }
    }

    /// An import would not give it the image side.
    #[test]
    fn where_an_image_side_is_needed_no_import_is_proposed() {
        let (theirs, page) = (archive("fc.weight", "format"), b"<html>".to_vec());
        for (bytes, remedy) in [(theirs, NO_IMAGE_SIDE), (page, "fetch the file itself")] {
            let said = told(&bytes, Path::new("file"), Expected::Trained).unwrap();
            assert!(said.contains(remedy) && !said.contains("bring it in"), "{said}");
        }
    }

    #[test]
    fn a_file_of_this_program_and_a_part_of_one_are_judged_by_their_readers() {
        let file = Path::new("file");
        for key in ["stackgan", "stackgan.features"] {
            assert_eq!(told(&archive("stage1.fc.weight", key), file, Expected::Model), None);
        }
        let theirs = archive("fc.weight", "format");
        assert_eq!(told(&theirs[..theirs.len() - 1], file, Expected::Model), None);
    }

    #[test]
    fn of_a_sentence_encoder_the_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        let theirs = archive("encoder.layer.0.output.dense.weight", "format");
        let pickled = &b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."[..];
        for (bytes, expected) in [
            (&theirs[..], Expected::Encoder),
            (&theirs, Expected::Model),
            (pickled, Expected::Encoder),
        ] {
            let said = told(bytes, &file, expected).unwrap();
            assert!(said.contains("`--encoder ") && !said.contains("import"), "{said}");
        }
    }
}
