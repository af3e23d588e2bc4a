//! Checkpoints of TensorFlow: the variables of a training run by name, from both of its formats.
//!
//! Up to TensorFlow 0.11, and on request later, a checkpoint is one sorted table of slices of
//! variables (`tensorflow/core/util/tensor_slice_writer.cc`). Since then it is a table of places,
//! `.index`, and files of numbers, `.data-00000-of-00001`
//! (`tensorflow/core/util/tensor_bundle`). Both tables are those of `LevelDB`. A file is read by
//! position, a block at a time: a checkpoint of training holds three times the weights of four
//! networks, of which one is wanted. All sums of what is read are compared.

mod bundle;
mod message;
mod slices;
mod table;
mod variable;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::bundle::Bundle;
use self::message::{Value, field};
use self::table::Table;
use self::variable::{REMEDY, Shapes, damaged};
use crate::{Error, Result};

/// An open checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    shapes: Shapes,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Slices(Table),
    Bundle(Bundle),
}

impl Checkpoint {
    /// Opens the checkpoint that `path` names: its one file, its `.index`, one of its files of
    /// numbers, or the beginning of their names (`model.ckpt`). Returns `None` if there is no such
    /// file, or if it is not a checkpoint of TensorFlow.
    ///
    /// # Errors
    /// When the file cannot be read, its table is damaged, or there are numbers without a table.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let Some(path) = place(path)? else { return Ok(None) };
        let Some(table) = Table::open(&path)? else { return Ok(None) };
        let mut sliced = false;
        table.visit(0..1, |key, value| {
            if key.is_empty() {
                sliced = matches!(field(&mut value.clone())?, Some((1, Value::Bytes(_))));
            }
            Ok(())
        })?;
        let (shapes, form) = if sliced {
            (slices::shapes(&table)?, Form::Slices(table))
        } else {
            let (shapes, bundle) = Bundle::open(&table, &path)?;
            (shapes, Form::Bundle(bundle))
        };
        Ok(Some(Self { shapes, form }))
    }

    /// The shapes of the variables of 32-bit floating-point numbers, by name. Others (counters) are
    /// left out.
    #[must_use]
    pub const fn shapes(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.shapes
    }

    /// Reads the variables of these names, each in row-major order.
    ///
    /// # Errors
    /// When the checkpoint does not hold all of them, or their numbers are damaged.
    pub fn read(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, Vec<f32>>> {
        let found = match &self.form {
            Form::Slices(table) => slices::read(table, names, &self.shapes)?,
            Form::Bundle(bundle) => bundle.read(names, &self.shapes)?,
        };
        match names.iter().find(|name| !found.contains_key(*name)) {
            None => Ok(found),
            Some(name) => {
                let expected = format!("the numbers of `{}`", name.escape_debug());
                Err(damaged(self.file(), "no numbers of a variable", expected, "none".to_owned()))
            }
        }
    }

    /// The file with the checkpoint's table.
    #[must_use]
    pub fn file(&self) -> &Path {
        match &self.form {
            Form::Slices(table) => table.path(),
            Form::Bundle(bundle) => bundle.path(),
        }
    }

    /// All files of the checkpoint.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.form {
            Form::Slices(table) => vec![table.path().to_owned()],
            Form::Bundle(bundle) => bundle.files(),
        }
    }
}

/// The file with the table of the checkpoint that `path` names, if there is one.
fn place(path: &Path) -> Result<Option<PathBuf>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of = |prefix: &str| path.with_file_name(format!("{prefix}.index"));
    if !path.exists() {
        return Ok(Some(of(&name)).filter(|file| file.exists()));
    }
    match bundle::prefix(&name).map(of) {
        None => Ok(Some(path.to_owned())),
        Some(file) if file.exists() => Ok(Some(file)),
        Some(file) => Err(Error::Missing {
            what: "numbers of a checkpoint without its index".to_owned(),
            file,
            expected: format!("what `{}` holds", name.escape_debug()),
            remedy: REMEDY.to_owned(),
        }),
    }
}
