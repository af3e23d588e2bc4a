//! Text encoders: opened by their names, trained, scored, and used to encode captions.

mod encoding;
mod features;
mod kept;
mod made_by;
mod named;
mod scores;
mod training;
mod unfinished;
mod unread;

pub(crate) use encoding::{encode, encode_captions, encoded, encoded_once};
pub(crate) use features::{better_encoder, picture_features, picture_network, weights_of};
pub(crate) use kept::{check_new, free_name};
pub(crate) use made_by::{ClaimedMaker, ImportedEmbeddings};
pub(crate) use named::{
    Encoder, attach, attach_to_read, kind, load, load_trained, of_model, open, with_image_side,
};
pub(crate) use scores::{describe_scores, scores, warning};
pub(crate) use training::{Length, Lesson, SMALL_STEPS, Taught, train, training_classes};
pub(crate) use unfinished::Unfinished;
pub(crate) use unread::{Unread, warn_unread, warn_unread_by};
