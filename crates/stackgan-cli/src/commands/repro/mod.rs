//! `stackgan repro`: repaints pictures from the provenance in their files, and compares.

mod claim;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::Tensor;
use serde::Serialize;
use serde_json::Value;
use stackgan_core::image::Picture;
use stackgan_core::kernels::arithmetic;
use stackgan_core::provenance::pixels_sha256;
use stackgan_core::{Provenance, Sampling};

use crate::args::Repro;
use crate::context::Context;
use crate::encoders;
use crate::exit::{Exit, Problem, in_a_line};
use crate::output::{Answer, Form, leads_to, path_text, write_file};
use crate::painting::{EmbeddingsAt, Given, Painter, file_name};
use crate::progress::Phase;
use crate::version::VERSION;
use claim::{Claim, Source};
use verdict::Verdict;

/// Repaints the picture of every file. A file that cannot be judged does not affect the others.
///
/// # Errors
/// The first file that could not be judged, if all others are equal.
pub(super) fn run(args: &Repro, context: &Context) -> Result<Exit> {
    if let Some(out) = &args.out {
        apart(out, &args.images)?;
    }
    let mut painter = Painter::open(&args.model, context)?;
    let given = match &args.embeddings {
        Some(file) => {
            let at = EmbeddingsAt { file: Some(file), data: None };
            Some(Given::open(&painter.named.model, at, context.manner)?)
        }
        None => {
            encoders::attach(&mut painter.named.model, args.encoder.as_deref(), context)?;
            None
        }
    };
    let source = Source { painter: &painter, given: given.as_ref() };
    let count = args.images.len();
    let mut phase = Phase::new(context.manner, "painting again", count as u64, "pictures");
    let judged = args.images.iter().filter_map(|image| leads_to(image)).collect();
    let (arithmetic, tally) = (arithmetic(&context.device), Tally::default());
    let mut session = Session { args, source, judged, arithmetic, tally };
    let all: Vec<(usize, &Path)> = args.images.iter().map(PathBuf::as_path).enumerate().collect();
    for files in all.chunks(Sampling::default().chunk) {
        session.judge(files, &phase)?;
        phase.at(session.tally.done() as u64);
    }
    let Tally { equal, others, refused } = session.tally;
    phase.finish(&format!("{equal} equal, {others} not, {} not judged", refused.len()));
    match refused.into_iter().next() {
        _ if others > 0 => Ok(Exit::Gate),
        Some(error) => Err(error),
        None => Ok(Exit::Done),
    }
}

/// Rejects an output folder that contains the judged pictures.
fn apart(out: &Path, images: &[PathBuf]) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let folder = |image: &Path| real(image).and_then(|image| Some(image.parent()?.to_path_buf()));
    match real(out).and_then(|out| images.iter().find(|image| folder(image).as_ref() == Some(&out)))
    {
        None => Ok(()),
        Some(image) => Err(in_the_way(format!("that of {}", image.display())).into()),
    }
}

fn in_the_way(found: String) -> Problem {
    let (what, parts) = ("the new pictures cannot lie there", ("a folder of its own", found));
    let remedy = "name another folder: nothing is written over pictures that are judged";
    Problem::usage(what, "option: --out", parts, remedy)
}

/// Number of files with each verdict.
#[derive(Default)]
struct Tally {
    equal: usize,
    others: usize,
    refused: Vec<anyhow::Error>,
}

impl Tally {
    fn done(&self) -> usize {
        self.equal + self.others + self.refused.len()
    }
}

/// What is said of one file.
#[derive(Serialize)]
struct Judged {
    file: String,
    /// The verdict by its name, or `refused`.
    verdict: &'static str,
    /// The verdict in words.
    why: String,
    /// The program's version.
    version: &'static str,
    /// What was computed with.
    arithmetic: &'static str,
    /// The pixels, if they were compared.
    #[serde(flatten)]
    pixels: Option<Pixels>,
}

/// Pixels that were compared.
#[derive(Serialize)]
struct Pixels {
    #[serde(flatten)]
    verdict: Value,
    /// What the file says of itself.
    said: Provenance,
    /// SHA-256 of what is painted.
    painted_sha256: String,
}

impl Answer for Judged {
    fn lines(&self) -> Vec<String> {
        vec![format!("{}: {}", self.file, self.why)]
    }
}

/// The common parts for all files.
struct Session<'a> {
    args: &'a Repro,
    source: Source<'a>,
    /// The files of the pictures, without links.
    judged: BTreeSet<PathBuf>,
    arithmetic: &'static str,
    tally: Tally,
}

