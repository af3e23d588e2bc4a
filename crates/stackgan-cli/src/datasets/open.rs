//! Opens prepared data: what exists if it is up to date, else what is made of the folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::dataset::Dataset;
use stackgan_data::prepared::Prepared;
use stackgan_data::sources::Sources;

use super::folder::{kind, read};
use super::locations::{places, prepared_name};
use super::options::{FolderOptions, How, usual_resizing};
use super::prepare::Importing;
use crate::exit::Problem;
use crate::progress::Manner;

/// The filters that a file may be made with.
const RESIZINGS: [Resizing; 2] = [Resizing::Residual, Resizing::Plain];

/// Opens prepared data: a prepared file, or a dataset folder, which is prepared first if needed.
///
/// # Errors
/// When the file or folder cannot be used, or the file is for the other stage.
pub(crate) fn open(
    path: &Path,
    (size, resizing): (PictureSize, Resizing),
    manner: Manner,
) -> Result<Arc<Prepared>> {
    if path.is_file() {
        let prepared = Prepared::open(path)?;
        if prepared.size() != size {
            let parts = (
                format!("pictures of {} pixels", size.prepared()),
                format!("{} pixels", prepared.size().prepared()),
            );
            let remedy = format!("give the dataset folder, or its {}", prepared_name(size));
            let place = format!("file: {}", path.display());
            let what = "the prepared file is for the other stage";
            return Err(Problem::usage(what, place, parts, remedy).into());
        }
        return Ok(Arc::new(prepared));
    }
    if !path.is_dir() {
        let place = format!("path: {}", path.display());
        let remedy = "check the path; `stackgan data toy --out data/toy` draws a dataset";
        let expected = "a dataset folder or a prepared file";
        return Err(Problem::missing("there is no data", place, expected, remedy).into());
    }
    let options = FolderOptions::kept(path);
    let dataset = read(path, options.layout)?;
    match existing(&dataset, (path, options), (size, resizing)) {
        Some(prepared) => Ok(Arc::new(prepared)),
        None => {
            let mut importing = Importing::of_dataset(dataset, (path, options), None, manner)?;
            importing.make((size, resizing)).map(Arc::new)
        }
    }
}

/// The sizes of both stages.
pub(crate) const ANY_SIZE: &[PictureSize] = &[PictureSize::Stage1, PictureSize::Stage2];

/// Opens prepared data of one of `sizes`, with any filter: an existing file if it is up to date.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_any(
    path: &Path,
    sizes: &[PictureSize],
    manner: Manner,
) -> Result<Arc<Prepared>> {
    let (mut size, mut resizing) =
        (sizes.first().copied().unwrap_or(PictureSize::Stage1), Resizing::Residual);
    if path.is_file() {
        let own = Prepared::open(path)?.size();
        if sizes.contains(&own) {
            size = own;
        }
    } else if path.is_dir() {
        if let Some(prepared) = there(path, sizes)? {
            return Ok(Arc::new(prepared));
        }
        resizing = usual_resizing(kind(path, FolderOptions::kept(path).layout)?);
    }
    open(path, (size, resizing), manner)
}

/// The existing prepared data of a folder, of one of `sizes`, if it is up to date.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn there(folder: &Path, sizes: &[PictureSize]) -> Result<Option<Prepared>> {
    let options = FolderOptions::kept(folder);
    let dataset = read(folder, options.layout)?;
    Ok(hows(sizes).find_map(|how| existing(&dataset, (folder, options), how)))
}

/// The prepared files that are made of a dataset as it is now; every picture of each is read.
///
/// # Errors
/// What is damaged in one.
pub(crate) fn whole(
    dataset: &Dataset,
    (folder, options): (&Path, FolderOptions),
) -> impl Iterator<Item = Result<Prepared>> {
    let folders = places(folder);
    let of = move |how: How| {
        let sources = Sources::of(dataset, options.import(how));
        let files = folders.each_ref().map(|folder| folder.join(prepared_name(how.0)));
        files.map(|file| sources.found_whole(&file))
    };
    hows(ANY_SIZE).flat_map(of).filter_map(|found| found.map_err(Into::into).transpose())
}

