//! Fetching from a server on this machine that makes every possible mistake, and malicious
//! archives.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests say why they fail or skip")]

mod by_hand;
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
