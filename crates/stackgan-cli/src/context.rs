//! What every command needs: the device, the precision, and how progress is displayed.

use anyhow::{Context as _, Result};
use candle_core::Device;

use crate::args::{Global, Precision};
use crate::device::{self, Use};
use crate::progress::Manner;

/// The context of every command.
#[derive(Clone)]
pub(crate) struct Context {
    /// The device to compute on.
    pub device: Device,
    /// The precision of convolutions and products.
    pub precision: Precision,
    /// How progress is displayed on stderr.
    pub manner: Manner,
}

impl Context {
    /// Starts the threads and opens the device.
    ///
    /// # Errors
    /// As [`device::choose`], and when the threads cannot be started.
    pub(crate) fn new(global: &Global, used: Use) -> Result<Self> {
        if let Some(threads) = global.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(usize::from(threads))
                .build_global()
                .context("the threads cannot be started")?;
        }
        let manner = Manner::here(global.quiet);
        let (device, precision) = device::choose(&global.device, global.precision, used, manner)?;
        Ok(Self { device, precision, manner })
    }
}
