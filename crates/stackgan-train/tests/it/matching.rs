//! The matching loss: its gradient, the weights that it changes, and runs with it.

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use stackgan_core::archive::Archive;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::text::{CharCnnRnnConfig, CharCnnRnnEncoder, TextEncoder};
use stackgan_core::{Recipe, Stage};
use stackgan_data::dataset::Split;
use stackgan_data::embeddings::Embeddings;
use stackgan_train::Error;
use stackgan_train::Pretrained;
use stackgan_train::config::{LossConfig, TrainConfig};
use stackgan_train::matching::Matcher;
use stackgan_train::players::Players;
use stackgan_train::policy::Policy;
use stackgan_train::replay::replay;
use stackgan_train::run::Setup;
use stackgan_train::start::Start;
use stackgan_train::step::{Batch, Inputs, StepConfig, StepNoise};
use stackgan_train::text::{
    ImageInputs, ImageSide, Loss, PictureFeatures, PictureNetwork, TextRun, TextTrainConfig,
    TrainedEncoder, train_encoder,
};

use crate::lite0::lite0;
use crate::run::{Folder, config, ends_in_the_same_bytes};

/// Returns a small encoder after `steps` steps on the folder's training pictures.
pub(crate) fn encoder(folder: &Folder, loss: Loss, steps: u64) -> TrainedEncoder {
    let image = ImageSide::Convolutions { channels: vec![8, 16] };
    trained(folder, &settings(image, loss), ImageInputs::Pixels, steps)
}

fn settings(image: ImageSide, loss: Loss) -> TextTrainConfig {
    let sizes = CharCnnRnnConfig { conv1: 16, conv2: 16, units: 16, dim: 12, ..Default::default() };
    let (encoder, batch, hard_batches) = (sizes, 4, None);
    TextTrainConfig { encoder, image, batch, loss, hard_batches, ..TextTrainConfig::small() }
}

/// Returns a network of features with untrained weights.
pub(crate) fn network(device: &Device) -> PictureNetwork {
    PictureNetwork::new(("lite0 by formula", 96), lite0(), device).unwrap()
}

/// Returns a small encoder after a few steps on features of the folder's pictures.
pub(crate) fn of_features(folder: &Folder, loss: Loss) -> TrainedEncoder {
    let source = folder.data.0.as_ref();
    let features = PictureFeatures::compute(source, &network(&Device::Cpu), &mut |_| {}).unwrap();
    let config = settings(features.side().unwrap(), loss);
    trained(folder, &config, ImageInputs::Features(&features), 3)
}

fn trained(
    folder: &Folder,
    config: &TextTrainConfig,
    images: ImageInputs,
    steps: u64,
) -> TrainedEncoder {
    let (source, noise) = (folder.data.0.as_ref(), Noise::new(3));
    let pictures = folder.data.0.indices(Split::Train);
    let done = |step| step as f64 / steps as f64;
    let run = TextRun { config, source, images, pictures: &pictures, noise, done: &done };
    train_encoder(&run, &mut |_| {}).unwrap()
}

/// Returns embeddings of the folder's captions by `encoder`, without standardisation.
pub(crate) fn embeddings(folder: &Folder, encoder: &TrainedEncoder) -> Arc<Embeddings> {
    encoded(folder, &encoder.text.unstandardised(&Device::Cpu).unwrap())
}

/// Returns embeddings of the folder's captions.
pub(crate) fn encoded(folder: &Folder, raw: &CharCnnRnnEncoder) -> Arc<Embeddings> {
    let (data, print) = (&folder.data.0, raw.fingerprint());
    let file = folder.folder.path().join(format!("{}.safetensors", &print[..12]));
    let mut writer = Embeddings::create(&file, 12, &print, data).unwrap();
    for picture in 0..data.len() {
        let captions: Vec<&str> = data.captions(picture).iter().map(String::as_str).collect();
        for row in raw.encode(&captions).unwrap().to_vec2::<f32>().unwrap() {
            writer.append(&row).unwrap();
        }
    }
    writer.finish().unwrap();
    Arc::new(Embeddings::open(&file).unwrap())
}

pub(crate) fn matching(stage: Stage, recipe: Recipe) -> TrainConfig {
    let mut cfg = config(stage, recipe);
    (cfg.loss.matching, cfg.data.embedding_standardise) = (2.0, true);
    (cfg.optim.steps, cfg.run.checkpoint_every) = (6, 3);
    cfg
}

