//! The rules are well made, look for metrics and labels that there are, and fire at the bounds that they name. Here are those
//! that no trouble in `states` sets off; the figures are made up.

use crate::pages::rows;
use crate::promtool::{run, test};
use crate::{file, read};

const RULES: &str = "config/deploy/prometheus/alerts.yml";

#[test]
fn the_rules_and_the_scrape_are_well_made() {
    run(&["check", "rules"], &file(RULES));
    run(&["check", "config", "--syntax-only"], &file("config/deploy/prometheus/scrape.yml"));
}

#[test]
fn the_rules_look_for_what_there_is() {
    let rules = read(RULES);
    let expressions = rules.split("        expr: ").skip(1).map(|it| it.split("\n        labels:").next().unwrap());
    assert_names(expressions);
}

/// Every metric that an expression names is on the page of metrics, and with it every label and value that it asks for.
#[track_caller]
pub(crate) fn assert_names<'a>(expressions: impl IntoIterator<Item = &'a str>) {
    let rows = rows();
    let mut seen = 0;
    for expression in expressions {
        for (at, _) in expression.match_indices(|it: char| it.is_ascii_lowercase()) {
            let is_begin = at == 0 || !expression[..at].ends_with(|it: char| it.is_ascii_alphanumeric() || it == '_');
            let word = expression[at..].split(|it: char| !(it.is_ascii_alphanumeric() || it == '_')).next().unwrap();
            if !is_begin || !(word.starts_with("locum_") || word.starts_with("process_")) {
                continue;
            }
            seen += 1;
            let parts = ["_bucket", "_sum", "_count"].into_iter().filter_map(|end| word.strip_suffix(end));
            let name = parts.into_iter().find(|name| rows.contains_key(*name)).unwrap_or(word);
            let row = rows.get(name).unwrap_or_else(|| panic!("{expression}: there is no {name}"));
            let Some(asked) = expression[at + word.len()..].strip_prefix('{') else { continue };
            for pair in asked.split('}').next().unwrap().split("\",") {
                let (key, value) = pair.split_once(['=', '!']).unwrap();
                if ["job", "instance"].contains(&key) {
                    continue;
                }
                let known = row.labels.get(key).unwrap_or_else(|| panic!("{expression}: {name} has no {key}"));
                let value = value.trim_start_matches(['=', '~', '"']).trim_end_matches('"');
                if known.is_empty() || value.starts_with('$') {
                    continue;
                }
                for value in value.split('|') {
                    assert!(known.contains(value), "{expression}: {key} of {name} never says {value:?}");
                }
            }
        }
    }
    assert!(seen > 10, "hardly any metric is asked for");
}

