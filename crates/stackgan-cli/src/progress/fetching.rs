//! The progress of a fetch, from its events.

use stackgan_data::fetch::Event;

use super::manner::Manner;
use super::phase::Phase;

/// Displays the events of a fetch.
pub(crate) struct FetchProgress {
    manner: Manner,
    phase: Option<(Phase, u64)>,
}

impl FetchProgress {
    pub(crate) const fn new(manner: Manner) -> Self {
        Self { manner, phase: None }
    }

    pub(crate) fn on(&mut self, event: &Event) {
        match (event, &mut self.phase) {
            (Event::Begin { doing, file, total }, phase) => {
                // Bars count in whole units: kB for small files, MB for large ones.
                let (unit, word) = match total {
                    Some(0..10_000_000) => (1_000, "kB"),
                    _ => (1_000_000, "MB"),
                };
                let name = format!("{} {file}", doing.word());
                let total = total.map_or(0, |total| total.div_ceil(unit));
                *phase = Some((Phase::new(self.manner, &name, total, word), unit));
            }
            (Event::At(bytes), Some((phase, unit))) => phase.at(bytes.div_ceil(*unit)),
            (Event::End(said), phase) => {
                if let Some((phase, _)) = phase.take() {
                    phase.finish(said);
                }
            }
            (Event::Note(note), Some((phase, _))) => phase.say(note),
            (Event::Note(note), None) => self.manner.say(note),
            (Event::At(_), None) => {}
        }
    }
}
