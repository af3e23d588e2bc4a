//! What follows a convolution, applied where its result is made.

use crate::cpu::lane::Lane;

/// Finishes some rows of a block of channels of the result while they are in a thread's cache:
/// `finish(block, rows)`.
pub(crate) type Finish<'a> = &'a (dyn Fn(usize, &mut [Lane]) + Sync);

/// Leaves results unchanged.
pub(crate) const UNFINISHED: Finish<'_> = &|_, _| {};
