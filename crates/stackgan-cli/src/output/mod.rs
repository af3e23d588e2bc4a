//! Results: lines on standard output, or JSON; and files that are written atomically and apart from
//! what is read.

mod apart;
mod files;
mod form;
mod lines;
mod outside;
mod own;
mod paths;
mod written;

pub(crate) use apart::{apart, leads_to};
pub(crate) use files::{
    check_new, check_writable, create_folder_of, write_file, write_kept, write_pieces,
};
pub(crate) use form::{Answer, Form};
pub(crate) use lines::{aligned, beginning, print, print_to_reader};
pub(crate) use outside::outside;
pub(crate) use own::{part_of_a_dataset, said_kind, spare, would_replace};
pub(crate) use paths::{absolute, path_text, quoted};
pub(crate) use written::Written;
