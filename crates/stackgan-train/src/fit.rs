//! Whether configuration, data, encoder and Stage-I belong together.

use crate::config::Stage;
use crate::run::Setup;
use crate::{Error, Result};

/// Checks it.
///
/// # Errors
/// [`Error::Config`] names the first setting that does not fit.
pub(crate) fn check_fit(setup: &Setup) -> Result<()> {
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
        use stackgan_core::text::TextEncoder as _;
        if encoder.fingerprint() != setup.embeddings.encoder() {
            let expected = format!("encoder {}", setup.embeddings.encoder());
            return mismatch(
                "encoder",
                expected,
                encoder.fingerprint(),
                "encode the captions with this encoder",
            );
        }
    }
    if cfg.loss.matching > 0.0 {
        let expected = format!("the image side of encoder {}", setup.embeddings.encoder());
        let remedy =
            "give `--encoder FILE` with a file of `stackgan text train`, or set `loss.matching=0`";
        match setup.matcher.as_ref().map(|matcher| &matcher.encoders().fingerprint) {
            None => return mismatch("loss.matching", expected, "none".to_owned(), remedy),
            Some(found) if found != setup.embeddings.encoder() => {
                return mismatch("loss.matching", expected, format!("that of {found}"), remedy);
            }
            Some(_) => {}
        }
    }
    match (cfg.stage, &setup.stage1) {
        (Stage::Two, None) => mismatch(
            "stage",
            "a Stage-I model".to_owned(),
            "none".to_owned(),
            "train --stage 1 first",
        ),
        (Stage::Two, Some(model)) => {
            let low = &model.info().stage1.net;
            let of = |net: &stackgan_core::NetConfig| {
                (net.recipe, net.text_dim, net.cond_dim, net.z_dim)
            };
            if of(low) == of(&cfg.net) {
                return Ok(());
            }
            let (expected, found) = (format!("{:?}", of(low)), format!("{:?}", of(&cfg.net)));
            mismatch(
                "net",
                format!("Stage-I's recipe, text_dim, cond_dim, z_dim {expected}"),
                found,
                "use the same values",
            )
        }
        (Stage::One, _) => Ok(()),
    }
}
