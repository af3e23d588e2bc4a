//! The settings of a training run, in layers, each value with its origin: flag, `--set`,
//! environment, `--config`, preset.
//!
//! A layer is a list of dotted keys. The keys of the stage's preset can be set; others are
//! rejected, with the most similar key as a suggestion.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::Stage;
use stackgan_train::config::{PRESETS, TrainConfig, preset};
use toml::{Table, Value};

use crate::args::Settings;
use crate::exit::Problem;

/// Keys that only some kinds of decay have, so that no preset has all of them.
const SOMETIMES: &[&str] =
    &["optim.decay.kind", "optim.decay.every", "optim.decay.from", "optim.decay.to"];

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The preset with this name.
    Preset(String),
    /// A setting that is not mentioned: off.
    Off,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// `--set`.
    Set,
    /// A dedicated flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::Off => f.write_str("off as released"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Set => f.write_str("--set"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The settings from the environment, such as `STACKGAN__OPTIM__BATCH`.
///
/// # Errors
/// Code 2 for one of ours that is not UTF-8; other variables may be anything.
pub(crate) fn environment() -> Result<Vec<(String, String)>> {
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
        Some((name, value))
    });
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(value) => {
            let parts = ("UTF-8", format!("{value:?}"));
            let place = format!("environment: {name}");
            Err(Problem::usage("a setting cannot be read", place, parts, "set it anew").into())
        }
    })
    .collect()
}

/// The lowest layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// The preset that the settings name.
    Preset,
    /// The complete configuration of a run that is resumed.
    File(PathBuf),
}

/// Prefix of the environment's settings.
const PREFIX: &str = "STACKGAN__";

/// A setting of one layer.
struct Setting {
    key: String,
    value: Value,
    origin: Origin,
}

/// All settings, by dotted key, each with its origin.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    values: BTreeMap<String, (Value, Origin)>,
}

impl Layers {
    /// Applies all given settings to the preset. `environment` is that of the process.
    ///
    /// # Errors
    /// [`Problem`] for an unknown preset or key, and for a value that is not valid TOML.
    pub(crate) fn new(
        stage: Stage,
        settings: &Settings,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        Self::over(&Base::Preset, stage, settings, environment)
    }

    /// Applies all given settings to `base`.
    ///
    /// # Errors
    /// As [`Layers::new`].
    pub(crate) fn over(
        base: &Base,
        stage: Stage,
        settings: &Settings,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let mut layers = match base {
            Base::Preset => Self::of_preset(stage, settings.preset.as_deref().unwrap_or("toy"))?,
            Base::File(file) => Self::of_text(&read_toml(file)?, &Origin::File(file.clone()))
                .map_err(|e| not_toml(file, &e))?,
        };
        if let Some(file) = &settings.config {
            layers.add_file(file)?;
        }
        let mut variables: Vec<(String, String)> = environment.into_iter().collect();
        variables.sort();
        let variables = variables.into_iter().filter_map(|(name, text)| {
            let key = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
            Some(Setting { key, value: parse(&text), origin: Origin::Environment(name) })
        });
        layers.add_layer(variables.collect())?;
        let assigned = settings.set.iter().map(|assignment| {
            let (key, text) = assignment.split_once('=').ok_or_else(|| {
                let remedy = "write `--set KEY=VALUE`, such as `--set optim.batch=32`";
                let parts = ("KEY=VALUE", format!("`{assignment}`"));
                Problem::usage("a setting has no value", "option: --set", parts, remedy)
            })?;
            let (key, value) = (key.trim().to_owned(), parse(text.trim()));
            Ok(Setting { key, value, origin: Origin::Set })
        });
        layers.add_layer(assigned.collect::<Result<_>>()?)?;
        if let Some(n) = settings.micro_batch {
            let flag = Origin::Flag("--micro-batch");
            layers.add("knobs.micro_batch", Value::Integer(n.into()), &flag)?;
        }
        if let Some(seed) = settings.seed {
            let seed = i64::try_from(seed)
                .map_or_else(|_| Value::String(seed.to_string()), Value::Integer);
            layers.add("seed", seed, &Origin::Flag("--seed"))?;
        }
        Ok(layers)
    }

    fn of_preset(stage: Stage, name: &str) -> Result<Self> {
        // `cub` and `cub-stage1` both name the preset of the stage.
        let dataset = name.trim_end_matches(&format!("-stage{stage}"));
        let full = format!("{dataset}-stage{stage}");
        let Some(text) = preset(&full) else {
            let known: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
            if let Some((dataset, other)) =
                name.split_once("-stage").filter(|_| preset(name).is_some())
            {
                let parts = (format!("a preset of stage {stage}"), format!("`{name}`"));
                let remedy = format!("say `--stage {other}`, or `--preset {dataset}`");
                let what = "the preset is of the other stage";
                return Err(Problem::usage(what, "option: --preset", parts, remedy).into());
            }
            let remedy = match nearest(&full, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "list them with `stackgan config presets`".to_owned(),
            };
            let parts = (known.join(", "), format!("`{name}`"));
            return Err(Problem::usage(
                "there is no such preset",
                "option: --preset",
                parts,
                remedy,
            )
            .into());
        };
        Ok(Self::of_text(text, &Origin::Preset(full))?)
    }

