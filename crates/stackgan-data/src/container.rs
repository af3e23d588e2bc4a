//! Reading and writing of this crate's safetensors files.
//!
//! The header is written before data of known size is streamed, and the reader reads parts of
//! tensors by position. The format is 8 bytes of header length, a JSON header, and the data without
//! gaps. Our own metadata is one JSON string under the metadata key `stackgan`.

use crate::error::printable;
use crate::positional::read_exact_at;
use crate::{Error, Result};
use safetensors::tensor::TensorInfo;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

pub(crate) use safetensors::Dtype as Element;

/// A tensor to be written. Tensors are stored in the given order.
pub(crate) struct Spec<'a> {
    pub(crate) name: &'a str,
    pub(crate) element: Element,
    pub(crate) shape: &'a [usize],
}

/// The bytes of the file `path` before its data: length and JSON header, padded with spaces to a
/// multiple of 8.
pub(crate) fn header(path: &Path, specs: &[Spec<'_>], stackgan: &str) -> Result<Vec<u8>> {
    let failed = |e| Error::write(path, e);
    let mut at = 0usize;
    let tensors = specs.iter().map(|spec| {
        let (start, bytes) = (at, spec.element.bitsize() / 8);
        let size = spec.shape.iter().fold(bytes, |n, &extent| n.saturating_mul(extent));
        at = start.saturating_add(size);
        let (dtype, shape) = (spec.element, spec.shape.to_vec());
        (spec.name.to_owned(), TensorInfo { dtype, shape, data_offsets: (start, at) })
    });
    let about = HashMap::from([("stackgan".to_owned(), stackgan.to_owned())]);
    let metadata = safetensors::tensor::Metadata::new(Some(about), tensors.collect())
        .map_err(|e| failed(std::io::Error::other(e)))?;
    let mut json = serde_json::to_vec(&metadata).map_err(|e| failed(e.into()))?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut out = (json.len() as u64).to_le_bytes().to_vec();
    out.append(&mut json);
    Ok(out)
}

/// A tensor of an open file.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    /// Offset and length in the file, in bytes.
    start: u64,
    length: u64,
}

/// Whether a file may be one of this crate's: it begins with a header that has our metadata.
/// Everything else about it is left to [`Container::open`].
pub(crate) fn is_ours(path: &Path) -> Result<bool> {
    let failed = |e| Error::read(path, e);
    let mut beginning = Vec::new();
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(false);
    }
    file.take(BEGINNING).read_to_end(&mut beginning).map_err(failed)?;
    let json = beginning.get(8..).unwrap_or_default();
    let key = b"\"stackgan\"";
    Ok(json.starts_with(b"{") && json.windows(key.len()).any(|part| part == key))
}

/// Whether a file says in its header that it is of this kind, whether the rest of it is sound or not.
pub(crate) fn says_kind(bytes: &[u8], kind: &str) -> bool {
    let header = bytes.split_first_chunk().and_then(|(&length, rest)| {
        let length = u64::from_le_bytes(length);
        if length > longest_header(bytes.len() as u64) {
            return None;
        }
        let json = rest.get(..length as usize)?;
        serde_json::from_slice::<Header>(json).ok()?.stackgan
    });
    let own = header.and_then(|about| serde_json::from_str::<Identity>(&about).ok());
    own.is_some_and(|own| own.kind.or(own.format).as_deref() == Some(kind))
}

/// Most bytes of a header in a file of `length` bytes. Headers are small compared with the data; the
/// bound keeps hostile ones within the memory limit.
const fn longest_header(length: u64) -> u64 {
    (256 << 10) + length / 16
}

/// Number of bytes in which the metadata must begin. Ours come before the tensors.
const BEGINNING: u64 = 64 << 10;

/// An open file whose header has been checked against its length.
#[derive(Debug)]
pub(crate) struct Container {
    path: PathBuf,
    file: File,
    header: Header,
    data_start: u64,
    /// The JSON of the metadata key `stackgan`.
    pub(crate) stackgan: String,
}

