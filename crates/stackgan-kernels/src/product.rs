//! Matrix products whose bits are the same on every CPU with fused multiply-adds.
//!
//! candle's own product divides its sums by the sizes of a CPU's caches, and sums differently for
//! one row, few and many.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::cpu::{Matrix, MatrixSizes as Sizes, Stored, multiply};
use crate::fast;

/// Returns `a · b` for `a (m, k)` and `b (k, n)`, with shape `(m, n)`.
///
/// On a CPU the bits of a row of `f32` depend neither on the other rows nor on the number of
/// threads.
///
/// # Errors
/// Wrong ranks or sizes; the message contains the shapes.
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

/// The operation. `right` says whether the second operand is `(k, n)` or, by columns, `(n, k)`.
struct Product {
    right: Stored,
}

impl Product {
    /// Returns the sizes of the product of operands with these shapes.
    fn sizes(&self, a: &Shape, b: &Shape) -> Result<Sizes> {
        let fits = match (a.dims(), b.dims(), self.right) {
            (&[rows, k], &[inner, columns], Stored::ByRows)
            | (&[rows, k], &[columns, inner], Stored::ByColumns)
                if k == inner =>
            {
                Some(Sizes { rows, inner, columns })
            }
            _ => None,
        };
        match fits {
            Some(sizes) => Ok(sizes),
            None => bail!("product: {a:?} does not fit {b:?}, stored {:?}", self.right),
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
        let sizes = self.sizes(a_layout.shape(), b_layout.shape())?;
        let left = Matrix { values: fast::values(a, a_layout)?, stored: Stored::ByRows };
        let right = Matrix { values: fast::values(b, b_layout)?, stored: self.right };
        let y = multiply(left, right, sizes);
        Ok((CpuStorage::F32(y), (sizes.rows, sizes.columns).into()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Sizes { rows: m, inner: k, columns: n } = self.sizes(a.shape(), b.shape())?;
        let grad = grad.contiguous()?;
        let of = |[left, right]: [(&Tensor, Stored); 2], rows, inner, columns| {
            let (left_storage, left_layout) = left.0.storage_and_layout();
            let (right_storage, right_layout) = right.0.storage_and_layout();
            let left = Matrix { values: fast::locked(&left_storage, left_layout)?, stored: left.1 };
            let right =
                Matrix { values: fast::locked(&right_storage, right_layout)?, stored: right.1 };
            let y = multiply(left, right, Sizes { rows, inner, columns });
            Tensor::from_vec(y, (rows, columns), grad.device())
        };
        let of_a = || match self.right {
            Stored::ByRows => of([(&grad, Stored::ByRows), (b, Stored::ByColumns)], m, n, k),
            Stored::ByColumns => of([(&grad, Stored::ByRows), (b, Stored::ByRows)], m, n, k),
        };
        let of_b = || match self.right {
            Stored::ByRows => of([(a, Stored::ByColumns), (&grad, Stored::ByRows)], k, m, n),
            Stored::ByColumns => of([(&grad, Stored::ByColumns), (a, Stored::ByRows)], n, m, k),
        };
        Ok((a.track_op().then(of_a).transpose()?, b.track_op().then(of_b).transpose()?))
    }
}
