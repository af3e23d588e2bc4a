//! `stackgan model info`: the description in a model file.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use stackgan_core::Stage;
use stackgan_core::model::StageInfo;
use stackgan_data::counted;

use crate::context::Context;
use crate::models::{Loaded, load};
use crate::output::{Form, path_text, print};

/// Prints the description of a model.
pub(super) fn run(path: &Path, form: Form, context: &Context) -> Result<()> {
    let Loaded { model, sha256, file, .. } = load(path, context)?;
    let info = model.info();
    let encoder = model.encoder_fingerprint()?; // in the form that refusals name it
    if form == Form::Json {
        let mut info = json!(info);
        if let Some(info) = info.as_object_mut() {
            info.insert("encoder_fingerprint".to_owned(), json!(encoder));
        }
        let document = json!({
            "file": path_text(&file), "sha256": sha256, "stages": model.last_stage(), "info": info,
            "parameters": {
                "stage1": model.stage1().count(),
                "stage2": model.stage2().map(stackgan_core::Params::count),
            },
        });
        return print(serde_json::to_string_pretty(&document)?);
    }
    print(format!("file       {}", file.display()))?;
    print(format!("sha256     {sha256}"))?;
    print(format!("recipe     {}", info.stage1.net.recipe.name()))?;
    match &info.encoder {
        Some(config) => print(format!(
            "encoder    char-CNN-RNN, {} wide, fingerprint {}",
            config.dim,
            short_name(&encoder)
        ))?,
        None if encoder.is_empty() => {
            print("encoder    not inside, and not known which")?;
        }
        None => print(format!(
            "encoder    {}; fingerprint {}",
            match &info.encoder_source {
                Some(source) => format!("beside the model: {}", source.escape_debug()),
                None => "not inside".to_owned(),
            },
            short_name(&encoder)
        ))?,
    }
    stage("stage-I ", Stage::One.side(), &info.stage1)?;
    info.stage2.iter().try_for_each(|info| stage("stage-II", Stage::Two.side(), info))
}

fn stage(name: &str, pixels: usize, info: &StageInfo) -> Result<()> {
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
    print(format!(
        "{name}   {pixels}x{pixels}, gf {}, df {}, c {}, z {}; {training}, noise z x{} eps x{}",
        net.gf, net.df, net.cond_dim, net.z_dim, info.sample_z, info.sample_eps
    ))
}

/// The first digits of an encoder's fingerprint, after its optional prefix.
fn short_name(fingerprint: &str) -> &str {
    let word = fingerprint.rfind('-').map_or(0, |at| at + 1);
    fingerprint.get(..word + 12).unwrap_or(fingerprint)
}
