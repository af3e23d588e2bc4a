//! Results: lines on standard output, and files that are written atomically and apart from what is
//! read.

mod apart;
mod files;
mod lines;

pub(crate) use apart::{apart, leads_to};
pub(crate) use files::{check_writable, create_folder_of, write_file, write_pieces};
pub(crate) use lines::{aligned, path_text, print, print_to_reader, quoted};
