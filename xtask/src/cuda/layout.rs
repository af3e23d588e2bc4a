//! Arranges unpacked wheels as the root of a toolkit, as compilers expect it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

/// Folders in the wheels that belong in the root.
const SOURCES: [&str; 2] = ["nvidia/cu13", "nvidia/cudnn"];
/// The needed subfolders.
const WANTED: [&str; 4] = ["bin", "include", "lib", "nvvm"];
/// Libraries to link with: a wheel has `libcublas.so.13`, a linker looks for `libcublas.so`.
const LINKED: [&str; 6] = ["cublas", "cublasLt", "cudart", "nvrtc", "curand", "cudnn"];
/// Folders of programs, because unpacked files are not executable.
const PROGRAMS: [&str; 2] = ["bin", "nvvm/bin"];
/// Usual folders of the driver's library, if the system does not report it.
const DRIVERS: [&str; 5] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/lib/wsl/lib", "/usr/local/lib"];

/// Moves the needed parts of an unpacked wheel to the root.
pub(super) fn take(unpacked: &Path, root: &Path) -> Result<()> {
    for (source, wanted) in SOURCES.iter().flat_map(|source| WANTED.map(|wanted| (source, wanted)))
    {
        let from = unpacked.join(source).join(wanted);
        if from.is_dir() {
            merge(&from, &root.join(wanted))?;
        }
    }
    Ok(())
}

fn merge(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            merge(&path, &target)?;
        } else {
            fs::rename(&path, &target)
                .with_context(|| format!("cannot move to {}", target.display()))?;
        }
    }
    Ok(())
}

/// Creates names for the linker and the second name of `lib`, and makes programs executable.
pub(super) fn finish(root: &Path) -> Result<()> {
    let lib = root.join("lib");
    for name in LINKED {
        let plain = format!("lib{name}.so");
        let numbered = numbered(&lib, &plain)?;
        link(Path::new(&numbered), &lib.join(plain))?;
    }
    link(Path::new("lib"), &root.join("lib64"))?;
    for folder in PROGRAMS.map(|folder| root.join(folder)) {
        for entry in fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))? {
            let path = entry?.path();
            if path.is_file() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                    .with_context(|| format!("cannot make {} a program", path.display()))?;
            }
        }
    }
    Ok(())
}

