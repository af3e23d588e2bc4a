//! Prints the rates of convolutions of maps at the paper's sizes, for the forward pass and each
//! gradient, in GF/s of the direct algorithm. Compare them with the machine's rate
//! (`--example peak`).
//!
//! `cargo run --release -p stackgan-kernels --example rates [part of a name]`
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::Instant;

use candle_core::{Device, Result, Tensor, Var};
use stackgan_kernels::{Filter, Maps, Padding, backward};

const UP: (usize, Filter) = (3, Filter::Up);
const fn plain(stride: usize, padding: usize) -> Filter {
    Filter::Plain { stride, padding: Padding::symmetric(padding, padding) }
}

const THREE: (usize, Filter) = (3, plain(1, 1));
const HALVE: (usize, Filter) = (4, plain(2, 1));
const POINT: (usize, Filter) = (1, plain(1, 0));

const fn each(k: usize, stride: usize) -> (usize, Filter) {
    (k, Filter::Depthwise { stride, padding: Padding::symmetric(k / 2, k / 2) })
}

/// Name; kernel and filter; batch, input channels, output channels, input size.
type Layer = (&'static str, (usize, Filter), [usize; 4]);

const LAYERS: &[Layer] = &[
    ("up 1024->512 @4, 16", UP, [16, 1024, 512, 4]),
    ("up 512->256 @8, 16", UP, [16, 512, 256, 8]),
    ("up 256->128 @16, 16", UP, [16, 256, 128, 16]),
    ("up 128->64 @32, 16", UP, [16, 128, 64, 32]),
    ("3x3 64->3 @64, 16", THREE, [16, 64, 3, 64]),
    ("4x4 3->64 @64, 48", HALVE, [48, 3, 64, 64]),
    ("4x4 64->128 @32, 48", HALVE, [48, 64, 128, 32]),
    ("4x4 128->256 @16, 48", HALVE, [48, 128, 256, 16]),
    ("4x4 256->512 @8, 48", HALVE, [48, 256, 512, 8]),
    ("3x3 640->512 @4, 16", THREE, [16, 640, 512, 4]),
    ("3x3 512->512 @16, 4", THREE, [4, 512, 512, 16]),
    ("up 512->256 @16, 4", UP, [4, 512, 256, 16]),
    ("up 128->64 @64, 4", UP, [4, 128, 64, 64]),
    ("up 64->32 @128, 4", UP, [4, 64, 32, 128]),
    ("3x3 32->3 @256, 4", THREE, [4, 32, 3, 256]),
    ("4x4 3->64 @256, 12", HALVE, [12, 3, 64, 256]),
    ("4x4 64->128 @128, 12", HALVE, [12, 64, 128, 128]),
    ("4x4 256->512 @32, 12", HALVE, [12, 256, 512, 32]),
    ("4x4 512->1024 @16, 12", HALVE, [12, 512, 1024, 16]),
    ("4x4 1024->2048 @8, 12", HALVE, [12, 1024, 2048, 8]),
    ("4x4 1024->2048 @8, 4", HALVE, [4, 1024, 2048, 8]),
    ("1x1 2048->1024 @4, 12", POINT, [12, 2048, 1024, 4]),
    ("up 16->16 @32, 16", UP, [16, 16, 16, 32]),
    ("up 1024->512 @4, 1", UP, [1, 1024, 512, 4]),
    ("up 512->256 @8, 1", UP, [1, 512, 256, 8]),
    ("up 256->128 @16, 1", UP, [1, 256, 128, 16]),
    ("3x3 512->512 @16, 1", THREE, [1, 512, 512, 16]),
    ("up 512->256 @16, 1", UP, [1, 512, 256, 16]),
    ("up 128->64 @64, 1", UP, [1, 128, 64, 64]),
    ("up 64->32 @128, 1", UP, [1, 64, 32, 128]),
    ("3x3 32->3 @256, 1", THREE, [1, 32, 3, 256]),
    ("each 3x3 32 @112, 16", each(3, 1), [16, 32, 32, 112]),
    ("each 3x3 96 @112, 16", each(3, 2), [16, 96, 96, 112]),
    ("each 5x5 240 @28, 16", each(5, 1), [16, 240, 240, 28]),
    ("each 5x5 1152 @7, 16", each(5, 1), [16, 1152, 1152, 7]),
];

/// Returns the seconds of a call: the best of some, after one to warm up.
fn seconds(mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    f()?;
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    for calls in 1.. {
        let call = Instant::now();
        f()?;
        best = best.min(call.elapsed().as_secs_f64());
        if calls >= 3 && start.elapsed().as_secs_f64() > 0.4 {
            break;
        }
    }
    Ok(best)
}

fn ramp(shape: &[usize]) -> Result<Var> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.).collect();
    Var::from_vec(values, shape, &Device::Cpu)
}

fn main() -> Result<()> {
    stackgan_kernels::memory::keep();
    let part = std::env::args().nth(1).unwrap_or_default();
    println!("{:24} {:>8} {:>8} {:>8}   GF/s, ms", "", "forward", "dx", "dw");
    for &(name, (k, filter), [n, cin, cout, size]) in LAYERS.iter().filter(|l| l.0.contains(&part))
    {
        let depthwise = matches!(filter, Filter::Depthwise { .. });
        let ins = if depthwise { 1 } else { cin };
        let (x, w) = (ramp(&[n, cin, size, size])?, ramp(&[cout, ins, k, k])?);
        let maps = Maps::enter(&x.as_detached_tensor())?;
        let forward = seconds(|| maps.conv(&w.as_detached_tensor(), filter).map(drop))?;
        let gradient = |x: &Tensor, w: &Tensor| {
            let y = Maps::enter(x)?.conv(w, filter)?.leave()?;
            seconds(|| backward(&y).map(drop))
        };
        // The conversions at the ends of the graph are timed separately and subtracted.
        let (_, outs, h, wide) = maps.conv(&w, filter)?.sizes()?;
        let y = ramp(&[n, outs, h, wide])?;
        let ends = {
            let y = Maps::enter(&y)?.leave()?;
            seconds(|| backward(&y).map(drop))? / 2.
        };
        let dx = gradient(&x, &w.as_detached_tensor())? - ends;
        let dw = match depthwise {
            true => f64::NAN, // it has none
            false => gradient(&x.as_detached_tensor(), &w)? - ends,
        };
        let flops = 2e-9 * (n * ins * cout * k * k * h * wide) as f64;
        let rate = |s: f64| flops / s;
        println!(
            "{name:24} {:8.1} {:8.1} {:8.1}   {:.2} {:.2} {:.2}",
            rate(forward),
            rate(dx),
            rate(dw),
            forward * 1e3,
            dx * 1e3,
            dw * 1e3
        );
    }
    Ok(())
}
