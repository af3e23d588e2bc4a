//! Files made to use much memory: bombs, wrong lengths, and the densest files of each format.

use crate::prepared;
use crate::readers::{self, Read};
use crate::{tables, turn, within_bar};
use flate2::{Compression, Crc, write::DeflateEncoder, write::ZlibEncoder};
use stackgan_data::formats::pickle;
use std::io::Write as _;

const MB: usize = 1 << 20;

/// Reads every case within the limit. Cases whose names begin with `!` must be accepted.
fn all(read: Read, cases: Vec<(&str, Vec<u8>)>) {
    for (name, bytes) in cases {
        let said = within_bar(name, &bytes, read);
        assert!(said.is_ok() || !name.starts_with('!'), "{name}: {said:?}");
    }
}

/// A dict of arrays (1, 128) by name, as Python 3 pickles it.
fn small_arrays(n: usize) -> Vec<u8> {
    let mut out = b"\x80\x04}\x94(".to_vec();
    for i in 0..n {
        let name = format!("001.Black_footed_Albatross/Black_Footed_Albatross_{i:05}");
        out.extend([&[0x8c, name.len() as u8], name.as_bytes(), b"\x94"].concat());
        out.extend_from_slice(match i {
            0 => b"cnumpy.core.multiarray\n_reconstruct\n\x94cnumpy\nndarray\n\x94K\x00\x85\x94C\x01b\x94",
            _ => b"h\x02h\x03h\x04h\x05",
        });
        out.extend(b"\x87\x94R\x94(K\x01K\x01K\x80\x86\x94");
        out.extend_from_slice(match i {
            0 => b"cnumpy\ndtype\n\x94\x8c\x02f4\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b",
            _ => b"h\x0c",
        });
        out.extend(b"\x89B\x00\x02\x00\x00");
        out.extend([0; 512]);
        out.extend(b"\x94t\x94b");
        if i % 1000 == 999 {
            out.extend(b"u(");
        }
    }
    [out, b"u.".to_vec()].concat()
}

/// The same in protocol 0, in which Python 3 writes bytes as text to be encoded.
fn small_arrays_as_text(n: usize) -> Vec<u8> {
    let mut out = b"(dp0\n".to_vec();
    let mut at = 1;
    for i in 0..n {
        let name = format!("001.Black_footed_Albatross/Black_Footed_Albatross_{i:05}");
        out.extend(format!("V{name}\np{at}\n").bytes());
        if i == 0 {
            out.extend(
                b"cnumpy._core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nc_codecs\nencode\np5\n\
                (Vb\np6\nVlatin1\np7\ntp8\nRp9\ntp10\nRp11\n(I1\n(I1\nI128\ntp12\ncnumpy\ndtype\np13\n(Vf4\np14\n\
                I00\nI01\ntp15\nRp16\n(I3\nV<\np17\nNNNI-1\nI-1\nI0\ntp18\nb",
            );
            at = 19;
        } else {
            let [a, b, c, d] = [1, 2, 3, 4].map(|k| at + k);
            let head =
                format!("g2\n(g3\n(I0\ntp{a}\ng9\ntp{b}\nRp{c}\n(I1\n(I1\nI128\ntp{d}\ng16\n");
            out.extend(head.bytes());
            at += 5;
        }
        out.extend(b"I00\ng5\n(V");
        out.extend([0xbf; 512]);
        let [a, b, c] = [1, 2, 3].map(|k| at + k);
        out.extend(format!("\np{at}\ng7\ntp{a}\nRp{b}\ntp{c}\nbs").bytes());
        at += 4;
    }
    [out, b".".to_vec()].concat()
}

