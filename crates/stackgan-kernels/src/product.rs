//! Matrix products whose bits are the same on every CPU with fused multiply-adds.
//!
//! candle's own product divides its sums by the sizes of a CPU's caches, and sums differently for
//! one row, few and many.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::cpu::{Matrix, Right, Stored};
use crate::fast;

/// Returns `a · b` for `a (m, k)` and `b (k, n)`, with shape `(m, n)`.
///
/// On a CPU the bits of a row of `f32` depend neither on the other rows nor on the number of
/// threads.
///
/// # Errors
/// Wrong ranks or sizes; the message contains the shapes.
#[expect(clippy::disallowed_methods, reason = "candle's own, on other devices and for other types")]
pub fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if fast::applies(&[a, b]) {
        a.contiguous()?.apply_op2(&b.contiguous()?, Product { right: Stored::ByRows })
    } else {
        a.matmul(b)
    }
}

/// Returns `x · weightᵀ` for `x (m, k)` and `weight (n, k)` on a CPU, with shape `(m, n)`.
pub(crate) fn product_with_rows(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&weight.contiguous()?, Product { right: Stored::ByColumns })
}

/// A matrix `(k, n)` on the right of many products, packed once. It has no gradient.
#[derive(Debug)]
pub struct Multiplier {
    right: Right,
    inner: usize,
}

impl Multiplier {
    /// Packs a matrix `(k, n)` of `f32` on the CPU.
    ///
    /// # Errors
    /// Another type, device or rank.
    pub fn new(matrix: &Tensor) -> Result<Self> {
        let (inner, columns) = matrix.dims2()?;
        let matrix = matrix.contiguous()?;
        let (storage, layout) = matrix.storage_and_layout();
        let values = fast::locked(&storage, layout)?;
        let right = Right::new(Matrix { values, stored: Stored::ByRows }, inner, columns);
        Ok(Self { right, inner })
    }

    /// Returns the products of rows of `k` values, rows of `n` values, with the bits of
    /// [`product`]. Values after the last whole row are not used.
    #[must_use]
    pub fn multiply(&self, rows: &[f32]) -> Vec<f32> {
        let left = Matrix { values: rows, stored: Stored::ByRows };
        self.right.multiply(left, rows.len().checked_div(self.inner).unwrap_or(0))
    }
}

/// The operation. `right` says whether the second operand is `(k, n)` or, by columns, `(n, k)`.
struct Product {
    right: Stored,
}

impl Product {
    /// Returns m, k and n for operands with these shapes.
    fn sizes(&self, a: &Shape, b: &Shape) -> Result<(usize, usize, usize)> {
        match (a.dims(), b.dims(), self.right) {
            (&[m, k], &[inner, n], Stored::ByRows) | (&[m, k], &[n, inner], Stored::ByColumns)
                if k == inner =>
            {
                Ok((m, k, n))
            }
            _ => bail!("product: {a:?} does not fit {b:?}, stored {:?}", self.right),
        }
    }
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (m, k, n) = self.sizes(a_layout.shape(), b_layout.shape())?;
        let right = Matrix { values: fast::values(b, b_layout)?, stored: self.right };
        let left = Matrix { values: fast::values(a, a_layout)?, stored: Stored::ByRows };
        let y = Right::new(right, k, n).multiply(left, m);
        Ok((CpuStorage::F32(y), (m, n).into()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        use Stored::{ByColumns, ByRows};
        let (m, k, n) = self.sizes(a.shape(), b.shape())?;
        let grad = &grad.contiguous()?;
        let of_a = || match self.right {
            ByRows => multiplied((grad, ByRows), (b, ByColumns), (m, n, k)),
            ByColumns => multiplied((grad, ByRows), (b, ByRows), (m, n, k)),
        };
        let of_b = || match self.right {
            ByRows => multiplied((a, ByColumns), (grad, ByRows), (k, m, n)),
            ByColumns => multiplied((grad, ByColumns), (a, ByRows), (n, m, k)),
        };
        Ok((a.track_op().then(of_a).transpose()?, b.track_op().then(of_b).transpose()?))
    }
}

/// Returns `left · right` of contiguous tensors, with m, k and n as in [`product`].
fn multiplied(
    left: (&Tensor, Stored),
    right: (&Tensor, Stored),
    (m, k, n): (usize, usize, usize),
) -> Result<Tensor> {
    let (left_storage, left_layout) = left.0.storage_and_layout();
    let (right_storage, right_layout) = right.0.storage_and_layout();
    let left_matrix = Matrix { values: fast::locked(&left_storage, left_layout)?, stored: left.1 };
    let values = fast::locked(&right_storage, right_layout)?;
    let y = Right::new(Matrix { values, stored: right.1 }, k, n).multiply(left_matrix, m);
    Tensor::from_vec(y, (m, n), left.0.device())
}
