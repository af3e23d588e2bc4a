//! cuDNN's convolutions of `(N, H, W, C)` maps with `(Cout, kh, kw, Cin)` weights.
//!
//! Descriptors and algorithms are looked up once for each shape and cached per thread.
#![allow(unsafe_code, reason = "calls of cuDNN")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::rc::Rc;

use candle_core::cuda_backend::DeviceId;
use candle_core::cuda_backend::cudarc::cudnn::{CudnnError, result, sys};
use candle_core::{CudaDevice, DType, Error, Result, Tensor, bail};

use super::device;
use crate::{Precision, gpu};

/// The sizes of a convolution's input and kernel, its stride and its padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Geometry {
    pub(super) images: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) kernel: (usize, usize),
    pub(super) stride: usize,
    pub(super) padding: usize,
}

impl Geometry {
    pub(super) fn out(&self) -> (usize, usize) {
        let side = |size: usize, k: usize| (size + 2 * self.padding - k) / self.stride + 1;
        (side(self.height, self.kernel.0), side(self.width, self.kernel.1))
    }
}

/// Largest workspace of an algorithm, in bytes.
const MOST: usize = 1 << 30;

thread_local! {
    static HANDLES: RefCell<HashMap<DeviceId, sys::cudnnHandle_t>> = RefCell::default();
    static PLANS: RefCell<HashMap<(DeviceId, Geometry, Precision), Rc<Plan>>> = RefCell::default();
}

/// Returns this thread's cuDNN handle for the stream of a device. It is kept until the program
/// ends.
fn handle(device: &CudaDevice) -> Result<sys::cudnnHandle_t> {
    HANDLES.with_borrow_mut(|handles| {
        if let Some(handle) = handles.get(&device.id()) {
            return Ok(*handle);
        }
        let stream = device.cuda_stream();
        let handle = result::create_handle().map_err(wrong)?;
        // SAFETY: the handle has just been created, and the stream lives as long as the device.
        unsafe { result::set_stream(handle, stream.cu_stream().cast()) }.map_err(wrong)?;
        handles.insert(device.id(), handle);
        Ok(handle)
    })
}

fn wrong(error: CudnnError) -> Error {
    Error::Msg(format!("cuDNN: {error:?}"))
}

/// The direction of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `y` from `x` and `w`.
    Forward,
    /// The gradient of `x` from `w` and the gradient of `y`.
    Input,
    /// The gradient of `w` from `x` and the gradient of `y`.
    Weight,
}

/// The algorithm of one direction, with its workspace and math type.
#[derive(Clone, Copy)]
struct Choice<A> {
    algorithm: A,
    workspace: usize,
    math: sys::cudnnMathType_t,
}

/// The algorithms that remain for one direction, fastest first; `None` until cuDNN was asked. Once
/// one has worked, it is the only one.
type Choices<A> = RefCell<Option<Vec<Choice<A>>>>;

/// The descriptors of a convolution and its algorithms.
///
/// Plans are kept until the thread ends. There are only as many as there are layers.
struct Plan {
    x: sys::cudnnTensorDescriptor_t,
    w: sys::cudnnFilterDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    conv: sys::cudnnConvolutionDescriptor_t,
    math: sys::cudnnMathType_t,
    forward: Choices<sys::cudnnConvolutionFwdAlgo_t>,
    input: Choices<sys::cudnnConvolutionBwdDataAlgo_t>,
    weight: Choices<sys::cudnnConvolutionBwdFilterAlgo_t>,
}

fn plan(device: &CudaDevice, g: &Geometry, precision: Precision) -> Result<Rc<Plan>> {
    PLANS.with_borrow_mut(|plans| {
        let key = (device.id(), *g, precision);
        if let Some(plan) = plans.get(&key) {
            return Ok(Rc::clone(plan));
        }
        let plan = Rc::new(Plan::new(g, precision)?);
        plans.insert(key, Rc::clone(&plan));
        Ok(plan)
    })
}