/// The prepared files of a folder, up to date or not.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let all = places(folder).into_iter();
    let all =
        all.flat_map(|place| ANY_SIZE.iter().map(move |size| place.join(prepared_name(*size))));
    all.filter(|file| file.is_file()).collect()
}

/// How files of these sizes may be made.
fn hows(sizes: &[PictureSize]) -> impl Iterator<Item = (PictureSize, Resizing)> {
    sizes.iter().flat_map(|size| RESIZINGS.map(|resizing| (*size, resizing)))
}

/// The existing prepared data of a dataset that was read from a folder, if it is up to date.
fn existing(
    dataset: &Dataset,
    (folder, options): (&Path, FolderOptions),
    how: How,
) -> Option<Prepared> {
    let sources = Sources::of(dataset, options.import(how));
    places(folder).iter().find_map(|folder| sources.found(&folder.join(prepared_name(how.0))))
}

#[cfg(test)]
mod tests {
    use stackgan_data::toy::ToyConfig;

    use super::super::folder::draw_toy;
    use super::*;
    use crate::args::Layout;

    /// A process that is stopped between the two files, or beside another, leaves the claim of one
    /// recipe with the file of another.
    #[test]
    fn a_file_of_another_recipe_is_not_taken_for_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("toy");
        draw_toy(&folder, ToyConfig { count: 6, seed: 1 }, Manner::Quiet).unwrap();
        let of = |resizing| open(&folder, (PictureSize::Stage1, resizing), Manner::Quiet).unwrap();
        let plain = of(Resizing::Plain);
        let (file, claim) = (plain.path(), plain.path().with_extension("source"));
        let (data, text) = (std::fs::read(file).unwrap(), std::fs::read(&claim).unwrap());
        assert_eq!(of(Resizing::Residual).manifest().resizing, "residual");
        std::fs::write(&claim, text).unwrap();
        assert_eq!(of(Resizing::Plain).manifest().resizing, "plain");
        assert_eq!(of(Resizing::Residual).manifest().resizing, "residual");
        std::fs::write(file, data).unwrap();
        assert_eq!(of(Resizing::Residual).manifest().resizing, "residual");
    }

    #[test]
    fn files_of_the_folder_are_read_whole_and_one_of_another_recipe_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("toy");
        draw_toy(&folder, ToyConfig { count: 6, seed: 1 }, Manner::Quiet).unwrap();
        let (options, layout) = (FolderOptions::default(), Layout::default());
        let dataset = read(&folder, layout).unwrap();
        let found = || whole(&dataset, (&folder, options)).collect::<Result<Vec<_>>>();
        let of = |resizing| open(&folder, (PictureSize::Stage1, resizing), Manner::Quiet).unwrap();
        let plain = of(Resizing::Plain);
        let (file, claim) = (plain.path(), plain.path().with_extension("source"));
        let text = std::fs::read(&claim).unwrap();
        let made = of(Resizing::Residual);
        let own = std::fs::read(&claim).unwrap();
        let [only] = &found().unwrap()[..] else { panic!("not one file") };
        assert_eq!((only.path(), only.identity()), (file, made.identity()));
        std::fs::write(&claim, text).unwrap();
        assert!(found().unwrap().is_empty(), "the claim is the other recipe's");
        std::fs::write(&claim, own).unwrap();
        let mut data = std::fs::read(file).unwrap();
        let middle = data.len() / 2; // in a picture
        data[middle] ^= 1;
        std::fs::write(file, data).unwrap();
        assert!(found().unwrap_err().to_string().contains("CRC-32C"));
    }

    #[test]
    fn imports_at_one_time_leave_a_file_with_its_own_claim() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("toy");
        draw_toy(&folder, ToyConfig { count: 24, seed: 1 }, Manner::Quiet).unwrap();
        let both = [Resizing::Plain, Resizing::Residual];
        let how = |resizing| (PictureSize::Stage1, resizing);
        for _ in 0..4 {
            std::thread::scope(|scope| {
                for resizing in both {
                    let folder = &folder;
                    scope.spawn(move || drop(open(folder, how(resizing), Manner::Quiet)));
                }
            });
            for resizing in both {
                let name = format!("{resizing:?}").to_lowercase();
                let found = open(&folder, how(resizing), Manner::Quiet).unwrap();
                assert_eq!(found.manifest().resizing, name);
            }
        }
    }

    #[test]
    fn a_folder_is_prepared_once_and_again_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("toy");
        draw_toy(&folder, ToyConfig { count: 12, seed: 1 }, Manner::Quiet).unwrap();
        let how = (PictureSize::Stage1, Resizing::Residual);
        let prepared = |how| open(&folder, how, Manner::Quiet).unwrap().path().to_path_buf();
        let file = prepared(how);
        let made = file.metadata().unwrap().modified().unwrap();
        assert_eq!(prepared(how), file);
        assert_eq!(file.metadata().unwrap().modified().unwrap(), made, "prepared twice");
        let first = read(&folder, Layout::default()).unwrap();
        let captions = folder.join("text").join(format!("{}.txt", first.items[0].key));
        let text = std::fs::read_to_string(&captions).unwrap();
        std::fs::write(&captions, text.replacen("bird", "fowl", 1)).unwrap();
        prepared(how);
        assert_ne!(file.metadata().unwrap().modified().unwrap(), made, "not prepared again");

        // In a copy only times differ. A picture that is another one of the same length is found.
        let made = file.metadata().unwrap().modified().unwrap();
        let picture = &first.items[0].image;
        let touch = |seconds| {
            let file = std::fs::File::options().write(true).open(picture).unwrap();
            file.set_modified(made - std::time::Duration::from_secs(seconds)).unwrap();
        };
        touch(3600);
        let claim = std::fs::read(file.with_extension("source")).unwrap();
        prepared(how);
        assert_eq!(file.metadata().unwrap().modified().unwrap(), made, "prepared again");
        let noted = std::fs::read(file.with_extension("source")).unwrap();
        assert_ne!(noted, claim, "the pictures would be read every time");
        let mut bytes = std::fs::read(picture).unwrap();
        bytes.extend_from_slice(b"x"); // after the end of the PNG
        std::fs::write(picture, &bytes).unwrap();
        prepared(how);
        let made = file.metadata().unwrap().modified().unwrap();
        *bytes.last_mut().unwrap() = b'y';
        std::fs::write(picture, bytes).unwrap();
        touch(7200);
        prepared(how);
        assert_ne!(file.metadata().unwrap().modified().unwrap(), made, "not prepared again");

        // Commands that only need captions use an existing file of either recipe.
        let plain = (PictureSize::Stage2, Resizing::Plain);
        let file = prepared(plain);
        std::fs::remove_file(folder.join("prepared/prepared-76.safetensors")).unwrap();
        let found = open_any(&folder, ANY_SIZE, Manner::Quiet).unwrap();
        assert_eq!((found.path(), found.manifest().resizing.as_str()), (&*file, "plain"));
        assert!(!folder.join("prepared/prepared-76.safetensors").exists());
        let low = open_any(&folder, &[PictureSize::Stage1], Manner::Quiet).unwrap();
        assert_eq!(low.size(), PictureSize::Stage1);
        let file = low.path().to_path_buf();
        let other = open(&file, (PictureSize::Stage2, Resizing::Residual), Manner::Quiet);
        assert!(other.unwrap_err().to_string().contains("for the other stage"));
    }
}
