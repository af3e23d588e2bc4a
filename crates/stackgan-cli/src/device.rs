//! The device and precision of computations, from `--device` and `--precision` (docs/gpu.md).

use anyhow::Result;
use candle_core::Device;
use stackgan_kernels::gpu;

use crate::args::Precision;
use crate::exit::{Exit, Problem};
use crate::progress::Manner;

/// Whether this program was built with the feature `cuda`.
const BUILT_FOR_CUDA: bool = cfg!(feature = "cuda");

/// What a command does with the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It computes there.
    Computes,
    /// It does not compute, so no GPU is opened.
    Nothing,
}

/// The device that `--device` requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The first GPU, if there is one that this program can use.
    Auto,
    Cpu,
    /// The GPU with this number.
    Cuda(usize),
}

impl Wanted {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:")?;
                let digits =
                    (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| number.parse().ok().map(Self::Cuda))?
            }
        }
    }
}

/// Chooses the device and precision of a command.
///
/// # Errors
/// [`Problem`] with code 2 for an invalid device, or a precision that the device does not support;
/// 4 for a GPU that this program cannot use.
pub(crate) fn choose(
    name: &str,
    precision: Option<Precision>,
    used: Use,
    manner: Manner,
) -> Result<(Device, Precision)> {
    let device = match wanted(name)? {
        _ if used == Use::Nothing => return Ok((Device::Cpu, Precision::F32)),
        Wanted::Cuda(_) if !BUILT_FOR_CUDA => return Err(without_gpus().into()),
        Wanted::Cpu => Device::Cpu,
        Wanted::Cuda(number) => open(number)?,
        Wanted::Auto if BUILT_FOR_CUDA => gpu::open(0).unwrap_or_else(|error| {
            manner.say(format!("no GPU answers ({}): the CPU computes", first_line(&error)));
            Device::Cpu
        }),
        Wanted::Auto => Device::Cpu,
    };
    let precision = precision_on(&device, precision)?;
    if !device.is_cpu() {
        gpu::set_precision(precision.into());
    }
    Ok((device, precision))
}

/// Parses the name of a device.
fn wanted(name: &str) -> Result<Wanted> {
    Wanted::parse(name).ok_or_else(|| {
        let expected = "`auto`, `cpu`, `cuda` or `cuda:N`, N counted from 0";
        let parts = (expected, format!("`{}`", name.escape_debug()));
        Problem::usage("no such device", "option: --device", parts, "use `--device cpu`").into()
    })
}

fn without_gpus() -> Problem {
    Problem::missing(
        "this program was built without GPUs",
        "option: --device",
        "one that was built with the feature `cuda`",
        "build it with `cargo build --release -p stackgan-cli --features cuda` (docs/gpu.md), or use `--device cpu`",
    )
}

fn open(number: usize) -> Result<Device> {
    gpu::open(number).map_err(|error| {
        let expected = format!("GPU {number}, counted from 0, with NVIDIA's driver");
        let remedy = "see which there are with `nvidia-smi`, install or update the driver, or use `--device cpu`";
        let parts = (expected, first_line(&error));
        let problem = Problem::usage("the GPU does not answer", "option: --device", parts, remedy);
        Problem { exit: Exit::Missing, ..problem }.into()
    })
}

/// The precision on a device; by default TF32 on a GPU and f32 on a CPU.
fn precision_on(device: &Device, asked: Option<Precision>) -> Result<Precision> {
    match asked {
        Some(asked) if device.is_cpu() && asked != Precision::F32 => {
            let parts = ("`f32` on a CPU", format!("`{}`", asked.name()));
            let remedy = "leave the option out, or use a GPU: `--device cuda`";
            let what = "no such precision on this device";
            Err(Problem::usage(what, "option: --precision", parts, remedy).into())
        }
        Some(asked) => Ok(asked),
        None if device.is_cpu() => Ok(Precision::F32),
        None => Ok(Precision::Tf32),
    }
}

/// The name of a device: `cpu` or `cuda:N`.
pub(crate) fn name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
    }
}

/// The name of a GPU and its memory in bytes; `None` for a CPU.
#[cfg(feature = "cuda")]
pub(crate) fn gpu_facts(device: &Device) -> Option<(String, usize)> {
    let stream = device.as_cuda_device().ok()?.cuda_stream();
    let context = stream.context();
    Some((context.name().ok()?, context.total_mem().ok()?))
}

/// The name of a GPU and its memory in bytes; `None` for a CPU.
#[cfg(not(feature = "cuda"))]
pub(crate) const fn gpu_facts(_: &Device) -> Option<(String, usize)> {
    None
}

/// The message of an error without its backtrace.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_name() {
        for (text, wanted) in [
            ("auto", Wanted::Auto),
            ("cpu", Wanted::Cpu),
            ("cuda", Wanted::Cuda(0)),
            ("cuda:0", Wanted::Cuda(0)),
            ("cuda:12", Wanted::Cuda(12)),
        ] {
            assert_eq!(Wanted::parse(text), Some(wanted));
        }
        for bad in ["", "CPU", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:1234", "cuda0", "cuda:a"]
        {
            assert_eq!(Wanted::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cpu_computes_in_f32_alone() {
        let on = |asked| precision_on(&Device::Cpu, asked);
        assert_eq!(on(None).unwrap(), Precision::F32);
        assert_eq!(on(Some(Precision::F32)).unwrap(), Precision::F32);
        for asked in [Precision::Tf32, Precision::Bf16] {
            let error = on(Some(asked)).unwrap_err();
            assert_eq!(crate::exit::code(&error), Exit::Usage);
            assert!(error.to_string().contains("option: --precision"), "{error}");
        }
    }

    #[test]
    fn what_does_not_compute_needs_no_gpu_but_a_device_that_there_can_be() {
        let of = |name, precision, used| choose(name, precision, used, Manner::Quiet);
        let (device, precision) = of("auto", Some(Precision::Bf16), Use::Nothing).unwrap();
        assert!(device.is_cpu() && precision == Precision::F32);
        assert!(of("abacus", None, Use::Nothing).is_err());
        assert!(of("cpu", Some(Precision::Bf16), Use::Computes).is_err());
    }
}
