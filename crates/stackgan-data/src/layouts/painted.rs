//! What the program itself leaves in folders: runs, and the pictures that it paints. They are not
//! part of a dataset that lies around them.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

/// Whether a folder is that of a run, with its sample grids.
pub(super) fn is_run(folder: &Path) -> bool {
    let known = ["run.json", "config.toml"].iter().any(|name| folder.join(name).is_file());
    known && folder.join("checkpoints").is_dir()
}

/// Whether a picture says that this program made it. Pictures that were written without metadata
/// say nothing.
pub fn is_painted(picture: &Path) -> bool {
    File::open(picture).is_ok_and(|file| signed(BufReader::new(file)).unwrap_or(false))
}

/// Looks for the program's name in the text chunks before the pixels of a PNG file.
fn signed(mut png: BufReader<File>) -> std::io::Result<bool> {
    /// More chunks than any program writes before the pixels.
    const CHUNKS: usize = 64;
    let mut start = [0; 8];
    png.read_exact(&mut start)?;
    if start != *b"\x89PNG\r\n\x1a\n" {
        return Ok(false);
    }
    for _ in 0..CHUNKS {
        let mut head = [0; 8];
        png.read_exact(&mut head)?;
        let (length, kind) = head.split_at(4);
        let length = length.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        match kind {
            b"IDAT" => return Ok(false),
            b"iTXt" => {
                let mut words = Vec::new();
                (&mut png).take(length.min(80) as u64).read_to_end(&mut words)?;
                let named = words.starts_with(b"stackgan");
                if named || words.starts_with(b"Software\0\0\0\0\0stackgan") {
                    return Ok(true);
                }
                png.seek_relative(length - words.len() as i64 + 4)?;
            }
            _ => png.seek_relative(length + 4)?,
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_the_text_before_their_pixels() {
        let chunk = |kind: &str, data: &[u8]| {
            let length = (data.len() as u32).to_be_bytes();
            [&length[..], kind.as_bytes(), data, b"sum!"].concat()
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.png");
        let known = |chunks: &[Vec<u8>]| {
            std::fs::write(&file, [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat())
                .unwrap();
            is_painted(&file)
        };
        let head = || chunk("IHDR", &[0; 13]);
        let said = chunk("iTXt", &[&b"parameters\0\0\0\0\0"[..], &[b'x'; 300]].concat());
        let painted = chunk("iTXt", b"stackgan\0\0\0\0\0{}");
        let sheet = chunk("iTXt", b"Software\0\0\0\0\0stackgan");
        let other = chunk("iTXt", b"Software\0\0\0\0\0another");
        let pixels = || chunk("IDAT", &[0; 9]);
        assert!(known(&[head(), said.clone(), painted.clone(), pixels()]));
        assert!(known(&[head(), sheet, pixels()]));
        assert!(!known(&[head(), said, other, pixels(), painted]));
        assert!(!known(&[]) && !is_painted(dir.path()) && !is_painted(&dir.path().join("none")));
    }
}
