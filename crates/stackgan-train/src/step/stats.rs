//! The values of a step.

use candle_core::Tensor;
use stackgan_kernels::exp;

use super::config::{Checks, StepConfig};
use crate::{Result, nonfinite};

/// The groups of picture-text pairs that D is trained on.
#[derive(Clone, Copy)]
pub(super) enum Pairs {
    Real,
    Wrong,
    Fake,
}

impl Pairs {
    /// The names of the group's part of D's loss, and of the mean probability that D gives to the
    /// group.
    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Real => ["d_real", "p_real"],
            Self::Wrong => ["d_wrong", "p_wrong"],
            Self::Fake => ["d_fake", "p_fake"],
        }
    }
}

/// The results of a step: named scalars, left on the device until they are read.
#[derive(Clone, Debug)]
pub struct StepStats {
    terms: Vec<Term>,
    /// Values that still have to be checked, if that is done at the end.
    deferred: Vec<Term>,
    parts: usize,
}

#[derive(Clone, Debug)]
struct Term {
    name: &'static str,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    There(Tensor),
    Read(f64),
}

impl Term {
    fn new(name: &'static str, value: &Tensor) -> Self {
        Self { name, value: Value::There(value.detach()) }
    }

    fn read(&self) -> candle_core::Result<f64> {
        match &self.value {
            Value::Read(number) => Ok(*number),
            Value::There(value) => Ok(f64::from(value.to_scalar::<f32>()?)),
        }
    }
}

impl StepStats {
    /// Statistics of a step in `parts` parts; each term is the mean over the parts.
    pub(super) const fn of_parts(parts: usize) -> Self {
        Self { terms: Vec::new(), deferred: Vec::new(), parts }
    }

    pub(super) const fn parts(&self) -> usize {
        self.parts
    }

    /// Adds a term of the whole batch.
    pub(super) fn push(&mut self, name: &'static str, value: &Tensor) {
        self.terms.push(Term::new(name, value));
    }

    /// Adds a term of one part.
    pub(super) fn push_part(
        &mut self,
        name: &'static str,
        value: &Tensor,
    ) -> candle_core::Result<()> {
        if self.parts == 1 {
            self.push(name, value);
            return Ok(());
        }
        let share = (value.detach() * (1.0 / self.parts as f64))?;
        match self.terms.iter_mut().find(|term| term.name == name) {
            Some(Term { value: Value::There(sum), .. }) => *sum = (&*sum + share)?,
            _ => self.push(name, &share),
        }
        Ok(())
    }

    /// Adds D's loss and, for each group of pairs, its part of the loss and the mean probability
    /// that D gives to it.
    pub(super) fn discriminator(
        &mut self,
        loss: &Tensor,
        groups: &[(Pairs, &Tensor, &Tensor)],
    ) -> candle_core::Result<()> {
        self.push_part("d_loss", loss)?;
        for (pairs, loss, _) in groups {
            self.push_part(pairs.names()[0], loss)?;
        }
        for (pairs, _, logits) in groups {
            let probability = (exp(&logits.detach().neg()?)? + 1.0)?.recip()?;
            self.push_part(pairs.names()[1], &probability.mean_all()?)?;
        }
        Ok(())
    }

    /// Adds the losses of Stage-I's own training.
    pub(crate) fn with_stage1(mut self, low: Self) -> Self {
        let names = [("d_loss", "stage1_d_loss"), ("g_loss", "stage1_g_loss")];
        for (theirs, name) in names {
            let found = low.terms.iter().find(|term| term.name == theirs);
            self.terms.extend(found.map(|term| Term { name, value: term.value.clone() }));
        }
        self.deferred.extend(low.deferred);
        self
    }

    /// Requires a scalar to be finite; checks it now or at the end.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`], if it is checked now.
    pub(crate) fn check(
        &mut self,
        name: &'static str,
        value: &Tensor,
        cfg: &StepConfig,
    ) -> Result<()> {
        match cfg.checks {
            Checks::Deferred => {
                self.deferred.push(Term::new(name, value));
                Ok(())
            }
            Checks::Immediate => match f64::from(value.to_scalar::<f32>()?) {
                value if value.is_finite() => Ok(()),
                value => Err(nonfinite::error(cfg.step, name, value)),
            },
        }
    }

    /// All scalars, and the `counts` of non-finite values, in one tensor on the device.
    pub(crate) fn gathered(&self, counts: [&Tensor; 2]) -> candle_core::Result<Tensor> {
        let scalars =
            self.terms.iter().chain(&self.deferred).filter_map(|term| match &term.value {
                Value::There(value) => Some(value),
                Value::Read(_) => None,
            });
        Tensor::stack(&scalars.chain(counts).collect::<Vec<_>>(), 0)
    }

    /// Takes the values that [`Self::gathered`] collected, in their order, and does the deferred
    /// checks. Later reads return these values.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] names the first non-finite scalar, or else the first of the two
    /// `counts` that is not zero.
    pub(crate) fn check_deferred(
        &mut self,
        step: u64,
        gathered: &[f32],
        counts: [&str; 2],
    ) -> Result<()> {
        let mut numbers = gathered.iter().copied().map(f64::from);
        for (term, number) in self.terms.iter_mut().chain(&mut self.deferred).zip(&mut numbers) {
            term.value = Value::Read(number);
        }
        for term in self.deferred.drain(..) {
            if let Some(value) = term.read().ok().filter(|value| !value.is_finite()) {
                return Err(nonfinite::error(step, term.name, value));
            }
        }
        match counts.iter().zip(numbers).find(|(_, count)| *count != 0.0) {
            Some((name, _)) => Err(nonfinite::error(step, name, f64::NAN)),
            None => Ok(()),
        }
    }

    /// The names alone, to be filled with the values of other steps.
    pub(crate) fn names(mut self) -> Self {
        for term in self.terms.iter_mut().chain(&mut self.deferred) {
            term.value = Value::Read(f64::NAN);
        }
        self
    }

    /// The value of one term.
    ///
    /// # Errors
    /// When the device fails or there is no such term.
    pub fn get(&self, name: &str) -> candle_core::Result<f64> {
        match self.terms.iter().find(|term| term.name == name) {
            Some(term) => term.read(),
            None => candle_core::bail!("a step has no term `{name}`"),
        }
    }

    /// The name and value of the first loss term that is not finite. Total losses are skipped in
    /// favour of their parts.
    pub(super) fn first_non_finite(&self) -> Option<(String, f64)> {
        let parts = self.terms.iter().filter(|term| !term.name.ends_with("_loss"));
        let mut values = parts.filter_map(|term| Some((term.name, term.read().ok()?)));
        values.find(|(_, v)| !v.is_finite()).map(|(name, v)| (name.to_owned(), v))
    }

    /// All terms as numbers, in the order in which they were added.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(&self) -> candle_core::Result<Vec<(&'static str, f64)>> {
        self.terms.iter().map(|term| Ok((term.name, term.read()?))).collect()
    }
}
