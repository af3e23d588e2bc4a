//! `stackgan interpolate`: an animation between two sentences, between the noises of a sentence's
//! seeds, or between two sentences with a seed each.

mod way;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};
use stackgan_core::animation::{Animation, Delay};
use stackgan_core::image::Picture;

use crate::args::Interpolate;
use crate::context::Context;
use crate::encoders::Unread;
use crate::exit::{Exit, Problem, Stopped};
use crate::output::{Answer, Form, path_text, write_file, write_pieces};
use crate::painting::{ANIMATION, FRAMES, Painted, Painter, Sheet, check_free, seeds};
use crate::progress::Phase;
use crate::signals::Stopper;
use crate::version::VERSION;
use way::{Stop, Way, batches};

/// Number of frames on the sheet.
const SHOWN: usize = 8;
/// Display time of the first and the last frame.
const REST: Delay = (1, 1);
/// The folder of single frames.
const EACH: &str = "frames";
/// The keyword of the text chunk that describes the animation.
const KEYWORD: &str = "stackgan-interpolation";

/// Paints the frames in small batches and adds them to the animation. If a signal stops the
/// painting, no file is left.
pub(super) fn run(args: &Interpolate, context: &Context) -> Result<Exit> {
    let way = Way { stops: stops(args)?, frames: args.frames as usize };
    if args.each {
        check_frames(&args.painting.out.join(EACH), way.frames)?;
    }
    for name in [ANIMATION, FRAMES] {
        check_free(&args.painting.out.join(name))?;
    }
    let painter = Painter::of_sentences(&args.painting, context)?;
    let (frames, out) = (way.frames, &args.painting.out);
    let mut phase = Phase::new(context.manner, "painting", frames as u64, "frames");
    let mut unread = Unread::of(&painter.named.model);
    let mut captions: Vec<String> = way.stops.iter().map(|stop| stop.caption.clone()).collect();
    captions.dedup();
    unread.warn(&captions, &phase);
    let stopper = Stopper::listen()?;
    let places = way.places();
    let film = Film { args, painter: &painter, way: &way, places, stopper: &stopper };
    let (shown, mut sheet) = film.sheet()?;
    let (path, said) = (out.join(ANIMATION), film.facts());
    let each = args.each.then(|| Frames::new(out)).transpose()?;
    let written = write_pieces(&path, |file| {
        let refused = |e: io::Error| anyhow::Error::from(Problem::storage(&path, &e));
        let (size, text) = ((painter.side(), painter.side()), said.to_string());
        let texts = [(KEYWORD, text.as_str())];
        let texts = if painter.signed { &texts[..] } else { &[] };
        let mut animation = Animation::new(file, size, frames as u32, texts).map_err(refused)?;
        let mut frame = 0;
        film.paint(|picture| {
            animation.add(&picture, film.delay(frame)).map_err(refused)?;
            if let Some(column) = shown.iter().position(|shown| *shown == frame) {
                sheet.put((column, 0), &picture);
            }
            if let Some(each) = &each {
                film.keep(&each.made.join(frame_name(frame)), frame, picture)?;
            }
            frame += 1;
            phase.at(frame as u64);
            Ok(())
        })?;
        animation.finish().map_err(refused)
    });
    if let Err(error) = written {
        let Some(Stopped { reason, .. }) = error.downcast_ref() else { return Err(error) };
        phase.finish(&format!("stopped; {} is not written", path.display()));
        return Ok(Exit::from(*reason));
    }
    if let Some(each) = &each {
        each.publish(&out.join(EACH))?;
    }
    let strip = out.join(FRAMES);
    write_file(&strip, &painter.composed(&sheet.picture())?)?;
    let animated = Animated { file: path_text(&path), sheet: path_text(&strip), said };
    phase.aside(|| Form::from(args.json).show(&animated))?;
    unread.finish(&phase);
    phase.finish(&format!("{frames} frames in {}", path.display()));
    Ok(Exit::Done)
}

/// An animation that was written.
#[derive(Serialize)]
struct Animated {
    file: String,
    /// Some of its frames, side by side.
    sheet: String,
    /// The metadata of the animation.
    #[serde(flatten)]
    said: Value,
}

