//! Conversion to and from maps, activations, sums and appended vectors.

use candle_core::{DType, Result, Tensor};

use super::device::{self, Arg, MAPS, at, count, f32_at, int, output};
use super::link::{Input, Map, leave_graph, linked, padded};
use crate::geometry::planes;
use crate::{Activation, Precision};

/// Converts `f32` images or features `(N, C, H, W)` to maps.
pub(crate) fn enter(x: &Tensor, precision: Precision) -> Result<Map> {
    let channels = planes(x, "maps")?.1;
    entered(x, precision, padded(channels, precision))
}

/// Converts as [`enter`] does, without padding the channels.
pub(super) fn enter_as_it_is(x: &Tensor, precision: Precision) -> Result<Map> {
    let channels = planes(x, "maps")?.1;
    entered(x, precision, channels)
}

fn entered(x: &Tensor, precision: Precision, stride: usize) -> Result<Map> {
    let (n, c, h, w) = planes(x, "maps")?;
    let x = x.contiguous()?;
    let values = device::empty(&device::of(&x)?, (n, h, w, stride), precision.dtype())?;
    let sizes = [int(c)?, int(stride)?, Arg::I64((h * w) as i64)];
    let [channels, stride, pixels] = sizes;
    let args = [f32_at(&x)?, at(&values)?, count(&values), channels, stride, pixels];
    MAPS.each(&values, "enter", values.elem_count(), &args)?;
    let tracked = x.track_op();
    linked("enter maps", &[Input::Tensor(&x)], (values, c), precision, |gradient| {
        Box::new(move || {
            if !tracked {
                return Ok([None, None, None]);
            }
            let dy = gradient.take()?;
            let dx = device::empty(&device::of(&dy)?, (n, c, h, w), DType::F32)?;
            let args = [at(&dy)?, at(&dx)?, count(&dx), channels, stride, pixels];
            MAPS.each(&dy, "leave", dx.elem_count(), &args)?;
            Ok([Some(dx), None, None])
        })
    })
}

/// Converts maps to `f32` values `(N, C, H, W)`.
pub(crate) fn leave(x: &Map) -> Result<Tensor> {
    let ((n, h, w, c), stride) = (x.sizes()?, x.stride()?);
    let total = n * c * h * w;
    let (out, address) = output(&device::of(&x.values)?, total)?;
    let sizes = [int(c)?, int(stride)?, Arg::I64((h * w) as i64)];
    let [channels, stride_arg, pixels] = sizes;
    let args = [at(&x.values)?, address, Arg::I64(total as i64), channels, stride_arg, pixels];
    MAPS.each(&x.values, "leave", total, &args)?;
    let (origin, dtype) = (x.origin(), x.values.dtype());
    leave_graph("leave maps", x, out, (n, c, h, w), move |grad| {
        let dx = device::empty(&device::of(grad)?, (n, h, w, stride), dtype)?;
        let args = [f32_at(grad)?, at(&dx)?, count(&dx), channels, stride_arg, pixels];
        MAPS.each(&dx, "enter", dx.elem_count(), &args)?;
        origin.add(dx)
    })
}

/// Applies the activation to every value.
pub(crate) fn activate(x: &Map, activation: Activation) -> Result<Map> {
    let slope = Arg::F32(activation.slope());
    let y = device::empty(&device::of(&x.values)?, x.values.shape(), x.values.dtype())?;
    MAPS.each(
        &y,
        "activate",
        y.elem_count().div_ceil(4),
        &[at(&x.values)?, at(&y)?, count(&y), slope],
    )?;
    let (origin, result) = (x.origin(), y.clone());
    linked("activate maps", &[Input::Map(x)], (y, x.channels), x.precision, |gradient| {
        Box::new(move || {
            origin.add(masked(&result, &gradient.take()?, slope)?)?;
            Ok([None, None, None])
        })
    })
}

/// Returns the activation of a sum.
pub(crate) fn add_activate(a: &Map, b: &Map, activation: Activation) -> Result<Map> {
    let kind = |x: &Map| (x.values.shape().clone(), x.values.dtype());
    if kind(a) != kind(b) || a.channels != b.channels {
        candle_core::bail!("add: maps {:?} and {:?}", kind(a), kind(b));
    }
    let slope = Arg::F32(activation.slope());
    let y = device::empty(&device::of(&a.values)?, a.values.shape(), a.values.dtype())?;
    let args = [at(&a.values)?, at(&b.values)?, at(&y)?, count(&y), slope];
    MAPS.each(&y, "add_activate", y.elem_count().div_ceil(4), &args)?;
    let (origins, result) = ([a.origin(), b.origin()], y.clone());
    linked("add maps", &[Input::Map(a), Input::Map(b)], (y, a.channels), a.precision, |gradient| {
        Box::new(move || {
            let dx = masked(&result, &gradient.take()?, slope)?;
            for origin in origins.iter().filter(|origin| origin.is_tracked) {
                origin.add(dx.clone())?;
            }
            Ok([None, None, None])
        })
    })
}

/// Returns the gradient before an activation, given the result `y` of the activation: signs are
/// those of the values before, because no slope is negative.
fn masked(y: &Tensor, dy: &Tensor, slope: Arg) -> Result<Tensor> {
    let dx = device::empty(&device::of(y)?, y.shape(), y.dtype())?;
    MAPS.each(
        y,
        "activate_back",
        y.elem_count().div_ceil(4),
        &[at(y)?, at(dy)?, at(&dx)?, count(&dx), slope],
    )?;
    Ok(dx)
}

/// Appends a vector `(N, b)` to the channels of every pixel.
pub(crate) fn append_tiled(x: &Map, vector: &Tensor) -> Result<Map> {
    let ((n, h, w, a), b, stride) = (x.sizes()?, vector.dim(1)?, x.stride()?);
    let vector = vector.contiguous()?;
    let y = device::empty(&device::of(&x.values)?, (n, h, w, a + b), x.values.dtype())?;
    let (a_arg, b_arg, stride_arg) = (int(a)?, int(b)?, int(stride)?);
    let pixels = Arg::I64((h * w) as i64);
    let (from, behind, to) = (at(&x.values)?, f32_at(&vector)?, at(&y)?);
    let args = [from, behind, to, count(&y), a_arg, b_arg, stride_arg, pixels];
    MAPS.each(&y, "append", y.elem_count(), &args)?;
    let (origin, wanted) = (x.origin(), vector.track_op());
    let inputs = [Input::Map(x), Input::Tensor(&vector)];
    linked("append to maps", &inputs, (y, a + b), x.precision, |gradient| {
        Box::new(move || {
            let dy = gradient.take()?;
            let device = device::of(&dy)?;
            if origin.is_tracked {
                let dx = device::empty(&device, (n, h, w, stride), dy.dtype())?;
                let args = [at(&dy)?, at(&dx)?, count(&dx), a_arg, b_arg, stride_arg];
                MAPS.each(&dy, "append_back", dx.elem_count(), &args)?;
                origin.add(dx)?;
            }
            if !wanted {
                return Ok([None, None, None]);
            }
            let dv = device::empty(&device, (n, b), DType::F32)?;
            let args = [at(&dy)?, at(&dv)?, count(&dv), a_arg, b_arg, pixels];
            MAPS.each(&dy, "append_sum", dv.elem_count(), &args)?;
            Ok([None, Some(dv), None])
        })
    })
}
