//! Options of every command: the device, the precision, the threads and the amount of output.

use clap::{Args, ValueEnum};

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Where to compute: `cpu`, `cuda` or `cuda:N` (an NVIDIA GPU), or `auto` (the first GPU if
    /// there is one, else the CPU)
    #[arg(
        long,
        global = true,
        env = "STACKGAN_DEVICE",
        default_value = "auto",
        value_name = "DEVICE"
    )]
    pub device: String,
    /// Precision of convolutions and matrix products on a GPU; default: tf32. A CPU supports f32
    /// only
    #[arg(long, global = true, env = "STACKGAN_PRECISION", value_enum, value_name = "NUMBERS")]
    pub precision: Option<Precision>,
    /// Number of compute threads; default: all of the machine's
    #[arg(long, global = true, env = "STACKGAN_THREADS", value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print only results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// Precision of convolutions and matrix products. Weights, losses and optimisers are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// 32 bits
    F32,
    /// Factors rounded to 10 fractional bits, sums of 32 bits
    Tf32,
    /// Factors and results of 16 bits (bfloat16), sums of 32 bits
    Bf16,
}

impl From<Precision> for stackgan_kernels::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Tf32 => Self::Tf32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

impl Precision {
    /// Returns the value's name as it is typed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
}
