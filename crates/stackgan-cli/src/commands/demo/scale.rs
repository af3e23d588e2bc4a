//! The size of a demo.

/// The size of a demo.
pub(super) struct Scale {
    /// Number of pictures to draw.
    pub pictures: usize,
    /// Seconds from the start to the end of Stage-II.
    pub seconds: f64,
    /// Number of grids painted while Stage-I and Stage-II train.
    pub grids: [u64; 2],
    /// Number of captions of unseen species that are scored.
    pub scored: usize,
}

impl Scale {
    /// Of a demo that only shows that everything works.
    pub(super) const fn quick() -> Self {
        Self { pictures: 200, seconds: 24.0, grids: [1, 1], scored: 32 }
    }

    /// Of a demo that takes `minutes`.
    pub(super) const fn of_minutes(minutes: f64) -> Self {
        Self { pictures: 2880, seconds: minutes * 60.0, grids: [10, 5], scored: 240 }
    }
}
