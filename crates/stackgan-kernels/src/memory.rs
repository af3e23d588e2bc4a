//! Memory that is freed stays with the process.

/// Tells the allocator to keep freed memory, however large the block, and to take no block from the system alone.
///
/// Training allocates the same large tensors in every step. glibc gives blocks above some megabytes back to the system each
/// time they are freed, and fetching their pages anew costs up to half of a layer. A program calls this once, before it
/// computes. What it frees is its own until it ends: other programs do not get it back. Where the allocator is not glibc's, nothing happens.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` sets two numbers of the allocator under the allocator's own lock.
        unsafe {
            libc::mallopt(libc::M_MMAP_MAX, 0);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        }
    }
}
