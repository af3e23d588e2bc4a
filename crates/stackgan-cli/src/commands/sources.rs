//! The locations of datasets and of what is made from them, and the creation of missing files.
//!
//! A folder is prepared once. Beside the prepared file is the fingerprint of its sources (names,
//! lengths and times of the pictures, boxes, classes, splits, captions), with the identity of the
//! file that was made of them; while neither changes, the file is reused. The options of the import
//! are stored there too, so that later commands only need the folder.
//!
//! The place is `prepared` in the folder or, where that cannot be written, a folder of our own for
//! each dataset folder. What either holds is found.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use stackgan_core::digest::sha256;
use stackgan_data::crop::{PictureSize, Preparation, Resizing, Stretch};
use stackgan_data::dataset::Dataset;
use stackgan_data::layouts::{self, Kind, Reading, Uncaptioned};
use stackgan_data::prepared::{Damaged, ImportOptions, LeftOut, Prepared, import};
use stackgan_data::toy::{self, ToyConfig};

use super::{Context, write_file};
use crate::args::{self, Contrast, Layout};
use crate::exit::{Exit, Problem};

/// Number of toy birds that `train` draws by itself.
const TOY_COUNT: usize = 2880;

/// The folder for files that the program creates by itself: `STACKGAN_HOME`, or `data`.
pub(crate) fn home() -> PathBuf {
    std::env::var_os("STACKGAN_HOME")
        .filter(|v| !v.is_empty())
        .map_or_else(|| "data".into(), PathBuf::from)
}

/// The dataset of a preset if none was named: toy birds are drawn, others must exist.
///
/// # Errors
/// Code 4 with the command that fetches the dataset.
pub(crate) fn of_preset(dataset: &str, context: &Context) -> Result<PathBuf> {
    let folder = home().join(dataset);
    if folder.is_dir() {
        return Ok(folder);
    }
    if dataset != "toy" {
        let place = format!("folder: {}", folder.display());
        let remedy =
            format!("`stackgan data fetch {dataset}` gets it; or name a folder: `--data DIR`");
        return Err(
            Problem::missing("there is no dataset", place, "a dataset folder", remedy).into()
        );
    }
    // Another process may draw them at the same time: whichever ends first gives the folder.
    match draw_toy(&folder, ToyConfig { count: TOY_COUNT, seed: 0 }, context) {
        Err(_) if toy::is_toy(&folder) => Ok(folder),
        drawn => drawn.map(|_| folder),
    }
}

/// Draws the toy birds into `folder`.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub(crate) fn draw_toy(
    folder: &Path,
    config: ToyConfig,
    context: &Context,
) -> Result<toy::ToyReport> {
    Ok(context
        .counted(("drawing birds", "pictures"), |progress| toy::write(folder, &config, progress))?)
}

/// How a folder is read and its pictures are prepared, besides size and filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Manner {
    /// The layout of the folder.
    pub layout: Layout,
    /// The contrast of its pictures.
    pub contrast: Option<Contrast>,
    /// How to treat pictures that cannot be read.
    #[serde(default)]
    pub damaged: Option<args::Damaged>,
}

impl Manner {
    /// The options of the folder's import; the default if it was not imported.
    pub(crate) fn kept(folder: &Path) -> Self {
        let kept = |place: PathBuf| {
            let text = std::fs::read_to_string(place.join(MANNER)).ok();
            serde_json::from_str(&text.filter(|text| text.len() < 1 << 16)?).ok()
        };
        places(folder).into_iter().find_map(kept).unwrap_or_default()
    }

    /// These options, with missing ones as in the folder's import.
    pub(crate) fn or_kept(self, folder: &Path) -> Self {
        let kept = Self::kept(folder);
        Self {
            layout: self.layout.or(kept.layout),
            contrast: self.contrast.or(kept.contrast),
            damaged: self.damaged.or(kept.damaged),
        }
    }

    /// Whether pictures that cannot be read are left out.
    pub(crate) const fn damaged(self) -> Damaged {
        match self.damaged {
            None | Some(args::Damaged::Refuse) => Damaged::Refuse,
            Some(args::Damaged::LeaveOut) => Damaged::LeaveOut,
        }
    }

