//! The training loop of the text encoder.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use stackgan_core::archive::Archive;
use stackgan_core::generator::Mode;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::text::alphabet::{CaptionIndices, indices};
use stackgan_core::text::{CharCnnRnn, CharCnnRnnEncoder, Standardise};
use stackgan_core::{Params, text::TextEncoder as _};
use stackgan_kernels::count_non_finite;

use super::batches::{Batches, Row, not_its_state};
use super::optimiser::State;
use super::{ImageEncoder, ImageInputs, TextSource, TextTrainConfig, TrainedEncoder};
use crate::{Error, Result};

/// Maximum number of captions from which the standardisation is computed, each of another picture.
const STANDARDISE_ON: usize = 4096;

/// Most steps of a state, more than any training takes.
const MOST_STEPS: u64 = 1_000_000_000_000;

/// The metadata key of a state's step.
const STEP: &str = "step";

/// The parts of a training run.
#[allow(missing_debug_implementations, reason = "its source and its schedule are closures")]
pub struct TextRun<'a> {
    /// The settings.
    pub config: &'a TextTrainConfig,
    /// Pictures and captions.
    pub source: &'a dyn TextSource,
    /// The input of the image side; must match [`TextTrainConfig::image`].
    pub images: ImageInputs<'a>,
    /// The pictures to train on.
    pub pictures: &'a [usize],
    /// The source of all randomness.
    pub noise: Noise,
    /// The fraction of the run that has passed before a step, from 0; the run ends when it reaches
    /// 1, or is no number.
    ///
    /// For a run of `n` steps this is `step / n`, and equal seeds give equal bits. A caller with a
    /// clock can end a run by time.
    pub done: &'a dyn Fn(u64) -> f64,
}

/// A step that was taken.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TextEvent {
    /// Steps taken so far.
    pub step: u64,
    /// The fraction of the run that had passed before it.
    pub done: f64,
    /// The loss.
    pub loss: f64,
    /// The learning rate.
    pub lr: f64,
}

/// Checks settings and data before a training, and before features are made of the pictures.
///
/// # Errors
/// [`Error::Config`] when a setting is out of range, there are fewer classes than rows, or the
/// captions are all alike.
pub fn check(config: &TextTrainConfig, source: &dyn TextSource, pictures: &[usize]) -> Result<()> {
    config.check()?;
    batches(config, source, pictures).map(drop)
}

fn batches(
    config: &TextTrainConfig,
    source: &dyn TextSource,
    pictures: &[usize],
) -> Result<Batches> {
    let batches = Batches::new(source, pictures, config)?;
    check_captions(config, source, pictures)?;
    Ok(batches)
}

/// Trains a text encoder and its image encoder.
///
/// # Errors
/// As [`TextTraining::begin`], [`TextTraining::step`] and [`TextTraining::finish`].
pub fn train_encoder(run: &TextRun, on_event: &mut dyn FnMut(TextEvent)) -> Result<TrainedEncoder> {
    let mut training = TextTraining::begin(run)?;
    while let Some(event) = training.step()? {
        on_event(event);
    }
    training.finish()
}

/// A training that is taken step by step, and can be interrupted: its state is a value.
///
/// N steps, [`Self::state`], [`Self::resume`] and N more steps end in the same bits as 2 N steps.
#[allow(missing_debug_implementations, reason = "as those of its run")]
pub struct TextTraining<'a> {
    run: &'a TextRun<'a>,
    text: CharCnnRnn,
    image: ImageEncoder,
    text_params: Params,
    image_params: Params,
    optimiser: State,
    batches: Batches,
    step: u64,
}

impl<'a> TextTraining<'a> {
    /// Begins with fresh weights.
    ///
    /// # Errors
    /// [`Error::Config`] when a setting is out of range, there are fewer classes than rows, or the
    /// images are not what the image side reads; errors of the source.
    pub fn begin(run: &'a TextRun<'a>) -> Result<Self> {
        let TextRun { config, source, noise, .. } = *run;
        config.check()?;
        run.images.check(&config.image, source.classes().len())?;
        let text_params = Params::fresh(noise, "text", &Device::Cpu);
        let image_params = Params::fresh(noise, "image", &Device::Cpu);
        let text = CharCnnRnn::with_init(&config.encoder, config.init, &text_params.trained())?;
        let image = ImageEncoder::new(&config.image, config.encoder.dim, &image_params.trained())?;
        let optimiser = State::new(config.optimiser, &[&image_params, &text_params])?;
        let batches = batches(config, source, run.pictures)?;
        Ok(Self { run, text, image, text_params, image_params, optimiser, batches, step: 0 })
    }

