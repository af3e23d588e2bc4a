//! Warnings about problems that a person who watches a run would notice: a discriminator that has
//! won, exploding gradients, and pictures that are all alike.
//!
//! Each warning comes with advice and is repeated only after a while. The limits are: a loss of D
//! below 1e-3 for 500 steps; a gradient norm above a hundred times its median. Pictures count as
//! alike when, after 500 steps, those of different noise or of different captions differ by less
//! than a hundredth of the difference of real ones, twice in a row.

use std::collections::VecDeque;

use stackgan_core::image::Picture;

use crate::step::StepStats;

/// The loss of D below which D has won.
const SATURATED: f64 = 1e-3;
/// Number of consecutive steps for which it must stay there.
const PATIENCE: u64 = 500;
/// A gradient norm above this many times its median counts as exploding.
const EXPLODES: f64 = 100.0;
/// Maximum and minimum number of norms for a median.
const NORMS: (usize, usize) = (200, 50);
/// Generated pictures are alike if they differ by less than this share of the difference of real
/// ones.
const ALIKE: f64 = 0.01;
/// Steps before which pictures may be alike, because an untrained generator gives grey.
const UNTRAINED: u64 = 500;
/// Number of steps before a warning is repeated.
const QUIET: u64 = 1000;

/// How much generated pictures differ: root mean square, in grey levels of 256.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Differences {
    /// Between pictures of one caption with different noise; `None` if they have the same.
    pub noise: Option<f64>,
    /// Between pictures of different captions with the same noise; `None` if there is only one
    /// caption.
    pub captions: Option<f64>,
}

impl Differences {
    /// The differences within a grid with rows of `columns` pictures: one caption per row, one noise per
    /// column.
    #[must_use]
    pub fn of(grid: &[Picture], columns: usize) -> Self {
        let rows: Vec<&[Picture]> = grid.chunks_exact(columns.max(1)).collect();
        let beside = rows.iter().flat_map(|row| row.windows(2)).filter_map(|pair| match pair {
            [a, b] => Some(difference(a, b)),
            _ => None,
        });
        let below = rows.windows(2).flat_map(|pair| match pair {
            [a, b] => a.iter().zip(*b).map(|(a, b)| difference(a, b)).collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        let [noise, captions] = [beside.collect::<Vec<_>>(), below.collect()]
            .map(|all| (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64));
        Self { noise, captions }
    }
}

/// The root mean square of the difference of two pictures, in grey levels.
#[must_use]
pub fn difference(a: &Picture, b: &Picture) -> f64 {
    let square = |(a, b): (&u8, &u8)| (f64::from(*a) - f64::from(*b)).powi(2);
    let sum: f64 = a.rgb.iter().zip(&b.rgb).map(square).sum();
    (sum / a.rgb.len().max(1) as f64).sqrt()
}

/// Watches one run from its start or resumption.
#[derive(Debug)]
pub struct Watch {
    /// How much real pictures of different captions differ, in grey levels.
    real: f64,
    saturated: u64,
    alike: u32,
    gradients: [Norms; 2],
    said: [Option<u64>; 4],
}

/// The watched values of a step; a player that was not updated has no gradient.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// D's loss.
    pub d_loss: Option<f64>,
    /// The norm of D's gradient.
    pub d_grad: Option<f64>,
    /// The norm of G's gradient.
    pub g_grad: Option<f64>,
}

impl Seen {
    /// The watched values among those of a step.
    #[must_use]
    pub fn of(stats: &StepStats) -> Self {
        let term = |name| stats.get(name).ok();
        Self { d_loss: term("d_loss"), d_grad: term("d_grad"), g_grad: term("g_grad") }
    }
}

/// Indices of the warnings in [`Watch::said`].
const D_WON: usize = 0;
const GRADIENT: [usize; 2] = [1, 2];
const COLLAPSE: usize = 3;

impl Watch {
    /// Creates a watch; real pictures of different captions differ by `real` grey levels.
    #[must_use]
    pub fn new(real: f64) -> Self {
        Self { real, saturated: 0, alike: 0, gradients: Default::default(), said: [None; 4] }
    }

    /// Checks a step and returns the warnings that it causes.
    pub fn step(&mut self, step: u64, seen: Seen) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(loss) = seen.d_loss {
            self.saturated = if loss < SATURATED { self.saturated + 1 } else { 0 };
            if self.saturated >= PATIENCE && self.say(D_WON, step) {
                warnings.push(format!(
                    "the discriminator has won: its loss stayed below {SATURATED} for {PATIENCE} steps, and the generator learns \
                     nothing from it. Try a penalty on its slope (loss.r1.gamma above 0) or a smaller optim.lr_d"
                ));
            }
        }
        let norms = [("discriminator", seen.d_grad), ("generator", seen.g_grad)];
        for (i, (name, norm)) in norms.into_iter().enumerate() {
            let (Some(norm), Some(norms)) = (norm, self.gradients.get_mut(i)) else { continue };
            let median = norms.median();
            norms.push(norm);
            let Some(median) = median.filter(|median| norm > EXPLODES * median) else { continue };
            if self.say(GRADIENT.get(i).copied().unwrap_or_default(), step) {
                warnings.push(format!(
                    "the {name}'s gradient explodes: norm {norm:.3e}, {EXPLODES} times the median of the last steps ({median:.3e}) \
                     is the limit. Try a smaller optim.lr_g and optim.lr_d, or look at the data of this step"
                ));
            }
        }
        warnings
    }