impl Plan {
    fn new(g: &Geometry, precision: Precision) -> Result<Self> {
        let format = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        let (dtype, math) = match precision {
            Precision::F32 => {
                (sys::cudnnDataType_t::CUDNN_DATA_FLOAT, sys::cudnnMathType_t::CUDNN_FMA_MATH)
            }
            Precision::Tf32 => {
                (sys::cudnnDataType_t::CUDNN_DATA_FLOAT, sys::cudnnMathType_t::CUDNN_DEFAULT_MATH)
            }
            Precision::Bf16 => (
                sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
                sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
            ),
        };
        let dims = |sizes: [usize; 4]| -> Result<[i32; 4]> {
            let mut out = [0; 4];
            for (to, from) in out.iter_mut().zip(sizes) {
                *to = device::narrow(from)?;
            }
            Ok(out)
        };
        let (height, width) = g.out();
        let x_dims = dims([g.images, g.in_channels, g.height, g.width])?;
        let w_dims = dims([g.out_channels, g.in_channels, g.kernel.0, g.kernel.1])?;
        let y_dims = dims([g.images, g.out_channels, height, width])?;
        let (pad, stride) = (device::narrow(g.padding)?, device::narrow(g.stride)?);
        let made = || -> std::result::Result<Self, CudnnError> {
            let (x, y) = (result::create_tensor_descriptor()?, result::create_tensor_descriptor()?);
            let (w, conv) =
                (result::create_filter_descriptor()?, result::create_convolution_descriptor()?);
            // SAFETY: the descriptors have just been created.
            unsafe {
                result::set_tensor4d_descriptor(x, format, dtype, x_dims)?;
                result::set_tensor4d_descriptor(y, format, dtype, y_dims)?;
                result::set_filter4d_descriptor(w, dtype, format, w_dims)?;
                let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
                let float = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
                result::set_convolution2d_descriptor(
                    conv, pad, pad, stride, stride, 1, 1, mode, float,
                )?;
                result::set_convolution_math_type(conv, math)?;
            }
            let (forward, input, weight) = Default::default();
            Ok(Self { x, w, y, conv, math, forward, input, weight })
        };
        made().map_err(wrong)
    }
}

fn set_math(plan: &Plan, math: sys::cudnnMathType_t) -> Result<()> {
    // SAFETY: the descriptor lives as long as its plan.
    unsafe { result::set_convolution_math_type(plan.conv, math) }.map_err(wrong)
}

/// Asks cuDNN, once, for the algorithms of a direction that are deterministic and need no more
/// workspace than [`MOST`]. They are for the plan's math type.
macro_rules! ask {
    ($plan:expr, $handle:expr, $choices:ident, $perf:ident, $get:ident, ($($desc:ident),*)) => {{
        let plan = $plan;
        if plan.$choices.borrow().is_none() {
            set_math(plan, plan.math)?;
            const ASKED: usize = 16;
            let mut count = 0;
            // SAFETY: the structure consists of plain numbers and enumerations for which zero is
            // valid.
            let mut found: [sys::$perf; ASKED] = unsafe { std::mem::zeroed() };
            // SAFETY: handle and descriptors are alive, and the array has room for all requested
            // answers.
            unsafe {
                sys::$get($handle, $(plan.$desc),*, ASKED as i32, &raw mut count, found.as_mut_ptr())
            }
            .result()
            .map_err(wrong)?;
            let fits = |p: &&sys::$perf| {
                p.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                    && p.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC
                    && p.memory <= MOST
            };
            let found = found.get(..count as usize).unwrap_or_default().iter().filter(fits);
            let choice = |p: &sys::$perf| {
                Choice { algorithm: p.algo, workspace: p.memory, math: p.mathType }
            };
            *plan.$choices.borrow_mut() = Some(found.map(choice).collect());
        }
        &plan.$choices
    }};
}

/// Calls cuDNN with the fastest algorithm that works. Returns whether there is any.
///
/// An algorithm that cuDNN names may fail all the same. Then the next one is tried, and kept.
fn run<A: Copy>(
    plan: &Plan,
    choices: &Choices<A>,
    device: &CudaDevice,
    call: impl Fn(A, *mut c_void, usize) -> std::result::Result<(), CudnnError>,
) -> Result<bool> {
    let mut choices = choices.borrow_mut();
    let Some(choices) = choices.as_mut() else { return Ok(false) };
    while let Some(choice) = choices.first().copied() {
        set_math(plan, choice.math)?;
        let bytes = choice.workspace;
        let space = (bytes > 0).then(|| device::empty(device, bytes, DType::U8)).transpose()?;
        let address = space.as_ref().map(device::address).transpose()?.unwrap_or_default();
        match call(choice.algorithm, address as *mut c_void, bytes).map_err(wrong) {
            Ok(()) => {
                choices.truncate(1);
                return Ok(true);
            }
            Err(error) if choices.len() == 1 || gpu::memory_is_full(&error) => return Err(error),
            Err(_) => drop(choices.remove(0)),
        }
    }
    Ok(false)
}