    /// Goes on from a state of the same run.
    ///
    /// # Errors
    /// As [`Self::begin`]; when the state is not one of such a run.
    pub fn resume(run: &'a TextRun<'a>, state: &Archive) -> Result<Self> {
        let mut training = Self::begin(run)?;
        let said = state.metadata.get(STEP);
        let step = said.and_then(|step| step.parse().ok()).filter(|step| *step <= MOST_STEPS);
        let expected = format!("the number of its steps, at most {MOST_STEPS}");
        let step =
            step.ok_or_else(|| not_its_state(&expected, said.map_or("none", String::as_str)))?;
        training.text_params.set(&state.part("text."))?;
        training.image_params.set(&state.part("image."))?;
        training.optimiser.restore(&state.part("optimiser."), step)?;
        training.batches.restore(&state.part("means."))?;
        training.step = step;
        Ok(training)
    }

    /// The state after the steps so far.
    ///
    /// # Errors
    /// When memory for it cannot be allocated.
    pub fn state(&self) -> Result<Archive> {
        let mut state = Archive::default();
        state.metadata.insert(STEP.to_owned(), self.step.to_string());
        state.extend("text.", self.text_params.snapshot()?);
        state.extend("image.", self.image_params.snapshot()?);
        state.extend("optimiser.", self.optimiser.state()?);
        state.extend("means.", self.batches.state()?);
        Ok(state)
    }

    /// Steps taken so far.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.step
    }

    /// Takes one step; `None` if the run has reached its end.
    ///
    /// # Errors
    /// [`Error::NonFinite`] when the loss is not finite; errors of the source.
    pub fn step(&mut self) -> Result<Option<TextEvent>> {
        let Self { run, text, image, batches, step, .. } = self;
        let (config, step) = (run.config, *step);
        let done = (run.done)(step);
        if done.is_nan() || done >= 1.0 {
            return Ok(None);
        }
        let rows = batches.rows(run.source, run.noise, step);
        let captions = read_captions(run, &rows); // the first caption of every row, the second, …
        let pictures = run.images.batch(run.source, &rows)?;
        let (said, seen) =
            both(|| Ok(text.forward(&captions)?), || image.forward(&pictures, Mode::Train))?;
        // The loss starts a new graph at the outputs of the encoders, so that each encoder has its
        // own backward pass.
        let (texts, images) = (Var::from_tensor(&said)?, Var::from_tensor(&seen)?);
        let compared = image.comparable(config.loss, &texts, Mode::Train)?;
        let mut losses = Vec::with_capacity(config.captions_per_picture);
        for texts in compared.chunk(config.captions_per_picture, 0)? {
            losses.push(image.compare(config.loss, &images, &texts)?);
        }
        let loss = Tensor::stack(&losses, 0)?.mean_all()?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(non_finite(step, value));
        }
        let lr = config.lr * config.decay.factor(step, batches.classes(), done);
        let mut grads = stackgan_kernels::backward(&loss)?;
        let (of_texts, of_images) =
            both(|| back(&said, grads.get(&texts)), || back(&seen, grads.get(&images)))?;
        grads.extend(of_texts)?;
        grads.extend(of_images)?;
        self.optimiser.step(&grads, lr)?;
        if config.hard_batches.is_some() {
            batches.follow(&rows, &compared.to_vec2()?);
        }
        self.step += 1;
        Ok(Some(TextEvent { step: self.step, done, loss: value, lr }))
    }

    /// The trained encoder.
    ///
    /// # Errors
    /// [`Error::NonFinite`] when the last step made a weight that is not finite.
    pub fn finish(self) -> Result<TrainedEncoder> {
        let Self { run, text_params, image_params, step, .. } = self;
        let params = [&text_params, &image_params].into_iter();
        let tensors: Vec<Tensor> = params.flat_map(|p| p.values().into_values()).collect();
        let bad = count_non_finite(&tensors.iter().collect::<Vec<_>>())?.to_scalar::<f32>()?;
        if bad > 0.0 {
            return Err(non_finite(step, f64::NAN));
        }
        let mut text = CharCnnRnnEncoder::new(run.config.encoder, text_params, None)?;
        if run.config.embedding_standardise {
            let standardise = fit_standardise(run, &text)?;
            text = text.with_standardise(Some(standardise))?;
        }
        TrainedEncoder::new(run.config.clone(), text, image_params, step)
    }
}

