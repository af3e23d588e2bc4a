//! Memory of maps, which is reused after a map is dropped.
//!
//! A step allocates the same sizes as the last one. Reuse avoids fresh pages and the writing of
//! zeros.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::lane::Lane;

/// Number of lanes per parallel task.
const CHUNK: usize = 1 << 12;

/// The memory of all maps.
static MEMORY: Mutex<Memory> = Mutex::new(Memory { free: Vec::new(), used: 0, most: 0 });

struct Memory {
    /// Unused blocks, ordered by the time of their release.
    free: Vec<Vec<Lane>>,
    /// Lanes in use now (`used`) and at most so far (`most`).
    used: usize,
    most: usize,
}

/// A given number of lanes, whose memory is returned for reuse when this is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    block: Vec<Lane>,
    length: usize,
}

impl Buffer {
    /// Returns `length` lanes with arbitrary contents. The caller must write every lane before
    /// reading it.
    pub(crate) fn stale(length: usize) -> Self {
        let block = reused(length).unwrap_or_else(|| vec![Lane::ZERO; length]);
        let mut buffer = Self { block, length };
        if cfg!(debug_assertions) {
            buffer.fill(Lane::splat(f32::NAN)); // makes reads of unwritten values visible
        }
        buffer
    }

    /// Returns `length` lanes of zeros.
    pub(crate) fn zeroed(length: usize) -> Self {
        let Some(block) = reused(length) else {
            return Self { block: vec![Lane::ZERO; length], length };
        };
        let mut buffer = Self { block, length };
        buffer.par_chunks_mut(CHUNK).for_each(|lanes| lanes.fill(Lane::ZERO));
        buffer
    }
}

impl Memory {
    /// Takes the smallest free block that has at least `length` and at most twice `length` lanes.
    ///
    /// If there is none, the blocks that have been free for longest are dropped until the free
    /// lanes are no more than the largest number ever in use.
    fn take(&mut self, length: usize) -> Option<Vec<Lane>> {
        let fits = |block: &Vec<Lane>| (length..=2 * length).contains(&block.len());
        let best = (0..self.free.len()).filter(|&i| fits(&self.free[i]));
        let block = best.min_by_key(|&i| self.free[i].len()).map(|best| self.free.remove(best));
        self.used += block.as_ref().map_or(length, Vec::len);
        self.most = self.most.max(self.used);
        if block.is_none() {
            let mut idle: usize = self.free.iter().map(Vec::len).sum();
            while idle > self.most {
                idle -= self.free.remove(0).len();
            }
        }
        block
    }
}

fn reused(length: usize) -> Option<Vec<Lane>> {
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner).take(length)
}

/// Frees the unused blocks.
pub(crate) fn release() {
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    memory.free = Vec::new();
    memory.most = memory.used;
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.block);
        let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
        memory.used -= block.len();
        memory.free.push(block);
    }
}

impl Deref for Buffer {
    type Target = [Lane];

    fn deref(&self) -> &[Lane] {
        &self.block[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [Lane] {
        &mut self.block[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, Lane};

    #[test]
    fn zeros_are_zeros_whatever_was_there() {
        for length in [0, 1, 1000, 900] {
            Buffer::stale(length).fill(Lane::splat(7.));
            let buffer = Buffer::zeroed(length);
            assert_eq!(buffer.len(), length);
            assert!(buffer.iter().all(|lane| *lane == Lane::ZERO));
        }
    }
}
