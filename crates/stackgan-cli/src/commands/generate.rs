//! `stackgan generate`: pictures from sentences.

use anyhow::Result;
use candle_core::Tensor;
use serde_json::json;
use stackgan_core::image::{Picture, grid};
use stackgan_core::text::alphabet::{AlphabetOptions, CAPTION_LENGTH, Reading, reading};
use stackgan_core::{Model, Provenance, Sampling};
use stackgan_train::store::sha256;

use super::given::Given;
use super::{Context, captions, encoders, load_model, print, write_file};
use crate::args::Generate;
use crate::exit::Problem;
use crate::progress::Phase;

/// Most seeds, or rows, of one command.
const MOST_SEEDS: usize = 100_000;
/// Most pictures of one sheet.
const MOST_ON_SHEET: usize = 4096;

/// Sentences that are named which the encoder does not read whole; more are only counted.
const NAMED: usize = 5;

/// The name of the sheet.
pub(super) const GRID: &str = "grid.png";

/// What is the same for every picture of the command.
struct Painter<'a> {
    args: &'a Generate,
    model: &'a Model,
    sha256: String,
    /// Of the encoder, as it was before any standardisation: what a refusal of another one names.
    encoder: String,
    sampling: Sampling,
    seeds: Vec<u64>,
}

/// Captions, and their vectors `(captions, text_dim)` as the networks take them.
type Read = (Vec<String>, Tensor);

/// Paints every caption with every seed.
pub(super) fn run(args: &Generate, context: &Context) -> Result<()> {
    let seeds = match &args.seeds {
        Some(list) => numbers("seeds", list)?,
        None => vec![args.seed.unwrap_or(0)],
    };
    let rows = numbers("rows", &args.rows)?;
    let chunk = Sampling::default().chunk;
    let from_rows = args.embeddings.is_some() || args.data.is_some();
    let sentences = if from_rows {
        None
    } else {
        Some(captions::of(&args.prompt, args.captions.as_deref(), chunk)?)
    };
    let (mut model, sha256) = load_model(&args.model, &context.device)?;
    check_stage(args, &model)?;
    if !from_rows {
        encoders::attach(&mut model, args.encoder.as_deref(), context)?;
    }
    let encoder = model.encoder_fingerprint()?;
    let sampling = Sampling {
        stage: args.stage,
        z_scale: scale("--z-scale", args.z_scale)?,
        eps_scale: scale("--eps-scale", args.eps_scale)?,
        ..Sampling::default()
    };
    let (alphabet, given);
    let batches: Box<dyn Iterator<Item = Result<Read>>> = match sentences {
        Some(sentences) => {
            alphabet = model.encoder().map(|encoder| encoder.config().alphabet);
            Box::new(sentences.map(|captions| read(captions?, &model)))
        }
        None => {
            alphabet = None;
            given =
                Given::open(&model, (args.embeddings.as_deref(), args.data.as_deref()), context)?;
            Box::new(rows.chunks(chunk).map(|rows| given.read(rows, &model)))
        }
    };
    let painter = Painter { args, model: &model, sha256, encoder, sampling, seeds };
    let mut phase = Phase::new(context.manner, "painting", 0, "pictures");
    let (mut done, mut sheet, mut partly) = (0, Vec::new(), 0);
    for batch in batches {
        let (captions, vectors) = batch?;
        for warning in captions.iter().filter_map(|caption| unread(caption, alphabet?)) {
            partly += 1;
            if partly <= NAMED {
                phase.say(&format!("warning: {warning}"));
            }
        }
        painter.paint((&captions, &vectors), (&mut done, &mut sheet), &phase)?;
        phase.at(done as u64);
    }
    if args.grid && !sheet.is_empty() {
        let columns = match (args.columns, painter.seeds.len()) {
            (Some(columns), _) => usize::from(columns),
            (None, 1) => sheet.len().isqrt().max(1),
            (None, seeds) => seeds,
        };
        let path = args.out.join(GRID);
        write_file(&path, &grid(&sheet, columns, 2).encode_png()?)?;
        phase.aside(|| print(path.display()))?;
    }
    if partly > NAMED {
        phase.say(&format!("warning: {} sentences more are not read whole", partly - NAMED));
    }
    phase.finish(&format!("{done} pictures in {}", args.out.display()));
    Ok(())
}

