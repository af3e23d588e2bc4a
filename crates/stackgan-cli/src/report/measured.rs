//! The measurements of a run's model on its page, and in words.

use stackgan_eval::bootstrap::Interval;

use super::axis::Axis;
use super::numbers::number;
use super::page::Page;
use super::series::Series;
use super::svg::{About, chart};
use crate::run::{Measure, Measurement, Measurements};

impl Measurements {
    /// Adds them to a page. Those after `step` are left out, because the run went back from there.
    pub(super) fn section(&self, page: &mut Page, step: u64) {
        let shown: Vec<&Measurement> = self.all.iter().filter(|one| one.step <= step).collect();
        let Some(newest) = shown.last() else { return };
        page.section("Measured");
        if let Some(best) = self.best() {
            let of = best
                .deciding()
                .map_or_else(String::new, |m| format!(", the best by {}: {}", m.name, m.told()));
            page.text(&format!("best.safetensors is the model of step {}{of}.", best.step));
        }
        let mut head = ["measure", &format!("step {}", newest.step), "95 % interval"]
            .map(str::to_owned)
            .to_vec();
        let best = self.best().filter(|best| best.step != newest.step);
        head.extend(best.map(|best| format!("step {}, the best", best.step)));
        head.push("by".to_owned());
        let row = |m: &Measure| {
            let interval = m.interval.map_or_else(
                || "–".to_owned(),
                |Interval { low, high }| format!("{} to {}", number(low), number(high)),
            );
            let mut row = vec![m.name.clone(), m.told(), interval];
            row.extend(best.map(|best| {
                let same = best.measures.iter().find(|other| other.is_like(m));
                same.map_or_else(|| "–".to_owned(), Measure::told)
            }));
            row.push(m.by.clone());
            row
        };
        page.table(
            &std::iter::once(head).chain(newest.measures.iter().map(row)).collect::<Vec<_>>(),
        );
        for why in &newest.left_out {
            page.text(&format!("Not measured at step {}: {why}.", newest.step));
        }
        let best = self.best().map(|best| best.step as f64);
        let charts: Vec<String> = newest.measures.iter().map(|m| m.chart(&shown, best)).collect();
        if charts.iter().any(|chart| !chart.is_empty()) {
            page.charts(&charts);
        }
    }
}

impl Measurement {
    /// All values in one line.
    pub(crate) fn line(&self) -> String {
        let told: Vec<String> =
            self.measures.iter().map(|m| format!("{} {}", m.name, m.told())).collect();
        told.join(", ")
    }

    /// The deciding value, or all if none is known to decide.
    pub(crate) fn verdict(&self) -> String {
        self.deciding().map_or_else(|| self.line(), |m| format!("{} {}", m.name, m.told()))
    }
}

impl Measure {
    fn told(&self) -> String {
        self.value.map_or_else(|| "–".to_owned(), number)
    }

    /// The curve of a value, with the interval around each point.
    fn chart(&self, all: &[&Measurement], best: Option<f64>) -> String {
        let of = |one: &&Measurement| {
            let same = one.measures.iter().find(|other| other.is_like(self))?;
            Some(((one.step as f64, same.value?), same.interval))
        };
        let (points, bands): (Vec<_>, Vec<_>) = all.iter().filter_map(of).unzip();
        let band = |interval: &Option<Interval>| interval.map(|i| (i.low, i.high));
        let band = bands.iter().map(band).collect::<Option<Vec<_>>>().unwrap_or_default();
        let note = [self.by.as_str(), self.how.as_str()].join("; ");
        let note = note.trim_end_matches("; ");
        let best = best.filter(|best| points.iter().any(|p| p.0 == *best));
        let about = About { title: &self.name, note, axis: Axis::Number, best };
        chart(&about, &[Series { band, ..Series::new(&self.name, points) }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A line of `eval.jsonl`.
    fn line(step: u64, best: bool, value: f64) -> String {
        format!(
            "{{\"step\":{step},\"best\":{best},\"decides\":\"rp\",\"measures\":[{{\"key\":\"rp\",\"name\":\"R <precision>\",\"value\":{value},\"interval\":{{\"low\":0.1,\"high\":0.9}},\"std\":null,\"count\":9,\"real\":0,\"how\":\"1 of 10\",\"by\":\"encoder\"}},\
             {{\"key\":\"is\",\"name\":\"IS\",\"value\":null,\"interval\":null,\"how\":\"\",\"by\":\"x\"}}],\"left_out\":[\"FID: too few\"]}}\n"
        )
    }

    /// As a model's file, as far as it says what it is.
    fn model(step: u64) -> Vec<u8> {
        let about = format!(
            "{{\"format\":\"stackgan-model/1\",\"stage1\":{{\"steps\":{step}}},\"stage2\":null}}"
        );
        let header = json!({ "__metadata__": { "stackgan": about } }).to_string();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
    }

    #[test]
    fn measures_have_curves_and_the_best_model_is_named() {
        let run = tempfile::tempdir().unwrap();
        let text =
            line(10, true, 0.5) + "no line\n" + &line(20, false, 0.4) + &line(30, false, 0.3);
        std::fs::write(run.path().join("eval.jsonl"), text).unwrap();
        let best = run.path().join("best.safetensors");
        std::fs::write(&best, model(9)).unwrap();
        assert!(Measurements::read(run.path()).best().is_none(), "it is of another step");
        std::fs::write(&best, model(10)).unwrap();
        let measured = Measurements::read(run.path());
        let shown = |step: u64| {
            let mut page = Page::new("", "");
            measured.section(&mut page, step);
            page.finish()
        };
        let html = shown(30);
        for words in [
            "best.safetensors is the model of step 10, the best by R &lt;precision&gt;: 0.500.",
            "step 30",
            "0.100 to 0.900",
            "class=\"band c0\"",
            "best model: step 10",
            "FID: too few",
        ] {
            assert!(html.contains(words), "{words}\n{html}");
        }
        assert!(!shown(20).contains("step 30") && !shown(5).contains("Measured"));
        let (newest, best) = (measured.newest().unwrap(), measured.best().unwrap());
        assert_eq!((newest.step, newest.line().as_str()), (30, "R <precision> 0.300, IS –"));
        assert_eq!((best.step, best.verdict().as_str()), (10, "R <precision> 0.500"));
    }
}
