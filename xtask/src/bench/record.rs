//! A record: every value of every run as JSON, a table for readers, and the folder of both.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::figures::{Figure, Pace};
use super::programs::{LAYOUTS, Peak, RATES};
use super::sample::Sample;
use super::statistics::{Summary, ratio, summary};

/// A figure and its runs of this program and of the peer in each layout, in the order of
/// measurement.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) figure: Figure,
    pub(crate) ours: Vec<Sample>,
    pub(crate) peer: [Vec<Sample>; LAYOUTS.len()],
}

impl Measured {
    pub(crate) const fn new(figure: Figure) -> Self {
        Self { figure, ours: Vec::new(), peer: [const { Vec::new() }; LAYOUTS.len()] }
    }

    /// The layout in which the peer is faster, and its runs.
    fn best(&self) -> Option<(&'static str, &[Sample])> {
        let median = |runs: &[Sample]| summary(&values(runs)).map_or(f64::INFINITY, |s| s.median);
        let taken = LAYOUTS.iter().zip(&self.peer).filter(|(_, runs)| !runs.is_empty());
        let (layout, runs) = taken.min_by(|(_, a), (_, b)| median(a).total_cmp(&median(b)))?;
        Some((layout, runs))
    }

    /// The time of this program relative to the peer's best layout.
    pub(crate) fn ratio(&self) -> Option<Summary> {
        ratio(&values(&self.ours), &values(self.best()?.1)).ok()
    }

    fn memory(runs: &[Sample]) -> Option<f64> {
        let peaks: Vec<f64> = runs.iter().filter_map(|run| run.peak_rss_mib).collect();
        summary(&peaks).ok().map(|s| s.median)
    }

    /// The peer's memory in the layout that needs less.
    fn peer_memory(&self) -> Option<f64> {
        self.peer.iter().filter_map(|runs| Self::memory(runs)).min_by(f64::total_cmp)
    }

    /// The achieved share of `limit` GF/s, given a median in milliseconds.
    fn share(&self, milliseconds: f64, limit: f64) -> Option<f64> {
        Some(2.0 * self.figure.work()? as f64 / (milliseconds * 1e6) / limit)
    }
}

fn values(runs: &[Sample]) -> Vec<f64> {
    runs.iter().map(|run| run.value).collect()
}

/// The highest value of each of the [`RATES`] over the whole benchmark.
pub(crate) fn limits(peaks: &[Peak]) -> [f64; 4] {
    let mut most = [0.0_f64; 4];
    for peak in peaks {
        for (most, rate) in most.iter_mut().zip(peak.rates) {
            *most = most.max(rate);
        }
    }
    most
}

/// The table, one row per figure.
pub(crate) fn table(measured: &[Measured], peaks: &[Peak]) -> Result<String> {
    let [fma_one, fma_all, gemm_one, gemm_all] = limits(peaks);
    let instructions = peaks.first().map_or("", |peak| peak.instructions.as_str());
    let mut text = format!(
        "f32 limit ({instructions}): multiply-adds {fma_one:.0} GF/s on one thread, {fma_all:.0} on all; large product \
         {gemm_one:.0} and {gemm_all:.0}. Shares are of {fma_all:.0}.\n\n\
         | figure | unit | ours | PyTorch | layout | ours / PyTorch | share of limit, ours | PyTorch | peak MiB, ours | PyTorch | ratio |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for m in measured {
        text += &row(m, fma_all)?;
    }
    Ok(text)
}

fn row(m: &Measured, limit: f64) -> Result<String> {
    let dash = || "–".to_owned();
    let name = m.figure.name();
    let ours = summary(&values(&m.ours)).with_context(|| name.clone())?;
    let theirs =
        m.best().map(|(layout, runs)| Ok::<_, anyhow::Error>((layout, summary(&values(runs))?)));
    let theirs = theirs.transpose()?;
    let share =
        |s: Summary| m.share(s.median, limit).map_or_else(dash, |s| format!("{:.0} %", 100.0 * s));
    let memory = |mib: Option<f64>| mib.map_or_else(dash, |mib| format!("{mib:.0}"));
    let (mine, its) = (Measured::memory(&m.ours), m.peer_memory());
    let cells = [
        name,
        m.figure.unit().to_owned(),
        range(ours),
        theirs.map_or_else(dash, |(_, s)| range(s)),
        theirs.map_or_else(dash, |(layout, _)| layout.to_owned()),
        m.ratio().map_or_else(dash, range),
        share(ours),
        theirs.map_or_else(dash, |(_, s)| share(s)),
        memory(mine),
        memory(its),
        mine.zip(its).map_or_else(dash, |(a, b)| format!("{:.2}", a / b)),
    ];
    Ok(format!("| {} |\n", cells.join(" | ")))
}

/// `median (minimum to maximum)`, with as many digits as are meaningful.
fn range(s: Summary) -> String {
    let digits = if s.median < 10.0 { 2 } else { usize::from(s.median < 100.0) };
    format!("{:.digits$} ({:.digits$} to {:.digits$})", s.median, s.least, s.most)
}

