//! The JSON lines that the measured programs print.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::statistics::summary;

/// The result of one process for one figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The median of its rounds, in the figure's unit.
    pub(crate) value: f64,
    /// Its peak memory, if the system reports it.
    pub(crate) peak_rss_mib: Option<f64>,
    /// Number of threads that it computes on.
    pub(crate) threads: u64,
}

/// Reads the last line of a program's output.
pub(crate) fn parse(output: &str, unit: &str) -> Result<Sample> {
    let facts = last_object(output)?;
    let key = if unit == "ms" { "ms" } else { "samples_per_s" };
    let rounds = facts.get(key).and_then(Value::as_array);
    let rounds = rounds.with_context(|| format!("expected a list `{key}`, found {facts}"))?;
    let values: Vec<f64> = rounds.iter().filter_map(Value::as_f64).collect();
    if values.len() != rounds.len() || values.iter().any(|v| !v.is_finite() || *v <= 0.0) {
        bail!("expected times above 0, found {facts}");
    }
    Ok(Sample {
        value: summary(&values)?.median,
        peak_rss_mib: peak_rss_mib(&facts),
        threads: facts.get("threads").and_then(Value::as_u64).unwrap_or(0),
    })
}

/// `peak_rss_kib` in MiB.
pub(crate) fn peak_rss_mib(facts: &Value) -> Option<f64> {
    Some(facts.get("peak_rss_kib")?.as_f64()? / 1024.0)
}

/// The last line of a program's output, as JSON.
pub(crate) fn last_object(output: &str) -> Result<Value> {
    let line = output.lines().rev().find(|line| !line.trim().is_empty());
    let line = line.context("the program printed nothing; run it by hand to see why")?;
    let value: Value = serde_json::from_str(line)
        .with_context(|| format!("expected a JSON line, found `{line}`"))?;
    if value.is_object() { Ok(value) } else { bail!("expected a JSON object, found `{line}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() -> Result<()> {
        let line = "a warning\n{\"ms\": [3.0, 1.0, 2.0], \"threads\": 2, \"peak_rss_kib\": 2048}\n";
        let sample = Sample { value: 2.0, peak_rss_mib: Some(2.0), threads: 2 };
        assert_eq!(parse(line, "ms")?, sample);
        let loader = parse("{\"samples_per_s\":[500.0],\"peak_rss_kib\":null}", "samples/s")?;
        assert_eq!((loader.value, loader.peak_rss_mib, loader.threads), (500.0, None, 0));
        Ok(())
    }

    #[test]
    fn what_is_no_measurement_is_refused() {
        for bad in
            ["", "\n", "text", "[1]", "{}", "{\"ms\":[]}", "{\"ms\":[0]}", "{\"ms\":[\"1\"]}"]
        {
            assert!(parse(bad, "ms").is_err(), "{bad}");
        }
    }
}
