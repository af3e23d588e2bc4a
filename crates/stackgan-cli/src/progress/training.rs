//! The progress of a training run, from its events.

use std::time::Instant;

use stackgan_train::event::TrainEvent;

use super::manner::Manner;
use super::phase::Phase;

/// Displays the events of a training run.
pub(crate) struct TrainProgress {
    manner: Manner,
    name: String,
    running: Option<(Phase, Pace)>,
}

/// The start of a run, for its speed.
#[derive(Clone, Copy)]
struct Pace {
    first: u64,
    batch: u64,
    since: Instant,
}

impl TrainProgress {
    /// Waits for [`TrainEvent::Started`].
    pub(crate) fn new(manner: Manner, name: &str) -> Self {
        Self { manner, name: name.to_owned(), running: None }
    }

    /// Displays one event.
    pub(crate) fn on(&mut self, event: &TrainEvent) {
        if let TrainEvent::Started { step, steps, batch, parameters_g, parameters_d, .. } = event {
            let name = &self.name;
            self.manner.say(format!(
                "{name}: steps {step} to {steps}, batch {batch}, {parameters_g} parameters in G, {parameters_d} in D"
            ));
            let mut phase = Phase::new(self.manner, name, *steps, "steps");
            phase.at(*step);
            let pace = Pace { first: *step, batch: *batch as u64, since: Instant::now() };
            self.running = Some((phase, pace));
            return;
        }
        let Some((phase, pace)) = &mut self.running else {
            if let TrainEvent::Warning { text, .. } = event {
                self.manner.say(format!("warning: {text}")); // from resuming
            }
            return;
        };
        match event {
            TrainEvent::Step { step } | TrainEvent::WentBack { step } => phase.at(*step),
            TrainEvent::Report { step, terms, .. } => {
                let taken = step.saturating_sub(pace.first) * pace.batch;
                let speed = taken as f64 / pace.since.elapsed().as_secs_f64().max(1e-9);
                // The speed comes last, because the end of the line may be cut off.
                phase.note(format!("{}  {speed:.0} img/s", losses(terms)));
            }
            TrainEvent::Warning { step, text } => {
                phase.say(&format!("warning: step {step}: {text}"));
            }
            _ => {}
        }
    }

    /// Prints a permanent line above the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.running {
            Some((phase, _)) => phase.say(line),
            None => self.manner.say(line),
        }
    }

    /// Ends the phase with a permanent line.
    pub(crate) fn finish(self, result: &str) {
        if let Some((phase, _)) = self.running {
            phase.finish(result);
        }
    }
}

/// The loss terms that fit on a line of 80 columns, with the players' total losses first.
fn losses(terms: &[(&'static str, f64)]) -> String {
    let mut shown: Vec<_> = terms
        .iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(name, value)| (*name, format!("{name} {value:.3}")))
        .collect();
    shown.sort_by_key(|(name, _)| !name.ends_with("_loss") || name.starts_with("stage1"));
    let shown: Vec<String> = shown.into_iter().take(6).map(|(_, text)| text).collect();
    shown.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_terms_are_shown() {
        assert_eq!(losses(&[("d", 0.5), ("kl", f64::NAN)]), "d 0.500");
        let terms = [("d_loss", 1.0), ("d_real", 0.5), ("g_loss", 3.0)];
        assert_eq!(losses(&terms), "d_loss 1.000  g_loss 3.000  d_real 0.500");
    }
}
