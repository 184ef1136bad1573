//! Prometheus' own program for rules, and what it is given.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::file;
use crate::scrape::Scrape;

/// How long the node was well, and how long it is in trouble, in minutes.
const WELL: usize = 20;
const TROUBLE: usize = 60;

/// What stands for a value that no series in a test can have.
const INFINITE: f64 = 1e12;

/// Says whether exactly these alerts fire when a node that was as `before` for a while is as `after` from then on: what is
/// counted goes on growing as it did from the one to the other, and what is measured stays.
#[track_caller]
pub(crate) fn assert_fires(before: &Scrape, after: &Scrape, alerts: &[&str]) {
    let mut input = "    - {series: 'up{job=\"locum\",instance=\"node\"}', values: '1x80'}\n".to_owned();
    for (series, value) in &after.samples {
        let mut labels: Vec<_> = series.labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        labels.extend(["job=\"locum\"".to_owned(), "instance=\"node\"".to_owned()]);
        let value = value.min(INFINITE);
        let was = before.samples.get(series).map(|was| was.min(INFINITE));
        let well = match was {
            Some(was) => format!("{was}+0x{}", WELL - 1),
            None => format!("_x{WELL}"),
        };
        let step = if after.is_counted(series) { value - was.unwrap_or_default() } else { 0.0 };
        assert!(step >= 0.0, "{series:?} went back");
        let (name, labels) = (&series.name, labels.join(","));
        writeln!(input, "    - {{series: '{name}{{{labels}}}', values: '{well} {value}+{step}x{TROUBLE}'}}").unwrap();
    }
    let eval = WELL + TROUBLE;
    let samples: String =
        alerts.iter().map(|alert| format!("      - {{labels: '{{alertname=\"{alert}\"}}', value: 1}}\n")).collect();
    let samples = if samples.is_empty() { "      []\n".to_owned() } else { samples };
    test(&format!(
        "rule_files: [{:?}]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series:\n{input}  \
         promql_expr_test:\n  - expr: group by (alertname) (count_over_time(ALERTS{{alertstate=\"firing\"}}[{eval}m]))\n    \
         eval_time: {eval}m\n    exp_samples:\n{samples}",
        file("config/deploy/prometheus/alerts.yml")
    ));
}

/// Runs a file of tests.
#[track_caller]
pub(crate) fn test(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tests.yml");
    fs::write(&path, text).unwrap();
    run(&["test", "rules"], &path);
}

/// Runs it over a file, and says what it says where that is not good.
#[track_caller]
pub(crate) fn run(verbs: &[&str], path: &Path) {
    let output = Command::new("promtool").args(verbs).arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("promtool: {error}: run tests/install"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
}
