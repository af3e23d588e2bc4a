//! The recipe, the stage, and the sizes of the networks as one checked struct for both recipes and
//! both stages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One of the two published network designs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// The TensorFlow release: CUB and Oxford-102, the results in the paper.
    Residual,
    /// The PyTorch release: COCO.
    Plain,
}

impl Recipe {
    /// Returns the name that settings and files use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Residual => "residual",
            Self::Plain => "plain",
        }
    }
}

/// One of the two stages. Files and the command line call it 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Stage {
    /// Generates 64x64 pictures from text and noise.
    One,
    /// Generates 256x256 pictures from text and a Stage-I picture.
    Two,
}

impl Stage {
    /// Both stages, in order.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// Returns 1 or 2.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// Returns the paper's name of it: `Stage-I` or `Stage-II`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "Stage-I",
            Self::Two => "Stage-II",
        }
    }

    /// Returns the side of its pictures in pixels: 64 or 256.
    #[must_use]
    pub const fn side(self) -> usize {
        match self {
            Self::One => 64,
            Self::Two => 256,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl TryFrom<u8> for Stage {
    type Error = String;

    fn try_from(number: u8) -> std::result::Result<Self, String> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            _ => Err(format!("expected stage 1 or 2, found {number}")),
        }
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(number: &str) -> std::result::Result<Self, String> {
        let expected = || format!("expected stage 1 or 2, found {}", number.escape_debug());
        number.parse::<u8>().map_err(|_| expected())?.try_into()
    }
}

impl From<Stage> for u8 {
    fn from(stage: Stage) -> Self {
        stage.number()
    }
}

/// The sizes of one StackGAN.
///
/// The defaults are the paper's (section 4, "Implementation details", and the configuration files
/// of the releases).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetConfig {
    /// The network design.
    pub recipe: Recipe,
    /// Width of the generators; reference: `GAN.GF_DIM` (128; 192 for COCO).
    pub gf: usize,
    /// Width of the discriminators; reference: `GAN.DF_DIM` (64; 96 for COCO).
    pub df: usize,
    /// Width of the text embedding; reference: `TEXT.DIMENSION` (1024).
    pub text_dim: usize,
    /// Width `N_g` of the conditioning vector `c`, and `N_d` of the text in the residual discriminator; reference: `GAN.CONDITION_DIM` (128).
    pub cond_dim: usize,
    /// Width `N_z` of the noise `z`; reference: `Z_DIM` (100).
    pub z_dim: usize,
    /// Number of residual blocks of Stage-II; reference: `GAN.R_NUM` (4; 2 for COCO).
    pub residual_blocks: usize,
    /// Smallest number of channels of an up-sampling block. 0 gives the released networks.
    ///
    /// Differs from the release: at small `gf` its last blocks would have one to four channels. So
    /// few non-negative features cannot span the hues, so small models set a floor of about 16.
    pub channel_floor: usize,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            recipe: Recipe::Residual,
            gf: 128,
            df: 64,
            text_dim: 1024,
            cond_dim: 128,
            z_dim: 100,
            residual_blocks: 4,
            channel_floor: 0,
        }
    }
}

impl NetConfig {
    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// [`Error::Config`] names the first key that is out of range.
    pub fn check(&self) -> Result<()> {
        let range = |key, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::Config {
                key,
                expected: format!("{low} to {high}"),
                found: value.to_string(),
            })
        };
        range("gf", self.gf, 4, 1024)?;
        range("df", self.df, 2, 1024)?;
        range("text_dim", self.text_dim, 1, 16_384)?;
        range("cond_dim", self.cond_dim, 1, 4096)?;
        range("z_dim", self.z_dim, 1, 4096)?;
        range("residual_blocks", self.residual_blocks, 0, 32)?;
        range("channel_floor", self.channel_floor, 0, 1024)?;
        if !self.gf.is_multiple_of(4) {
            return Err(Error::Config {
                key: "gf",
                expected: "a multiple of 4".to_owned(),
                found: self.gf.to_string(),
            });
        }
        Ok(())
    }

    /// Returns the first size that Stage-II shares with the Stage-I below it and that differs: its
    /// key, Stage-I's value and this one. Text and noise are the input of both.
    #[must_use]
    pub fn misfit_over(&self, stage1: &Self) -> Option<(&'static str, String, String)> {
        let shared = |net: &Self| {
            [
                ("recipe", net.recipe.name().to_owned()),
                ("text_dim", net.text_dim.to_string()),
                ("cond_dim", net.cond_dim.to_string()),
                ("z_dim", net.z_dim.to_string()),
            ]
        };
        let mut pairs = shared(stage1).into_iter().zip(shared(self));
        pairs.find_map(|((key, low), (_, own))| (low != own).then_some((key, low, own)))
    }

    /// Checks that every value is in its range and that the networks are of `recipe`. Every
    /// constructor of a network calls this first.
    pub(crate) fn check_of(&self, recipe: Recipe) -> candle_core::Result<()> {
        self.check().map_err(candle_core::Error::wrap)?;
        if self.recipe != recipe {
            candle_core::bail!(
                "a network of the {recipe:?} recipe, but sizes of {:?}",
                self.recipe
            );
        }
        Ok(())
    }

    /// Returns the number of channels of an up-sampling block: `wanted`, or the floor if that is
    /// larger.
    #[must_use]
    pub fn up_channels(&self, wanted: usize) -> usize {
        wanted.max(self.channel_floor)
    }
}
