//! The pictures of a folder that is measured: which files they are, how large, and their pixels.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use image::ImageReader;
use rayon::prelude::*;
use stackgan_core::image::Picture;
use stackgan_core::noise::{Noise, Stream};
use stackgan_data::crop::{MAX_FILE, PictureSize, decode};
use stackgan_data::formats::read_bounded;
use stackgan_data::layouts::{is_passed_over, is_picture};
use stackgan_data::{Error, counted};

use crate::exit::Problem;
use crate::painting::SHEETS;
use crate::progress::{Manner, Phase};

/// The step of [`Stream::Evaluation`] that orders a folder's pictures.
const FOLDER: u64 = 5;
/// Number of files whose sizes are read before it is looked how long that took.
const ROUND: usize = 128;
/// Time after which it is shown that sizes are read.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// The pictures of a folder and its subfolders, in random order. In the order of names they would
/// be sorted by class, and each part for the inception score would contain few classes. Sheets of
/// several pictures, what is hidden and folders of systems are left out. Links are followed, and a
/// folder is read once, however many ways lead to it.
///
/// # Errors
/// Code 4 if there are fewer than two, or if a picture is a link to nothing; code 3 for what cannot
/// be read.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut waiting = vec![dir.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for path in entries(&folder, &mut seen)? {
            let Some(kind) = kind(&path)? else { continue };
            if kind.is_dir() {
                waiting.push(path);
            } else if is_single(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Noise::new(0).draws(Stream::Evaluation, FOLDER, 0).shuffle(&mut found);
    if found.len() < 2 { Err(too_few(dir, found.len()).into()) } else { Ok(found) }
}

