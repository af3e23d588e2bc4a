//! The CPU, or a GPU with its precision, opened as in the program.

use anyhow::{Context as _, Result, bail};
use candle_core::Device;
use serde_json::Value;
use stackgan_kernels::{Precision, gpu};

/// The device of a measurement.
pub(crate) struct Machine {
    pub(crate) device: Device,
    precision: &'static str,
}

impl Machine {
    /// Takes `--device` and `--precision` out of the arguments; returns the rest.
    pub(crate) fn of(arguments: &[String]) -> Result<(Self, Vec<&str>)> {
        let (mut device, mut numbers, mut rest) = ("cpu", None, Vec::new());
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "--device" => device = words.next().context("--device wants `cpu` or `cuda`")?,
                "--precision" => {
                    numbers = Some(words.next().context("--precision wants f32, tf32 or bf16")?);
                }
                word => rest.push(word),
            }
        }
        let (device, numbers) = match device {
            "cpu" => (Device::Cpu, numbers.unwrap_or("f32")),
            "cuda" => (gpu::open(0)?, numbers.unwrap_or("tf32")),
            other => bail!("expected the device cpu or cuda, found `{other}`"),
        };
        let (precision, name) = match numbers {
            "f32" => (Precision::F32, "f32"),
            "tf32" => (Precision::Tf32, "tf32"),
            "bf16" => (Precision::Bf16, "bf16"),
            other => bail!("expected the precision f32, tf32 or bf16, found `{other}`"),
        };
        if device.is_cpu() && precision != Precision::F32 {
            bail!("a CPU computes in f32, found --precision {name}");
        }
        gpu::set_precision(precision);
        Ok((Self { device, precision: name }, rest))
    }

    /// Adds the device to a line, and for a GPU the memory in use at the end. The process keeps
    /// freed memory, so that this is its peak.
    pub(crate) fn say(&self, line: &mut Value) {
        line["precision"] = self.precision.into();
        line["device"] = if self.device.is_cpu() { "cpu" } else { "cuda" }.into();
        #[cfg(feature = "cuda")]
        if let Ok(device) = self.device.as_cuda_device() {
            let stream = device.cuda_stream();
            if let Ok((free, total)) = stream.context().mem_get_info() {
                line["gpu_mib"] = ((total - free) >> 20).into();
            }
            line["gpu"] = stream.context().name().unwrap_or_default().into();
        }
    }
}
