//! Parquet files written field by field, so that each field can be wrong (parquet-format,
//! `parquet.thrift`, in Thrift's compact protocol).

/// A structure of Thrift, field after field.
#[derive(Clone, Default)]
pub(crate) struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

impl Struct {
    fn head(mut self, id: u8, kind: u8) -> Self {
        self.bytes.push((id - self.last) << 4 | kind);
        self.last = id;
        self
    }

    /// A number of 32 bits.
    pub(crate) fn int(self, id: u8, n: i64) -> Self {
        let mut out = self.head(id, 5);
        out.bytes.extend(varint((n << 1 ^ n >> 63) as u64));
        out
    }

    /// A number of 64 bits.
    pub(crate) fn long(self, id: u8, n: i64) -> Self {
        let mut out = self.head(id, 6);
        out.bytes.extend(varint((n << 1 ^ n >> 63) as u64));
        out
    }

    pub(crate) fn binary(self, id: u8, text: &[u8]) -> Self {
        let mut out = self.head(id, 8);
        out.bytes.extend(counted(text));
        out
    }

    /// A list of `n` elements of a kind, however many there are.
    pub(crate) fn list(self, id: u8, (kind, n): (u8, u64), elements: &[Vec<u8>]) -> Self {
        let mut out = self.head(id, 9);
        out.bytes.push(0xf0 | kind);
        out.bytes.extend(varint(n));
        out.bytes.extend(elements.concat());
        out
    }

    pub(crate) fn structure(self, id: u8, inner: Self) -> Self {
        let mut out = self.head(id, 12);
        out.bytes.extend(inner.end());
        out
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 0x7f {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

fn counted(text: &[u8]) -> Vec<u8> {
    [varint(text.len() as u64), text.to_vec()].concat()
}

/// A column that holds `children` others.
pub(crate) fn group(name: &str, children: i64) -> Vec<u8> {
    Struct::default().int(3, 0).binary(4, name.as_bytes()).int(5, children).end()
}

/// A column of bytes, which are texts if `converted` is 0.
pub(crate) fn leaf(name: &str, converted: Option<i64>) -> Vec<u8> {
    let leaf = Struct::default().int(1, 6).int(3, 0).binary(4, name.as_bytes());
    converted.into_iter().fold(leaf, |leaf, converted| leaf.int(6, converted)).end()
}

/// A file with these bytes as its metadata.
pub(crate) fn with_footer(body: &[u8], footer: &[u8]) -> Vec<u8> {
    let length = (footer.len() as u32).to_le_bytes();
    [b"PAR1", body, footer, &length, b"PAR1"].concat()
}

/// A page: what its header claims, and its bytes.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) unpacked: i64,
    pub(crate) values: i64,
    pub(crate) encoding: i64,
    pub(crate) dictionary: bool,
    /// Its kind, if the header says another one.
    pub(crate) says: Option<i64>,
    /// Fields of the header behind those.
    pub(crate) more: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Page {
    /// Plain values.
    pub(crate) fn plain(values: &[&[u8]]) -> Self {
        let body: Vec<u8> =
            values.iter().flat_map(|v| [&(v.len() as u32).to_le_bytes()[..], v].concat()).collect();
        let (unpacked, values) = (body.len() as i64, values.len() as i64);
        Self {
            unpacked,
            values,
            encoding: 0,
            dictionary: false,
            says: None,
            more: Vec::new(),
            body,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let header = Struct::default()
            .int(1, self.says.unwrap_or(if self.dictionary { 2 } else { 0 }))
            .int(2, self.unpacked)
            .int(3, self.body.len() as i64);
        let inner = Struct::default().int(1, self.values).int(2, self.encoding);
        let header = match self.dictionary {
            true => header.structure(7, inner),
            false => header.structure(5, inner.int(3, 3).int(4, 3)),
        };
        [header.bytes, self.more.clone(), vec![0], self.body.clone()].concat()
    }
}

/// What a file's metadata claims beside its pages.
#[derive(Clone, Copy)]
pub(crate) struct Claims {
    pub(crate) rows: i64,
    pub(crate) group_rows: i64,
    pub(crate) codec: i64,
    /// Added to the offsets of columns.
    pub(crate) shift: i64,
    /// Added to their lengths.
    pub(crate) longer: i64,
}

impl Claims {
    pub(crate) const fn of(rows: i64) -> Self {
        Self { rows, group_rows: rows, codec: 0, shift: 0, longer: 0 }
    }
}

/// A file with a column `image` of bytes and a column `text` of texts, in one group of rows.
pub(crate) fn file(claims: Claims, image: &[Page], text: &[Page]) -> Vec<u8> {
    let (mut body, mut columns) = (Vec::new(), Vec::new());
    for (name, pages) in [("image", image), ("text", text)] {
        let at = 4 + body.len() as i64;
        let pages_bytes: Vec<Vec<u8>> = pages.iter().map(Page::bytes).collect();
        let length = pages_bytes.concat().len() as i64;
        let of_first = pages_bytes.first().map_or(0, |first| first.len() as i64);
        body.extend(pages_bytes.concat());
        let has_dictionary = pages.first().is_some_and(|page| page.dictionary);
        let data = at + claims.shift + if has_dictionary { of_first } else { 0 };
        let facts = Struct::default()
            .int(1, 6)
            .list(2, (5, 1), &[vec![0]])
            .list(3, (8, 1), &[counted(name.as_bytes())])
            .int(4, claims.codec)
            .long(5, claims.group_rows)
            .long(6, length)
            .long(7, length + claims.longer)
            .long(9, data);
        let facts = if has_dictionary { facts.long(11, at + claims.shift) } else { facts };
        columns.push(Struct::default().long(2, 0).structure(3, facts).end());
    }
    let rows = Struct::default()
        .list(1, (12, columns.len() as u64), &columns)
        .long(2, body.len() as i64)
        .long(3, claims.group_rows);
    let schema = [group("root", 2), leaf("image", None), leaf("text", Some(0))];
    let footer = Struct::default().int(1, 2).list(2, (12, 3), &schema).long(3, claims.rows).list(
        4,
        (12, 1),
        &[rows.end()],
    );
    with_footer(&body, &footer.end())
}
