//! Hostile pickles: code, memo bombs, deep nesting and cycles, wrong lengths, data after the end.

use stackgan_data::formats::pickle::{self, MAX_DEPTH, Value};
use std::path::Path;

fn refused(bytes: &[u8]) -> String {
    match pickle::decode(bytes, Path::new("evil.pickle")) {
        Ok(document) => panic!("accepted as {:?}", document.root()),
        Err(error) => error.to_string(),
    }
}

/// Tests every way to name a function, with functions from real malicious files, and with names
/// similar to allowed ones.
#[test]
fn code_is_refused_by_name() {
    let names = [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("subprocess", "check_output"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("__builtin__", "eval"),
        ("__builtin__", "apply"),
        ("__builtin__", "file"),
        ("runpy", "_run_code"),
        ("importlib", "import_module"),
        ("pty", "spawn"),
        ("socket", "create_connection"),
        ("webbrowser", "open"),
        ("shutil", "rmtree"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("timeit", "timeit"),
        ("code", "InteractiveInterpreter"),
        ("pip", "main"),
        ("asyncio", "run"),
        ("urllib.request", "urlopen"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("numpy", "load"),
        ("numpy.testing._private.utils", "runstring"),
        ("numpy.f2py.crackfortran", "myeval"),
        ("numpy", "fromfile"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy.core.multiarray", "_reconstruct "),
        ("numpy.core.multiarray.scalar", ""),
        ("", "scalar"),
        ("numpy", "DTYPE"),
        ("_codecs", "decode"),
        ("_codecs", "lookup"),
        ("codecs", "encode"),
        ("numpy._core.multiarray", "frombuffer"),
        ("pickle", "loads"),
        ("_pickle", "loads"),
        ("dill", "loads"),
        ("joblib", "load"),
        ("types", "CodeType"),
        ("marshal", "loads"),
        ("ctypes", "CDLL"),
        ("bdb", "Bdb.run"),
        ("cProfile", "run"),
        ("sys", "modules"),
    ];
    let mut count = 0;
    for (module, name) in names {
        let global = format!("c{module}\n{name}\n");
        let short = |s: &str| [&[0x8c, s.len() as u8], s.as_bytes()].concat();
        let forms: [Vec<u8>; 6] = [
            format!("{global}(S'id'\ntR.").into_bytes(),
            format!("(S'id'\ni{module}\n{name}\n.").into_bytes(),
            format!("({global}S'id'\no.").into_bytes(),
            [b"\x80\x02", global.as_bytes(), b"U\x02id\x85\x81."].concat(),
            [&b"\x80\x04"[..], &short(module), &short(name), b"\x93)R."].concat(),
            format!("(lp0\n{global}a.").into_bytes(), // named, and never called
        ];
        for form in forms {
            let error = refused(&form);
            assert!(
                error.contains(&format!("{module}.{name}")) && error.contains("byte "),
                "{error}"
            );
            count += 1;
        }
    }
    assert_eq!(count, 300);
}

#[test]
fn allowed_functions_are_no_way_around() {
    for evil in [
        &b"cnumpy\nndarray\n)R."[..],
        b"cnumpy\nndarray\n)\x81.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n)R.",
        b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
        b"c_codecs\nencode\n(V\\u0153\nVlatin1\ntR.",
        b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.",
        b"c__builtin__\nbytes\n(I4\ntR.",
        b"c__builtin__\nbytes\n(lR.",
        b"S'x'\n(tR.",
        b"S'x'\n(tb.",
        b"(l(tb.",
        b"Px\n.",
        b"S'x'\nQ.",
        b"\x82\x01.",
        b"\x8f.",
        b"\x97.",
        b"PK\x03\x04",
        b"\x80\x06N.",
        b"",
        b".",
        b"a.",
        b"(.",
        b"(a.",
        b"g5\n.",
        b"p5\n.",
        b"N",
        b"(NNd(s.",
        b"(Nd.",
        b"I1x\n.",
        b"I99999999999999999999\n.",
        b"F\n.",
    ] {
        refused(evil);
    }
}

/// A memo bomb: nodes are shared, not copied.
#[test]
fn memo_bombs_stay_small() {
    for levels in [20u32, 40, 62] {
        let mut bomb = b"(lp0\n".to_vec();
        for i in 0..levels {
            bomb.extend(format!("(g{i}\ng{i}\nlp{}\n", i + 1).bytes());
        }
        bomb.extend(b".");
        let document = pickle::decode(&bomb, Path::new("b")).unwrap();
        assert!(matches!(document.root(), Value::List(items) if items.len() == 2));
    }
    let mut deep = b"(lp0\n".to_vec();
    for i in 0..10_000 {
        deep.extend(format!("(g{i}\ng{i}\nlp{}\n", i + 1).bytes());
    }
    deep.extend(b".");
    assert!(refused(&deep).contains("nested too deeply"));
}

/// Deep nesting in a thread with a stack of 256 KiB: nothing is recursive, not even dropping.
#[test]
fn deep_and_cyclic_pickles_are_refused_on_a_small_stack() {
    let test = || {
        for n in [MAX_DEPTH + 1, 2 << 20] {
            let forms: [Vec<u8>; 4] = [
                [vec![b'('; n], vec![b't'; n], b".".to_vec()].concat(),
                [vec![b']'; n], vec![b'a'; n - 1], b".".to_vec()].concat(),
                [vec![b')'], vec![0x85; n], b".".to_vec()].concat(),
                [vec![b'('; n], vec![b'd'; n], b".".to_vec()].concat(),
            ];
            for (i, form) in forms.iter().enumerate() {
                let error = refused(form);
                assert!(i == 3 || error.contains("deep") || error.contains("too much"), "{error}");
            }
        }
        let deepest = [vec![b')'], vec![0x85; MAX_DEPTH - 1], b".".to_vec()].concat();
        assert!(pickle::decode(&deepest, Path::new("ok")).is_ok());
        for cycle in
            [&b"]q\x00h\x00a."[..], b"}q\x00K\x01h\x00s.", b"]q\x00]q\x01h\x00ah\x01a0h\x00h\x01a."]
        {
            assert!(refused(cycle).contains("contains itself"));
        }
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(test).unwrap().join().unwrap();
}

/// Wrong lengths: more bytes are claimed than there are.
#[test]
fn lengths_that_lie_are_refused() {
    let array = |shape: &str, data: &str| {
        format!(
            "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n({shape}tcnumpy\ndtype\n\
             (S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'{data}'\ntb."
        )
    };
    assert!(pickle::decode(array("I1\n", "abcd").as_bytes(), Path::new("f")).is_ok());
    for (shape, data) in [
        ("I1\n", "abc"),
        ("I1\n", "abcde"),
        ("I2\n", "abcd"),
        ("I-1\n", ""),
        ("F1.0\n", "abcd"),
        ("N", ""),
        ("I4611686018427387904\nI4\n", ""),
        ("I9223372036854775807\nI9223372036854775807\n", "abcd"),
    ] {
        assert!(refused(array(shape, data).as_bytes()).contains("array"), "{shape} {data}");
    }
    refused(array(&"I1\n".repeat(33), "abcd").as_bytes());
    for lie in [
        &b"T\xff\xff\xff\x7fab."[..],
        b"T\xff\xff\xff\xffab.",
        b"B\x00\x00\x00\x40ab.",
        b"X\xff\xff\xff\xffab.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffab.",
        b"\x8d\x00\x00\x00\x00\x00\x00\x00\x80ab.",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7fab.",
        b"\x8b\xff\xff\xff\x7f1.",
        b"\x8a\xff1.",
        b"U\xffab.",
    ] {
        assert!(refused(lie).contains("ends early"));
    }
}

/// Arrays of protocol 5 contain the order of their axes; an unknown order is never guessed.
#[test]
fn axes_are_in_a_known_order() {
    let array = |order: &[u8]| {
        let head = b"\x80\x05cnumpy.core.numeric\n_frombuffer\n(C\x06abcdefcnumpy\ndtype\n(X\x02\0\0\0u1\x89\x88tRK\x02K\x03\x86";
        [&head[..], order, b"tR."].concat()
    };
    let read = |order: &[u8]| {
        let bytes = array(order);
        let whole = pickle::decode(&bytes, Path::new("f")).unwrap();
        let Value::Array(array) = whole.root() else { panic!() };
        (array.shape.clone(), array.strides.clone())
    };
    assert_eq!(read(b"X\x01\0\0\0C"), (vec![2, 3], vec![3, 1]));
    assert_eq!(read(b"X\x01\0\0\0F"), (vec![2, 3], vec![1, 2]));
    assert_eq!(read(b"X\x01\0\0\0KK\x01K\0\x86"), (vec![3, 2], vec![1, 3]));
    for order in [
        &b""[..],
        b"N",
        b"X\x01\0\0\0A",
        b"X\x01\0\0\0K",
        b"X\x01\0\0\0KN",
        b"X\x01\0\0\0KK\0\x85",
        b"X\x01\0\0\0KK\0K\0\x86",
        b"X\x01\0\0\0KK\0K\x02\x86",
        b"X\x01\0\0\0KK\x01K\0K\x02\x87",
        b"X\x01\0\0\0KK\x01F0.0\n\x86",
    ] {
        let error = refused(&array(order));
        assert!(error.contains("order") || error.contains("each axis"), "{error}");
    }
}

/// Data after the end of a pickle.
#[test]
fn a_second_file_behind_the_first_is_refused() {
    for tail in [&b"N."[..], b"PK\x03\x04", b"\0", b" ", b"\n\n\n", b"\nx", b"(lp0\n."] {
        assert!(refused(&[b"(lp0\n.", tail].concat()).contains("after the end"));
    }
    assert!(pickle::decode(b"(lp0\n.\r\n", Path::new("f")).is_ok());
}