#[test]
fn pickles() {
    let _turn = turn();
    let laughs = |levels: usize| {
        let mut bomb = b"(lp0\n".to_vec();
        for i in 0..levels {
            bomb.extend(format!("(g{i}\ng{i}\nlp{}\n", i + 1).bytes());
        }
        [bomb, b".".to_vec()].concat()
    };
    // 1 MB of text from the memo, encoded many times.
    let encode = |times: usize| {
        let mut bytes = b"X".to_vec();
        bytes.extend((MB as u32).to_le_bytes());
        bytes.extend(vec![b'x'; MB]);
        bytes.extend(b"q\x000(X\x06\0\0\0latin1q\x010c_codecs\nencode\nq\x020");
        for _ in 0..times {
            bytes.extend(b"h\x02h\x00h\x01\x86R");
        }
        [bytes, b"l.".to_vec()].concat()
    };
    let lie = |opcode: &[u8]| [opcode, &[0xff, 0xff, 0xff, 0x7f], &vec![b'a'; MB][..]].concat();
    // A value from the memo, many times in a list: strings, integers and arrays are copied when
    // requested.
    let shared = |value: &[u8], times: usize| {
        [b"(", value, b"q\x00", &b"h\x00".repeat(times)[..], b"l."].concat()
    };
    let long = [b"T\0\0\x10\0".to_vec(), vec![b'x'; MB]].concat();
    // Python 3 writes bytes like this in protocol 0: as text to be encoded, stored in the memo.
    let encoded = |text: &[u8], times: usize| {
        [b"c_codecs\nencode\n(V", &text.repeat(times)[..], b"\np0\nVlatin1\ntRp1\n."].concat()
    };
    let array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\ntcnumpy\ndtype\n\
        (S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'abcd'\ntb";
    all(
        readers::pickles,
        vec![
            ("!60,000 small arrays by name", small_arrays(60_000)),
            ("!60,000 small arrays by name, as text", small_arrays_as_text(60_000)),
            ("Nones", [b"(".to_vec(), vec![b'N'; 8 * MB], b"l.".to_vec()].concat()),
            ("small ints", [b"(".to_vec(), b"K\x07".repeat(4 * MB), b"l.".to_vec()].concat()),
            ("empty lists", [b"(".to_vec(), vec![b']'; 4 * MB], b"l.".to_vec()].concat()),
            ("empty strings", [b"(".to_vec(), b"U\0".repeat(4 * MB), b"l.".to_vec()].concat()),
            (
                "pairs of memo entries",
                [b"(Nq\0".to_vec(), b"h\0h\0\x86".repeat(2 * MB), b"l.".to_vec()].concat(),
            ),
            ("memoised", [b"(N".to_vec(), vec![0x94; 8 * MB], b"l.".to_vec()].concat()),
            ("dict", [b"}(".to_vec(), b"NN".repeat(2 * MB), b"u.".to_vec()].concat()),
            // As many as the stack holds before it grows.
            (
                "!appended at once",
                [b"](".to_vec(), vec![b'N'; 2 * MB - 8], b"e.".to_vec()].concat(),
            ),
            ("appends", [b"]".to_vec(), b"Na".repeat(4 * MB), b".".to_vec()].concat()),
            ("marks", vec![b'('; 8 * MB]),
            ("nested tuples", [vec![b')'], vec![0x85; 4 * MB], b".".to_vec()].concat()),
            ("laughs 40", laughs(40)),
            ("laughs 10,000", laughs(10_000)),
            ("one text encoded 100 times", encode(100)),
            ("lying string", lie(b"T")),
            ("lying text", lie(b"X")),
            (
                "!one large string",
                [
                    b"T".to_vec(),
                    (32u32 << 20).to_le_bytes().to_vec(),
                    vec![0; 32 * MB],
                    b".".to_vec(),
                ]
                .concat(),
            ),
            (
                "!escaped string",
                [b"S'".to_vec(), br"\x00".repeat(4 * MB), b"'\n.".to_vec()].concat(),
            ),
            ("much latin text", [b"V".to_vec(), vec![0xe9; 48 * MB], b"\n.".to_vec()].concat()),
            ("latin text", [b"V".to_vec(), vec![0xe9; 8 * MB], b"\n.".to_vec()].concat()),
            ("!bytes of Python 3's protocol 0", encoded(br"\u0000", 4 * MB)),
            ("!more of them", encoded(&[0xe9], 24 * MB)),
            ("long text", [b"(V".to_vec(), vec![0xe9; 24 * MB], b"\nl.".to_vec()].concat()),
            (
                "!names",
                pickle::write_strings(&vec!["COCO_train2014_000000123456".to_owned(); 120_000]),
            ),
            ("!numbers", pickle::write_ints(&vec![17; 100_000])),
            ("!one long string 1,000 times", shared(&long, 1_000)),
            ("!one integer a million times", shared(b"K\x07", MB)),
            ("!one array 300,000 times", shared(array, 300_000)),
        ],
    );
}

fn npy_file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), data].concat()
}

