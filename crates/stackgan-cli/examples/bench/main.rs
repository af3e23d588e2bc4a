//! Times what users wait for, through the library, as training and generation use it.
//! `cargo xtask bench` runs it, with one process per measurement, and compares it with PyTorch
//! (docs/bench/README.md).
//!
//! ```text
//! bench step NET STAGE BATCH TIMED [--device DEVICE] [--precision NUMBERS]
//!                                one training step, after one to warm up
//! bench paint NET COUNT TIMED [--device DEVICE] [--precision NUMBERS]
//!                                256x256 pictures from embeddings, after one round to warm up
//! bench loader SIDE BATCHES      pictures per second from a prepared file; SIDE is 76 or 304
//! bench model NET FILE           writes a model file of untrained weights, for `stackgan generate`
//! ```
//!
//! NET is `plain`, `residual` (the paper's widths) or `coco` (the plain recipe with the widths for
//! COCO). `residual:64` has another width. BATCH is a number, or `64/4`: 64 in parts of 4. DEVICE
//! is `cpu` or `cuda`. NUMBERS is `f32`, `tf32` (the default on a GPU) or `bf16`. Prints one JSON
//! line on stdout. Weights, pictures and embeddings do not influence the time, so they are drawn
//! from a seed.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to the terminal")]

mod loader;
mod machine;
mod nets;
mod paint;
mod step;

use anyhow::{Context as _, Result, bail};
use machine::Machine;

fn main() -> Result<()> {
    let _ = stackgan_kernels::threads::tell_candle();
    stackgan_kernels::memory::keep();
    rayon::scope(|_| measured()) // both as the program does
}

fn measured() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (machine, words) = Machine::of(&arguments)?;
    let number =
        |text: &str| text.parse::<usize>().with_context(|| format!("`{text}` is no number"));
    let facts = match words.as_slice() {
        ["step", net, stage, batch, timed] => {
            let figure = (stage.parse::<u8>()?, nets::batch(batch)?);
            step::bench(&nets::named(net)?, figure, number(timed)?, &machine)?
        }
        ["paint", net, count, timed] => {
            paint::bench(&nets::named(net)?, number(count)?, number(timed)?, &machine)?
        }
        ["loader", side, batches] => loader::bench(number(side)?, number(batches)?)?,
        ["model", net, file] => return paint::write(&nets::named(net)?, file.as_ref()),
        _ => bail!(
            "expected step, paint, loader or model with their arguments; see the top of this file"
        ),
    };
    let mut line = facts;
    line["threads"] = rayon::current_num_threads().into();
    line["peak_rss_kib"] = peak_rss_kib().into();
    machine.say(&mut line);
    println!("{line}");
    Ok(())
}

/// Returns the peak memory of this process, if the system reports it (Linux: `VmHWM`).
fn peak_rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
