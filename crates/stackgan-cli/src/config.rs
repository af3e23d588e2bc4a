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
use stackgan_train::estimate::FITTED;
use toml::{Table, Value};

use crate::args::Settings;
use crate::exit::Problem;

/// Keys that only some kinds of decay have, so that no preset has all of them.
const SOMETIMES: &[&str] =
    &["optim.decay.kind", "optim.decay.every", "optim.decay.from", "optim.decay.to"];

/// The key of the stage.
const STAGE: &str = "stage";

/// The keys of a run's length.
pub(crate) const LENGTH: [&str; 2] = ["optim.steps", "optim.epochs"];

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

impl Origin {
    /// Whether both are of one layer: a file, the environment, what is typed.
    fn is_of_layer(&self, other: &Self) -> bool {
        let variables = matches!((self, other), (Self::Environment(_), Self::Environment(_)));
        variables || self == other
    }
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
    /// The same, of a run whose length was given as time. Its plan replaced what a configuration file
    /// says of the length and what follows from it, and does so again.
    Planned(PathBuf),
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
    /// Applies all given settings to `base`. `environment` is that of the process.
    ///
    /// # Errors
    /// [`Problem`] for an unknown preset or key, for a value that is not valid TOML, and for a setting
    /// of the other stage.
    pub(crate) fn over(
        base: &Base,
        stage: Stage,
        settings: &Settings,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let mut layers = match base {
            Base::Preset => Self::of_preset(stage, settings.preset.as_deref().unwrap_or("toy"))?,
            Base::File(file) | Base::Planned(file) => {
                Self::of_text(&read_toml(file)?, &Origin::File(file.clone()))
                    .map_err(|e| not_toml(file, &e))?
            }
        };
        let below = layers.origin(STAGE).cloned();
        if let Some(file) = &settings.config {
            let planned = matches!(base, Base::Planned(_));
            let kept = if planned { [&LENGTH[..], &FITTED].concat() } else { Vec::new() };
            layers.add_file(file, &kept)?;
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
        if layers.origin(STAGE) != below.as_ref() {
            layers.check_stage(stage)?;
        }
        Ok(layers)
    }

    fn of_preset(stage: Stage, name: &str) -> Result<Self> {
        // `cub` and `cub-stage1` both name the preset of the stage.
        let dataset = name.strip_suffix(&format!("-stage{stage}")).unwrap_or(name);
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
            let what = "there is no such preset";
            return Err(Problem::usage(what, "option: --preset", parts, remedy).into());
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

    /// Adds the settings of a file, except those of the keys `kept`.
    fn add_file(&mut self, file: &Path, kept: &[&str]) -> Result<()> {
        let text = read_toml(file)?;
        let origin = Origin::File(file.to_path_buf());
        let table: Table = text.parse().map_err(|e| not_toml(file, &e))?;
        for (key, value) in flatten(&table) {
            // Another kind of decay, which is refused later, has removed the keys of the old one.
            if !(kept.contains(&&*key) && self.values.contains_key(&key)) {
                self.add(&key, value, &origin)?;
            }
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
        let same = self.values.get(key).is_some_and(|(before, _)| *before == value);
        if let Some(parent) = key.strip_suffix(".kind").filter(|_| !same) {
            // Another kind has other keys: remove the old ones.
            let old = |k: &str| k.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'));
            self.values.retain(|k, _| !old(k) || k == key);
        }
        match (key, value.as_integer()) {
            ("optim.steps", Some(1..)) => self.replace_length("optim.epochs", origin),
            ("optim.epochs", Some(1..)) => self.replace_length("optim.steps", origin),
            _ => {}
        }
        self.values.insert(key.to_owned(), (value, origin.clone()));
        Ok(())
    }

    /// A run's length is in steps or in epochs. What is given in one replaces what a layer below gave
    /// in the `other`; both in one layer contradict each other.
    fn replace_length(&mut self, other: &str, origin: &Origin) {
        if let Some((value, before)) = self.values.get_mut(other)
            && !before.is_of_layer(origin)
        {
            (*value, *before) = (Value::Integer(0), origin.clone());
        }
    }

    /// Refuses another stage than the one that was `asked` for, whose settings are the lowest layer.
    fn check_stage(&self, asked: Stage) -> Result<()> {
        let Some((value, origin)) = self.values.get(STAGE) else { return Ok(()) };
        match value.to_string().parse::<Stage>() {
            Ok(other) if other != asked => {
                let parts = (format!("{asked}, as of `--stage`"), other.to_string());
                let remedy = format!("leave `{STAGE}` out, or say `--stage {other}`");
                let what = format!("setting `{STAGE}` contradicts `--stage`");
                Err(Problem::usage(what, format!("from: {origin}"), parts, remedy).into())
            }
            _ => Ok(()), // what is no stage is refused with the other values
        }
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
        self.origin(key).filter(|origin| !matches!(origin, Origin::Preset(_)))
    }

    /// The origin of the value of a key that was typed or is in the environment: neither a preset's nor
    /// a file's.
    pub(crate) fn typed(&self, key: &str) -> Option<&Origin> {
        let typed = |origin: &&Origin| {
            matches!(origin, Origin::Set | Origin::Environment(_) | Origin::Flag(_))
        };
        self.origin(key).filter(typed)
    }

    /// The origin of the value of a key.
    pub(crate) fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
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
        let read = serde_path_to_error::deserialize(toml::Deserializer::parse(&text)?);
        let config: TrainConfig =
            read.map_err(|error| self.refused(&error.path().to_string(), error.inner().message()))?;
        config.check()?;
        Ok(config)
    }

    /// The error for a value that its key cannot have, with its origin.
    fn refused(&self, key: &str, message: &str) -> Problem {
        let lacks = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        if let Some(field) = lacks {
            // The path of what has no table around it is a dot.
            let key = if key == "." { field.to_owned() } else { format!("{key}.{field}") };
            let remedy = "add it; `stackgan config presets --print NAME` has every setting";
            let (what, parts) = (format!("setting `{key}` is missing"), ("a value", "none"));
            return Problem::usage(what, "from: all settings together", parts, remedy);
        }
        let value = self.values.iter().find(|(known, _)| {
            *known == key || known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'))
        });
        let place = match value {
            Some((_, (_, origin))) => format!("from: {origin}"),
            None => "from: all settings together".to_owned(),
        };
        let (found, expected) =
            message.rsplit_once(", expected ").unwrap_or((message, "a value that it can have"));
        let expected = match expected {
            "usize" | "u64" | "u32" => "a whole number from 0",
            "f64" => "a number",
            "a boolean" => "`true` or `false`",
            other => other,
        };
        let found = match self.values.get(key) {
            Some((value, _)) => value.to_string(),
            None => found.to_owned(),
        };
        let what = format!("setting `{key}` cannot be used");
        let remedy =
            "change it; `stackgan config presets --print NAME` says what each setting can be";
        Problem::usage(what, place, (expected, found), remedy)
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
mod tests;
