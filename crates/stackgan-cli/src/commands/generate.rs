//! `stackgan generate`: pictures from sentences.

use anyhow::Result;
use stackgan_core::Sampling;
use stackgan_core::image::grid;
use stackgan_data::counted;

use crate::args::Generate;
use crate::captions;
use crate::context::Context;
use crate::encoders::Unread;
use crate::exit::Problem;
use crate::output::{Form, print, write_file};
use crate::painting::{GRID, Given, Painter, Read, numbers, seeds};
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
    let (painter, given, rows);
    let mut unread = Unread::nothing();
    let batches: Box<dyn Iterator<Item = Result<Read>>> =
        if args.embeddings.is_some() || args.data.is_some() {
            painter = Painter::of_embeddings(asked, context)?;
            let named = (args.embeddings.as_deref(), args.data.as_deref());
            given = Given::open(&painter.named.model, named, context.manner)?;
            rows = asked_rows.unwrap_or_else(|| (0..FIRST.min(given.len() as u64)).collect());
            Box::new(rows.chunks(chunk).map(|rows| given.read(rows, &painter.named.model)))
        } else {
            let sentences = captions::of(&args.prompt, args.captions.as_deref(), chunk)?;
            painter = Painter::of_sentences(asked, context)?;
            unread = Unread::of(&painter.named.model);
            Box::new(sentences.map(|captions| painter.read(captions?)))
        };
    let mut phase = Phase::new(context.manner, "painting", 0, "pictures");
    let (mut done, mut sheet) = (0, Vec::new());
    for batch in batches {
        let batch = batch?;
        unread.warn(&batch.captions, &phase);
        painter.paint(&batch, &seeds, |painted| {
            let saved = painter.save(&asked.out, done, &painted)?;
            phase.aside(|| form.show_one(&saved))?;
            done += 1;
            if args.grid {
                if sheet.len() == MOST_ON_SHEET {
                    return Err(too_many().into());
                }
                sheet.push(painted.picture);
            }
            Ok(())
        })?;
        phase.at(done as u64);
    }
    if args.grid && !sheet.is_empty() {
        let columns = match (args.columns, seeds.len()) {
            (Some(columns), _) => usize::from(columns),
            (None, 1) => sheet.len().isqrt().max(1),
            (None, seeds) => seeds,
        };
        let path = asked.out.join(GRID);
        write_file(&path, &grid(&sheet, columns, 2).encode_png()?)?;
        if form == Form::Lines {
            phase.aside(|| print(path.display()))?;
        }
    }
    unread.finish(&phase);
    phase.finish(&format!("{} in {}", counted(done, "picture"), asked.out.display()));
    Ok(())
}

fn too_many() -> Problem {
    let parts = (format!("at most {MOST_ON_SHEET} pictures"), "more");
    let remedy = "leave `--grid` out, or paint fewer";
    Problem::usage("the sheet is too large", "option: --grid", parts, remedy)
}
