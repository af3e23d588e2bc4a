//! Translation and cutout of pictures (DiffAugment, Zhao et al. 2020), by amounts that differ from
//! picture to picture and stay on the device: a recorded step may use them.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

use crate::geometry::planes;
use crate::written::written;
use crate::{fast, reference};

/// Moves each picture of `x (N, C, H, W)` to the right and down by its row of `shifts (N, 2)`, whole
/// numbers of pixels, positive or negative. What comes in is 0. The gradient moves back.
///
/// # Errors
/// Other shapes; a failure of the device.
pub fn translate(x: &Tensor, shifts: &Tensor) -> Result<Tensor> {
    apply(x, shifts, Change::Translation)
}

/// Sets a square of `side` pixels in each picture of `x (N, C, H, W)` to 0. Its first column and row,
/// which may lie outside of the picture, are a row of `corners (N, 2)`. The gradient there is 0.
///
/// # Errors
/// Other shapes; a failure of the device.
pub fn cut_out(x: &Tensor, corners: &Tensor, side: usize) -> Result<Tensor> {
    apply(x, corners, Change::Cutout { side })
}

/// What is done to each picture, at a place of two coordinates: right, down.
#[derive(Clone, Copy)]
enum Change {
    Translation,
    Cutout { side: usize },
}

fn apply(x: &Tensor, places: &Tensor, change: Change) -> Result<Tensor> {
    let (n, ..) = planes(x, "an augmentation")?;
    if places.dims() != [n, 2] {
        bail!(
            "an augmentation of {n} pictures: expected places ({n}, 2), found {:?}",
            places.shape()
        );
    }
    let on_gpu = cfg!(feature = "cuda") && x.device().is_cuda() && x.dtype() == DType::F32;
    if on_gpu || fast::applies(&[x, places]) {
        let places = Arc::new(places.contiguous()?.detach());
        return x.contiguous()?.apply_op1(Augment { places, change });
    }
    match change {
        Change::Translation => reference::translate(x, places),
        Change::Cutout { side } => reference::cut_out(x, places, side),
    }
}

struct Augment {
    places: Arc<Tensor>,
    change: Change,
}

impl CustomOp1 for Augment {
    fn name(&self) -> &'static str {
        "augment"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, channels, height, width) = layout.shape().dims4()?;
        let x = fast::values(storage, layout)?;
        let (places, of_places) = self.places.storage_and_layout();
        let places = fast::locked(&places, of_places)?;
        let plane = height * width;
        let y = written(x.len(), plane, |i, y| {
            let at = 2 * (i / channels.max(1));
            let place = [0, 1].map(|axis| places.get(at + axis).map_or(0, |v| *v as i64));
            let x = x.get(i * plane..).and_then(|x| x.get(..y.len())).unwrap_or_default();
            self.change.of_plane(x, y, width, place);
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let y = match self.change {
            Change::Translation => crate::cuda::translate(storage, layout, &self.places),
            Change::Cutout { side } => crate::cuda::cut_out(storage, layout, &self.places, side),
        }?;
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        match self.change {
            Change::Translation => translate(grad, &self.places.neg()?),
            Change::Cutout { side } => cut_out(grad, &self.places, side),
        }
        .map(Some)
    }
}

impl Change {
    /// Changes one plane, row by row. `y` is filled with zeros.
    fn of_plane(self, x: &[f32], y: &mut [f32], width: usize, [right, down]: [i64; 2]) {
        let rows = y.chunks_exact_mut(width.max(1));
        for (row, y) in rows.enumerate() {
            match self {
                Self::Translation => {
                    let from = (row as i64).saturating_sub(down);
                    let from =
                        usize::try_from(from).ok().and_then(|row| x.chunks_exact(width).nth(row));
                    if let Some(from) = from {
                        moved(from, y, right);
                    }
                }
                Self::Cutout { side } => {
                    let Some(from) = x.chunks_exact(width).nth(row) else { continue };
                    y.copy_from_slice(from);
                    if (down..down.saturating_add(side as i64)).contains(&(row as i64)) {
                        let [start, end] =
                            [right, right.saturating_add(side as i64)].map(|at| within(at, width));
                        y.get_mut(start..end).unwrap_or_default().fill(0.0);
                    }
                }
            }
        }
    }
}

/// Copies a row to the right by `by`, or to the left if it is negative.
fn moved(from: &[f32], to: &mut [f32], by: i64) {
    let gap = within(by.saturating_abs(), from.len());
    let kept = from.len() - gap;
    let (start, end) = if by > 0 { (0, gap) } else { (gap, 0) };
    if let (Some(from), Some(to)) = (from.get(start..start + kept), to.get_mut(end..end + kept)) {
        to.copy_from_slice(from);
    }
}