fn go(
    folder: &Folder,
    name: &str,
    (cfg, embeddings, matcher): (&TrainConfig, &Arc<Embeddings>, Option<Matcher>),
    upto: u64,
    policy: Policy,
) -> stackgan_train::Result<()> {
    let pretrained = Pretrained { matcher, projection: None };
    let setup = Setup { pretrained, embeddings: Arc::clone(embeddings), ..folder.setup(cfg) };
    folder.run(name, setup, upto, &policy).0.map(|_| ())
}

fn of(encoder: &TrainedEncoder) -> Option<Matcher> {
    let reads_features = matches!(encoder.config.image, ImageSide::Features { .. });
    let network = reads_features.then(|| network(&Device::Cpu));
    Some(Matcher::of(encoder, network, &Device::Cpu).unwrap())
}

pub(crate) fn pictures(side: usize) -> Tensor {
    let values = Noise::new(8).normal(Stream::Test, 0, side as u64, 4 * 3 * side * side);
    Tensor::from_vec(values, (4, 3, side, side), &Device::Cpu).unwrap().tanh().unwrap()
}

/// Uses a smooth direction, so that rounding is small compared with the difference.
#[test]
fn its_gradient_in_the_pictures_equals_differences() {
    let folder = Folder::new(Stage::One);
    let losses = [Loss::Contrastive, Loss::JointEmbedding];
    let seeing = losses.map(|loss| encoder(&folder, loss, 3));
    let reading = of_features(&folder, Loss::Contrastive);
    // A network of features is not smooth at the bounds of its layers.
    for (encoder, h) in [(&seeing[0], 0.02), (&seeing[1], 0.02), (&reading, 5e-4)] {
        let matcher = of(encoder).unwrap();
        let text = Noise::new(8).normal(Stream::Test, 1, 0, 4 * 12);
        let text = Tensor::from_vec(text, (4, 12), &Device::Cpu).unwrap();
        for side in [64, 256] {
            let start = pictures(side);
            let var = Var::from_tensor(&start).unwrap();
            let value = matcher.loss(&var, &text).unwrap();
            let grads = stackgan_kernels::backward(&value).unwrap();
            let gradient = grads.get(&var).unwrap();
            let length = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(length > 0.0);
            let along = (gradient / f64::from(length.sqrt())).unwrap();
            let at = |by: f64| {
                let moved = (&start + (&along * by).unwrap()).unwrap();
                f64::from(matcher.loss(&moved, &text).unwrap().to_scalar::<f32>().unwrap())
            };
            let difference = (at(h) - at(-h)) / (2.0 * h);
            let exact = f64::from(length.sqrt());
            assert!((difference - exact).abs() < 0.03 * exact, "{side}: {difference} {exact}");
        }
    }
}

/// A trained encoder matches pictures with their own captions better than with others.
#[test]
fn right_captions_match_better_than_wrong_ones() {
    let folder = Folder::new(Stage::One);
    let encoder = encoder(&folder, Loss::Contrastive, 500);
    let matcher = of(&encoder).unwrap();
    let data = &folder.data.0;
    let mut of_class: Vec<usize> = data.indices(Split::Train);
    of_class.dedup_by_key(|&mut i| data.class(i));
    of_class.truncate(4);
    let middle = |i: usize| -> Vec<f32> {
        let rgb = data.image(i).unwrap();
        let (side, from) = (data.size().prepared(), (data.size().prepared() - 64) / 2);
        let at = |c: usize, y: usize, x: usize| rgb[3 * ((from + y) * side + from + x) + c];
        let place = |k: usize| at(k / 4096, k % 4096 / 64, k % 64);
        (0..3 * 4096).map(|k| f32::from(place(k)) / 127.5 - 1.0).collect()
    };
    let values: Vec<f32> = of_class.iter().flat_map(|&i| middle(i)).collect();
    let real = Tensor::from_vec(values, (4, 3, 64, 64), &Device::Cpu).unwrap();
    let text = |by: usize| {
        let of_one = |k: usize| {
            let captions = data.captions(of_class[(k + by) % 4]).iter().map(String::as_str);
            encoder.text.encode_raw(&captions.collect::<Vec<_>>()).unwrap().mean(0).unwrap()
        };
        Tensor::stack(&[0, 1, 2, 3].map(of_one), 0).unwrap()
    };
    let loss = |by| matcher.loss(&real, &text(by)).unwrap().to_scalar::<f32>().unwrap();
    let own = loss(0);
    for by in 1..4 {
        assert!(own < loss(by), "{own} {}", loss(by));
    }
}

