//! `stackgan data import`: makes the prepared files of a dataset folder, and imports embeddings.

use anyhow::Result;
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::embeddings;
use stackgan_data::prepared::Prepared;

use crate::args::{self, Sizes};
use crate::context::Context;
use crate::datasets::{self, FolderOptions};
use crate::encoders::{ClaimedMaker, say_imported};
use crate::output::print;
use crate::progress::Phase;

/// Creates the prepared files of a dataset folder, and prints their names.
pub(super) fn run(args: &args::Import, context: &Context) -> Result<()> {
    let claimed = args.made_by.as_deref(); // opened before an import of hours
    let claimed = claimed.map(|name| ClaimedMaker::open(name, context)).transpose()?;
    let sizes: &[PictureSize] = match args.size {
        Sizes::Low => &[PictureSize::Stage1],
        Sizes::High => &[PictureSize::Stage2],
        Sizes::Both => &[PictureSize::Stage1, PictureSize::Stage2],
    };
    let stated =
        FolderOptions { layout: args.layout, contrast: args.contrast, damaged: args.damaged };
    let (options, manner) = (stated.or_kept(&args.dir), context.manner);
    let resizing = match args.recipe {
        Some(args::Recipe::Residual) => Resizing::Residual,
        Some(args::Recipe::Plain) => Resizing::Plain,
        None => datasets::usual_resizing(datasets::kind(&args.dir, options.layout)?),
    };
    let mut made = None;
    for size in sizes {
        let (source, out) = ((args.dir.as_path(), options), args.out.as_deref());
        let file = datasets::prepare(source, out, (*size, resizing), manner)?;
        print(file.display())?;
        made = Some(file);
    }
    let (Some(file), Some(source)) = (made, &args.embeddings) else { return Ok(()) };
    let data = Prepared::open(&file)?;
    let out = datasets::imported_embeddings(&file);
    let maker = claimed.map(|claimed| claimed.maker(data.all_captions(), manner)).transpose()?;
    let done = Phase::counted(manner, ("importing embeddings", "pictures"), |progress| {
        embeddings::import(source, &data, &out, maker.as_ref(), progress)
    })?;
    say_imported(&done, maker.as_ref(), manner);
    if done.unused > 0 {
        manner.say(format!("entries of other pictures, not used: {}", done.unused));
    }
    print(out.display())
}
