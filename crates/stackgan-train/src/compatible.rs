//! Checks that configuration, data, encoder and Stage-I model are compatible.

use stackgan_core::text::TextEncoder as _;
use stackgan_core::{Model, NetConfig, Stage};

use crate::config::TrainConfig;
use crate::setup::Setup;
use crate::{Error, Result, standardise};

impl Setup {
    /// Checks that the parts are compatible and that a run can begin.
    ///
    /// # Errors
    /// [`Error::Config`] names the first setting that does not match.
    pub fn check(&self) -> Result<()> {
        check_parts(self)?;
        standardise::fits(self)?;
        self.start.check(&self.config)?;
        let steps = self.config.total_steps(self.plan()?.steps_per_epoch());
        self.config.check_moves(steps)
    }
}

/// Checks that the parts of a setup are compatible, except for what [`standardise::fits`] checks.
///
/// # Errors
/// [`Error::Config`] names the first setting that does not match.
pub(crate) fn check_parts(setup: &Setup) -> Result<()> {
    let cfg = &setup.config;
    let mismatch = |key: &str, expected: String, found: String, remedy: &str| {
        Err(Error::Config { key: key.to_owned(), expected, found, remedy: remedy.to_owned() })
    };
    cfg.check()?;
    setup.embeddings.check(&setup.dataset)?;
    let dim = setup.embeddings.dim();
    if cfg.net.text_dim != dim {
        let remedy = format!("give --set net.text_dim={dim}, or use another encoder");
        return mismatch(
            "net.text_dim",
            format!("{dim}, the width of the embeddings"),
            cfg.net.text_dim.to_string(),
            &remedy,
        );
    }
    if let Some(encoder) = &setup.encoder {
        if encoder.fingerprint() != setup.embeddings.encoder() {
            let expected = format!("encoder {}", setup.embeddings.encoder());
            return mismatch(
                "encoder",
                expected,
                encoder.fingerprint(),
                "encode the captions with this encoder",
            );
        }
        // The run fits a standardisation of its own, in place of the encoder's.
        if cfg.data.embedding_standardise && encoder.standardise().is_some() {
            return mismatch(
                "data.embedding_standardise",
                "an encoder that does not standardise by itself".to_owned(),
                "one that does".to_owned(),
                "encode with `CharCnnRnnEncoder::unstandardised`, or set data.embedding_standardise=false",
            );
        }
    }
    if let Some(shown) = &setup.shown {
        shown.check(dim)?;
    }
    if cfg.loss.matching > 0.0 {
        let expected = format!("the image side of encoder {}", setup.embeddings.encoder());
        let remedy =
            "give `--encoder FILE` with a file of `stackgan text train`, or set `loss.matching=0`";
        match setup.pretrained.matcher.as_ref().map(|matcher| &matcher.encoders().fingerprint) {
            None => return mismatch("loss.matching", expected, "none".to_owned(), remedy),
            Some(found) if found != setup.embeddings.encoder() => {
                return mismatch("loss.matching", expected, format!("that of {found}"), remedy);
            }
            Some(_) => {}
        }
    }
    if cfg.loss.projected > 0.0 && setup.pretrained.projection.is_none() {
        let expected = "a network on whose maps the second discriminator plays".to_owned();
        let remedy = "give its weights, `--features FILE`, or set `loss.projected=0`";
        return mismatch("loss.projected", expected, "none".to_owned(), remedy);
    }
    match (cfg.stage, &setup.stage1) {
        (Stage::Two, None) => mismatch(
            "stage",
            "a Stage-I model".to_owned(),
            "none".to_owned(),
            "train --stage 1 first",
        ),
        (Stage::Two, Some(model)) => {
            cfg.check_over(&model.info().stage1.net)?;
            same_embeddings(model, setup.embeddings.encoder())
        }
        (Stage::One, _) => Ok(()),
    }
}

/// Checks that a Stage-I model was trained with embeddings of this encoder, if it says with which. They
/// may also be of the encoder inside the model, which standardises them.
fn same_embeddings(stage1: &Model, encoder: &str) -> Result<()> {
    let trained = stage1.encoder_fingerprint();
    let inside = stage1.encoder().map(|inside| inside.fingerprint());
    if trained.is_empty() || trained == encoder || inside.as_deref() == Some(encoder) {
        return Ok(());
    }
    Err(Error::Config {
        key: "stage1".to_owned(),
        expected: format!("a Stage-I model trained with embeddings of encoder {encoder}"),
        found: format!("one trained with those of {trained}"),
        remedy: "train both stages with the same embeddings".to_owned(),
    })
}

impl TrainConfig {
    /// Checks that Stage-II with these settings can be built on a Stage-I of these sizes.
    ///
    /// # Errors
    /// [`Error::Config`] names the first size that differs.
    pub fn check_over(&self, stage1: &NetConfig) -> Result<()> {
        let Some((key, expected, found)) = self.net.misfit_over(stage1) else { return Ok(()) };
        Err(Error::Config {
            key: format!("net.{key}"),
            expected: format!("{expected}, as in the Stage-I model"),
            found,
            remedy: format!("give `--set net.{key}={expected}`, or train on another Stage-I"),
        })
    }
}
