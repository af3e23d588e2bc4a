//! The older format: a table whose first value says what the variables are, and whose others are
//! slices of them. Variables that were cut into several slices (on several machines) are refused.

use std::collections::{BTreeMap, BTreeSet};

use super::super::budget::Budget;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Step};
use super::message::{Value, field};
use super::table::Table;
use super::variable::{FLOAT, Shapes, charge, elements, floats, shape};
use crate::Result;

/// The shapes of the variables, from the table's first value.
pub(super) fn shapes(table: &Table) -> Result<Shapes> {
    let mut shapes = Shapes::new();
    let mut budget = Budget::for_input(table.length());
    table.visit(0..1, |key, mut value| {
        while let Some((number, value)) = field(&mut value)? {
            let (true, 1, Value::Bytes(mut about)) = (key.is_empty(), number, value) else {
                continue;
            };
            while let Some((number, value)) = field(&mut about)? {
                let (1, Value::Bytes(variable)) = (number, value) else { continue };
                let at = variable.offset();
                if let Some((name, shape)) = of_variable(variable)? {
                    charge(&mut budget, at, &name, &shape)?;
                    shapes.insert(name, shape);
                }
            }
        }
        Ok(())
    })?;
    Ok(shapes)
}

/// Name and shape of a variable, if its numbers are floating-point numbers.
fn of_variable(mut message: Cursor<'_>) -> Step<Option<(String, Vec<usize>)>> {
    let (mut named, mut extents, mut kind) = (String::new(), Vec::new(), 0);
    while let Some((number, value)) = field(&mut message)? {
        match (number, value) {
            (1, Value::Bytes(text)) => named = name(&text),
            (2, Value::Bytes(message)) => extents = shape(message)?,
            (3, Value::Number(n)) => kind = n,
            _ => {}
        }
    }
    Ok((kind == FLOAT).then_some((named, extents)))
}

fn name(text: &Cursor<'_>) -> String {
    String::from_utf8_lossy(text.rest()).into_owned()
}

/// Reads the variables of these names.
pub(super) fn read(
    table: &Table,
    names: &BTreeSet<String>,
    shapes: &Shapes,
) -> Result<BTreeMap<String, Vec<f32>>> {
    let mut found = BTreeMap::new();
    table.visit(table.blocks(), |_, mut value| {
        while let Some((number, value)) = field(&mut value)? {
            if let (2, Value::Bytes(slice)) = (number, value) {
                found.extend(of_slice(slice, names, shapes)?);
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Name and numbers of a slice, if they are wanted.
fn of_slice(
    mut message: Cursor<'_>,
    names: &BTreeSet<String>,
    shapes: &Shapes,
) -> Step<Option<(String, Vec<f32>)>> {
    let at = message.offset();
    let (mut named, mut extents, mut data) = (String::new(), None, None);
    while let Some((number, value)) = field(&mut message)? {
        match (number, value) {
            (1, Value::Bytes(text)) => named = name(&text),
            (2, Value::Bytes(message)) => extents = Some(message),
            (3, Value::Bytes(message)) => data = Some(message),
            _ => {}
        }
    }
    let (true, Some(shape)) = (names.contains(&named), shapes.get(&named)) else {
        return Ok(None);
    };
    if !extents.is_none_or(is_whole) {
        let pair = ("whole variables", format!("a slice of `{}`", named.escape_debug()));
        return Err(Fault::new(at, "a variable in slices", pair));
    }
    let numbers = data.map(numbers).transpose()?.unwrap_or_default();
    if elements(shape) == Some(numbers.len()) {
        return Ok(Some((named, numbers)));
    }
    let expected = format!("`{}` of shape {shape:?}", named.escape_debug());
    Err(Fault::new(at, "not all numbers", (expected, format!("{} numbers", numbers.len()))))
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

/// The floating-point numbers of a tensor's message: packed, one by one, or as bytes of memory.
fn numbers(mut message: Cursor<'_>) -> Step<Vec<f32>> {
    let mut numbers = Vec::new();
    while let Some((number, value)) = field(&mut message)? {
        match (number, value) {
            (4 | 5, Value::Bytes(packed)) => numbers.extend(floats(packed.rest())),
            (5, Value::Four(bits)) => numbers.push(f32::from_bits(bits)),
            _ => {}
        }
    }
    Ok(numbers)
}
