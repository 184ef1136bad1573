//! What Locum tells of itself is what alerts and dashboards look for: a real Locum is brought into each trouble, its real
//! `/metrics` is scraped, and the shipped rules are evaluated over that by Prometheus' own promtool. Where `tests/install`
//! did not provide that the tests fail.
//!
//! - `states`: the troubles, and which alerts fire. `rules`: the rules that no trouble here sets off, over made-up series.
//! - `dashboard`: the queries of the dashboard. `pages`: docs/metrics.md and docs/alerts.md.
//! - `scrape`: `/metrics` as it is told. `promtool`: how it is run.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod dashboard;
#[path = "../outages/house.rs"]
#[expect(dead_code, reason = "a part of it is for the tests of outages alone")]
mod house;
#[path = "../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a part of it is for the tests of the store alone")]
mod openbao;
mod pages;
mod promtool;
mod rules;
mod scrape;
mod states;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "it is made for the tests of the broker, and a part of it does here")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the project, named from its top.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
