//! The layers of settings.

use super::*;

fn layers(settings: &Settings, environment: &[(&str, &str)]) -> Result<Layers> {
    let pairs = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Layers::over(&Base::Preset, Stage::One, settings, pairs)
}

fn set(pairs: &[&str]) -> Settings {
    let set = pairs.iter().map(|p| (*p).to_owned()).collect();
    Settings { set, ..Settings::default() }
}

#[test]
fn every_preset_resolves() {
    for (name, _) in PRESETS {
        let (dataset, stage) = name.split_once("-stage").unwrap();
        let settings = Settings { preset: Some(dataset.to_owned()), ..Settings::default() };
        let stage = stage.parse().unwrap();
        let config = Layers::over(&Base::Preset, stage, &settings, []).unwrap().resolve().unwrap();
        assert_eq!(config, TrainConfig::from_toml(preset(name).unwrap()).unwrap());
    }
}

#[test]
fn a_higher_layer_wins_and_is_named_as_the_origin() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    std::fs::write(&file, "seed = 1\n[optim]\nbatch = 3\nlr_g = 1e-3\nlr_d = 1e-3\n").unwrap();
    let settings = Settings {
        config: Some(file.clone()),
        seed: Some(9),
        micro_batch: Some(5),
        ..set(&["optim.batch=5", "seed=2", "knobs.micro_batch=0"])
    };
    let env = [("STACKGAN__OPTIM__BATCH", "4"), ("STACKGAN__OPTIM__LR_D", "2e-3"), ("HOME", "x")];
    let layers = layers(&settings, &env).unwrap();
    let config = layers.resolve().unwrap();
    assert_eq!((config.seed, config.optim.batch, config.knobs.micro_batch), (9, 5, 5));
    assert_eq!((config.optim.lr_g, config.optim.lr_d), (1e-3, 2e-3));
    let origin = |key: &str| layers.iter().find(|(k, ..)| *k == key).unwrap().2.to_string();
    assert_eq!(origin("seed"), "--seed");
    assert_eq!(origin("knobs.micro_batch"), "--micro-batch");
    assert_eq!(origin("optim.batch"), "--set");
    assert_eq!(origin("optim.lr_d"), "environment STACKGAN__OPTIM__LR_D");
    assert_eq!(origin("optim.lr_g"), file.display().to_string());
    assert_eq!(origin("optim.beta1"), "preset toy-stage1");
}

/// docs/experiments.md, "Real birds, the commands": the run on a CPU, without how often it saves.
#[test]
fn the_photo_preset_is_what_was_measured_on_real_birds() {
    let both = [
        "net.gf=32",
        "net.text_dim=128",
        "net.cond_dim=64",
        "net.residual_blocks=1",
        "data.embedding_standardise=true",
        "optim.epochs=0",
        "optim.lr_g=3e-4",
        "optim.lr_d=3e-4",
        "optim.decay={ kind = \"linear\", from = 0.5, to = 0.02 }",
    ];
    let first = [
        "net.df=32",
        "optim.batch=16",
        "optim.steps=10000",
        "optim.ema=0.999",
        "loss.kl=1.0",
        "loss.r1={ gamma = 0.05, every = 8 }",
    ];
    let second = [
        "net.df=16",
        "net.channel_floor=16",
        "optim.batch=4",
        "optim.steps=1600",
        "optim.ema=0.995",
        "loss.kl=0.3",
        "loss.r1={ gamma = 0.05, every = 16 }",
        "loss.colour_consistency=5.0",
        "noise.stage1_statistics=running",
    ];
    for (stage, more) in [(Stage::One, &first[..]), (Stage::Two, &second)] {
        let of = |preset: &str, pairs: &[&str]| {
            let settings = Settings { preset: Some(preset.to_owned()), ..set(pairs) };
            Layers::over(&Base::Preset, stage, &settings, []).unwrap().resolve().unwrap()
        };
        let measured = of("cub", &[&both[..], more].concat());
        let photo = TrainConfig { run: measured.run, ..of("photo", &[]) };
        assert_eq!(photo, measured);
    }
}

/// docs/experiments.md, "Real birds, projected".
#[test]
fn the_projected_preset_is_photo_with_what_was_measured() {
    let both = ["loss.projected=1.0", "knobs.diff_augment=translation,cutout"];
    let first = ["loss.mode_seeking=1.0", "optim.steps=6000"];
    let second = ["loss.colour_consistency=20.0", "optim.steps=3200"];
    for (stage, more) in [(Stage::One, &first[..]), (Stage::Two, &second)] {
        let of = |preset: &str, pairs: &[&str]| {
            let settings = Settings { preset: Some(preset.to_owned()), ..set(pairs) };
            Layers::over(&Base::Preset, stage, &settings, []).unwrap().resolve().unwrap()
        };
        assert_eq!(of("photo-projected", &[]), of("photo", &[&both[..], more].concat()));
    }
}