    /// How pictures of a size are prepared.
    pub(crate) const fn preparation(self, size: PictureSize, resizing: Resizing) -> Preparation {
        let stretch = match self.contrast {
            None | Some(Contrast::AsStored) => Stretch::None,
            Some(Contrast::AsReleased) => Stretch::AsReleased,
        };
        Preparation { size, resizing, stretch }
    }
}

/// Maximum number of omitted pictures that are named.
const NAMED: usize = 10;

/// The file that stores a [`Manner`].
const MANNER: &str = "import.json";

/// The path of the embeddings that may have been imported for a prepared file.
pub(crate) fn imported_embeddings(prepared: &Path) -> PathBuf {
    prepared.with_file_name("embeddings.safetensors")
}

/// The embeddings that were imported for a dataset folder or a prepared file, if there are any.
pub(crate) fn embeddings_of(data: &Path) -> Option<PathBuf> {
    let beside = if data.is_dir() {
        places(data).map(|place| imported_embeddings(&place.join("x"))).to_vec()
    } else {
        vec![imported_embeddings(data)]
    };
    beside.into_iter().find(|file| file.is_file())
}

/// How pictures of a size are prepared by default.
pub(crate) const fn preparation(size: PictureSize, resizing: Resizing) -> Preparation {
    Preparation { size, resizing, stretch: Stretch::None }
}

/// The name of a prepared file.
pub(crate) fn prepared_name(size: PictureSize) -> String {
    format!("prepared-{}.safetensors", size.prepared())
}

/// Opens prepared data: a prepared file, or a dataset folder, which is prepared first if needed.
///
/// # Errors
/// When the file or folder cannot be used, or the file is for the other stage.
pub(crate) fn open(path: &Path, how: Preparation, context: &Context) -> Result<Arc<Prepared>> {
    if path.is_file() {
        let prepared = Prepared::open(path)?;
        if prepared.size() != how.size {
            let parts = (
                format!("pictures of {} pixels", how.size.prepared()),
                format!("{} pixels", prepared.size().prepared()),
            );
            let remedy = format!("give the dataset folder, or its {}", prepared_name(how.size));
            let place = format!("file: {}", path.display());
            return Err(Problem::usage(
                "the prepared file is for the other stage",
                place,
                parts,
                remedy,
            )
            .into());
        }
        return Ok(Arc::new(prepared));
    }
    if !path.is_dir() {
        let place = format!("path: {}", path.display());
        let remedy = "check the path; `stackgan data toy --out data/toy` draws a dataset";
        let expected = "a dataset folder or a prepared file";
        return Err(Problem::missing("there is no data", place, expected, remedy).into());
    }
    let manner = Manner::kept(path);
    let how = manner.preparation(how.size, how.resizing);
    let dataset = read(path, manner.layout)?;
    let found =
        places(path).into_iter().find_map(|place| Place::of(&dataset, manner, place, how).found());
    match found {
        Some(prepared) => Ok(Arc::new(prepared)),
        None => made((path, manner), None, how, context).map(Arc::new),
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
    context: &Context,
) -> Result<Arc<Prepared>> {
    let size = sizes.first().copied().unwrap_or(PictureSize::Stage1);
    if path.is_file() {
        let prepared = Prepared::open(path)?;
        let size = if sizes.contains(&prepared.size()) { prepared.size() } else { size };
        return open(path, preparation(size, Resizing::Residual), context);
    }
    if !path.is_dir() {
        return open(path, preparation(size, Resizing::Residual), context);
    }
    match there(path, sizes)? {
        Some(prepared) => Ok(Arc::new(prepared)),
        None => {
            let kind = kind(path, Manner::kept(path).layout)?;
            open(path, preparation(size, usual_resizing(kind)), context)
        }
    }
}

/// The existing prepared data of a folder, of one of `sizes`, if it is up to date.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn there(folder: &Path, sizes: &[PictureSize]) -> Result<Option<Prepared>> {
    let manner = Manner::kept(folder);
    let dataset = read(folder, manner.layout)?;
    Ok(sizes.iter().find_map(|size| there_of(&dataset, (folder, manner), *size)))
}

