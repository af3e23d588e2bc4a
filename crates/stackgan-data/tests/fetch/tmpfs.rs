//! A file system that can be filled up. The tests of the program also use it.
#![allow(dead_code, reason = "each of the programs that include this uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A separate file system.
pub(crate) struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts a file system of `kib` KiB at `at`, creating the folder; `None` if this is
    /// impossible.
    pub(crate) fn mount(at: &Path, kib: u64) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={kib}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|s| s.success()).then(|| Self(at.to_path_buf()))
    }

    /// Sets its size in KiB.
    pub(crate) fn grow(&self, kib: u64) {
        self.remount(&format!("size={kib}k"));
    }

    /// Remounts it with another option: `ro`, `rw`.
    pub(crate) fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        assert!(
            Command::new("mount").args(["-o", &option]).arg(&self.0).status().unwrap().success()
        );
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
