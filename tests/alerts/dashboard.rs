//! The dashboard: its queries are read by Prometheus, and ask for what there is; its panels stand beside each other.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::promtool::run;
use crate::read;
use crate::rules::assert_names;

fn dashboard() -> Value {
    serde_json::from_str(&read("config/deploy/grafana/locum.json")).unwrap()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// What each panel asks for, with what Grafana would put in.
fn queries(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard).iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let texts = targets.map(|target| target["expr"].as_str().unwrap());
    texts
        .map(|text| text.replace("$__rate_interval", "2m").replace("$instance", ".*").replace("$job", "locum"))
        .collect()
}

#[test]
fn every_query_is_read_and_asks_for_what_there_is() {
    let queries = queries(&dashboard());
    assert!(queries.len() > 30, "the dashboard is gone");
    assert_names(queries.iter().map(String::as_str));
    let rules: Vec<_> = queries
        .iter()
        .enumerate()
        .map(|(number, query)| serde_json::json!({ "record": format!("query:{number}"), "expr": query }))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.yml"); // JSON is YAML, too
    let groups = serde_json::json!({ "groups": [{ "name": "queries", "rules": rules }] });
    std::fs::write(&path, groups.to_string()).unwrap();
    run(&["check", "rules"], &path);
}

#[test]
fn panels_stand_beside_each_other_and_have_names_of_their_own() {
    let dashboard = dashboard();
    let (mut ids, mut taken, mut rows) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: another one has its id");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title} is too wide");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} stands on another one");
            }
        }
        if panel["type"] == "row" {
            rows.push(title.to_owned());
        } else {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
    let expected = ["Traffic", "Refusals by cause", "Latencies", "Sessions", "Upstreams", "Store", "Node"];
    assert!(expected.iter().all(|row| rows.iter().any(|it| it == row)), "{rows:?}");
}
