//! Text encoders: opened by their names, trained, scored, and used to encode captions.

pub(crate) mod encoding;
pub(crate) mod features;
pub(crate) mod made_by;
mod named;
pub(crate) mod scores;
pub(crate) mod training;
pub(crate) mod unfinished;
pub(crate) mod unread;

pub(crate) use named::{Encoder, HUB, attach, kind, load, load_trained, open, with_image_side};