impl Container {
    /// Opens `path`, a file of this kind in one of these versions, and returns the facts in its
    /// metadata. A sound file of another kind or version is told as such, whatever tensors it has.
    pub(crate) fn open<T: DeserializeOwned>(
        path: &Path,
        kind: &str,
        versions: RangeInclusive<u32>,
    ) -> Result<(Self, T)> {
        let failed = |e| Error::read(path, e);
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let expected = named(kind);
        let bad = |found: &str| {
            let remedy = "check the path; a dataset is named by its folder, so unpack an archive first; a file that \
                          this program made is damaged, and is made again by the same command";
            let what = format!("this is not {expected}");
            Error::malformed(path, what, "header", (expected.as_str(), found), remedy)
        };
        if !meta.is_file() || meta.len() < 8 {
            return Err(bad("no safetensors header"));
        }
        let mut length = [0; 8];
        read_exact_at(&file, &mut length, 0).map_err(failed)?;
        let length = u64::from_le_bytes(length);
        if length > longest_header(meta.len()) || length > meta.len() - 8 {
            return Err(bad("a header that is too long for the file"));
        }
        let mut json = vec![0; length as usize];
        read_exact_at(&file, &mut json, 8).map_err(failed)?;
        let mut header: Header =
            serde_json::from_slice(&json).map_err(|e| bad(&printable(&e.to_string())))?;
        drop(json);
        let stackgan = header.stackgan.take().ok_or_else(|| bad("no `stackgan` metadata"))?;
        let data_start = 8 + length;
        let checked = header.check(meta.len() - data_start);
        let container = Self { path: path.to_path_buf(), file, header, data_start, stackgan };
        container.check_identity(kind, versions)?;
        checked.map_err(bad)?;
        let facts = container.metadata()?;
        Ok((container, facts))
    }

    /// Checks that the metadata are of a file of this kind, in one of these versions.
    fn check_identity(&self, kind: &str, versions: RangeInclusive<u32>) -> Result<()> {
        let own: Identity = self.metadata()?;
        let refuse = |what: String, parts: (String, String), remedy: &str| {
            Err(Error::malformed(&self.path, what, "metadata", parts, remedy))
        };
        let found = own.kind.or(own.format).unwrap_or_default();
        let expected = named(kind);
        if found != kind {
            let what = format!("this is not {expected}");
            let found = named(&found);
            let remedy = format!("name {expected} here, and this file where {found} is asked for");
            return refuse(what, (expected, found), &remedy);
        }
        if !versions.contains(&own.version) {
            let versions = match versions.into_inner() {
                (least, most) if least < most => format!("version {least} to {most}"),
                (only, _) => format!("version {only}"),
            };
            let remedy = "use the version of this program that made it, or run again the command that makes it";
            let what = format!("{expected} is of another version");
            return refuse(what, (versions, format!("version {}", own.version)), remedy);
        }
        Ok(())
    }

    fn metadata<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.stackgan).map_err(|e| {
            self.malformed("metadata", "facts about the file", printable(&e.to_string()))
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a tensor called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.header.tensors.contains_key(name)
    }

    /// The tensor called `name`, which must have the given type and number of dimensions.
    pub(crate) fn tensor(&self, name: &str, element: Element, dims: usize) -> Result<Tensor> {
        let expected = format!("tensor `{name}` of {element} with {dims} dimensions");
        let found = match self.header.tensors.get(name) {
            Some(raw) if raw.dtype == element && raw.shape.len() == dims => {
                let (shape, (from, to)) = (raw.shape.clone(), span(raw));
                return Ok(Tensor { shape, start: self.data_start + from, length: to - from });
            }
            Some(raw) => format!("{} of shape {:?}", raw.dtype, raw.shape),
            None => "no such tensor".to_owned(),
        };
        Err(self.malformed(name, expected, found))
    }

    /// An error about this file.
    pub(crate) fn malformed(
        &self,
        place: &str,
        expected: impl Into<Box<str>>,
        found: impl Into<Box<str>>,
    ) -> Error {
        let what = "file is damaged or of another version";
        let remedy = "remove it, and run again the command that makes it";
        Error::malformed(&self.path, what, place, (expected, found), remedy)
    }

    /// Reads `length` bytes of a tensor from `offset`.
    pub(crate) fn read(&self, tensor: &Tensor, offset: u64, length: usize) -> Result<Vec<u8>> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > tensor.length) {
            let expected = format!("a part of {} bytes", tensor.length);
            let found = format!("{length} bytes from {offset}");
            return Err(self.malformed("tensor", expected, found));
        }
        let mut bytes = vec![0; length];
        let place = tensor.start + offset;
        read_exact_at(&self.file, &mut bytes, place).map_err(|e| Error::read(&self.path, e))?;
        Ok(bytes)
    }

    /// Reads a whole tensor. Only for small ones.
    pub(crate) fn read_all(&self, tensor: &Tensor) -> Result<Vec<u8>> {
        self.read(tensor, 0, tensor.length as usize)
    }
}

