//! The element types of arrays, with numpy's names (`f4`, `>i8`, …). Torch's and MATLAB's types are
//! mapped to them.

/// The kind of number of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `b1`: one byte, zero or one.
    Bool,
    /// `i1`, `i2`, `i4`, `i8`: two's complement.
    Int,
    /// `u1`, `u2`, `u4`, `u8`.
    Unsigned,
    /// `f2`, `f4`, `f8`: IEEE 754.
    Float,
}

/// An element type: kind, size and byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DType {
    pub(crate) kind: Kind,
    /// Size of an element in bytes: 1, 2, 4 or 8.
    pub(crate) size: u8,
    /// Whether the most significant byte comes first.
    pub(crate) big_endian: bool,
}

impl DType {
    /// Parses a numpy name such as `f4` or `i8`; `None` for unsupported types (objects, strings,
    /// records, complex numbers, dates).
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        let (kind, size) = match name {
            b"b1" | b"?" => (Kind::Bool, 1),
            b"i1" => (Kind::Int, 1),
            b"i2" => (Kind::Int, 2),
            b"i4" => (Kind::Int, 4),
            b"i8" => (Kind::Int, 8),
            b"u1" => (Kind::Unsigned, 1),
            b"u2" => (Kind::Unsigned, 2),
            b"u4" => (Kind::Unsigned, 4),
            b"u8" => (Kind::Unsigned, 8),
            b"f2" => (Kind::Float, 2),
            b"f4" => (Kind::Float, 4),
            b"f8" => (Kind::Float, 8),
            _ => return None,
        };
        Some(Self::little(kind, size))
    }

    /// The type that Torch calls by this name, as in `FloatTensor`; `None` for any other name.
    pub(crate) fn of_torch(name: &[u8]) -> Option<Self> {
        let (kind, size) = match name {
            b"Byte" => (Kind::Unsigned, 1),
            b"Char" => (Kind::Int, 1),
            b"Short" => (Kind::Int, 2),
            b"Int" => (Kind::Int, 4),
            b"Long" => (Kind::Int, 8),
            b"Half" => (Kind::Float, 2),
            b"Float" => (Kind::Float, 4),
            b"Double" => (Kind::Float, 8),
            _ => return None,
        };
        Some(Self::little(kind, size))
    }

    /// The little-endian type of a kind and size.
    pub(crate) const fn little(kind: Kind, size: u8) -> Self {
        Self { kind, size, big_endian: false }
    }

    /// Size of an element in bytes: 1, 2, 4 or 8.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::from(self.size)
    }

    /// Converts one element to an integer; `None` for a float, for `u8` values beyond `i64::MAX`,
    /// and if the length of `raw` is not [`DType::bytes`].
    #[must_use]
    pub fn int(self, raw: &[u8]) -> Option<i64> {
        let word = self.word(raw)?;
        match self.kind {
            Kind::Bool | Kind::Unsigned => i64::try_from(word).ok(),
            Kind::Int => {
                let unused = 64 - 8 * u32::from(self.size);
                Some(((word << unused) as i64) >> unused)
            }
            Kind::Float => None,
        }
    }

    /// Converts one element to a float; `None` if the length of `raw` is not [`DType::bytes`].
    #[must_use]
    pub fn float(self, raw: &[u8]) -> Option<f64> {
        let word = self.word(raw)?;
        match (self.kind, self.size) {
            (Kind::Float, 2) => Some(half(word as u16)),
            (Kind::Float, 4) => Some(f64::from(f32::from_bits(word as u32))),
            (Kind::Float, _) => Some(f64::from_bits(word)),
            (Kind::Unsigned, _) => Some(word as f64),
            _ => self.int(raw).map(|i| i as f64),
        }
    }

    /// The bytes of one element as an unsigned integer, whatever its byte order.
    fn word(self, raw: &[u8]) -> Option<u64> {
        if raw.len() != self.bytes() {
            return None;
        }
        let join = |word: u64, &byte: &u8| (word << 8) | u64::from(byte);
        Some(if self.big_endian {
            raw.iter().fold(0, join)
        } else {
            raw.iter().rev().fold(0, join)
        })
    }
}

/// Converts a half-precision float: 1 bit of sign, 5 of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    let size = match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_either_byte_order() {
        let little = |name: &[u8]| DType::parse(name).unwrap();
        let big = |name: &[u8]| DType { big_endian: true, ..little(name) };
        assert_eq!(little(b"i2").int(&[0xfe, 0xff]), Some(-2));
        assert_eq!(big(b"i2").int(&[0xff, 0xfe]), Some(-2));
        assert_eq!(little(b"u2").int(&[0xfe, 0xff]), Some(65534));
        assert_eq!(little(b"i8").int(&(-3i64).to_le_bytes()), Some(-3));
        assert_eq!(little(b"u8").int(&u64::MAX.to_le_bytes()), None);
        assert_eq!(big(b"f4").float(&1.5f32.to_be_bytes()), Some(1.5));
        assert_eq!(little(b"f8").float(&(-0.25f64).to_le_bytes()), Some(-0.25));
        for (bits, number) in [
            (0x3c00, 1.0),
            (0xc100, -2.5),
            (0x7bff, 65504.0),
            (0x0001, 2f64.powi(-24)),
            (0x8000, -0.0),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(little(b"f2").float(&u16::to_le_bytes(bits)), Some(number));
        }
        assert!(little(b"f2").float(&[1, 0x7c]).is_some_and(f64::is_nan));
        assert_eq!(little(b"f4").int(&[0; 4]), None);
        assert_eq!(little(b"f4").float(&[0; 3]), None);
        for refused in [&b"O8"[..], b"S5", b"U3", b"V4", b"c8", b"f1", b"M8", b"", b"f44"] {
            assert_eq!(DType::parse(refused), None);
        }
    }
}
