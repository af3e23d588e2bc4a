//! The fixtures of the formats: files with what the genuine tool reads from them, several in one pack, written by the
//! `make.py` beside each.

use serde_json::Value;

/// One file of a pack.
pub(crate) struct Record {
    /// Pack and name.
    pub(crate) name: String,
    /// The file.
    pub(crate) bytes: Vec<u8>,
    /// What it holds; `{"refused": PART}` when it is to be refused with an error that has this part.
    pub(crate) holds: Value,
}

macro_rules! packs {
    ($folder:literal: $($tag:literal),*) => {
        [$(($tag, &include_bytes!(concat!("../fixtures/", $folder, "/", $tag, ".pack"))[..])),*]
    };
}

/// numpy's files of one array and of several.
pub(crate) fn npy() -> Vec<Record> {
    read(&packs!("npy": "py27-np116", "py38-np124", "py311-np24"))
}

/// MATLAB files by scipy, and by hand.
pub(crate) fn matlab() -> Vec<Record> {
    read(&packs!("matlab": "py38-scipy110", "py311-scipy117"))
}

/// Torch 7 files.
pub(crate) fn torch7() -> Vec<Record> {
    read(&packs!("t7": "torchfile010"))
}

/// PyTorch files.
pub(crate) fn torch_pickle() -> Vec<Record> {
    read(&packs!("pth": "py27-torch100", "py310-torch112"))
}

/// Pickles: their packs say the kind of each instead of its contents.
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

/// The words of the first line, and what follows it.
fn line(pack: &[u8]) -> Option<(Vec<&str>, &[u8])> {
    let end = pack.iter().position(|&byte| byte == b'\n')?;
    let words = std::str::from_utf8(&pack[..end]).unwrap().split(' ').collect();
    Some((words, &pack[end + 1..]))
}