/// The existing prepared data of a dataset that was read from a folder, if it is up to date.
pub(crate) fn there_of(
    dataset: &Dataset,
    (folder, manner): (&Path, Manner),
    size: PictureSize,
) -> Option<Prepared> {
    [Resizing::Residual, Resizing::Plain].into_iter().find_map(|resizing| {
        let how = manner.preparation(size, resizing);
        let found = |place| Place::of(dataset, manner, place, how).found();
        places(folder).into_iter().find_map(found)
    })
}

/// The default filter for a kind of dataset: COCO is what the PyTorch release was trained on.
pub(crate) const fn usual_resizing(kind: Kind) -> Resizing {
    match kind {
        Kind::Coco => Resizing::Plain,
        Kind::Cub | Kind::Oxford | Kind::Folder => Resizing::Residual,
    }
}

/// The folder for data computed from a prepared file: that of the file, or our own if that is not
/// writable.
pub(crate) fn cache_beside(prepared: &Path) -> PathBuf {
    let folder = prepared.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if tempfile::tempfile_in(folder).is_ok() {
        folder.to_path_buf()
    } else {
        home().join("prepared")
    }
}

/// The first digits of a hash, for file names.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// The kind of a dataset folder: as given, or detected from its contents.
///
/// # Errors
/// When the folder matches no kind or several.
pub(crate) fn kind(folder: &Path, layout: Layout) -> Result<Kind> {
    if !folder.exists() {
        let place = format!("folder: {}", folder.display());
        let (what, expected) = ("there is no such folder", "a dataset folder");
        return Err(Problem::missing(what, place, expected, "check the path").into());
    }
    match layout.kind {
        Some(args::Kind::Cub) => Ok(Kind::Cub),
        Some(args::Kind::Oxford) => Ok(Kind::Oxford),
        Some(args::Kind::Coco) => Ok(Kind::Coco),
        Some(args::Kind::Folder) => Ok(Kind::Folder),
        None => Ok(layouts::detect(folder)?),
    }
}

/// How to decide what a folder does not specify.
pub(crate) const fn reading(layout: Layout) -> Reading {
    let uncaptioned = match layout.uncaptioned {
        None | Some(args::Uncaptioned::Refuse) => Uncaptioned::Refuse,
        Some(args::Uncaptioned::LeaveOut) => Uncaptioned::LeaveOut,
    };
    let split_seed = match layout.split_seed {
        Some(seed) => seed,
        None => 0,
    };
    Reading { split_seed, uncaptioned }
}

/// Reads the description of a dataset folder.
///
/// # Errors
/// Anything that is missing in it or does not match.
pub(crate) fn read(folder: &Path, layout: Layout) -> Result<Dataset> {
    let mut dataset = layouts::read(folder, kind(folder, layout)?, reading(layout))?;
    if toy::is_toy(folder) {
        // Toy birds are stored in the layout of CUB, but a model must name them.
        "toy".clone_into(&mut dataset.name);
    }
    Ok(dataset)
}

/// Returns the prepared file of a dataset folder, creating it if it is missing or out of date.
///
/// It is placed in `out`; by default in the folder itself, or in the program's own folder if that
/// is not writable.
///
/// # Errors
/// Anything that is wrong with the dataset, or the storage.
pub(crate) fn prepare(
    source: (&Path, Manner),
    out: Option<&Path>,
    how: Preparation,
    context: &Context,
) -> Result<PathBuf> {
    Ok(made(source, out, how, context)?.path().to_path_buf())
}

