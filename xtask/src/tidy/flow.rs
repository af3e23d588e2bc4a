//! Which way uses run: no file of a crate may use a file that uses it, however long the way round.
//!
//! Names that a file passes on (`pub use`) lead to the file that defines them, and are not used by
//! the one that only passes them on. Tests are left out, and what macros are given that is no list
//! of expressions.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ImplItem, Item, ItemMod, ItemUse, Macro, Meta, Token, UseTree, Visibility,
};

/// The names from a crate's root to a module, or to an item in one.
type Path = Vec<String>;

/// The files of one crate by their modules.
type Files<'a> = BTreeMap<Path, &'a str>;

/// Names that modules take with `use`, and what of the crate they name; `None`: another crate's.
type Taken = BTreeMap<Path, Option<Path>>;

/// Finds, in each crate, a circle of files that use each other, if there is one.
///
/// `sources`: path from the repository's root, and text, of all sources.
pub(crate) fn circles(sources: &[(String, String)]) -> Result<Vec<String>> {
    let mut crates: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (name, text) in sources {
        if let Some((of, file)) = name.split_once("/src/") {
            crates.entry(of).or_default().push((file, text));
        }
    }
    let mut faults = Vec::new();
    for (of, files) in crates {
        if let Some(circle) = circle(&uses(&files).with_context(|| format!("in {of}/src"))?) {
            faults.push(format!(
                "{of}/src: files use each other in a circle: {}; what they share belongs in a file below them",
                circle.join(" -> ")
            ));
        }
    }
    Ok(faults)
}

/// Which files each file of a crate uses.
fn uses<'a>(sources: &[(&'a str, &str)]) -> Result<BTreeMap<&'a str, BTreeSet<&'a str>>> {
    let files: Files<'_> = sources.iter().map(|(file, _)| (module(file), *file)).collect();
    let mut said = Vec::new();
    let mut tests = Vec::new();
    let mut taken = Taken::new();
    for (file, text) in sources {
        let mut reader = Reader::new(module(file), &files);
        reader.visit_file(&syn::parse_file(text).with_context(|| format!("cannot read {file}"))?);
        let Reader { mut used, taken: mut names, named, tests: mut only, .. } = reader;
        let taken_here = |(at, path): &(usize, Path)| {
            path.get(..=*at).is_some_and(|name| names.contains_key(name))
        };
        used.extend(named.into_iter().filter(taken_here).map(|(_, path)| path));
        tests.append(&mut only);
        taken.append(&mut names);
        said.push((module(file), *file, used));
    }
    let mut uses = BTreeMap::<_, BTreeSet<_>>::new();
    for (module, file, used) in said {
        if tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        let used = used.into_iter().filter_map(|path| defined_in(path, &taken, &files));
        uses.entry(file).or_default().extend(used.filter(|used| *used != file));
    }
    Ok(uses)
}

/// The module that a file is: `a/b.rs` and `a/b/mod.rs` are `a::b`.
fn module(file: &str) -> Path {
    let mut path: Path = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    path.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    path
}

/// The file that defines what `path` names.
fn defined_in<'a>(mut path: Path, taken: &Taken, files: &Files<'a>) -> Option<&'a str> {
    // A name is passed on by a few files at the most; the bound ends what passes on itself.
    for _ in 0..8 {
        let at = (0..=path.len()).rev().find(|n| files.contains_key(&path[..*n]))?;
        match taken.get(path.get(..=at).unwrap_or_default()) {
            None => return files.get(&path[..at]).copied(),
            Some(next) => path = [next.as_ref()?.as_slice(), &path[at + 1..]].concat(),
        }
    }
    None
}

/// The shortest way from a file back to itself.
fn circle<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let rounds = uses.keys().filter_map(|first| {
        let mut ways = vec![vec![*first]];
        let mut seen = BTreeSet::new();
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                for next in uses.get(way.last()?).into_iter().flatten() {
                    let way = [way.as_slice(), &[*next]].concat();
                    if next == first {
                        return Some(way);
                    }
                    if seen.insert(*next) {
                        longer.push(way);
                    }
                }
            }
            ways = longer;
        }
        None
    });
    rounds.min_by_key(Vec::len)
}

/// Collects what a file names of its crate.
struct Reader<'a> {
    at: Path,
    files: &'a Files<'a>,
    used: BTreeSet<Path>,
    taken: Taken,
    /// Paths that begin with a name of the module in which they stand, behind that module's path,
    /// whose length is before them.
    named: BTreeSet<(usize, Path)>,
    /// Modules that only tests have.
    tests: Vec<Path>,
}

impl<'a> Reader<'a> {
    fn new(at: Path, files: &'a Files<'a>) -> Self {
        let (used, named) = (BTreeSet::new(), BTreeSet::new());
        Self { at, files, used, taken: Taken::new(), named, tests: Vec::new() }
    }

