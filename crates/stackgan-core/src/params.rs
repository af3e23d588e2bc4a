//! The variables of one network, sorted by name, with weights separate from batch-norm statistics.
//!
//! `candle_nn::VarMap` is not used, because it iterates in hash order, mixes trainable weights with
//! running statistics, and cannot be seeded on the CPU.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use stackgan_noise::{Noise, Stream, name_key};

/// Maximum number of values of a new tensor.
const MOST: usize = 1 << 31;

/// The initialisation of a new tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// N(mean, std²).
    Normal {
        /// Mean of the distribution.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// N(0, std²) truncated at two standard deviations, as TensorFlow's
    /// `truncated_normal_initializer`.
    TruncatedNormal {
        /// Standard deviation before the truncation.
        std: f64,
    },
    /// Uniform in [-bound, bound).
    Uniform {
        /// The bound.
        bound: f64,
    },
    /// The same value everywhere.
    Constant(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Weight,
    Statistic,
}

#[derive(Debug)]
struct Entry {
    var: Var,
    role: Option<Role>, // `None`: from a file, not yet requested by a network
}

#[derive(Clone, Copy, Debug)]
enum Origin {
    Fresh { noise: Noise, network: u64 },
    Given,
}

/// All variables of one network.
///
/// An optimiser owns the [`Params::trainable`] variables of exactly one of these, so that "update
/// only D" holds by construction.
#[derive(Debug)]
pub struct Params {
    device: Device,
    origin: Origin,
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
}

impl Params {
    /// Returns an empty set whose variables are created and initialised as a network requests them.
    ///
    /// `network` (such as `"g1"`) distinguishes equal names in different networks: the value of
    /// each tensor is a function of (seed, network, name).
    #[must_use]
    pub fn fresh(noise: Noise, network: &str, device: &Device) -> Self {
        Self {
            device: device.clone(),
            origin: Origin::Fresh { noise, network: name_key(network) },
            entries: Arc::default(),
        }
    }

    /// Returns variables with the given values.
    ///
    /// Tensors that are variables already are used as they are; others are copied. A network built
    /// on the result may request only these names. Afterwards [`Params::check_all_used`] tells
    /// whether any is left over.
    ///
    /// # Errors
    /// A tensor that cannot be moved to the device.
    pub fn given(tensors: BTreeMap<String, Tensor>, device: &Device) -> Result<Self> {
        let entries = tensors
            .into_iter()
            .map(|(name, tensor)| {
                let tensor = tensor.to_device(device)?.to_dtype(DType::F32)?;
                Ok((name, Entry { var: Var::from_tensor(&tensor)?, role: None }))
            })
            .collect::<Result<_>>()?;
        let entries = Arc::new(Mutex::new(entries));
        Ok(Self { device: device.clone(), origin: Origin::Given, entries })
    }

    /// Returns the scope of a network that is trained: its weights record gradients.
    #[must_use]
    pub fn trained(&self) -> Scope<'_> {
        Scope { params: self, prefix: String::new(), access: Access::Trained }
    }

    /// Returns the scope of a frozen view.
    ///
    /// It shares the storage, so it sees every update, but records no gradients. Frozen does not
    /// mean evaluation: batch norm still follows [`crate::Mode`].
    #[must_use]
    pub fn frozen(&self) -> Scope<'_> {
        Scope { params: self, prefix: String::new(), access: Access::Frozen }
    }

    /// Returns the scope of a network whose weights are given by name, computed from these
    /// variables. The running statistics are those of `self`.
    #[must_use]
    pub fn derived<'a>(&'a self, weights: &'a BTreeMap<String, Tensor>) -> Scope<'a> {
        Scope { params: self, prefix: String::new(), access: Access::Derived(weights) }
    }

    /// Returns another handle to the same variables. Each handle sees what is changed or created
    /// through the other.
    #[must_use]
    pub fn shared(&self) -> Self {
        let entries = Arc::clone(&self.entries);
        Self { device: self.device.clone(), origin: self.origin, entries }
    }

    /// Returns the trainable variables, sorted by name.
    #[must_use]
    pub fn trainable(&self) -> Vec<(String, Var)> {
        self.select(|entry| entry.role == Some(Role::Weight))
    }

    /// Returns weights and running statistics, sorted by name.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Var)> {
        self.select(|_| true)
    }

    /// Returns the device of the variables.
    #[must_use]
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the running statistics, sorted by name.
    #[must_use]
    pub fn statistics(&self) -> Vec<(String, Var)> {
        self.select(|entry| entry.role == Some(Role::Statistic))
    }

    /// Returns the number of trainable values.
    #[must_use]
    pub fn count(&self) -> usize {
        self.trainable().iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// Returns all values without copying, so later updates change them.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, Tensor> {
        self.all().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect()
    }

    /// Returns a copy of all values, which later updates do not change.
    ///
    /// # Errors
    /// Insufficient memory for the copies.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        self.all().into_iter().map(|(name, var)| Ok((name, var.copy()?))).collect()
    }

    /// Overwrites every value from `tensors`.
    ///
    /// The names and shapes must be exactly those of the variables; otherwise nothing is changed.
    ///
    /// # Errors
    /// The first tensor that is missing, unexpected or of another shape; one that shares the memory of
    /// its variable, as those of [`Self::values`] do (those of [`Self::snapshot`] are copies).
    pub fn set(&self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        restore("tensor", &self.all(), tensors)
    }

    /// Returns an error if a given tensor was never requested, which means that the file belongs to
    /// another network.
    ///
    /// # Errors
    /// The first unused tensor, and the number of unused ones.
    pub fn check_all_used(&self) -> Result<()> {
        let unused = self.select(|entry| entry.role.is_none());
        match unused.first() {
            None => Ok(()),
            Some((name, var)) => bail!(
                "{} tensors belong to no part of this network, the first is `{name}` {:?}",
                unused.len(),
                var.dims()
            ),
        }
    }

    fn select(&self, keep: impl Fn(&Entry) -> bool) -> Vec<(String, Var)> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().filter(|(_, e)| keep(e)).map(|(n, e)| (n.clone(), e.var.clone())).collect()
    }

    fn claim(&self, name: String, shape: Shape, init: Init, role: Role) -> Result<Var> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(&name) {
            if entry.var.shape() != &shape {
                bail!(
                    "tensor `{name}`: expected shape {:?}, found {:?}",
                    shape.dims(),
                    entry.var.dims()
                );
            }
            if entry.role.is_some_and(|known| known != role) {
                bail!(
                    "tensor `{name}` is a weight in one place and a running statistic in another"
                );
            }
            entry.role = Some(role);
            return Ok(entry.var.clone());
        }
        let Origin::Fresh { noise, network } = self.origin else {
            bail!("tensor `{name}` {:?} is missing", shape.dims());
        };
        let count = shape.dims().iter().copied().try_fold(1, usize::checked_mul);
        let Some(count) = count.filter(|&count| count <= MOST) else {
            bail!("tensor `{name}` {:?}: more than {MOST} numbers", shape.dims());
        };
        let mut draws = noise.draws(Stream::Init, network, name_key(&name));
        let values: Vec<f32> = (0..count)
            .map(|_| match init {
                Init::Normal { mean, std } => (mean + std * f64::from(draws.normal())) as f32,
                Init::TruncatedNormal { std } => (std * f64::from(draws.truncated_normal())) as f32,
                Init::Uniform { bound } => draws.range(-bound, bound) as f32,
                Init::Constant(value) => value as f32,
            })
            .collect();
        let var = Var::from_vec(values, shape, &self.device)?;
        entries.insert(name, Entry { var: var.clone(), role: Some(role) });
        Ok(var)
    }
}