/// All values.
pub(crate) fn raw(measured: &[Measured], peaks: &[Peak], about: &Value) -> Value {
    let runs = |runs: &[Sample]| {
        let run = |s: &Sample| json!({ "value": s.value, "peak_rss_mib": s.peak_rss_mib, "threads": s.threads });
        runs.iter().map(run).collect::<Vec<_>>()
    };
    let figures: Vec<Value> = measured
        .iter()
        .map(|m| {
            let layouts = LAYOUTS.iter().zip(&m.peer).filter(|(_, of)| !of.is_empty());
            let peer: serde_json::Map<_, _> =
                layouts.map(|(layout, of)| ((*layout).to_owned(), json!(runs(of)))).collect();
            let ratio = m.ratio().map(|s| json!({ "median": s.median, "least": s.least, "most": s.most }));
            json!({
                "figure": m.figure.name(), "unit": m.figure.unit(), "multiply_adds": m.figure.work(),
                "ours": runs(&m.ours), "peer": peer, "ratio": ratio,
            })
        })
        .collect();
    json!({ "about": about, "peaks_gflops": rates(peaks), "figures": figures })
}

/// The machine's limits, for each time that they were measured.
pub(crate) fn rates(peaks: &[Peak]) -> Vec<Value> {
    let named = |peak: &Peak| {
        RATES.iter().zip(peak.rates).map(|(k, r)| ((*k).to_owned(), json!(r))).collect()
    };
    peaks.iter().map(|peak| Value::Object(named(peak))).collect()
}

/// The facts of a record, one per line.
pub(crate) fn facts(about: &Value) -> Result<String> {
    let facts = about.as_object().context("facts are an object")?;
    let line = |(key, value): (&String, &Value)| {
        format!("- {key}: {}\n", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    Ok(facts.iter().filter(|(_, v)| **v != json!(null)).map(line).collect())
}

/// Writes a record: a full one to docs/bench/, a quick one to target/bench/.
pub(crate) fn keep(
    root: &Path,
    (pace, name): (Pace, &str),
    raw: &Value,
    page: String,
) -> Result<()> {
    let folder = match pace {
        Pace::Full => root.join("docs/bench").join(free(root, name)),
        Pace::Quick => root.join("target/bench/quick"),
    };
    fs::create_dir_all(&folder)?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write("raw.json", serde_json::to_string_pretty(raw)? + "\n")?;
    write("README.md", page)?;
    eprintln!("written to {}", folder.display());
    Ok(())
}

/// Adds a number to further records of a day, so that none is overwritten.
fn free(root: &Path, name: &str) -> String {
    let taken = |name: &str| root.join("docs/bench").join(name).exists();
    let numbered = (2..).map(|n| format!("{name}-run{n}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::figures::Kind;
    use super::*;

    fn sample(value: f64, mib: f64) -> Sample {
        Sample { value, peak_rss_mib: Some(mib), threads: 2 }
    }

    fn measured() -> Measured {
        let mut m = Measured::new(Figure { kind: Kind::Paint { count: 1 }, net: "plain" });
        m.ours = vec![sample(50.0, 400.0), sample(60.0, 410.0), sample(40.0, 390.0)];
        m.peer = [
            vec![sample(100.0, 900.0), sample(120.0, 900.0), sample(80.0, 900.0)],
            vec![sample(200.0, 800.0), sample(200.0, 800.0), sample(200.0, 800.0)],
        ];
        m
    }

    fn peaks() -> [Peak; 2] {
        [[100.0, 180.0, 90.0, 150.0], [90.0, 200.0, 95.0, 140.0]]
            .map(|rates| Peak { instructions: "avx512f".to_owned(), rates })
    }

    #[test]
    fn the_better_layout_counts_and_the_smaller_memory() -> Result<()> {
        let text = table(&[measured()], &peaks())?;
        assert!(
            text.contains("100 GF/s on one thread, 200 on all; large product 95 and 150"),
            "{text}"
        );
        // 12.78 billion multiply-adds in 50 ms are 511 GF/s, which is 256 % of 200; in 100 ms half
        // of that.
        let line = "| paint-1-plain | ms | 50.0 (40.0 to 60.0) | 100 (80 to 120) | channels_last | 0.50 (0.50 to 0.50) \
                    | 256 % | 128 % | 400 | 800 | 0.50 |";
        assert!(text.lines().any(|l| l == line), "{text}");
        Ok(())
    }

    #[test]
    fn without_a_peer_there_are_dashes_and_nothing_is_lost_in_json() -> Result<()> {
        let mut alone = Measured::new(Figure { kind: Kind::Loader { side: 76 }, net: "residual" });
        alone.ours = vec![sample(9000.0, 50.0)];
        let text = table(&[alone.clone()], &peaks())?;
        assert!(
            text.contains(
                "| loader-76 | samples/s | 9000 (9000 to 9000) | – | – | – | – | – | 50 | – | – |"
            ),
            "{text}"
        );
        assert!(table(&[Measured::new(alone.figure)], &peaks()).is_err());

        let raw = raw(&[measured(), alone], &peaks(), &json!({ "commit": "abc" }));
        assert_eq!(raw["figures"][0]["peer"]["contiguous"][2]["value"], 200.0);
        assert_eq!(raw["figures"][0]["ratio"]["median"], 0.5);
        assert_eq!(raw["figures"][1]["ours"][0]["value"], 9000.0);
        assert_eq!(raw["peaks_gflops"][1]["fma_all"], 200.0);
        assert_eq!(raw["about"]["commit"], "abc");
        Ok(())
    }

    #[test]
    fn records_are_not_overwritten() -> Result<()> {
        let root = tempfile::tempdir()?;
        assert_eq!(free(root.path(), "day"), "day");
        fs::create_dir_all(root.path().join("docs/bench/day"))?;
        assert_eq!(free(root.path(), "day"), "day-run2");
        Ok(())
    }
}
