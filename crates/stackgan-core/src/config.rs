//! The sizes of the networks, as one checked struct for both recipes and both stages.

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
    /// Width `N_g` of the conditioning vector `c`; reference: `GAN.CONDITION_DIM` (128).
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
