//! `stackgan data unpack`: turns datasets in shards into a folder of captioned pictures, and prints the
//! next command.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use stackgan_data::counted;
use stackgan_data::unpack::{self, Column, Columns, Request};

use crate::args;
use crate::context::Context;
use crate::datasets::FolderOptions;
use crate::hub;
use crate::output::{Answer, Form, path_text, quoted};
use crate::progress::FetchProgress;

/// Unpacks Parquet files and tars.
pub(super) fn run(args: &args::Unpack, context: &Context) -> Result<()> {
    let class = match args.class.as_deref() {
        None => Column::Find,
        Some("none") => Column::None,
        Some(name) => Column::Named(name.to_owned()),
    };
    let text = match args.text.as_slice() {
        [] => Column::Find,
        [none] if none == "none" => Column::None,
        names => Column::Named(names.to_vec()),
    };
    let columns = Columns { image: args.image.clone(), text, class };
    let damaged = FolderOptions { damaged: args.damaged, ..Default::default() }.damaged();
    let here = args.sources.iter().filter(|source| hub::repository(source).is_none());
    unpack::check(&here.cloned().collect::<Vec<_>>(), &args.out)?; // before anything is downloaded
    let there = |source: &PathBuf| match hub::repository(source) {
        Some(name) => hub::shards(name, context.manner),
        None => Ok(source.clone()),
    };
    let sources = args.sources.iter().map(there).collect::<Result<Vec<_>>>()?;
    let request = Request { sources: &sources, out: &args.out, columns: &columns, damaged };
    let mut shown = FetchProgress::new(context.manner);
    let report = unpack::unpack(&request, &mut |event| shown.on(event))?;
    drop(shown);
    report.notes.iter().for_each(|note| context.manner.say(note));
    let uncaptioned = if report.captions == 0 { " --uncaptioned class-name" } else { "" };
    let unpacked = Unpacked {
        folder: path_text(&args.out),
        pictures: report.pictures,
        captions: report.captions,
        classes: report.classes,
        splits: report.splits,
    };
    Form::from(args.json).show(&unpacked)?;
    context.manner.say(format!("next: stackgan data check {}{uncaptioned}", quoted(&args.out)));
    Ok(())
}

/// What was unpacked.
#[derive(Serialize)]
struct Unpacked {
    folder: String,
    pictures: u64,
    captions: u64,
    /// 0 if pictures have none.
    classes: usize,
    /// Empty if there is no split.
    splits: Vec<String>,
}

impl Answer for Unpacked {
    fn lines(&self) -> Vec<String> {
        let classes = match self.classes {
            0 => "no classes".to_owned(),
            n => counted(n, "class"),
        };
        let split = match self.splits.as_slice() {
            [] => "no split".to_owned(),
            splits => format!("split into {}", splits.join(", ")),
        };
        vec![format!(
            "{}: {} with {}, {classes}, {split}",
            self.folder,
            counted(self.pictures, "picture"),
            counted(self.captions, "caption")
        )]
    }
}
