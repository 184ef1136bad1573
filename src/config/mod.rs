//! Reads `locum.toml` into the `Options` of the other rooms, or says all that is wrong with it at once, each with its
//! place and what to do. It must never put a value of the file into an error (it may be a secret in the wrong line),
//! open a file that the configuration names, or know anything that runs.
//!
//! - [`Config::load`], [`Config::parse`]: the way in. [`ConfigErrors`]: what is wrong.
//! - `reader`, `value`: the walk over the parsed file. `sections`, `listener`, `upstream`: what is in which table.
//!
//! `docs/config.md` and `config/locum.toml` name every key; a test here holds both against what is read.

mod errors;
mod listener;
mod reader;
mod secrets;
mod sections;
mod suggest;
mod upstream;
mod value;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::model::Profile;
use crate::{audit, broker, net, session, store, telemetry};

pub use errors::{ConfigError, ConfigErrors, Position};
use reader::{Reader, Table};

/// What `locum.toml` says, defaults filled in and references resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The host name that Locum gives itself in greetings and EHLO.
    pub name: String,
    /// Where records are kept.
    pub store: store::Options,
    /// Certificate, key, and further authorities.
    pub tls: net::TlsOptions,
    /// The listeners, in the order of the file. None is fine for work on the store.
    pub listeners: Vec<session::ListenerOptions>,
    /// The upstream profiles by name.
    pub upstreams: BTreeMap<String, Arc<Profile>>,
    /// Bounds towards clients.
    pub session: session::Options,
    /// Bounds towards providers.
    pub upstream: crate::upstream::Options,
    /// Bounds on failed logins.
    pub broker: broker::Options,
    /// Where the audit goes.
    pub audit: audit::Options,
    /// How the log is written.
    pub telemetry: telemetry::Options,
}

impl Config {
    /// Reads the configuration in a file.
    ///
    /// # Errors
    /// If the file cannot be read, and all that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let text = read(path).map_err(|error| ConfigErrors::new(vec![error]))?;
        Self::parse(&text, path)
    }

    /// Reads the configuration in a text. `file` is what errors call it; relative paths start at its folder.
    ///
    /// # Errors
    /// All that is wrong in it.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        let reader = Reader::new(text, file);
        let config = read_root(reader.root());
        let errors = reader.into_errors();
        if !errors.is_empty() {
            return Err(ConfigErrors::new(errors));
        }
        Ok(config.expect("a part that could not be read left an error"))
    }
}

