//! `stackgan replay`: repeats a step that became non-finite.

use std::path::Path;

use anyhow::Result;
use serde::{Serialize, Serializer};
use stackgan_data::formats::read_bounded;
use stackgan_train::Error;
use stackgan_train::replay::{Replayed, replay};

use crate::context::Context;
use crate::exit::{Exit, Problem};
use crate::output::{Answer, Form};

/// Maximum size of a bundle in bytes: the state and one batch.
const LARGEST: u64 = 16 << 30;

/// Repeats the step and shows what became non-finite; code 7 if something did.
///
/// # Errors
/// Code 4 when the file does not exist, 3 when it is not a bundle.
pub(super) fn run(bundle: &Path, form: Form, context: &Context) -> Result<Exit> {
    if !bundle.exists() {
        let remedy = "name a `nonfinite-step-….safetensors` of a run folder";
        return Err(Problem::no_file(bundle, "a bundle", remedy).into());
    }
    let bytes = read_bounded(bundle, LARGEST)?;
    let Replayed { facts, result } = replay(&bytes, bundle, &context.device)?;
    let now = match &result {
        Err(Error::NonFinite { term, value, .. }) => Some(format!("{term} = {value}")),
        _ => None,
    };
    let exit = if now.is_some() { Exit::NonFinite } else { Exit::Done };
    let then = format!("{} = {}", facts.term, facts.value);
    let terms = result.unwrap_or_default();
    let (step, epoch, pictures) = (facts.step, facts.epoch, facts.indices);
    form.show(&Repeated { step, epoch, pictures, then, now, terms })?;
    Ok(exit)
}

/// A step, taken again.
#[derive(Serialize)]
struct Repeated {
    /// Counted from 0.
    step: u64,
    /// Counted from 0.
    epoch: u64,
    /// The pictures of its batch, by their place in the prepared file.
    pictures: Vec<usize>,
    /// The value that was not finite.
    then: String,
    /// The value that is not finite now.
    now: Option<String>,
    /// The values of the step, by name, if all are finite.
    #[serde(serialize_with = "by_name")]
    terms: Vec<(&'static str, f64)>,
}

fn by_name<S: Serializer>(terms: &[(&'static str, f64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(terms.iter().copied())
}

impl Answer for Repeated {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("step       {}, epoch {}, counted from 0", self.step, self.epoch),
            format!("pictures   {:?}", self.pictures),
            format!("then       {}", self.then),
            format!("now        {}", self.now.as_deref().unwrap_or("every number is finite")),
        ];
        lines.extend(self.terms.iter().map(|(name, value)| format!("{name:<10} {value}")));
        lines
    }
}
