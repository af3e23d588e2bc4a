//! Memory of maps, kept when a map is gone: a step allocates what the last one did, and neither fresh pages nor zeros need to
//! be written.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::lane::Lane;

/// Lanes that a thread fills at once.
const CHUNK: usize = 1 << 12;

/// The memory of all maps.
static MEMORY: Mutex<Memory> = Mutex::new(Memory { free: Vec::new(), used: 0, most: 0 });

struct Memory {
    /// Blocks that nobody uses, in the order in which they came back.
    free: Vec<Vec<Lane>>,
    /// Lanes in use, now and at most so far.
    used: usize,
    most: usize,
}

/// Lanes of some length; their memory goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    block: Vec<Lane>,
    length: usize,
}

impl Buffer {
    /// `length` lanes with anything in them: whoever asks writes every one before it is read.
    pub(crate) fn stale(length: usize) -> Self {
        let block = reused(length).unwrap_or_else(|| vec![Lane::ZERO; length]);
        let mut buffer = Self { block, length };
        if cfg!(debug_assertions) {
            buffer.fill(Lane::splat(f32::NAN)); // a value that is read too early shows
        }
        buffer
    }

    /// `length` lanes of zeros.
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
    /// The free block that fits best and is not far too large. Where there is none, and as much is free as half of what was ever
    /// used at once, the blocks that have been free for longest are given up.
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

/// Gives up the blocks that nobody uses.
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