/// Rejects captions that are all equal: nothing would distinguish the pictures, and the loss would
/// not change.
fn check_captions(
    config: &TextTrainConfig,
    source: &dyn TextSource,
    pictures: &[usize],
) -> Result<()> {
    let captions = pictures.iter().flat_map(|&picture| source.captions(picture));
    let mut read = captions.map(|caption| indices(caption, config.encoder.alphabet));
    let first = read.next();
    if read.any(|caption| Some(caption) != first) {
        return Ok(());
    }
    Err(Error::Config {
        key: "data".to_owned(),
        expected: "two different captions or more to train on".to_owned(),
        found: "captions of which the encoder reads all alike".to_owned(),
        remedy: "write captions that say what each picture shows, in letters of the English alphabet; or take an \
                 encoder that was trained: `--encoder`"
            .to_owned(),
    })
}

/// Runs both at once. The encoders share nothing, and much of each runs on one thread.
fn both<A: Send>(
    a: impl FnOnce() -> Result<A> + Send,
    b: impl FnOnce() -> Result<A> + Send,
) -> Result<(A, A)> {
    let (a, b) = rayon::join(a, b);
    Ok((a?, b?))
}

/// The gradients behind `output`, given the gradient of the output.
fn back(output: &Tensor, gradient: Option<&Tensor>) -> Result<GradStore> {
    let none = || candle_core::Error::msg("the loss does not depend on an encoder");
    let gradient = gradient.ok_or_else(none)?.detach();
    Ok(stackgan_kernels::backward(&(output * gradient)?.sum_all()?)?)
}

fn read_captions(run: &TextRun, rows: &[Row]) -> Vec<CaptionIndices> {
    let read = |row: &Row, k: usize| {
        let caption = row.captions.get(k).and_then(|&c| run.source.captions(row.picture).get(c));
        indices(caption.map_or("", String::as_str), run.config.encoder.alphabet)
    };
    (0..run.config.captions_per_picture)
        .flat_map(|k| rows.iter().map(move |row| read(row, k)))
        .collect()
}

/// Mean and standard deviation over one random caption per training picture, of at most
/// [`STANDARDISE_ON`] pictures.
fn fit_standardise(run: &TextRun, text: &CharCnnRnnEncoder) -> Result<Standardise> {
    let mut draws = run.noise.draws(Stream::TextBatch, u64::MAX, 0);
    let mut pictures = run.pictures.to_vec();
    draws.shuffle(&mut pictures);
    let chosen: Vec<&str> = pictures
        .iter()
        .filter_map(|&picture| draws.choose(run.source.captions(picture)).map(String::as_str))
        .take(STANDARDISE_ON)
        .collect();
    Ok(Standardise::fit(&text.encode(&chosen)?)?)
}

