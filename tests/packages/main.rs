//! What is handed to those who install Locum: the manual and the completions, the Debian package with its unit, the
//! container file and the chart. The package is installed in a Debian with nothing else in it, and run there by systemd.
//!
//! - [`scripts`]: what shells and `man` are told. [`deb`] makes the package, [`machine`] the Debian, [`unit`] looks at both.
//! - [`sbom`]: what it says that it is made of.
//! - [`image`]: the container file. [`chart`]: what Helm makes of the chart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod chart;
#[path = "../support/child.rs"]
#[expect(dead_code, reason = "it is made for many servers and clients; here is one")]
mod child;
mod deb;
mod image;
mod machine;
mod sbom;
mod scripts;
mod unit;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The top of the project.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `tests/install` left in the cache.
fn cached(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|it| !it.is_empty()).map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    let path = cache.join("locum-tests").join(name);
    assert!(path.exists(), "there is no {}: run tests/install", path.display());
    path
}

/// Runs to the end; standard output. Panics with all that was said unless it succeeds.
#[track_caller]
fn run(command: &mut Command) -> String {
    String::from_utf8(child::run_well(command, b"")).unwrap()
}
