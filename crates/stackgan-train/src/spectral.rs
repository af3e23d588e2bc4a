//! Spectral normalisation (Miyato et al. 2018, "Spectral normalization for generative adversarial
//! networks").
//!
//! Each weight of D is divided by its largest singular value, so that no layer amplifies a
//! difference of its inputs. It is an option, off in the releases. The networks are unaware of it:
//! they are rebuilt on the divided weights.
//!
//! The singular value is tracked by one power iteration for each of the two passes of a step. The
//! iteration starts from a vector `u` that is a statistic of D (`NAME_u`) and is stored in every
//! checkpoint. As in PyTorch's parametrisation, fifteen iterations come first. Batch norm is kept
//! (the authors' networks have none in D), so the bound holds for each layer, not for D.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var};
use stackgan_core::{NetConfig, Params, Scope};
use stackgan_kernels::{repeat_each, squared_norm, sum_each};

/// Power iterations for fresh weights.
const AT_FIRST: usize = 15;

/// Lower bound of a norm, to avoid a division by zero.
const LEAST: f64 = 1e-12;

/// What the name of a weight's vector `u` adds to that of the weight.
pub(crate) const VECTOR: &str = "_u";

/// A function that builds a discriminator `D`.
pub(crate) type Make<D> = fn(&NetConfig, &Scope<'_>) -> Result<D>;

/// The discriminator's weights; those of two or more dimensions have singular vectors.
#[derive(Debug)]
pub struct Spectral<D> {
    weights: Vec<Weight>,
    net: NetConfig,
    make: Make<D>,
}

#[derive(Debug)]
struct Weight {
    name: String,
    weight: Var,
    u: Option<Var>, // (out); `None` for a bias or a scale, which is not divided
}

impl<D> Spectral<D> {
    /// Creates the state for the weights of a discriminator that was built on `params`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn over(params: &Params, net: &NetConfig, make: Make<D>) -> Result<Self> {
        let statistic = |(name, weight): (String, Var)| {
            let u = (weight.rank() > 1)
                .then(|| params.frozen().statistic(&format!("{name}{VECTOR}"), weight.dim(0)?, 1.0))
                .transpose()?;
            Ok(Weight { name, weight, u })
        };
        let weights = params.trainable().into_iter().map(statistic).collect::<Result<_>>()?;
        let spectral = Self { weights, net: *net, make };
        for _ in 0..AT_FIRST {
            spectral.iterate()?;
        }
        Ok(spectral)
    }

    /// Does one power iteration and builds the discriminator on the divided weights of `params`.
    /// Returns a trained and a frozen one.
    ///
    /// # Errors
    /// When the device fails.
    pub fn renewed(&self, params: &Params) -> Result<(D, D)> {
        let sides = self.iterate()?;
        let (mut trained, mut frozen) = (BTreeMap::new(), BTreeMap::new());
        for (slot, sides) in self.weights.iter().zip(&sides) {
            let weight = slot.weight.as_tensor();
            let used = match sides {
                None => weight.clone(),
                Some((u, v)) => divided(weight, &stretch(weight, u, v)?)?,
            };
            frozen.insert(slot.name.clone(), used.detach());
            trained.insert(slot.name.clone(), used);
        }
        let build = |weights| (self.make)(&self.net, &params.derived(weights));
        Ok((build(&trained)?, build(&frozen)?))
    }

    /// Updates every `u`. Returns `u` and `v` of each weight that has them.
    fn iterate(&self) -> Result<Vec<Option<(Tensor, Tensor)>>> {
        let moved = |slot: &Weight| {
            let Some(var) = &slot.u else { return Ok(None) };
            let matrix = slot.weight.as_detached_tensor().flatten_from(1)?;
            let v = unit(&matrix.broadcast_mul(&var.as_detached_tensor().unsqueeze(1)?)?.sum(0)?)?;
            let u = unit(&sum_each(&matrix.broadcast_mul(&v.unsqueeze(0)?)?)?)?;
            var.set(&u)?;
            Ok(Some((u, v)))
        };
        self.weights.iter().map(moved).collect()
    }
}

/// Computes u · W v, a scalar whose gradient in W is the outer product of u and v. W is
/// `(out, rest)`.
fn stretch(weight: &Tensor, u: &Tensor, v: &Tensor) -> Result<Tensor> {
    let along = sum_each(&weight.flatten_from(1)?.broadcast_mul(&v.unsqueeze(0)?)?)?;
    sum_each(&along.mul(u)?.unsqueeze(0)?)?.squeeze(0)
}

/// Divides by a scalar.
fn divided(weight: &Tensor, by: &Tensor) -> Result<Tensor> {
    let whole = weight.flatten_all()?.unsqueeze(0)?;
    let by = repeat_each(&by.unsqueeze(0)?, whole.shape())?;
    whole.div(&by)?.reshape(weight.shape())
}

