//! The gated recurrence as one operation over all steps. Source: icml2016 `modules/FixedGRU.lua`.
//!
//! It differs from the usual GRU: the reset gate comes before the hidden matrix, the update gate
//! multiplies the candidate (not the old state), and the first step has no gates.

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};
use stackgan_kernels::{Multiplier, is_fast, product, tanh_in_place, values};

use super::host::host;
use super::recurrent::{check, column_sums};
use super::reference;

/// Returns the states `(time, batch, units)` of the GRU.
///
/// `x (time, batch, 3 units)` contains the input terms of update, reset and candidate with their
/// biases. `weight (3 units, units)` and `bias (3 units)` are the hidden ones. The first state is
/// `tanh` of the candidate's input term.
pub(in super::super) fn gru(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if is_fast(&[x]) {
        let trace = x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Gru)?;
        trace.narrow(2, 0, weight.dim(1)?)
    } else {
        reference::gru(x, weight, bias)
    }
}

/// The operation. Its result is `(time, batch, 4 units)`: state, update gate, reset gate and
/// candidate of every step, which the backward pass needs.
struct Gru;

/// Replaces values x by 1 / (1 + exp(-x)), which is (1 + tanh(x / 2)) / 2.
fn sigmoid_in_place(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x *= 0.5);
    tanh_in_place(values);
    values.iter_mut().for_each(|x| *x = 0.5 + 0.5 * *x);
}