/// The name of a library with its interface version, such as `libcublas.so.13`.
fn numbered(lib: &Path, plain: &str) -> Result<String> {
    let names = fs::read_dir(lib).with_context(|| format!("no {}", lib.display()))?;
    let names = names.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let of_it = |name: &String| {
        let number = name.strip_prefix(plain).and_then(|rest| rest.strip_prefix('.'));
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut found: Vec<String> = names.filter(of_it).collect();
    match (found.pop(), found.is_empty()) {
        (Some(name), true) => Ok(name),
        _ => bail!(
            "expected one {plain}.N in {}; remove the folder and run this again",
            lib.display()
        ),
    }
}

/// Makes a link. Whatever is there is replaced: another link, or the stub of a time without driver.
pub(crate) fn link(to: &Path, at: &Path) -> Result<()> {
    if at.symlink_metadata().is_ok() {
        fs::remove_file(at).with_context(|| format!("cannot replace {}", at.display()))?;
    }
    symlink(to, at).with_context(|| format!("cannot link {}", at.display()))
}

/// Provides the driver's library, which comes with the driver and is in no package.
///
/// Uses that of the system or, without one, creates a stub for linking whose functions all fail.
/// Returns whether it is the stub.
pub(super) fn driver(root: &Path) -> Result<bool> {
    let at = root.join("lib/libcuda.so");
    if let Some(found) = system_driver() {
        link(&found, &at)?;
        return Ok(false);
    }
    if at.is_symlink() {
        fs::remove_file(&at).with_context(|| format!("cannot replace {}", at.display()))?;
    }
    let header = root.join("include/cuda.h");
    let header =
        fs::read_to_string(&header).with_context(|| format!("cannot read {}", header.display()))?;
    to_link_with(&header, &at)?;
    Ok(true)
}

/// Creates a stub library with every function that the driver's header declares.
///
/// It tells a linker that `libcuda.so.1` is needed by programs that call one of the functions, and
/// by no others (a build's own programs must run without a driver). It does not have the name under
/// which it would be loaded, so it cannot take a driver's place.
fn to_link_with(header: &str, at: &Path) -> Result<()> {
    let functions = functions(header);
    if functions.is_empty() {
        bail!(
            "cuda.h: expected the driver's functions, found none; remove the folder and run this again"
        );
    }
    // 999 is CUDA_ERROR_UNKNOWN.
    let define = |name: &&str| format!("int {name}(void) {{ return 999; }}\n");
    let code: String = functions.iter().map(define).collect();
    let sh = Shell::new()?;
    cmd!(sh, "cc -shared -fPIC -Wl,-soname,libcuda.so.1 -x c - -o {at}")
        .quiet()
        .stdin(code)
        .run()
        .context("a C compiler is needed: install gcc")
}

/// The words of a header that are names of driver functions, such as `cuInit` and `cuMemAlloc_v2`.
fn functions(header: &str) -> BTreeSet<&str> {
    let words = header.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let of_driver = |word: &&str| {
        word.strip_prefix("cu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    words.filter(of_driver).collect()
}

fn system_driver() -> Option<PathBuf> {
    let sh = Shell::new().ok()?;
    let listed = cmd!(sh, "ldconfig -p").quiet().ignore_stderr().read().unwrap_or_default();
    let listed = listed.lines().filter(|line| line.contains("libcuda.so.1 (libc6,x86-64"));
    let listed = listed.filter_map(|line| Some(PathBuf::from(line.split_once("=>")?.1.trim())));
    let usual = DRIVERS.iter().map(|folder| Path::new(folder).join("libcuda.so.1"));
    listed.chain(usual).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_a_header() {
        let header = "#define cuMemAlloc cuMemAlloc_v2\nCUresult CUDAAPI cuInit(unsigned int Flags); \
                      struct CUctx_st *cuda_x; /* curious, cu, CUDA */";
        let expected = ["cuInit", "cuMemAlloc", "cuMemAlloc_v2"];
        assert_eq!(functions(header).into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_link_takes_the_place_of_whatever_is_there() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (driver, at) = (folder.path().join("driver"), folder.path().join("libcuda.so"));
        fs::write(&driver, "the driver")?;
        fs::write(&at, "the stub")?;
        for _ in 0..2 {
            link(&driver, &at)?;
            assert_eq!(fs::read_to_string(&at)?, "the driver");
        }
        fs::remove_file(&driver)?;
        link(folder.path(), &at)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_calls_the_driver_says_that_it_needs_it_and_nothing_else_does() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let sh = Shell::new()?;
        sh.change_dir(folder.path());
        let at = folder.path().join("libcuda.so");
        assert!(to_link_with("none", &at).is_err());
        to_link_with("CUresult CUDAAPI cuInit(unsigned int Flags);", &at)?;
        for (program, code, needs) in [
            ("calls", "int cuInit(unsigned); int main(void) { return cuInit(0); }", true),
            ("other", "int main(void) { return 0; }", false),
        ] {
            // As rustc links: only needed libraries.
            cmd!(sh, "cc -x c - -o {program} -L. -Wl,--as-needed -lcuda")
                .quiet()
                .stdin(code)
                .run()?;
            let bytes = fs::read(folder.path().join(program))?;
            let noted = bytes.windows(12).any(|word| word == b"libcuda.so.1");
            assert_eq!(noted, needs, "{program}");
        }
        Ok(())
    }

    #[test]
    fn wheels_become_a_root() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (unpacked, root) = (folder.path().join("wheel"), folder.path().join("root"));
        let mut files: Vec<String> =
            LINKED.map(|name| format!("nvidia/cu13/lib/lib{name}.so.13")).to_vec();
        files.extend(
            ["bin/nvcc", "nvvm/bin/cicc", "include/a.h", ".metadata/x", "lib/libnvrtc.alt.so.13"]
                .map(|name| format!("nvidia/cu13/{name}")),
        );
        files.extend(["nvidia/cudnn/include/cudnn.h", "x.dist-info/RECORD"].map(str::to_owned));
        for file in files.iter().map(|file| unpacked.join(file)) {
            fs::create_dir_all(file.parent().context("has a parent")?)?;
            fs::write(file, "x")?;
        }
        take(&unpacked, &root)?;
        finish(&root)?;
        finish(&root)?; // repeating it changes nothing
        assert_eq!(fs::read_link(root.join("lib/libnvrtc.so"))?, Path::new("libnvrtc.so.13"));
        assert!(root.join("lib64/libcudnn.so").is_file());
        assert!(root.join("include/cudnn.h").is_file() && !root.join(".metadata").exists());
        for program in ["bin/nvcc", "nvvm/bin/cicc"] {
            assert_eq!(root.join(program).metadata()?.permissions().mode() & 0o777, 0o755);
        }
        fs::remove_file(root.join("lib/libcurand.so.13"))?;
        let error = finish(&root).unwrap_err().to_string();
        assert!(error.contains("expected one libcurand.so.N"), "{error}");
        Ok(())
    }
}