/// As [`prepare`]; the file is open.
fn made(
    (folder, manner): (&Path, Manner),
    out: Option<&Path>,
    how: Preparation,
    context: &Context,
) -> Result<Prepared> {
    let dataset = read(folder, manner.layout)?;
    let usual = places(folder);
    let into = out.unwrap_or(&usual[0]).to_path_buf();
    let place = Place::of(&dataset, manner, into, how);
    if manner != Manner::kept(folder) && usual.contains(&place.folder) {
        let text = serde_json::to_string(&manner)? + "\n";
        write_file(&place.folder.join(MANNER), text.as_bytes())?;
    }
    if let Some(found) = place.found() {
        return Ok(found);
    }
    std::fs::create_dir_all(&place.folder).map_err(|e| Problem::storage(&place.folder, &e))?;
    dataset.notes.iter().for_each(|note| context.manner.say(note));
    let name = format!("preparing {} px", how.size.prepared());
    let options = ImportOptions { preparation: how, damaged: manner.damaged() };
    let made = context.counted((&name, "pictures"), |progress| {
        import(&dataset, &place.file, &options, progress)
    })?;
    for LeftOut { key, reason, .. } in made.left_out.iter().take(NAMED) {
        context
            .manner
            .say(format!("left out: {key}: {}", reason.lines().next().unwrap_or_default()));
    }
    if made.left_out.len() > NAMED {
        context.manner.say(format!("left out: {} more", made.left_out.len() - NAMED));
    }
    write_file(&place.source, place.claim(&made.identity).as_bytes())?;
    let prepared = Prepared::open(&place.file)?;
    if prepared.identity() == made.identity {
        return Ok(prepared);
    }
    let at = format!("file: {}", place.file.display());
    let parts = ("the file that was just made", "one of another import");
    let remedy = "wait for the other command that imports this folder, and run this again";
    let replaced = Problem::usage("the prepared file was replaced", at, parts, remedy);
    Err(Problem { exit: Exit::Storage, ..replaced }.into())
}

/// The location of a folder's prepared file.
struct Place {
    folder: PathBuf,
    file: PathBuf,
    /// The file that says what the prepared file was made of.
    source: PathBuf,
    print: String,
}

impl Place {
    fn of(dataset: &Dataset, manner: Manner, folder: PathBuf, how: Preparation) -> Self {
        let print = fingerprint(dataset, (how, manner.damaged()));
        let file = folder.join(prepared_name(how.size));
        let source = file.with_extension("source");
        Self { folder, file, source, print }
    }

    /// The prepared file, if it exists and is up to date.
    fn found(&self) -> Option<Prepared> {
        let kept = std::fs::read_to_string(&self.source).ok()?;
        let prepared = kept.starts_with(&self.print).then(|| Prepared::open(&self.file).ok())??;
        (kept == self.claim(&prepared.identity())).then_some(prepared)
    }

    /// What is written beside the prepared file: the sources, and which file was made of them.
    /// Another import may replace the file or this text alone.
    fn claim(&self, identity: &str) -> String {
        format!("{}\n{identity}\n", self.print)
    }
}

/// Where the prepared files of a folder may be: first where new ones are written, `folder/prepared`
/// if that is possible, else a folder of our own.
fn places(folder: &Path) -> [PathBuf; 2] {
    let (inside, own) = (folder.join("prepared"), own(folder));
    if is_writable(folder) { [inside, own] } else { [own, inside] }
}

/// Whether `folder/prepared` can be written.
fn is_writable(folder: &Path) -> bool {
    let inside = folder.join("prepared");
    let into = if inside.exists() { &inside } else { folder };
    tempfile::tempfile_in(into).is_ok()
}

/// The folder of our own for what is made of a dataset folder, named after its path, so that it
/// stays the same when the dataset changes.
fn own(folder: &Path) -> PathBuf {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let hash = sha256(real.as_os_str().as_encoded_bytes());
    home().join("prepared").join(hash.get(..16).unwrap_or(&hash))
}

/// A hash of the sources of a prepared file, without opening a picture.
fn fingerprint(dataset: &Dataset, (how, damaged): (Preparation, Damaged)) -> String {
    let mut text = format!("{how:?}\n{}\n", env!("CARGO_PKG_VERSION"));
    if damaged == Damaged::LeaveOut {
        text += "damaged pictures left out\n";
    }
    for item in &dataset.items {
        let facts = item.image.metadata().ok();
        let length = facts.as_ref().map(std::fs::Metadata::len);
        let changed = facts.and_then(|f| f.modified().ok());
        let _ = writeln!(
            text, // cannot fail on a String
            "{:?} {length:?} {changed:?} {:?} {} {:?} {:?}",
            item.key,
            item.bounding_box,
            item.class,
            item.split,
            item.captions
        );
    }
    sha256(text.as_bytes())
}