impl Answer for Animated {
    fn lines(&self) -> Vec<String> {
        vec![self.file.clone(), self.sheet.clone()]
    }
}

/// Refuses a folder in which the frames would replace what this program did not paint, and one that
/// contains frames of a longer animation, because programs that make films from numbered pictures
/// would use all of them. The user's files are not removed.
fn check_frames(folder: &Path, frames: usize) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        let place = format!("folder: {}", folder.display());
        let parts = ("a folder, or none", "a file of this name");
        let remedy = "paint into another folder, `--out DIR`, or remove the file";
        return Err(Problem::usage("a file is in the way", place, parts, remedy).into());
    }
    (0..frames).try_for_each(|frame| check_free(&folder.join(frame_name(frame))))?;
    let number = |name: &str| name.strip_suffix(".png")?.parse::<usize>().ok();
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    match names.filter(|name| number(name).is_some_and(|number| number >= frames)).min() {
        None => Ok(()),
        Some(name) => {
            let parts = (format!("pictures before {}", frame_name(frames)), format!("also {name}"));
            let remedy = "remove the frames that are there, or name another folder: `--out`";
            let place = format!("folder: {}", folder.display());
            let what = "frames of a longer animation are there";
            Err(Problem::usage(what, place, parts, remedy).into())
        }
    }
}

/// Returns the file name of a single frame.
fn frame_name(frame: usize) -> String {
    format!("{frame:06}.png")
}

/// The stops of the animation. clap ensures that there are two sentences, or one sentence and
/// seeds.
fn stops(args: &Interpolate) -> Result<Vec<Stop>> {
    let seeds = seeds(&args.seeds)?;
    let given = [("--from", &args.from), ("--to", &args.to), ("--prompt", &args.prompt)];
    let sentences = given.into_iter().filter_map(|(option, said)| Some((option, said.as_ref()?)));
    let sentences: Vec<(&str, &String)> = sentences.collect();
    if let Some((option, _)) = sentences.iter().find(|(_, said)| said.trim().is_empty()) {
        let parts = ("a sentence", "an empty one");
        let remedy = format!("say what is to be seen: `{option} \"a small red bird\"`");
        let place = format!("option: {option}");
        return Err(Problem::usage("a sentence is empty", place, parts, remedy).into());
    }
    let (fits, expected) = match args.prompt {
        None => (1..=2, "one seed for both sentences, or two".to_owned()),
        Some(_) => {
            let all =
                format!("two seeds or more, and at most one for each of {} frames", args.frames);
            (2..=args.frames as usize, all)
        }
    };
    if !fits.contains(&seeds.len()) {
        let remedy =
            "name where to begin and where to end: `--seeds 0-3`; `--frames` says how many frames";
        let (what, parts) =
            ("there is no way between these seeds", (expected, seeds.len().to_string()));
        return Err(Problem::usage(what, "option: --seeds", parts, remedy).into());
    }
    // The one sentence stays, or the one seed does, or both change together.
    let stops = 0..sentences.len().max(seeds.len());
    let at = |i| Some((*sentences.get(i).or(sentences.last())?, seeds.get(i).or(seeds.last())?));
    let stop = |((_, caption), seed): ((&str, &String), &u64)| Stop {
        caption: caption.clone(),
        seed: *seed,
    };
    Ok(stops.filter_map(at).map(stop).collect())
}

/// Single frames, which get their places when all are painted. What was not published is removed.
struct Frames {
    _folder: tempfile::TempDir,
    /// The folder in it for the frames, with the permissions of any other.
    made: PathBuf,
}

impl Frames {
    fn new(out: &Path) -> Result<Self> {
        std::fs::create_dir_all(out).map_err(|e| Problem::storage(out, &e))?;
        let folder = tempfile::Builder::new().prefix(".tmp-").tempdir_in(out);
        let folder = folder.map_err(|e| Problem::storage(out, &e))?;
        let made = folder.path().join(EACH);
        std::fs::create_dir(&made).map_err(|e| Problem::storage(&made, &e))?;
        Ok(Self { _folder: folder, made })
    }

