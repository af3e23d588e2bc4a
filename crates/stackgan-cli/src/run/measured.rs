//! The measurements of a run's model during training, from `eval.jsonl`, which `train --eval-every`
//! writes.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use stackgan_eval::bootstrap::Interval;
use stackgan_eval::report::Measured;
use stackgan_train::run_files::{RunFiles, steps_of_model};

/// The measurements of a run, by increasing step.
pub(crate) struct Measurements {
    pub all: Vec<Measurement>,
    /// The last one whose model was kept as the best.
    last_best: Option<Measurement>,
    /// Whether `best.safetensors` is that model.
    is_there: bool,
}

/// The measurement at one checkpoint.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Measurement {
    pub step: u64,
    /// Whether its model was kept as the best.
    #[serde(default)]
    best: bool,
    /// The key of the measure that decides which model is best.
    decides: Option<String>,
    pub measures: Vec<Measure>,
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// One measured value.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Measure {
    pub key: String,
    pub name: String,
    pub value: Option<f64>,
    pub interval: Option<Interval>,
    #[serde(default)]
    pub how: String,
    /// Number of painted pictures.
    #[serde(default)]
    pub count: u64,
    /// Number of real pictures.
    #[serde(default)]
    pub real: u64,
    pub by: String,
}

impl Measurements {
    /// Reads those in a run folder. For steps that were repeated after going back, the later ones
    /// count. Lines that cannot be read are skipped.
    pub(crate) fn read(run: &Path) -> Self {
        let text = std::fs::read_to_string(RunFiles::of(run).measured()).unwrap_or_default();
        let (mut all, mut last_best) = (Vec::<Measurement>::new(), None::<Measurement>);
        for line in text.lines() {
            let Ok(one) = serde_json::from_str::<Measurement>(line) else { continue };
            if one.best {
                last_best = Some(one.clone());
            }
            all.retain(|earlier| earlier.step < one.step);
            all.push(one);
        }
        let is_of = |best: &Measurement| steps_of_model(&Self::best_model(run)) == Some(best.step);
        let is_there = last_best.as_ref().is_some_and(is_of);
        Self { all, last_best, is_there }
    }

    /// The file of the model that measured best.
    pub(crate) fn best_model(run: &Path) -> PathBuf {
        run.join("best.safetensors")
    }

    /// The last one.
    pub(crate) fn newest(&self) -> Option<&Measurement> {
        self.all.last()
    }

    /// The last one whose model was kept as the best, whether that is there or not.
    pub(crate) fn last_best(&self) -> Option<&Measurement> {
        self.last_best.as_ref()
    }

    /// The measurement of `best.safetensors`.
    pub(crate) fn best(&self) -> Option<&Measurement> {
        self.last_best().filter(|_| self.is_there)
    }
}

impl Measurement {
    /// The measure with this key.
    pub(crate) fn measure(&self, key: &str) -> Option<&Measure> {
        self.measures.iter().find(|measure| measure.key == key)
    }

    /// The value that decides which model is best.
    pub(crate) fn deciding(&self) -> Option<&Measure> {
        self.measure(self.decides.as_deref()?)
    }

    /// The step and the values by key, for programs.
    pub(crate) fn numbers(&self) -> Value {
        let values = self.measures.iter().map(|m| (m.key.clone(), json!(m.value)));
        json!({ "step": self.step, "measures": values.collect::<Map<_, _>>() })
    }
}

impl Measure {
    /// Whether the values may be compared: they are by the same network, and of as many pictures.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.key, &self.name, &self.by, &self.how, self.count, self.real)
            == (&other.key, &other.name, &other.by, &other.how, other.count, other.real)
    }
}

impl From<&Measured> for Measure {
    fn from(measured: &Measured) -> Self {
        let Measured { key, name, value, interval, std: _, count, real, how, by } = measured;
        Self {
            key: (*key).to_owned(),
            name: name.clone(),
            value: Some(*value),
            interval: *interval,
            how: how.clone(),
            count: *count as u64,
            real: *real as u64,
            by: by.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of `eval.jsonl`.
    fn line(step: u64, best: bool, (key, value): (&str, Option<f64>)) -> String {
        let measure = json!({ "key": key, "name": "N", "by": "B", "count": 9, "value": value });
        json!({ "step": step, "best": best, "measures": [measure] }).to_string()
    }

    fn read(lines: &[String]) -> Measurements {
        let run = tempfile::tempdir().unwrap();
        std::fs::write(run.path().join("eval.jsonl"), lines.join("\n")).unwrap();
        Measurements::read(run.path())
    }

    #[test]
    fn lines_of_measurements_are_read_without_what_decides_too() {
        let found = read(&[
            line(2, true, ("kid", Some(0.5))),
            "no line".to_owned(),
            line(4, false, ("kid", None)),
            line(6, true, ("is", Some(3.0))),
            "{\"step\":7,\"measures\":[]}".to_owned(),
            "{\"step\":8,\"be".to_owned(),
        ]);
        let kid = |one: &Measurement| (one.step, one.measure("kid").map(|kid| kid.value));
        let kids: Vec<_> = found.all.iter().map(kid).collect();
        assert_eq!(kids, [(2, Some(Some(0.5))), (4, Some(None)), (6, None), (7, None)]);
        assert_eq!(found.last_best().map(|best| best.step), Some(6));
        assert!(found.best().is_none(), "there is no such file");
    }

    #[test]
    fn what_was_measured_before_a_run_went_back_is_left_out() {
        let of = |step, best| line(step, best, ("kid", Some(0.5)));
        let found = read(&[of(10, true), of(20, true), of(10, false)]);
        assert_eq!(found.all.iter().map(|one| one.step).collect::<Vec<_>>(), [10]);
    }

    #[test]
    fn what_is_measured_is_like_what_is_read_of_it_and_like_no_other() {
        let of = |how: &str, [count, real]: [usize; 2]| Measured {
            key: "kid",
            name: "KD".to_owned(),
            value: 0.25,
            interval: Some(Interval { low: 0.125, high: 0.5 }),
            std: None,
            count,
            real,
            how: how.to_owned(),
            by: "a network".to_owned(),
        };
        let measured = of("100 subsets", [400, 300]);
        let kept = Measure::from(&measured);
        let again: Measure = serde_json::from_value(json!(measured)).unwrap();
        assert!(kept.is_like(&again) && again.is_like(&kept));
        assert_eq!((kept.value, kept.interval), (again.value, again.interval));
        for (how, counts) in
            [("1 subset", [400, 300]), ("100 subsets", [4000, 300]), ("100 subsets", [400, 30])]
        {
            assert!(!kept.is_like(&Measure::from(&of(how, counts))), "{how} {counts:?}");
        }
    }
}