/// Returns a coordinate, bounded to 0 and `length`.
fn within(at: i64, length: usize) -> usize {
    at.clamp(0, length as i64) as usize
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    const SHAPE: (usize, usize, usize, usize) = (6, 3, 5, 7);

    /// Places inside, at the edges, and far outside of a picture.
    fn places() -> Tensor {
        let places = [[0f32, 0.], [2., -1.], [-3., 4.], [6., -4.], [-7., 5.], [100., -100.]];
        Tensor::new(&places, &Device::Cpu).unwrap()
    }

    fn pictures() -> Tensor {
        let values = (1..=6 * 3 * 5 * 7).map(|i| i as f32).collect();
        Tensor::from_vec(values, SHAPE, &Device::Cpu).unwrap()
    }

    fn flat(x: &Tensor) -> Vec<f32> {
        x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Returns the value and the gradient of its sum with the weights 1, 2, 3, ….
    fn outcome(x: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> [Vec<f32>; 2] {
        let x = Var::from_tensor(x).unwrap();
        let y = f(&x);
        let weights = pictures().to_dtype(y.dtype()).unwrap();
        let grads = (&y * weights).unwrap().sum_all().unwrap().backward().unwrap();
        [flat(&y), flat(grads.get(&x).unwrap())]
    }

    #[test]
    fn both_forms_have_the_same_values_and_gradients() {
        let (x, at) = (pictures(), places());
        let twin = |f: &dyn Fn(&Tensor) -> Tensor| outcome(&x, f);
        let [fast, plain] =
            [translate, reference::translate].map(|f| twin(&|x| f(x, &at).unwrap()));
        assert_eq!(fast, plain);
        for side in [0, 1, 3, 20] {
            let [fast, plain] =
                [cut_out, reference::cut_out].map(|f| twin(&|x| f(x, &at, side).unwrap()));
            assert_eq!(fast, plain, "{side}");
        }
        let doubles = x.to_dtype(DType::F64).unwrap();
        assert_eq!(flat(&translate(&doubles, &at).unwrap()), flat(&translate(&x, &at).unwrap()));
    }

    /// By the definitions, pixel by pixel.
    #[test]
    fn every_pixel_is_where_it_was_told_to_be() {
        let (x, at) = (pictures(), places());
        let (n, channels, height, width) = SHAPE;
        let (moved, cut) =
            (flat(&translate(&x, &at).unwrap()), flat(&cut_out(&x, &at, 3).unwrap()));
        let (x, at) = (flat(&x), at.to_vec2::<f32>().unwrap());
        for i in 0..n * channels * height * width {
            let (plane, row, column) = (i / (height * width), i / width % height, i % width);
            let [right, down] = [0, 1].map(|axis| at[plane / channels][axis] as i64);
            let (from_row, from_column) = (row as i64 - down, column as i64 - right);
            let inside =
                (0..height as i64).contains(&from_row) && (0..width as i64).contains(&from_column);
            let from = (plane * height * width) as i64 + from_row * width as i64 + from_column;
            assert_eq!(moved[i], if inside { x[from as usize] } else { 0. }, "moved {i}");
            let gone = (0..3).contains(&from_row) && (0..3).contains(&from_column);
            assert_eq!(cut[i], if gone { 0. } else { x[i] }, "cut {i}");
        }
    }

    #[test]
    fn places_beyond_every_number_are_outside() {
        let (x, far) =
            (pictures().narrow(0, 0, 3).unwrap(), [f32::INFINITY, f32::NEG_INFINITY, 1e30]);
        let at = Tensor::new(&far.map(|place| [place, -place]), &Device::Cpu).unwrap();
        for f in [translate, reference::translate] {
            assert!(flat(&f(&x, &at).unwrap()).iter().all(|v| *v == 0.));
        }
        for f in [cut_out, reference::cut_out] {
            assert_eq!(flat(&f(&x, &at, 3).unwrap()), flat(&x));
        }
    }

    #[test]
    fn views_are_read_as_they_are_and_wrong_shapes_are_errors() {
        let (x, at) = (pictures(), places());
        let view = x.narrow(0, 2, 3).unwrap().transpose(2, 3).unwrap();
        let at_of = at.narrow(0, 2, 3).unwrap();
        let whole = view.contiguous().unwrap();
        let of = |x: &Tensor| flat(&translate(x, &at_of).unwrap());
        assert_eq!(of(&view), of(&whole));
        let error = translate(&x, &at_of).unwrap_err().to_string();
        assert!(error.contains("expected places (6, 2), found [3, 2]"), "{error}");
        assert!(cut_out(&at, &at, 1).is_err());
    }
}