    /// Checks a grid of generated pictures.
    pub fn grid(&mut self, step: u64, between: Differences) -> Option<String> {
        let limit = ALIKE * self.real;
        let alike = |found: Option<f64>, what| found.filter(|&found| found < limit).zip(Some(what));
        let found = alike(between.captions, "captions").or(alike(between.noise, "noise"));
        let Some((found, what)) = found.filter(|_| step >= UNTRAINED) else {
            self.alike = 0;
            return None;
        };
        self.alike = self.alike.saturating_add(1);
        if self.alike < 2 || !self.say(COLLAPSE, step) {
            return None;
        }
        let real = self.real;
        Some(format!(
            "pictures of different {what} are alike: they differ by {found:.3} grey levels, real ones by {real:.1}. The \
             generator may have collapsed: compare samples/ over time; go back to an earlier checkpoint, with another seed or a smaller \
             optim.lr_g"
        ))
    }

    /// Whether a warning may be given now; if so, it is recorded as given.
    fn say(&mut self, which: usize, step: u64) -> bool {
        let Some(said) = self.said.get_mut(which) else { return false };
        let quiet = said.is_some_and(|last| step.saturating_sub(last) < QUIET);
        if !quiet {
            *said = Some(step);
        }
        !quiet
    }
}

/// The last norms of one network's gradient.
#[derive(Debug, Default)]
struct Norms(VecDeque<f64>);

impl Norms {
    fn push(&mut self, norm: f64) {
        if self.0.len() == NORMS.0 {
            self.0.pop_front();
        }
        self.0.push_back(norm);
    }

    fn median(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().filter(|_| sorted.len() >= NORMS.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(d_loss: f64, grad: f64) -> Seen {
        Seen { d_loss: Some(d_loss), d_grad: Some(grad), g_grad: Some(grad) }
    }

    #[test]
    fn a_discriminator_that_has_won_is_told_once_in_a_while() {
        let mut watch = Watch::new(50.0);
        let at: Vec<u64> =
            (0..2000).filter(|&s| !watch.step(s, seen(9e-4, 1.0)).is_empty()).collect();
        assert_eq!(at, [499, 1499]);
        let mut watch = Watch::new(50.0);
        for step in 0..5000 {
            let loss = if step % 499 == 0 { 2e-3 } else { 1e-5 };
            assert!(watch.step(step, seen(loss, 1.0)).is_empty(), "{step}");
        }
    }

    #[test]
    fn the_last_steps_there_are_have_warnings_too() {
        let mut watch = Watch::new(50.0);
        let at: Vec<u64> = (u64::MAX - 599..=u64::MAX)
            .filter(|&s| !watch.step(s, seen(9e-4, 1.0)).is_empty())
            .collect();
        assert_eq!(at, [u64::MAX - 100]);
    }

    #[test]
    fn an_exploding_gradient_is_told_for_the_player_concerned() {
        let mut watch = Watch::new(50.0);
        for step in 0..60 {
            assert!(watch.step(step, seen(1.0, 1.0 + 0.1 * (step % 7) as f64)).is_empty());
        }
        assert!(watch.step(60, seen(1.0, 99.0)).is_empty());
        let sick = Seen { g_grad: Some(500.0), ..seen(1.0, 1.0) };
        let said = watch.step(61, sick);
        assert!(said.len() == 1 && said[0].starts_with("the generator's gradient"), "{said:?}");
    }

    #[test]
    fn pictures_that_are_alike_are_told_by_what_they_do_not_follow() {
        let flat = |v: u8| Picture { width: 2, height: 2, rgb: vec![v; 12] };
        let of = |levels: &[u8]| {
            Differences::of(&levels.iter().map(|&v| flat(v)).collect::<Vec<_>>(), 2)
        };
        assert_eq!(of(&[10, 14, 20, 24]), Differences { noise: Some(4.0), captions: Some(10.0) });
        let mut watch = Watch::new(50.0);
        let healthy = of(&[10, 14, 20, 24]);
        let (no_captions, no_noise) = (of(&[10, 14, 10, 14]), of(&[10, 10, 20, 20]));
        assert!(watch.grid(400, no_noise).is_none() && watch.grid(499, no_noise).is_none());
        assert!(watch.grid(600, healthy).is_none() && watch.grid(700, no_captions).is_none());
        assert!(watch.grid(800, healthy).is_none() && watch.grid(900, no_captions).is_none());
        assert!(watch.grid(1000, no_captions).unwrap().contains("different captions"));
        assert!(watch.grid(1100, no_captions).is_none(), "said a moment ago");
        assert!(watch.grid(2100, no_noise).unwrap().contains("different noise"));
        let without = Differences { noise: None, ..healthy };
        assert!(
            (3200..3300).all(|step| watch.grid(step, without).is_none()),
            "painted without noise"
        );
    }
}
