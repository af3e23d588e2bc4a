//! What a WebP says about itself before it is decoded (RFC 9649, WebP Image Format).
//!
//! The decoder reserves memory for a lossy picture by the size in the picture's own chunk, which the
//! header of the file may contradict, and it decodes a file that ends early in some cases.

/// Why a WebP is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It ends before its header says.
    Cut,
    /// It is an animation.
    Animated,
    /// Its picture has this width and height.
    Large(u32, u32),
}

/// The bit of an animation among the flags of an extended WebP.
const ANIMATION: u8 = 0x02;

/// The WebP in `bytes`, without anything that follows it. `fits` says whether a width and a height
/// can be decoded.
pub(super) fn whole(bytes: &[u8], fits: impl Fn(u32, u32) -> bool) -> Result<&[u8], Flaw> {
    let length = word(bytes, 4).ok_or(Flaw::Cut)?;
    let end = usize::try_from(u64::from(length) + 8).map_err(|_| Flaw::Cut)?;
    let bytes = bytes.get(..end).ok_or(Flaw::Cut)?;
    let mut at = 12;
    while let (Some(name), Some(length)) = (bytes.get(at..at + 4), word(bytes, at + 4)) {
        let body = bytes.get(at + 8..).unwrap_or_default();
        if body.len() < length as usize {
            return Err(Flaw::Cut);
        }
        match (name, body) {
            (b"VP8X", [flags, ..]) if flags & ANIMATION != 0 => return Err(Flaw::Animated),
            (b"ANIM" | b"ANMF", _) => return Err(Flaw::Animated),
            // A frame tag and a start code of three bytes each, then 14 bits of each side.
            (b"VP8 ", [_, _, _, _, _, _, w, v, h, g, ..]) => {
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                check((side(*w, *v), side(*h, *g)), &fits)?;
            }
            // A signature, then 14 bits of each side, less one.
            (b"VP8L", [_, a, b, c, d, ..]) => {
                let bits = u32::from_le_bytes([*a, *b, *c, *d]);
                check(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1), &fits)?;
            }
            _ => {}
        }
        at += 8 + length as usize + length as usize % 2;
    }
    Ok(bytes)
}

fn check((width, height): (u32, u32), fits: impl Fn(u32, u32) -> bool) -> Result<(), Flaw> {
    if fits(width, height) { Ok(()) } else { Err(Flaw::Large(width, height)) }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}
