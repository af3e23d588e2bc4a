//! The machine and programs that a record was taken with.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::Result;
use serde_json::{Value, json};
use xshell::{Shell, cmd};

/// The machine and the programs, as far as the system reports them.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) date: String,
    pub(crate) facts: Value,
}

pub(crate) fn machine(root: &Path) -> Result<Machine> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    let said =
        |command: xshell::Cmd<'_>| command.quiet().ignore_stderr().read().unwrap_or_default();
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu =
        field(&file("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let commit = said(cmd!(sh, "git rev-parse --short=12 HEAD"));
    let changed = !said(cmd!(sh, "git status --porcelain --untracked-files=no")).is_empty();
    let facts = json!({
        "cpu": cpu,
        "cores": cores,
        "memory": field(&file("/proc/meminfo"), "MemTotal"),
        "system": said(cmd!(sh, "uname -srm")),
        "load_before": file("/proc/loadavg").split(' ').next().unwrap_or_default(),
        "commit": commit,
        "uncommitted_changes": changed,
        "rustc": said(cmd!(sh, "rustc --version")),
    });
    Ok(Machine { cpu, cores, date: cmd!(sh, "date -u +%F").quiet().read()?, facts })
}

impl Machine {
    /// The folder of a record, such as `2026-01-31-intel-r-xeon-r-processor-2`.
    pub(crate) fn folder(&self) -> String {
        format!("{}-{}-{}", self.date, slug(&self.cpu), self.cores)
    }

    /// The folder of a GPU's record, such as `2026-01-31-nvidia-h200`.
    pub(crate) fn folder_of(&self, gpu: &str) -> String {
        format!("{}-{}", self.date, slug(gpu))
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_folders() {
        let text = "processor\t: 0\nmodel name\t: Some(R) CPU @ 2.0GHz\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Some(R) CPU @ 2.0GHz"));
        assert_eq!(field(text, "absent"), None);
        assert_eq!(slug("Some(R) CPU @ 2.0GHz"), "some-r-cpu-2-0ghz");
    }
}
