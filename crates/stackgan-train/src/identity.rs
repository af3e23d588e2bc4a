//! What determines the mathematics of a run: its configuration without `[run]`, the data, the
//! encoder and the frozen Stage-I.
//!
//! A run resumes only from a checkpoint with the same identity, unless the differences were allowed
//! by name.

use std::collections::{BTreeMap, BTreeSet};

use stackgan_core::digest::sha256;

use crate::config::{RunConfig, TrainConfig};
use crate::matching::Matcher;
use crate::origins::Origins;
use crate::setup::Setup;
use crate::store::Header;
use crate::{Error, Result};

/// What determines the mathematics of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// SHA-256 of everything in it.
    pub(crate) digest: String,
    /// The configuration, as TOML.
    pub(crate) config: String,
    /// What the run was given besides it.
    pub(crate) origins: Origins,
    /// The digest of the matching loss's image side, if the loss is on.
    matching: Option<String>,
}

/// The key of the matching loss's weight.
const MATCHING: &str = "loss.matching";

impl Identity {
    pub(crate) fn of(setup: &Setup) -> Result<Self> {
        let config = mathematics(&setup.config)?;
        let origins = origins(setup)?;
        let matcher =
            setup.pretrained.matcher.as_ref().filter(|_| setup.config.loss.matching > 0.0);
        let matching = matcher.map(Matcher::digest).transpose()?;
        let digest = digest(&config, &origins, matching.as_deref());
        Ok(Self { digest, config, origins, matching })
    }

    /// The digest that a checkpoint with this configuration has, if everything else is the same.
    fn digest_under(&self, config: &str) -> String {
        let off = TrainConfig::from_toml(config).is_ok_and(|cfg| cfg.loss.matching == 0.0);
        digest(config, &self.origins, self.matching.as_deref().filter(|_| !off))
    }

    /// Compares with the identity in a checkpoint's header. Returns the allowed differences, each
    /// as a sentence.
    ///
    /// # Errors
    /// [`Error::Config`] names the first key that differs without permission or that none permits, or
    /// says which of data, encoder and Stage-I differs.
    pub(crate) fn check(&self, header: &Header, allowed: &[String]) -> Result<Vec<String>> {
        if header.digest == self.digest {
            return Ok(Vec::new());
        }
        let changes = permitted(changes(&header.config, &self.config), allowed)?;
        if let Some(off) = changes.iter().find(|c| c.key == MATCHING && self.matching.is_none()) {
            return Err(Error::Config {
                key: off.key.clone(),
                expected: format!("a weight above 0: {} when the checkpoint was written", off.old),
                found: off.new.clone(),
                remedy: format!(
                    "give a weight too small to matter, such as `--set {MATCHING}=1e-12`: the encoder is \
                     still compared with that of the checkpoint"
                ),
            });
        }
        if self.digest_under(&header.config) != header.digest {
            header.origins.check(&self.origins)?;
            return Err(Error::Config {
                key: MATCHING.to_owned(),
                expected: "the encoder's image side of when the checkpoint was written".to_owned(),
                found: "another one".to_owned(),
                remedy: "give the `--encoder FILE` and `--features FILE` that the run began with, or train in \
                         another folder"
                    .to_owned(),
            });
        }
        let said = |Change { key, old, new }| {
            format!("`{key}` was {old} and is {new} from here on, as allowed")
        };
        Ok(changes.into_iter().map(said).collect())
    }
}

/// Refuses settings with which a run cannot go on from a checkpoint, as soon as they are known: what else
/// a run is given is compared when it goes on.
///
/// # Errors
/// [`Error::Config`] names the first key that differs and is not in `allowed`, or that none permits.
pub fn check_settings(header: &Header, config: &TrainConfig, allowed: &[String]) -> Result<()> {
    permitted(changes(&header.config, &mathematics(config)?), allowed).map(drop)
}

/// These changes, if each is allowed and none needs other tensors.
fn permitted(changes: Vec<Change>, allowed: &[String]) -> Result<Vec<Change>> {
    let of_tensors = changes.iter().find(|change| change.is_of_tensors());
    let refused =
        of_tensors.or_else(|| changes.iter().find(|change| !allowed.contains(&change.key)));
    let Some(Change { key, old, new }) = refused else { return Ok(changes) };
    let remedy = match of_tensors {
        Some(_) => format!(
            "resume with `{key} = {old}`, or train in another folder: it decides what a checkpoint \
             holds, so a run that has begun keeps it"
        ),
        None => format!(
            "resume with `{key} = {old}`; or give `--allow-change {key}`: the run is then no \
             longer that of one configuration"
        ),
    };
    let expected = format!("{old}, as when the checkpoint was written");
    Err(Error::Config { key: key.clone(), expected, found: new.clone(), remedy })
}

