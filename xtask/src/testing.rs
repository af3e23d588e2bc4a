//! Generates `docs/testing.md`: what the tests did, from their own ledger, and what they do not
//! cover.
//!
//! Tests note counts with `ledger!(name, count, what)`, which are written to the folder that
//! `STACKGAN_LEDGER` names. `cargo xtask testing` runs the tests in this way and keeps the notes in
//! `docs/testing/ledger.jsonl`. The page is a function of that file and of `docs/testing/gaps.md`, so
//! `tidy` can tell whether it is stale without running a test.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use xshell::{Shell, cmd};

const LEDGER: &str = "docs/testing/ledger.jsonl";
const GAPS: &str = "docs/testing/gaps.md";
const PAGE: &str = "docs/testing.md";

/// The beginning of a note in a test, split so that this file does not contain it.
const NOTE: &str = concat!("ledger", "!(");

/// Runs the tests that keep the ledger, and writes the ledger and the page. With `page_only` no
/// test is run.
pub(crate) fn testing(root: &Path, page_only: bool) -> Result<()> {
    if !page_only {
        let sh = Shell::new()?;
        sh.change_dir(root);
        let notes = tempfile::tempdir()?;
        let folder = notes.path();
        cmd!(sh, "cargo test --workspace --test it --test program")
            .env("STACKGAN_LEDGER", folder)
            .run()?;
        let mut lines = BTreeSet::new();
        for entry in fs::read_dir(folder)? {
            lines.insert(fs::read_to_string(entry?.path())?);
        }
        fs::create_dir_all(root.join("docs/testing"))?;
        fs::write(root.join(LEDGER), lines.into_iter().collect::<String>())?;
    }
    fs::write(root.join(PAGE), page(root)?)?;
    println!("{PAGE} is written");
    Ok(())
}

/// The reasons why the page is stale.
pub(crate) fn faults(root: &Path, sources: &[(String, String)]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let notes = ledger(root)?;
    for Note { name, test, .. } in &notes {
        let function = format!("fn {}()", test.rsplit("::").next().unwrap_or(test));
        if !sources.iter().any(|(_, text)| text.contains(&function)) {
            faults.push(format!("{LEDGER}: `{name}`: there is no test `{test}`"));
        }
    }
    let kept: BTreeSet<String> = notes.into_iter().map(|note| note.name).collect();
    let declared: BTreeSet<String> = sources.iter().flat_map(|(_, text)| declared(text)).collect();
    for name in declared.difference(&kept) {
        faults.push(format!("{LEDGER}: nothing of `{name}`: run `cargo xtask testing`"));
    }
    for name in kept.difference(&declared) {
        faults.push(format!("{LEDGER}: no test keeps `{name}`: run `cargo xtask testing`"));
    }
    if fs::read_to_string(root.join(PAGE)).unwrap_or_default() != page(root)? {
        faults.push(format!("{PAGE} is stale: run `cargo xtask testing --page-only`"));
    }
    Ok(faults)
}

/// One line of the ledger.
#[derive(Deserialize)]
struct Note {
    name: String,
    count: u64,
    what: String,
    seed: u64,
    test: String,
}

fn ledger(root: &Path) -> Result<Vec<Note>> {
    let text = fs::read_to_string(root.join(LEDGER))
        .with_context(|| format!("{LEDGER} is not there: run `cargo xtask testing`"))?;
    let note = |line: &str| -> Result<Note> {
        serde_json::from_str(line).with_context(|| format!("{LEDGER}: {line}"))
    };
    text.lines().map(note).collect()
}

/// The names of the notes in a source.
fn declared(text: &str) -> Vec<String> {
    let after = text.split(NOTE).skip(1);
    after
        .filter_map(|rest| Some(rest.trim_start().strip_prefix('"')?.split('"').next()?.to_owned()))
        .collect()
}

fn page(root: &Path) -> Result<String> {
    let gaps =
        fs::read_to_string(root.join(GAPS)).with_context(|| format!("{GAPS} is not there"))?;
    let mut notes = ledger(root)?;
    notes.sort_by(|a, b| a.name.cmp(&b.name));
    if notes.is_empty() {
        bail!("{LEDGER} is empty: run `cargo xtask testing`");
    }
    let mut page = String::from(
        "# What the tests did\n\n\
         Written by `cargo xtask testing` from the tests' own ledger; `cargo xtask tidy` fails when it is stale. How each part is tested \
         is in [how-it-is-tested.md](how-it-is-tested.md).\n\n\
         ## Counted\n\n\
         Each number was written by the test that did it, and the test fails when it does less than it promises. `STACKGAN_TEST_SEED` takes \
         another seed; the one below is the default. `STACKGAN_TEST_FULL` takes the full counts where the suite does fewer \
         ([how-it-is-tested.md](how-it-is-tested.md#full-counts)).\n\n\
         | what | count | seed | test |\n|---|---:|---:|---|\n",
    );
    for Note { count, what, seed, test, .. } in &notes {
        writeln!(page, "| {what} | {} | {seed} | `{test}` |", thousands(*count))?;
    }
    Ok(page + "\n## What is not covered\n\n" + &gaps)
}

/// A number with thousands separators: `45768` as `45,768`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_in_a_source_and_a_number_is_read_well() {
        let source = format!("{NOTE}\"a.b\", 3, \"x\");\n{NOTE}\n    \"c\", n, \"y\");");
        assert_eq!(declared(&source), ["a.b", "c"]);
        assert_eq!([7, 999, 1000, 1_234_567].map(thousands), ["7", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_stale_page_and_a_missing_note_are_told() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("docs/testing")).unwrap();
        let line = r#"{"name":"a","count":12,"what":"things","seed":1,"test":"m::t"}"#;
        fs::write(root.path().join(LEDGER), line).unwrap();
        fs::write(root.path().join(GAPS), "- nothing\n").unwrap();
        let source = |test: &str, note: &str| {
            (
                "crates/x/src/lib.rs".to_owned(),
                format!("fn {test}() {{ {NOTE}\"{note}\", 12, \"\") }}"),
            )
        };
        let told = |sources: &[(String, String)]| faults(root.path(), sources).unwrap().len();
        let sources = [source("t", "a")];
        assert_eq!(told(&sources), 1, "no page");
        testing(root.path(), true).unwrap();
        assert_eq!(told(&sources), 0);
        assert_eq!(told(&[source("t", "a"), source("u", "b")]), 1, "a note without a count");
        assert_eq!(told(&[source("renamed", "a")]), 1, "no such test");
    }
}
