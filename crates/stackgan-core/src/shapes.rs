//! The names and shapes of weights that were made elsewhere, and how they differ from those that a
//! network has.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::Error;

/// Shapes by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Returns the shapes of tensors.
#[must_use]
pub fn of(tensors: &BTreeMap<String, Tensor>) -> Shapes {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor.dims().to_vec())).collect()
}

/// Differences that are told one by one.
const TOLD: usize = 5;

/// What is missing of `expected` in `found`, or has another shape.
pub(crate) fn differences(expected: &Shapes, found: &Shapes) -> Vec<String> {
    let difference = |(name, shape): (&String, &Vec<usize>)| match found.get(name) {
        None => Some(format!("no `{name}`")),
        Some(other) if other != shape => Some(format!("`{name}` {other:?} instead of {shape:?}")),
        Some(_) => None,
    };
    expected.iter().filter_map(difference).collect()
}

/// The first five differences in a line, and how many more there are.
pub(crate) fn listed(mut differences: Vec<String>) -> String {
    let more = differences.len().saturating_sub(TOLD);
    differences.truncate(TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", differences.join(", "))
}

/// The first three names, and how many more there are.
pub(crate) fn first_names(found: &Shapes) -> String {
    let first: Vec<String> =
        found.keys().take(3).map(|name| format!("`{}`", shown(name))).collect();
    match found.len() - first.len() {
        0 if first.is_empty() => "nothing".to_owned(),
        0 => format!("only {}", first.join(", ")),
        others => format!("{} and {others} others", first.join(", ")),
    }
}

/// Returns the first 80 characters of a name from a file, with control characters escaped.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

/// What is wrong with sizes that were derived from shapes, in a line: its remedy, to set a size, is
/// none for a file.
pub(crate) fn wrong_sizes(error: &Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("do: "));
    format!("sizes that no such network has: {}", lines.collect::<Vec<_>>().join(", "))
}
