//! Repository rules that no other tool checks: file lengths, a module comment in each file, no
//! ignored tests, nothing unfinished, no files that use each other in a circle, no dependency below
//! a version with a known fault.

mod flow;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::testing;

/// Maximum number of lines of a source file.
const LONGEST: usize = 600;
/// Upper bound of the median number of lines of a source file.
const MEDIAN: usize = 200;

/// Minimum versions of dependencies; lower ones have published faults.
const FLOORS: &[(&str, [u64; 3])] =
    &[("tar", [0, 4, 45]), ("zip", [2, 3, 0]), ("ring", [0, 17, 12])];
/// Dependencies that are not allowed.
const BANNED: &[&str] = &["tokio-tar", "openssl-sys", "serde_yaml"];

/// Words that are not allowed in sources. They are split, so that this file passes its own check.
const WORDS: &[(&str, &str)] = &[
    (concat!("#[ig", "nore"), "a test that is not run says nothing"),
    (concat!("to", "do!("), "unfinished"),
    (concat!("unimpl", "emented!("), "unfinished"),
    (concat!("dbg", "!("), "left over"),
];

/// Checks all rules and reports everything that breaks one.
pub(crate) fn tidy(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    let sources = sources(root)?;
    let mut lengths = Vec::new();
    for (name, text) in &sources {
        lengths.push(text.lines().count());
        let of = faults_of(text).into_iter().chain(leads_out(name, text));
        faults.extend(of.map(|fault| format!("{name}: {fault}")));
    }
    faults.extend(testing::faults(root, &sources)?);
    faults.extend(flow::circles(&sources)?);
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    if median >= MEDIAN {
        faults.push(format!("the median source file has {median} lines, {MEDIAN} are too many"));
    }
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock is committed")?;
    faults.extend(lock_faults(&lock)?);
    if faults.is_empty() {
        println!("tidy: {} files, median {median} lines, nothing to say", sources.len());
        return Ok(());
    }
    bail!("{} faults:\n  {}", faults.len(), faults.join("\n  "))
}

/// The sources of the workspace: path from the root, and text.
fn sources(root: &Path) -> Result<Vec<(String, String)>> {
    let mut paths = Vec::new();
    for folder in ["crates", "xtask", "tests"] {
        collect(&root.join(folder), &mut paths)?;
    }
    let read = |path: &PathBuf| {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((path.strip_prefix(root).unwrap_or(path).display().to_string(), text))
    };
    paths.iter().map(read).collect()
}

fn faults_of(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST {
        faults.push(format!("{lines} lines, {LONGEST} are allowed"));
    }
    if !text.starts_with("//!") {
        faults.push("does not open with `//!` and what it is".to_owned());
    }
    for (word, why) in WORDS {
        let found = text.lines().position(|line| line.contains(word));
        faults.extend(found.map(|n| format!("line {}: `{word}`: {why}", n + 1)));
    }
    faults
}

/// Finds a file that a crate's source includes from outside of the crate: the crate could not be
/// published.
fn leads_out(name: &str, text: &str) -> Option<String> {
    let ups_allowed = name.strip_prefix("crates/")?.split_once("/src/")?.1.matches('/').count() + 1;
    let taken = ["include_str!(\"", "include_bytes!(\""].iter().flat_map(|taken| {
        text.match_indices(taken)
            .filter_map(|(at, _)| text.get(at + taken.len()..)?.split('"').next())
    });
    let mut out = taken.filter(|path| path.matches("../").count() > ups_allowed);
    out.next().map(|path| format!("`{path}` is outside of the crate"))
}

fn lock_faults(lock: &str) -> Result<Vec<String>> {
    let lock: toml::Table = lock.parse().context("Cargo.lock is no TOML")?;
    let mut faults = Vec::new();
    for package in lock.get("package").and_then(toml::Value::as_array).into_iter().flatten() {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str).unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        if BANNED.contains(&name) {
            faults.push(format!("Cargo.lock: {name} must not come in"));
        }
        if text("source").starts_with("git+") {
            faults.push(format!("Cargo.lock: {name} comes from git, not from a registry"));
        }
        let mut numbers = version.split(['.', '-', '+']).map(|n| n.parse::<u64>().unwrap_or(0));
        let found = [(); 3].map(|()| numbers.next().unwrap_or(0));
        let floor = FLOORS.iter().find(|(floored, _)| *floored == name);
        if let Some((_, [a, b, c])) = floor.filter(|(_, floor)| found < *floor) {
            faults.push(format!(
                "Cargo.lock: {name} {version} has a known fault; {a}.{b}.{c} is the least"
            ));
        }
    }
    Ok(faults)
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_finds_what_breaks_it() {
        assert!(faults_of("//! A file.\nfn f() {}\n").is_empty());
        assert_eq!(faults_of("fn f() {}\n").len(), 1);
        assert_eq!(faults_of(&"//! long\n".repeat(601)).len(), 1);
        for (word, _) in WORDS {
            assert_eq!(faults_of(&format!("//! A file.\n{word}")).len(), 1, "{word}");
        }
    }

    #[test]
    fn what_a_crate_takes_in_is_its_own() {
        let text = "include_str!(\"../../presets/x.toml\")";
        assert_eq!(leads_out("crates/a/src/b/c.rs", text), None);
        assert!(leads_out("crates/a/src/b.rs", text).is_some());
        assert_eq!(leads_out("crates/a/tests/b.rs", text), None);
        let bytes = "f(include_bytes!(\"page/x.css\"), include_bytes!(\"../../x\"))";
        assert!(leads_out("crates/a/src/b.rs", bytes).unwrap().contains("../../x"));
    }

    #[test]
    fn old_banned_and_git_dependencies_are_found() {
        let entry = |name: &str, version: &str, source: &str| {
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\n"
            )
        };
        let registry = "registry+x";
        assert!(lock_faults(&entry("tar", "0.4.45", registry)).unwrap().is_empty());
        assert!(lock_faults(&entry("tar", "1.0.0", registry)).unwrap().is_empty());
        assert_eq!(lock_faults(&entry("tar", "0.4.44", registry)).unwrap().len(), 1);
        assert_eq!(lock_faults(&entry("tokio-tar", "1.0.0", registry)).unwrap().len(), 1);
        assert_eq!(lock_faults(&entry("candle", "1.0.0", "git+x")).unwrap().len(), 1);
    }
}