#[test]
fn npy() {
    let _turn = turn();
    let header =
        |shape: &str| format!("{{'descr': '<f4', 'fortran_order': True, 'shape': {shape}, }}\n");
    all(
        readers::npy,
        vec![
            ("!f4", npy_file(&header("(1024, 4096)"), &vec![0; 16 * MB])),
            (
                "lying shape",
                npy_file(&header("(9223372036854775807, 9223372036854775807)"), &[0; 64]),
            ),
            ("empty and vast", npy_file(&header("(0, 9223372036854775807, 4096)"), &[])),
            ("many extents", npy_file(&header(&format!("({})", "1, ".repeat(3000))), &[0; 4])),
            ("lying header", [b"\x93NUMPY\x02\0\xff\xff\xff\xff", &vec![b' '; MB][..]].concat()),
        ],
    );
}

/// Returns a zip archive of entries: name, method, stored contents, claimed length and checksum.
fn zip(entries: &[(&str, u16, &[u8], usize, u32)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for &(name, method, stored, length, crc) in entries {
        let offset = (file.len() as u32).to_le_bytes();
        let mut common = [[20, 0, 0, 0].as_slice(), &method.to_le_bytes(), &[0; 4]].concat();
        common.extend(crc.to_le_bytes());
        common.extend((stored.len() as u32).to_le_bytes());
        common.extend((length as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), stored].concat());
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10]].concat());
        directory.extend([&offset[..], name.as_bytes()].concat());
    }
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend([(entries.len() as u16).to_le_bytes(); 2].concat());
    end.extend((directory.len() as u32).to_le_bytes());
    end.extend((file.len() as u32).to_le_bytes());
    [file, directory, end, vec![0, 0]].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn npz() {
    let _turn = turn();
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(&vec![0; 64 * MB]).unwrap();
    let bomb = deflated.finish().unwrap();
    let sum = crc(&vec![0; 64 * MB]);
    let names: Vec<String> = (0..60_000).map(|i| format!("{i}.npy")).collect();
    let many: Vec<(&str, u16, &[u8], usize, u32)> =
        names.iter().map(|name| (name.as_str(), 0, &b""[..], 0, 0)).collect();
    let array = npy_file(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4096, 1024)}\n",
        &vec![1; 16 * MB],
    );
    all(
        readers::npz,
        vec![
            ("bomb", zip(&[("x.npy", 8, &bomb, 64 * MB, sum)])),
            ("bomb that says less", zip(&[("x.npy", 8, &bomb, 100, sum)])),
            ("lying length", zip(&[("x.npy", 8, &bomb, u32::MAX as usize - 1, sum)])),
            ("many", zip(&many)),
            ("!stored", zip(&[("x.npy", 0, &array, array.len(), crc(&array))])),
        ],
    );
}

fn mat_file(elements: &[u8]) -> Vec<u8> {
    let mut file = b"MATLAB 5.0 MAT-file".to_vec();
    file.resize(124, b' ');
    [&file, &b"\x00\x01IM"[..], elements].concat()
}

/// Returns a variable `x` of class double with `n` bytes.
fn mat_variable(n: usize) -> Vec<u8> {
    let word = |x: usize| (x as u32).to_le_bytes();
    let mut parts =
        [word(6), word(8), word(6), word(0), word(5), word(8), word(1), word(n)].concat();
    parts.extend([word(1 << 16 | 1), *b"x\0\0\0", word(2), word(n)].concat());
    parts.resize(parts.len() + n.next_multiple_of(8), 7);
    [word(14).as_slice(), &word(parts.len()), &parts].concat()
}

fn mat_compressed(contents: &[u8]) -> Vec<u8> {
    let mut stream = ZlibEncoder::new(Vec::new(), Compression::best());
    stream.write_all(contents).unwrap();
    let stream = stream.finish().unwrap();
    [15u32.to_le_bytes().as_slice(), &(stream.len() as u32).to_le_bytes(), &stream].concat()
}

#[test]
fn prepared_files() {
    let _turn = turn();
    let empty = |captions: usize| prepared::with_captions(2, &vec![String::new(); captions]);
    let single = |captions: usize| prepared::with_captions(2, &vec!["x".to_owned(); captions]);
    all(
        readers::prepared,
        vec![
            ("!some thousand empty captions", empty(20_000)),
            ("!some hundred thousand captions", single(400_000)),
            ("empty captions", empty(5_000_000)),
            ("captions of one letter", single(3_000_000)),
        ],
    );
}

