//! The device, its memory and kernel launches. Everything runs in order on the device's single
//! stream, whichever thread queues it.
//!
//! Kernels take raw addresses, which order nothing between streams. So no address is taken of a
//! tensor of a device that candle's `Device::new_cuda` opened: there each thread of the host has a
//! stream of its own, and one thread could read what another has not written yet.
#![allow(unsafe_code, reason = "calls of the driver, launches, and memory that is not written yet")]

use candle_core::backend::BackendStorage as _;
use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, CudaStream, DevicePtr as _, DeviceRepr, LaunchConfig, PushKernelArg as _, result,
    sys,
};
use candle_core::op::BackpropOp;
use candle_core::{
    CudaDevice, CudaStorage, DType, Device, Error, Layout, Result, Shape, Storage, Tensor, bail,
};
use half::bf16;

/// The handle of the stream that is another one in each thread, `CU_STREAM_PER_THREAD`.
const OF_EACH_THREAD: usize = 2;

/// The oldest GPUs that the kernels are compiled for, as a compute capability.
const OLDEST: (i32, i32) = (8, 0);

/// Opens a GPU whose freed memory stays with the process and whose tensors are used on one stream
/// only, by whatever thread.
pub(crate) fn open(ordinal: usize) -> Result<Device> {
    // Not `new_cuda`, which gives each thread of the host a stream of its own: tensors that one
    // thread makes and another uses would then be in no order.
    let device = Device::new_cuda_with_stream(ordinal)?;
    let cuda = device.as_cuda_device()?;
    // SAFETY: all threads use the one stream that was just made, and what comes over the one of a
    // `Sender` is ordered by its own events. So no order between streams needs tracking.
    unsafe { cuda.disable_event_tracking() };
    let stream = cuda.cuda_stream();
    let context = stream.context();
    context.bind_to_thread().map_err(Error::wrap)?;
    let (major, minor) = context.compute_capability().map_err(Error::wrap)?;
    if (major, minor) < OLDEST {
        let (least, _) = OLDEST;
        bail!("a GPU of compute capability {major}.{minor}, and {least}.0 or later is needed");
    }
    if context.has_async_alloc() {
        let mut most = u64::MAX;
        // SAFETY: the device exists, the pool belongs to it, and the attribute is a u64.
        unsafe {
            let pool = pool(context)?;
            let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
            result::mem_pool::set_attribute(pool, threshold, (&raw mut most).cast())
                .map_err(Error::wrap)?;
        }
    }
    Ok(device)
}

/// Returns the pool that tensors are allocated from. Some devices have none.
fn pool(context: &CudaContext) -> Result<sys::CUmemoryPool> {
    // SAFETY: the device of a context exists.
    unsafe { result::device::get_default_mem_pool(context.cu_device()) }.map_err(Error::wrap)
}

/// Gives the memory that no tensor uses back to the device, after all work that is queued.
pub(super) fn release(stream: &CudaStream) -> Result<()> {
    stream.synchronize().map_err(Error::wrap)?;
    // SAFETY: the pool belongs to the device, and what is allocated from it stays.
    unsafe { result::mem_pool::trim_to(pool(stream.context())?, 0) }.map_err(Error::wrap)
}

/// Returns the device of a tensor that is on a GPU.
pub(super) fn of(x: &Tensor) -> Result<CudaDevice> {
    x.device().as_cuda_device().cloned()
}

/// Allocates uninitialised `f32`, `f64`, `bf16` or `u8` values.
fn allocated(device: &CudaDevice, count: usize, dtype: DType) -> Result<CudaStorage> {
    let (count, own) = (count.max(1), device.clone());
    // SAFETY: the caller writes every value before one is read; each kernel covers its whole
    // output.
    Ok(unsafe {
        match dtype {
            DType::F32 => CudaStorage::wrap_cuda_slice(device.alloc::<f32>(count)?, own),
            DType::F64 => CudaStorage::wrap_cuda_slice(device.alloc::<f64>(count)?, own),
            DType::BF16 => CudaStorage::wrap_cuda_slice(device.alloc::<bf16>(count)?, own),
            DType::U8 => CudaStorage::wrap_cuda_slice(device.alloc::<u8>(count)?, own),
            other => bail!("no maps of {other:?} on a GPU"),
        }
    })
}

/// Allocates a tensor of uninitialised `f32`, `f64`, `bf16` or `u8` values.
pub(super) fn empty(device: &CudaDevice, shape: impl Into<Shape>, dtype: DType) -> Result<Tensor> {
    let shape = shape.into();
    let storage = allocated(device, shape.elem_count(), dtype)?;
    Ok(Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false))
}

/// Allocates `count` uninitialised `f32` values for what candle wraps itself. Also returns their
/// address.
pub(super) fn output(device: &CudaDevice, count: usize) -> Result<(CudaStorage, Arg)> {
    let storage = allocated(device, count, DType::F32)?;
    let address = start(&storage, &Layout::contiguous(count))?;
    Ok((storage, Arg::Address(address)))
}

/// Returns the address of a contiguous tensor on a GPU.
///
/// It is valid for launches that are queued while the tensor is alive, because memory is freed in
/// stream order.
pub(super) fn address(x: &Tensor) -> Result<u64> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cuda(storage) => start(storage, layout),
        _ => bail!("expected a tensor on a GPU, found one on {:?}", x.device()),
    }
}

