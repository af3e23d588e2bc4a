//! `cargo xtask cuda-toolkit`: fetches what a build for an NVIDIA GPU needs from `PyPI`, if no
//! toolkit is installed (docs/gpu.md).

#[cfg(unix)]
mod layout;
mod wheels;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use stackgan_data::archive::{self, Limits};
use stackgan_data::fetch::manifest::{Item, Set, Then};
use stackgan_data::fetch::{self, Event, Mirror, Patience, Request, bytes};
use stackgan_data::layouts::Kind;
use xshell::{Shell, cmd};

use self::wheels::{EDITION, PYPI, WHEELS};
use crate::flags::CudaToolkit;

/// The file that marks a root as complete, with its edition.
const MARK: &str = "toolkit.txt";
/// The folder of the downloads in the root, until it is complete.
const DOWNLOADS: &str = "wheels";
/// Limits for unpacking; no wheel exceeds them.
const MOST: Limits = Limits { bytes: 2 << 30, file: 1 << 30, entries: 10_000 };
/// Default compute capability if no GPU is present: 8.0 and all later ones.
const COMPUTE_CAP: u32 = 80;

/// The variables by which builds look for a toolkit.
pub(crate) const HOMES: [&str; 4] =
    ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"];

/// Fetches the toolkit unless it is present, and prints the shell commands needed to build and run
/// with it.
pub(crate) fn toolkit(repository: &Path, options: &CudaToolkit) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!(
            "expected Linux on x86-64; elsewhere install NVIDIA's toolkit and cuDNN (docs/gpu.md)"
        );
    }
    let root = match &options.to {
        Some(to) => std::path::absolute(to).context("no such folder can be named")?,
        None => repository.join("target/cuda"),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-@%".contains(c);
    let Some(name) = root.to_str().filter(|name| name.chars().all(plain)) else {
        bail!(
            "expected a path of letters, digits and `._+-@%`, found {}: not every shell and compiler quotes others",
            root.display()
        );
    };
    if !is_whole(&root)? {
        get(&root, options.from.as_deref())?;
    }
    if driver(&root)? {
        eprintln!(
            "no driver is installed here: the program can be built, and run where there is one"
        );
    }
    let capability = options.compute_cap.or((!has_gpu()).then_some(COMPUTE_CAP));
    exports(name, capability).iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Whether the toolkit is complete. A folder with other contents is rejected.
fn is_whole(root: &Path) -> Result<bool> {
    match fs::read_to_string(root.join(MARK)) {
        Ok(edition) if edition.trim() == EDITION => return Ok(true),
        Ok(edition) => bail!(
            "{}: expected {EDITION}, found {}; remove the folder and run this again",
            root.display(),
            edition.trim()
        ),
        Err(_) => {}
    }
    let begun = root.join(DOWNLOADS).is_dir();
    if !begun && fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{}: expected an empty folder, found other files; choose another with `--to`",
            root.display()
        );
    }
    Ok(false)
}

/// Prints what is done with each file, and every few seconds how far it is.
fn told() -> impl FnMut(&Event) {
    let (mut name, mut size, mut last) = (String::new(), String::new(), Instant::now());
    move |event| match event {
        Event::Begin { doing, file, total } => {
            name = format!("{} {file}", doing.word());
            size = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
            last = Instant::now();
            eprintln!("{name} …");
        }
        Event::At(done) if last.elapsed() >= Duration::from_secs(5) => {
            last = Instant::now();
            eprintln!("{name}: {}{size}", bytes(*done));
        }
        Event::At(_) => {}
        Event::End(said) | Event::Note(said) => eprintln!("{name}: {said}"),
    }
}