/// `None` only if an error was noted.
fn read_root(mut root: Table<'_, '_>) -> Option<Config> {
    let name = sections::name(&mut root);
    let store = sections::store(root.section("store"));
    let (tls, names_certificate) = sections::tls(root.section("tls"));
    let upstreams = upstream::upstreams(root.section("upstream"));
    let listeners = listener::listeners(root.tables("listener"), &upstreams, names_certificate);
    let limits = sections::limits(root.section("limits"), &name);
    let audit = sections::audit(root.section("audit"));
    let telemetry = sections::telemetry(root.section("telemetry"));
    root.finish();

    Some(Config {
        name,
        store: store?,
        tls,
        listeners: listeners?,
        upstreams: upstreams.into_iter().map(|(name, profile)| Some((name, profile?))).collect::<Option<_>>()?,
        session: limits.session,
        upstream: limits.upstream,
        broker: limits.broker,
        audit,
        telemetry,
    })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    // A configuration has some kilobytes. More is some other file, or a device without end.
    const SIZE_MAX: u64 = 1 << 20;
    let error = |position, message: String, remedy: Option<&str>| ConfigError {
        file: path.to_owned(),
        position,
        message,
        remedy: remedy.map(str::to_owned),
    };
    let unreadable = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => {
            error(None, "no such file".into(), Some("write one with `locum init`, or name another with --config"))
        }
        io::ErrorKind::IsADirectory => {
            error(None, "this is a folder".into(), Some("name the file in it, such as locum.toml, with --config"))
        }
        io::ErrorKind::PermissionDenied => error(
            None,
            "may not be read by this user".into(),
            Some("run locum as the user it was set up for, or let this one read the file"),
        ),
        _ => error(None, format!("cannot be read: {cause}"), None),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(error(None, "larger than 1 MiB".into(), Some("this is not a configuration of Locum")));
    }
    String::from_utf8(bytes).map_err(|cause| {
        let position = Position::of(cause.as_bytes(), cause.utf8_error().valid_up_to());
        error(Some(position), "not UTF-8".into(), Some("save the file as UTF-8 text"))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SAMPLE: &str = include_str!("../../config/locum.toml");
    const REFERENCE: &str = include_str!("../../docs/config.md");

    /// A key as `table.key`, with `<name>` and `<protocol>` for what varies.
    fn key(table: &str, key: &str) -> String {
        let mut parts: Vec<&str> = table.split('.').collect();
        if parts[0] == "upstream" && parts.len() > 1 {
            parts[1] = "<name>";
        }
        if parts.len() > 2 {
            parts[2] = "<protocol>";
        }
        format!("{}.{key}", parts.join("."))
    }

    /// The settings of the sample, set or commented out: line, table, key, whether it is set.
    fn sample_keys() -> Vec<(usize, &'static str, &'static str, bool)> {
        let (mut table, mut keys) = ("", Vec::new());
        for (number, line) in SAMPLE.lines().enumerate() {
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_matches(['[', ']']);
                continue;
            }
            let setting = line.strip_prefix('#').unwrap_or(line);
            let Some((name, value)) = setting.split_once(" = ") else { continue };
            // Prose begins with a blank; an inline table is a table.
            if name.contains(' ') || value.starts_with('{') {
                continue;
            }
            keys.push((number, table, name, line == setting));
        }
        keys
    }

    /// The rows of the reference: table, key, default.
    fn reference_keys() -> Vec<(&'static str, &'static str, &'static str)> {
        let (mut table, mut keys) = ("", Vec::new());
        for line in REFERENCE.lines() {
            if line.starts_with("##") {
                table = line.split('`').nth(1).unwrap_or("").trim_matches(['[', ']']);
            } else if line.starts_with("| `") {
                let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
                assert_eq!(cells.len(), 4, "{line}");
                keys.push((table, cells[0].trim_matches('`'), cells[2]));
            }
        }
        keys
    }

    fn keys_read() -> BTreeSet<String> {
        let reader = Reader::new(SAMPLE, Path::new("locum.toml"));
        read_root(reader.root()).unwrap();
        let asked = reader.asked.borrow();
        asked.iter().map(|asked| asked.rsplit_once('.').unwrap()).map(|(table, name)| key(table, name)).collect()
    }

    #[test]
    fn the_sample_shows_every_key_and_no_other() {
        let shown: BTreeSet<String> = sample_keys().into_iter().map(|(_, table, name, _)| key(table, name)).collect();
        assert_eq!(shown, keys_read());
    }

    #[test]
    fn the_reference_names_every_key_and_no_other() {
        let named: BTreeSet<String> = reference_keys().into_iter().map(|(table, name, _)| key(table, name)).collect();
        assert_eq!(named, keys_read());
    }

    #[test]
    fn what_the_sample_has_commented_out_is_the_default_or_an_example() {
        // Those without a default; the sample shows how they are written.
        const EXAMPLES: [&str; 4] = ["key-credential", "key-environment", "upstream", "path"];
        let parse = |text: &str| Config::parse(text, Path::new("locum.toml"));
        let default = parse(SAMPLE).unwrap();
        for (number, table, name, _) in sample_keys().into_iter().filter(|(.., is_set)| !is_set) {
            let mut lines: Vec<&str> = SAMPLE.lines().collect();
            lines[number] = &lines[number][1..];
            if name.starts_with("key-") {
                lines.retain(|line| !line.starts_with("key-file"));
            }
            let config = parse(&lines.join("\n")).unwrap_or_else(|errors| panic!("[{table}] {name}: {errors}"));
            let is_example = EXAMPLES.contains(&name) && !(table == "store" && name == "path");
            assert_eq!(config == default, !is_example || name == "upstream", "[{table}] {name}");
        }
    }

    #[test]
    fn the_defaults_of_the_reference_are_the_defaults() {
        let base = "[store]\nkey-file = \"k\"\n";
        let parse = |text: &str| Config::parse(text, Path::new("locum.toml"));
        let default = parse(base).unwrap();
        let mut checked = 0;
        for (table, name, value) in reference_keys() {
            if table.contains("upstream") || table == "listener" || !value.starts_with('`') {
                continue;
            }
            let value = value.trim_matches('`');
            let text = match table {
                "" => format!("{name} = {value}\n{base}"),
                "store" => format!("{base}{name} = {value}\n"),
                table => format!("{base}[{table}]\n{name} = {value}\n"),
            };
            assert_eq!(parse(&text), Ok(default.clone()), "[{table}] {name}");
            checked += 1;
        }
        assert_eq!(checked, 20);
    }
}
