//! The measured figures, their sizes, and the arguments that request one from either program.

use super::work::{self, Net, Recipe};

/// The networks by name: `plain` and `residual` with the paper's widths, `coco` as in its preset
/// (`coco-stage2`).
pub(crate) const NETS: &[(&str, Net)] = &[
    ("plain", PAPER),
    ("residual", Net { recipe: Recipe::Residual, ..PAPER }),
    ("coco", Net { gf: 192, df: 96, residual_blocks: 2, ..PAPER }),
];

/// The paper's widths.
pub(super) const PAPER: Net = Net {
    recipe: Recipe::Plain,
    gf: 128,
    df: 64,
    text: 1024,
    cond: 128,
    z: 100,
    residual_blocks: 4,
};

/// What a figure measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One training step.
    Step { stage: u8, batch: u64 },
    /// Painting pictures of 256x256 at once.
    Paint { count: u64 },
    /// The time from starting a process to its first picture.
    Start,
    /// Samples per second; only for this program.
    Loader { side: u64 },
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) kind: Kind,
    pub(crate) net: &'static str,
}

/// How long a process measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Several rounds in each process.
    Full,
    /// One round, to check that everything works.
    Quick,
}

impl Figure {
    /// All figures whose names contain `only`. Those with COCO's sizes are included only on
    /// request.
    pub(crate) fn choose(only: Option<&str>) -> Vec<Self> {
        let kinds = [
            Kind::Step { stage: 1, batch: 16 },
            Kind::Step { stage: 1, batch: 64 },
            Kind::Step { stage: 2, batch: 4 },
            Kind::Paint { count: 1 },
            Kind::Paint { count: 16 },
            Kind::Start,
        ];
        let of_nets = NETS.iter().flat_map(|(net, _)| kinds.map(|kind| Self { kind, net }));
        let loaders = [76, 304].map(|side| Self { kind: Kind::Loader { side }, net: "residual" });
        of_nets
            .chain(loaders)
            .filter(|figure| match only {
                Some(only) => figure.name().contains(only),
                None => figure.net != "coco",
            })
            .collect()
    }

    pub(crate) fn name(&self) -> String {
        let net = self.net;
        match self.kind {
            Kind::Step { stage, batch } => format!("stage{stage}-b{batch}-{net}"),
            Kind::Paint { count } => format!("paint-{count}-{net}"),
            Kind::Start => format!("start-{net}"),
            Kind::Loader { side } => format!("loader-{side}"),
        }
    }

    /// The arguments of the example and of the peer; `None` for a figure that is measured in
    /// another way.
    pub(crate) fn arguments(&self, pace: Pace) -> Option<Vec<String>> {
        let rounds = |full: u64| if pace == Pace::Full { full } else { 1 }.to_string();
        let net = self.net.to_owned();
        Some(match self.kind {
            Kind::Step { stage, batch } => {
                let timed = rounds(if batch == 16 { 3 } else { 2 });
                vec!["step".to_owned(), net, stage.to_string(), batch.to_string(), timed]
            }
            Kind::Paint { count } => {
                let timed = rounds(if count == 1 { 5 } else { 2 });
                vec!["paint".to_owned(), net, count.to_string(), timed]
            }
            Kind::Loader { side } => {
                vec![
                    "loader".to_owned(),
                    side.to_string(),
                    rounds(if side == 76 { 200 } else { 40 }),
                ]
            }
            Kind::Start => return None,
        })
    }

    /// Number of multiply-adds of the direct algorithm, if most of the time is spent on them.
    pub(crate) fn work(&self) -> Option<u64> {
        let (_, net) = NETS.iter().find(|(name, _)| *name == self.net)?;
        match self.kind {
            Kind::Step { stage, batch } => Some(work::step(net, stage, batch)),
            Kind::Paint { count } => Some(work::painting(net, count)),
            Kind::Start | Kind::Loader { .. } => None,
        }
    }

    /// The unit of the values.
    pub(crate) const fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Loader { .. } => "samples/s",
            _ => "ms",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_figures() {
        let names = |only| Figure::choose(only).iter().map(Figure::name).collect::<Vec<_>>();
        let all = names(None);
        assert_eq!(all.len(), 14);
        assert!(all.iter().all(|name| !name.contains("coco")));
        assert_eq!(
            names(Some("stage2")),
            ["stage2-b4-plain", "stage2-b4-residual", "stage2-b4-coco"]
        );
        assert_eq!(names(Some("loader")), ["loader-76", "loader-304"]);
        assert!(names(Some("nothing")).is_empty());
        let mut unique = all.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), all.len());
    }

    #[test]
    fn every_figure_is_asked_for_and_counted_where_it_can_be() {
        for figure in Figure::choose(None) {
            assert_eq!(figure.arguments(Pace::Quick).is_none(), figure.kind == Kind::Start);
            let counted = matches!(figure.kind, Kind::Step { .. } | Kind::Paint { .. });
            assert_eq!(figure.work().is_some(), counted, "{}", figure.name());
        }
    }
}
