//! The bar of every reader, measured: while a pickle is decoded the heap holds at most twice the file and 16 MiB,
//! the file included (RELIABILITY R0, P2, P4). One test in a program of its own, because the count is global.
#![allow(clippy::unwrap_used, reason = "a test")]

use peak_alloc::PeakAlloc;
use stackgan_data::formats::pickle;
use std::path::Path;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

#[test]
fn pickles_stay_within_twice_the_file_and_16_mib() {
    let mb = 1 << 20;
    let laughs = |levels: usize| {
        let mut bomb = b"(lp0\n".to_vec();
        for i in 0..levels {
            bomb.extend(format!("(g{i}\ng{i}\nlp{}\n", i + 1).bytes());
        }
        [bomb, b".".to_vec()].concat()
    };
    // 1 MB of text, encoded again and again from the memo.
    let encode = |times: usize| {
        let mut bytes = b"X".to_vec();
        bytes.extend((mb as u32).to_le_bytes());
        bytes.extend(vec![b'x'; mb]);
        bytes.extend(b"q\x000(X\x06\0\0\0latin1q\x010c_codecs\nencode\nq\x020");
        for _ in 0..times {
            bytes.extend(b"h\x02h\x00h\x01\x86R");
        }
        [bytes, b"l.".to_vec()].concat()
    };
    let lie = |opcode: &[u8]| [opcode, &[0xff, 0xff, 0xff, 0x7f], &vec![b'a'; mb][..]].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("Nones", [b"(".to_vec(), vec![b'N'; 8 * mb], b"l.".to_vec()].concat()),
        ("small ints", [b"(".to_vec(), b"K\x07".repeat(4 * mb), b"l.".to_vec()].concat()),
        ("empty lists", [b"(".to_vec(), vec![b']'; 4 * mb], b"l.".to_vec()].concat()),
        ("empty strings", [b"(".to_vec(), b"U\0".repeat(4 * mb), b"l.".to_vec()].concat()),
        (
            "pairs of memo entries",
            [b"(Nq\0".to_vec(), b"h\0h\0\x86".repeat(2 * mb), b"l.".to_vec()].concat(),
        ),
        ("memoised", [b"(N".to_vec(), vec![0x94; 8 * mb], b"l.".to_vec()].concat()),
        ("dict", [b"}(".to_vec(), b"NN".repeat(2 * mb), b"u.".to_vec()].concat()),
        ("appends", [b"]".to_vec(), b"Na".repeat(4 * mb), b".".to_vec()].concat()),
        ("marks", vec![b'('; 8 * mb]),
        ("nested tuples", [vec![b')'], vec![0x85; 4 * mb], b".".to_vec()].concat()),
        ("laughs 40", laughs(40)),
        ("laughs 10,000", laughs(10_000)),
        ("one text encoded 100 times", encode(100)),
        ("lying string", lie(b"T")),
        ("lying text", lie(b"X")),
        (
            "one large string",
            [b"T".to_vec(), (32u32 << 20).to_le_bytes().to_vec(), vec![0; 32 * mb], b".".to_vec()]
                .concat(),
        ),
        ("escaped string", [b"S'".to_vec(), br"\x00".repeat(4 * mb), b"'\n.".to_vec()].concat()),
        ("much latin text", [b"V".to_vec(), vec![0xe9; 48 * mb], b"\n.".to_vec()].concat()),
        ("latin text", [b"V".to_vec(), vec![0xe9; 8 * mb], b"\n.".to_vec()].concat()),
        ("names", pickle::write_strings(&vec!["COCO_train2014_000000123456".to_owned(); 120_000])),
        ("numbers", pickle::write_ints(&vec![17; 100_000])),
    ];
    for (name, bytes) in cases {
        let before = HEAP.current_usage() - bytes.capacity();
        HEAP.reset_peak_usage();
        let ok = pickle::decode(&bytes, Path::new("f")).is_ok();
        let peak = HEAP.peak_usage() - before;
        let bar = 2 * bytes.len() + 16 * mb;
        assert!(peak <= bar, "{name}: {peak} bytes of heap for a file of {}", bytes.len());
        if matches!(name, "names" | "numbers" | "one large string" | "escaped string") {
            assert!(ok, "{name} should be read");
        }
    }
}
