//! `stackgan data import`: makes the prepared files of a dataset folder, and imports embeddings.

use anyhow::Result;
use serde::Serialize;
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::embeddings;

use super::summary::Summary;
use crate::args::{self, Sizes};
use crate::context::Context;
use crate::datasets::{self, FolderOptions, Importing};
use crate::encoders::{ClaimedMaker, ImportedEmbeddings};
use crate::output::{Answer, Form};
use crate::progress::Phase;

/// Imports a dataset folder, and shows what was made of it.
pub(super) fn run(args: &args::Import, context: &Context) -> Result<()> {
    Form::from(args.json).show(&import(args, context)?)
}

/// What was made of a dataset folder.
#[derive(Default, Serialize)]
pub(super) struct Made {
    prepared: Vec<Summary>,
    embeddings: Option<ImportedEmbeddings>,
}

impl Answer for Made {
    fn lines(&self) -> Vec<String> {
        let embeddings = self.embeddings.iter().map(ImportedEmbeddings::file);
        self.prepared.iter().map(Summary::file).chain(embeddings).map(str::to_owned).collect()
    }
}

/// Creates the prepared files of a dataset folder, and imports its embeddings.
pub(super) fn import(args: &args::Import, context: &Context) -> Result<Made> {
    let claimed = args.made_by.as_deref(); // opened before an import of hours
    let claimed = claimed.map(|name| ClaimedMaker::open(name, context)).transpose()?;
    let sizes: &[PictureSize] = match args.size {
        Sizes::Low => &[PictureSize::Stage1],
        Sizes::High => &[PictureSize::Stage2],
        Sizes::Both => &[PictureSize::Stage1, PictureSize::Stage2],
    };
    let stated = FolderOptions {
        layout: args.layout,
        contrast: args.contrast,
        damaged: args.damaged,
        fit: args.fit,
    };
    let (options, manner) = (stated.or_kept(&args.dir), context.manner);
    let resizing = match args.recipe {
        Some(args::Recipe::Residual) => Resizing::Residual,
        Some(args::Recipe::Plain) => Resizing::Plain,
        None => datasets::usual_resizing(datasets::kind(&args.dir, options.layout)?),
    };
    if let Some(source) = &args.embeddings {
        embeddings::check_source(source)?;
    }
    let (mut made, mut last) = (Made::default(), None);
    let source = (args.dir.as_path(), options);
    let mut importing = Importing::of(source, args.out.as_deref(), manner)?;
    for size in sizes {
        let data = importing.import((*size, resizing))?;
        made.prepared.push(Summary::of(&data));
        last = Some(data);
    }
    let (Some(data), Some(source)) = (last, &args.embeddings) else { return Ok(made) };
    let out = datasets::imported_embeddings(data.path());
    let maker = claimed.map(|claimed| claimed.maker(data.all_captions(), manner)).transpose()?;
    let done = Phase::counted(manner, ("importing embeddings", "pictures"), |progress| {
        embeddings::import(source, &data, &out, maker.as_ref(), progress)
    })?;
    let imported = ImportedEmbeddings::of(done, maker, &out);
    imported.say(manner);
    if imported.unused > 0 {
        manner.say(format!("entries of other pictures, not used: {}", imported.unused));
    }
    made.embeddings = Some(imported);
    Ok(made)
}
