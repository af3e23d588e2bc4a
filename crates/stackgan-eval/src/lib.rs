//! From pictures to numbers.
//!
//! Every measure is a pure function of vectors that an encoder made, so that it can be tested by hand and used with any
//! encoder. A number comes with its chance level or its standard error: see the documentation of each.
//!
//! - [`features`]: networks that make features of pictures.
//! - [`r_precision`]: does a picture match its own caption better than those of others?
//! - [`zero_shot`]: Reed's evaluation of a text encoder on classes that it has not seen.
#![forbid(unsafe_code)]

mod error;
pub mod features;
pub mod r_precision;
pub mod zero_shot;

pub use error::{Error, Result};
