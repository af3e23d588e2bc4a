//! The fixtures of the formats. A pack has several files, each with what the genuine tool reads
//! from it. The packs were written by the `make.py` beside them.

use serde_json::Value;

/// One file of a pack.
pub(crate) struct Record {
    /// The pack's and the file's name.
    pub(crate) name: String,
    /// The file's bytes.
    pub(crate) bytes: Vec<u8>,
    /// The contents; `{"refused": PART}` if the file must be refused with an error that contains
    /// this part.
    pub(crate) holds: Value,
}

macro_rules! packs {
    ($folder:literal: $($tag:literal),*) => {
        [$(($tag, &include_bytes!(concat!("../fixtures/", $folder, "/", $tag, ".pack"))[..])),*]
    };
}

/// Returns numpy's files with one and with several arrays.
pub(crate) fn npy() -> Vec<Record> {
    read(&packs!("npy": "py27-np116", "py38-np124", "py311-np24"))
}

/// Returns MATLAB files, written by scipy and by hand.
pub(crate) fn matlab() -> Vec<Record> {
    read(&packs!("matlab": "py38-scipy110", "py311-scipy117"))
}

/// Returns Torch 7 files.
pub(crate) fn torch7() -> Vec<Record> {
    read(&packs!("t7": "torchfile010"))
}

/// Returns PyTorch files.
pub(crate) fn torch_pickle() -> Vec<Record> {
    read(&packs!("pth": "py27-torch100", "py310-torch112"))
}

/// Returns pickles, whose packs contain the kind of each file instead of its contents.
pub(crate) fn pickles() -> Vec<Record> {
    let packs = packs!("pickles": "py27-np116", "py38-np124", "py311-np24");
    let mut records = Vec::new();
    for (pack, mut rest) in packs {
        while let Some((head, body)) = line(rest) {
            let [name, kind, length] = head[..] else { panic!("{pack}") };
            let (bytes, after) = body.split_at(length.parse().unwrap());
            let name = format!("{pack} {name} {kind}");
            records.push(Record { name, bytes: bytes.to_vec(), holds: kind.into() });
            rest = &after[1..];
        }
    }
    records
}

fn read(packs: &[(&str, &[u8])]) -> Vec<Record> {
    let mut records = Vec::new();
    for &(pack, mut rest) in packs {
        while let Some((head, body)) = line(rest) {
            let [name, length, holds] = head[..] else { panic!("{pack}") };
            let (bytes, after) = body.split_at(length.parse().unwrap());
            let (holds, after) = after.split_at(holds.parse().unwrap());
            let holds = serde_json::from_slice(holds).unwrap();
            records.push(Record { name: format!("{pack} {name}"), bytes: bytes.to_vec(), holds });
            rest = &after[1..];
        }
    }
    records
}

/// Returns the words of the first line, and the bytes after it.
fn line(pack: &[u8]) -> Option<(Vec<&str>, &[u8])> {
    let end = pack.iter().position(|&byte| byte == b'\n')?;
    let words = std::str::from_utf8(&pack[..end]).unwrap().split(' ').collect();
    Some((words, &pack[end + 1..]))
}