impl CustomOp3 for Gru {
    fn name(&self) -> &'static str {
        "text-gru"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (time, batch, units) = check(3, l1.dims(), l2.dims(), l3.dims())?;
        let (x, bias) = (values(s1, l1)?, values(s3, l3)?);
        let weight = Tensor::from_slice(values(s2, l2)?, (3 * units, units), &Device::Cpu)?;
        let to_gates = Multiplier::new(&weight.narrow(0, 0, 2 * units)?.t()?)?;
        let to_candidate = Multiplier::new(&weight.narrow(0, 2 * units, units)?.t()?)?;
        let mut trace = vec![0f32; time * batch * 4 * units];
        let mut state = vec![0f32; batch * units];
        let mut reset_state = vec![0f32; batch * units];
        let steps =
            x.chunks_exact(batch * 3 * units).zip(trace.chunks_exact_mut(batch * 4 * units));
        for (t, (x, trace)) in steps.enumerate() {
            let rows = || x.chunks_exact(3 * units);
            if t == 0 {
                for ((x, trace), state) in
                    rows().zip(trace.chunks_exact_mut(4 * units)).zip(state.chunks_exact_mut(units))
                {
                    state.copy_from_slice(&x[2 * units..]);
                    tanh_in_place(state);
                    trace[..units].copy_from_slice(state);
                    trace[units..2 * units].fill(1.0);
                    trace[3 * units..].copy_from_slice(state);
                }
                continue;
            }
            let gates = to_gates.multiply(&state);
            let per_row =
                rows().zip(gates.chunks_exact(2 * units)).zip(trace.chunks_exact_mut(4 * units));
            for (((x, gates), trace), (state, reset_state)) in
                per_row.zip(state.chunks_exact(units).zip(reset_state.chunks_exact_mut(units)))
            {
                let both = &mut trace[units..3 * units];
                for (((gate, x), h), b) in both.iter_mut().zip(x).zip(gates).zip(bias) {
                    *gate = x + (h + b);
                }
                sigmoid_in_place(both);
                let reset = &both[units..];
                reset_state.iter_mut().zip(reset).zip(state).for_each(|((out, r), h)| *out = r * h);
            }
            let candidates = to_candidate.multiply(&reset_state);
            let per_row =
                rows().zip(candidates.chunks_exact(units)).zip(trace.chunks_exact_mut(4 * units));
            for (((x, candidates), trace), state) in per_row.zip(state.chunks_exact_mut(units)) {
                let (before, candidate) = trace.split_at_mut(3 * units);
                for i in 0..units {
                    let hidden = candidates[i] + bias[2 * units + i];
                    candidate[i] = x[2 * units + i] + hidden;
                }
                tanh_in_place(candidate);
                for i in 0..units {
                    let update = before[units + i];
                    state[i] = update * candidate[i] + (1.0 - update) * state[i];
                }
                before[..units].copy_from_slice(state);
            }
        }
        Ok((CpuStorage::F32(trace), (time, batch, 4 * units).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (time, batch, units) = check(3, x.dims(), weight.dims(), bias.dims())?;
        let weight = weight.detach();
        let from_gates = Multiplier::new(&weight.narrow(0, 0, 2 * units)?)?;
        let from_candidate = Multiplier::new(&weight.narrow(0, 2 * units, units)?)?;
        let (trace, grad) = (host(res)?, host(grad)?);
        // The gradients of the sums under sigmoid and tanh.
        let mut sums = vec![0f32; time * batch * 3 * units];
        let mut reset_states = vec![0f32; time.saturating_sub(1) * batch * units];
        // The gradient of the state, from the steps after it.
        let mut carried = vec![0f32; batch * units];
        let mut of_gates = vec![0f32; batch * 2 * units];
        let mut of_candidate = vec![0f32; batch * units];
        for t in (0..time).rev() {
            let now = &trace[t * batch * 4 * units..][..batch * 4 * units];
            let grad = &grad[t * batch * 4 * units..][..batch * 4 * units];
            let sums = &mut sums[t * batch * 3 * units..][..batch * 3 * units];
            for (row, carried) in carried.chunks_exact_mut(units).enumerate() {
                let grad = &grad[row * 4 * units..][..units];
                carried.iter_mut().zip(grad).for_each(|(sum, g)| *sum += g);
            }
            if t == 0 {
                for (row, carried) in carried.chunks_exact(units).enumerate() {
                    let candidate = &now[(row * 4 + 3) * units..][..units];
                    let out = &mut sums[(row * 3 + 2) * units..][..units];
                    for i in 0..units {
                        out[i] = carried[i] * (1.0 - candidate[i] * candidate[i]);
                    }
                }
                break;
            }
            let before = &trace[(t - 1) * batch * 4 * units..][..batch * 4 * units];
            for row in 0..batch {
                let [_, update, _, candidate] = parts(now, row, units);
                let [previous, ..] = parts(before, row, units);
                let (carried, of_gates) = (
                    &mut carried[row * units..][..units],
                    &mut of_gates[row * 2 * units..][..units],
                );
                let of_candidate = &mut of_candidate[row * units..][..units];
                for i in 0..units {
                    let (g, u, c) = (carried[i], update[i], candidate[i]);
                    of_candidate[i] = g * u * (1.0 - c * c);
                    of_gates[i] = g * (c - previous[i]) * u * (1.0 - u);
                    carried[i] = g * (1.0 - u);
                }
            }
            let through_reset = from_candidate.multiply(&of_candidate);
            let reset_states = &mut reset_states[(t - 1) * batch * units..][..batch * units];
            for row in 0..batch {
                let [_, _, reset, _] = parts(now, row, units);
                let [previous, ..] = parts(before, row, units);
                let through = &through_reset[row * units..][..units];
                let carried = &mut carried[row * units..][..units];
                let of_reset = &mut of_gates[(row * 2 + 1) * units..][..units];
                let reset_state = &mut reset_states[row * units..][..units];
                for i in 0..units {
                    let (r, h) = (reset[i], previous[i]);
                    of_reset[i] = through[i] * h * r * (1.0 - r);
                    carried[i] += through[i] * r;
                    reset_state[i] = r * h;
                }
            }
            carried.iter_mut().zip(from_gates.multiply(&of_gates)).for_each(|(sum, g)| *sum += g);
            for (row, out) in sums.chunks_exact_mut(3 * units).enumerate() {
                out[..2 * units].copy_from_slice(&of_gates[row * 2 * units..][..2 * units]);
                out[2 * units..].copy_from_slice(&of_candidate[row * units..][..units]);
            }
        }
        let bias_grad = column_sums(&sums[batch * 3 * units..], 3 * units);
        let bias_grad = Tensor::from_vec(bias_grad, 3 * units, &Device::Cpu)?;
        let sums = Tensor::from_vec(sums, (time, batch, 3 * units), &Device::Cpu)?;
        let weight_grad = if time == 1 {
            weight.zeros_like()?
        } else {
            let later = sums.narrow(0, 1, time - 1)?.reshape(((), 3 * units))?;
            let states = res.detach().narrow(0, 0, time - 1)?.narrow(2, 0, units)?.contiguous()?;
            let reset_states =
                Tensor::from_vec(reset_states, ((time - 1) * batch, units), &Device::Cpu)?;
            let gates =
                product(&later.narrow(1, 0, 2 * units)?.t()?, &states.reshape(((), units))?)?;
            let candidate = product(&later.narrow(1, 2 * units, units)?.t()?, &reset_states)?;
            Tensor::cat(&[gates, candidate], 0)?
        };
        Ok((Some(sums), Some(weight_grad), Some(bias_grad)))
    }
}

/// Returns state, update gate, reset gate and candidate of one sample in one step of the trace.
fn parts(step: &[f32], row: usize, units: usize) -> [&[f32]; 4] {
    [0, 1, 2, 3].map(|part| &step[(row * 4 + part) * units..][..units])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_differences, assert_twins, random};
    use super::*;

    #[test]
    fn the_gru_equals_its_twin_and_differences() -> Result<()> {
        for time in [1, 4] {
            let (x, w, b) = (random(0, &[time, 3, 15])?, random(1, &[15, 5])?, random(2, &[15])?);
            let vars: &[_] = if time == 1 { &[&x] } else { &[&x, &w, &b] };
            assert_twins(|| gru(&x, &w, &b), || reference::gru(&x, &w, &b), vars)?;
            assert_differences(|| gru(&x, &w, &b), &[&x, &w, &b])?;
        }
        let (x, w, b) = (random(0, &[2, 3, 14])?, random(1, &[15, 5])?, random(2, &[15])?);
        assert!(gru(&x, &w, &b).is_err());
        Ok(())
    }
}
