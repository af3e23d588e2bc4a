//! The named colours of the drawn birds: eight of plumage, two more of beaks.
//!
//! The eight are spread over the CIE Lab solid, so that a pixel of any of them, shaded and
//! jittered, is still nearest to its own name. A test of the judge checks this.

/// An 8-bit sRGB colour (not linear).
pub(super) type Rgb = [u8; 3];

/// A colour that a caption can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Colour {
    /// Scarlet red.
    Red,
    /// Golden yellow.
    Yellow,
    /// Leaf green.
    Green,
    /// Royal blue.
    Blue,
    /// Violet.
    Purple,
    /// Chestnut brown.
    Brown,
    /// Soft black.
    Black,
    /// Warm white.
    White,
    /// Orange; beaks only.
    Orange,
    /// Gray; beaks only.
    Gray,
}

impl Colour {
    /// The colours of plumage, in the order of [`Colour::index`].
    pub const PLUMAGE: [Self; 8] = [
        Self::Red,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::Brown,
        Self::Black,
        Self::White,
    ];

    /// The colours of beaks, without those of plumage that would vanish against a head.
    pub const BEAK: [Self; 6] =
        [Self::Orange, Self::Gray, Self::Yellow, Self::Black, Self::Red, Self::Brown];

    /// The English name, lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Brown => "brown",
            Self::Black => "black",
            Self::White => "white",
            Self::Orange => "orange",
            Self::Gray => "gray",
        }
    }

    /// The colour with this English name; `None` for any other word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::PLUMAGE.into_iter().chain([Self::Orange, Self::Gray]).find(|c| c.name() == name)
    }

    /// Position in [`Colour::PLUMAGE`]; 8 and 9 for orange and gray.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The pigment, before shading and jitter.
    pub(super) const fn rgb(self) -> Rgb {
        match self {
            Self::Red => [214, 42, 38],
            Self::Yellow => [246, 206, 48],
            Self::Green => [58, 158, 70],
            Self::Blue => [44, 104, 214],
            Self::Purple => [142, 62, 176],
            Self::Brown => [134, 86, 48],
            Self::Black => [40, 39, 46],
            Self::White => [244, 242, 236],
            Self::Orange => [240, 140, 36],
            Self::Gray => [138, 140, 148],
        }
    }
}

/// Interpolates from `a` to `b` by `t` in [0, 1].
pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|i| {
        let (x, y) = (f32::from(a[i]), f32::from(b[i]));
        (x + (y - x) * t).round().clamp(0.0, 255.0) as u8
    })
}

/// Multiplies each channel of `rgb` by its own factor.
pub(super) fn tint(rgb: Rgb, factor: [f32; 3]) -> Rgb {
    std::array::from_fn(|i| (f32::from(rgb[i]) * factor[i]).round().clamp(0.0, 255.0) as u8)
}

/// CIE L*a*b* (D65) of an sRGB colour: L in [0, 100], a and b in about [-110, 110].
pub(super) fn lab(rgb: [f64; 3]) -> [f64; 3] {
    let linear = rgb.map(|v| {
        let v = (v / 255.0).clamp(0.0, 1.0);
        if v <= 0.040_45 { v / 12.92 } else { libm::pow((v + 0.055) / 1.055, 2.4) }
    });
    let [r, g, b] = linear;
    let f = |t: f64| if t > 0.008_856 { libm::cbrt(t) } else { 7.787 * t + 16.0 / 116.0 };
    let x = f((0.412_456 * r + 0.357_576 * g + 0.180_437 * b) / 0.950_47);
    let y = f(0.212_673 * r + 0.715_152 * g + 0.072_175 * b);
    let z = f((0.019_334 * r + 0.119_192 * g + 0.950_304 * b) / 1.088_83);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lab_of_known_colours() {
        // Values of the standard conversion (D65, 2 degrees), to a tenth.
        for (rgb, want) in [
            ([255.0, 255.0, 255.0], [100.0, 0.0, 0.0]),
            ([255.0, 0.0, 0.0], [53.2, 80.1, 67.2]),
            ([0.0, 0.0, 255.0], [32.3, 79.2, -107.9]),
            ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ] {
            for (got, want) in lab(rgb).into_iter().zip(want) {
                assert!((got - want).abs() < 0.15, "{rgb:?}: {got} {want}");
            }
        }
    }

    #[test]
    fn names_round_trip_and_the_eight_are_well_apart() {
        for c in Colour::PLUMAGE {
            assert_eq!(Colour::from_name(c.name()), Some(c));
            assert_eq!(Colour::PLUMAGE[c.index()], c);
            for d in Colour::PLUMAGE.into_iter().filter(|&d| d != c) {
                let (p, q) = (lab(c.rgb().map(f64::from)), lab(d.rgb().map(f64::from)));
                let distance: f64 = p.iter().zip(q).map(|(x, y)| (x - y).powi(2)).sum();
                assert!(distance.sqrt() > 30.0, "{c:?} {d:?} {}", distance.sqrt());
            }
        }
        assert_eq!(Colour::from_name("mauve"), None);
    }
}
