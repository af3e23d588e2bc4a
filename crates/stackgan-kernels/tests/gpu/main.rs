//! Compares the operations on a GPU with those on the CPU, forward and backward, in every
//! precision. Without a GPU each test prints this and passes; with `STACKGAN_TEST_DEVICE=cuda` it
//! fails.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by stopping, and say what they found"
)]

mod many;
mod maps;
mod sender;

use std::cell::OnceCell;

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use stackgan_kernels::gpu;
use stackgan_noise::{Noise, Stream};

/// Returns the GPU, opened once for each thread, if there is one.
fn device() -> Option<Device> {
    thread_local! {
        static GPU: OnceCell<Option<Device>> = const { OnceCell::new() };
    }
    let opened = || match std::panic::catch_unwind(|| gpu::open(0)) {
        Ok(Ok(device)) => Some(device),
        found => {
            let wanted = std::env::var_os("STACKGAN_TEST_DEVICE").is_some_and(|v| v == "cuda");
            assert!(!wanted, "no GPU answers: {found:?}");
            println!("skipped: no GPU answers");
            None
        }
    };
    GPU.with(|gpu| gpu.get_or_init(opened).clone())
}

/// Returns standard normal values as a pure function of shape and `sample`.
fn normal(shape: impl Into<Shape>, sample: u64) -> Tensor {
    let shape = shape.into();
    let values = Noise::new(11).normal(Stream::Test, 0, sample, shape.elem_count());
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Returns a result and the gradients of its sum with fixed random weights, on the CPU.
fn outcome(
    inputs: &[Tensor],
    device: &Device,
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let vars: Vec<Var> =
        inputs.iter().map(|t| Var::from_tensor(&t.to_device(device)?)).collect::<Result<_>>()?;
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let y = f(&tensors)?;
    let weights = normal(y.shape(), 999).to_device(device)?;
    let grads = (&y * weights)?.sum_all()?.backward()?;
    let mut all = vec![y.detach()];
    all.extend(tensors.iter().map(|t| grads.get(t).unwrap().clone()));
    all.iter().map(|t| t.to_device(&Device::Cpu)).collect()
}

/// Returns the norm of the difference, relative to the norm of the expected tensor.
fn distance(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dims(), expected.dims());
    let values = |t: &Tensor| -> Vec<f64> {
        t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let (found, expected) = (values(found), values(expected));
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b));
    difference / norm(&mut expected.iter().copied()).max(1e-9)
}