fn read(captions: Vec<String>, model: &Model) -> Result<Read> {
    let vectors = model.encode(&captions.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok((captions, vectors))
}

/// Refuses a stage that the model does not have.
fn check_stage(args: &Generate, model: &Model) -> Result<()> {
    if args.stage.is_none_or(|stage| stage <= model.stages()) {
        return Ok(());
    }
    let parts = ("a model with Stage-II", "one with Stage-I alone");
    let remedy = "paint with Stage-I: `--stage 1`; `stackgan train --stage 2` makes the other";
    let place = format!("file: {}", args.model.display());
    Err(Problem::usage("no such stage", place, parts, remedy).into())
}

/// What a char-CNN-RNN does not see of a sentence; `None` where it reads it whole.
fn unread(caption: &str, alphabet: AlphabetOptions) -> Option<String> {
    let Reading { known, unknown, cut } = reading(caption, alphabet);
    let most = 60;
    let dots = if caption.chars().count() > most { "…" } else { "" };
    let shown: String = caption.chars().take(most).collect();
    let of = format!("`{}{dots}`", shown.escape_debug());
    match (known, unknown.is_empty(), cut) {
        (0, ..) => {
            Some(format!("the encoder knows no character of {of}: only the noise is painted"))
        }
        (_, false, _) => {
            Some(format!("the encoder does not know `{}` in {of}", unknown.escape_debug()))
        }
        (_, true, 1..) => Some(format!(
            "the encoder reads {CAPTION_LENGTH} characters: the last {cut} of {of} are cut off"
        )),
        _ => None,
    }
}

impl Painter<'_> {
    fn paint(
        &self,
        (captions, vectors): (&[String], &Tensor),
        (done, sheet): (&mut usize, &mut Vec<Picture>),
        phase: &Phase,
    ) -> Result<()> {
        let all = captions.iter().enumerate();
        let requests: Vec<((usize, &String), u64)> =
            all.flat_map(|caption| self.seeds.iter().map(move |seed| (caption, *seed))).collect();
        for chunk in requests.chunks(self.sampling.chunk) {
            let rows: Vec<u32> = chunk.iter().map(|((row, _), _)| *row as u32).collect();
            let text = vectors.index_select(&Tensor::new(rows, vectors.device())?, 0)?;
            let seeds: Vec<u64> = chunk.iter().map(|(_, seed)| *seed).collect();
            let paintings = self.model.paint_embeddings(&text, &seeds, self.sampling)?;
            for (((_, caption), seed), painting) in chunk.iter().zip(paintings) {
                let line = self.save(*done, (caption, *seed), &painting.picture)?;
                phase.aside(|| print(line))?;
                *done += 1;
                if self.args.grid {
                    if sheet.len() == MOST_ON_SHEET {
                        let parts = (format!("at most {MOST_ON_SHEET} pictures"), "more");
                        let remedy = "leave `--grid` out, or paint fewer";
                        return Err(Problem::usage(
                            "the sheet is too large",
                            "option: --grid",
                            parts,
                            remedy,
                        )
                        .into());
                    }
                    sheet.push(painting.picture);
                }
            }
        }
        Ok(())
    }

    /// Writes a picture; what is printed of it.
    fn save(
        &self,
        index: usize,
        (caption, seed): (&str, u64),
        picture: &Picture,
    ) -> Result<String> {
        let path = self.args.out.join(file_name(index, seed, caption));
        let names = (self.sha256.as_str(), self.encoder.as_str());
        let provenance = Provenance::of(picture, self.model, names, (caption, seed), self.sampling);
        let name =
            self.args.model.file_stem().map_or_else(|| "model".into(), |n| n.to_string_lossy());
        write_file(&path, &provenance.encode_png(picture, &name)?)?;
        if self.args.json {
            let mut facts = json!(provenance);
            if let Some(facts) = facts.as_object_mut() {
                facts.insert("file".to_owned(), json!(path));
            }
            return Ok(facts.to_string());
        }
        Ok(path.display().to_string())
    }
}

