//! Memory that is freed stays with the process, until it says otherwise.

use crate::cpu::buffer;

/// Tells the allocator to keep freed memory, however large the block, and to take no block from the system alone.
///
/// Training allocates the same large tensors in every step. glibc gives blocks above some megabytes back to the system each
/// time they are freed, and fetching their pages anew costs up to half of a layer. A program calls this once, before it
/// computes. What it frees is its own until it ends or calls [`release`]. Where the allocator is not glibc's, nothing happens.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` sets numbers of the allocator under the allocator's own lock.
        unsafe {
            libc::mallopt(libc::M_MMAP_MAX, 0);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            // The arenas of other threads give back what is free of them, whatever the threshold.
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}

/// Gives back what is free: between two kinds of work, whose blocks are of other sizes.
///
/// A trainer calls it before and after it saves and paints: seldom, because fresh pages cost time.
pub fn release() {
    buffer::release();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `malloc_trim` takes the allocator's own lock, and gives back no memory that is in use.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}