/// Returns the [`address`] of the values of a contiguous tensor, of which this is the storage and
/// the layout.
fn start(storage: &CudaStorage, layout: &Layout) -> Result<u64> {
    if !layout.is_contiguous() {
        bail!("expected a contiguous tensor, found {layout:?}");
    }
    let (stream, dtype) = (storage.device.cuda_stream(), storage.dtype());
    if stream.cu_stream().addr() == OF_EACH_THREAD {
        bail!(
            "expected a GPU with one stream for all threads, found one with a stream for each, as \
             `Device::new_cuda` opens it; open it with `stackgan_core::kernels::gpu::open`"
        );
    }
    let start = match dtype {
        DType::F32 => storage.as_cuda_slice::<f32>()?.device_ptr(&stream).0,
        DType::F64 => storage.as_cuda_slice::<f64>()?.device_ptr(&stream).0,
        DType::BF16 => storage.as_cuda_slice::<bf16>()?.device_ptr(&stream).0,
        DType::U8 => storage.as_cuda_slice::<u8>()?.device_ptr(&stream).0,
        other => bail!("no maps of {other:?} on a GPU"),
    };
    Ok(start + (layout.start_offset() * dtype.size_in_bytes()) as u64)
}

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub(super) enum Arg {
    Address(u64),
    I32(i32),
    I64(i64),
    F32(f32),
    F64(f64),
}

/// Converts a size to the type that kernels and cuDNN take.
pub(super) fn narrow(size: usize) -> Result<i32> {
    i32::try_from(size).map_err(|_| Error::Msg(format!("{size} is too large for a GPU")))
}

/// Returns the [`address`] of a tensor of any type that maps have.
pub(super) fn at(x: &Tensor) -> Result<Arg> {
    address(x).map(Arg::Address)
}

/// Returns the [`address`] of a tensor that is not a map. Kernels read it as `f32`, which it must
/// be.
pub(super) fn f32_at(x: &Tensor) -> Result<Arg> {
    wants_f32(x.dtype())?;
    at(x)
}

/// The same for the values of a tensor of which this is the storage and the layout.
pub(super) fn f32_in(storage: &CudaStorage, layout: &Layout) -> Result<Arg> {
    wants_f32(storage.dtype())?;
    start(storage, layout).map(Arg::Address)
}

/// Returns an error unless values are `f32`.
pub(super) fn wants_f32(dtype: DType) -> Result<()> {
    match dtype {
        DType::F32 => Ok(()),
        other => bail!("expected f32 values on a GPU, found {other:?}"),
    }
}

/// Returns a size, as kernels take it.
pub(super) fn int(size: usize) -> Result<Arg> {
    narrow(size).map(Arg::I32)
}

/// Returns the number of values of a tensor.
pub(super) fn count(x: &Tensor) -> Arg {
    Arg::I64(x.elem_count() as i64)
}

/// The kernels of one source file.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    pub(super) name: &'static str,
    pub(super) ptx: &'static str,
}

macro_rules! kernels {
    ($name:ident, $file:literal) => {
        pub(super) const $name: Kernels = Kernels {
            name: concat!("stackgan_", $file),
            ptx: include_str!(concat!(env!("OUT_DIR"), "/", $file, ".ptx")),
        };
    };
}
kernels!(NORM, "norm");
kernels!(MAPS, "maps");
kernels!(CLASSIFIERS, "classifiers");
kernels!(MANY, "many");
kernels!(LOSSES, "losses");
kernels!(AUGMENT, "augment");

/// The blocks, threads and shared memory of a launch.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) blocks: (u32, u32, u32),
    pub(super) threads: (u32, u32),
    pub(super) shared: u32,
}

impl Grid {
    /// Returns a grid with one thread per value, or several values per thread if there are very
    /// many.
    pub(super) fn over(count: usize) -> Self {
        let blocks = count.div_ceil(256).clamp(1, 1 << 16) as u32;
        Self { blocks: (blocks, 1, 1), threads: (256, 1), shared: 0 }
    }
}

impl Kernels {
    /// Queues one launch.
    pub(super) fn launch(
        self,
        device: &CudaDevice,
        kernel: &str,
        grid: Grid,
        args: &[Arg],
    ) -> Result<()> {
        self.launch_with(device, kernel, grid, (None::<&u8>, args))
    }

    /// Queues one launch whose first argument is a larger value.
    pub(super) fn launch_with<T: DeviceRepr>(
        self,
        device: &CudaDevice,
        kernel: &str,
        grid: Grid,
        (first, args): (Option<&T>, &[Arg]),
    ) -> Result<()> {
        let function = device.get_or_load_custom_func(kernel, self.name, self.ptx)?;
        let mut builder = function.builder();
        if let Some(first) = first {
            builder.arg(first);
        }
        for arg in args {
            match arg {
                Arg::Address(v) => builder.arg(v),
                Arg::I32(v) => builder.arg(v),
                Arg::I64(v) => builder.arg(v),
                Arg::F32(v) => builder.arg(v),
                Arg::F64(v) => builder.arg(v),
            };
        }
        let config = LaunchConfig {
            grid_dim: grid.blocks,
            block_dim: (grid.threads.0, grid.threads.1, 1),
            shared_mem_bytes: grid.shared,
        };
        // SAFETY: the callers pass the arguments that the kernel expects, and addresses of tensors
        // whose element types and sizes they have checked: these cover all memory that the kernel
        // reads and writes.
        unsafe { builder.launch(config) }.map_err(Error::wrap)?;
        Ok(())
    }

    /// Queues a launch over `count` values of a kernel that has one form per element type of maps.
    pub(super) fn each(
        self,
        like: &Tensor,
        kernel: &str,
        count: usize,
        args: &[Arg],
    ) -> Result<()> {
        let suffix = suffix(like.dtype())?;
        self.launch(&of(like)?, &format!("{kernel}_{suffix}"), Grid::over(count), args)
    }
}

/// Returns the suffix of the kernel names for this element type.
pub(super) fn suffix(dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("f32"),
        DType::BF16 => Ok("bf16"),
        other => bail!("no maps of {other:?} on a GPU"),
    }
}