/// `000010-seed00042-a-small-red-bird.png`: sorts in the order of painting, and says seed and caption. A sentence that is not
/// in its name letter by letter has the beginning of its SHA-256 there: another command paints into the same folder.
fn file_name(index: usize, seed: u64, caption: &str) -> String {
    let mut slug = String::new();
    for word in caption.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
        if slug.len() + word.len() > 60 {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    let mut name = format!("{index:06}-seed{seed:05}");
    let hash = sha256(caption.as_bytes());
    let lost = slug.replace('-', " ") != caption;
    for part in [slug.as_str(), hash.get(..8).filter(|_| lost).unwrap_or_default()] {
        if !part.is_empty() {
            name.push('-');
            name.push_str(part);
        }
    }
    name + ".png"
}

/// The numbers of `--seeds` or `--rows`.
fn numbers(of: &str, list: &str) -> Result<Vec<u64>> {
    let wrong = |found: &str| {
        let parts = (
            format!("numbers and ranges, at most {MOST_SEEDS}: `0-7,9`"),
            format!("`{}`", found.escape_debug()),
        );
        let (what, place) = (format!("the {of} cannot be read"), format!("option: --{of}"));
        Problem::usage(what, place, parts, format!("write `--{of} 0-7`"))
    };
    let mut numbers = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number =
            |text: &str| text.trim().parse::<u64>().map_err(|_| anyhow::Error::from(wrong(part)));
        let (first, last) = (number(first)?, number(last)?);
        let room = (MOST_SEEDS - numbers.len()) as u64;
        if last < first || last - first >= room {
            return Err(wrong(part).into());
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}

fn scale(option: &str, value: Option<f64>) -> Result<Option<f64>> {
    match value {
        Some(v) if !(0.0..=4.0).contains(&v) => {
            let parts = ("0 to 4", v.to_string());
            let remedy = "1 is the noise of training; 0.7 is more faithful to the words";
            Err(Problem::usage(
                "the scale cannot be used",
                format!("option: {option}"),
                parts,
                remedy,
            )
            .into())
        }
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_sort_and_are_safe() {
        assert_eq!(file_name(10, 42, "a small red bird"), "000010-seed00042-a-small-red-bird.png");
        assert!(
            file_name(10, 42, "A small, red bird!")
                .starts_with("000010-seed00042-a-small-red-bird-")
        );
        assert!(file_name(0, 0, "../../é").starts_with("000000-seed00000-"));
        assert!(file_name(0, 0, &"word ".repeat(500)).len() < 100);
    }

    #[test]
    fn sentences_that_differ_have_names_that_differ() {
        let long = "word ".repeat(30);
        let said = ["a red bird", "A red bird", "a red bird!", "a-red bird", "é", "ü", "птица"];
        let said = said.iter().map(|s| (*s).to_owned());
        let said = said.chain([format!("{long}red"), format!("{long}blue")]);
        let names: std::collections::BTreeSet<String> = said.map(|s| file_name(0, 0, &s)).collect();
        assert_eq!(names.len(), 9, "{names:?}");
    }

    #[test]
    fn what_the_encoder_does_not_read_is_said() {
        let said = |caption: &str| unread(caption, AlphabetOptions::default()).unwrap_or_default();
        assert_eq!(said("A small, red bird!"), "");
        assert!(said("птица").contains("knows no character of `птица`"));
        assert!(said("un léger oiseau").contains("does not know `é`"));
        assert!(said(&"word ".repeat(50)).contains("the last 49 of `word"));
    }

    #[test]
    fn seeds_are_numbers_and_ranges() {
        let parse = |list: &str| numbers("seeds", list);
        assert_eq!(parse("0-3,9").unwrap(), [0, 1, 2, 3, 9]);
        assert_eq!(parse("5").unwrap(), [5]);
        for bad in ["", "a", "3-1", "0-99999999999", "1,,2", "0-18446744073709551615"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
