"""Fills corpus/TARGET with the fixtures of crates/stackgan-data: the files that the fuzzer starts from.

    python fuzz/corpus.py
"""
import hashlib
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE / "../crates/stackgan-data/tests/fixtures"


def records(pack):
    """Names and files of a pack: a line of words that ends in one or two lengths, the file, what is said of it."""
    data = pack.read_bytes()
    while data:
        line, _, data = data.partition(b"\n")
        name, *words = line.decode().split(" ")
        lengths = [int(word) for word in words if word.isdigit()]
        yield name, data[: lengths[0]]
        data = data[sum(lengths) + 1 :]


def keep(target, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def prepared(pictures):
    """A prepared dataset of grey pictures, two captions each."""
    captions = [b"a small bird %d" % i for i in range(2 * pictures)]
    offsets = [sum(map(len, captions[:i])) for i in range(2 * pictures + 1)]
    words = lambda code, values: struct.pack("<%d%s" % (len(values), code), *values)
    tensors = [
        ("caption_offsets", "U64", [2 * pictures + 1], words("Q", offsets)),
        ("caption_ranges", "U64", [pictures + 1], words("Q", [2 * i for i in range(pictures + 1)])),
        ("class_id", "U32", [pictures], words("I", list(range(pictures)))),
        ("captions", "U8", [offsets[-1]], b"".join(captions)),
        ("split", "U8", [pictures], bytes(i % 2 for i in range(pictures))),
        ("images", "U8", [pictures, 76, 76, 3], b"\x80" * (76 * 76 * 3 * pictures)),
    ]
    keys = ["bird%d" % i for i in range(pictures)]
    facts = {"kind": "prepared", "version": 2, "name": "x", "resizing": "residual", "stretch": "none"}
    facts.update({"orientation": "upright", "notes": ["a"], "fingerprint": "0" * 64})
    facts.update({"keys": keys, "sha256": ["0" * 64] * pictures})
    header, at = {"__metadata__": {"stackgan": json.dumps(facts)}}, 0
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(data for *_, data in tensors)


def varint(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return number, at


def first_block(table):
    """The contents of the first block of a table of TensorFlow, by the table's index."""
    at = len(table) - 48
    for _ in range(3):
        place, at = varint(table, at)
    at = place
    for _ in range(2):
        _, at = varint(table, at)
    _, after = varint(table, at)  # the value's length; the key is before it
    length, _ = varint(table, place + 1)
    offset, at = varint(table, after + length)
    size, _ = varint(table, at)
    return table[offset : offset + size]


def checkpoints():
    """The contents of blocks of checkpoints."""
    golden = HERE / "../tests/golden"
    for name in ["tensorflow_stage1.ckpt.index", "tensorflow_release.ckpt"]:
        yield first_block((golden / name).read_bytes())
    # A variable of two numbers: what it is, then its only slice.
    field = lambda number, data: bytes([number << 3 | 2, len(data)]) + data
    shape = field(2, b"\x08\x02")
    about = field(1, field(1, field(1, b"a") + field(2, shape) + b"\x18\x01"))
    numbers = field(3, field(5, struct.pack("<2f", 1, 2)))
    data = field(2, field(1, b"a") + field(2, b"") + numbers)
    entry = lambda key, value: bytes([0, len(key), len(value)]) + key + value
    yield entry(b"", about) + entry(b"a", data) + struct.pack("<2I", 0, 1)


for data in checkpoints():
    keep("tensorflow", data)
for target, folder in [("pickle", "pickles"), ("pth", "pth"), ("t7", "t7"), ("mat", "matlab"), ("npy", "npy")]:
    for pack in sorted((FIXTURES / folder).glob("*.pack")):
        for _, data in records(pack):
            keep(target, data)
for path in sorted((FIXTURES / "shards").glob("*.parquet")):
    keep("parquet", path.read_bytes())
for pictures in range(3):
    keep("prepared", prepared(pictures))