/// Overwrites each of `variables` with the tensor of its name. `kind` is what errors call a tensor.
///
/// The names and shapes must be exactly those of the variables; otherwise nothing is changed.
///
/// # Errors
/// The first tensor that is missing, unexpected, of another shape, or in the memory of its variable.
pub fn restore(
    kind: &str,
    variables: &[(String, Var)],
    tensors: &BTreeMap<String, Tensor>,
) -> Result<()> {
    let mut names = BTreeSet::new();
    let mut pairs = Vec::with_capacity(variables.len());
    for (name, var) in variables {
        match tensors.get(name) {
            None => bail!("{kind} `{name}` is missing"),
            Some(t) if t.dims() != var.dims() => {
                bail!("{kind} `{name}`: expected shape {:?}, found {:?}", var.dims(), t.dims())
            }
            Some(t) => pairs.push((var, t.to_device(var.device())?.to_dtype(DType::F32)?)),
        }
        names.insert(name);
    }
    if let Some(name) = tensors.keys().find(|name| !names.contains(name)) {
        bail!("{kind} `{name}` is not expected here");
    }
    if let Some((name, _)) =
        variables.iter().zip(&pairs).find_map(|(v, (var, t))| shares(var, t).then_some(v))
    {
        bail!("{kind} `{name}` shares the memory of its variable: give a copy");
    }
    pairs.into_iter().try_for_each(|(var, tensor)| var.set(&tensor))
}