/// The filter of a recipe's release.
pub(crate) const fn resizing(recipe: stackgan_core::Recipe) -> Resizing {
    match recipe {
        stackgan_core::Recipe::Residual => Resizing::Residual,
        stackgan_core::Recipe::Plain => Resizing::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress;

    fn quiet() -> Context {
        let (device, precision) = (candle_core::Device::Cpu, args::Precision::F32);
        Context { device, precision, manner: progress::Manner::Quiet }
    }

    /// A process that is stopped between the two files, or beside another, leaves the claim of one
    /// recipe with the file of another.
    #[test]
    fn a_file_of_another_recipe_is_not_taken_for_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("toy");
        draw_toy(&folder, ToyConfig { count: 6, seed: 1 }, &quiet()).unwrap();
        let of =
            |resizing| open(&folder, preparation(PictureSize::Stage1, resizing), &quiet()).unwrap();
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
    fn imports_at_one_time_leave_a_file_with_its_own_claim() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("toy");
        draw_toy(&folder, ToyConfig { count: 24, seed: 1 }, &quiet()).unwrap();
        let both = [Resizing::Plain, Resizing::Residual];
        let how = |resizing| preparation(PictureSize::Stage1, resizing);
        for _ in 0..4 {
            std::thread::scope(|scope| {
                for resizing in both {
                    let folder = &folder;
                    scope.spawn(move || drop(open(folder, how(resizing), &quiet())));
                }
            });
            for resizing in both {
                let name = format!("{resizing:?}").to_lowercase();
                let found = open(&folder, how(resizing), &quiet()).unwrap();
                assert_eq!(found.manifest().resizing, name);
            }
        }
    }

    #[test]
    fn a_folder_is_prepared_once_and_again_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("toy");
        let context = quiet();
        draw_toy(&folder, ToyConfig { count: 12, seed: 1 }, &context).unwrap();
        let how = preparation(PictureSize::Stage1, Resizing::Residual);
        let file = prepare((&folder, Manner::default()), None, how, &context).unwrap();
        let made = file.metadata().unwrap().modified().unwrap();
        assert_eq!(prepare((&folder, Manner::default()), None, how, &context).unwrap(), file);
        assert_eq!(file.metadata().unwrap().modified().unwrap(), made, "prepared twice");
        let first = read(&folder, Layout::default()).unwrap();
        let captions = folder.join("text").join(format!("{}.txt", first.items[0].key));
        let text = std::fs::read_to_string(&captions).unwrap();
        std::fs::write(&captions, text.replacen("bird", "fowl", 1)).unwrap();
        prepare((&folder, Manner::default()), None, how, &context).unwrap();
        assert_ne!(file.metadata().unwrap().modified().unwrap(), made, "not prepared again");

        // Commands that only need captions use an existing file of either recipe.
        let plain = preparation(PictureSize::Stage2, Resizing::Plain);
        let file = prepare((&folder, Manner::default()), None, plain, &context).unwrap();
        std::fs::remove_file(folder.join("prepared/prepared-76.safetensors")).unwrap();
        let found = open_any(&folder, ANY_SIZE, &context).unwrap();
        assert_eq!((found.path(), found.manifest().resizing.as_str()), (&*file, "plain"));
        assert!(!folder.join("prepared/prepared-76.safetensors").exists());
        let low = open_any(&folder, &[PictureSize::Stage1], &context).unwrap();
        assert_eq!(low.size(), PictureSize::Stage1);
        let file = low.path().to_path_buf();
        let other = open(&file, preparation(PictureSize::Stage2, Resizing::Residual), &context);
        assert!(other.unwrap_err().to_string().contains("for the other stage"));
    }
}
