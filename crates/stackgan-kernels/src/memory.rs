//! Settings that keep freed memory in the process until it is released explicitly.
#![allow(unsafe_code, reason = "settings of the allocator")]

use crate::cpu::buffer;

/// Configures the allocator to keep freed memory, for blocks of any size.
///
/// Training allocates the same large tensors in every step. glibc returns blocks above some
/// megabytes to the system whenever they are freed, and fetching new pages costs up to half the
/// time of a layer. A program calls this once, before it starts computing. From then on the process
/// keeps the memory it frees until it ends or calls [`release`]. With an allocator other than
/// glibc's, this does nothing.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` sets numbers of the allocator under the allocator's own lock.
        unsafe {
            libc::mallopt(libc::M_MMAP_MAX, 0);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            // The arenas of other threads return their free memory whatever the threshold is.
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}

/// Returns free memory to the system, between two kinds of work that use blocks of different sizes.
///
/// A trainer calls it before and after it saves a checkpoint and draws sample images. Calls should
/// be rare, because fetching new pages takes time.
pub fn release() {
    buffer::release();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `malloc_trim` takes the allocator's own lock, and returns no memory that is in
        // use.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}