/// What the metadata of a file of ours say it is: this crate's have a kind and a version, the others
/// a kind or a format.
#[derive(serde::Deserialize)]
struct Identity {
    kind: Option<String>,
    format: Option<String>,
    #[serde(default)]
    version: u32,
}

/// A kind of file of this program, as people call it; `None` if it is not known.
#[must_use]
pub fn spoken(kind: &str) -> Option<&'static str> {
    let (name, _) = kind.split_once('/').unwrap_or((kind, ""));
    match name {
        "prepared" => Some("a prepared dataset"),
        "embeddings" => Some("a file of embeddings"),
        "stackgan-model" => Some("a model"),
        "stackgan-checkpoint" => Some("a checkpoint of a run"),
        "encoder" | "char-cnn-rnn" => Some("a text encoder"),
        _ => None,
    }
}

/// Any kind of file, for messages.
fn named(kind: &str) -> String {
    let other = || format!("a file of the kind `{}`", printable(kind));
    spoken(kind).map_or_else(other, str::to_owned)
}

/// The JSON header. Parsing it takes at most twelve times the memory of its text, if that is all extents.
#[derive(Debug)]
struct Header {
    /// The first [`MOST`].
    tensors: BTreeMap<String, TensorInfo>,
    /// Whether there are more.
    more: bool,
    stackgan: Option<String>,
}

/// The largest number of tensors; ours have fewer than ten.
const MOST: usize = 64;

/// The largest number of dimensions; ours have at most four.
const MOST_DIMS: usize = 8;

#[derive(serde::Deserialize)]
struct Metadata {
    stackgan: Option<String>,
}

/// Where a tensor begins and ends in the data.
fn span(tensor: &TensorInfo) -> (u64, u64) {
    let (from, to) = tensor.data_offsets;
    (from as u64, to as u64)
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Header;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a safetensors header")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header { tensors: BTreeMap::new(), more: false, stackgan: None };
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        header.stackgan = map.next_value::<Metadata>()?.stackgan;
                    } else if header.tensors.len() == MOST {
                        map.next_value::<IgnoredAny>()?;
                        header.more = true;
                    } else {
                        let tensor = map.next_value()?;
                        if header.tensors.insert(name, tensor).is_some() {
                            return Err(A::Error::custom("a tensor appears twice"));
                        }
                    }
                }
                Ok(header)
            }
        }
        from.deserialize_map(Parts)
    }
}