impl Session<'_> {
    /// Judges some files, in order.
    fn judge(&mut self, files: &[(usize, &Path)], phase: &Phase) -> Result<()> {
        let (mut claims, mut refused) = (Vec::new(), BTreeMap::new());
        for &(index, file) in files {
            let read = Claim::read((index, file));
            match read.and_then(|claim| self.source.check(&claim).map(|()| claim)) {
                Ok(claim) => claims.push(claim),
                Err(error) => drop(refused.insert(index, error)),
            }
        }
        claims.iter().try_for_each(|claim| self.leaves_alone(claim))?;
        let rows = self.source.rows(&claims)?;
        for claim in claims.extract_if(.., |claim| self.source.lacks(claim, &rows)) {
            refused.insert(claim.index, not_of_its_caption(&claim).into());
        }
        let mut painted = BTreeMap::new();
        for group in claims.chunk_by(|a, b| alike(&a.said, &b.said)) {
            let pictures = self.paint(group, &rows)?;
            painted.extend(group.iter().map(|claim| claim.index).zip(group.iter().zip(pictures)));
        }
        for &(index, file) in files {
            let told = match (refused.remove(&index), painted.remove(&index)) {
                (None, Some((claim, picture))) => self.compare(claim, &picture),
                (Some(error), _) => Err(error),
                (None, None) => continue,
            };
            let judged = match told {
                Ok(judged) => judged,
                Err(error) => {
                    let judged = self.refuse(file, &error);
                    self.tally.refused.push(error);
                    judged
                }
            };
            phase.aside(|| Form::from(self.args.json).show_one(&judged))?;
        }
        Ok(())
    }

    /// Repaints claims with the same stage and scales.
    fn paint(&self, alike: &[Claim], rows: &BTreeMap<String, u64>) -> Result<Vec<Picture>> {
        let vectors = alike.iter().map(|claim| self.source.vector(claim, rows));
        let text = Tensor::cat(&vectors.collect::<Result<Vec<_>>>()?, 0)?;
        let seeds: Vec<u64> = alike.iter().map(|claim| claim.said.seed).collect();
        let sampling = alike.first().map_or_else(Sampling::default, |claim| claim.said.sampling());
        let painted = self.source.painter.named.model.paint_embeddings(&text, &seeds, sampling)?;
        Ok(painted.into_iter().map(|painting| painting.picture).collect())
    }

    /// The output line for a picture and its repetition.
    fn compare(&mut self, claim: &Claim, painted: &Picture) -> Result<Judged> {
        let verdict = Verdict::of(&claim.said, &claim.picture, painted);
        let of_row = claim.said.embedding_sha256.is_some();
        if of_row && self.source.given.is_none() && verdict != Verdict::Equal {
            return Err(not_of_its_caption(claim).into());
        }
        if let Some(out) = &self.args.out {
            self.keep(out, claim, painted)?;
        }
        match verdict {
            Verdict::Equal => self.tally.equal += 1,
            _ => self.tally.others += 1,
        }
        let pixels = Pixels {
            verdict: verdict.json(),
            said: claim.said.clone(),
            painted_sha256: pixels_sha256(painted),
        };
        let why = verdict.line(&claim.said, self.arithmetic);
        Ok(Judged { pixels: Some(pixels), ..self.about(claim.file, verdict.name(), why) })
    }

    /// What is said of a file that cannot be judged.
    fn refuse(&self, file: &Path, error: &anyhow::Error) -> Judged {
        let why = in_a_line(&error.root_cause().to_string());
        self.about(file, "refused", format!("not judged: {why}"))
    }

    fn about(&self, file: &Path, verdict: &'static str, why: String) -> Judged {
        let (file, arithmetic) = (path_text(file), self.arithmetic);
        Judged { file, verdict, why, version: VERSION, arithmetic, pixels: None }
    }

    /// Refuses to write where a link leads to a picture that is judged.
    fn leaves_alone(&self, claim: &Claim) -> Result<()> {
        let Some(out) = &self.args.out else { return Ok(()) };
        let path = out.join(kept_name(claim));
        match leads_to(&path).filter(|file| self.judged.contains(file)) {
            None => Ok(()),
            Some(file) => {
                let found = format!("{}, which leads to {}", path.display(), file.display());
                Err(in_the_way(found).into())
            }
        }
    }

    /// Writes the new picture with its own provenance.
    fn keep(&self, out: &Path, claim: &Claim, picture: &Picture) -> Result<()> {
        let again = Provenance {
            width: picture.width,
            height: picture.height,
            pixels_sha256: pixels_sha256(picture),
            version: VERSION.to_owned(),
            arithmetic: Some(self.arithmetic.to_owned()),
            ..claim.said.clone()
        };
        write_file(
            &out.join(kept_name(claim)),
            &again.encode_png(picture, &self.source.painter.named.name)?,
        )
    }
}

/// What the new picture is called.
fn kept_name(claim: &Claim) -> String {
    file_name(claim.index, claim.said.seed, &claim.said.caption)
}

/// Whether two pictures can be painted together.
fn alike(a: &Provenance, b: &Provenance) -> bool {
    (a.stage, a.z_scale, a.eps_scale) == (b.stage, b.z_scale, b.eps_scale)
}

fn not_of_its_caption(claim: &Claim) -> Problem {
    let what = "the picture was painted from a row of embeddings, not from its caption";
    let row = claim.said.embedding_sha256.as_deref().unwrap_or_default();
    let expected = format!("the row with SHA-256 {}", row.escape_debug());
    let place = format!("file: {}", claim.file.display());
    let remedy = "give the embeddings that it was painted from: `--embeddings FILE`";
    Problem::missing(what, place, expected, remedy)
}