    /// The path from the crate's root, if it is one of the crate.
    fn absolute(&self, path: &[String]) -> Option<Path> {
        let mut at = self.at.as_slice();
        let mut rest = path;
        while let [first, others @ ..] = rest {
            match first.as_str() {
                "crate" => at = &[],
                "self" => {}
                "super" => at = at.split_last()?.1,
                _ => break,
            }
            rest = others;
        }
        let absolute = [at, rest].concat();
        let child = || self.files.contains_key(absolute.get(..=at.len()).unwrap_or_default());
        (rest.len() < path.len() || child()).then_some(absolute)
    }

    fn read(&mut self, tree: &UseTree, before: &[String], on: bool) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        let (path, name) = match tree {
            UseTree::Path(path) => return self.read(&path.tree, &with(&path.ident), on),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|item| self.read(item, before, on));
            }
            UseTree::Name(name) if name.ident == "self" => {
                (before.to_vec(), before.last().cloned().unwrap_or_default())
            }
            UseTree::Name(name) => (with(&name.ident), name.ident.to_string()),
            UseTree::Rename(name) => (with(&name.ident), name.rename.to_string()),
            UseTree::Glob(_) => (before.to_vec(), "*".to_owned()),
        };
        let path = self.absolute(&path);
        if !on {
            self.used.extend(path.clone());
        }
        self.taken.insert([self.at.as_slice(), &[name]].concat(), path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.at.push(item.ident.to_string());
        if for_tests(&item.attrs) {
            self.tests.push(self.at.clone());
        } else {
            visit::visit_item_mod(self, item);
        }
        self.at.pop();
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.read(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Path = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // A name alone is more often a variable's than a module's.
        match self.absolute(&names).filter(|_| names.len() > 1) {
            Some(path) => drop(self.used.insert(path)),
            None => drop(self.named.insert((self.at.len(), [self.at.as_slice(), &names].concat()))),
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_macro(&mut self, item: &'ast Macro) {
        let inner = item.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        for expression in inner.into_iter().flatten() {
            // What is in a macro is not part of the file's tree, so it does not live as long.
            let mut reader = Reader::new(self.at.clone(), self.files);
            reader.visit_expr(&expression);
            self.used.append(&mut reader.used);
            self.named.append(&mut reader.named);
        }
        visit::visit_macro(self, item);
    }
}

/// Whether what has these attributes is of tests alone: `cfg(test)`, `cfg(all(test, …))`.
fn for_tests(attributes: &[Attribute]) -> bool {
    let test = |attribute: &Attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let text = list.tokens.to_string();
            let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
            matches!(
                (words.next(), words.next()),
                (Some("test"), None) | (Some("all"), Some("test"))
            )
        }
        _ => false,
    };
    attributes.iter().any(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(name, text): &(&str, &str)| (format!("crates/x/src/{name}"), (*text).into());
        circles(&files.iter().map(source).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_runs_one_way_passes() {
        let files = [
            (
                "lib.rs",
                "mod a; mod b; pub use b::Top; pub use a::Error; pub use candle_core as candle;",
            ),
            ("a/mod.rs", "pub struct Error; mod c; pub use c::C;"),
            (
                "a/c.rs",
                "use std::fmt::Write; pub struct C(crate::candle::Tensor); #[cfg(test)] mod tests { use crate::b::Top; } #[cfg(all(test, unix))] fn t() { crate::b::f() } impl C { #[cfg(test)] const X: u8 = crate::b::X; }",
            ),
            (
                "b.rs",
                "use crate::a::C; fn f() -> crate::Error { format!(\"{}\", crate::a::Error) } pub struct Top;",
            ),
        ];
        assert!(found(&files).is_empty());
    }

    #[test]
    fn a_circle_is_named_whole() {
        let parent = [
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; fn f() { b::g() } pub struct Given;"),
            ("a/b.rs", "use super::Given; pub fn g() {}"),
        ];
        let told = found(&parent);
        assert!(told[0].contains("a.rs -> a/b.rs -> a.rs"), "{told:?}");
        let three = [
            ("lib.rs", "mod a; mod b; mod c; pub use c::C;"),
            ("a.rs", "use crate::b::{self, B};"),
            ("b.rs", "pub struct B; fn f(c: super::C) {}"),
            ("c.rs", "pub struct C; fn f() { assert!(crate::a::F) }"),
        ];
        let passed_on = [
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; pub use b::B; fn f(b: B) {} pub struct Given;"),
            ("a/b.rs", "pub struct B(super::Given);"),
        ];
        assert!(found(&passed_on)[0].contains("a.rs -> a/b.rs -> a.rs"));
        let through = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b; fn f() { b::g() } pub fn h() {}"),
            ("b/mod.rs", "mod c; pub use c::g;"),
            ("b/c.rs", "pub fn g() { crate::a::h() }"),
        ];
        assert!(found(&through)[0].contains("a.rs -> b/c.rs -> a.rs"), "{:?}", found(&through));
        assert!(found(&three)[0].contains("a.rs -> b.rs -> c.rs -> a.rs"), "{:?}", found(&three));
    }
}
