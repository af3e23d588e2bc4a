//! `cargo xtask gpu-stand-in`: runs the tests of the GPU code where no GPU is, on a stand-in for
//! one (tests/gpu-stand-in).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

use crate::cuda::{HOMES, link};

/// The libraries that a build for a GPU links. The stand-in is all of them.
const LIBRARIES: [&str; 7] = ["cuda", "cublas", "cublasLt", "cudnn", "curand", "nvrtc", "cudart"];
/// The version of CUDA whose functions cudarc declares.
const CUDA: &str = "13000";
/// The parts of cudarc that declare functions of these libraries.
const DECLARED: [&str; 6] = ["driver", "cublas", "cublaslt", "cudnn", "curand", "nvrtc"];
/// The crates whose build compiles kernels.
const COMPILE_KERNELS: [&str; 2] = ["candle-kernels", "stackgan-kernels"];

/// The folder of the builds, if the environment names none: of its own, so that the usual builds
/// stay.
const TARGET: &str = "target/stand-in/build";

/// Builds the stand-in, and the tests with the feature `cuda`, runs those that need a GPU, and lints.
pub(crate) fn test(root: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the stand-in for a GPU runs on Linux on x86-64");
    }
    let sh = Shell::new()?;
    sh.change_dir(root);
    let folder = root.join("target/stand-in");
    let toolkit = folder.join("toolkit");
    build(&sh, root, &folder, &toolkit)?;

    // Not through PATH: crates that are built anew when it changes have nothing to do with CUDA.
    sh.set_var("NVCC", toolkit.join("bin/nvcc"));
    sh.set_var("CUDARC_CUDA_VERSION", CUDA);
    let lib = toolkit.join("lib");
    for home in HOMES {
        sh.set_var(home, &toolkit);
    }
    sh.set_var("CUDA_COMPUTE_CAP", "80");
    sh.set_var("LIBRARY_PATH", &lib);
    sh.set_var("LD_LIBRARY_PATH", &lib);
    let given = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = root.join(given.as_deref().unwrap_or(Path::new(TARGET)));
    sh.set_var("CARGO_TARGET_DIR", &target);
    sh.set_var("STACKGAN_TEST_DEVICE", "cuda");
    again_if_changed(&sh, root, &target)?;

    // As the other tests are built, so that what does not depend on CUDA is built once.
    let what = "--workspace --features stackgan-cli/cuda --test gpu --test it --test program";
    let what = what.split(' ');
    let those = ["maps::", "many::", "sender::", "gpu::", "golden::"];
    cmd!(sh, "cargo test --locked {what...} -- {those...}").run()?;
    // No other check compiles this code.
    let lints = "--workspace --all-targets --features stackgan-cli/cuda -- -D warnings".split(' ');
    cmd!(sh, "cargo clippy --locked {lints...}").run()?;
    Ok(())
}

/// Compiles the library and lays it out as a toolkit.
fn build(sh: &Shell, root: &Path, folder: &Path, toolkit: &Path) -> Result<()> {
    let source = root.join("tests/gpu-stand-in");
    let (bin, lib) = (toolkit.join("bin"), toolkit.join("lib"));
    for made in [&bin, &lib] {
        sh.create_dir(made)?;
    }
    link(&source.join("nvcc"), &bin.join("nvcc"))?;
    link(&source.join("include"), &toolkit.join("include"))?;
    link(Path::new("lib"), &toolkit.join("lib64"))?;

    // Every function that is declared must be there to link; those that nobody wrote say so.
    let missing = folder.join("missing.cpp");
    let mut text = "extern \"C\" void stand_in_missing(const char *);\n".to_owned();
    for name in declared(&cudarc(sh)?)? {
        text += &format!(
            "extern \"C\" __attribute__((weak)) void {name}() {{ stand_in_missing(\"{name}\"); }}\n"
        );
    }
    sh.write_file(&missing, text)?;
    let mut sources = sh.read_dir(source.join("src"))?;
    sources.retain(|path| path.extension().is_some_and(|e| e == "cpp"));
    sources.push(missing);
    let library = lib.join("libgpu_stand_in.so");
    let flags = "-std=c++20 -O3 -march=native -fPIC -shared -Wl,-soname,libgpu_stand_in.so";
    let flags = flags.split(' ');
    cmd!(sh, "g++ {flags...} -o {library} {sources...} -ldl")
        .run()
        .context("a C++ compiler is needed: install g++")?;
    for name in LIBRARIES {
        link(Path::new("libgpu_stand_in.so"), &lib.join(format!("lib{name}.so")))?;
    }
    Ok(())
}

/// The source folder of the crate that declares NVIDIA's functions.
fn cudarc(sh: &Shell) -> Result<PathBuf> {
    let text = cmd!(sh, "cargo metadata --locked --format-version 1 --filter-platform x86_64-unknown-linux-gnu --features stackgan-cli/cuda")
        .quiet()
        .read()?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("cargo's metadata has packages")?;
    let manifest = packages
        .iter()
        .find(|package| package["name"] == "cudarc")
        .and_then(|package| package["manifest_path"].as_str())
        .context("cudarc is among the packages of the feature `cuda`")?;
    Ok(Path::new(manifest).with_file_name("src"))
}

/// The names of all functions that cudarc declares.
fn declared(cudarc: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for part in DECLARED {
        let file = cudarc.join(part).join("sys/mod.rs");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let found = text.split("pub unsafe fn ").skip(1).filter_map(|rest| rest.split('(').next());
        names.extend(found.map(str::to_owned));
    }
    if names.is_empty() {
        bail!("cudarc declares no functions in {}", cudarc.display());
    }
    Ok(names)
}

/// Compiles the kernels anew if what compiles them has changed, of which cargo does not know.
fn again_if_changed(sh: &Shell, root: &Path, target: &Path) -> Result<()> {
    let source = root.join("tests/gpu-stand-in");
    let now =
        sh.read_file(source.join("nvcc"))? + &sh.read_file(source.join("include/kernel.h"))?;
    let mark = target.join("gpu-stand-in");
    if fs::read_to_string(&mark).is_ok_and(|before| before != now) {
        for package in COMPILE_KERNELS {
            cmd!(sh, "cargo clean --package {package}").quiet().run()?;
        }
    }
    sh.write_file(mark, now).map_err(Into::into)
}
