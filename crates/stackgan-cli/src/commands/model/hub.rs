//! `stackgan model export --hub`: a model as a folder for the Hugging Face Hub, with
//! `model.safetensors`, `config.json` and the card, `README.md`. This program can also read the
//! folder as a model.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::json;
use stackgan_core::digest::sha256;
use stackgan_core::model::{ModelInfo, StageInfo};
use stackgan_core::text::short_fingerprint;
use stackgan_core::{Model, Recipe, Stage, TextPart};
use stackgan_data::counted;
use stackgan_data::fetch::hub::Repository;
use stackgan_train::run_files::MODEL;

use crate::context::Context;
use crate::exit::Problem;
use crate::hub::HUB;
use crate::models::load;
use crate::output::{Written, write_file};

/// Writes the folder, which must be new or empty, because an existing card may have been edited by
/// hand.
pub(super) fn export(path: &Path, folder: &Path, context: &Context) -> Result<Written> {
    let model = published(load(path, context)?.model)?;
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let place = format!("folder: {}", folder.display());
        let parts = ("a new or an empty folder", "files in it");
        let remedy = "name another folder, or empty this one";
        return Err(Problem::usage("the folder is in use", place, parts, remedy).into());
    }
    // Not the bytes of the file, which may be a checkpoint, a pipe that was read to its end, or
    // another model by now.
    let bytes = model.to_bytes()?;
    let sha256 = sha256(&bytes);
    let info = model.info();
    let config = json!({
        "model_type": "stackgan",
        "architectures": ["StackGAN"],
        "recipe": info.stage1.net.recipe,
        "image_size": model.last_stage().side(),
        "stage1": info.stage1.net,
        "stage2": info.stage2.as_ref().map(|stage| stage.net),
        "text_encoder": info.encoder,
        "text_encoder_source": Encoder::of(info).source(),
        "weights_sha256": sha256,
        "stackgan_version": env!("CARGO_PKG_VERSION"),
    });
    let config = format!("{}\n", serde_json::to_string_pretty(&config)?);
    let name = folder.file_name().map_or_else(|| "stackgan".into(), |name| name.to_string_lossy());
    write_file(&folder.join(MODEL), &bytes)?;
    write_file(&folder.join("config.json"), config.as_bytes())?;
    write_file(&folder.join("README.md"), card(&model, &plain(&name), &sha256).as_bytes())?;
    Ok(Written::of([folder]))
}

/// A model as others may see it: without the folder of this machine in which its text encoder is.
///
/// # Errors
/// Those of the device.
pub(super) fn published(model: Model) -> Result<Model> {
    let device = model.device().clone();
    let named = Encoder::of(model.info()).source().map(str::to_owned);
    let mut parts = model.into_parts();
    if let TextPart::Beside { source, .. } = &mut parts.text {
        *source = named;
    }
    Ok(Model::new(parts, &device)?)
}

/// Where the text encoder of a model is.
enum Encoder {
    Inside,
    /// On the Hub, under this name.
    Hub(String),
    /// In a folder with this name. Where it lies on this machine means nothing to others.
    Folder(String),
    Unknown,
}

impl Encoder {
    fn of(info: &ModelInfo) -> Self {
        let Some(source) = &info.encoder_source else {
            return info.encoder.as_ref().map_or(Self::Unknown, |_| Self::Inside);
        };
        match source.strip_prefix(HUB).and_then(|name| Repository::parse(name).ok()) {
            Some(repository) => Self::Hub(format!("{HUB}{repository}")),
            None => {
                let mut names = source.rsplit(['/', '\\']).filter(|name| !name.is_empty());
                Self::Folder(plain(names.next().unwrap_or_default()))
            }
        }
    }

    fn source(&self) -> Option<&str> {
        match self {
            Self::Hub(name) | Self::Folder(name) => Some(name),
            Self::Inside | Self::Unknown => None,
        }
    }
}

