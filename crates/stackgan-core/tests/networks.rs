//! Sizes of the networks, and pictures that do not depend on the others in their batch.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, in helper functions too")]

use candle_core::{DType, Device, Result, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::generator::Stage1Statistics;
use stackgan_core::generator_noise::{Draw, Epsilon, GeneratorNoise, SAMPLING};
use stackgan_core::generators::Low;
use stackgan_core::noise::Noise;
use stackgan_core::text::{
    CharCnnRnn, CharCnnRnnConfig, CharCnnRnnEncoder, Standardise, TextEncoder as _,
};
use stackgan_core::{
    Generator, Mode, Model, NetConfig, Params, Parts, Recipe, Request, Sampling, Stage, StageInfo,
    StagePart, TextPart, generators,
};
use stackgan_core::{plain, residual};

fn fresh() -> Params {
    Params::fresh(Noise::new(0), "g", &Device::Cpu)
}

/// Numbers of trainable parameters at the paper's sizes. Source: arithmetic over both releases.
#[test]
fn parameter_counts_at_the_papers_sizes() -> Result<()> {
    let statistics = Stage1Statistics::Batch;
    macro_rules! counts {
        ($recipe:ident, $named:expr) => {{
            let net = NetConfig { recipe: $named, ..NetConfig::default() };
            let (g1, d1, g2, d2) = (fresh(), fresh(), fresh(), fresh());
            let low = Low { net: &net, scope: &g1.trained(), statistics };
            $recipe::Discriminator::stage1(&net, &d1.trained())?;
            generators::stage2(&net, &low, &g2.trained())?;
            $recipe::Discriminator::stage2(&net, &d2.trained())?;
            [g1.count(), d1.count(), g2.count(), d2.count()]
        }};
    }
    assert_eq!(counts!(plain, Recipe::Plain), [10_301_248, 5_715_713, 26_290_080, 71_269_122]);
    assert_eq!(
        counts!(residual, Recipe::Residual),
        [14_264_192, 4_029_824, 26_290_080, 48_603_520]
    );
    Ok(())
}

fn small(recipe: Recipe) -> NetConfig {
    NetConfig {
        recipe,
        gf: 4,
        df: 2,
        text_dim: 12,
        cond_dim: 6,
        z_dim: 5,
        residual_blocks: 1,
        channel_floor: 0,
    }
}

fn stage_info(net: NetConfig) -> StageInfo {
    StageInfo {
        net,
        truncated_epsilon: true,
        sample_z: 1.0,
        sample_eps: 1.0,
        dataset: "test".to_owned(),
        dataset_fingerprint: "0".to_owned(),
        steps: 0,
        batch: 2,
        seed: 0,
        ema: 0.0,
    }
}

/// Multiplies the weights. Fresh ones paint grey; larger ones give contrast that shows a
/// difference.
fn louder(params: &Params, factor: f64) -> Result<Params> {
    let mut tensors = params.snapshot()?;
    for tensor in tensors.values_mut().filter(|t| t.rank() >= 2) {
        *tensor = (&*tensor * factor)?;
    }
    Params::given(tensors, &Device::Cpu)
}

fn model(recipe: Recipe) -> stackgan_core::Result<Model> {
    let (net, device) = (small(recipe), Device::Cpu);
    let config =
        CharCnnRnnConfig { conv1: 8, conv2: 8, units: 8, dim: net.text_dim, ..Default::default() };
    let text = Params::fresh(Noise::new(1), "text", &device);
    CharCnnRnn::new(&config, &text.trained())?;
    let text = louder(&text, 4.0)?;
    let encoder = CharCnnRnnEncoder::new(config, text, None)?;
    let (g1, g2) = (fresh(), fresh());
    let low = Low { net: &net, scope: &g1.trained(), statistics: Stage1Statistics::Batch };
    drop(generators::stage2(&net, &low, &g2.trained())?);
    let (g1, g2) = (louder(&g1, 7.0)?, louder(&g2, 7.0)?);
    let stage1 = StagePart { info: stage_info(net), params: g1 };
    let stage2 = Some(StagePart { info: stage_info(net), params: g2 });
    Model::new(Parts { text: TextPart::Inside(encoder), stage1, stage2 })
}

#[test]
fn a_picture_depends_on_model_caption_and_seed_alone() -> stackgan_core::Result<()> {
    let captions: Vec<String> =
        (0..11).map(|i| format!("bird number {i} has {} wings", i * i)).collect();
    for recipe in [Recipe::Plain, Recipe::Residual] {
        let model = model(recipe)?;
        let requests: Vec<_> =
            captions.iter().zip(0..).map(|(caption, seed)| Request { caption, seed }).collect();
        for stage in Stage::ALL {
            let with = |chunk| Sampling { stage: Some(stage), chunk, ..Sampling::default() };
            let together = model.paint(&requests, with(16))?;
            for (i, request) in requests.iter().enumerate() {
                let alone = model.paint(&[*request], with(1))?;
                assert_eq!(
                    alone[0].picture, together[i].picture,
                    "{recipe:?} stage {stage} picture {i}"
                );
            }
            let chunks = model.paint(&requests, with(3))?;
            assert!(chunks.iter().zip(&together).all(|(a, b)| a.picture == b.picture));
        }
    }
    Ok(())
}

#[test]
fn seeds_and_captions_make_a_difference() -> stackgan_core::Result<()> {
    let model = model(Recipe::Residual)?;
    let one = Sampling { stage: Some(Stage::One), ..Sampling::default() };
    let a = model.generate(&["a red bird", "a blue bird"], 0, one)?;
    assert_ne!(a[0], a[1]);
    let contrast =
        a[0].rgb.iter().max().zip(a[0].rgb.iter().min()).map_or(0, |(high, low)| high - low);
    assert!(contrast > 50, "{contrast}");
    assert_ne!(a[0], model.generate(&["a red bird"], 1, one)?[0]);
    assert_eq!((a[0].width, a[0].height), (64, 64));
    assert_eq!(model.generate(&["a red bird"], 0, Sampling::default())?[0].width, 256);
    assert!(model.generate(&[], 0, one)?.is_empty());
    Ok(())
}

#[test]
fn a_model_file_is_read_back_and_damage_is_named() -> stackgan_core::Result<()> {
    let bytes = model(Recipe::Plain)?.to_bytes()?;
    let again = Model::from_bytes(&bytes, &Device::Cpu)?;
    assert_eq!(again.to_bytes()?, bytes);
    assert_eq!(
        again.generate(&["x"], 0, Sampling::default())?,
        model(Recipe::Plain)?.generate(&["x"], 0, Sampling::default())?
    );
    for cut in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        let text = Model::from_bytes(&bytes[..cut], &Device::Cpu)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(text.contains("expected") && text.contains("do: "), "cut at {cut}: {text}");
    }
    let mut changed = bytes.clone();
    let at = changed.len() / 2;
    changed[at] ^= 0x10;
    let error = Model::from_bytes(&changed, &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("not those that were written"), "{error}");
    // A weight of the text encoder is changed on purpose: another encoder must not be accepted.
    let mut archive = Archive::from_bytes(&bytes, &Device::Cpu)?;
    let (name, tensor) = archive.tensors.iter().find(|(n, _)| n.starts_with("text.")).unwrap();
    let (name, tensor) = (name.clone(), (tensor + 0.5)?);
    archive.tensors.insert(name, tensor);
    let error = Model::from_bytes(&archive.to_bytes()?, &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("another text encoder"), "{error}");
    Ok(())
}

