//! What a configuration file says, key by key, to tell one from another in words. It must never be made of a file that was not
//! read without an error: then each key in it is known, and none of them holds a secret.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

/// The keys of a file with their values, as they stand in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

/// One difference between two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key: `limits.sessions-max`; of a listener with its name: `listener.imaps.allow`.
    pub key: String,
    /// What was there and what is there, for people.
    pub text: String,
}

impl Settings {
    /// Those of a text that is a configuration.
    pub(super) fn of(text: &str) -> Self {
        let mut settings = BTreeMap::new();
        walk(&mut settings, "", &text.parse::<Table>().unwrap_or_default());
        Self(settings)
    }

    /// What is other in `now`, one line each. A listener that comes or goes is one line.
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        let keys: BTreeSet<&String> = self.0.keys().chain(now.0.keys()).collect();
        for key in keys {
            let (before, after) = (self.0.get(key), now.0.get(key));
            if before == after {
                continue;
            }
            let change = match listener_of(key).filter(|(_, table)| self.has(table) != now.has(table)) {
                Some((listener, table)) => {
                    let what = if now.has(&table) { "added" } else { "removed" };
                    Change { key: table, text: format!("listener {listener}: {what}") }
                }
                None => {
                    let said = |value: Option<&String>| value.map_or("not set".to_owned(), |value| shown(key, value));
                    Change { key: key.clone(), text: format!("{key}: {} -> {}", said(before), said(after)) }
                }
            };
            if changes.last() != Some(&change) {
                changes.push(change);
            }
        }
        changes
    }

    fn has(&self, table: &str) -> bool {
        self.0.keys().any(|key| key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')))
    }
}

/// The name of the listener that a key is of, and its table.
fn listener_of(key: &str) -> Option<(&str, String)> {
    let (name, _) = key.strip_prefix("listener.")?.split_once('.')?;
    Some((name, format!("listener.{name}")))
}

/// Of an address of the web the host alone: some have what is as good as a password behind it.
fn shown(key: &str, value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://").filter(|_| key.ends_with("url")) else {
        return value.to_owned();
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default().trim_end_matches('"');
    format!("{scheme}://{host}/…\"")
}

fn walk(settings: &mut BTreeMap<String, String>, table: &str, values: &Table) {
    for (name, value) in values {
        let key = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
        match value {
            Value::Table(inner) => walk(settings, &key, inner),
            Value::Array(all) if !all.is_empty() && all.iter().all(Value::is_table) => {
                for (number, inner) in all.iter().filter_map(Value::as_table).enumerate() {
                    let name = inner.get("name").and_then(Value::as_str);
                    let name = name.map_or_else(|| (number + 1).to_string(), str::to_owned);
                    walk(settings, &format!("{key}.{name}"), inner);
                }
            }
            value => drop(settings.insert(key, value.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(before: &str, after: &str) -> Vec<String> {
        let changes = Settings::of(before).changes(&Settings::of(after));
        changes.into_iter().map(|change| change.text).collect()
    }

    #[test]
    fn each_difference_is_one_line() {
        let before = "name = \"a\"\n[limits]\nsessions-max = 4000\n[tls]\nkey = \"k\"\n";
        let after = "name = \"b\"\n[limits]\ndrain-timeout = \"1m\"\n[tls]\nkey = \"k\"\n";
        let expected =
            ["limits.drain-timeout: not set -> \"1m\"", "limits.sessions-max: 4000 -> not set", "name: \"a\" -> \"b\""];
        assert_eq!(changes(before, after), expected);
        assert_eq!(changes(before, before), [""; 0]);
    }

    #[test]
    fn listeners_are_told_by_their_names() {
        let listener = |name: &str, bind: &str| format!("[[listener]]\nname = \"{name}\"\nbind = \"{bind}\"\n");
        let before = listener("imap", "[::1]:1") + &listener("pop3", "[::1]:2");
        let after = listener("smtp", "[::1]:3") + &listener("imap", "[::1]:4");
        let expected =
            ["listener.imap.bind: \"[::1]:1\" -> \"[::1]:4\"", "listener pop3: removed", "listener smtp: added"];
        assert_eq!(changes(&before, &after), expected);
    }

    #[test]
    fn of_a_url_the_host_is_told() {
        let url = |path: &str| format!("[rotation.webhook]\nurl = \"https://u:p@hooks.test/{path}\"\n");
        let host = "\"https://hooks.test/…\"";
        assert_eq!(changes(&url("a"), &url("b")), [format!("rotation.webhook.url: {host} -> {host}")]);
        assert_eq!(changes("", &url("a")), [format!("rotation.webhook.url: not set -> {host}")]);
    }
}
