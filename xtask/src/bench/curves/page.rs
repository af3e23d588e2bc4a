//! The tables of docs/performance.md, between two marks; the text around them is written by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::measured::Measured;
use super::plan::{Axis, Line, Point, small_batch};
use crate::bench::record;

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- written by `cargo xtask bench --curves` -->";
const END: &str = "<!-- end of what is written -->";

/// Inserts the tables into the page.
pub(super) fn write(root: &Path, tables: &str) -> Result<()> {
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    fs::write(&path, between(&page, tables)?).with_context(|| format!("cannot write {PAGE}"))
}

fn between(page: &str, tables: &str) -> Result<String> {
    let (before, rest) =
        page.split_once(BEGIN).with_context(|| format!("{PAGE} has no `{BEGIN}`"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no `{END}`"))?;
    Ok(format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))
}

/// Where and how it was measured, the cost against the batch size, and every point.
pub(super) fn tables(about: &Value, lines: &[Line], measured: &Measured) -> String {
    let fact = |key: &str| match &about[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let [fma_one, fma_all, gemm_one, gemm_all] = record::limits(&measured.peaks);
    let instructions = measured.peaks.first().map_or("", |peak| peak.instructions.as_str());
    let mut text = format!(
        "{}, {} cores, {}; `{}` at commit {}, {} ({} run(s) of each point, each in a process of its own). f32 multiply-adds in registers \
         ({instructions}): {fma_one:.0} GF/s on one thread, {fma_all:.0} on all, which is the limit below; a large product through `gemm`: \
         {gemm_one:.0} and {gemm_all:.0}.\n\n",
        fact("cpu"),
        fact("cores"),
        fact("memory"),
        fact("command"),
        fact("commit"),
        fact("date"),
        fact("runs"),
    );
    text += &laws(lines, measured);
    for (axis, what) in [
        (Axis::Batch, "A step, by pictures of a batch (all threads, width 128)".to_owned()),
        (
            Axis::Width,
            format!(
                "A step, by width (batch {} in Stage-I, {} in Stage-II)",
                small_batch(1),
                small_batch(2)
            ),
        ),
        (Axis::Threads, "The same, by threads (width 128)".to_owned()),
    ] {
        let _ = write!(text, "**{what}**\n\n");
        text += &points(axis, lines, measured);
    }
    text
}

/// For each line of whole batches: a fixed cost and a cost per picture, by least squares.
fn laws(lines: &[Line], measured: &Measured) -> String {
    let mut text = "**What a batch costs**: a fixed part, and one for each picture, by least squares through the points below\n\n\
        | | ms, fixed | ms a picture | its multiply-adds at the limit | share of the limit | MiB, fixed | MiB a picture |\n\
        |---|---|---|---|---|---|---|\n"
        .to_owned();
    for line in lines.iter().filter(|line| line.axis == Axis::Batch) {
        let known: Vec<(&Point, f64, f64)> = line
            .points
            .iter()
            .filter_map(|(_, point)| {
                let (seconds, mib) = measured.of(point)?;
                Some((point, 1e3 * seconds, mib?))
            })
            .collect();
        let Some((point, ..)) = known.last() else { continue };
        let law = |of: fn(&(&Point, f64, f64)) -> f64| {
            let points: Vec<(f64, f64)> = known.iter().map(|k| (k.0.batch as f64, of(k))).collect();
            straight(&points)
        };
        let ((ms, a_picture), (mib, mib_a_picture)) = (law(|k| k.1), law(|k| k.2));
        let least = 1e3 * measured.floor(point) / point.batch as f64;
        let _ = writeln!(
            text,
            "| {} | {ms:.0} | {a_picture:.1} | {least:.1} | {:.0} % | {mib:.0} | {mib_a_picture:.0} |",
            title(line),
            100.0 * least / a_picture
        );
    }
    text + "\n"
}

/// The least-squares line `a + b x`.
fn straight(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len().max(1) as f64;
    let (mx, my) = points.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
    let both: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    let square: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let slope = if square > 0.0 { both / square } else { 0.0 };
    (my - slope * mx, slope)
}

fn points(axis: Axis, lines: &[Line], measured: &Measured) -> String {
    let lines: Vec<&Line> = lines.iter().filter(|line| line.axis == axis).collect();
    let mut columns: Vec<u64> = lines.iter().flat_map(|l| l.points.iter().map(|p| p.0)).collect();
    columns.sort_unstable();
    columns.dedup();
    let head: Vec<String> = columns.iter().map(u64::to_string).collect();
    let mut text = format!("| | {} |\n|---|{}\n", head.join(" | "), "---|".repeat(columns.len()));
    for line in lines {
        let cell = |x: &u64| {
            let point = line.points.iter().find(|(at, _)| at == x).map(|(_, point)| point)?;
            Some(match (measured.of(point), measured.left_out.get(point)) {
                (Some((seconds, mib)), _) => {
                    format!("{}{}", time(seconds), mib.map_or_else(String::new, memory))
                }
                (None, Some(need)) => format!("left out: about {need}"),
                (None, None) => return None,
            })
        };
        let cells: Vec<String> =
            columns.iter().map(|x| cell(x).unwrap_or_else(|| "–".to_owned())).collect();
        let _ = writeln!(text, "| {} | {} |", title(line), cells.join(" | "));
    }
    text + "\n"
}

fn title(line: &Line) -> String {
    format!("{}, {}", if line.stage == 1 { "Stage-I" } else { "Stage-II" }, line.name)
}

fn time(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", 1e3 * seconds) } else { format!("{seconds:.2} s") }
}

fn memory(mib: f64) -> String {
    if mib < 1000.0 { format!(", {mib:.0} MiB") } else { format!(", {:.1} GiB", mib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::curves::measured::tests::measured;
    use crate::bench::curves::plan;
    use crate::bench::figures::Pace;

    #[test]
    fn the_tables_have_laws_points_and_what_was_left_out() {
        let lines = plan::lines(Pace::Full, 2);
        let about = json!({ "cpu": "a CPU", "cores": 2, "commit": "abc", "runs": 3 });
        let text = tables(&about, &lines, &measured(&lines));
        // 200 ms plus 100 ms per picture; 1000 MiB plus 50 MiB per picture, or the memory of a part
        // of 4 for any batch.
        assert!(text.contains("| Stage-II, residual, whole batch | 200 | 100.0 |"), "{text}");
        assert!(text.contains("| 1000 | 50 |"), "{text}");
        let parts =
            text.lines().find(|l| l.starts_with("| Stage-II, residual, in parts of 4 | 200"));
        assert!(parts.unwrap().ends_with("| 1200 | 0 |"), "{text}");
        assert!(text.contains("400 ms, 1.1 GiB | 600 ms, 1.2 GiB"), "{text}");
        assert!(text.contains("left out: about 29 GiB"), "{text}");
        assert!(text.contains("a CPU, 2 cores") && text.contains("200 on all"), "{text}");
    }

    #[test]
    fn what_is_written_by_hand_stays() {
        let page = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nAfter.\n");
        let once = between(&page, "new\n").unwrap();
        assert!(
            once.starts_with("# Title") && once.ends_with("\n\nAfter.\n") && !once.contains("old")
        );
        assert_eq!(between(&once, "new\n").unwrap(), once);
        assert!(between("no marks", "new").unwrap_err().to_string().contains(BEGIN));
    }

    #[test]
    fn a_straight_line_is_found() {
        let (a, b) = straight(&[(2.0, 7.0), (4.0, 11.0), (8.0, 19.0)]);
        assert!((a - 3.0).abs() < 1e-9 && (b - 2.0).abs() < 1e-9, "{a} {b}");
        assert_eq!(straight(&[(2.0, 7.0)]), (7.0, 0.0));
    }
}
