//! Sheets for inspection: prompts painted with several seeds, with 64x64 and 256x256 pictures of
//! the same noise.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use stackgan_core::image::{Picture, grid};
use stackgan_core::{Model, Request, Sampling};

use super::folder::Folder;
use super::notes::Part;
use crate::output::write_file;
use crate::progress::{Manner, Phase};

/// The prompts. Body and belly, some wings: what a small model can learn in minutes.
const PROMPTS: [&str; 8] = [
    "a red bird with a yellow belly",
    "a blue bird with a white belly and black wings",
    "a green bird with a purple belly",
    "a white bird with a red belly",
    "a yellow bird with a black belly and black wings",
    "a brown bird with a white belly",
    "a black bird with a red belly",
    "a purple bird with a yellow belly and green wings",
];

/// Number of seeds for each prompt.
const SEEDS: u64 = 5;

/// A prompt and its pictures.
pub(super) struct Sheet {
    /// The text of the prompt.
    pub prompt: &'static str,
    /// Two rows as a PNG: Stage-I enlarged, and Stage-II based on it; one column per seed.
    pub png: Vec<u8>,
}

/// The sheets in the folder `sheets`, which are painted unless they are there.
pub(super) fn painted(demo: &mut Folder<'_>, model: &Model) -> Result<Vec<Sheet>> {
    let folder = demo.at("sheets");
    if demo.notes.has(Part::Sheets)
        && let Some(sheets) = kept(&folder)
    {
        return Ok(sheets);
    }
    let began = Instant::now();
    let sheets = paint(model, &folder, demo.context.manner)?;
    demo.done(Part::Sheets, "painting sheets".to_owned(), began.elapsed().as_secs_f64())?;
    Ok(sheets)
}

/// The sheets that were painted before, if all are there.
fn kept(folder: &Path) -> Option<Vec<Sheet>> {
    let read = |(n, prompt)| Some(Sheet { prompt, png: std::fs::read(file(folder, n)).ok()? });
    PROMPTS.into_iter().enumerate().map(read).collect()
}

fn file(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("prompt-{n}.png"))
}

/// Paints every prompt, and writes the sheets into a folder.
fn paint(model: &Model, folder: &Path, manner: Manner) -> Result<Vec<Sheet>> {
    let mut phase = Phase::new(manner, "painting sheets", PROMPTS.len() as u64, "prompts");
    let (mut sheets, mut all) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (n, prompt) in PROMPTS.into_iter().enumerate() {
        let requests: Vec<_> = (0..SEEDS).map(|seed| Request { caption: prompt, seed }).collect();
        let painted =
            model.paint(&requests, Sampling { chunk: SEEDS as usize, ..Sampling::default() })?;
        let [low, high] = &mut all;
        let mut rows: [Vec<Picture>; 2] = [Vec::new(), Vec::new()];
        for painting in painted {
            let under = painting.low.unwrap_or_else(|| painting.picture.reduced(4));
            rows[0].push(under.enlarged(4));
            low.push(under);
            rows[1].push(painting.picture.clone());
            high.push(painting.picture);
        }
        let png = grid(&rows.concat(), SEEDS as usize, 2).encode_png()?;
        write_file(&file(folder, n), &png)?;
        sheets.push(Sheet { prompt, png });
        phase.at(n as u64 + 1);
    }
    for (name, pictures) in ["64.png", "256.png"].iter().zip(&all) {
        let png = grid(pictures, SEEDS as usize, 2).encode_png()?;
        write_file(&folder.join(name), &png)?;
    }
    write_file(&folder.join("prompts.txt"), (PROMPTS.join("\n") + "\n").as_bytes())?;
    phase.finish(&format!("{} prompts, {SEEDS} seeds each", PROMPTS.len()));
    Ok(sheets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_names_a_body_and_another_part() {
        for prompt in PROMPTS {
            let named = stackgan_data::toy::named_in(prompt);
            assert!(
                named.body.is_some() && (named.belly.is_some() || named.wing.is_some()),
                "{prompt}"
            );
        }
    }
}