/// Whether two tensors are in the same memory.
fn shares(a: &Tensor, b: &Tensor) -> bool {
    // One after the other: a lock that is held twice may wait for ever.
    let place = |of: &Tensor| std::ptr::from_ref(&*of.storage_and_layout().0);
    std::ptr::eq(place(a), place(b))
}

#[derive(Clone, Copy, Debug)]
enum Access<'a> {
    Trained,
    Frozen,
    Derived(&'a BTreeMap<String, Tensor>),
}

/// A node in the tree of names, from which a layer takes its tensors.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    params: &'a Params,
    prefix: String,
    access: Access<'a>,
}

impl Scope<'_> {
    /// Returns the scope `name` below this one.
    #[must_use]
    pub fn pp(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: self.path(&name.to_string()), ..self.clone() }
    }

    /// Returns a weight, which is trained, frozen or derived as the scope is.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn weight(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Tensor> {
        let (path, shape) = (self.path(name), shape.into());
        let claim = |path, shape| self.params.claim(path, shape, init, Role::Weight);
        match self.access {
            Access::Trained => Ok(claim(path, shape)?.as_tensor().clone()),
            Access::Frozen => Ok(claim(path, shape)?.as_detached_tensor()),
            Access::Derived(weights) => match weights.get(&path) {
                Some(weight) if weight.shape() == &shape => Ok(weight.clone()),
                Some(weight) => bail!(
                    "derived tensor `{path}`: expected shape {:?}, found {:?}",
                    shape.dims(),
                    weight.dims()
                ),
                None => bail!("derived tensor `{path}` {:?} is missing", shape.dims()),
            },
        }
    }

    /// Returns a running statistic, which is never trained and changes only in training passes.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn statistic(&self, name: &str, shape: impl Into<Shape>, value: f64) -> Result<Var> {
        self.params.claim(self.path(name), shape.into(), Init::Constant(value), Role::Statistic)
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_values_depend_on_seed_network_and_name_only() -> Result<()> {
        let values = |seed, network, name| -> Result<Vec<f32>> {
            let params = Params::fresh(Noise::new(seed), network, &Device::Cpu);
            let init = Init::Normal { mean: 0.0, std: 0.02 };
            params.trained().pp("a").weight(name, 8, init)?.to_vec1()
        };
        let reference = values(1, "g1", "weight")?;
        assert_eq!(reference, values(1, "g1", "weight")?);
        assert_ne!(reference, values(2, "g1", "weight")?);
        assert_ne!(reference, values(1, "d1", "weight")?);
        assert_ne!(reference, values(1, "g1", "bias")?);
        Ok(())
    }

    #[test]
    fn a_frozen_view_sees_updates_and_records_no_gradient() -> Result<()> {
        let params = Params::fresh(Noise::new(0), "g1", &Device::Cpu);
        let w = params.trained().weight("w", 2, Init::Constant(1.0))?;
        let frozen = params.frozen().weight("w", 2, Init::Constant(1.0))?;
        let x = Var::new(&[3f32, 4.0], &Device::Cpu)?;
        let grads = (frozen.mul(&x)?.sum_all()? + w.sum_all()?)?.backward()?;
        assert_eq!(grads.get(&w).map(|g| g.to_vec1::<f32>()).transpose()?, Some(vec![1.0, 1.0]));
        params.trainable()[0].1.set(&Tensor::new(&[5f32, 6.0], &Device::Cpu)?)?;
        assert_eq!(frozen.to_vec1::<f32>()?, [5.0, 6.0]);
        Ok(())
    }

    /// A variable created through one handle is visible through the other, and keeps its value.
    #[test]
    fn handles_share_what_is_made_later() -> Result<()> {
        let params = Params::fresh(Noise::new(0), "g1", &Device::Cpu);
        let other = params.shared();
        params.trained().weight("w", 2, Init::Constant(1.0))?;
        assert_eq!(other.trainable().len(), 1);
        assert!(params.trained().statistic("w", 2, 0.0).is_err());
        assert_eq!(params.trainable().len(), 1);
        Ok(())
    }

    #[test]
    fn given_tensors_must_fit_exactly() -> Result<()> {
        let given = |names: &[&str]| {
            let tensor = Tensor::zeros(2, DType::F32, &Device::Cpu)?;
            let map = names.iter().map(|n| ((*n).to_owned(), tensor.clone())).collect();
            Params::given(map, &Device::Cpu)
        };
        let init = Init::Constant(0.0);
        let params = given(&["w"])?;
        assert!(params.trained().weight("v", 2, init).is_err());
        assert!(params.trained().weight("w", 3, init).is_err());
        assert!(params.check_all_used().is_err());
        params.trained().weight("w", 2, init)?;
        params.check_all_used()?;
        let text = given(&["w", "x"])?.set(&given(&["w"])?.snapshot()?).unwrap_err().to_string();
        assert!(text.contains("`x` is missing"), "{text}");
        Ok(())
    }

    /// The memory of a variable cannot be written while it is read.
    #[test]
    fn a_tensor_in_the_memory_of_its_variable_changes_nothing() -> Result<()> {
        let params = Params::fresh(Noise::new(0), "g1", &Device::Cpu);
        for name in ["a", "b"] {
            params.trained().weight(name, 2, Init::Constant(1.0))?;
        }
        let mut values = params.values();
        values.insert("a".to_owned(), Tensor::new(&[5f32, 6.0], &Device::Cpu)?);
        let text = params.set(&values).unwrap_err().to_string();
        assert!(text.contains("`b` shares the memory"), "{text}");
        assert_eq!(params.values()["a"].to_vec1::<f32>()?, [1.0, 1.0]);
        values.insert("b".to_owned(), params.values()["b"].copy()?);
        params.set(&values)?;
        assert_eq!(params.values()["a"].to_vec1::<f32>()?, [5.0, 6.0]);
        Ok(())
    }

    #[test]
    fn a_tensor_of_more_numbers_than_there_can_be_is_an_error() {
        let params = Params::fresh(Noise::new(0), "g1", &Device::Cpu);
        for shape in [(usize::MAX, 2), (1 << 40, 1)] {
            assert!(params.trained().weight("w", shape, Init::Constant(1.0)).is_err());
        }
    }

    /// Of `a` and `b`, `a` alone fits in each case, and stays as it is.
    #[test]
    fn what_cannot_be_restored_changes_nothing() -> Result<()> {
        let zeros = |n: usize| Tensor::zeros(n, DType::F32, &Device::Cpu);
        let var =
            |name: &str| -> Result<_> { Ok((name.to_owned(), Var::from_tensor(&zeros(2)?)?)) };
        let variables = [var("b")?, var("a")?];
        let given = |tensors: &[(&str, usize)]| -> Result<BTreeMap<String, Tensor>> {
            tensors.iter().map(|(name, n)| Ok(((*name).to_owned(), (zeros(*n)? + 1.0)?))).collect()
        };
        for (tensors, said) in [
            (&[("a", 2)][..], "moment `b` is missing"),
            (&[("a", 2), ("b", 3)], "moment `b`: expected shape [2], found [3]"),
            (&[("a", 2), ("b", 2), ("c", 2)], "moment `c` is not expected here"),
        ] {
            let error = restore("moment", &variables, &given(tensors)?).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert_eq!(variables[1].1.to_vec1::<f32>()?, [0.0; 2], "{said}");
        }
        restore("moment", &variables, &given(&[("a", 2), ("b", 2)])?)?;
        assert_eq!(variables[0].1.to_vec1::<f32>()?, [1.0; 2]);
        Ok(())
    }

    #[test]
    fn a_derived_tensor_of_another_shape_is_told_as_such() -> Result<()> {
        let params = Params::given(BTreeMap::new(), &Device::Cpu)?;
        let weights = [("w".to_owned(), Tensor::zeros(2, DType::F32, &Device::Cpu)?)].into();
        let scope = params.derived(&weights);
        let said = |name: &str| -> String {
            scope.weight(name, 3, Init::Constant(0.0)).unwrap_err().to_string()
        };
        assert!(said("w").contains("expected shape [3], found [2]"), "{}", said("w"));
        assert!(said("v").contains("`v` [3] is missing"), "{}", said("v"));
        Ok(())
    }
}
