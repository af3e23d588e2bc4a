//! Fetching against a server on this machine that does everything a server can do wrong, and archives that mean harm.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests say why they fail or skip")]

mod cuts;
mod folders;
mod full;
mod hostile;
mod hub;
mod lies;
mod server;
mod sets;
mod tmpfs;
mod writers;
