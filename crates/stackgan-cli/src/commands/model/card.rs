//! The card of a model on the Hugging Face Hub: what it is, how it was trained, the licence as far
//! as it is known, and how it is used.

use std::fmt::Write as _;

use stackgan_core::model::{ModelInfo, StageInfo};
use stackgan_core::text::short_fingerprint;
use stackgan_core::{Model, Recipe, Stage};
use stackgan_data::counted;
use stackgan_data::fetch::hub::Repository;

use crate::hub::HUB;

/// The file of pictures beside the card.
pub(super) const SAMPLES: &str = "samples.png";

/// What stands for a sentence where none is known.
const SENTENCE: &str = "SENTENCE";

/// Where the text encoder of a model is.
pub(super) enum Encoder {
    Inside,
    /// On the Hub, under this name.
    Hub(String),
    /// In a folder with this name. Where it lies on this machine means nothing to others.
    Folder(String),
    Unknown,
}

impl Encoder {
    pub(super) fn of(info: &ModelInfo) -> Self {
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

    /// What others may know it by.
    pub(super) fn source(&self) -> Option<&str> {
        match self {
            Self::Hub(name) | Self::Folder(name) => Some(name),
            Self::Inside | Self::Unknown => None,
        }
    }
}

/// The card of a model called `name`, whose file has this hash, with its pictures of `prompts`.
pub(super) fn card(model: &Model, name: &str, sha256: &str, prompts: &[String]) -> String {
    let info = model.info();
    let encoder = Encoder::of(info);
    let stages = [(Stage::One, Some(&info.stage1)), (Stage::Two, info.stage2.as_ref())];
    let stages: Vec<(Stage, &StageInfo)> =
        stages.into_iter().filter_map(|(stage, info)| Some((stage, info?))).collect();
    [
        description(model, name),
        pictures(prompts),
        sizes(&stages),
        text(info, &encoder),
        training(&stages),
        licence(sha256),
        use_by_program(info, name, &encoder),
        use_in_rust(info, name, &encoder),
        use_in_torch(model, name),
    ]
    .concat()
}

fn description(model: &Model, name: &str) -> String {
    let info = model.info();
    let recipe = info.stage1.net.recipe.name();
    let source = match info.stage1.net.recipe {
        Recipe::Residual => "the TensorFlow release (birds, flowers)",
        Recipe::Plain => "the PyTorch release (COCO)",
    };
    let last = info.stage2.as_ref().unwrap_or(&info.stage1);
    let (pixels, dataset) = (model.last_stage().side(), plain(&last.dataset));
    format!(
        "---\nlibrary_name: stackgan\npipeline_tag: text-to-image\nlicense: other\ntags:\n- stackgan\n- gan\n- {recipe}\n---\n\n\
         # {name}\n\n\
         A StackGAN (Zhang et al., ICCV 2017, arXiv 1612.03242) that paints {pixels}x{pixels} pictures from sentences. Recipe: `{recipe}`, \
         the networks of {source}. Dataset: `{dataset}`.\n\n"
    )
}

fn pictures(prompts: &[String]) -> String {
    if prompts.is_empty() {
        return String::new();
    }
    // As code, in which nothing has a meaning in Markdown.
    let line = |said: &String| {
        let words: Vec<&str> = said.split_whitespace().collect();
        format!("    {}\n", words.join(" "))
    };
    let rows: String = prompts.iter().map(line).collect();
    format!(
        "![A row of five pictures for each sentence]({SAMPLES})\n\n\
         The sentences, from the top, with seeds 0 to 4:\n\n{rows}\n"
    )
}

fn sizes(stages: &[(Stage, &StageInfo)]) -> String {
    let mut table = "| stage | pictures | gf | df | text | c | z | residual blocks |\n|---|---|---|---|---|---|---|---|\n".to_owned();
    for (stage, StageInfo { net, .. }) in stages {
        let (name, side) = (stage.name(), stage.side());
        let blocks = match stage {
            Stage::One => "–".to_owned(),
            Stage::Two => net.residual_blocks.to_string(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {name} | {side}x{side} | {} | {} | {} | {} | {} | {blocks} |",
            net.gf, net.df, net.text_dim, net.cond_dim, net.z_dim
        );
    }
    table
}

fn text(info: &ModelInfo, encoder: &Encoder) -> String {
    let fingerprint = plain(short_fingerprint(&info.encoder_fingerprint));
    let what = match encoder {
        Encoder::Inside => ", a char-CNN-RNN (Reed et al., CVPR 2016), is in the file.".to_owned(),
        Encoder::Hub(name) => format!(
            ", the sentence encoder `{name}` (fingerprint `{fingerprint}`), is not in the file: the program fetches it."
        ),
        Encoder::Folder(name) => format!(
            ", the sentence encoder `{name}` (fingerprint `{fingerprint}`), is not in the file, and the program cannot fetch it: \
             whoever paints with the model needs the folder `{name}` too."
        ),
        Encoder::Unknown => " is not in the file: the model paints from embeddings of the one that it was trained with.".to_owned(),
    };
    format!("\nThe text encoder{what}\n")
}

fn training(stages: &[(Stage, &StageInfo)]) -> String {
    let line = |(stage, info): &(Stage, &StageInfo)| {
        let (name, dataset) = (stage.name(), plain(&info.dataset));
        match info.steps {
            0 => format!(
                "- {name}: dataset `{dataset}`; weights taken from elsewhere, their training is not recorded.\n"
            ),
            steps => format!(
                "- {name}: dataset `{dataset}` (fingerprint `{}`), {} of {}, seed {}, average of weights {}.\n",
                plain(&info.dataset_fingerprint),
                counted(steps, "step"),
                counted(info.batch, "picture"),
                info.seed,
                info.ema
            ),
        }
    };
    format!("\n## Training\n\n{}", stages.iter().map(line).collect::<String>())
}

fn licence(sha256: &str) -> String {
    format!(
        "\n## Licence\n\n\
         Whoever publishes these weights states their licence: put it in place of `license: other` above. The dataset has a licence of its own; \
         CUB-200-2011, Oxford-102 and the pictures of COCO may not be used for every purpose. The program is MIT or Apache-2.0.\n\n\
         ## Use\n\n\
         SHA-256 of `model.safetensors`: `{sha256}`.\n\n"
    )
}

/// A sentence that suits what a model paints; `None` if the name of its dataset does not tell what that
/// is.
fn sentence(info: &ModelInfo) -> Option<&'static str> {
    match info.stage2.as_ref().unwrap_or(&info.stage1).dataset.as_str() {
        "cub" | "toy" => Some("a small bird with a red head"),
        "oxford" => Some("a flower with large pink petals"),
        _ => None,
    }
}

fn use_by_program(info: &ModelInfo, name: &str, encoder: &Encoder) -> String {
    let option = match encoder {
        Encoder::Unknown => return String::new(),
        Encoder::Folder(name) => format!(" --encoder {name}"),
        Encoder::Inside | Encoder::Hub(_) => String::new(),
    };
    let (said, like) = match sentence(info) {
        Some(said) => (said, String::new()),
        None => (SENTENCE, format!(", with a {SENTENCE} like the captions that it was trained on")),
    };
    format!(
        "From a hub repository `OWNER/{name}` of these files, or from the folder (`-m {name}`){like}:\n\n\
         ```\nstackgan generate -m hub:OWNER/{name}{option} -p \"{said}\" --seeds 0-7 --grid\n```\n"
    )
}

fn use_in_rust(info: &ModelInfo, name: &str, encoder: &Encoder) -> String {
    let read = format!(
        "let model = stackgan_core::Model::from_bytes(&std::fs::read(\"{name}/model.safetensors\")?, &Device::Cpu)?;"
    );
    match encoder {
        Encoder::Inside => {
            let said = sentence(info).unwrap_or(SENTENCE);
            format!(
                "\n```rust\n{read}\n\
                 let pictures = model.generate(&[\"{said}\"], 0, Sampling::default())?;\n```\n"
            )
        }
        Encoder::Hub(_) | Encoder::Folder(_) => String::new(),
        Encoder::Unknown => format!(
            "```rust\n{read}\n\
             let paintings = model.paint_embeddings(&model.standardised(&embeddings)?, &seeds, Sampling::default())?; // (n, {}) and n seeds\n```\n",
            info.stage1.net.text_dim
        ),
    }
}

fn use_in_torch(model: &Model, name: &str) -> String {
    if model.info().stage1.net.recipe != Recipe::Plain {
        return String::new();
    }
    let net = match model.last_stage() {
        Stage::One => "STAGE1_G",
        Stage::Two => "STAGE2_G",
    };
    format!(
        "\nIn PyTorch, with the release's `code/model.py`:\n\n\
         ```\nstackgan model export {name} --out netG.safetensors\n```\n\n\
         ```python\nnetG.load_state_dict(safetensors.torch.load_file(\"netG.safetensors\"))  # netG: {net}\n```\n"
    )
}

/// Text from a file, reduced to characters without special meaning in Markdown, YAML or a shell:
/// letters, digits, `-`, `_` and `.`.
pub(super) fn plain(text: &str) -> String {
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