/// An alert, the series of a node, and how they are: the alert must fire, and must not.
#[expect(clippy::type_complexity, reason = "a table that is read once, below")]
const CASES: &[(&str, &[&str], &[&str], &[&str])] = &[
    ("LocumDown", &["up{job=\"locum\"}"], &["0x60"], &["1x60"]),
    ("LocumNotReady", &["locum_ready"], &["0x60"], &["1x60"]),
    ("LocumDegraded", &["locum_degraded"], &["1x60"], &["0x60"]),
    (
        "LocumUpstreamUnavailable",
        &[
            "locum_upstream_logins_total{upstream=\"x\",protocol=\"imap\",outcome=\"accepted\"}",
            "locum_upstream_logins_total{upstream=\"x\",protocol=\"imap\",outcome=\"unavailable\"}",
        ],
        &["0+4x60", "0+5x60"],
        &["0+5x60", "0+4x60"],
    ),
    (
        "LocumStoreStale",
        &["locum_store_unreachable_seconds", "locum_store_max_stale_seconds"],
        &["0+60x60", "3600x60"],
        &["0+60x60", "86400x60"],
    ),
    ("LocumStoreTokenExpiring", &["locum_store_token_ttl_seconds"], &["100x60"], &["3600-60x55"]),
    (
        "LocumCertificateExpired",
        &["locum_certificate_expiry_seconds{certificate=\"listener\"}"],
        &["600-60x60"],
        &["86400-60x60"],
    ),
    ("LocumCredentialExpiring", &["locum_rotation_due{why=\"ends-soon\"}"], &["1x60"], &["0x60"]),
    ("LocumCredentialExpired", &["locum_rotation_due{why=\"ended\"}"], &["1x60"], &["0x60"]),
    ("LocumFellBack", &["locum_overlap_logins_total{slot=\"previous\"}"], &["0x30 1x30"], &["7x60"]),
    ("LocumAlertRaised", &["locum_alerts_total{kind=\"refused\"}"], &["0x30 1x30"], &["1x60"]),
    ("LocumAlertUndelivered", &["locum_alert_messages_total{outcome=\"dropped\"}"], &["0x30 1x30"], &["1x60"]),
    ("LocumKeeperStalled", &["locum_keeper_round_timestamp_seconds"], &["0x240"], &["0+60x240"]),
    ("LocumAuditFailing", &["locum_audit_failing_seconds"], &["0+60x60"], &["0x60"]),
    ("LocumAuditLagging", &["locum_audit_lag_seconds"], &["11x60"], &["9x60"]),
    (
        "LocumSessionsNearMaximum",
        &[
            "locum_sessions{protocol=\"imap\",state=\"relay\"}",
            "locum_sessions{protocol=\"pop3\",state=\"dialogue\"}",
            "locum_sessions_max",
        ],
        &["90x60", "1x60", "100x60"],
        &["89x60", "1x60", "100x60"],
    ),
    (
        "LocumConnectionsTurnedAway",
        &["locum_connections_shed_total{reason=\"full\"}", "locum_connections_shed_total{reason=\"unproven\"}"],
        &["0+10x60", "0x60"],
        &["0+5x60", "0+1000x60"],
    ),
    (
        "LocumDescriptorsShort",
        &["process_open_fds{job=\"locum\"}", "process_max_fds{job=\"locum\"}"],
        &["91x60", "100x60"],
        &["89x60", "100x60"],
    ),
    ("LocumReloadRefused", &["locum_reloads_total{result=\"refused\"}"], &["0x30 1x30"], &["1x60"]),
    ("LocumBreakerOpen", &["locum_breaker_paused{upstream=\"x\"}"], &["1x60"], &["1x14 0x46"]),
    ("LocumGateCrowded", &["locum_gate_waiting"], &["11x60"], &["10x60"]),
    (
        "LocumLoginsSlow",
        &[
            "locum_login_seconds_bucket{protocol=\"imap\",result=\"accepted\",le=\"10\"}",
            "locum_login_seconds_bucket{protocol=\"imap\",result=\"accepted\",le=\"30\"}",
            "locum_login_seconds_bucket{protocol=\"imap\",result=\"accepted\",le=\"+Inf\"}",
        ],
        &["0+90x60", "0+100x60", "0+100x60"],
        &["0+96x60", "0+100x60", "0+100x60"],
    ),
    ("LocumGuessing", &["locum_throttled"], &["21x60"], &["20x60"]),
];

#[test]
fn each_rule_fires_at_its_bound_and_not_before() {
    let mut text = format!("rule_files: [{:?}]\nevaluation_interval: 1m\ntests:\n", file(RULES));
    for (alert, series, bad, good) in CASES {
        for (values, fires) in [(bad, true), (good, false)] {
            assert_eq!(series.len(), values.len(), "{alert}");
            text += "- interval: 1m\n  input_series:\n";
            for (series, values) in series.iter().zip(*values) {
                text += &format!("  - {{series: '{series}', values: '{values}'}}\n");
            }
            // One of them has more patience than an hour.
            let time = if *alert == "LocumKeeperStalled" { "4h" } else { "1h" };
            let expr = format!("count(count_over_time(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}[{time}]))");
            let samples = if fires { "[{labels: '{}', value: 1}]" } else { "[]" };
            text +=
                &format!("  promql_expr_test:\n  - {{expr: '{expr}', eval_time: {time}, exp_samples: {samples}}}\n");
        }
    }
    test(&text);
    let seen_in_states = ["LocumCredentialRefused", "LocumLoginsFailing", "LocumRotationFailed", "LocumRotationStuck"];
    let seen_in_states = seen_in_states.iter().chain(&["LocumCertificateExpiring", "LocumStoreDown"]);
    let mut tested: Vec<&str> = CASES.iter().map(|(alert, ..)| *alert).chain(seen_in_states.copied()).collect();
    tested.sort_unstable();
    let rules = read(RULES);
    let mut all: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    all.sort_unstable();
    assert_eq!(tested, all, "every rule is tried");
}