    /// Moves the frames to `to`, over those that are there, which [`check_frames`] allowed.
    fn publish(&self, to: &Path) -> Result<()> {
        let moved = if to.exists() {
            let mut entries = self.made.read_dir().map_err(|e| Problem::storage(to, &e))?.flatten();
            entries.try_for_each(|e| std::fs::rename(e.path(), to.join(e.file_name())))
        } else {
            std::fs::rename(&self.made, to)
        };
        Ok(moved.map_err(|e| Problem::storage(to, &e))?)
    }
}

/// The animation to paint.
struct Film<'a> {
    args: &'a Interpolate,
    painter: &'a Painter,
    way: &'a Way,
    places: Vec<way::Place>,
    stopper: &'a Stopper,
}

impl Film<'_> {
    /// Paints every frame, in their order, until a signal.
    fn paint(&self, mut each: impl FnMut(Picture) -> Result<()>) -> Result<()> {
        let (model, sampling) = (&self.painter.named.model, self.painter.sampling);
        let points = self.way.points(self.painter)?;
        for (from, parts) in batches(&self.places, sampling) {
            self.stopper.check_signal("stopped by a signal")?;
            let Some([point, next]) = points.get(from..from + 2) else { continue };
            let (text, noise) = point.toward(next, &parts)?;
            for painting in model.paint_noise(&text, &noise, sampling.stage)? {
                each(painting.picture)?;
            }
        }
        Ok(())
    }

    /// The stop that a frame is at, if any.
    fn stop(&self, frame: usize) -> Option<&Stop> {
        self.places.get(frame).and_then(|place| self.way.stop(*place))
    }

    /// The display time of a frame.
    fn delay(&self, frame: usize) -> Delay {
        if frame == 0 || frame + 1 == self.way.frames { REST } else { (1, self.args.fps) }
    }

    /// A sheet for some evenly spaced frames, and the indices of these.
    fn sheet(&self) -> Result<(Vec<usize>, Sheet)> {
        let (last, shown) = (self.way.frames - 1, SHOWN.min(self.way.frames));
        let frames: Vec<usize> =
            (0..shown).map(|i| (2 * i * last + shown - 1) / (2 * (shown - 1))).collect();
        let column = |frame: &usize| match (self.stop(*frame), &self.args.prompt) {
            (Some(stop), Some(_)) => format!("seed {}", stop.seed),
            (Some(stop), None) => stop.caption.clone(),
            (None, _) => format!("frame {frame}"),
        };
        let columns: Vec<String> = frames.iter().map(column).collect();
        let heading = match (&self.args.prompt, self.way.stops.as_slice()) {
            (Some(caption), _) => caption.clone(),
            (None, [from, .., to]) if from.seed != to.seed => {
                format!("seed {} to {}", from.seed, to.seed)
            }
            (None, [from, ..]) => format!("seed {}", from.seed),
            (None, []) => String::new(),
        };
        let sheet = Sheet::new(&heading, &columns, &[String::new()], self.painter.side())?;
        Ok((frames, sheet))
    }

    /// Writes a frame as a separate picture; at a stop as `generate` writes it.
    fn keep(&self, path: &Path, frame: usize, picture: Picture) -> Result<()> {
        let png = match self.stop(frame) {
            Some(Stop { caption, seed }) => {
                self.painter.png(&Painted::of(caption, *seed, picture))?.1
            }
            None => self.painter.composed(&picture)?,
        };
        write_file(path, &png)
    }

    /// The metadata of the animation.
    fn facts(&self) -> Value {
        let (named, how) = (&self.painter.named, self.painter.how);
        let stops = self.way.stops.iter();
        let stops: Vec<Value> =
            stops.map(|stop| json!({ "caption": stop.caption, "seed": stop.seed })).collect();
        json!({
            "format": "stackgan-interpolation/1",
            "version": VERSION,
            "stops": stops,
            "frames": self.way.frames,
            "fps": self.args.fps,
            "stage": how.stage,
            "z_scale": how.z_scale,
            "eps_scale": how.eps_scale,
            "model_sha256": named.sha256,
            "encoder": named.encoder(),
        })
    }
}