/// Compares an uninterrupted run with two threads; one with one thread that is stopped after 1 and
/// 4 steps; and one with checks at the end of a step.
#[test]
fn runs_with_it_end_in_the_same_bytes() {
    let folder = Folder::new(Stage::One);
    let seeing = encoder(&folder, Loss::Contrastive, 3);
    let reading = of_features(&folder, Loss::Contrastive);
    let (residual, plain) = (Recipe::Residual, Recipe::Plain);
    for (recipe, encoder) in [(residual, &seeing), (plain, &seeing), (residual, &reading)] {
        let embeddings = embeddings(&folder, encoder);
        let mut cfg = matching(Stage::One, recipe);
        cfg.knobs.micro_batch = if recipe == Recipe::Plain { 2 } else { 0 };
        let by = encoder.text.fingerprint();
        let go = |run: &str, upto, policy| {
            go(&folder, run, (&cfg, &embeddings, of(encoder)), upto, policy).unwrap();
        };
        let stats = ends_in_the_same_bytes(&folder, &format!("{recipe:?}-{by}"), go);
        // The term is part of G's loss, with its weight.
        let first: serde_json::Value = serde_json::from_str(&stats[0]).unwrap();
        let term = |name: &str| first[name].as_f64().unwrap();
        let sum = term("g_adv") + cfg.kl() * term("kl") + 2.0 * term("matching");
        assert!((term("g_loss") - sum).abs() < 1e-4 * sum, "{first}");
        assert!(term("matching") > 0.0);
    }
}

/// Repeats one batch of very different texts with a tiny rate for D, so that G learns only from
/// this term.
#[test]
fn the_generator_goes_down_it() {
    let folder = Folder::new(Stage::One);
    let encoder = encoder(&folder, Loss::Contrastive, 3);
    let text = Noise::new(8).normal(Stream::Test, 1, 0, 4 * 12);
    let batch = Batch {
        real: pictures(64),
        wrong: Some(pictures(64)),
        text: Tensor::from_vec(text, (4, 12), &Device::Cpu).unwrap(),
        other_text: None,
    };
    let ends = |weight: f64| {
        let mut cfg = matching(Stage::One, Recipe::Residual);
        (cfg.optim.lr_g, cfg.optim.lr_d, cfg.loss.matching) = (4e-3, 1e-9, weight);
        let (start, matcher) = (Start::default(), of(&encoder));
        let pretrained = Pretrained { matcher, projection: None };
        let mut players = Players::new(&cfg, None, &start, pretrained, &Device::Cpu).unwrap();
        let step = |step: u64| {
            let noise = StepNoise::draw(&cfg, step, 4, &Device::Cpu).unwrap();
            let inputs = Inputs { batch: batch.clone(), noise };
            let stats = players.step(&inputs, &StepConfig::of(&cfg, step, 1.0)).unwrap();
            stats.get("matching").unwrap()
        };
        let losses: Vec<f64> = (0..150).map(step).collect();
        (losses[0], losses[140..].iter().sum::<f64>() / 10.0)
    };
    let ((first, much), (_, little)) = (ends(10.0), ends(1e-6));
    assert!(much < 0.8 * first && much < 0.8 * little, "{first} {much} {little}");
}

