//! The wire format of protocol buffers: numbered fields, one after the other.

use super::super::cursor::Cursor;
use super::super::fault::Step;

/// The value of a field.
pub(super) enum Value<'a> {
    /// A number of up to 64 bits.
    Number(u64),
    /// Four bytes, the lowest first.
    Four(u32),
    /// Bytes: text, another message, or a row of numbers.
    Bytes(Cursor<'a>),
}

/// Takes the next field: its number and value. `None` at the end. Fields of eight bytes are passed
/// by: nothing that is read here has them.
pub(super) fn field<'a>(message: &mut Cursor<'a>) -> Step<Option<(u64, Value<'a>)>> {
    while message.left() > 0 {
        let key = varint(message)?;
        let value = match key & 7 {
            0 => Value::Number(varint(message)?),
            1 => {
                message.take(8)?;
                continue;
            }
            2 => {
                let length = usize::try_from(varint(message)?).unwrap_or(usize::MAX);
                Value::Bytes(message.part(length)?)
            }
            5 => Value::Four(message.u32()?),
            other => {
                return message.fault("no message", "a field", format!("wire type {other}"));
            }
        };
        return Ok(Some((key >> 3, value)));
    }
    Ok(None)
}

/// Takes a number of seven bits a byte, the lowest first.
pub(super) fn varint(cursor: &mut Cursor<'_>) -> Step<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = cursor.array()?;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Ok(number);
        }
    }
    cursor.fault("number is too long", "at most ten bytes", "more")
}