    fn of_text(text: &str, origin: &Origin) -> std::result::Result<Self, toml::de::Error> {
        let leaves = flatten(&text.parse()?);
        let mut values: BTreeMap<String, (Value, Origin)> =
            leaves.into_iter().map(|(key, value)| (key, (value, origin.clone()))).collect();
        for (key, value) in TrainConfig::absent_when_off() {
            // The configuration in a run folder omits what is off.
            values.entry(key).or_insert((value, Origin::Off));
        }
        Ok(Self { values })
    }

    fn add_file(&mut self, file: &Path) -> Result<()> {
        let text = read_toml(file)?;
        let origin = Origin::File(file.to_path_buf());
        let table: Table = text.parse().map_err(|e| not_toml(file, &e))?;
        for (key, value) in flatten(&table) {
            self.add(&key, value, &origin)?;
        }
        Ok(())
    }

    /// Adds the settings of one layer, kinds first: a kind removes the keys of another kind, whatever
    /// the order in which they were written.
    fn add_layer(&mut self, mut settings: Vec<Setting>) -> Result<()> {
        let is_kind = |setting: &Setting| {
            let table = setting.value.as_table();
            setting.key.ends_with(".kind") || table.is_some_and(|table| table.contains_key("kind"))
        };
        settings.sort_by_key(|setting| !is_kind(setting)); // stable: of two values the last counts
        settings.into_iter().try_for_each(|s| self.add(&s.key, s.value, &s.origin))
    }

    fn add(&mut self, key: &str, value: Value, origin: &Origin) -> Result<()> {
        if let Value::Table(table) = value {
            for (under, value) in flatten(&table) {
                self.add(&format!("{key}.{under}"), value, origin)?;
            }
            return Ok(());
        }
        if !self.values.contains_key(key) && !SOMETIMES.contains(&key) {
            return Err(self.unknown(key, origin).into());
        }
        if let Some(parent) = key.strip_suffix(".kind") {
            // Another kind has other keys: remove the old ones.
            let old = |k: &str| k.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'));
            self.values.retain(|k, _| !old(k) || k == key);
        }
        self.values.insert(key.to_owned(), (value, origin.clone()));
        Ok(())
    }

    fn unknown(&self, key: &str, origin: &Origin) -> Problem {
        let known = self.values.keys().map(String::as_str).chain(SOMETIMES.iter().copied());
        let remedy = match nearest(key, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "list all settings with `stackgan config show`".to_owned(),
        };
        let found = format!("`{}`", key.escape_debug());
        Problem::usage("unknown setting", format!("from: {origin}"), ("a known key", found), remedy)
    }

    /// Every key with its value and origin, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value, &Origin)> {
        self.values.iter().map(|(key, (value, origin))| (key.as_str(), value, origin))
    }

    /// The origin of the value of a key, unless that is the preset's, which a command may change.
    pub(crate) fn chosen(&self, key: &str) -> Option<&Origin> {
        let (_, origin) = self.values.get(key)?;
        (!matches!(origin, Origin::Preset(_))).then_some(origin)
    }

    /// The origin of the value of a key that was typed or is in the environment: neither a preset's nor
    /// a file's.
    pub(crate) fn typed(&self, key: &str) -> Option<&Origin> {
        let (_, origin) = self.values.get(key)?;
        matches!(origin, Origin::Set | Origin::Environment(_) | Origin::Flag(_)).then_some(origin)
    }

    /// The checked configuration.
    ///
    /// # Errors
    /// For a value of the wrong type or out of its range.
    pub(crate) fn resolve(&self) -> Result<TrainConfig> {
        let mut root = Table::new();
        for (key, (value, _)) in &self.values {
            insert(&mut root, key, value.clone());
        }
        let text = toml::to_string(&root)?;
        if let Err(error) = toml::from_str::<TrainConfig>(&text) {
            return Err(self.refused(&text, &error));
        }
        Ok(TrainConfig::from_toml(&text)?)
    }

    /// The error for a value that its key cannot have, with its origin.
    fn refused(&self, text: &str, error: &toml::de::Error) -> anyhow::Error {
        let key = error.span().and_then(|span| key_at(text, span.start)).unwrap_or_default();
        let value = self.values.iter().find(|(known, _)| {
            **known == key || known.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.'))
        });
        let place = match value {
            Some((_, (_, origin))) => format!("from: {origin}"),
            None => "from: all settings together".to_owned(),
        };
        let (found, expected) = error
            .message()
            .rsplit_once(", expected ")
            .unwrap_or((error.message(), "a value that it can have"));
        let expected = match expected {
            "usize" | "u64" | "u32" => "a whole number from 0",
            "f64" => "a number",
            "a boolean" => "`true` or `false`",
            other => other,
        };
        let found = match self.values.get(&key) {
            Some((value, _)) => value.to_string(),
            None => found.to_owned(),
        };
        let what = format!("setting `{key}` cannot be used");
        let remedy =
            "change it; `stackgan config presets --print NAME` says what each setting can be";
        Problem::usage(what, place, (expected, found), remedy).into()
    }
}

