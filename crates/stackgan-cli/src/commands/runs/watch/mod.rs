//! `stackgan runs watch`: displays a run while it trains, as a dashboard on a terminal, as lines
//! elsewhere.
//!
//! It reads `stats.jsonl` and requests a stop with the file `STOP`. So it works from another
//! terminal, for a run of another session, and for a finished run.

mod charts;
mod lines;
mod screen;
mod watched;

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Result;

use watched::Watched;

/// Watches a run until it ends or, on a terminal, until a key is pressed.
pub(super) fn run(path: &Path) -> Result<()> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let watched = Watched::open(path);
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !dumb {
        screen::run(watched)
    } else {
        lines::run(watched)
    }
}
