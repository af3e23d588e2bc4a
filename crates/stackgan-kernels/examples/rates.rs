//! Prints the rates of the fast operations beside candle's own, forward and backward, in GF/s of the direct algorithm.
//!
//! `cargo run --release -p stackgan-kernels --example rates [fast] [part of a name]`
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::Instant;

use candle_core::{Device, Result, Tensor, Var};
use stackgan_kernels::{Activation, batch_norm_train, conv2d, reference, upsample2x_conv3x3};

/// What runs on `(n, cin, size, size)` to `cout` channels.
#[derive(Clone, Copy)]
enum Layer {
    Up,
    Conv { kernel: usize, stride: usize, padding: usize },
}

const K3: Layer = Layer::Conv { kernel: 3, stride: 1, padding: 1 };
const K4: Layer = Layer::Conv { kernel: 4, stride: 2, padding: 1 };
const HEAD: Layer = Layer::Conv { kernel: 4, stride: 4, padding: 0 };

/// Name, layer, batch, input channels, output channels, input size.
const SHAPES: &[(&str, Layer, usize, usize, usize, usize)] = &[
    ("up 128->64 @4->8", Layer::Up, 16, 128, 64, 4),
    ("up 128->64 @8->16", Layer::Up, 16, 128, 64, 8),
    ("up 64->32 @16->32", Layer::Up, 16, 64, 32, 16),
    ("up 32->16 @32->64", Layer::Up, 16, 32, 16, 32),
    ("up 16->8 @32->64", Layer::Up, 16, 16, 8, 32),
    ("conv3 16->3 @64", K3, 16, 16, 3, 64),
    ("conv4s2 3->16 @64", K4, 16, 3, 16, 64),
    ("conv4s2 16->32 @32", K4, 16, 16, 32, 32),
    ("conv4s2 32->64 @16", K4, 16, 32, 64, 16),
    ("conv4s2 64->128 @8", K4, 16, 64, 128, 8),
    ("conv3 256->128 @4", K3, 16, 256, 128, 4),
    ("head 128->1 @4", HEAD, 16, 128, 1, 4),
    ("up 32->16 @64->128 B4", Layer::Up, 4, 32, 16, 64),
    ("up 16->16 @128->256 B4", Layer::Up, 4, 16, 16, 128),
    ("conv3 16->3 @256 B4", K3, 4, 16, 3, 256),
    ("conv4s2 3->16 @256 B4", K4, 4, 3, 16, 256),
    ("conv4s2 16->32 @128 B4", K4, 4, 16, 32, 128),
    ("conv3 64->64 @16 B4", K3, 4, 64, 64, 16),
    ("paper: up 256->128 @32 B4", Layer::Up, 4, 256, 128, 32),
    ("paper: conv4s2 128->256 @16", K4, 16, 128, 256, 16),
    ("paper: conv3 512->512 @16 B1", K3, 1, 512, 512, 16),
];

/// Seconds of a call: the best of some, after one to warm up.
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

/// Seconds of the forward pass, and of the gradients of input and weight.
fn measure(layer: Layer, x: &Var, w: &Var, own: bool) -> Result<(f64, f64, f64)> {
    let run = |x: &Tensor, w: &Tensor| match (layer, own) {
        (Layer::Up, true) => upsample2x_conv3x3(x, w),
        (Layer::Up, false) => reference::upsample2x_conv3x3(x, w),
        (Layer::Conv { stride, padding, .. }, true) => conv2d(x, w, stride, padding),
        (Layer::Conv { stride, padding, .. }, false) => x.conv2d(w, padding, stride, 1, 1),
    };
    let forward = seconds(|| run(&x.as_detached_tensor(), &w.as_detached_tensor()).map(drop))?;
    let backward = |x: &Tensor, w: &Tensor| {
        let y = run(x, w)?;
        seconds(|| y.backward().map(drop))
    };
    let dx = backward(x, &w.as_detached_tensor())?;
    let dw = backward(&x.as_detached_tensor(), w)?;
    let both = backward(x, w)?;
    if !own {
        return Ok((forward, both / 2., both / 2.));
    }
    let scale = both / (dx + dw);
    Ok((forward, dx * scale, dw * scale))
}

fn ramp(shape: &[usize]) -> Result<Var> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.).collect();
    Var::from_vec(values, shape, &Device::Cpu)
}

fn main() -> Result<()> {
    stackgan_kernels::memory::keep();
    let only = std::env::args().nth(1).unwrap_or_default();
    let part = std::env::args().nth(2).unwrap_or_default();
    println!("{:30} {:>24} {:>24} {:>7}", "", "fast fwd / dx / dw", "candle fwd / both", "ratio");
    for &(name, layer, n, cin, cout, size) in SHAPES.iter().filter(|s| s.0.contains(&part)) {
        let x = ramp(&[n, cin, size, size])?;
        let (k, out) = match layer {
            Layer::Up => (3, 2 * size),
            Layer::Conv { kernel, stride, padding } => {
                (kernel, (size + 2 * padding - kernel) / stride + 1)
            }
        };
        let w = ramp(&[cout, cin, k, k])?;
        let flops = 2. * (n * cin * cout * k * k * out * out) as f64 * 1e-9;
        let (f, dx, dw) = measure(layer, &x, &w, true)?;
        print!("{name:30} {:8.1} {:7.1} {:7.1}", flops / f, flops / dx, flops / dw);
        if only != "fast" {
            let (cf, cb, _) = measure(layer, &x, &w, false)?;
            let ratio = (cf + 2. * cb) / (f + dx + dw);
            print!(" {:15.1} {:8.1} {ratio:7.1}", flops / cf, flops / cb);
        }
        println!("   {:.2} ms", (f + dx + dw) * 1e3);
    }
    for shape in [[16, 64, 32, 32], [16, 16, 64, 64], [4, 16, 256, 256]] {
        let (x, c) = (ramp(&shape)?, ramp(&shape[1..2])?);
        let relu = Activation::Relu;
        let own = |x: &Tensor| Ok(batch_norm_train(x, &c, &c, 1e-5, relu)?.0);
        let twin = |x: &Tensor| Ok(reference::batch_norm_train(x, &c, &c, 1e-5, relu)?.0);
        let time = |f: &dyn Fn(&Tensor) -> Result<Tensor>| -> Result<(f64, f64)> {
            let forward = seconds(|| f(&x.as_detached_tensor()).map(drop))?;
            let y = f(&x)?;
            Ok((forward * 1e3, seconds(|| y.backward().map(drop))? * 1e3))
        };
        let ((f, b), (cf, cb)) = (time(&own)?, time(&twin)?);
        println!("batch norm {shape:?}: {f:.2} + {b:.2} ms, reference {cf:.2} + {cb:.2} ms");
    }
    Ok(())
}
