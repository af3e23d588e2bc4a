//! The file of an encoder, which stays as it is once something was trained with it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::text::{TextEncoder as _, short_fingerprint};

use super::named::{Encoder, load};
use crate::datasets::Cache;
use crate::exit::Problem;
use crate::output::write_file;

impl Encoder {
    /// What `--encoder` names it by. One that came out of a model is written to a file of its own
    /// beside the data, unless it is there already.
    ///
    /// # Errors
    /// Code 6 if it cannot be written.
    pub(crate) fn kept(&self, cache: &Cache) -> Result<PathBuf> {
        let encoder = match self {
            Self::Sentence(_, source) => return Ok(source.into()),
            Self::CharCnnRnn(encoder) => encoder,
        };
        let print = encoder.fingerprint();
        let name = format!("text-{}.safetensors", short_fingerprint(&print));
        let same = |file: PathBuf| {
            load(&file).is_ok_and(|found| found.fingerprint() == print).then_some(file)
        };
        if let Some(file) = cache.find(&name, same) {
            return Ok(file);
        }
        let file = cache.new_file(&name);
        write_file(&file, &encoder.to_bytes()?)?;
        Ok(file)
    }
}

/// Refuses to replace a file by an encoder: models that were trained with an encoder need it.
pub(crate) fn check_new(out: &Path) -> Result<()> {
    if !out.is_file() {
        return Ok(());
    }
    let place = format!("option: --out {}", out.display());
    let parts = ("no file, or an unfinished training beside it", "a file of this name");
    let remedy = "name another file; or remove this one, if nothing that was trained with it is still needed";
    Err(Problem::usage("the encoder would replace a file", place, parts, remedy).into())
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
