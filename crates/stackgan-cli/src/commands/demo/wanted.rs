//! What a demo is asked for. It stays the same for as long as the demo takes.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::args::Demo;
use crate::exit::Problem;

/// What a demo was asked for when it began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// How long it takes.
    pub extent: Extent,
    /// The seed of all random numbers.
    pub seed: u64,
}

/// How long a demo takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Extent {
    /// Less than a minute: `--quick`.
    Quick,
    /// Minutes until the end of Stage-II.
    Minutes(f64),
}

/// The size of a demo.
pub(super) struct Scale {
    /// Number of pictures to draw.
    pub pictures: usize,
    /// Seconds from the start to the end of Stage-II.
    pub seconds: f64,
    /// Number of grids painted while Stage-I and Stage-II train.
    pub grids: [u64; 2],
    /// Number of captions of unseen species that are scored.
    pub scored: usize,
}

impl Wanted {
    /// What was typed; the defaults for what was not.
    pub(super) fn of(args: &Demo) -> Self {
        let extent = typed(args).unwrap_or(Extent::Minutes(10.0));
        Self { extent, seed: args.seed.unwrap_or(0) }
    }

    /// Checks that nothing else was typed for a demo that is gone on with.
    ///
    /// # Errors
    /// Code 2 with the option and its first value.
    pub(super) fn check(&self, args: &Demo) -> Result<()> {
        let other_extent = typed(args).filter(|extent| *extent != self.extent);
        let other_seed = args.seed.filter(|seed| *seed != self.seed);
        let seed = |seed: u64| format!("`--seed {seed}`");
        let (option, began, found) = match (other_extent, other_seed) {
            (Some(extent @ Extent::Quick), _) => ("--quick", self.extent.option(), extent.option()),
            (Some(extent), _) => ("--minutes", self.extent.option(), extent.option()),
            (None, Some(other)) => ("--seed", seed(self.seed), seed(other)),
            (None, None) => return Ok(()),
        };
        let what = "the demo in this folder is another one";
        let place = format!("option: {option}, with --out {}", args.out.display());
        let parts = (format!("{began}, as it began"), found);
        let remedy = format!(
            "leave `{option}` out: a demo keeps its settings; or name another folder with `--out`"
        );
        Err(Problem::usage(what, place, parts, remedy).into())
    }

    /// Whether the numbers can be those of a demo.
    pub(super) fn is_possible(&self) -> bool {
        match self.extent {
            Extent::Quick => true,
            Extent::Minutes(minutes) => minutes.is_finite() && minutes > 0.0,
        }
    }

    /// The size of the demo.
    pub(super) fn scale(&self) -> Scale {
        match self.extent {
            Extent::Quick => Scale { pictures: 200, seconds: 24.0, grids: [1, 1], scored: 32 },
            Extent::Minutes(minutes) => {
                Scale { pictures: 2880, seconds: minutes * 60.0, grids: [10, 5], scored: 240 }
            }
        }
    }
}

impl Extent {
    fn option(self) -> String {
        match self {
            Self::Quick => "`--quick`".to_owned(),
            Self::Minutes(minutes) => format!("`--minutes {minutes}`"),
        }
    }
}

fn typed(args: &Demo) -> Option<Extent> {
    if args.quick { Some(Extent::Quick) } else { args.minutes.map(Extent::Minutes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(quick: bool, minutes: Option<f64>, seed: Option<u64>) -> Demo {
        Demo { minutes, quick, out: "demo".into(), seed }
    }

    #[test]
    fn what_is_left_out_is_as_it_began_and_what_differs_is_refused() {
        let began = Wanted::of(&typed(false, Some(20.0), Some(3)));
        for same in [
            typed(false, None, None),
            typed(false, Some(20.0), None),
            typed(false, Some(20.0), Some(3)),
        ] {
            began.check(&same).unwrap();
        }
        for (other, place, found) in [
            (typed(true, None, None), "--quick", "`--quick`"),
            (typed(false, Some(10.0), Some(3)), "--minutes", "`--minutes 10`"),
            (typed(false, None, Some(0)), "--seed", "`--seed 0`"),
        ] {
            let error = began.check(&other).unwrap_err().to_string();
            assert!(error.contains(place) && error.contains(&format!("found {found}")), "{error}");
            assert!(error.contains("as it began") && error.contains("--out"), "{error}");
        }
        let usual = Wanted::of(&typed(false, None, None));
        assert_eq!(usual, Wanted { extent: Extent::Minutes(10.0), seed: 0 });
    }

    #[test]
    fn what_was_asked_for_is_kept_as_text() {
        for (wanted, text) in [
            (Wanted { extent: Extent::Quick, seed: 1 }, r#"{"extent":"quick","seed":1}"#),
            (
                Wanted { extent: Extent::Minutes(7.5), seed: 0 },
                r#"{"extent":{"minutes":7.5},"seed":0}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&wanted).unwrap(), text);
            assert_eq!(serde_json::from_str::<Wanted>(text).unwrap(), wanted);
        }
    }
}
