//! Mutable access to the values of several variables at once.
//!
//! candle lends the values of one variable to one in-place operation. Each operation here therefore
//! starts the next one, and the innermost has access to all of them.

use std::cell::Cell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Var, bail};

/// Calls `f` with the values of `vars`, which must be distinct contiguous `f32` variables on the
/// CPU.
pub(super) fn lend<const N: usize>(vars: [&Var; N], f: impl FnOnce([&mut [f32]; N])) -> Result<()> {
    let mut f = Some(f);
    start(&vars, Vec::with_capacity(N), &mut |lent| {
        if let (Ok(lent), Some(f)) = (lent.try_into(), f.take()) {
            f(lent);
        }
    })
}

type Then<'f> = dyn FnMut(Vec<&mut [f32]>) + 'f;

fn start<'a>(vars: &'a [&Var], lent: Vec<&'a mut [f32]>, f: &mut Then<'_>) -> Result<()> {
    let Some((first, rest)) = vars.split_first() else {
        f(lent);
        return Ok(());
    };
    first.inplace_op1(&Lend { rest, lent: Cell::new(lent), f: Cell::new(Some(f)) })
}

struct Lend<'a, 'f> {
    rest: &'a [&'a Var],
    lent: Cell<Vec<&'a mut [f32]>>,
    f: Cell<Option<&'a mut Then<'f>>>,
}

impl InplaceOp1 for Lend<'_, '_> {
    fn name(&self) -> &'static str {
        "lend"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let values = match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(all), Some((start, end))) if end <= all.len() => &mut all[start..end],
            _ => bail!("expected a contiguous f32 variable, found {layout:?}"),
        };
        let mut lent: Vec<&mut [f32]> = self.lent.take();
        lent.push(values);
        match self.f.take() {
            Some(f) => start(self.rest, lent, f),
            None => Ok(()),
        }
    }
}