impl Header {
    /// Checks that the tensors have the sizes of their shapes and fill the data without gap or
    /// overlap.
    fn check(&self, data: u64) -> Result<(), &'static str> {
        if self.more {
            return Err("too many tensors");
        }
        let mut spans = Vec::new();
        for tensor in self.tensors.values() {
            if tensor.shape.len() > MOST_DIMS {
                return Err("too many dimensions");
            }
            let bits = tensor.dtype.bitsize() as u64;
            let bits = tensor.shape.iter().try_fold(bits, |n, &e| n.checked_mul(e as u64));
            let (from, to) = span(tensor);
            let found = to.checked_sub(from).and_then(|bytes| bytes.checked_mul(8));
            if bits.is_none() || found != bits {
                return Err("a tensor whose size is not that of its shape");
            }
            spans.push((from, to));
        }
        spans.sort_unstable();
        let end = spans.iter().try_fold(0, |end, &(from, to)| (from == end).then_some(to));
        if end == Some(data) { Ok(()) } else { Err("tensors that do not fill the file") }
    }
}

/// Little-endian words of `N` bytes.
pub(crate) fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whole_file::AtomicFile;

    #[derive(serde::Deserialize)]
    struct About {
        placeholder: u32,
    }

    fn about(placeholder: u32) -> String {
        format!("{{\"kind\":\"test\",\"version\":3,\"placeholder\":{placeholder}}}")
    }

    fn open(path: &Path) -> Result<(Container, About)> {
        Container::open(path, "test", 2..=3)
    }

    fn sample(dir: &Path) -> (PathBuf, Vec<u8>) {
        let path = dir.join("x.safetensors");
        let specs = [
            Spec { name: "b", element: Element::U64, shape: &[2] },
            Spec { name: "a", element: Element::U8, shape: &[1, 3] },
        ];
        let mut file = AtomicFile::create(&path).unwrap();
        file.write(&header(&path, &specs, &about(1)).unwrap()).unwrap();
        file.write(&[7; 19]).unwrap();
        assert!(!path.exists());
        file.rewrite_start(&header(&path, &specs, &about(2)).unwrap()).unwrap();
        file.commit().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    }

    #[test]
    fn the_safetensors_crate_reads_what_we_write() {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = sample(dir.path());
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(theirs.tensor("a").unwrap().shape(), [1, 3]);
        assert_eq!(theirs.tensor("b").unwrap().data(), [7; 16]);
        let (ours, said) = open(&path).unwrap();
        assert_eq!(said.placeholder, 2);
        let tensor = ours.tensor("a", Element::U8, 2).unwrap();
        assert_eq!(ours.read(&tensor, 1, 2).unwrap(), [7, 7]);
        assert!(ours.read(&tensor, 2, 2).is_err());
        assert!(ours.read(&tensor, u64::MAX, 2).is_err());
        assert!(ours.tensor("a", Element::U32, 2).is_err());
        assert!(ours.tensor("c", Element::U8, 2).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1); // no temporary file is left
    }

    /// What is sound is not called damaged: nothing that it says is to be removed.
    #[test]
    fn a_file_of_another_kind_or_version_is_told_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let names: Vec<String> = (0..70).map(|i| format!("w{i}")).collect();
        let spec = |name| Spec { name, element: Element::U8, shape: &[1] };
        let specs: Vec<_> = names.iter().map(|name| spec(name)).collect();
        for (about, found) in [
            (r#"{"kind":"prepared","version":3,"placeholder":1}"#, "found a prepared dataset"),
            (r#"{"kind":"encoder"}"#, "found a text encoder"),
            (r#"{"format":"stackgan-model/1"}"#, "found a model"),
            (r#"{"kind":"test","version":4}"#, "version 2 to 3, found version 4"),
            (r#"{"kind":"\u202e","version":3}"#, "of the kind"),
        ] {
            let bytes = [&header(&path, &specs, about).unwrap()[..], &[0; 70]].concat();
            std::fs::write(&path, bytes).unwrap();
            let said = open(&path).map(drop).unwrap_err().to_string();
            assert!(said.contains(found) && !said.contains("remove"), "{said}");
            assert!(!said.contains("damaged"), "{said}");
        }
        let bytes = [&header(&path, &specs, &about(1)).unwrap()[..], &[0; 70]].concat();
        std::fs::write(&path, bytes).unwrap();
        let said = open(&path).map(drop).unwrap_err().to_string();
        assert!(said.contains("too many tensors"), "{said}");
    }
}