/// Of an encoder that standardises, the file says another fingerprint than the program.
#[test]
fn a_model_names_its_encoder_without_standardisation() -> stackgan_core::Result<()> {
    let mut parts = model(Recipe::Plain)?.into_parts();
    let TextPart::Inside(encoder) = parts.text else { unreachable!() };
    let bare = encoder.fingerprint();
    let mean = Tensor::zeros(encoder.dim(), DType::F32, &Device::Cpu)?;
    let encoder = encoder.with_standardise(Some(Standardise::new(mean, 2.0)?))?;
    assert_eq!(encoder.bare_fingerprint(), bare);
    let whole = encoder.fingerprint();
    parts.text = TextPart::Inside(encoder);
    let bytes = Model::new(parts)?.to_bytes()?;
    let again = Model::from_bytes(&bytes, &Device::Cpu)?;
    assert_eq!([again.encoder_fingerprint(), &again.info().encoder_fingerprint], [&bare; 2]);
    assert_eq!(again.to_bytes()?, bytes);
    let said = &Archive::from_bytes(&bytes, &Device::Cpu)?.metadata["stackgan"];
    assert!(said.contains(&whole) && !said.contains(&bare), "{said}");
    Ok(())
}

/// What no part of a model reads would be lost when it is saved again.
#[test]
fn a_tensor_of_no_part_is_refused() -> stackgan_core::Result<()> {
    let whole = Archive::from_bytes(&model(Recipe::Plain)?.to_bytes()?, &Device::Cpu)?;
    for name in ["stage3.w", "optimiser", "text.more", "stage1.more"] {
        let mut more = whole.clone();
        more.tensors.insert(name.to_owned(), Tensor::zeros(1, DType::F32, &Device::Cpu)?);
        let error = Model::from_bytes(&more.to_bytes()?, &Device::Cpu).unwrap_err().to_string();
        let name = name.rsplit('.').next().unwrap();
        assert!(error.contains(name) && error.contains("do: "), "{error}");
    }
    // The encoder that the description denies; a standardisation alone may be there.
    let mut beside = model(Recipe::Plain)?.into_parts();
    beside.text = TextPart::unknown();
    let mut beside = Archive::from_bytes(&Model::new(beside)?.to_bytes()?, &Device::Cpu)?;
    beside.tensors.insert("text.w".to_owned(), Tensor::zeros(1, DType::F32, &Device::Cpu)?);
    let error = Model::from_bytes(&beside.to_bytes()?, &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("a tensor of no part of the model") && error.contains("`text.w`"));
    // A Stage-II that the description denies.
    let mut less = whole;
    let info = less.metadata["stackgan"].clone();
    let mut info: serde_json::Value = serde_json::from_str(&info).unwrap();
    info["stage2"] = serde_json::Value::Null;
    less.metadata.insert("stackgan".to_owned(), info.to_string());
    let error = Model::from_bytes(&less.to_bytes()?, &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("a tensor of no part of the model") && error.contains("stage2."));
    Ok(())
}

