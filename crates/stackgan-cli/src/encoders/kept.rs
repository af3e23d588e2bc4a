//! The file of an encoder, which stays as it is once something was trained with it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::output::would_replace;

/// Refuses to replace a file by an encoder: models that were trained with an encoder need it.
pub(crate) fn check_new(out: &Path) -> Result<()> {
    if !out.is_file() {
        return Ok(());
    }
    let parts = ("no file, or an unfinished training beside it", "a file of this name");
    Err(would_replace("the encoder would replace a file", ("--out", out), parts).into())
}

/// A name for an encoder that is trained: the one that was asked for, or one beside it if another
/// process took that meanwhile.
pub(crate) fn free_name(out: &Path) -> PathBuf {
    let (stem, extension) = (out.file_stem().unwrap_or_default(), out.extension());
    let numbered = |n: u32| {
        let mut name = stem.to_owned();
        name.push(format!("-{n}"));
        let mut file = out.with_file_name(name);
        if let Some(extension) = extension {
            file.as_mut_os_string().push(".");
            file.as_mut_os_string().push(extension);
        }
        file
    };
    let names = std::iter::once(out.to_path_buf()).chain((1..).map(numbered));
    names.into_iter().find(|file| !file.exists()).unwrap_or_else(|| out.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_taken_is_followed_by_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("encoder.v1.safetensors");
        for name in
            ["encoder.v1.safetensors", "encoder.v1-1.safetensors", "encoder.v1-2.safetensors"]
        {
            let free = free_name(&out);
            assert_eq!(free, dir.path().join(name));
            std::fs::write(free, "").unwrap();
        }
    }
}
