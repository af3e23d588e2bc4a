//! Writes Protobuf's wire format, as far as ONNX files and TensorBoard's events need it: varints,
//! numbers of four and eight bytes, and length-delimited fields.
//!
//! Source: protobuf.dev, "Encoding".

/// A message, as a sequence of fields.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// Returns an empty message with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds an integer. A negative one takes ten bytes.
    #[must_use]
    pub fn int(mut self, field: u32, value: i64) -> Self {
        self.key(field, 0);
        self.varint(value.cast_unsigned());
        self
    }

    /// Adds a four-byte floating-point number.
    #[must_use]
    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds an eight-byte floating-point number.
    #[must_use]
    pub fn double(mut self, field: u32, value: f64) -> Self {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds bytes.
    #[must_use]
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Adds a string.
    #[must_use]
    pub fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// Adds a message.
    #[must_use]
    pub fn message(mut self, field: u32, value: &Self) -> Self {
        self.push(field, value);
        self
    }

    /// Adds integers, packed into one field.
    #[must_use]
    pub fn ints(self, field: u32, values: impl IntoIterator<Item = i64>) -> Self {
        let mut packed = Self::default();
        values.into_iter().for_each(|value| packed.varint(value.cast_unsigned()));
        self.message(field, &packed)
    }

    /// Adds numbers as bytes, in little-endian order.
    #[must_use]
    pub fn raw(mut self, field: u32, values: &[f32]) -> Self {
        self.key(field, 2);
        self.varint(4 * values.len() as u64);
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        self
    }

    /// Adds a message as [`Self::message`] does, in place.
    pub fn push(&mut self, field: u32, value: &Self) {
        self.key(field, 2);
        self.varint(value.0.len() as u64);
        self.0.extend(&value.0);
    }

    /// Returns a message whose only field is this one. The contents are moved, not copied.
    #[must_use]
    pub fn within(mut self, field: u32) -> Self {
        let mut head = Self::default();
        head.key(field, 2);
        head.varint(self.0.len() as u64);
        self.0.splice(0..0, head.0);
        self
    }

    /// Returns the bytes of the message.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u32, wire: u64) {
        self.varint((u64::from(field) << 3) | wire);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    /// The examples of the specification.
    #[test]
    fn messages_are_those_of_the_specification() {
        let message = Message::default().int(1, 150);
        assert_eq!(message.clone().into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().message(3, &message).into_bytes(), [0x1a, 3, 8, 0x96, 1]);
        assert_eq!(message.within(3).into_bytes(), [0x1a, 3, 8, 0x96, 1]);
        let text = Message::default().text(2, "testing").into_bytes();
        assert_eq!(text, [&[0x12, 7], "testing".as_bytes()].concat());
        let packed = Message::default().ints(6, [3, 270, 86_942]).into_bytes();
        assert_eq!(packed, [0x32, 6, 3, 0x8e, 2, 0x9e, 0xa7, 5]);
        let negative = Message::default().int(1, -2).into_bytes();
        assert_eq!(negative, [&[8, 0xfe][..], &[0xff; 8], &[1]].concat());
        let double = Message::default().double(1, 1.0).into_bytes();
        assert_eq!(double, [9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        assert_eq!(Message::default().float(2, 1.0).into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::default().raw(9, &[1.0]).into_bytes(), [0x4a, 4, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::default().int(20, 1).into_bytes(), [0xa0, 1, 1]);
    }
}
