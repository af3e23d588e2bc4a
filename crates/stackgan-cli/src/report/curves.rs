//! The curves of a run, from its `stats.jsonl`.

use std::path::Path;

use super::axis::Axis;
use super::series::Series;
use super::svg::{About, chart};
use crate::run::{Terms, laps, terms};

/// The charts of a run, here and in the terminal: a title, the names of its terms, how they are
/// drawn, and how to read it. The first ones say most.
pub(crate) const CHARTS: &[(&str, &[&str], Axis, &str)] = &[
    (
        "Discriminator: loss by kind of pair",
        &["d_real", "d_wrong", "d_fake"],
        Axis::Number,
        "All three near 0: it has won, and the generator learns nothing any more.",
    ),
    (
        "Discriminator: probability of real",
        &["p_real", "p_wrong", "p_fake"],
        Axis::Probability,
        "Wrong below real: it reads the text. Fake near real: it is deceived.",
    ),
    (
        "Generator: adversarial loss",
        &["g_adv"],
        Axis::Number,
        "High: its pictures are seen through.",
    ),
    (
        "Norm of the gradients",
        &["d_grad", "g_grad"],
        Axis::Size,
        "A jump to a hundred times the usual: something explodes.",
    ),
    (
        "Second discriminator: losses",
        &["projected_d", "projected_g"],
        Axis::Number,
        "D's near 0, G's high: the pictures are seen through.",
    ),
    (
        "Generator: loss of matching",
        &["matching"],
        Axis::Number,
        "Falls: the text encoder finds the caption of each picture.",
    ),
    (
        "Generator: mode seeking",
        &["mode_seeking"],
        Axis::Size,
        "High: the noise hardly changes the pictures.",
    ),
    (
        "Conditioning augmentation: KL",
        &["kl"],
        Axis::Number,
        "Near 0: the text is not told apart from any other.",
    ),
    (
        "Conditioning augmentation: mean sigma",
        &["sigma"],
        Axis::Number,
        "Sigma near 0: the augmentation has died.",
    ),
    ("Both players: loss in all", &["d_loss", "g_loss"], Axis::Number, ""),
    ("Penalty: slope of D (R1)", &["r1"], Axis::Size, ""),
    ("Penalty: colour consistency", &["colour"], Axis::Number, ""),
    ("Stage-I under Stage-II", &["stage1_d_loss", "stage1_g_loss"], Axis::Number, ""),
    ("Learning rate", &["lr_g", "lr_d"], Axis::Number, ""),
    ("Steps a second", &[SPEED], Axis::Number, ""),
    (
        "Share of time that went into batches",
        &["loading"],
        Axis::Number,
        "Near 1: the loader is too slow.",
    ),
];

/// Fields of `stats.jsonl` that are not terms.
const CLOCK: &[&str] = &["step", "epoch", "seconds", "since"];

/// The name of the speed, which is computed from the clock.
const SPEED: &str = "steps/s";

/// The charts for the values in `stats`. A missing or truncated file gives fewer curves and no
/// error, because the report of a run must not fail because of it.
pub(crate) fn charts(stats: &Path) -> Vec<String> {
    let mut terms = terms(stats);
    let speed = laps(&terms).iter().map(|lap| (lap.step, lap.steps / lap.seconds)).collect();
    terms.insert(SPEED.to_owned(), speed);
    let series = |name: &&str| Series::new(name, terms.get(*name).cloned().unwrap_or_default());
    let drawn = CHARTS.iter().map(|(title, names, axis, note)| {
        let about = About { title, note, axis: *axis, best: None };
        chart(&about, &names.iter().map(series).collect::<Vec<_>>())
    });
    let more = others(&terms).into_iter();
    let more = more.map(|name| chart(&About { title: name, ..About::default() }, &[series(&name)]));
    drawn.chain(more).filter(|svg| !svg.is_empty()).collect()
}

/// The names of terms that are in none of the [`CHARTS`], and not fields of the clock.
pub(crate) fn others(terms: &Terms) -> Vec<&str> {
    let known: Vec<&str> = CHARTS.iter().flat_map(|(_, names, ..)| names.iter().copied()).collect();
    let names = terms.keys().map(String::as_str);
    names.filter(|name| !known.contains(name) && !CLOCK.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lines_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stats.jsonl");
        let text = b"{\"step\":1,\"kl\":0.5,\"lr_g\":1e-4}\nnot json\n\xff\xfe\n{\"step\":2,\"kl\":0.4}\n{\"st";
        std::fs::write(&file, text).unwrap();
        let terms = terms(&file);
        assert_eq!(terms.get("kl").unwrap(), &[(1.0, 0.5), (2.0, 0.4)]);
        assert_eq!(charts(&file).len(), 1); // only `kl` has two points
        assert!(charts(&dir.path().join("none")).is_empty());
    }
    #[test]
    fn every_term_has_a_curve() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stats.jsonl");
        let line = |step: u32| {
            format!(
                "{{\"step\":{step},\"epoch\":0,\"seconds\":{step},\"since\":0,\"matching\":2.5,\"d_loss\":1,\"g_loss\":3,\"loading\":0.1,\"kl\":1,\"sigma\":0.9,\"new_term\":{step}}}\n"
            )
        };
        std::fs::write(&file, line(1) + &line(2) + &line(3)).unwrap();
        let page = charts(&file).concat();
        for name in ["matching", "d_loss", "g_loss", "loading", "new_term", "steps/s"] {
            assert_eq!(page.matches(&format!("<title>{name}<")).count(), 1, "{name}");
        }
        assert_eq!(charts(&file).len(), 7, "no curve of the clock; one axis has one unit");
    }
}
