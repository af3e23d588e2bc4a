//! Nearest up-sampling by two and a 3x3 convolution (stride 1, padding 1) as one operation.
//!
//! On an up-sampled line the taps a, b, c see only two different neighbours. With `d_i = x_i - x_(i-1)`:
//!
//! ```text
//! y_(2i)   = (a+b+c) x_i - a d_i          y_(2i+1) = (a+b+c) x_i + c d_(i+1)
//! ```
//!
//! so two outputs cost three products instead of six, and in two dimensions four outputs cost nine instead of 36. The
//! three "kinds" of product along an axis are S (a+b+c with x), A (-a with `d_i`) and C (c with `d_(i+1)`); a kind of
//! the plane is a pair of them, numbered `3 * vertical + horizontal`. Nothing is divided, so accuracy is that of the
//! plain sum.
//!
//! Backward, the differences are moved to the side of `dy` (they commute with the mixing of channels): one transform
//! of `dy` into the nine kinds serves both gradients, and each is one product:
//! `dx = Σ_kind W_kindᵀ · G_kind` and `dW_kind = G_kind · xᵀ`, folded back to nine taps at the end.

mod backward;
mod forward;
mod transform;
mod weights;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::geometry::planes;
use crate::tiles::{PlaneLayout, Tiling};
use crate::{fast, reference};

/// Kinds of product per pixel.
const KINDS: usize = 9;

/// [`crate::upsample2x`] then [`crate::conv2d`] with stride 1 and padding 1, about four times cheaper:
/// `x (N, Cin, H, W)`, `weight (Cout, Cin, 3, 3)`, result `(N, Cout, 2H, 2W)`.
///
/// # Errors
/// Wrong ranks, channels that do not match, a kernel that is not 3x3: with the shapes.
pub fn upsample2x_conv3x3(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (images, in_channels, height, width) = planes(x, "upsample2x_conv3x3 input")?;
    let (out_channels, expected, kh, kw) = planes(weight, "upsample2x_conv3x3 weight")?;
    if in_channels != expected || (kh, kw) != (3, 3) {
        bail!(
            "upsample2x_conv3x3: weight {:?} does not fit input {:?}; expected (out, {in_channels}, 3, 3)",
            weight.dims(),
            x.dims()
        );
    }
    if !fast::applies(&[x, weight]) {
        return reference::upsample2x_conv3x3(x, weight);
    }
    let op = Op(UpShape { images, in_channels, out_channels, height, width });
    x.contiguous()?.apply_op2(&weight.contiguous()?, op)
}

/// Sizes, of the small image.
#[derive(Clone, Copy, Debug)]
struct UpShape {
    images: usize,
    in_channels: usize,
    out_channels: usize,
    height: usize,
    width: usize,
}

impl UpShape {
    /// Tiles of the small images whose nine kinds of `channels` channels take a megabyte, within limits.
    fn tiling(&self, channels: usize) -> Tiling {
        let target = ((1 << 18) / (KINDS * channels)).clamp(128, 512);
        Tiling::new(self.images, self.height, self.width, target)
    }

    /// Layout of the input.
    fn input(&self) -> PlaneLayout {
        PlaneLayout { channels: self.in_channels, height: self.height, row: self.width }
    }
}

struct Op(UpShape);

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "upsample2x_conv3x3"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let s = &self.0;
        let (x, weight) = (fast::values(x, x_layout)?, fast::values(weight, weight_layout)?);
        let y = forward::forward(x, weight, s);
        let shape = (s.images, s.out_channels, 2 * s.height, 2 * s.width);
        Ok((CpuStorage::F32(y), shape.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (dx, dw) = {
            let (x_storage, x_layout) = x.storage_and_layout();
            let (w_storage, w_layout) = weight.storage_and_layout();
            let (grad_storage, grad_layout) = grad.storage_and_layout();
            let arguments = backward::Arguments {
                x: fast::locked(&x_storage, x_layout)?,
                weight: fast::locked(&w_storage, w_layout)?,
                dy: fast::locked(&grad_storage, grad_layout)?,
            };
            let wanted = backward::Wanted { input: x.track_op(), weight: weight.track_op() };
            backward::backward(arguments, &self.0, wanted)
        };
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
            values.map(|v| Tensor::from_vec(v, like.shape(), like.device())).transpose()
        };
        Ok((tensor(dx, x)?, tensor(dw, weight)?))
    }
}
