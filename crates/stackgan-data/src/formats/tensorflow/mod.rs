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
use self::variable::{REMEDY, Variables, damaged};
use crate::{Error, Result};

/// An open checkpoint.
#[derive(Debug)]
pub struct Checkpoint(Form);

#[derive(Debug)]
enum Form {
    Slices(Table, Variables<()>),
    Bundle(Bundle),
}

impl Checkpoint {
    /// Opens the checkpoint that `path` names: its file, its `.index`, one of its files of numbers,
    /// or the beginning of their names (`model.ckpt`). Returns `None` if there is no such file, or
    /// if it is not a checkpoint of TensorFlow.
    ///
    /// # Errors
    /// When the file cannot be read, its table is damaged, there are numbers without a table, or the
    /// older format is in several files.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let Some(path) = place(path)? else { return Ok(None) };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(table) = Table::open(&path)? else {
            if name.ends_with(".index") {
                let pair = ("a table".to_owned(), "another end".to_owned());
                return Err(damaged(&path, "no index of a checkpoint", "its end", pair));
            }
            return Ok(None);
        };
        let mut sliced = false;
        table.visit(0..1, |key, value| {
            if key.is_empty() {
                sliced = matches!(field(&mut value.clone())?, Some((1, Value::Bytes(_))));
            }
            Ok(())
        })?;
        if !sliced {
            return Ok(Some(Self(Form::Bundle(Bundle::open(&table)?))));
        }
        if bundle::shard(&name).is_some_and(|(_, files)| files > 1) {
            let pair = ("a checkpoint in one file".to_owned(), "one of several".to_owned());
            return Err(damaged(&path, "a part of a checkpoint", "the name", pair));
        }
        let variables = slices::variables(&table)?;
        Ok(Some(Self(Form::Slices(table, variables))))
    }

    /// The shapes of all variables by name, whatever their numbers are.
    #[must_use]
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        fn shapes<P>(variables: &Variables<P>) -> BTreeMap<String, Vec<usize>> {
            variables.iter().map(|(name, v)| (name.clone(), v.shape.clone())).collect()
        }
        match &self.0 {
            Form::Slices(_, variables) => shapes(variables),
            Form::Bundle(bundle) => shapes(bundle.variables()),
        }
    }

    /// Reads the variables of these names, each in row-major order.
    ///
    /// # Errors
    /// When the checkpoint does not hold all of them, whole and in 32-bit floating-point numbers, or
    /// their numbers are damaged.
    pub fn read(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, Vec<f32>>> {
        let found = match &self.0 {
            Form::Slices(table, variables) => slices::read(table, names, variables)?,
            Form::Bundle(bundle) => bundle.read(names)?,
        };
        match names.iter().find(|name| !found.contains_key(*name)) {
            None => Ok(found),
            Some(name) => {
                let pair = (format!("the numbers of `{}`", name.escape_debug()), "none".to_owned());
                Err(damaged(self.file(), "no numbers of a variable", "the variable", pair))
            }
        }
    }

    /// The file with the checkpoint's table.
    #[must_use]
    pub fn file(&self) -> &Path {
        match &self.0 {
            Form::Slices(table, _) => table.path(),
            Form::Bundle(bundle) => bundle.path(),
        }
    }

    /// All files of the checkpoint.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.0 {
            Form::Slices(table, _) => vec![table.path().to_owned()],
            Form::Bundle(bundle) => bundle.files(),
        }
    }
}

/// The file with the table of the checkpoint that `path` names, if there is one.
fn place(path: &Path) -> Result<Option<PathBuf>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !path.exists() {
        // As `Saver.save` returns them.
        let behind = |end: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        let of_any = path.with_file_name(name.replace("-?????-of-", "-00000-of-"));
        let files = [behind(".index"), behind("-00000-of-00001"), of_any];
        return Ok(files.into_iter().find(|file| file.exists()));
    }
    let numbers = bundle::shard(&name).and_then(|(prefix, _)| prefix.strip_suffix(".data"));
    match numbers.map(|prefix| path.with_file_name(format!("{prefix}.index"))) {
        None => Ok(Some(path.to_owned())),
        Some(index) if index.exists() => Ok(Some(index)),
        Some(index) => Err(Error::missing(
            &index,
            "numbers of a checkpoint without its index",
            format!("what `{}` holds", name.escape_debug()),
            REMEDY,
        )),
    }
}