#[test]
fn another_kind_of_decay_replaces_the_whole_group() {
    use stackgan_train::schedule::Decay;
    let whole = layers(&set(&["optim.decay={ kind = \"halve\", every = 3 }"]), &[]).unwrap();
    assert_eq!(whole.resolve().unwrap().optim.decay, Decay::Halve { every: 3 });
    let parts = layers(&set(&["optim.decay.kind=halve", "optim.decay.every=3"]), &[]).unwrap();
    assert_eq!(parts.resolve().unwrap().optim.decay, Decay::Halve { every: 3 });
    let other = layers(&set(&["optim.decay.every=3", "optim.decay.kind=halve"]), &[]).unwrap();
    assert_eq!(other.resolve().unwrap().optim.decay, Decay::Halve { every: 3 });
    let pair = [("STACKGAN__OPTIM__DECAY__KIND", "halve"), ("STACKGAN__OPTIM__DECAY__EVERY", "3")];
    for pair in [pair, [pair[1], pair[0]]] {
        let environment = layers(&Settings::default(), &pair).unwrap();
        assert_eq!(environment.resolve().unwrap().optim.decay, Decay::Halve { every: 3 });
    }
    let one = layers(&set(&["optim.decay.to=0.5"]), &[]).unwrap();
    assert_eq!(one.resolve().unwrap().optim.decay, Decay::Linear { from: 0.5, to: 0.5 });
}

#[test]
fn another_kind_leaves_a_key_whose_name_only_begins_alike() {
    let mut layers = layers(&Settings::default(), &[]).unwrap();
    let alike = "optim.decayed".to_owned();
    layers.values.insert(alike.clone(), (Value::Boolean(true), Origin::Off));
    layers.add("optim.decay.kind", Value::String("halve".to_owned()), &Origin::Off).unwrap();
    assert!(layers.values.contains_key(&alike) && !layers.values.contains_key("optim.decay.to"));
}

#[test]
fn unknown_keys_get_a_suggestion() {
    let near = [
        ("optim.bacth=3", "`optim.batch`"),
        ("lr_g=3", "`optim.lr_g`"),
        ("loss.r1.gama=3", "`loss.r1.gamma`"),
        ("net.colour_floor=3", "`net.channel_floor`"),
        ("knobs.dsteps=3", "`knobs.d_steps`"),
    ];
    for (given, expected) in near {
        let error = layers(&set(&[given]), &[]).unwrap_err().to_string();
        assert!(error.contains(&format!("did you mean {expected}")), "{given}: {error}");
    }
    let error = layers(&set(&["qqqq=1"]), &[]).unwrap_err().to_string();
    assert!(error.contains("stackgan config show"), "{error}");
    let preset = Settings { preset: Some("cubb".to_owned()), ..Settings::default() };
    assert!(layers(&preset, &[]).unwrap_err().to_string().contains("`cub-stage1`"));
    let preset = Settings { preset: Some("cub-stage2".to_owned()), ..Settings::default() };
    let error = layers(&preset, &[]).unwrap_err().to_string();
    assert!(error.contains("other stage") && error.contains("`--stage 2`"), "{error}");
}

#[test]
fn knobs_can_be_set_over_a_file_that_leaves_them_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let config = TrainConfig::from_toml(preset("cub-stage1").unwrap()).unwrap();
    std::fs::write(&file, config.to_toml().unwrap()).unwrap();
    let settings =
        set(&["knobs.diff_augment=translation,cutout", "knobs.real_label=0.9", "run.keep_every=5"]);
    let layers = Layers::over(&Base::File(file), Stage::One, &settings, []).unwrap();
    let config = layers.resolve().unwrap();
    let knobs = config.knobs;
    assert_eq!(config.run.keep_every, 5);
    assert!(knobs.diff_augment.translation && knobs.diff_augment.cutout);
    assert_eq!((knobs.real_label, knobs.d_steps), (0.9, 1));
    assert_eq!(layers.chosen("knobs.d_steps"), Some(&Origin::Off));
}

#[test]
fn wrong_types_and_ranges_are_refused_when_resolved() {
    for bad in ["optim.batch=0", "optim.batch=many", "optim.lr_g=nan", "data.wrong=some", "stage=3"]
    {
        let error = layers(&set(&[bad]), &[]).unwrap().resolve().unwrap_err();
        assert_eq!(crate::exit::code(&error), crate::exit::Exit::Usage, "{bad}: {error}");
    }
}

