//! docs/metrics.md lists what a node tells, with all that its labels can say; docs/alerts.md says of each rule what to do.

use std::collections::{BTreeMap, BTreeSet};

use crate::read;
use crate::scrape::Scrape;

/// What the page says of a metric: its type, and what each of its labels can say; nothing where the configuration or the
/// build names it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: String,
    pub(crate) labels: BTreeMap<String, BTreeSet<String>>,
}

/// The rows of docs/metrics.md.
pub(crate) fn rows() -> BTreeMap<String, Row> {
    let page = read("docs/metrics.md");
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let [_, names, kind, labels, ..] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        for name in spans(names) {
            let row = Row { kind: kind.trim().to_owned(), labels: labels_of(labels) };
            assert!(rows.insert(name.clone(), row).is_none(), "{name} twice");
        }
    }
    assert!(rows.len() > 50, "the page is gone");
    rows
}

fn spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Labels, each with what it can say in brackets behind it.
fn labels_of(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('`') {
        let (name, behind) = behind.split_once('`').unwrap();
        let (said, behind) = match behind.strip_prefix(" (") {
            Some(behind) => behind.split_once(')').unwrap(),
            None => ("", behind),
        };
        let known = match name {
            "protocol" => ["imap", "pop3", "submission"].map(str::to_owned).into(),
            _ => spans(said).into_iter().collect(),
        };
        labels.insert(name.to_owned(), known);
        rest = behind;
    }
    labels
}

/// Each metric that a node told is on the page, as what it is, and with no label that says anything else; `open` is what the
/// configuration names.
#[track_caller]
pub(crate) fn assert_listed(scrape: &Scrape, open: &[&str]) {
    let rows = rows();
    for series in scrape.samples.keys() {
        let metric = scrape.metric(series);
        assert!(scrape.helped.contains(metric), "{metric} does not say what it is");
        let row = rows.get(metric).unwrap_or_else(|| panic!("docs/metrics.md has no row of {metric}"));
        assert_eq!(scrape.types[metric], row.kind, "{metric}");
        let mut labels = series.labels.clone();
        labels.remove("le");
        assert!(labels.keys().eq(row.labels.keys()), "{metric}: {:?}, not {:?}", labels.keys(), row.labels.keys());
        for (key, value) in labels {
            let known = &row.labels[&key];
            let is_open = known.is_empty() && (open.contains(&value.as_str()) || value == env!("CARGO_PKG_VERSION"));
            assert!(known.contains(&value) || is_open, "{metric}: {key} says {value:?}, which is not on the page");
        }
    }
}

#[test]
fn labels_are_read_with_what_they_can_say() {
    let labels = labels_of(" `listener`, `result` (`accepted`, `refused`), `protocol` ");
    let keys: Vec<_> = labels.keys().map(String::as_str).collect();
    assert_eq!(keys, ["listener", "protocol", "result"]);
    assert_eq!((labels["listener"].len(), labels["result"].len(), labels["protocol"].len()), (0, 2, 3));
}

#[test]
fn each_rule_says_what_to_do_and_has_its_place_on_the_page() {
    let rules = read("config/deploy/prometheus/alerts.yml");
    let page = read("docs/alerts.md");
    let on_page: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut named = Vec::new();
    for rule in rules.split("\n      - alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        named.push(name);
        let runbook = format!("          runbook: docs/alerts.md#{}\n", name.to_lowercase());
        assert!(format!("{rule}\n").contains(&runbook), "{name}: no {runbook}");
        for part in ["labels: {severity: ", "summary: \"", "action: \""] {
            assert!(rule.contains(part), "{name}: no {part}");
        }
        let severity = rule.split("severity: ").nth(1).unwrap().split('}').next().unwrap();
        assert!(["page", "warn", "info"].contains(&severity), "{name}: {severity}");
    }
    assert_eq!(BTreeSet::from_iter(&named), BTreeSet::from_iter(&on_page));
}