/// The model card: a description, the training, the licence as far as it is known, and how to load
/// the model.
fn card(model: &Model, name: &str, sha256: &str) -> String {
    let info = model.info();
    let recipe = info.stage1.net.recipe.name();
    let source = match info.stage1.net.recipe {
        Recipe::Residual => "the TensorFlow release (birds, flowers)",
        Recipe::Plain => "the PyTorch release (COCO)",
    };
    let last = info.stage2.as_ref().unwrap_or(&info.stage1);
    let (pixels, dataset) = (model.last_stage().side(), plain(&last.dataset));
    let mut card = format!(
        "---\nlibrary_name: stackgan\npipeline_tag: text-to-image\nlicense: other\ntags:\n- stackgan\n- gan\n- {recipe}\n---\n\n\
         # {name}\n\n\
         A StackGAN (Zhang et al., ICCV 2017, arXiv 1612.03242) that paints {pixels}x{pixels} pictures from sentences. Recipe: `{recipe}`, \
         the networks of {source}. Dataset: `{dataset}`.\n\n\
         | stage | pictures | gf | df | text | c | z | residual blocks |\n|---|---|---|---|---|---|---|---|\n"
    );
    let stages = [(Stage::One, Some(&info.stage1)), (Stage::Two, info.stage2.as_ref())];
    let stages: Vec<(Stage, &StageInfo)> =
        stages.into_iter().filter_map(|(stage, info)| Some((stage, info?))).collect();
    for (stage, StageInfo { net, .. }) in &stages {
        let (name, side) = (name_of(*stage), stage.side());
        let blocks = match stage {
            Stage::One => "–".to_owned(),
            Stage::Two => net.residual_blocks.to_string(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            card,
            "| {name} | {side}x{side} | {} | {} | {} | {} | {} | {blocks} |",
            net.gf, net.df, net.text_dim, net.cond_dim, net.z_dim
        );
    }
    let encoder = Encoder::of(info);
    let fingerprint = plain(short_fingerprint(&info.encoder_fingerprint));
    // Writing to a String cannot fail.
    let _ = match &encoder {
        Encoder::Inside => writeln!(
            card,
            "\nThe text encoder, a char-CNN-RNN (Reed et al., CVPR 2016), is in the file."
        ),
        Encoder::Hub(name) => writeln!(
            card,
            "\nThe text encoder, the sentence encoder `{name}` (fingerprint `{fingerprint}`), is not in the file: the program fetches it."
        ),
        Encoder::Folder(name) => writeln!(
            card,
            "\nThe text encoder, the sentence encoder `{name}` (fingerprint `{fingerprint}`), is not in the file, and the program cannot fetch it: \
             whoever paints with the model needs the folder `{name}` too."
        ),
        Encoder::Unknown => writeln!(
            card,
            "\nThe text encoder is not in the file: the model paints from embeddings of the one that it was trained with."
        ),
    };
    card.push_str("\n## Training\n\n");
    for (stage, info) in &stages {
        let (name, stage) = (name_of(*stage), info);
        let dataset = plain(&stage.dataset);
        let _ = match stage.steps {
            0 => writeln!(
                card,
                "- {name}: dataset `{dataset}`; weights taken from elsewhere, their training is not recorded."
            ),
            steps => writeln!(
                card,
                "- {name}: dataset `{dataset}` (fingerprint `{}`), {} of {}, seed {}, average of weights {}.",
                plain(&stage.dataset_fingerprint),
                counted(steps, "step"),
                counted(stage.batch, "picture"),
                stage.seed,
                stage.ema
            ),
        };
    }
    let _ = write!(
        card,
        "\n## Licence\n\n\
         Whoever publishes these weights states their licence: put it in place of `license: other` above. The dataset has a licence of its own; \
         CUB-200-2011, Oxford-102 and the pictures of COCO may not be used for every purpose. The program is MIT or Apache-2.0.\n\n\
         ## Use\n\n\
         SHA-256 of `model.safetensors`: `{sha256}`.\n\n"
    );
    if !matches!(encoder, Encoder::Unknown) {
        let option = match &encoder {
            Encoder::Folder(name) => format!(" --encoder {name}"),
            _ => String::new(),
        };
        let _ = writeln!(
            card,
            "From a hub repository `OWNER/{name}` of these files, or from the folder (`-m {name}`):\n\n\
             ```\nstackgan generate -m hub:OWNER/{name}{option} -p \"a small bird with a red head\" --seeds 0-7 --grid\n```"
        );
    }
    let read = format!(
        "let model = stackgan_core::Model::from_bytes(&std::fs::read(\"{name}/model.safetensors\")?, &Device::Cpu)?;"
    );
    let _ = match &encoder {
        Encoder::Inside => write!(
            card,
            "\n```rust\n{read}\n\
             let pictures = model.generate(&[\"a small bird with a red head\"], 0, Sampling::default())?;\n```\n"
        ),
        Encoder::Hub(_) | Encoder::Folder(_) => Ok(()),
        Encoder::Unknown => write!(
            card,
            "```rust\n{read}\n\
             let paintings = model.paint_embeddings(&model.standardised(&embeddings)?, &seeds, Sampling::default())?; // (n, {}) and n seeds\n```\n",
            info.stage1.net.text_dim
        ),
    };
    if info.stage1.net.recipe == Recipe::Plain {
        let net = match model.last_stage() {
            Stage::One => "STAGE1_G",
            Stage::Two => "STAGE2_G",
        };
        let _ = write!(
            card,
            "\nIn PyTorch, with the release's `code/model.py`:\n\n\
             ```\nstackgan model export {name} --out netG.safetensors\n```\n\n\
             ```python\nnetG.load_state_dict(safetensors.torch.load_file(\"netG.safetensors\"))  # netG: {net}\n```\n"
        );
    }
    card
}

const fn name_of(stage: Stage) -> &'static str {
    match stage {
        Stage::One => "Stage-I",
        Stage::Two => "Stage-II",
    }
}

/// Text from a file, reduced to characters without special meaning in Markdown, YAML or a shell:
/// letters, digits, `-`, `_` and `.`.
fn plain(text: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    text.chars().take(100).map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_mean_nothing_to_the_card() {
        assert_eq!(plain("birds_2.1"), "birds_2.1");
        assert_eq!(plain("a`b\n---\n$(x) é"), "a-b-----$(x)-é".replace(['$', '(', ')'], "-"));
    }
}
