//! cuDNN's convolutions of `(N, H, W, C)` maps with `(Cout, kh, kw, Cin)` weights.
//!
//! Descriptors and algorithms are looked up once for each shape and cached per thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::rc::Rc;

use candle_core::cuda_backend::DeviceId;
use candle_core::cuda_backend::cudarc::cudnn::{CudnnError, result, sys};
use candle_core::{CudaDevice, DType, Error, Result, Tensor, bail};

use super::device;
use crate::Precision;

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

/// The descriptors of a convolution and its algorithms.
///
/// Plans are kept until the thread ends. There are only as many as there are layers.
struct Plan {
    x: sys::cudnnTensorDescriptor_t,
    w: sys::cudnnFilterDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    conv: sys::cudnnConvolutionDescriptor_t,
    math: sys::cudnnMathType_t,
    forward: RefCell<Option<Choice<sys::cudnnConvolutionFwdAlgo_t>>>,
    input: RefCell<Option<Choice<sys::cudnnConvolutionBwdDataAlgo_t>>>,
    weight: RefCell<Option<Choice<sys::cudnnConvolutionBwdFilterAlgo_t>>>,
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

/// Picks the first algorithm of cuDNN's list (fastest first) that is deterministic and needs no
/// more workspace than [`MOST`].
///
/// The list is requested for the plan's math type. Makes the enclosing function return `Ok(None)`
/// if there is no such algorithm.
macro_rules! choose {
    ($plan:expr, $handle:expr, $cell:ident, $perf:ident, $get:ident, ($($desc:ident),*)) => {{
        let plan = $plan;
        let found = *plan.$cell.borrow();
        match found {
            Some(choice) => choice,
            None => {
                set_math(plan, plan.math)?;
                const ASKED: usize = 16;
                let mut count = 0;
                // SAFETY: the structure consists of plain numbers and enumerations for which zero
                // is valid.
                let mut found: [sys::$perf; ASKED] = unsafe { std::mem::zeroed() };
                // SAFETY: handle and descriptors are alive, and the array has room for all
                // requested answers.
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
                let found = found.get(..count as usize).unwrap_or_default();
                let Some(best) = found.iter().find(fits) else { return Ok(None) };
                let choice = Choice { algorithm: best.algo, workspace: best.memory, math: best.mathType };
                *plan.$cell.borrow_mut() = Some(choice);
                choice
            }
        }
    }};
}

/// Runs one convolution and returns a new tensor. `a` and `b` are the operands that [`Way`] names,
/// in its order.
///
/// For some batches (weight gradients in `f32` of large batches) cuDNN has no deterministic
/// algorithm, or only one that needs more workspace than [`MOST`]. Such a batch is split into
/// halves.
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
        Way::Weight => first + second,
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
    let room = |bytes: usize| -> Result<(Option<Tensor>, *mut c_void)> {
        if bytes == 0 {
            return Ok((None, std::ptr::null_mut()));
        }
        let space = device::empty(&device, bytes, DType::U8)?;
        let address = device::address(&space)? as *mut c_void;
        Ok((Some(space), address))
    };
    let p = &*plan;
    // SAFETY of all three calls: handle and descriptors are alive, and the tensors match the
    // descriptors.
    match way {
        Way::Forward => {
            let choice = choose!(
                p,
                handle,
                forward,
                cudnnConvolutionFwdAlgoPerf_t,
                cudnnGetConvolutionForwardAlgorithm_v7,
                (x, w, conv, y)
            );
            set_math(p, choice.math)?;
            let (_space, space) = room(choice.workspace)?;
            // SAFETY: see above.
            unsafe {
                result::convolution_forward(
                    handle,
                    alpha,
                    p.x,
                    a,
                    p.w,
                    b,
                    p.conv,
                    choice.algorithm,
                    space,
                    choice.workspace,
                    beta,
                    p.y,
                    c,
                )
            }
        }
        Way::Input => {
            let choice = choose!(
                p,
                handle,
                input,
                cudnnConvolutionBwdDataAlgoPerf_t,
                cudnnGetConvolutionBackwardDataAlgorithm_v7,
                (w, y, conv, x)
            );
            set_math(p, choice.math)?;
            let (_space, space) = room(choice.workspace)?;
            // SAFETY: see above.
            unsafe {
                result::convolution_backward_data(
                    handle,
                    alpha,
                    p.w,
                    a,
                    p.y,
                    b,
                    p.conv,
                    choice.algorithm,
                    space,
                    choice.workspace,
                    beta,
                    p.x,
                    c,
                )
            }
        }
        Way::Weight => {
            let choice = choose!(
                p,
                handle,
                weight,
                cudnnConvolutionBwdFilterAlgoPerf_t,
                cudnnGetConvolutionBackwardFilterAlgorithm_v7,
                (x, y, conv, w)
            );
            set_math(p, choice.math)?;
            let (_space, space) = room(choice.workspace)?;
            // SAFETY: see above.
            unsafe {
                result::convolution_backward_filter(
                    handle,
                    alpha,
                    p.x,
                    a,
                    p.y,
                    b,
                    p.conv,
                    choice.algorithm,
                    space,
                    choice.workspace,
                    beta,
                    p.w,
                    c,
                )
            }
        }
    }
    .map_err(wrong)?;
    Ok(Some(out))
}
