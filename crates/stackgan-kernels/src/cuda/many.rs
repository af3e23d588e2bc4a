//! All tensors of a network in one launch. How the table is read: `cuda/many.cu`.

use candle_core::{CudaDevice, DType, Result, Tensor, bail};

use super::device::{self, Arg, Grid, MANY};
use crate::adam::{AdamStep, Constants};
use crate::many::AdamUpdate;

/// Values per block.
const PIECE: usize = 1 << 14;

/// Whether all of these are `f32` and contiguous on a GPU.
pub(crate) fn applies<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> bool {
    tensors
        .into_iter()
        .all(|t| t.device().is_cuda() && t.dtype() == DType::F32 && t.is_contiguous())
}

/// Addresses, sizes and pieces of rows of tensors, on the device.
struct Table {
    device: CudaDevice,
    address: Arg,
    tensors: Arg,
    blocks: usize,
    _values: candle_core::cuda_backend::cudarc::driver::CudaSlice<u64>,
}

impl Table {
    /// Every row holds up to four tensors of one size.
    fn new(rows: &[&[&Tensor]]) -> Result<Self> {
        let Some(first) = rows.first().and_then(|row| row.first()) else { bail!("no tensors") };
        let device = device::of(first)?;
        let (mut values, mut pieces) = (Vec::with_capacity(5 * rows.len()), Vec::new());
        for (i, row) in rows.iter().enumerate() {
            let count = row.first().map_or(0, |t| t.elem_count());
            if row.iter().any(|t| t.elem_count() != count) {
                bail!(
                    "tensors of different sizes: {:?}",
                    row.iter().map(|t| t.dims()).collect::<Vec<_>>()
                );
            }
            for place in 0..4 {
                values.push(row.get(place).map(|t| device::address(t)).transpose()?.unwrap_or(0));
            }
            values.push(count as u64);
            pieces.extend((0..count.div_ceil(PIECE)).map(|piece| (i as u64) << 32 | piece as u64));
        }
        let blocks = pieces.len();
        values.extend(pieces);
        let values = device.clone_htod(&values)?;
        let address = {
            use candle_core::cuda_backend::cudarc::driver::DevicePtr as _;
            Arg::Address(values.device_ptr(&device.cuda_stream()).0)
        };
        let tensors = Arg::I32(device::int(rows.len())?);
        Ok(Self { device, address, tensors, blocks, _values: values })
    }

    fn launch(&self, kernel: &str, args: &[Arg]) -> Result<()> {
        let grid = Grid { blocks: (self.blocks as u32, 1), threads: (256, 1), shared: 0 };
        MANY.launch(&self.device, kernel, grid, &[&[self.address, self.tensors], args].concat())
    }

    /// The total of what each block sums, a scalar.
    fn total(&self, kernel: &str) -> Result<Tensor> {
        let sums = device::empty(&self.device, self.blocks, DType::F64)?;
        let out = device::empty(&self.device, (), DType::F32)?;
        let at = Arg::Address(device::address(&sums)?);
        self.launch(kernel, &[at])?;
        let args = [at, Arg::I32(device::int(self.blocks)?), Arg::Address(device::address(&out)?)];
        let grid = Grid { blocks: (1, 1), threads: (256, 1), shared: 0 };
        MANY.launch(&self.device, "many_total", grid, &args)?;
        Ok(out)
    }
}

pub(crate) fn adam_update_all(updates: &[AdamUpdate<'_>], cfg: AdamStep) -> Result<()> {
    let grads: Vec<Tensor> = updates.iter().map(|u| u.grad.contiguous()).collect::<Result<_>>()?;
    let rows: Vec<[&Tensor; 4]> = updates
        .iter()
        .zip(&grads)
        .map(|(u, grad)| [u.p.as_tensor(), grad, u.m.as_tensor(), u.v.as_tensor()])
        .collect();
    let rows: Vec<&[&Tensor]> = rows.iter().map(|row| &row[..]).collect();
    let c = Constants::new(cfg);
    let factors = [c.beta1, c.one_minus_beta1, c.beta2, c.one_minus_beta2, c.rate, c.root, c.eps];
    Table::new(&rows)?.launch("many_adam", &factors.map(Arg::F32))
}

fn pairs<'a>(pairs: &[(&'a Tensor, &'a Tensor)]) -> Result<Table> {
    let rows: Vec<[&Tensor; 2]> = pairs.iter().map(|(a, b)| [*a, *b]).collect();
    Table::new(&rows.iter().map(|row| &row[..]).collect::<Vec<_>>())
}

pub(crate) fn copy_all(to_and_from: &[(&Tensor, &Tensor)]) -> Result<()> {
    pairs(to_and_from)?.launch("many_copy", &[])
}

pub(crate) fn average_all(average_and_live: &[(&Tensor, &Tensor)], decay: f64) -> Result<()> {
    let factors = [Arg::F32(decay as f32), Arg::F32((1.0 - decay) as f32)];
    pairs(average_and_live)?.launch("many_average", &factors)
}

fn singles(tensors: &[&Tensor]) -> Result<Table> {
    Table::new(&tensors.iter().map(std::slice::from_ref).collect::<Vec<_>>())
}

pub(crate) fn squared_norm(tensors: &[&Tensor]) -> Result<Tensor> {
    singles(tensors)?.total("many_squares")
}

pub(crate) fn count_non_finite(tensors: &[&Tensor]) -> Result<Tensor> {
    singles(tensors)?.total("many_non_finite")
}
