//! Compiles the kernels under `cuda/` to PTX, for any GPU with compute capability 8.0 or more. Only
//! with the feature `cuda`.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=cuda");
    for name in ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR", "NVCC"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    for name in ["norm", "maps", "classifiers", "many", "losses", "augment"] {
        if let Err(problem) = compile(name) {
            println!("cargo::error=cuda/{name}.cu: {problem}");
        }
    }
}

fn compile(name: &str) -> Result<(), String> {
    let out = std::env::var("OUT_DIR").map_err(|e| e.to_string())?;
    let ptx = Path::new(&out).join(format!("{name}.ptx"));
    let nvcc = nvcc();
    let output = Command::new(&nvcc)
        .args(["-ptx", "-O3", "-std=c++17", "-arch=compute_80", "-o"])
        .arg(ptx)
        .arg(format!("cuda/{name}.cu"))
        .output()
        .map_err(|e| {
            format!("{}: {e}; install a CUDA toolkit, or see docs/gpu.md", nvcc.display())
        })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(text.lines().find(|line| line.contains("error")).unwrap_or("nvcc failed").to_owned())
}

fn nvcc() -> PathBuf {
    let homes = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"];
    if let Some(nvcc) = std::env::var_os("NVCC") {
        return PathBuf::from(nvcc);
    }
    let installed = homes
        .iter()
        .filter_map(std::env::var_os)
        .map(|home| Path::new(&home).join("bin/nvcc"))
        .find(|path| path.exists());
    installed.unwrap_or_else(|| PathBuf::from("nvcc"))
}
