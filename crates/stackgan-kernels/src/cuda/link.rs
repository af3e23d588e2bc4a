//! Maps on a GPU, and how gradients go from one to the next.
//!
//! candle walks the graph and decides what is differentiated; the maps themselves and their gradients pass beside it. Each
//! [`Map`] has a handle, a tensor of one value that candle knows, and a cell into which whoever used the map puts its
//! gradient. This way an operation may take any number of maps, and a gradient that arrives first is taken as it is: candle
//! would fill zeros and add to them, which costs as much as a batch norm.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result,
    Shape, Tensor, bail,
};

use super::device::{self, Arg, MAPS};
use crate::Precision;

/// Feature maps `(N, H, W, C)` on a GPU; few channels have zeros, or anything, behind them, see [`padded`].
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(super) values: Tensor,
    pub(super) channels: usize,
    pub(super) precision: Precision,
    pub(super) gradient: Gradient,
    handle: Tensor,
    zero: Tensor, // the gradient of every handle
}

/// Values that a pixel of `channels` takes where it may take more: tensor cores read 16 bytes at a time.
pub(super) fn padded(channels: usize, precision: Precision) -> usize {
    let full = 16 / precision.dtype().size_in_bytes();
    if channels < full { full } else { channels }
}

/// What an operation is computed from.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    Map(&'a Map),
    Tensor(&'a Tensor),
}

impl<'a> Input<'a> {
    fn tensor(self) -> &'a Tensor {
        match self {
            Self::Map(map) => &map.handle,
            Self::Tensor(tensor) => tensor,
        }
    }
}

impl Map {
    /// Whether anything asks for a gradient of these maps.
    pub(super) fn is_tracked(&self) -> bool {
        self.handle.track_op()
    }

    /// The sizes `(n, h, w, c)`.
    pub(crate) fn sizes(&self) -> Result<(usize, usize, usize, usize)> {
        let (n, h, w, _) = self.values.dims4()?;
        Ok((n, h, w, self.channels))
    }

    /// Values that a pixel takes.
    pub(super) fn stride(&self) -> Result<usize> {
        self.values.dim(3)
    }
}

/// Where the gradient of a map is put together.
#[derive(Clone, Debug, Default)]
pub(super) struct Gradient(Arc<Mutex<Option<Tensor>>>);

impl Gradient {
    /// Adds a part.
    pub(super) fn add(&self, part: Tensor) -> Result<()> {
        let mut cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *cell = Some(match cell.take() {
            None => part,
            Some(sum) => {
                let device = device::of(&sum)?;
                let out = device::empty(&device, sum.shape(), sum.dtype())?;
                let count = sum.elem_count();
                let args = [
                    Arg::Address(device::address(&sum)?),
                    Arg::Address(device::address(&part)?),
                    Arg::Address(device::address(&out)?),
                    Arg::I64(count as i64),
                ];
                MAPS.each(&sum, "add", count.div_ceil(4), &args)?;
                out
            }
        });
        Ok(())
    }

    /// Takes it; every user of the map has added its part.
    pub(super) fn take(&self) -> Result<Tensor> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match taken {
            Some(gradient) => Ok(gradient),
            None => bail!("maps on a GPU: a gradient is missing"),
        }
    }
}

/// What an operation does when its output's gradient has come: gives the maps among its inputs theirs, and returns those of
/// the tensors among its inputs, in their places.
type Backward = Box<dyn Fn() -> Result<[Option<Tensor>; 3]> + Send + Sync>;

struct Link {
    name: &'static str,
    backward: Backward,
    maps: [bool; 3],
    zero: Tensor,
}

/// The map of `values` with so many channels, computed from `inputs`, at most three.
pub(super) fn linked(
    name: &'static str,
    inputs: &[Input<'_>],
    (values, channels): (Tensor, usize),
    precision: Precision,
    backward: impl FnOnce(Gradient) -> Backward,
) -> Result<Map> {
    let zero = inputs.iter().find_map(|input| match input {
        Input::Map(map) => Some(Ok(map.zero.clone())),
        Input::Tensor(_) => None,
    });
    let zero = zero.unwrap_or_else(|| Tensor::zeros(1, DType::F32, values.device()))?;
    let gradient = Gradient::default();
    let mut maps = [false; 3];
    for (is_map, input) in maps.iter_mut().zip(inputs) {
        *is_map = matches!(input, Input::Map(_));
    }
    let link = Link { name, backward: backward(gradient.clone()), maps, zero: zero.clone() };
    let handle = match inputs {
        [a] => a.tensor().apply_op1(link)?,
        [a, b] => a.tensor().apply_op2(b.tensor(), link)?,
        [a, b, c] => a.tensor().apply_op3(b.tensor(), c.tensor(), link)?,
        _ => bail!("{name}: one to three inputs, found {}", inputs.len()),
    };
    Ok(Map { values, channels, precision, gradient, handle, zero })
}

impl Link {
    fn forward(&self, device: &CudaDevice) -> Result<(CudaStorage, Shape)> {
        // SAFETY: nobody reads a handle's value.
        let slice = unsafe { device.alloc::<f32>(1)? };
        Ok((CudaStorage::wrap_cuda_slice(slice, device.clone()), Shape::from(1)))
    }

    fn on_cpu(&self) -> Result<(CpuStorage, Shape)> {
        bail!("{}: this form is for maps on a GPU", self.name)
    }

    /// Gradients of all inputs; a handle's says nothing.
    fn gradients(&self, inputs: [Option<&Tensor>; 3]) -> Result<[Option<Tensor>; 3]> {
        let mut gradients = (self.backward)()?;
        for ((gradient, input), is_map) in gradients.iter_mut().zip(inputs).zip(self.maps) {
            if is_map && input.is_some_and(Tensor::track_op) {
                *gradient = Some(self.zero.clone());
            }
        }
        Ok(gradients)
    }
}

impl CustomOp1 for Link {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(&self, s: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.forward(&s.device)
    }

    fn bwd(&self, a: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        let [da, _, _] = self.gradients([Some(a), None, None])?;
        Ok(da)
    }
}

impl CustomOp2 for Link {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(
        &self,
        s: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward(&s.device)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [da, db, _] = self.gradients([Some(a), Some(b), None])?;
        Ok((da, db))
    }
}

impl CustomOp3 for Link {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(
        &self,
        s: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward(&s.device)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [da, db, dc] = self.gradients([Some(a), Some(b), Some(c)])?;
        Ok((da, db, dc))
    }
}

/// What leaves the graph of maps: a tensor of `f32` that candle knows, of `shape`; `backward` gets its gradient.
pub(super) fn left(
    name: &'static str,
    map: &Map,
    output: CudaSlice<f32>,
    shape: impl Into<Shape>,
    backward: impl Fn(&Tensor) -> Result<()> + Send + Sync + 'static,
) -> Result<Tensor> {
    let output = CudaStorage::wrap_cuda_slice(output, device::of(&map.values)?);
    let (output, shape) = (Mutex::new(Some(output)), shape.into());
    map.handle.apply_op1(Exit { name, output, shape, backward, zero: map.zero.clone() })
}

struct Exit<F> {
    name: &'static str,
    output: Mutex<Option<CudaStorage>>,
    shape: Shape,
    backward: F,
    zero: Tensor,
}

impl<F: Fn(&Tensor) -> Result<()>> CustomOp1 for Exit<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{}: this form is for maps on a GPU", self.name)
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        match self.output.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(output) => Ok((output, self.shape.clone())),
            None => bail!("{}: taken twice", self.name),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        (self.backward)(&grad.contiguous()?)?;
        Ok(Some(self.zero.clone()))
    }
}
