//! `stackgan generate`: pictures from sentences.

use std::cell::Cell;
use std::path::Path;

use anyhow::Result;
use stackgan_core::Sampling;
use stackgan_core::image::grid;
use stackgan_data::counted;

use crate::args::Generate;
use crate::captions::{self, Blank};
use crate::context::Context;
use crate::encoders::Unread;
use crate::exit::Problem;
use crate::output::{Form, print, write_file};
use crate::painting::{EmbeddingsAt, GRID, Given, Painter, Read, check_free, numbers, seeds};
use crate::progress::Phase;

/// Number of rows of embeddings that are painted if none are named.
const FIRST: u64 = 8;
/// Maximum number of pictures on one sheet.
const MOST_ON_SHEET: usize = 4096;

/// Paints every caption with every seed.
pub(super) fn run(args: &Generate, context: &Context) -> Result<()> {
    let (asked, chunk) = (&args.painting, Sampling::default().chunk);
    let form = Form::from(args.json);
    let seeds = seeds(&args.seeds)?;
    let asked_rows = args.rows.as_deref().map(|rows| numbers("rows", rows)).transpose()?;
    let said = args.captions.as_deref().filter(|file| file.is_file());
    let captions = said.map_or(Ok(args.prompt.len()), |file| count(file, chunk))?;
    let mut total = captions.saturating_mul(seeds.len()); // 0 if it is not known
    if args.grid {
        let rows = asked_rows.as_ref().map_or(0, Vec::len);
        fits(total.max(rows.saturating_mul(seeds.len())))?;
        check_free(&asked.out.join(GRID))?;
    }
    let (painter, given, rows);
    let blank = Cell::new(0);
    let mut unread = Unread::nothing();
    let batches: Box<dyn Iterator<Item = Result<Read>>> =
        if args.embeddings.is_some() || args.data.is_some() {
            painter = Painter::of_embeddings(asked, context)?;
            let at = EmbeddingsAt { file: args.embeddings.as_deref(), data: args.data.as_deref() };
            given = Given::open(&painter.named.model, at, context.manner)?;
            rows = asked_rows.unwrap_or_else(|| (0..FIRST.min(given.len() as u64)).collect());
            total = rows.len().saturating_mul(seeds.len());
            if args.grid {
                fits(total)?;
            }
            Box::new(rows.chunks(chunk).map(|rows| given.read(rows, &painter.named.model)))
        } else {
            let file = args.captions.as_deref();
            let sentences = captions::of(&args.prompt, file, chunk, Blank::Counted(&blank))?;
            painter = Painter::of_sentences(asked, context)?;
            unread = Unread::of(&painter.named.model);
            Box::new(sentences.map(|captions| painter.read(captions?)))
        };
    let mut phase = Phase::new(context.manner, "painting", total as u64, "pictures");
    let (mut done, mut sheet) = (0, Vec::new());
    for batch in batches {
        let batch = batch?;
        unread.warn(&batch.captions, &phase);
        painter.paint(&batch, &seeds, |painted| {
            let saved = painter.save(&asked.out, done, &painted)?;
            phase.aside(|| form.show_one(&saved))?;
            done += 1;
            phase.at(done as u64);
            if args.grid {
                fits(sheet.len() + 1)?; // captions from a pipe cannot be counted before
                sheet.push(painted.picture);
            }
            Ok(())
        })?;
    }
    if args.grid && !sheet.is_empty() {
        let columns = match (args.columns, seeds.len()) {
            (Some(columns), _) => usize::from(columns),
            (None, 1) => sheet.len().isqrt().max(1),
            (None, seeds) => seeds,
        };
        let path = asked.out.join(GRID);
        write_file(&path, &painter.composed(&grid(&sheet, columns, 2))?)?;
        if form == Form::Lines {
            phase.aside(|| print(path.display()))?;
        }
    }
    unread.finish(&phase);
    if let Some(skipped) = captions::skipped(args.captions.as_deref(), &blank) {
        phase.say(&skipped);
    }
    phase.finish(&format!("{} in {}", counted(done, "picture"), asked.out.display()));
    Ok(())
}

/// Number of captions in a file.
fn count(file: &Path, chunk: usize) -> Result<usize> {
    let blank = Cell::new(0); // counted again when they are painted
    let mut captions = captions::of(&[], Some(file), chunk, Blank::Counted(&blank))?;
    captions.try_fold(0, |n, captions| Ok(n + captions?.len()))
}

/// Checks that a sheet has room for so many pictures.
fn fits(pictures: usize) -> Result<()> {
    if pictures <= MOST_ON_SHEET {
        return Ok(());
    }
    let parts = (format!("at most {MOST_ON_SHEET} pictures"), "more");
    let remedy = "leave `--grid` out, or paint fewer";
    Err(Problem::usage("the sheet is too large", "option: --grid", parts, remedy).into())
}