/// A model that could not be read back is refused, because otherwise hours of training would be
/// saved in vain.
#[test]
fn a_model_of_parts_that_do_not_fit_is_refused() -> stackgan_core::Result<()> {
    type Change<'a> = &'a dyn Fn(&mut StageInfo);
    let (whole, device) = (model(Recipe::Residual)?, Device::Cpu);
    let inside = || {
        let encoder = whole.encoder().unwrap();
        let tensors = encoder.tensors().unwrap();
        let encoder = CharCnnRnnEncoder::from_tensors(*encoder.config(), &tensors, &device);
        TextPart::Inside(encoder.unwrap())
    };
    let assembled = |change: Change<'_>, text: TextPart, params: &Params| {
        let mut info = whole.info().stage1.clone();
        change(&mut info);
        let stage1 = StagePart { info, params: params.shared() };
        Model::new(Parts { text, stage1, stage2: None })
    };
    let (g1, none): (_, Change<'_>) = (whole.stage1(), &|_| ());
    let taken = assembled(none, inside(), g1)?;
    Model::from_bytes(&taken.to_bytes()?, &device)?;
    let error = taken.generator(Stage::Two).unwrap_err().to_string();
    assert!(error.contains("no such stage"), "{error}");
    let refused: [(Change<'_>, &str); 4] = [
        (&|info| info.net.z_dim = 0, "z_dim"),
        (&|info| info.sample_z = f64::NAN, "sample_z"),
        (&|info| info.net.gf = 8, "do not fit"),
        (&|info| info.net.text_dim += 1, "the encoder does not fit"),
    ];
    for (change, said) in refused {
        let text = assembled(change, inside(), g1).unwrap_err().to_string();
        assert!(text.contains(said), "{said}: {text}");
    }
    let text = assembled(none, inside(), &fresh()).unwrap_err().to_string();
    assert!(text.contains("not whole"), "no variables: {text}");
    let mean = Tensor::zeros(whole.info().stage1.net.text_dim + 1, DType::F32, &device)?;
    let standardise = Some(Standardise::new(mean, 1.0)?);
    let text = TextPart::Beside { fingerprint: String::new(), source: None, standardise };
    let text = assembled(none, text, g1).unwrap_err().to_string();
    assert!(text.contains("cannot standardise"), "{text}");
    Ok(())
}

/// Otherwise, a discriminator of one stage would return a wrong number of logits for pictures of
/// the other stage.
#[test]
fn discriminators_refuse_pictures_of_another_size_and_networks_sizes_that_are_none() -> Result<()> {
    let (batch, device) = (2, Device::Cpu);
    let text = |width| Tensor::zeros((batch, width), DType::F32, &device);
    for (side, other) in [(64, 256), (256, 64), (64, 80)] {
        let pictures = |side| Tensor::zeros((batch, 3, side, side), DType::F32, &device);
        let (residual, plain) = (small(Recipe::Residual), small(Recipe::Plain));
        let (a, b) = (fresh(), fresh());
        let (a, b) = match side {
            64 => (
                residual::Discriminator::stage1(&residual, &a.trained())?,
                plain::Discriminator::stage1(&plain, &b.trained())?,
            ),
            _ => (
                residual::Discriminator::stage2(&residual, &a.trained())?,
                plain::Discriminator::stage2(&plain, &b.trained())?,
            ),
        };
        let logits = a.logits(&pictures(side)?, &text(residual.text_dim)?, Mode::Train)?;
        assert_eq!(logits.dims(), [batch]);
        let error = a.logits(&pictures(other)?, &text(residual.text_dim)?, Mode::Train);
        assert!(error.unwrap_err().to_string().contains(&format!("{side}, {side}")));
        let features = b.features(&pictures(side)?, Mode::Train)?;
        let logits = b.conditional_logits(&features, &text(plain.cond_dim)?, Mode::Train)?;
        assert_eq!(logits.dims(), [batch]);
        assert!(b.features(&pictures(other)?, Mode::Train).is_err());
    }
    for bad in [
        NetConfig { z_dim: 0, ..small(Recipe::Residual) },
        NetConfig { gf: 6, ..small(Recipe::Residual) },
        small(Recipe::Plain),
    ] {
        assert!(residual::Stage1Generator::new(&bad, &fresh().trained()).is_err(), "{bad:?}");
    }
    Ok(())
}

/// Changes `z` and keeps `c`. Rows of noise can be combined, and seeds have the same meaning as in
/// `paint`.
#[test]
fn noise_is_drawn_apart_from_painting() -> stackgan_core::Result<()> {
    let model = model(Recipe::Plain)?;
    let sampling = Sampling { stage: Some(Stage::One), ..Sampling::default() };
    let text = model.encode(&["a red bird", "a blue bird"])?;
    let noise = model.noise(&[4, 5], sampling)?;
    let painted = model.paint_noise(&text, &noise, Some(Stage::One))?;
    let asked = [("a red bird", 4), ("a blue bird", 5)];
    let asked = model.paint(&asked.map(|(caption, seed)| Request { caption, seed }), sampling)?;
    for (a, b) in painted.iter().zip(&asked) {
        assert_eq!(a.picture, b.picture);
    }
    let other = GeneratorNoise { z: model.noise(&[6, 7], sampling)?.z, ..noise };
    assert_ne!(model.paint_noise(&text, &other, Some(Stage::One))?[0].picture, painted[0].picture);

    let none = model.noise(&[], sampling)?;
    assert_eq!((none.z.dims(), none.eps1.dims()), (&[0, 5][..], &[0, 6][..]));
    assert!(model.paint(&[], sampling)?.is_empty());

    let one_at_a_time = Sampling { chunk: 1, ..sampling };
    let pieces = model.paint_embeddings(&text, &[4, 5], one_at_a_time)?;
    assert!(pieces.iter().zip(&asked).all(|(a, b)| a.picture == b.picture));
    for seeds in [&[][..], &[1], &[1, 2, 3]] {
        let text = model.paint_embeddings(&text, seeds, sampling).unwrap_err().to_string();
        assert!(text.contains("a row for each seed"), "{text}");
    }
    for scale in [f64::NAN, -1.0, f64::INFINITY] {
        let bad = Sampling { z_scale: Some(scale), ..sampling };
        assert!(model.generate(&["a bird"], 0, bad).unwrap_err().to_string().contains("z_scale"));
    }
    Ok(())
}

/// Noise is drawn once for both stages.
#[test]
fn a_stage2_of_other_sizes_than_its_stage1_is_refused() {
    let own = small(Recipe::Residual);
    for (key, low) in [
        ("z_dim", NetConfig { z_dim: own.z_dim + 1, ..own }),
        ("cond_dim", NetConfig { cond_dim: own.cond_dim + 1, ..own }),
    ] {
        let (g1, g2) = (fresh(), fresh());
        let below = Low { net: &low, scope: &g1.trained(), statistics: Stage1Statistics::Batch };
        let error = generators::stage2(&own, &below, &g2.trained()).unwrap_err().to_string();
        assert!(error.contains("Stage-II") && error.contains(key), "{error}");
        let stage1 = StagePart { info: stage_info(low), params: g1 };
        let stage2 = Some(StagePart { info: stage_info(own), params: g2 });
        let parts = Parts { text: TextPart::unknown(), stage1, stage2 };
        let error = Model::new(parts).unwrap_err().to_string();
        assert!(error.contains("Stage-II") && error.contains(key), "{error}");
    }
}

#[test]
fn a_stage2_over_a_stage1_of_the_other_recipe_is_refused() {
    let (own, low) = (small(Recipe::Residual), small(Recipe::Plain));
    let (g1, g2) = (fresh(), fresh());
    let below = Low { net: &low, scope: &g1.trained(), statistics: Stage1Statistics::Batch };
    let error = generators::stage2(&own, &below, &g2.trained()).unwrap_err().to_string();
    assert!(error.contains("residual") && error.contains("plain"), "{error}");
}

/// Evaluation changes no running statistic; training does.
#[test]
fn only_training_moves_running_statistics() -> Result<()> {
    let net = small(Recipe::Residual);
    let params = fresh();
    let generator = residual::Stage1Generator::new(&net, &params.trained())?;
    let before = params.snapshot()?;
    let changed = || -> Result<usize> {
        let after = params.snapshot()?;
        let mut changed = 0;
        for (name, tensor) in &after {
            let same = tensor.flatten_all()?.to_vec1::<f32>()?
                == before[name].flatten_all()?.to_vec1::<f32>()?;
            assert!(same || name.contains("running_"), "{name}");
            changed += usize::from(!same);
        }
        Ok(changed)
    };
    let of = Draw { net: &net, epsilon: Epsilon::Normal, device: &Device::Cpu };
    let noise = GeneratorNoise::draw(Noise::new(0), SAMPLING, 0, &[0, 1], &of)?;
    let text = Tensor::ones((2, net.text_dim), DType::F32, &Device::Cpu)?;
    generator.paint(&text, &noise, Mode::Eval)?;
    assert_eq!(changed()?, 0);
    generator.paint(&text, &noise, Mode::Train)?;
    assert_eq!(changed()?, before.keys().filter(|n| n.contains("running_")).count());
    Ok(())
}
