//! What was measured of the points: medians, the machine's limit, and what further points would
//! need.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::plan::{Line, Point};
use crate::bench::figures::Pace;
use crate::bench::programs::Peak;
use crate::bench::sample::Sample;
use crate::bench::{record, statistics};

/// Points that would need more memory than this are left out, with a note.
const MOST_MIB: f64 = 20.0 * 1024.0;
/// In quick mode, steps that would take longer are left out too.
const MOST_SECONDS: f64 = 40.0;

/// The measurements: every run of every point, the machine's limits, and the omitted points with
/// what they would need.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) runs: BTreeMap<Point, Vec<Sample>>,
    pub(super) peaks: Vec<Peak>,
    pub(super) left_out: BTreeMap<Point, String>,
}

impl Measured {
    /// Medians over the runs: seconds per step, and peak MiB if the system reports it.
    pub(super) fn of(&self, point: &Point) -> Option<(f64, Option<f64>)> {
        let runs = self.runs.get(point)?;
        let median = |values: Vec<f64>| statistics::summary(&values).ok().map(|s| s.median);
        let seconds = median(runs.iter().map(|run| run.value * 1e-3).collect())?;
        Some((seconds, median(runs.iter().filter_map(|run| run.peak_rss_mib).collect())))
    }

    /// Multiply-adds per second in registers on all cores, the best that was observed.
    fn limit(&self) -> f64 {
        record::limits(&self.peaks)[1] * 0.5e9
    }

    /// Minimum time in seconds for the direct algorithm's multiply-adds at that rate.
    pub(super) fn floor(&self, point: &Point) -> f64 {
        point.work() as f64 / self.limit().max(1.0)
    }

    /// Extrapolated seconds and MiB of a further point of a line: linear through the last two
    /// measured points; with only one, seconds in proportion.
    fn foreseen(&self, line: &Line, x: u64) -> Option<(f64, f64)> {
        let before = line.points.iter().filter(|(at, _)| *at < x);
        let known = before.filter_map(|(at, point)| {
            let (seconds, mib) = self.of(point)?;
            Some((*at as f64, seconds, mib.unwrap_or(0.0)))
        });
        let x = x as f64;
        match known.collect::<Vec<_>>().as_slice() {
            [] => None,
            [(x1, seconds, mib)] => Some((seconds * x / x1, *mib)),
            [.., (x0, s0, m0), (x1, s1, m1)] => {
                let further = (x - x1) / (x1 - x0);
                Some((s1 + (s1 - s0) * further, m1 + (m1 - m0) * further))
            }
        }
    }

    /// The reason for omitting a further point of a line: what it would need.
    pub(super) fn too_much(&self, pace: Pace, line: &Line, x: u64) -> Option<String> {
        match self.foreseen(line, x)? {
            (_, mib) if mib > MOST_MIB => Some(format!("{:.0} GiB", mib / 1024.0)),
            (seconds, _) if pace == Pace::Quick && seconds > MOST_SECONDS => {
                Some(format!("{seconds:.0} s"))
            }
            _ => None,
        }
    }

    /// All values.
    pub(super) fn raw(&self, about: &Value) -> Value {
        let run = |s: &Sample| json!({ "ms": s.value, "peak_rss_mib": s.peak_rss_mib, "threads": s.threads });
        let points = self.runs.iter().map(|(point, runs)| {
            json!({
                "point": point.name(), "stage": point.stage, "net": point.net, "batch": point.batch, "micro_batch": point.part,
                "width": point.width, "threads": point.threads, "multiply_adds": point.work(),
                "runs": runs.iter().map(run).collect::<Vec<_>>(),
            })
        });
        let left_out = self
            .left_out
            .iter()
            .map(|(point, need)| json!({ "point": point.name(), "would_need": need }));
        json!({
            "about": about,
            "peaks_gflops": record::rates(&self.peaks),
            "points": points.collect::<Vec<_>>(),
            "left_out": left_out.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::plan;
    use super::*;

    fn sample(ms: f64, mib: f64) -> Sample {
        Sample { value: ms, peak_rss_mib: Some(mib), threads: 2 }
    }

    /// Time and memory on straight lines: 100 ms and 50 MiB per picture plus 200 ms and 1000 MiB;
    /// not measured from batch 32 on.
    pub(crate) fn measured(lines: &[Line]) -> Measured {
        let peak = Peak { instructions: "avx2".to_owned(), rates: [100.0, 200.0, 90.0, 150.0] };
        let mut measured = Measured { peaks: vec![peak], ..Measured::default() };
        for (_, point) in lines.iter().flat_map(|line| &line.points) {
            if point.batch >= 32 && point.part == 0 {
                measured.left_out.insert(*point, "29 GiB".to_owned());
                continue;
            }
            let held = if point.part == 0 { point.batch } else { point.part };
            let (ms, mib) = (200 + 100 * point.batch, 1000 + 50 * held);
            let runs = [0.9, 1.0, 1.3].map(|f| sample(f * ms as f64, mib as f64));
            measured.runs.insert(*point, runs.to_vec());
        }
        measured
    }

    #[test]
    fn medians_floors_and_what_is_foreseen() {
        let lines = plan::lines(Pace::Full, 2);
        let measured = measured(&lines);
        let line = lines.iter().find(|line| line.points.len() > 4).unwrap();
        let (_, point) = &line.points[1];
        assert_eq!((point.batch, measured.of(point)), (4, Some((0.6, Some(1200.0)))));
        // 200 GF/s are 100 thousand million multiply-adds a second.
        assert!((measured.floor(point) - point.work() as f64 * 1e-11).abs() < 1e-12);
        let (seconds, mib) = measured.foreseen(line, 512).unwrap();
        assert!((seconds - 51.4).abs() < 1e-9 && (mib - 26_600.0).abs() < 1e-6, "{seconds} {mib}");
        assert_eq!(measured.too_much(Pace::Full, line, 512).unwrap(), "26 GiB");
        let parts = lines.iter().find(|line| line.name.contains("parts")).unwrap();
        assert_eq!(measured.too_much(Pace::Quick, parts, 400).unwrap(), "40 s");
        assert_eq!(measured.too_much(Pace::Quick, parts, 390), None);
        assert_eq!(measured.too_much(Pace::Full, parts, 400), None);
        assert_eq!(measured.foreseen(line, 4), Some((0.8, 1100.0)), "in proportion to one point");
        assert_eq!(measured.foreseen(line, 2), None);
        let raw = measured.raw(&json!({ "commit": "abc" }));
        assert_eq!(raw["points"].as_array().unwrap().len(), measured.runs.len());
        assert_eq!(raw["points"][0]["runs"][1]["threads"], 2);
        assert_eq!(raw["left_out"][0]["would_need"], "29 GiB");
        assert_eq!(raw["peaks_gflops"][0]["fma_all"], 200.0);
    }
}
