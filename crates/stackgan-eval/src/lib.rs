//! From pictures to numbers.
//!
//! Every measure is a pure function of vectors that a network made ([`rows::Rows`], or tensors), so that it can be tested
//! by hand and used with any network. A number comes with its chance level, its standard error or a bootstrap interval:
//! see the documentation of each.
//!
//! - [`features`]: networks that make features of pictures.
//! - [`fid`], [`kid`], [`precision_recall`]: how far is what was painted from what is real? [`moments`] gathers what the
//!   first needs while pictures come.
//! - [`inception_score`]: are pictures clear of class, and of many classes?
//! - [`r_precision`]: does a picture match its own caption better than those of others?
//! - [`variety`]: how much do pictures of one caption differ? With [`ms_ssim`].
//! - [`nearest`]: which training pictures are nearest?
//! - [`report`]: numbers with all that is needed to compare them.
//! - [`zero_shot`]: Reed's evaluation of a text encoder on classes that it has not seen.
#![forbid(unsafe_code)]

pub mod bootstrap;
mod error;
pub mod features;
pub mod fid;
pub mod inception_score;
pub mod kid;
pub mod moments;
pub mod ms_ssim;
pub mod nearest;
pub mod precision_recall;
pub mod r_precision;
pub mod report;
pub mod rows;
pub mod variety;
pub mod zero_shot;

pub use error::{Error, Result};
