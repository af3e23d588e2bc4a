//! Memory limits of the readers.
//!
//! A reader may use as much memory as the input again, plus 15 MiB. The overall limit is twice the
//! file plus 16 MiB; the last MiB is for what is not counted.

/// The memory that may still be used.
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    pub(crate) fn for_input(bytes: usize) -> Self {
        Self::of(bytes.saturating_add(15 << 20))
    }

    /// A budget of `bytes`.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// Number of bytes that may still be used.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Charges `bytes`; returns false if the budget does not cover them.
    pub(crate) fn charge(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Returns `bytes` that were charged and are free again.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes);
    }

    /// Charges and reserves room for `n` more elements in a vector; returns false if the budget
    /// does not cover it.
    ///
    /// A vector grows by doubling and for a moment exists twice. So only growth is charged, at the
    /// full size of the new buffer.
    pub(crate) fn reserve<T>(&mut self, vec: &mut Vec<T>, n: usize) -> bool {
        let Some(needed) = vec.len().checked_add(n) else { return false };
        if needed <= vec.capacity() {
            return true;
        }
        let capacity = needed.max(vec.capacity().saturating_mul(2)).max(4);
        // The old buffer was charged when it was allocated, and is returned after the move.
        let old = vec.capacity() * size_of::<T>();
        if !self.charge(capacity.saturating_mul(size_of::<T>())) {
            return false;
        }
        vec.reserve_exact(capacity - vec.len());
        self.release(old);
        true
    }
}