/// What lies in a folder and is not passed over for its name, in the order of names; nothing if the
/// folder was `seen` before.
fn entries(folder: &Path, seen: &mut BTreeSet<PathBuf>) -> Result<Vec<PathBuf>> {
    let unread = |error: io::Error| {
        let expected = "a folder of PNG, JPEG and WebP files";
        no_pictures(folder, expected, format!("check the path ({error})"))
    };
    if !seen.insert(folder.canonicalize().map_err(unread)?) {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(unread)? {
        let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
        if !is_passed_over(&entry.file_name().to_string_lossy()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// What an entry of a folder is, or what it leads to: `None` for a link to nothing, unless it has
/// the name of a picture.
///
/// # Errors
/// Code 4 for a picture that is a link to nothing, 3 if what is there cannot be read.
fn kind(path: &Path) -> Result<Option<Metadata>> {
    let error = match path.metadata() {
        Ok(kind) => return Ok(Some(kind)),
        Err(error) => error,
    };
    let dangles = error.kind() == ErrorKind::NotFound && path.is_symlink();
    match (dangles, is_single(path)) {
        (true, false) => Ok(None),
        (true, true) => Err(lost(path, &error).into()),
        (false, _) => Err(Error::read(path, error).into()),
    }
}

/// Whether a file is a picture by its name, and not a sheet of several.
fn is_single(file: &Path) -> bool {
    let extension = file.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    let name = file.file_name().unwrap_or_default();
    extension.is_some_and(|e| is_picture(&e)) && !SHEETS.iter().any(|sheet| name == *sheet)
}

/// The error about a folder without pictures, or with one, which alone has no covariance.
fn too_few(folder: &Path, count: usize) -> Problem {
    let remedy = "name a folder with the pictures to measure".to_owned();
    let problem = no_pictures(folder, "two PNG, JPEG or WebP files or more", remedy);
    match count {
        0 => problem,
        _ => Problem { what: "there is only one picture".into(), found: "one".into(), ..problem },
    }
}

fn no_pictures(folder: &Path, expected: &str, remedy: String) -> Problem {
    let place = format!("folder: {}", folder.display());
    Problem::missing("there are no pictures", place, expected, remedy)
}

fn lost(path: &Path, error: &io::Error) -> Problem {
    let (what, place) = ("a link leads to nothing", format!("file: {}", path.display()));
    let remedy = "mount or copy what it leads to, or remove the link";
    let problem = Problem::missing(what, place, "what it leads to", remedy);
    Problem { found: error.to_string(), ..problem }
}

/// Reads a picture of a folder at its original size.
pub(super) fn read(file: &Path) -> Result<Picture> {
    let image = decode(&read_bounded(file, MAX_FILE)?, file)?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    Ok(Picture { width, height, rgb: image.into_raw() })
}

/// The widths and heights of pictures.
pub(super) struct Sizes(Vec<(usize, usize)>);

impl Sizes {
    /// Those of files, in their order; pixels are decoded only where a header does not say the size.
    ///
    /// # Errors
    /// When a header does not say it, and the picture cannot be read.
    pub(super) fn of(files: &[PathBuf], manner: Manner) -> Result<Self> {
        let (began, mut phase) = (Instant::now(), None);
        let mut sizes = Vec::with_capacity(files.len());
        for round in files.chunks(ROUND) {
            let found: Vec<_> = round.par_iter().map(|file| size(file)).collect();
            for size in found {
                sizes.push(size?);
            }
            if phase.is_none() && began.elapsed() > SHOWN_AFTER {
                phase = Some(Phase::new(manner, "sizes", files.len() as u64, "pictures"));
            }
            if let Some(phase) = &mut phase {
                phase.at(sizes.len() as u64);
            }
        }
        if let Some(phase) = phase {
            phase.finish(&counted(sizes.len(), "picture"));
        }
        Ok(Self(sizes))
    }

    /// Number of pictures that are no larger than those of Stage-I.
    fn small(&self) -> usize {
        let most = PictureSize::Stage1.crop();
        self.0.iter().filter(|(width, height)| *width.max(height) <= most).count()
    }

    /// The size of the real pictures to compare with: that of Stage-I if none is larger.
    pub(super) fn real(&self) -> PictureSize {
        if self.small() == self.0.len() { PictureSize::Stage1 } else { PictureSize::Stage2 }
    }

    /// Checks that real pictures of one size, or statistics of such, are right for all.
    ///
    /// # Errors
    /// Code 2 if some are as small as those of Stage-I, and others are larger.
    pub(super) fn check(&self, folder: &Path) -> Result<()> {
        let (small, all) = (self.small(), self.0.len());
        if small == 0 || small == all {
            return Ok(());
        }
        let place = format!("folder: {}", folder.display());
        let found = format!("{small} of these and {} larger", all - small);
        let most = PictureSize::Stage1.crop();
        let parts = (format!("pictures of at most {most} pixels a side, or larger ones"), found);
        let what = "one folder holds pictures of both stages' sizes";
        let remedy = "measure each size alone, in a folder of its own";
        Err(Problem::usage(what, place, parts, remedy).into())
    }

    /// What to know about pictures that are not as large as the real ones they are compared with.
    pub(super) fn note(&self) -> Option<String> {
        let side = self.real().crop();
        let mut others = self.0.iter().filter(|size| **size != (side, side));
        let (width, height) = others.next()?;
        let number = 1 + others.count();
        Some(format!(
            "{number} of {} are not {side}x{side} (one is {width}x{height}): they are compared with real pictures of \
             {side}x{side}, and what differs by the size alone counts too",
            counted(self.0.len(), "picture")
        ))
    }
}

/// Width and height of a picture.
fn size(file: &Path) -> Result<(usize, usize)> {
    // What makes the reader of a header fail or panic is told where the picture is decoded.
    if let Ok(Some((width, height))) = catch_unwind(|| header(file)) {
        return Ok((width as usize, height as usize));
    }
    let picture = read(file)?;
    Ok((picture.width, picture.height))
}

/// Width and height as the header of a file says them, of a file that is not too large for a
/// picture: the whole of a JPEG is read.
fn header(file: &Path) -> Option<(u32, u32)> {
    let kind = file.metadata().ok()?;
    if !kind.is_file() || kind.len() > MAX_FILE {
        return None; // a pipe would be waited for
    }
    ImageReader::open(file).ok()?.with_guessed_format().ok()?.into_dimensions().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::{Exit, code};

    /// A folder with these empty files.
    fn folder_of(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut found = files(dir).unwrap();
        found.sort();
        let name = |path: &PathBuf| path.strip_prefix(dir).unwrap().display().to_string();
        found.iter().map(|path| name(path).replace('\\', "/")).collect()
    }

    fn sizes(files: &[PathBuf]) -> Result<Vec<(usize, usize)>> {
        Ok(Sizes::of(files, Manner::Quiet)?.0)
    }

    #[test]
    fn a_folder_is_read_in_no_order_of_names_and_without_its_sheets() {
        let below: Vec<String> = (0..40).map(|i| format!("below/{i:02}.png")).collect();
        let all: Vec<&str> = below.iter().map(String::as_str).chain(SHEETS).collect();
        let dir = folder_of(&all);
        let found = files(dir.path()).unwrap();
        assert_eq!(found.len(), 40);
        assert!(!found.is_sorted());
        assert_eq!(found, files(dir.path()).unwrap());
    }

    #[test]
    fn what_is_passed_over_is_no_picture() {
        let dir = folder_of(&[
            "a.png",
            "b.JPG",
            "below/f.png",
            "._a.png",
            ".old/c.png",
            "__MACOSX/d.png",
            "@eaDir/a.png/SYNOPHOTO_THUMB_XL.jpg",
            "below/#Recycle/f.png",
            "$RECYCLE.BIN/f.png",
            "e.txt",
        ]);
        assert_eq!(names(dir.path()), ["a.png", "b.JPG", "below/f.png"]);
    }

    #[test]
    fn one_picture_is_called_one() {
        for (pictures, said) in [(&["a.png"][..], "found one"), (&[], "found nothing")] {
            let error = files(folder_of(pictures).path()).unwrap_err();
            assert_eq!(code(&error), Exit::Missing);
            let text = error.to_string();
            assert!(text.contains(said) && text.contains("two PNG, JPEG or WebP"), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_to_folders_are_followed_once() {
        use std::os::unix::fs::symlink;
        let dir = folder_of(&["a/1.png", "a/2.png"]);
        let other = folder_of(&["3.png", "below/4.png"]);
        symlink(other.path(), dir.path().join("b")).unwrap();
        symlink(other.path(), dir.path().join("c")).unwrap();
        symlink("..", dir.path().join("a/up")).unwrap();
        symlink("1.png", dir.path().join("a/also.png")).unwrap();
        let found = names(dir.path());
        assert_eq!(found.len(), 5, "{found:?}");
        for name in ["a/1.png", "a/2.png", "a/also.png"] {
            assert!(found.contains(&name.to_owned()), "{found:?}");
        }
        assert_eq!(files(dir.path()).unwrap(), files(dir.path()).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_told_where_it_is_a_picture() {
        use std::os::unix::fs::symlink;
        let dir = folder_of(&["1.png", "2.png"]);
        for name in ["notes.txt", "folder", "grid.png"] {
            symlink("/unmounted", dir.path().join(name)).unwrap();
        }
        assert_eq!(names(dir.path()), ["1.png", "2.png"]);
        let link = dir.path().join("3.png");
        symlink("/unmounted", &link).unwrap();
        let error = files(dir.path()).unwrap_err();
        assert_eq!(code(&error), Exit::Missing);
        let text = error.to_string();
        assert!(text.contains("leads to nothing") && text.contains("3.png"), "{text}");
        // It leads to itself, which the system tells.
        std::fs::remove_file(&link).unwrap();
        symlink("3.png", &link).unwrap();
        let error = files(dir.path()).unwrap_err();
        assert_eq!(code(&error), Exit::Data);
        let text = error.to_string();
        assert!(text.contains("cannot read") && text.contains("3.png"), "{text}");
    }

    #[test]
    fn the_size_of_real_pictures_follows_from_all() {
        let of = |sizes: &[(usize, usize)]| Sizes(sizes.to_vec());
        let (small, large) = (of(&[(64, 64), (64, 64)]), of(&[(256, 256), (256, 256)]));
        assert_eq!((small.real(), small.note()), (PictureSize::Stage1, None));
        assert_eq!((large.real(), large.note()), (PictureSize::Stage2, None));
        let place = Path::new("p");
        assert!(small.check(place).is_ok() && large.check(place).is_ok());

        let error = of(&[(64, 64), (256, 256), (64, 64)]).check(place).unwrap_err();
        assert_eq!(code(&error), Exit::Usage);
        assert!(error.to_string().contains("2 of these and 1 larger"), "{error}");

        let odd = of(&[(256, 256), (300, 200), (512, 512)]);
        odd.check(place).unwrap();
        assert_eq!(odd.real(), PictureSize::Stage2);
        let note = odd.note().unwrap();
        assert!(note.starts_with("2 of 3 pictures are not 256x256 (one is 300x200)"), "{note}");
        let tiny = of(&[(32, 32), (64, 64)]);
        assert_eq!(tiny.real(), PictureSize::Stage1);
        assert!(tiny.note().unwrap().contains("real pictures of 64x64"));
    }

    #[test]
    fn sizes_are_those_of_the_pictures() {
        let dir = tempfile::tempdir().unwrap();
        for (name, width, height) in [("a.png", 30, 20), ("b.jpg", 65, 9), ("c.webp", 7, 8)] {
            image::RgbImage::new(width, height).save(dir.path().join(name)).unwrap();
        }
        let mut found = files(dir.path()).unwrap();
        found.sort();
        assert_eq!(sizes(&found).unwrap(), [(30, 20), (65, 9), (7, 8)]);
        std::fs::write(dir.path().join("d.png"), "no picture").unwrap();
        let error = sizes(&[dir.path().join("d.png")]).unwrap_err();
        assert_eq!(code(&error), Exit::Data);
        assert!(error.to_string().contains("d.png"), "{error}");
    }

    /// Nothing of such a file is read, although its header says a size.
    #[test]
    fn a_file_that_is_too_large_is_no_picture() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("large.jpg");
        image::RgbImage::new(30, 20).save(&file).unwrap();
        let whole = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        whole.set_len(MAX_FILE + 1).unwrap();
        assert_eq!(header(&file), None);
        let error = sizes(&[file]).unwrap_err();
        assert_eq!(code(&error), Exit::Data);
        let (text, most) = (error.to_string(), format!("at most {MAX_FILE} bytes"));
        assert!(text.contains("large.jpg") && text.contains(&most), "{text}");
    }

    #[test]
    fn sizes_keep_the_order_of_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let sides: Vec<usize> = (1..=2 * ROUND + 3).collect();
        let file = |side: &usize| {
            let file = dir.path().join(format!("{side}.png"));
            image::RgbImage::new(*side as u32, 2).save(&file).unwrap();
            file
        };
        let files: Vec<PathBuf> = sides.iter().map(file).collect();
        let wanted: Vec<(usize, usize)> = sides.iter().map(|side| (*side, 2)).collect();
        assert_eq!(sizes(&files).unwrap(), wanted);
    }
}
