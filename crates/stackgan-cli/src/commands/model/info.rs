//! `stackgan model info`: the description in a model file.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use stackgan_core::model::{ModelInfo, StageInfo};
use stackgan_core::text::short_fingerprint;
use stackgan_core::{Params, Stage};
use stackgan_data::counted;

use crate::context::Context;
use crate::models::{Loaded, load};
use crate::output::{Answer, Form, path_text};

/// Shows the description of a model.
pub(super) fn run(path: &Path, form: Form, context: &Context) -> Result<()> {
    let Loaded { model, sha256, file, .. } = load(path, context)?;
    let info = model.info().clone();
    let parameters =
        Parameters { stage1: model.stage1().count(), stage2: model.stage2().map(Params::count) };
    let file = path_text(&file);
    form.show(&Described { file, sha256, stages: model.last_stage(), info, parameters })
}

/// What is known of a model file.
#[derive(Serialize)]
struct Described {
    file: String,
    sha256: String,
    /// The last stage.
    stages: Stage,
    /// The description in the file.
    info: ModelInfo,
    parameters: Parameters,
}

/// Numbers of parameters of the generators.
#[derive(Serialize)]
struct Parameters {
    stage1: usize,
    stage2: Option<usize>,
}

impl Answer for Described {
    fn lines(&self) -> Vec<String> {
        let info = &self.info;
        let mut lines = vec![
            format!("file       {}", self.file),
            format!("sha256     {}", self.sha256),
            format!("recipe     {}", info.stage1.net.recipe.name()),
            format!("encoder    {}", encoder(info)),
            stage("stage-I ", Stage::One.side(), &info.stage1),
        ];
        lines.extend(info.stage2.iter().map(|info| stage("stage-II", Stage::Two.side(), info)));
        lines.push(format!("parameters {}", self.parameters.line()));
        lines
    }
}

impl Parameters {
    fn line(&self) -> String {
        let low = format!("{} in the generator of stage-I", self.stage1);
        let high = self.stage2.map(|count| format!(", {count} in that of stage-II"));
        low + &high.unwrap_or_default()
    }
}

fn encoder(info: &ModelInfo) -> String {
    let fingerprint = short_fingerprint(&info.encoder_fingerprint);
    match (&info.encoder, &info.encoder_source) {
        (Some(config), _) => {
            format!("char-CNN-RNN, {} wide, fingerprint {fingerprint}", config.dim)
        }
        (None, _) if fingerprint.is_empty() => "not inside, and not known which".to_owned(),
        (None, Some(source)) => {
            format!("beside the model: {}; fingerprint {fingerprint}", source.escape_debug())
        }
        (None, None) => format!("not inside; fingerprint {fingerprint}"),
    }
}

fn stage(name: &str, pixels: usize, info: &StageInfo) -> String {
    let net = &info.net;
    let dataset = info.dataset.escape_debug();
    let training = match info.steps {
        0 => format!("weights taken from elsewhere, on {dataset}"),
        steps => format!(
            "{} of {} on {dataset} (seed {}, average {})",
            counted(steps, "step"),
            info.batch,
            info.seed,
            info.ema
        ),
    };
    format!(
        "{name}   {pixels}x{pixels}, gf {}, df {}, c {}, z {}; {training}, noise z x{} eps x{}",
        net.gf, net.df, net.cond_dim, net.z_dim, info.sample_z, info.sample_eps
    )
}