fn unit(x: &Tensor) -> Result<Tensor> {
    let norm = squared_norm(&[x])?.sqrt()?.maximum(LEAST)?;
    x.broadcast_div(&norm)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use stackgan_core::noise::{Noise, Stream};
    use stackgan_core::params::Init;

    use super::*;

    /// A stand-in for a discriminator: one 4-dimensional weight and a bias.
    struct One {
        w: Tensor,
        b: Tensor,
    }

    const SHAPE: (usize, usize, usize, usize) = (5, 3, 2, 2);

    fn make(_: &NetConfig, scope: &Scope<'_>) -> Result<One> {
        let init = Init::Normal { mean: 0.0, std: 1.0 };
        Ok(One { w: scope.weight("w", SHAPE, init)?, b: scope.weight("b", 5, init)? })
    }

    fn net() -> (Params, NetConfig) {
        let params = Params::fresh(Noise::new(2), "d1", &Device::Cpu);
        drop(make(&NetConfig::default(), &params.trained()).unwrap());
        (params, NetConfig::default())
    }

    /// The largest |W x| over unit x, from many power iterations in f64 on W^T W.
    fn largest(w: &Tensor) -> f64 {
        let rows = w.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
        let mut v = vec![1.0f64; rows[0].len()];
        let mut norm = 0.0;
        for _ in 0..500 {
            let along: Vec<f64> = rows
                .iter()
                .map(|row| row.iter().zip(&v).map(|(w, v)| f64::from(*w) * v).sum())
                .collect();
            let mut next = vec![0.0; v.len()];
            for (row, a) in rows.iter().zip(&along) {
                for (n, w) in next.iter_mut().zip(row) {
                    *n += f64::from(*w) * a;
                }
            }
            norm = next.iter().map(|x| x * x).sum::<f64>().sqrt();
            v = next.iter().map(|x| x / norm).collect();
        }
        norm.sqrt()
    }

    #[test]
    fn the_largest_singular_value_becomes_one_and_biases_stay() {
        let (params, net) = net();
        let before = params.snapshot().unwrap();
        let spectral = Spectral::over(&params, &net, make).unwrap();
        let mut built = spectral.renewed(&params).unwrap();
        for _ in 0..60 {
            built = spectral.renewed(&params).unwrap();
        }
        let (trained, frozen) = built;
        assert!(largest(&before["w"]) > 2.0);
        assert!((largest(&trained.w) - 1.0).abs() < 1e-3, "{}", largest(&trained.w));
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(&trained.w), flat(&frozen.w));
        assert_eq!(flat(&trained.b), flat(&before["b"]));
        // The weights themselves do not change; `u` is a statistic, which is saved and not trained.
        let after = params.snapshot().unwrap();
        assert_eq!(flat(&after["w"]), flat(&before["w"]));
        assert_eq!(after["w_u"].dims(), [5]);
        assert!(params.trainable().iter().all(|(name, _)| name != "w_u"));
    }

    /// d/dW of sum(c W / (u · W v)) with u and v held constant, compared with finite differences.
    #[test]
    fn the_gradient_passes_through_the_division() {
        let (params, net) = net();
        let spectral = Spectral::over(&params, &net, make).unwrap();
        let u = params.snapshot().unwrap()["w_u"].copy().unwrap();
        let c = Noise::new(7).normal(Stream::Test, 0, 0, 60);
        let c = Tensor::from_vec(c, SHAPE, &Device::Cpu).unwrap();
        let trained = spectral.renewed(&params).unwrap().0;
        let loss = (&trained.w * &c).unwrap().sum_all().unwrap();
        let (_, var) = params.trainable().into_iter().find(|(name, _)| name == "w").unwrap();
        let grads = loss.backward().unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let gradient = flat(grads.get(&var).unwrap());
        // The vectors used by this pass.
        let start = flat(&var.as_detached_tensor());
        let w = var.as_detached_tensor().flatten_from(1).unwrap();
        let v = unit(&w.broadcast_mul(&u.unsqueeze(1).unwrap()).unwrap().sum(0).unwrap()).unwrap();
        let u = params.snapshot().unwrap()["w_u"].copy().unwrap();
        let (u, v, c) = (flat(&u), flat(&v), flat(&c));
        let value = |w: &[f32]| -> f64 {
            let stretch: f64 = (0..60)
                .map(|i| f64::from(u[i / 12]) * f64::from(w[i]) * f64::from(v[i % 12]))
                .sum();
            w.iter().zip(&c).map(|(w, c)| f64::from(*w) * f64::from(*c)).sum::<f64>() / stretch
        };
        for i in (0..60).step_by(7) {
            let at = |by: f32| {
                let mut w = start.clone();
                w[i] += by;
                value(&w)
            };
            let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
            let error = (f64::from(gradient[i]) - difference).abs();
            assert!(error < 2e-3 * difference.abs().max(1.0), "{i}: {} {difference}", gradient[i]);
        }
    }

    #[test]
    fn a_restored_u_goes_on_where_it_was() {
        let (params, net) = net();
        let spectral = Spectral::over(&params, &net, make).unwrap();
        spectral.renewed(&params).unwrap();
        let saved = params.snapshot().unwrap();
        let next = spectral.renewed(&params).unwrap().0.w;
        let (again, net) = self::net();
        let other = Spectral::over(&again, &net, make).unwrap();
        again.set(&saved).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(&other.renewed(&again).unwrap().0.w), flat(&next));
    }
}