fn non_finite(step: u64, value: f64) -> Error {
    Error::NonFinite {
        step,
        term: "loss of the text encoder".to_owned(),
        value,
        remedy: "lower the learning rate, or train with another seed".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use stackgan_core::text::{CharCnnRnnConfig, TextEncoder};

    use super::super::{
        HardBatches, ImageSide, Loss, Optimiser, PictureFeatures, TextDecay, evaluate,
    };
    use super::*;

    /// Plain squares of twelve colours, two pictures each, with their colour names as captions: the
    /// easiest dataset.
    pub(crate) struct Squares {
        classes: Vec<u32>,
        captions: Vec<Vec<String>>,
    }

    const COLOURS: [(&str, [u8; 3]); 12] = [
        ("black", [0, 0, 0]),
        ("blue", [0, 0, 255]),
        ("green", [0, 255, 0]),
        ("cyan", [0, 255, 255]),
        ("red", [255, 0, 0]),
        ("magenta", [255, 0, 255]),
        ("yellow", [255, 255, 0]),
        ("white", [255, 255, 255]),
        ("gray", [128, 128, 128]),
        ("navy", [0, 0, 128]),
        ("maroon", [128, 0, 0]),
        ("olive", [128, 128, 0]),
    ];

    impl Squares {
        pub(crate) fn new() -> Self {
            let classes = (0..24).map(|i| 100 + i / 2).collect();
            let captions = (0..24).map(|i| {
                let name = COLOURS[i / 2].0;
                vec![format!("a {name} square"), format!("this square is {name} all over")]
            });
            Self { classes, captions: captions.collect() }
        }
    }

    impl TextSource for Squares {
        fn classes(&self) -> &[u32] {
            &self.classes
        }

        fn captions(&self, i: usize) -> &[String] {
            self.captions.get(i).map_or(&[], Vec::as_slice)
        }

        fn side(&self) -> usize {
            70
        }

        fn picture(&self, i: usize) -> Result<Vec<u8>> {
            Ok(COLOURS[i / 2].1.repeat(70 * 70))
        }
    }

    fn config() -> TextTrainConfig {
        TextTrainConfig {
            encoder: CharCnnRnnConfig {
                conv1: 16,
                conv2: 16,
                units: 16,
                dim: 16,
                ..Default::default()
            },
            image: ImageSide::Convolutions { channels: vec![4, 8] },
            batch: 8,
            lr: 3e-3,
            ..TextTrainConfig::small()
        }
    }

    /// A run over pixels.
    fn run_of<'a>(
        config: &'a TextTrainConfig,
        source: &'a Squares,
        pictures: &'a [usize],
        done: &'a dyn Fn(u64) -> f64,
    ) -> TextRun<'a> {
        let (images, noise) = (ImageInputs::Pixels, Noise::new(5));
        TextRun { config, source, images, pictures, noise, done }
    }

    fn train(
        config: &TextTrainConfig,
        steps: u64,
        losses: &mut Vec<f64>,
    ) -> Result<TrainedEncoder> {
        let source = Squares::new();
        let pictures: Vec<usize> = (0..24).collect();
        let done = |step| step as f64 / steps as f64;
        let run = run_of(config, &source, &pictures, &done);
        train_encoder(&run, &mut |TextEvent { loss, .. }| losses.push(loss))
    }

    fn all() -> Vec<usize> {
        (0..24).collect()
    }

    /// Features in place of pixels: twelve of them, one for each colour, and noise for mirrored
    /// pictures.
    #[test]
    fn features_are_learnt_from_and_must_be_those_of_the_training() -> Result<()> {
        let source = Squares::new();
        let one = |i: usize| (0..12).map(move |k| if k == i / 2 { 5.0 } else { 0.0 });
        let values: Vec<f32> = (0..24).flat_map(|i| one(i).chain(one(i))).collect();
        let values = Tensor::from_vec(values, (24, 2, 12), &Device::Cpu)?;
        let features = PictureFeatures::new(("colours", 64), values.clone())?;
        let images = ImageInputs::Features(&features);
        let config = TextTrainConfig { image: features.side()?, ..config() };
        let done = |step| step as f64 / 250.0;
        let pictures = all();
        let run = TextRun { images, ..run_of(&config, &source, &pictures, &done) };
        let encoder = train_encoder(&run, &mut |_| ())?;
        let encoder = TrainedEncoder::from_bytes(&encoder.to_bytes()?)?;
        let scores = evaluate(&encoder, (&source, images), &pictures, Noise::new(1))?;
        assert!(scores.top1 > 0.7 && scores.r10_one.unwrap().mean > 0.7, "{scores:?}");
        let others = PictureFeatures::new(("other colours", 64), values)?;
        for wrong in [ImageInputs::Pixels, ImageInputs::Features(&others)] {
            let error = evaluate(&encoder, (&source, wrong), &pictures, Noise::new(1));
            assert!(error.unwrap_err().to_string().contains("`image`"));
            assert!(train_encoder(&TextRun { images: wrong, ..run }, &mut |_| ()).is_err());
        }
        Ok(())
    }

    /// On pictures that it has seen: this tests the loop, not the generalisation.
    #[test]
    fn both_losses_learn_to_match() -> Result<()> {
        let published = TextTrainConfig {
            optimiser: Optimiser::RmsProp,
            loss: Loss::JointEmbedding,
            decay: TextDecay::PerEpoch { factor: 0.98 },
            lr: 6e-3,
            captions_per_picture: 1,
            ..config()
        };
        for cfg in [config(), published] {
            let mut losses = Vec::new();
            let encoder = train(&cfg, 500, &mut losses)?;
            assert_eq!((losses.len(), encoder.steps), (500, 500));
            let scores =
                evaluate(&encoder, (&Squares::new(), ImageInputs::Pixels), &all(), Noise::new(1))?;
            assert!(
                scores.top1 > 0.7 && scores.r10_one.unwrap().mean > 0.7,
                "{:?}: {scores:?}",
                cfg.loss
            );
            assert!(losses[499] < 0.7 * losses[0], "{losses:?}");
        }
        Ok(())
    }

    /// A training that is interrupted after every few steps, with its state as bytes in between.
    #[test]
    fn an_interrupted_training_ends_in_the_same_bytes() -> Result<()> {
        let published = TextTrainConfig {
            optimiser: Optimiser::RmsProp,
            loss: Loss::JointEmbedding,
            decay: TextDecay::PerEpoch { factor: 0.98 },
            ..config()
        };
        let hard = HardBatches { after: 3, chance: 0.8, share: 0.5 };
        let hard = TextTrainConfig { hard_batches: Some(hard), ..config() };
        for cfg in [hard, published] {
            let whole = train(&cfg, 9, &mut Vec::new())?.to_bytes()?;
            let (source, pictures) = (Squares::new(), all());
            let run = run_of(&cfg, &source, &pictures, &|step| step as f64 / 9.0);
            let mut training = TextTraining::begin(&run)?;
            while training.step()?.is_some() {
                if training.steps() % 2 == 0 {
                    let state = training.state()?.to_bytes()?;
                    let state = Archive::from_bytes(&state, &Device::Cpu)?;
                    training = TextTraining::resume(&run, &state)?;
                }
            }
            assert!(training.finish()?.to_bytes()? == whole, "{:?}", cfg.loss);
            let mut state = TextTraining::begin(&run)?.state()?;
            for step in [u64::MAX, MOST_STEPS + 1] {
                state.metadata.insert(STEP.to_owned(), step.to_string());
                assert!(TextTraining::resume(&run, &state).is_err());
            }
            state.metadata.clear();
            assert!(TextTraining::resume(&run, &state).is_err());
        }
        Ok(())
    }

    /// As of a run of no steps: none of none.
    #[test]
    fn a_run_whose_length_is_no_number_ends() -> Result<()> {
        let (config, source, pictures) = (config(), Squares::new(), all());
        let run = run_of(&config, &source, &pictures, &|_| f64::NAN);
        assert!(TextTraining::begin(&run)?.step()?.is_none());
        Ok(())
    }

    /// Later steps do not change a state that was taken.
    #[test]
    fn a_state_is_a_value() -> Result<()> {
        for optimiser in [Optimiser::Adam, Optimiser::RmsProp] {
            let (cfg, source, pictures) =
                (TextTrainConfig { optimiser, ..config() }, Squares::new(), all());
            let run = run_of(&cfg, &source, &pictures, &|step| step as f64 / 9.0);
            let mut training = TextTraining::begin(&run)?;
            training.step()?;
            let state = training.state()?;
            let bytes = state.to_bytes()?;
            training.step()?;
            assert!(state.to_bytes()? == bytes, "{optimiser:?}");
        }
        Ok(())
    }

    #[test]
    fn equal_seeds_give_equal_bytes_and_the_file_keeps_everything() -> Result<()> {
        let cfg = config();
        let (a, b) = (train(&cfg, 12, &mut Vec::new())?, train(&cfg, 12, &mut Vec::new())?);
        let bytes = a.to_bytes()?;
        assert_eq!(bytes, b.to_bytes()?);
        let read = TrainedEncoder::from_bytes(&bytes)?;
        assert_eq!(read.to_bytes()?, bytes);
        assert_eq!(
            read.text.encode(&["a red square"])?.to_vec2::<f32>()?,
            a.text.encode(&["a red square"])?.to_vec2::<f32>()?
        );
        for cut in [0, 8, 100, bytes.len() / 2, bytes.len() - 1] {
            assert!(TrainedEncoder::from_bytes(&bytes[..cut]).is_err());
        }
        let mut changed = bytes;
        let last = changed.len() - 3; // in the last tensor of the text encoder
        changed[last] ^= 1;
        assert!(TrainedEncoder::from_bytes(&changed).is_err());
        Ok(())
    }

    /// Characters that the encoder cannot read carry no information either.
    #[test]
    fn captions_that_all_say_the_same_are_refused_before_the_first_step() {
        for words in
            [["a red bird"; 12], std::array::from_fn(|i| &"абвгдежзиклм"[2 * i..2 * i + 2])]
        {
            let mut source = Squares::new();
            for (i, captions) in source.captions.iter_mut().enumerate() {
                *captions = vec![words[i / 2].to_owned(); 2];
            }
            let (config, pictures) = (config(), all());
            let run = run_of(&config, &source, &pictures, &|_| 0.0);
            let error = train_encoder(&run, &mut |_| panic!("a step was taken")).unwrap_err();
            assert!(error.to_string().contains("two different captions"), "{error}");
        }
    }

    #[test]
    fn too_few_classes_are_refused() {
        let error =
            train(&TextTrainConfig { batch: 13, ..config() }, 1, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("`batch`"), "{error}");
    }
}
