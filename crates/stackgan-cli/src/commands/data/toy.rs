//! `stackgan data toy`: draws captioned birds.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use stackgan_data::counted;
use stackgan_data::toy::{ToyConfig, ToyReport};

use crate::datasets::draw_toy;
use crate::output::{Answer, Form, path_text};
use crate::progress::Manner;

/// Draws the birds into a folder.
pub(super) fn run(out: &Path, config: ToyConfig, form: Form, manner: Manner) -> Result<()> {
    let ToyReport { train_pictures, train_species, test_pictures, test_species } =
        draw_toy(out, config, manner)?;
    let folder = path_text(out);
    form.show(&Drawn { folder, train_pictures, train_species, test_pictures, test_species })
}

/// What was drawn. No species is in both splits.
#[derive(Serialize)]
struct Drawn {
    folder: String,
    train_pictures: usize,
    train_species: usize,
    test_pictures: usize,
    test_species: usize,
}

impl Answer for Drawn {
    fn lines(&self) -> Vec<String> {
        vec![format!(
            "{}: {} of {} species to train on, {} of {} unseen species",
            self.folder,
            counted(self.train_pictures, "picture"),
            self.train_species,
            self.test_pictures,
            self.test_species
        )]
    }
}
