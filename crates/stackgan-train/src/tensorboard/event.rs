//! Encoding of TensorBoard's `Event` protocol buffer, as far as a run needs it: numbers, PNG
//! pictures, texts, and the mark of a new start.
//!
//! Source: `tensorboard/compat/proto/{event,summary,tensor,tensor_shape}.proto`. The names of the
//! fields stand beside their numbers.

use stackgan_core::protobuf::Message;

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
    let new = Message::default;
    let mut event = new().double(1, wall_time); // wall_time
    if step > 0 {
        event = event.int(2, step.cast_signed()); // step; 0 is the default and not written
    }
    let summary = |value: Message| new().message(1, &value);
    let event = match what {
        What::Version => event.text(3, "brain.Event:2"), // file_version
        What::Start => event.message(7, &new().int(1, 1)), // session_log { status: START }
        What::Scalars(values) => {
            let mut summary = new();
            for (tag, value) in values {
                summary.push(1, &new().text(1, tag).float(2, *value)); // simple_value
            }
            event.message(5, &summary)
        }
        What::Image(tag, (width, height), png) => {
            let image = new().int(1, height.into()).int(2, width.into());
            let image = image.int(3, 3).bytes(4, png); // colorspace: RGB; encoded_image_string
            event.message(5, &summary(new().text(1, tag).message(4, &image)))
        }
        What::Text(tag, text) => {
            let shape = new().message(2, &new().int(1, 1)); // (1)
            // dtype: DT_STRING; tensor_shape; string_val
            let tensor = new().int(1, 7).message(2, &shape).text(8, text);
            let metadata = new().message(1, &new().text(1, "text")); // plugin_data
            let value = new().text(1, tag).message(8, &tensor).message(9, &metadata);
            event.message(5, &summary(value))
        }
    };
    event.into_bytes()
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
