//! The report of a demo: what was done, the results, and what the numbers do not show.

use stackgan_core::generator_noise::Scales;
use stackgan_train::run_files::RunFiles;

use super::folder::Folder;
use super::notes::Scores;
use super::sheets::Sheet;
use super::wanted::Extent;
use super::words::LOSSES;
use crate::progress::duration;
use crate::report::{About, Grids, Page, Series, chart, charts};
use crate::run::terms;

/// Creates the page of what lies in the demo's folder, the sheets, and what was measured of pictures
/// that were painted with these scales.
pub(super) fn report(
    demo: &Folder<'_>,
    sheets: &[Sheet],
    scores: &Scores,
    Scales { z, eps }: Scales,
) -> String {
    let (out, notes) = (&demo.path, &demo.notes);
    let below = format!(
        "Birds drawn by this program, a text encoder and both stages trained from nothing, in {} on {}, seed {}.",
        duration(notes.seconds()),
        if demo.context.device.is_cpu() { "a CPU" } else { "a GPU" },
        notes.wanted.seed
    );
    let mut page = Page::new("StackGAN: from nothing to a painted bird", &below);
    if notes.wanted.extent == Extent::Quick {
        page.text(
            "This was a quick run: it shows that every part works. Nothing was trained long enough to paint birds.",
        );
    }

    page.section("Sentences and their pictures");
    page.text(
        "Above, Stage-I: 64x64, enlarged. Below, Stage-II painting over it: 256x256. Each column is one seed, not chosen: \
         seeds 0 to 4.",
    );
    for sheet in sheets {
        page.picture(sheet.prompt, &sheet.png);
    }

    page.section("Do the pictures follow the words?");
    page.table(&scores.table);
    page.text(
        "Agreement: how often the part has the colour that the caption names, counted only where it names one; the judge looks \
         at pixels and knows nothing of the networks. R-precision: how often a picture fits its own caption better \
         than nine captions of other species; its judge is the text encoder that Stage-I was trained with, and to \
         please, so it flatters. One caption a picture, species that no network saw in training. In brackets the 95 % interval \
         (Wilson), and how many were counted.",
    );
    page.text(&format!(
        "Sampling noise is scaled down (z by {z}, the conditioning's by {eps}): less variety, more faithful pictures. The \
         numbers above are at these scales."
    ));
    if let Some(scores) = &scores.encoder {
        page.text(&format!("The text encoder {scores}."));
    }

    for (folder, name) in [("stage1", "Stage-I"), ("stage2", "Stage-II")] {
        let run = out.join(folder);
        page.section(&format!("{name} while it trained"));
        page.slider(
            "Fixed captions of unseen species (rows), fixed noise (columns), evaluation mode. Move the slider.",
            &Grids::default().of(&run, None),
        );
        let files = RunFiles::of(&run);
        page.captions(&std::fs::read_to_string(files.captions()).unwrap_or_default());
        if let Ok(reals) = std::fs::read(files.reals()) {
            page.picture("Real pictures of the same captions.", &reals);
        }
        page.charts(&charts(&files.stats()));
        let settings = std::fs::read_to_string(files.config()).unwrap_or_default();
        page.folded("Settings", &settings);
    }

    page.section("The text encoder");
    let losses = terms(&out.join(LOSSES)).remove("loss").unwrap_or_default();
    let losses = Series::new("loss", losses);
    let about = About { title: "Contrastive loss of captions and pictures", ..About::default() };
    page.charts(&[chart(&about, &[losses])]);

    page.section("What took how long");
    let mut rows = vec![vec!["phase".to_owned(), "time".to_owned()]];
    rows.extend(notes.took.iter().map(|t| vec![t.what.clone(), duration(t.seconds)]));
    page.table(&rows);
    if notes.sittings > 1 {
        page.text(&format!(
            "The demo was started {} times. What was not yet saved when it was stopped was done again, and is not in these times.",
            notes.sittings
        ));
    }
    page.text(
        "The numbers of steps follow from the time and from this machine's speed, which was measured first: another machine, \
         or the same one while it is busy, trains for another number of steps and paints other pictures. For equal \
         bits, train with the settings above and their numbers of steps.",
    );
    page.finish()
}