/// Downloads, verifies, unpacks and arranges the files. Downloads are kept until everything is
/// done.
fn get(root: &Path, from: Option<&str>) -> Result<()> {
    let base = std::env::var("STACKGAN_PYPI").ok().filter(|base| !base.is_empty());
    let base = base.unwrap_or_else(|| PYPI.to_owned());
    let texts: Vec<[String; 3]> =
        WHEELS.iter().map(|wheel| [wheel.file(), wheel.address(&base), wheel.page()]).collect();
    let borrowed: Vec<[&str; 3]> =
        texts.iter().map(|texts| texts.each_ref().map(String::as_str)).collect();
    let gives: Vec<[&[&str]; 1]> = borrowed.iter().map(|texts| [&texts[..1]]).collect();
    let items: Vec<Item<'_>> = WHEELS
        .iter()
        .zip(borrowed.iter().zip(&gives))
        .map(|(wheel, (texts, gives))| Item {
            name: texts[0],
            what: wheel.what,
            web: &texts[1..2],
            by_hand: &texts[2..],
            size: Some(wheel.size),
            most: wheel.size,
            sha256: Some(wheel.sha256),
            gives,
            also: &[],
            then: Then::Keep,
        })
        .collect();
    let (kind, pictures) = (Kind::Folder, (&[][..], 0));
    let set = Set { name: "cuda", title: EDITION, edition: EDITION, kind, pictures, items: &items };
    let total: u64 = WHEELS.iter().map(|wheel| wheel.size).sum();
    eprintln!(
        "{EDITION}: {} in {} packages; NVIDIA's licence is in each",
        bytes(total),
        items.len()
    );

    let downloads = root.join(DOWNLOADS);
    let from = from.map(Mirror::parse).transpose()?;
    let request =
        Request { set: &set, into: &downloads, from: from.as_ref(), patience: Patience::default() };
    let mut told = told();
    fetch::fetch(&request, &mut |event| told(event))?;
    // Existing files were not downloaded now: a browser, or anyone, may have put them there.
    fetch::verify(&set, &downloads, &mut |event| told(event))?;
    for texts in &texts {
        let file = downloads.join(&texts[0]);
        eprintln!("unpacking {} …", texts[0]);
        let unpacked = archive::unpack(&file, &downloads, MOST, &mut |_| {})?;
        take(unpacked.folder.path(), root)?;
    }
    finish(root)?;
    let mark = root.join(MARK);
    fs::write(&mark, format!("{EDITION}\n"))
        .with_context(|| format!("cannot write {}", mark.display()))?;
    fs::remove_dir_all(&downloads).with_context(|| format!("cannot remove {}", downloads.display()))
}

#[cfg(unix)]
pub(crate) use self::layout::link;
#[cfg(unix)]
use self::layout::{driver, finish, take};

#[cfg(not(unix))]
pub(crate) fn link(_: &Path, at: &Path) -> Result<()> {
    bail!("{}: links are made on Linux only", at.display())
}

#[cfg(not(unix))]
fn take(_: &Path, _: &Path) -> Result<()> {
    bail!("a toolkit is laid out on Linux only")
}

#[cfg(not(unix))]
fn finish(_: &Path) -> Result<()> {
    bail!("a toolkit is laid out on Linux only")
}

#[cfg(not(unix))]
fn driver(_: &Path) -> Result<bool> {
    bail!("a toolkit is laid out on Linux only")
}

/// Whether there is a GPU whose capability the build can query.
fn has_gpu() -> bool {
    Shell::new().is_ok_and(|sh| {
        let ask = cmd!(sh, "nvidia-smi --query-gpu=compute_cap --format=csv,noheader");
        ask.quiet().ignore_stderr().read().is_ok_and(|said| !said.trim().is_empty())
    })
}

/// The shell commands.
fn exports(root: &str, compute_cap: Option<u32>) -> Vec<String> {
    let mut lines: Vec<String> =
        HOMES.iter().map(|name| format!("export {name}=\"{root}\"")).collect();
    lines.push(format!("export PATH=\"{root}/bin:$PATH\""));
    lines.extend(compute_cap.map(|cap| format!("export CUDA_COMPUTE_CAP=\"{cap}\"")));
    lines.push(format!("export LIBRARY_PATH=\"{root}/lib\""));
    lines.push(format!(
        "export LD_LIBRARY_PATH=\"{root}/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\""
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_told_what_is_needed_and_no_more() {
        let lines = exports("/opt/x", Some(90));
        assert_eq!(lines.len(), 8);
        assert!(lines.contains(&"export CUDA_COMPUTE_CAP=\"90\"".to_owned()), "{lines:?}");
        let lines = exports("/opt/x", None);
        let all = lines.join("\n");
        assert!(!all.contains("CUDA_COMPUTE_CAP"), "{all}");
        assert!(lines.iter().all(|line| line.starts_with("export ") && line.ends_with('"')));
    }

    #[test]
    fn what_lies_there_is_hashed_wherever_the_rest_comes_from() -> Result<()> {
        let (root, mirror) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let downloads = root.path().join(DOWNLOADS);
        fs::create_dir(&downloads)?;
        for wheel in WHEELS {
            fs::write(downloads.join(wheel.file()), "another file of that name")?;
        }
        for from in [None, mirror.path().to_str()] {
            let Err(error) = get(root.path(), from) else { bail!("{from:?}: it was unpacked") };
            assert!(error.to_string().contains("is damaged"), "{from:?}: {error}");
        }
        Ok(())
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() -> Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(!is_whole(&folder.path().join("absent"))? && !is_whole(folder.path())?);
        fs::create_dir(folder.path().join(DOWNLOADS))?;
        assert!(!is_whole(folder.path())?, "begun");
        fs::write(folder.path().join(MARK), format!("{EDITION}\n"))?;
        assert!(is_whole(folder.path())?);
        fs::write(folder.path().join(MARK), "CUDA 9")?;
        assert!(is_whole(folder.path()).is_err());
        let other = tempfile::tempdir()?;
        fs::write(other.path().join("mine"), "x")?;
        assert!(is_whole(other.path()).is_err());
        Ok(())
    }
}
