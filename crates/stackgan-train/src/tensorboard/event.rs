//! Encoding of TensorBoard's `Event` protocol buffer, as far as a run needs it: numbers, PNG
//! pictures, texts, and the mark of a new start.
//!
//! Source: `tensorboard/compat/proto/{event,summary,tensor,tensor_shape}.proto`. The names of the
//! fields stand beside their numbers.

/// The content of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    /// The first event of every file.
    Version,
    /// A run resumes: readers drop what they know of this and later steps.
    Start,
    /// Named scalars.
    Scalars(&'a [(String, f32)]),
    /// A named PNG picture with its width and height.
    Image(&'a str, (u32, u32), &'a [u8]),
    /// A named text, displayed as Markdown.
    Text(&'a str, &'a str),
}

/// Encodes an `Event`. `wall_time` is in seconds since 1970.
pub(super) fn encode(wall_time: f64, step: u64, what: What) -> Vec<u8> {
    let mut event = Message::default();
    event.fixed64(1, wall_time.to_bits()); // wall_time
    if step > 0 {
        event.varint(2, step); // step; 0 is the default and not written
    }
    match what {
        What::Version => event.bytes(3, b"brain.Event:2"), // file_version
        What::Start => event.message(7, |log| log.varint(1, 1)), // session_log { status: START }
        What::Scalars(values) => event.message(5, |summary| {
            for (tag, value) in values {
                summary.message(1, |v| {
                    v.bytes(1, tag.as_bytes());
                    v.fixed32(2, value.to_bits()); // simple_value
                });
            }
        }),
        What::Image(tag, (width, height), png) => event.message(5, |summary| {
            summary.message(1, |value| {
                value.bytes(1, tag.as_bytes());
                value.message(4, |image| {
                    image.varint(1, u64::from(height));
                    image.varint(2, u64::from(width));
                    image.varint(3, 3); // colorspace: RGB
                    image.bytes(4, png); // encoded_image_string
                });
            });
        }),
        What::Text(tag, text) => event.message(5, |summary| {
            summary.message(1, |value| {
                value.bytes(1, tag.as_bytes());
                value.message(8, |tensor| {
                    tensor.varint(1, 7); // dtype: DT_STRING
                    tensor.message(2, |shape| shape.message(2, |dim| dim.varint(1, 1))); // (1)
                    tensor.bytes(8, text.as_bytes()); // string_val
                });
                value.message(9, |metadata| {
                    metadata.message(1, |plugin| plugin.bytes(1, b"text")); // plugin_data
                });
            });
        }),
    }
    event.0
}

/// The step of an encoded `Event`; `None` if the bytes are not an event.
pub(super) fn step(mut event: &[u8]) -> Option<u64> {
    let mut step = 0;
    while !event.is_empty() {
        let key = varint(&mut event)?;
        match (key >> 3, key & 7) {
            (2, 0) => step = varint(&mut event)?,
            (_, 0) => drop(varint(&mut event)?),
            (_, 1) => event = event.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut event)?).ok()?;
                event = event.get(length..)?;
            }
            (_, 5) => event = event.get(4..)?,
            _ => return None,
        }
    }
    Some(step)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for i in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * i).min(63);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The bytes of a message, built field by field.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.raw(field << 3);
        self.raw(value);
    }

    fn fixed64(&mut self, field: u64, bits: u64) {
        self.raw(field << 3 | 1);
        self.0.extend(bits.to_le_bytes());
    }

    fn fixed32(&mut self, field: u64, bits: u32) {
        self.raw(field << 3 | 5);
        self.0.extend(bits.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw(field << 3 | 2);
        self.raw(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn message(&mut self, field: u64, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.0);
    }
}