/// Runs one convolution and returns a new tensor. `a` and `b` are the operands that [`Way`] names,
/// in its order.
///
/// For some batches (weight gradients in `f32` of large batches) cuDNN has no deterministic
/// algorithm, or only one that needs more workspace than [`MOST`]. Such a batch is split into
/// halves. Their weight gradients are added in `f32`, which is then the type of the result.
pub(super) fn convolve(
    way: Way,
    g: &Geometry,
    precision: Precision,
    a: &Tensor,
    b: &Tensor,
) -> Result<Tensor> {
    if let Some(whole) = convolve_whole(way, g, precision, a, b)? {
        return Ok(whole);
    }
    if g.images < 2 {
        bail!("cuDNN has no algorithm that gives the same bits every time for this convolution");
    }
    let half = |from: usize, images: usize| -> Result<Tensor> {
        let g = Geometry { images, ..*g };
        let of = |t: &Tensor| t.narrow(0, from, images);
        match way {
            Way::Forward => convolve(way, &g, precision, &of(a)?, b),
            Way::Input => convolve(way, &g, precision, a, &of(b)?),
            Way::Weight => convolve(way, &g, precision, &of(a)?, &of(b)?),
        }
    };
    let first = g.images / 2;
    let (first, second) = (half(0, first)?, half(first, g.images - first)?);
    match way {
        Way::Forward | Way::Input => Tensor::cat(&[first, second], 0),
        Way::Weight => first.to_dtype(DType::F32)? + second.to_dtype(DType::F32)?,
    }
}

/// Maximum number of values of a tensor that cuDNN describes.
const LARGEST: usize = i32::MAX as usize;

/// Runs the convolution of the whole batch, or returns `None` if there is no algorithm for it.
fn convolve_whole(
    way: Way,
    g: &Geometry,
    precision: Precision,
    a: &Tensor,
    b: &Tensor,
) -> Result<Option<Tensor>> {
    let device = device::of(a)?;
    let dtype = a.dtype();
    if b.dtype() != dtype {
        bail!("convolution on a GPU: {dtype:?} with {:?}", b.dtype());
    }
    let (height, width) = g.out();
    let values = [(g.height, g.width, g.in_channels), (height, width, g.out_channels)];
    let most = values.map(|(height, width, channels)| g.images * height * width * channels);
    if most.into_iter().any(|values| values > LARGEST) {
        return Ok(None);
    }
    let shape = match way {
        Way::Forward => (g.images, height, width, g.out_channels),
        Way::Input => (g.images, g.height, g.width, g.in_channels),
        Way::Weight => (g.out_channels, g.kernel.0, g.kernel.1, g.in_channels),
    };
    let out = device::empty(&device, shape, dtype)?;
    let (plan, handle) = (plan(&device, g, precision)?, handle(&device)?);
    let pointer = |t: &Tensor| Ok::<_, Error>(device::address(t)? as *mut c_void);
    let (a, b, c) = (pointer(a)?, pointer(b)?, pointer(&out)?);
    let (one, zero) = (1f32, 0f32);
    let (alpha, beta) = ((&raw const one).cast(), (&raw const zero).cast());
    let p = &*plan;
    // SAFETY of all three calls: handle and descriptors are alive, and the tensors match the
    // descriptors.
    let ran = match way {
        Way::Forward => {
            let choices = ask!(
                p,
                handle,
                forward,
                cudnnConvolutionFwdAlgoPerf_t,
                cudnnGetConvolutionForwardAlgorithm_v7,
                (x, w, conv, y)
            );
            // SAFETY: see above.
            run(p, choices, &device, |algorithm, space, bytes| unsafe {
                result::convolution_forward(
                    handle, alpha, p.x, a, p.w, b, p.conv, algorithm, space, bytes, beta, p.y, c,
                )
            })
        }
        Way::Input => {
            let choices = ask!(
                p,
                handle,
                input,
                cudnnConvolutionBwdDataAlgoPerf_t,
                cudnnGetConvolutionBackwardDataAlgorithm_v7,
                (w, y, conv, x)
            );
            // SAFETY: see above.
            run(p, choices, &device, |algorithm, space, bytes| unsafe {
                result::convolution_backward_data(
                    handle, alpha, p.w, a, p.y, b, p.conv, algorithm, space, bytes, beta, p.x, c,
                )
            })
        }
        Way::Weight => {
            let choices = ask!(
                p,
                handle,
                weight,
                cudnnConvolutionBwdFilterAlgoPerf_t,
                cudnnGetConvolutionBackwardFilterAlgorithm_v7,
                (x, y, conv, w)
            );
            // SAFETY: see above.
            run(p, choices, &device, |algorithm, space, bytes| unsafe {
                result::convolution_backward_filter(
                    handle, alpha, p.x, a, p.y, b, p.conv, algorithm, space, bytes, beta, p.w, c,
                )
            })
        }
    };
    Ok(ran?.then_some(out))
}
