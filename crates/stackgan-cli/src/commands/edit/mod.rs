//! `stackgan edit`: how a picture changes with its words when its noise stays the same.

mod sentences;

use anyhow::Result;
use stackgan_data::counted;

use crate::args::Edit;
use crate::context::Context;
use crate::encoders::Unread;
use crate::exit::Problem;
use crate::output::{Form, print, write_file};
use crate::painting::{EDIT, Painter, Sheet, check_free, seeds};
use crate::progress::Phase;
use sentences::Sentences;

/// Maximum number of pictures of one command; all are on its sheet.
const MOST: usize = 1024;

/// Paints every combination of the alternatives with every seed.
pub(super) fn run(args: &Edit, context: &Context) -> Result<()> {
    let (sentences, seeds) = (Sentences::parse(&args.prompt)?, seeds(&args.seeds)?);
    let count = sentences.count() * seeds.len();
    if count > MOST {
        let parts = (format!("at most {MOST} pictures"), count.to_string());
        let remedy = "give fewer alternatives or fewer seeds";
        return Err(Problem::usage("too many pictures", "option: --seeds", parts, remedy).into());
    }
    let form = Form::from(args.json);
    check_free(&args.painting.out.join(EDIT))?;
    let painter = Painter::of_sentences(&args.painting, context)?;
    let table = Table { sentences: &sentences, seeds: &seeds };
    let (columns, rows) = (sentences.columns(), table.rows());
    let mut sheet = Sheet::new(&table.heading(&args.prompt), columns, &rows, painter.side())?;
    let mut phase = Phase::new(context.manner, "painting", count as u64, "pictures");
    let (mut unread, mut done, out) = (Unread::of(&painter.named.model), 0, &args.painting.out);
    let all = sentences.all();
    for captions in all.chunks(painter.sampling.chunk) {
        let read = painter.read(captions.to_vec())?;
        unread.warn(captions, &phase);
        painter.paint(&read, &seeds, |painted| {
            let saved = painter.save(out, done, &painted)?;
            phase.aside(|| form.show_one(&saved))?;
            sheet.put(table.place(done), &painted.picture);
            done += 1;
            phase.at(done as u64);
            Ok(())
        })?;
    }
    let path = out.join(EDIT);
    write_file(&path, &painter.composed(&sheet.picture())?)?;
    if form == Form::Lines {
        phase.aside(|| print(path.display()))?;
    }
    unread.finish(&phase);
    phase.finish(&format!("{} in {}", counted(done, "picture"), out.display()));
    Ok(())
}

/// The layout of the sheet: the last alternatives along the columns; for each seed a row of every
/// combination of the others.
struct Table<'a> {
    sentences: &'a Sentences,
    seeds: &'a [u64],
}

impl Table<'_> {
    fn heading(&self, prompt: &str) -> String {
        match (self.seeds, self.sentences.combinations().len()) {
            ([seed], 2..) => format!("seed {seed}: {prompt}"),
            _ => prompt.to_owned(),
        }
    }

    fn rows(&self) -> Vec<String> {
        let combinations = self.sentences.combinations();
        let row = |combination: &String, seed: u64| match (combination.is_empty(), self.seeds) {
            (true, _) => format!("seed {seed}"),
            (false, [_]) => combination.clone(),
            (false, _) => format!("seed {seed}: {combination}"),
        };
        let of_seed = |seed: &u64| combinations.iter().map(|c| row(c, *seed)).collect::<Vec<_>>();
        self.seeds.iter().flat_map(of_seed).collect()
    }

    /// The column and row of picture `index`. Pictures are ordered by sentence, each with all
    /// seeds.
    fn place(&self, index: usize) -> (usize, usize) {
        let columns = self.sentences.columns().len();
        let (sentence, seed) = (index / self.seeds.len(), index % self.seeds.len());
        let rows = self.sentences.count() / columns;
        (sentence % columns, seed * rows + sentence / columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(prompt: &str, seeds: &[u64]) -> (Vec<String>, Vec<String>) {
        let sentences = Sentences::parse(prompt).unwrap();
        let table = Table { sentences: &sentences, seeds };
        let (rows, columns) = (table.rows(), sentences.columns());
        let all = sentences.all();
        let mut cells = vec![String::new(); rows.len() * columns.len()];
        for index in 0..all.len() * seeds.len() {
            let (column, row) = table.place(index);
            let (caption, seed) = (&all[index / seeds.len()], seeds[index % seeds.len()]);
            cells[row * columns.len() + column] = format!("{caption} {seed}");
        }
        (rows, cells)
    }

    #[test]
    fn one_choice_has_a_row_for_each_seed() {
        let (rows, cells) = laid_out("a {red,blue} bird", &[3, 9]);
        assert_eq!(rows, ["seed 3", "seed 9"]);
        assert_eq!(cells, ["a red bird 3", "a blue bird 3", "a red bird 9", "a blue bird 9"]);
    }

    #[test]
    fn two_choices_are_rows_and_columns_seed_after_seed() {
        let (rows, cells) = laid_out("{a,b} {x,y}", &[0]);
        assert_eq!(
            (rows, cells),
            (words(&["a", "b"]), words(&["a x 0", "a y 0", "b x 0", "b y 0"]))
        );
        let (rows, cells) = laid_out("{a,b} {x,y}", &[0, 1]);
        assert_eq!(rows, ["seed 0: a", "seed 0: b", "seed 1: a", "seed 1: b"]);
        assert_eq!(cells[4..6], ["a x 1", "a y 1"]);
    }

    #[test]
    fn of_more_choices_the_last_are_the_columns() {
        let (rows, cells) = laid_out("{a,b} {p,q} {x,y,z}", &[0]);
        assert_eq!(rows, ["a, p", "a, q", "b, p", "b, q"]);
        assert_eq!(cells[3..6], ["a q x 0", "a q y 0", "a q z 0"]);
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}