#[test]
fn matlab() {
    let _turn = turn();
    let lie = [14u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat();
    all(
        readers::matlab,
        vec![
            ("bomb of 64 MB", mat_file(&mat_compressed(&mat_variable(64 * MB)))),
            ("20 bombs of 1 MB", mat_file(&mat_compressed(&mat_variable(MB)).repeat(20))),
            ("!half a bomb", mat_file(&mat_compressed(&mat_variable(MB)))),
            ("many", mat_file(&mat_variable(0).repeat(100_000))),
            ("many compressed", mat_file(&mat_compressed(&mat_variable(0)).repeat(100_000))),
            ("lying length", mat_file(&[&lie[..], &vec![0; MB]].concat())),
            ("lying length inside", mat_file(&mat_compressed(&[&lie[..], &vec![0; MB]].concat()))),
            ("!large", mat_file(&mat_variable(2 * MB))),
        ],
    );
}

#[test]
fn torch_7() {
    let _turn = turn();
    let word = |x: usize| (x as u32).to_le_bytes();
    // Returns a table with its contents.
    let table =
        |n: usize, contents: &[u8]| [&[word(3), word(1), word(n)].concat(), contents].concat();
    let number = [word(1).as_slice(), &1f64.to_le_bytes()].concat();
    let nested = |n: usize| {
        let mut deep = Vec::new();
        for i in 0..n {
            deep.extend([word(3), word(i + 1), word(1), word(5), word(1)].concat());
        }
        [deep, word(0).to_vec()].concat()
    };
    let object = |i: usize| [&[word(4), word(i), word(1)].concat(), &b"A"[..], &word(0)].concat();
    let empty = |i: usize| {
        let name = b"torch.ByteTensor";
        [&[word(4), word(i), word(name.len())].concat(), &name[..], &[word(0); 4].concat()].concat()
    };
    let each = |n: usize, make: &dyn Fn(usize) -> Vec<u8>| {
        let pairs: Vec<u8> = (0..n).flat_map(|i| [number.clone(), make(i + 2)].concat()).collect();
        table(n, &pairs)
    };
    let storage = |count: u64, data: usize| {
        let name = b"torch.FloatStorage";
        let head = [&[word(4), word(1), word(name.len())].concat(), &name[..]].concat();
        [head, count.to_le_bytes().to_vec(), vec![0; data]].concat()
    };
    all(
        readers::torch7,
        vec![
            ("!numbers", table(1_000_000, &number.repeat(2_000_000))),
            ("nils", table(MB, &word(0).repeat(2 * MB))),
            ("strings", table(500_000, &[word(2), word(0)].concat().repeat(MB))),
            ("lying count", table(MB, &vec![0; 12 * MB])),
            ("nested", nested(500_000)),
            ("objects", each(500_000, &object)),
            ("tensors", each(200_000, &empty)),
            ("tables", each(500_000, &|i| [word(3), word(i), word(0)].concat())),
            (
                "open tables",
                (0..500_000).flat_map(|i| [word(3), word(i), word(1)].concat()).collect(),
            ),
            ("open functions", [word(6), word(0)].concat().repeat(2 * MB)),
            ("functions", (0..MB).flat_map(|i| [word(8), word(i), word(0)].concat()).collect()),
            ("lying storage", storage(1 << 40, MB)),
            ("lying storage, overflow", storage(u64::MAX / 2, MB)),
            ("!one storage", storage(4 << 20, 16 * MB)),
        ],
    );
}

#[test]
fn pytorch() {
    let _turn = turn();
    let legacy = |object: &[u8], rest: &[u8]| {
        let head = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
        [head, object, rest].concat()
    };
    let storage = "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI4\nNtQ";
    let tensor = format!("ctorch._utils\n_rebuild_tensor\n({storage}I0\n(I4\nt(I1\nttR");
    let numbers = [b"(lp0\nS'0'\na.".to_vec(), 4u64.to_le_bytes().to_vec(), vec![0; 16]].concat();
    // A dict with two keys for the same dict, with two keys for the same dict, …
    let laughs = |levels: usize| {
        let mut bomb = format!("(dS'x'\n{tensor}sq\x00");
        for _ in 0..levels {
            bomb = format!("{bomb}0(dS'aaaaaaaa'\nh\x00sS'b'\nh\x00sq\x00");
        }
        format!("{bomb}.").into_bytes()
    };
    let one = format!("({tensor}q\x00");
    let repeated = |n: usize| [one.as_bytes(), &b"h\x00".repeat(n)[..], b"l."].concat();
    let expanded = |shape: &str| {
        let parts = format!("({storage}I0\n({shape}t(I0\nI0\nttR.");
        ["ctorch._utils\n_rebuild_tensor\n", &parts].concat().into_bytes()
    };
    let key = [b"(lp0\nS'0'\na.".to_vec(), u64::MAX.to_le_bytes().to_vec(), vec![0; 16]].concat();
    let pairs = |n: usize| {
        let list = b"(ccollections\nOrderedDict\n](]q\x00(NNe";
        [&list[..], &b"h\x00".repeat(n), b"e\x85R."].concat()
    };
    // Storages without numbers, and a tensor of many dimensions again and again.
    let storages = |n: usize, times: usize| {
        let (mut object, mut keys, mut counts) = (b"(".to_vec(), b"(".to_vec(), Vec::new());
        for i in 0..n {
            object.extend(
                format!("(S'storage'\nctorch\nFloatStorage\nS'{i}'\nS'cpu'\nI0\nNtQ").bytes(),
            );
            keys.extend(format!("S'{i}'\n").bytes());
            counts.extend([0; 8]);
        }
        let none = "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI0\nNtQ";
        let extents = "I0\n".repeat(32);
        let tensor = format!("{none}I0\n({extents}t({extents}ttR");
        object.extend(format!("ctorch._utils\n_rebuild_tensor\n({tensor}q\x00").bytes());
        object.extend(b"h\x00".repeat(times));
        legacy(&[object, b"l.".to_vec()].concat(), &[keys, b"l.".to_vec(), counts].concat())
    };
    let names: Vec<String> = (0..60_000).map(|i| format!("a/data/{i}")).collect();
    let mut entries = vec![("a/data.pkl", 0, &b"}."[..], 2, crc(b"}."))];
    entries.extend(names.iter().map(|name| (name.as_str(), 0, &b""[..], 0, 0)));
    all(
        readers::torch_pickle,
        vec![
            ("!one tensor", legacy(format!("{tensor}.").as_bytes(), &numbers)),
            ("!laughs 8", legacy(&laughs(8), &numbers)),
            ("laughs 60", legacy(&laughs(60), &numbers)),
            ("!one tensor 50,000 times", legacy(&repeated(50_000), &numbers)),
            ("one tensor a million times", legacy(&repeated(MB), &numbers)),
            ("!expanded", legacy(&expanded("I1024\nI1024\n"), &numbers)),
            ("expanded too far", legacy(&expanded("I1048576\nI1048576\n"), &numbers)),
            ("lying storage", legacy(format!("{tensor}.").as_bytes(), &key)),
            ("pairs", legacy(&pairs(2 * MB), &numbers)),
            ("pairs that fill the stack", legacy(&pairs(2 * MB - 8), &numbers)),
            ("!a thousand storages", storages(1_000, 1_000)),
            ("storages and tensors", storages(34_000, 13_500)),
            ("many entries", zip(&entries)),
        ],
    );
}

#[test]
fn checkpoints_of_tensorflow() {
    let _turn = turn();
    let whole = |contents| tables::table(&[contents]);
    // Numbers that are not packed, each with a byte before it; and in two rows.
    let one_by_one = [&[5 << 3 | 5][..], &1f32.to_le_bytes()].concat().repeat(2 * MB);
    let two_rows = tables::packed(&vec![1.0; MB]).repeat(2);
    let of = |count, numbers| tables::slices(&[("a", &[count], vec![], numbers)]);
    let name = "x".repeat(16 * MB);
    let not_text = "\u{fffd}".repeat(4 * MB);
    let entry = |name: &str| tables::index(&[(name, &[2], 0, 0)]);
    // Variables of no axes, as dense as they can be.
    let names: Vec<String> = (0..200_000).map(|i| format!("{i:x}")).collect();
    let variables: Vec<_> = names.iter().map(|name| (name.as_str(), &[][..], 0, 0)).collect();
    // Places of blocks in five bytes each.
    let places = [&[0, 0, 2, 0, 0].repeat(4 * MB)[..], &[0, 0, 0, 0, 1, 0, 0, 0]].concat();
    let following: Vec<_> = (0..MB as u64)
        .map(|i| ("", [tables::varint(20 * i), tables::varint(8)].concat()))
        .collect();
    all(
        readers::tensorflow_file,
        vec![
            ("!numbers one by one", whole(of(2 * MB as u64, one_by_one))),
            ("!numbers in two rows", whole(of(2 * MB as u64, two_rows))),
            ("a long name in an index", whole(entry(&name))),
            ("a long name that is cut", whole(entry(&not_text))),
            ("a long name of a slice", whole(tables::slices(&[(&name, &[1], vec![], vec![])]))),
            ("many variables", whole(tables::index(&variables))),
            ("many places of one block", tables::end(vec![0; 100], &places)),
            ("many places of blocks", tables::end(vec![0; 20 * MB], &tables::block(&following))),
        ],
    );
}