#[test]
fn a_setting_of_the_other_stage_is_refused_with_its_origin() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    std::fs::write(&file, "stage = 2\n").unwrap();
    let of_file = Settings { config: Some(file.clone()), ..Settings::default() };
    let (typed, environment) = (set(&["stage=2"]), [("STACKGAN__STAGE", "2")]);
    let plain = Settings::default();
    for (settings, environment, origin) in [
        (&typed, &[][..], "from: --set"),
        (&plain, &environment, "from: environment STACKGAN__STAGE"),
        (&of_file, &[], &format!("from: {}", file.display())),
    ] {
        let error = layers(settings, environment).unwrap_err();
        let said = error.to_string();
        for part in [origin, "setting `stage`", "expected 1,", "found 2", "`--stage 2`"] {
            assert!(said.contains(part), "no {part} in {said}");
        }
        assert_eq!(crate::exit::code(&error), crate::exit::Exit::Usage);
    }
    assert!(Layers::over(&Base::Preset, Stage::Two, &typed, []).unwrap().resolve().is_ok());
    // The settings of a run of the other stage: the command says so, with the run.
    let base = Base::File(file);
    assert!(Layers::over(&base, Stage::One, &plain, []).is_ok());
}

#[test]
fn a_wrong_name_in_a_list_is_answered_with_those_that_there_are() {
    for given in ["foo", "colour,zoom"] {
        let given = format!("knobs.diff_augment={given}");
        let error = layers(&set(&[&given]), &[]).unwrap().resolve().unwrap_err().to_string();
        let names = "expected any of `colour`, `translation` and `cutout`, parted by commas";
        assert!(error.contains(names) && error.contains("from: --set"), "{error}");
    }
}

/// The settings of a planned run are those of its plan, except where they are typed.
#[test]
fn a_file_does_not_replace_what_was_planned() {
    let dir = tempfile::tempdir().unwrap();
    let [base, mine] = ["config.toml", "mine.toml"].map(|name| dir.path().join(name));
    let mut config = TrainConfig::from_toml(preset("cub-stage1").unwrap()).unwrap();
    std::fs::write(&mine, config.to_toml().unwrap()).unwrap(); // 600 epochs, halved every 50
    (config.optim.steps, config.optim.epochs, config.run.sample_every) = (6000, 0, 77);
    config.optim.decay = stackgan_train::schedule::Decay::Halve { every: 3 };
    std::fs::write(&base, config.to_toml().unwrap()).unwrap();
    let over = |base: Base, typed: &[&str]| {
        let settings = Settings { config: Some(mine.clone()), ..set(typed) };
        let config = Layers::over(&base, Stage::One, &settings, []).unwrap().resolve().unwrap();
        (config.optim, config.run.sample_every)
    };
    let planned = |typed: &[&str]| over(Base::Planned(base.clone()), typed);
    assert_eq!(planned(&[]), (config.optim, 77));
    assert_eq!(planned(&["run.sample_every=5"]).1, 5);
    assert_eq!(planned(&["optim.steps=7000"]).0.steps, 7000);
    // Without a plan a file's epochs replace the steps of the file below.
    let (optim, _) = over(Base::File(base.clone()), &[]);
    assert_eq!((optim.steps, optim.epochs), (0, 600));
}

/// A run's length in steps replaces a preset's in epochs, and the other way round.
#[test]
fn one_length_replaces_the_other() {
    let length = |settings: &[&str]| {
        let settings = Settings { preset: Some("cub".to_owned()), ..set(settings) };
        let config = layers(&settings, &[]).unwrap().resolve();
        config.map(|config| (config.optim.steps, config.optim.epochs))
    };
    assert_eq!(length(&[]).unwrap(), (0, 600));
    assert_eq!(length(&["optim.steps=2"]).unwrap(), (2, 0));
    assert_eq!(length(&["optim.epochs=3"]).unwrap(), (0, 3));
    for both in [["optim.steps=2", "optim.epochs=3"], ["optim.epochs=3", "optim.steps=2"]] {
        let said = length(&both).unwrap_err().to_string();
        assert!(said.contains("epochs = 3, steps = 2"), "{said}");
    }
    let both = [("STACKGAN__OPTIM__STEPS", "2"), ("STACKGAN__OPTIM__EPOCHS", "3")];
    assert!(layers(&Settings::default(), &both).unwrap().resolve().is_err(), "one layer");
    assert!(length(&["optim.epochs=0"]).is_err(), "no length is left");
}
