//! Dataset folders and old file formats to one prepared file, and from that to batches.
//!
//! A folder is described by [`dataset::Dataset`], which a module of [`layouts`] returns, using
//! [`formats`] and [`captions`]. It is prepared once into one file ([`prepared`], with [`crop`])
//! (again if its [`sources`] change) and joined with [`embeddings`] of its captions. Batches are planned by [`plan`] and read by
//! [`loader`].
//!
//! With the feature `fetch` the public datasets can also be downloaded and unpacked (modules
//! `fetch` and `archive`).
#![forbid(unsafe_code)]

#[cfg(feature = "fetch")]
pub mod archive;
pub mod captions;
pub mod check;
pub mod contact_sheet;
mod container;
pub mod copies;
pub mod crop;
pub mod dataset;
mod digest;
pub mod embeddings;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod formats;
pub mod layouts;
mod leftovers;
pub mod letters;
pub mod loader;
pub mod plan;
pub mod positional;
pub mod prepared;
pub mod sources;
mod sums;
#[cfg(test)]
mod testing;
pub mod toy;
#[cfg(feature = "fetch")]
pub mod unpack;
pub mod whole_file;
mod whole_folder;

pub use container::spoken;
pub use error::{Error, Result, counted, first_few, printable};
pub use stackgan_noise as noise;

/// Data can be read by several threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<(prepared::Prepared, embeddings::Embeddings, plan::Plan, Error)>();
};
