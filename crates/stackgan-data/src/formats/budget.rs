//! How much memory a reader may use: beyond the input itself, as much again and 15 MiB. (The bar is twice the
//! file and 16 MiB; the last MiB is for what is not counted.)

/// Memory that may still be used.
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    pub(crate) fn for_input(bytes: usize) -> Self {
        Self::of(bytes.saturating_add(15 << 20))
    }

    /// So many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// Memory that may still be used, in bytes.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Books `bytes`; false when they are not to be had.
    pub(crate) fn charge(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Books room for `n` more elements in a vector and makes it; false when it is not to be had. A vector
    /// grows by doubling and for a moment exists twice, so only growth costs, at its full price.
    pub(crate) fn reserve<T>(&mut self, vec: &mut Vec<T>, n: usize) -> bool {
        let Some(needed) = vec.len().checked_add(n) else { return false };
        if needed <= vec.capacity() {
            return true;
        }
        let capacity = needed.max(vec.capacity().saturating_mul(2)).max(4);
        // The old buffer was charged when it was made and is given back after the move.
        let old = vec.capacity() * size_of::<T>();
        if !self.charge(capacity.saturating_mul(size_of::<T>())) {
            return false;
        }
        vec.reserve_exact(capacity - vec.len());
        self.left += old;
        true
    }
}
