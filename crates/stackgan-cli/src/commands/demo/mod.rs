//! `stackgan demo`: from nothing to a painted bird, with what the other commands use.
//!
//! Each part finds in the demo's folder what it has done or begun, and does the rest. So the same
//! command goes on with a demo that was stopped, at whatever point.

mod birds;
mod folder;
mod notes;
mod pages;
mod score;
mod sheets;
mod stage;
mod wanted;
mod words;

use std::path::Path;

use anyhow::Result;
use stackgan_core::generator_noise::Scales;
use stackgan_core::{Model, Stage};
use stackgan_train::run_files::MODEL;
use stackgan_train::store::write_atomically;

use crate::args::Demo;
use crate::context::Context;
use crate::exit::{Exit, Problem, Stopped};
use crate::models::load;
use crate::output::{aligned, print, quoted, write_file};
use crate::progress::{Manner, duration};
use folder::{Folder, farewell};
use notes::{Notes, Scores};
use wanted::{Extent, Wanted};

/// The page that a demo is made for, beside [`MODEL`].
const REPORT: &str = "report.html";

/// Draws, prepares, trains, paints, scores and reports, or goes on with it.
pub(super) fn run(args: &Demo, context: &Context) -> Result<Exit> {
    if let Some((scores, wanted)) = complete(args)? {
        context.manner.say(format!(
            "demo: {} holds a complete one; for another, name another folder with `--out`",
            args.out.display()
        ));
        show(&scores, &args.out)?;
        say_next(&args.out, wanted, context.manner);
        return Ok(Exit::Done);
    }
    let mut demo = Folder::open(args, context)?;
    match parts(&mut demo) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            let Some(stopped) = error.downcast_ref::<Stopped>() else {
                let kept =
                    "failed; what is done is kept, and this goes on once the error is mended";
                context.manner.say(farewell(kept, &demo.path));
                return Err(error);
            };
            context.manner.say(farewell(&stopped.message, &demo.path));
            Ok(stopped.reason.into())
        }
    }
}

fn parts(demo: &mut Folder<'_>) -> Result<()> {
    let birds = birds::drawn(demo)?;
    let words = words::learnt(demo, &birds.small)?;
    for stage in Stage::ALL {
        stage::trained(demo, stage, (&birds, &words))?;
    }
    let model = model(demo)?;
    let sheets = sheets::painted(demo, &model)?;
    let scores = score::scored(demo, &model, (&birds.small, &words.encoder))?;
    let sampled = model.stage_info(Stage::Two)?;
    let noise = Scales { z: sampled.sample_z, eps: sampled.sample_eps };
    let page = pages::report(demo, &sheets, &scores, noise);
    write_file(&demo.at(REPORT), page.as_bytes())?;
    let total = duration(demo.notes.seconds());
    demo.context.manner.say(format!("demo: all done in {total}"));
    show(&scores, &demo.path)?;
    say_next(&demo.path, demo.notes.wanted, demo.context.manner);
    Ok(())
}

/// The model of Stage-II, in the demo's own folder.
fn model(demo: &Folder<'_>) -> Result<Model> {
    let file = demo.at(MODEL);
    if !file.is_file() {
        let trained = demo.stage(Stage::Two).join(MODEL);
        let bytes = std::fs::read(&trained).map_err(|e| {
            let parts = ("the model of Stage-II", e.to_string());
            let remedy = "restore it from a copy, or name another folder with `--out`";
            Problem::data("the model cannot be read", &trained, parts, remedy)
        })?;
        write_atomically(&file, &bytes)?;
    }
    Ok(load(&file, demo.context)?.model)
}

/// The scores of the demo in the folder, if it is complete, and what it was asked for.
fn complete(args: &Demo) -> Result<Option<(Scores, Wanted)>> {
    let Some(notes) = Notes::find(&args.out)? else { return Ok(None) };
    notes.wanted.check(args)?;
    let is_there = |name| args.out.join(name).is_file();
    let scores = notes.scores.filter(|_| is_there(MODEL) && is_there(REPORT));
    Ok(scores.map(|scores| (scores, notes.wanted)))
}

/// Prints what a demo ends with.
fn show(scores: &Scores, folder: &Path) -> Result<()> {
    for line in aligned(&scores.table) {
        print(line)?;
    }
    print(folder.join(MODEL).display())?;
    print(folder.join(REPORT).display())
}

/// Says what can be done with the model.
fn say_next(demo: &Path, wanted: Wanted, manner: Manner) {
    if wanted.extent == Extent::Quick {
        manner.say(
            "demo: a quick demo learns next to nothing, whatever its scores say; a whole one takes ten minutes: `stackgan demo --out whole-demo`",
        );
    }
    let model = quoted(demo);
    manner.say(format!(
        "next: stackgan generate -m {model} -p \"a red bird with a yellow belly\"; or stackgan serve -m {model}"
    ));
}
