//! Operations on all tensors of a network in few launches. The kernels are in `cuda/many.cu`.
#![allow(unsafe_code, reason = "a table that is passed to kernels by value")]

use candle_core::cuda_backend::cudarc::driver::DeviceRepr;
use candle_core::{CudaDevice, DType, Result, Tensor, Var, bail};

use super::device::{self, Arg, Grid, MANY, at, f32_at, int};
use crate::AdamUpdate;

/// Largest number of rows of one launch.
const MOST: usize = 72;

/// Number of values per block.
const PIECE: usize = 1 << 14;

/// Returns whether all tensors are `f32`, contiguous, not empty and on a GPU.
pub(crate) fn applies<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> bool {
    tensors.into_iter().all(|t| {
        let few = t.elem_count() > 0 && u32::try_from(t.elem_count()).is_ok();
        t.device().is_cuda() && t.dtype() == DType::F32 && t.is_contiguous() && few
    })
}

/// The rows of a launch, passed to the kernel by value.
#[repr(C)]
#[derive(Clone, Copy)]
struct Table {
    address: [[u64; MOST]; 4],
    count: [u32; MOST],
    first: [u32; MOST],
    rows: u32,
    blocks_before: u32,
}

// SAFETY: plain numbers, in the order of `Table` in `cuda/many.cu`.
unsafe impl DeviceRepr for Table {}

/// The launches over rows of up to four `f32` tensors of the same size.
struct Launches {
    device: CudaDevice,
    tables: Vec<(Table, u32)>, // each with its number of blocks
    blocks: u32,
}

impl Launches {
    fn over<const N: usize>(rows: &[[&Tensor; N]]) -> Result<Self> {
        let Some([first, ..]) = rows.first().map(|row| &row[..]) else { bail!("no tensors") };
        let device = device::of(first)?;
        let (mut tables, mut before) = (Vec::new(), 0u32);
        for rows in rows.chunks(MOST) {
            let mut table = Table {
                address: [[0; MOST]; 4],
                count: [0; MOST],
                first: [0; MOST],
                rows: rows.len() as u32,
                blocks_before: before,
            };
            let mut blocks = 0u32;
            for (i, row) in rows.iter().enumerate() {
                let count = row[0].elem_count();
                if row.iter().any(|t| t.elem_count() != count) {
                    let sizes: Vec<_> = row.iter().map(|t| t.dims()).collect();
                    bail!("tensors of different sizes: {sizes:?}");
                }
                for (place, tensor) in row.iter().enumerate() {
                    device::wants_f32(tensor.dtype())?;
                    table.address[place][i] = device::address(tensor)?;
                }
                (table.count[i], table.first[i]) = (count as u32, blocks);
                blocks += count.div_ceil(PIECE) as u32;
            }
            tables.push((table, blocks));
            before += blocks;
        }
        Ok(Self { device, tables, blocks: before })
    }

    fn launch(&self, kernel: &str, args: &[Arg]) -> Result<()> {
        self.tables.iter().try_for_each(|(table, blocks)| {
            let grid = Grid { blocks: (*blocks, 1, 1), threads: (256, 1), shared: 0 };
            MANY.launch_with(&self.device, kernel, grid, (Some(table), args))
        })
    }

    /// Returns the total of the sums of all blocks, a scalar.
    fn total(&self, kernel: &str) -> Result<Tensor> {
        let sums = device::empty(&self.device, self.blocks as usize, DType::F64)?;
        let out = device::empty(&self.device, (), DType::F32)?;
        let address = at(&sums)?;
        self.launch(kernel, &[address])?;
        let blocks = int(self.blocks as usize)?;
        let args = [address, blocks, at(&out)?];
        let grid = Grid { blocks: (1, 1, 1), threads: (256, 1), shared: 0 };
        MANY.launch(&self.device, "many_total", grid, &args)?;
        Ok(out)
    }
}

pub(crate) fn adam_update_all(updates: &[AdamUpdate<'_>], factors: &Var) -> Result<()> {
    let grads: Vec<Tensor> = updates.iter().map(|u| u.grad.contiguous()).collect::<Result<_>>()?;
    let rows: Vec<[&Tensor; 4]> = updates
        .iter()
        .zip(&grads)
        .map(|(u, grad)| [u.p.as_tensor(), grad, u.m.as_tensor(), u.v.as_tensor()])
        .collect();
    let factors = f32_at(factors)?;
    Launches::over(&rows)?.launch("many_adam", &[factors])
}

fn pairs(pairs: &[(&Tensor, &Tensor)]) -> Result<Launches> {
    Launches::over(&pairs.iter().map(|(a, b)| [*a, *b]).collect::<Vec<_>>())
}

pub(crate) fn copy_all(to_and_from: &[(&Tensor, &Tensor)]) -> Result<()> {
    pairs(to_and_from)?.launch("many_copy", &[])
}

pub(crate) fn average_all(average_and_live: &[(&Tensor, &Tensor)], decay: f64) -> Result<()> {
    let factors = [Arg::F32(decay as f32), Arg::F32((1.0 - decay) as f32)];
    pairs(average_and_live)?.launch("many_average", &factors)
}

fn singles(tensors: &[&Tensor]) -> Result<Launches> {
    Launches::over(&tensors.iter().map(|t| [*t]).collect::<Vec<_>>())
}

pub(crate) fn squared_norm(tensors: &[&Tensor]) -> Result<Tensor> {
    singles(tensors)?.total("many_squares")
}

pub(crate) fn count_non_finite(tensors: &[&Tensor]) -> Result<Tensor> {
    singles(tensors)?.total("many_non_finite")
}