#[test]
fn what_cannot_be_matched_is_refused() {
    let folder = Folder::new(Stage::One);
    let (one, two) =
        (encoder(&folder, Loss::Contrastive, 1), encoder(&folder, Loss::Contrastive, 2));
    let embeddings = embeddings(&folder, &one);
    let cfg = matching(Stage::One, Recipe::Residual);
    let refused = |matcher| {
        let parts = (&cfg, &embeddings, matcher);
        go(&folder, "refused", parts, 1, Policy::default()).unwrap_err().to_string()
    };
    for (error, word) in [(refused(None), "none"), (refused(of(&two)), "that of")] {
        for part in ["loss.matching", "the image side of encoder", word, "--encoder FILE"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    go(&folder, "run", (&cfg, &embeddings, of(&one)), 1, Policy::default()).unwrap();
    let mut less = cfg.clone();
    less.loss.matching = 0.0;
    let error = go(&folder, "run", (&less, &embeddings, None), 1, Policy::default()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("`loss.matching`") && error.contains("2.0, as when"), "{error}");
    // With permission it can be turned on, and made as small as one likes, but not left out: the
    // image side could not be compared with that of the checkpoint.
    let leave = || Policy { allow_change: vec!["loss.matching".to_owned()], ..Policy::default() };
    let error = go(&folder, "run", (&less, &embeddings, None), 1, leave()).unwrap_err();
    assert!(error.to_string().contains("loss.matching=1e-12"), "{error}");
    let tiny = TrainConfig { loss: LossConfig { matching: 1e-12, ..cfg.loss }, ..cfg.clone() };
    go(&folder, "run", (&tiny, &embeddings, of(&one)), 1, leave()).unwrap();
    go(&folder, "off", (&less, &embeddings, None), 1, Policy::default()).unwrap();
    let refused = go(&folder, "off", (&cfg, &embeddings, of(&one)), 1, Policy::default());
    assert!(refused.unwrap_err().to_string().contains("0, as when"));
    go(&folder, "off", (&cfg, &embeddings, of(&one)), 1, leave()).unwrap();

    let (reading, own) = (of_features(&folder, Loss::Contrastive), network(&Device::Cpu));
    let other = PictureNetwork::new(("another", 96), lite0(), &Device::Cpu).unwrap();
    let (none, named) = ("no network of features", "features of lite0 by formula at 96 pixels");
    for (encoder, network, expected, found) in [
        (&reading, None, named, none),
        (&reading, Some(other), named, "features of another at 96 pixels"),
        (&one, Some(own), none, named),
    ] {
        let error = Matcher::of(encoder, network, &Device::Cpu).unwrap_err().to_string();
        for part in ["loss.matching", &format!("expected {expected}"), &format!("found {found}")] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

/// The text encoder is the same one, so that only the image side's digest tells them apart.
#[test]
fn another_image_side_is_refused() {
    let folder = Folder::new(Stage::One);
    let one = encoder(&folder, Loss::Contrastive, 1);
    let mut archive = Archive::from_bytes(&one.to_bytes().unwrap(), &Device::Cpu).unwrap();
    let mut of_image = archive.tensors.iter_mut().filter(|(name, _)| name.starts_with("image."));
    let (_, tensor) = of_image.next().unwrap();
    *tensor = (&*tensor + 1e-3).unwrap();
    let other = TrainedEncoder::from_bytes(&archive.to_bytes().unwrap()).unwrap();
    assert_eq!(one.text.fingerprint(), other.text.fingerprint());
    let (embeddings, cfg) = (embeddings(&folder, &one), matching(Stage::One, Recipe::Residual));
    let go = |encoder, upto| {
        go(&folder, "run", (&cfg, &embeddings, of(encoder)), upto, Policy::default())
    };
    go(&one, 1).unwrap();
    let error = go(&other, 2).unwrap_err().to_string();
    for part in ["`loss.matching`", "the encoder's image side of when", "found another one"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    go(&one, 2).unwrap();
}

/// The training diverges. The step that becomes non-finite is repeated from its file alone,
/// including the matching.
#[test]
fn a_bad_step_is_taken_again_alone() {
    let folder = Folder::new(Stage::One);
    let encoder = of_features(&folder, Loss::Contrastive);
    let mut cfg = matching(Stage::One, Recipe::Residual);
    // With this weight and these rates, values become non-finite within 400 steps.
    (cfg.loss.matching, cfg.optim.lr_g) = (1e4, 1.0);
    (cfg.optim.steps, cfg.optim.lr_d) = (400, 1.0);
    let embeddings = embeddings(&folder, &encoder);
    let parts = (&cfg, &embeddings, of(&encoder));
    let error = go(&folder, "run", parts, 400, Policy::default()).unwrap_err();
    let Error::NonFinite { step, term, .. } = error else { panic!("{error}") };
    let name = format!("nonfinite-step-{step:07}.safetensors");
    match replay(&folder.bytes("run", &name), name.as_ref(), &Device::Cpu).unwrap().result {
        Err(Error::NonFinite { step: again, term: found, .. }) => {
            assert_eq!((again, found), (step, term));
        }
        other => panic!("{other:?}"),
    }
}
