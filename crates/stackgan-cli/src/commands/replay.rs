//! `stackgan replay`: repeats a step that became non-finite.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use stackgan_train::Error;
use stackgan_train::replay::{Replayed, replay};

use crate::context::Context;
use crate::exit::{Exit, Problem};
use crate::output::{Form, print};

/// Maximum size of a bundle in bytes: the state and one batch.
const LARGEST: u64 = 16 << 30;

/// Repeats the step and prints what became non-finite; code 7 if something did.
///
/// # Errors
/// Code 4 when the file does not exist, 3 when it is not a bundle.
pub(super) fn run(bundle: &Path, form: Form, context: &Context) -> Result<Exit> {
    let place = format!("file: {}", bundle.display());
    let Ok(facts) = bundle.metadata() else {
        let remedy = "name a `nonfinite-step-….safetensors` of a run folder";
        return Err(Problem::missing("there is no such file", place, "a bundle", remedy).into());
    };
    if facts.len() > LARGEST {
        let parts = (format!("at most {LARGEST} bytes"), format!("{} bytes", facts.len()));
        return Err(Problem::data("not a bundle", bundle, parts, "check the path").into());
    }
    let bytes = std::fs::read(bundle).map_err(|e| {
        let parts = ("a readable file", e.to_string());
        Problem::data("the bundle cannot be read", bundle, parts, "check its permissions")
    })?;
    let Replayed { facts, result } = replay(&bytes, bundle, &context.device)?;
    let (step, epoch) = (facts.step, facts.epoch);
    let then = format!("{} = {}", facts.term, facts.value);
    let now = match &result {
        Err(Error::NonFinite { term, value, .. }) => Some(format!("{term} = {value}")),
        _ => None,
    };
    let terms = result.unwrap_or_default();
    if form == Form::Json {
        let terms: serde_json::Map<_, _> =
            terms.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        print(json!({
            "step": step, "epoch": epoch, "pictures": facts.indices, "then": then, "now": now, "terms": terms,
        }))?;
    } else {
        print(format!("step       {step}, epoch {epoch}, counted from 0"))?;
        print(format!("pictures   {:?}", facts.indices))?;
        print(format!("then       {then}"))?;
        print(format!("now        {}", now.as_deref().unwrap_or("every number is finite")))?;
        for (name, value) in terms {
            print(format!("{name:<10} {value}"))?;
        }
    }
    Ok(if now.is_some() { Exit::NonFinite } else { Exit::Done })
}
