//! What holds for the project as a whole and what no compiler says: which room may import which, what it is built from,
//! and what the house looks like. Each guard names file, line and rule, and is itself tried on small bad inputs.
//!
//! - [`source`] reads Rust as tokens, [`pages`] reads Markdown.
//! - [`layers`], [`dependencies`], [`house`], [`commands`] and [`pitfalls`] are the guards.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod commands;
mod dependencies;
mod house;
mod layers;
mod pages;
mod pitfalls;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the project.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files under a folder of the project whose names end with `.extension`, sorted; named from the top.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![top().join(folder)];
    while let Some(folder) = folders.pop() {
        // Not each folder need be there: a page or a test is not owed before there is something to say.
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path.strip_prefix(top()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The text of a file, named from the top.
fn read(file: &Path) -> String {
    fs::read_to_string(top().join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Fails with all complaints at once, if there are any.
#[track_caller]
fn report(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} in all:\n{}\n", complaints.len(), complaints.join("\n"));
}
