//! Pooling windows.

/// A pooling window over time. The published ones are 3/3, 3/2 and none (1/1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Pool {
    /// Number of steps in a window.
    pub(in super::super) size: usize,
    /// Number of steps between windows.
    pub(in super::super) stride: usize,
}

impl Pool {
    /// Returns the number of whole windows in `time` steps.
    pub(in super::super) const fn steps(self, time: usize) -> usize {
        match time.checked_sub(self.size) {
            Some(rest) => rest / self.stride + 1,
            None => 0,
        }
    }
}
