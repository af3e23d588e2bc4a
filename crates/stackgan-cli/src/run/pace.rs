//! The speed of a run, from the clock of its `stats.jsonl`.
//!
//! The clock has the `seconds` of a process since the step `since`, from which it started or
//! resumed.

use super::terms::Terms;

/// Number of reports for the current speed.
const RECENT: usize = 12;

/// The interval between two reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lap {
    /// The step of the later report.
    pub step: f64,
    pub steps: f64,
    pub seconds: f64,
    since: f64,
}

/// The laps of a run whose duration is known.
pub(crate) fn laps(terms: &Terms) -> Vec<Lap> {
    let points = |name| terms.get(name).map_or(&[][..], Vec::as_slice);
    let begun = points("since");
    let since = |step: f64| {
        let at = begun.binary_search_by(|point| point.0.total_cmp(&step)).ok()?;
        Some(begun.get(at)?.1)
    };
    let mut before: Option<(f64, f64, f64)> = None;
    let lap = |&(step, seconds): &(f64, f64)| {
        let since = since(step)?;
        let (from, clock) = match before.replace((step, seconds, since)) {
            Some((from, clock, its)) if its == since && clock < seconds => (from, clock),
            _ => (since, 0.0),
        };
        let lap = Lap { step, steps: step - from, seconds: seconds - clock, since };
        (lap.steps > 0.0 && lap.seconds > 0.0).then_some(lap)
    };
    points("seconds").iter().filter_map(lap).collect()
}

/// The current speed in steps per second: over the last laps of the process that wrote the last
/// report.
pub(crate) fn speed(laps: &[Lap]) -> Option<f64> {
    let last = laps.last()?;
    let recent = laps.iter().rev().take(RECENT).take_while(|lap| lap.since == last.since);
    let (steps, seconds) =
        recent.fold((0.0, 0.0), |all, lap| (all.0 + lap.steps, all.1 + lap.seconds));
    Some(steps / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(lines: &[(f64, f64, f64)]) -> Terms {
        let seconds = lines.iter().map(|line| (line.0, line.1)).collect();
        let since = lines.iter().map(|line| (line.0, line.2)).collect();
        [("seconds".to_owned(), seconds), ("since".to_owned(), since)].into()
    }

    fn rates(lines: &[(f64, f64, f64)]) -> Vec<(f64, f64)> {
        laps(&terms(lines)).iter().map(|lap| (lap.step, lap.steps / lap.seconds)).collect()
    }

    /// A clock that restarted and has passed the old one is not mistaken for its continuation.
    #[test]
    fn what_each_process_did_is_told_apart() {
        let first = [(10.0, 5.0, 0.0), (20.0, 10.0, 0.0)];
        assert_eq!(rates(&first), [(10.0, 2.0), (20.0, 2.0)]);
        let resumed = [(10.0, 5.0, 0.0), (20.0, 10.0, 0.0), (30.0, 12.0, 24.0), (40.0, 22.0, 24.0)];
        assert_eq!(rates(&resumed), [(10.0, 2.0), (20.0, 2.0), (30.0, 0.5), (40.0, 1.0)]);
        assert_eq!(speed(&laps(&terms(&resumed))), Some(16.0 / 22.0));
        assert_eq!(speed(&[]), None);
    }
}
