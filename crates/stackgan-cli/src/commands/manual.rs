//! `stackgan man`: the help texts of all commands as manual pages.

use std::path::Path;

use anyhow::Result;
use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::args::Cli;
use crate::output::{print, write_file};

/// Writes `stackgan.1`, `stackgan-train.1`, `stackgan-data-import.1` and so on into `folder`.
pub(super) fn run(folder: &Path) -> Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut left = vec![program];
    while let Some(command) = left.pop() {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        left.extend(command.get_subcommands().cloned());
        let mut page = Vec::new();
        let examples = command.get_before_help().map(ToString::to_string).unwrap_or_default();
        Man::new(command).render(&mut page)?;
        page.extend(section(&examples).into_bytes());
        write_file(&folder.join(format!("{name}.1")), &page)?;
    }
    print(folder.display())
}

/// The examples of a help text as a section of a page, line by line; empty if there are none.
fn section(examples: &str) -> String {
    let line = |line: &str| {
        line.strip_prefix("  ").unwrap_or(line).replace('\\', "\\e").replace('-', "\\-") + "\n"
    };
    let lines: String = examples.lines().skip(1).map(line).collect(); // the first is the heading
    if lines.is_empty() { lines } else { format!(".SH EXAMPLES\n.nf\n{lines}.fi\n") }
}