fn origins(setup: &Setup) -> Result<Origins> {
    let data = &setup.dataset;
    let stage1 = setup.stage1.as_ref().map(stackgan_core::Model::sha256).transpose()?;
    let network =
        setup.pretrained.projection.as_ref().filter(|_| setup.config.loss.projected > 0.0);
    Ok(Origins {
        data: data.fingerprint().to_owned(),
        pictures: data.len(),
        captions: data.all_captions().len(),
        pixels: pixels(setup),
        encoder: setup.embeddings.encoder().to_owned(),
        stage1: stage1.unwrap_or_default(),
        network: network.map(|network| network.name().to_owned()).unwrap_or_default(),
    })
}

/// How the pixels were made from the source files, if not in the default way.
///
/// The data's fingerprint covers only the source files.
fn pixels(setup: &Setup) -> String {
    const SQUEEZED: &str = "squeeze"; // the release's way
    let (made, usual) = (setup.dataset.manifest(), setup.config.net.recipe.name());
    let mut others = String::new();
    if (made.resizing.as_str(), made.stretch.as_str()) != (usual, "none") {
        others = format!("resizing {}, contrast {}", made.resizing, made.stretch);
    }
    if made.fit != SQUEEZED {
        let comma = if others.is_empty() { "" } else { ", " };
        others += &format!("{comma}fit {} ", made.fit);
    }
    if !made.boxes.is_empty() {
        others += &format!("boxes {}", made.boxes);
    }
    others
}

/// The configuration with default values for `[run]`, which does not affect the results: when to
/// report, generate samples and save.
fn mathematics(config: &TrainConfig) -> Result<String> {
    let run = RunConfig {
        report_every: 1,
        sample_every: 1,
        checkpoint_every: 1,
        keep: 2,
        keep_every: 0,
        prefetch: 0,
    };
    TrainConfig { run, ..config.clone() }.to_toml()
}

fn digest(config: &str, origins: &Origins, matching: Option<&str>) -> String {
    sha256(format!("{config}{}{}", origins.text(), matching.unwrap_or_default()).as_bytes())
}

/// A key whose values differ.
struct Change {
    key: String,
    old: String,
    new: String,
}

impl Change {
    /// Whether the change needs tensors in the checkpoint that it does not have, or in other shapes.
    fn is_of_tensors(&self) -> bool {
        let [begins, ends] = [&self.old, &self.new].map(|weight| weight.parse() == Ok(0.0));
        match self.key.as_str() {
            "knobs.spectral_norm" => true,
            "knobs.finetune_stage1" => begins,
            "loss.projected" => begins || ends,
            key => key.starts_with("net."),
        }
    }
}

fn changes(old: &str, new: &str) -> Vec<Change> {
    let (mut old, mut new) = (flat(old), flat(new));
    if old.get("optim.decay.kind") != new.get("optim.decay.kind") {
        // Decays of two kinds have other keys, and are one change.
        join(&mut old, "optim.decay");
        join(&mut new, "optim.decay");
    }
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value = |of: &BTreeMap<String, String>, key| {
        of.get(key).cloned().unwrap_or_else(|| "absent".to_owned())
    };
    keys.into_iter()
        .map(|key| Change { key: key.clone(), old: value(&old, key), new: value(&new, key) })
        .filter(|change| change.old != change.new)
        .collect()
}

/// Makes one value of all keys of a table.
fn join(flat: &mut BTreeMap<String, String>, table: &str) {
    let below = format!("{table}.");
    let mut values = Vec::new();
    flat.retain(|key, value| {
        let own = key.strip_prefix(&below);
        values.extend(own.map(|key| format!("{key} = {value}")));
        own.is_none()
    });
    flat.insert(table.to_owned(), format!("{{ {} }}", values.join(", ")));
}

/// Maps `a.b.c` to its value as text. Keys that a configuration omits because they are off are
/// included.
fn flat(text: &str) -> BTreeMap<String, String> {
    let config: toml::Table = text.parse().unwrap_or_default();
    let mut open = vec![(String::new(), toml::Value::Table(config))];
    let off = TrainConfig::absent_when_off().into_iter();
    let mut found: BTreeMap<String, String> = off.map(|(k, v)| (k, v.to_string())).collect();
    while let Some((path, value)) = open.pop() {
        match value {
            toml::Value::Table(table) => open.extend(table.into_iter().map(|(key, value)| {
                (if path.is_empty() { key } else { format!("{path}.{key}") }, value)
            })),
            value => drop(found.insert(path, value.to_string())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decay_of_another_kind_is_one_change() {
        let linear =
            |from: f64| format!("[optim.decay]\nkind = \"linear\"\nfrom = {from}\nto = 0.02");
        let halve = "[optim.decay]\nkind = \"halve\"\nevery = 50";
        let of = |old: &str, new: &str| -> Vec<[String; 3]> {
            changes(old, new).into_iter().map(|c| [c.key, c.old, c.new]).collect()
        };
        let was = "{ from = 0.5, kind = \"linear\", to = 0.02 }";
        let is = "{ every = 50, kind = \"halve\" }";
        assert_eq!(of(&linear(0.5), halve), [["optim.decay", was, is]]);
        assert_eq!(of(&linear(0.5), &linear(0.6)), [["optim.decay.from", "0.5", "0.6"]]);
    }
}