/// Reads a configuration file.
///
/// # Errors
/// [`Problem`] when it is missing or cannot be read.
pub(crate) fn read_toml(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|e| {
        let place = format!("file: {}", file.display());
        let remedy =
            "check the path; `stackgan config presets --print toy-stage1` prints one to start from";
        if e.kind() == std::io::ErrorKind::NotFound {
            return Problem::missing("no such configuration file", place, "a TOML file", remedy)
                .into();
        }
        let parts = ("a readable text file", e.to_string());
        Problem::usage("cannot read the configuration", place, parts, remedy).into()
    })
}

fn not_toml(file: &Path, error: &toml::de::Error) -> Problem {
    let place = format!("file: {}", file.display());
    let parts = ("TOML", error.to_string().trim_end().to_owned());
    Problem::usage("the configuration cannot be read", place, parts, "correct the file")
}

/// The dotted key of the line of `text` that contains byte `at`.
fn key_at(text: &str, at: usize) -> Option<String> {
    let (mut table, mut start) = ("", 0);
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        if let Some(name) = bare.strip_prefix('[') {
            table = name.trim_end_matches(']');
        }
        start += line.len();
        if at < start {
            return Some(match bare.split_once(" = ") {
                Some((key, _)) if table.is_empty() => key.to_owned(),
                Some((key, _)) => format!("{table}.{key}"),
                None => table.to_owned(),
            });
        }
    }
    None
}

/// Parses a typed value: as TOML if possible, otherwise as text, so that quotes are not needed.
fn parse(text: &str) -> Value {
    let line = format!("value = {text}");
    let table = line.parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    table.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Inserts a value under a dotted key.
fn insert(table: &mut Table, key: &str, value: Value) {
    let Some((group, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    let below = table.entry(group).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(below) = below {
        insert(below, rest, value);
    }
}

/// The leaves of a table by dotted key. `kind` comes before its siblings.
fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    let mut entries: Vec<(&String, &Value)> = table.iter().collect();
    entries.sort_by_key(|(key, _)| (key.as_str() != "kind", *key));
    for (key, value) in entries {
        match value {
            Value::Table(below) => {
                leaves.extend(flatten(below).into_iter().map(|(k, v)| (format!("{key}.{k}"), v)));
            }
            _ => leaves.push((key.clone(), value.clone())),
        }
    }
    leaves
}

/// The known name that is most similar to `name`, if one is similar enough.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let end = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let like = |key: &str| {
        // The group is often omitted or wrong: the last part alone may be decisive.
        strsim::jaro_winkler(name, key).max(0.95 * strsim::jaro_winkler(&end(name), &end(key)))
    };
    let best = known.map(|key| (like(key), key)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.8).map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(settings: &Settings, environment: &[(&str, &str)]) -> Result<Layers> {
        let pairs = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Layers::new(Stage::One, settings, pairs)
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
            let config =
                Layers::new(stage.parse().unwrap(), &settings, []).unwrap().resolve().unwrap();
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
        let env =
            [("STACKGAN__OPTIM__BATCH", "4"), ("STACKGAN__OPTIM__LR_D", "2e-3"), ("HOME", "x")];
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
                Layers::new(stage, &settings, []).unwrap().resolve().unwrap()
            };
            let measured = of("cub", &[&both[..], more].concat());
            let photo = TrainConfig { run: measured.run, ..of("photo", &[]) };
            assert_eq!(photo, measured);
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
        let pair =
            [("STACKGAN__OPTIM__DECAY__KIND", "halve"), ("STACKGAN__OPTIM__DECAY__EVERY", "3")];
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
        assert!(
            layers.values.contains_key(&alike) && !layers.values.contains_key("optim.decay.to")
        );
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
        let settings = set(&[
            "knobs.diff_augment=translation,cutout",
            "knobs.real_label=0.9",
            "run.keep_every=5",
        ]);
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
        for bad in
            ["optim.batch=0", "optim.batch=many", "optim.lr_g=nan", "data.wrong=some", "stage=3"]
        {
            let error = layers(&set(&[bad]), &[]).unwrap().resolve().unwrap_err();
            assert_eq!(crate::exit::code(&error), crate::exit::Exit::Usage, "{bad}: {error}");
        }
    }
}
