//! The blocks of Inception-v3: parallel branches, concatenated along the channels, with the pooling
//! branch last. Names and orders are torchvision's.

use stackgan_kernels::{Maps, Pool};

use super::layers::{ConvNorm, Place};
use crate::Result;

/// A block.
#[derive(Clone, Debug)]
pub(super) struct Mixed {
    branches: Vec<Branch>,
    pool: Pool,
    /// The convolution after the pooling; none where the pooling halves the map.
    pooled: Option<ConvNorm>,
}

/// A sequence of convolutions. It can end in two parallel ones.
#[derive(Clone, Debug, Default)]
struct Branch {
    steps: Vec<ConvNorm>,
    fork: Vec<ConvNorm>,
}

/// Builds the convolutions of a block.
struct Maker<'a>(Place<'a>);

type Kernel = (usize, usize);

impl Maker<'_> {
    fn conv(
        &self,
        name: &str,
        channels: (usize, usize),
        kernel: Kernel,
        stride: usize,
        padding: (usize, usize),
    ) -> Result<ConvNorm> {
        let name = format!("{}.{name}", self.0.name);
        ConvNorm::new(Place { name: &name, ..self.0 }, channels, kernel, stride, padding)
    }

    /// Builds a convolution that keeps the size of the map.
    fn keep(&self, name: &str, channels: (usize, usize), kernel: Kernel) -> Result<ConvNorm> {
        self.conv(name, channels, kernel, 1, (kernel.0 / 2, kernel.1 / 2))
    }

    /// Builds a 3x3 convolution with stride 2 and no padding.
    fn halve(&self, name: &str, channels: (usize, usize)) -> Result<ConvNorm> {
        self.conv(name, channels, THREE, 2, (0, 0))
    }

    /// Builds the convolutions `prefix_1`, `prefix_2`, …, each from the width of the one before.
    fn chain(&self, prefix: &str, from: usize, steps: &[(usize, Kernel)]) -> Result<Vec<ConvNorm>> {
        let mut width = from;
        let made = steps.iter().zip(1..).map(|(&(to, kernel), i)| {
            let conv = self.keep(&format!("{prefix}_{i}"), (width, to), kernel);
            width = to;
            conv
        });
        made.collect()
    }
}

impl From<Vec<ConvNorm>> for Branch {
    fn from(steps: Vec<ConvNorm>) -> Self {
        Self { steps, fork: Vec::new() }
    }
}

const POINT: Kernel = (1, 1);
const THREE: Kernel = (3, 3);
const ACROSS: Kernel = (1, 7);
const DOWN: Kernel = (7, 1);

impl Mixed {
    /// `InceptionA`: 5x5 and two 3x3.
    pub(super) fn a(place: Place<'_>, from: usize, pooled: usize, pool: Pool) -> Result<Self> {
        let make = Maker(place);
        let branches = vec![
            vec![make.keep("branch1x1", (from, 64), POINT)?].into(),
            make.chain("branch5x5", from, &[(48, POINT), (64, (5, 5))])?.into(),
            make.chain("branch3x3dbl", from, &[(64, POINT), (96, THREE), (96, THREE)])?.into(),
        ];
        let pooled = Some(make.keep("branch_pool", (from, pooled), POINT)?);
        Ok(Self { branches, pool, pooled })
    }

    /// `InceptionB`: halves the map.
    pub(super) fn b(place: Place<'_>, from: usize) -> Result<Self> {
        let make = Maker(place);
        let mut double = make.chain("branch3x3dbl", from, &[(64, POINT), (96, THREE)])?;
        double.push(make.halve("branch3x3dbl_3", (96, 96))?);
        let branches = vec![vec![make.halve("branch3x3", (from, 384))?].into(), double.into()];
        Ok(Self { branches, pool: Pool::Halve, pooled: None })
    }

    /// `InceptionC`: factorises 7x7 into 1x7 and 7x1, once and twice.
    pub(super) fn c(place: Place<'_>, from: usize, width: usize, pool: Pool) -> Result<Self> {
        let make = Maker(place);
        let once = [(width, POINT), (width, ACROSS), (192, DOWN)];
        let twice = [(width, POINT), (width, DOWN), (width, ACROSS), (width, DOWN), (192, ACROSS)];
        let branches = vec![
            vec![make.keep("branch1x1", (from, 192), POINT)?].into(),
            make.chain("branch7x7", from, &once)?.into(),
            make.chain("branch7x7dbl", from, &twice)?.into(),
        ];
        let pooled = Some(make.keep("branch_pool", (from, 192), POINT)?);
        Ok(Self { branches, pool, pooled })
    }

    /// `InceptionD`: halves the map.
    pub(super) fn d(place: Place<'_>, from: usize) -> Result<Self> {
        let make = Maker(place);
        let mut three = make.chain("branch3x3", from, &[(192, POINT)])?;
        three.push(make.halve("branch3x3_2", (192, 320))?);
        let mut seven =
            make.chain("branch7x7x3", from, &[(192, POINT), (192, ACROSS), (192, DOWN)])?;
        seven.push(make.halve("branch7x7x3_4", (192, 192))?);
        let branches = vec![three.into(), seven.into()];
        Ok(Self { branches, pool: Pool::Halve, pooled: None })
    }

    /// `InceptionE`: branches that fork into 1x3 and 3x1.
    pub(super) fn e(place: Place<'_>, from: usize, pool: Pool) -> Result<Self> {
        let make = Maker(place);
        let fork = |names: [&str; 2]| {
            let [across, down] = names;
            Ok::<_, crate::Error>(vec![
                make.keep(across, (384, 384), (1, 3))?,
                make.keep(down, (384, 384), (3, 1))?,
            ])
        };
        let three = Branch {
            steps: make.chain("branch3x3", from, &[(384, POINT)])?,
            fork: fork(["branch3x3_2a", "branch3x3_2b"])?,
        };
        let double = Branch {
            steps: make.chain("branch3x3dbl", from, &[(448, POINT), (384, THREE)])?,
            fork: fork(["branch3x3dbl_3a", "branch3x3dbl_3b"])?,
        };
        let one = vec![make.keep("branch1x1", (from, 320), POINT)?].into();
        let pooled = Some(make.keep("branch_pool", (from, 192), POINT)?);
        Ok(Self { branches: vec![one, three, double], pool, pooled })
    }

    pub(super) fn forward(&self, x: &Maps) -> Result<Maps> {
        let mut parts = Vec::with_capacity(6);
        for Branch { steps, fork } in &self.branches {
            let mut y = x.clone();
            for step in steps {
                y = step.forward(&y)?;
            }
            if fork.is_empty() {
                parts.push(y);
            } else {
                for conv in fork {
                    parts.push(conv.forward(&y)?);
                }
            }
        }
        let y = x.pool(self.pool)?;
        parts.push(match &self.pooled {
            Some(conv) => conv.forward(&y)?,
            None => y,
        });
        Ok(Maps::join(&parts)?)
    }
}
