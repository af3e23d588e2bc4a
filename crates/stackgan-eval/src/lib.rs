//! Measures of generated pictures.
//!
//! Every measure is a pure function of vectors that a network computed ([`rows::Rows`], or
//! tensors), so it can be tested by hand and used with any network. Each value comes with its
//! chance level, its standard error or a bootstrap interval; see the documentation of each measure.
//!
//! - [`features`]: networks that compute features of pictures.
//! - [`fid`], [`kid`], [`precision_recall`]: how far are generated pictures from real ones?
//!   [`moments`] accumulates the input of the first while pictures arrive.
//! - [`inception_score`]: does each picture clearly belong to a class, and are there many classes?
//! - [`r_precision`]: does a picture match its own caption better than those of others?
//! - [`variety`]: how much do the pictures of one caption differ? Uses [`ms_ssim`].
//! - [`nearest`]: which training pictures are nearest?
//! - [`gathering`]: what these need of pictures, collected as they come; [`comparison`]: the values,
//!   named and with their conditions.
//! - [`report`]: values with all that is needed to compare them.
//! - [`zero_shot`]: Reed's evaluation of a text encoder on unseen classes.
#![forbid(unsafe_code)]

pub mod bootstrap;
pub mod comparison;
mod error;
pub mod features;
pub mod fid;
pub mod gathering;
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
