//! The older format: a table whose first value says what the variables are, and whose others are
//! slices of them. Of variables that were cut into several slices, as several machines save them,
//! the numbers are not read.

use std::collections::{BTreeMap, BTreeSet};

use super::super::cursor::Cursor;
use super::super::fault::{Fault, Step};
use super::message::{Value, field};
use super::table::Table;
use super::variable::{Collected, Variable, Variables, floats, name, shape};
use crate::Result;

/// The variables, from the table's first value.
pub(super) fn variables(table: &Table) -> Result<Variables<()>> {
    let mut variables = Collected::new();
    table.visit(0..1, |key, mut value| {
        while let Some((number, value)) = field(&mut value)? {
            let (true, 1, Value::Bytes(mut about)) = (key.is_empty(), number, value) else {
                continue;
            };
            while let Some((number, value)) = field(&mut about)? {
                if let (1, Value::Bytes(variable)) = (number, value) {
                    add(&mut variables, variable)?;
                }
            }
        }
        Ok(())
    })?;
    Ok(variables.all)
}

/// Adds a variable by its message.
fn add(variables: &mut Collected<()>, mut message: Cursor<'_>) -> Step<()> {
    let (at, mut name) = (message.offset(), &b""[..]);
    let mut variable = Variable { shape: Vec::new(), kind: 0, place: Some(()) };
    while let Some((number, value)) = field(&mut message)? {
        match (number, value) {
            (1, Value::Bytes(text)) => name = text.rest(),
            (2, Value::Bytes(message)) => variable.shape = shape(message)?,
            (3, Value::Number(n)) => variable.kind = n,
            (4, Value::Bytes(slice)) if !is_whole(slice.clone()) => variable.place = None,
            _ => {}
        }
    }
    variables.add(at, name, variable)
}

/// Reads the variables of these names.
pub(super) fn read(
    table: &Table,
    names: &BTreeSet<String>,
    variables: &Variables<()>,
) -> Result<BTreeMap<String, Vec<f32>>> {
    let mut counts = BTreeMap::new();
    for (name, variable) in variables.iter().filter(|(name, _)| names.contains(*name)) {
        counts.insert(name.as_str(), variable.readable(table.path(), name)?.1);
    }
    let mut found = BTreeMap::new();
    table.visit(table.blocks(), |_, mut value| {
        while let Some((number, value)) = field(&mut value)? {
            if let (2, Value::Bytes(slice)) = (number, value) {
                found.extend(of_slice(slice, &counts)?);
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Name and numbers of a slice, if they are wanted.
fn of_slice(
    mut message: Cursor<'_>,
    counts: &BTreeMap<&str, usize>,
) -> Step<Option<(String, Vec<f32>)>> {
    let at = message.offset();
    let (mut named, mut data) = (&b""[..], None);
    while let Some((number, value)) = field(&mut message)? {
        match (number, value) {
            (1, Value::Bytes(text)) => named = text.rest(),
            (3, Value::Bytes(message)) => data = Some(message),
            _ => {}
        }
    }
    let named = name(at, named)?;
    let Some(&count) = counts.get(named) else { return Ok(None) };
    let numbers = data.map(|data| numbers(data, count)).transpose()?.unwrap_or_default();
    if numbers.len() == count {
        return Ok(Some((named.to_owned(), numbers)));
    }
    let expected = format!("{count} of `{}`", named.escape_debug());
    Err(Fault::new(at, "not all numbers", (expected, numbers.len().to_string())))
}

/// Whether a slice is the whole variable: no axis of it has an extent of its own.
fn is_whole(mut slice: Cursor<'_>) -> bool {
    while let Ok(Some((number, value))) = field(&mut slice) {
        if let (1, Value::Bytes(extent)) = (number, value)
            && extent.left() > 0
        {
            return false;
        }
    }
    true
}

/// The floating-point numbers of a tensor's message, `count` at the most: packed, one by one, or as
/// bytes of memory.
fn numbers(mut message: Cursor<'_>, count: usize) -> Step<Vec<f32>> {
    if count > message.left() / 4 {
        let found = format!("{} bytes", message.left());
        return message.fault("not all numbers", format!("{count} numbers"), found);
    }
    let mut numbers = Vec::with_capacity(count);
    while let Some((number, value)) = field(&mut message)? {
        let room = count - numbers.len();
        match (number, value) {
            (4 | 5, Value::Bytes(packed)) => numbers.extend(floats(packed.rest()).take(room)),
            (5, Value::Four(bits)) if room > 0 => numbers.push(f32::from_bits(bits)),
            _ => {}
        }
    }
    Ok(numbers)
}
