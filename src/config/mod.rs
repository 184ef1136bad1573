//! Reads `locum.toml` into the `Options` of the other rooms, or says all that is wrong with it at once, each with its
//! place and what to do. It must never put a value of the file into an error (it may be a secret in the wrong line),
//! open a file that the configuration names, or know anything that runs.
//!
//! - [`Config::load`], [`Config::parse`]: the way in. [`ConfigErrors`]: what is wrong.
//! - `reader`, `value`: the walk over the parsed file. `sections`, `store`, `vault`, `login`, `listener`,
//!   `upstream`: what is in which table.
//!
//! `docs/config.md` and `config/locum.toml` name every key; a test here holds both against what is read.

mod authority;
mod class;
mod dates;
mod errors;
mod hook;
mod listener;
mod login;
mod reader;
mod rotation;
mod secrets;
mod sections;
mod settings;
mod shared;
mod store;
mod suggest;
mod upstream;
mod value;
mod vault;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::credential::oauth2::TokenOptions;
use crate::model::Profile;
use crate::{admin, audit, broker, net, session, telemetry};

pub use errors::{ConfigError, ConfigErrors, Position};
use reader::{Reader, Table};
pub use settings::{Change, Settings};

/// What `locum.toml` says, defaults filled in and references resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that says it, as it was named.
    pub file: PathBuf,
    /// The host name that Locum gives itself in greetings and EHLO.
    pub name: String,
    /// Where records are kept.
    pub store: crate::store::Options,
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
    /// Whether what is in memory may be written to swap.
    pub lock_memory: LockMemory,
    /// Bounds for access tokens. No key in the file changes them.
    pub tokens: TokenOptions,
    /// How credentials are rotated.
    pub rotation: crate::rotation::Options,
    /// Where the process says how it is.
    pub admin: admin::Options,
    /// Where the audit goes.
    pub audit: audit::Options,
    /// How the log is written.
    pub telemetry: telemetry::Options,
}

/// Whether the memory of the process is kept out of swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockMemory {
    /// Where the system permits it.
    #[default]
    Auto,
    /// Or the process does not start.
    Require,
    /// No.
    Off,
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

    /// The same, and what the file says key by key, to be compared with what it says later.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn load_to_compare(path: &Path) -> Result<(Self, Settings), ConfigErrors> {
        let text = read(path).map_err(|error| ConfigErrors::new(vec![error]))?;
        Ok((Self::parse(&text, path)?, Settings::of(&text)))
    }

    /// Reads the configuration in a text. `file` is what errors call it; relative paths start at its folder.
    ///
    /// # Errors
    /// All that is wrong in it.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        let reader = Reader::new(text, file);
        let config = read_root(reader.root(), file);
        let errors = reader.into_errors();
        if !errors.is_empty() {
            return Err(ConfigErrors::new(errors));
        }
        Ok(config.expect("a part that could not be read left an error"))
    }
}

/// `None` only if an error was noted.
fn read_root(mut root: Table<'_, '_>, file: &Path) -> Option<Config> {
    let name = sections::name(&mut root);
    let store = store::store(root.section("store"));
    let (tls, names_certificate) = sections::tls(root.section("tls"));
    let upstreams = upstream::upstreams(root.section("upstream"));
    let mut bound = listener::Bound::new();
    let listeners = listener::listeners(root.tables("listener"), &upstreams, names_certificate, &mut bound);
    listener::loops(&upstreams, &bound, root.reader());
    let limits = sections::limits(root.section("limits"), &name);
    let admin = sections::admin(root.section("admin"), names_certificate, &mut bound);
    let audit = sections::audit(root.section("audit"));
    let rotation = rotation::rotation(root.section("rotation"), store.as_ref());
    let telemetry = sections::telemetry(root.section("telemetry"));
    root.finish();

    Some(Config {
        file: file.to_owned(),
        name,
        store: store?,
        tls,
        listeners: listeners?,
        upstreams: upstreams.into_iter().map(|(name, profile)| Some((name, profile?))).collect::<Option<_>>()?,
        session: limits.session,
        upstream: limits.upstream,
        broker: limits.broker,
        lock_memory: limits.lock_memory,
        tokens: TokenOptions::default(),
        rotation,
        admin,
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

    /// Tables that the reference speaks of, and that what it says of a default is tried with.
    const BASES: [&str; 6] = [
        "[store]\nkey-file = \"k\"\n",
        "[store]\nkind = \"vault\"\naddress = \"https://v\"\n[store.login]\nmethod = \"token\"\ntoken-file = \"t\"\n",
        "[store]\nkind = \"vault\"\naddress = \"https://v\"\n[store.login]\nmethod = \"approle\"\nrole-id = \"r\"\n\
         secret-id-file = \"s\"\n",
        "[store]\nkind = \"vault\"\naddress = \"https://v\"\n[store.login]\nmethod = \"kubernetes\"\nrole = \"r\"\n",
        "[store]\nkind = \"vault\"\naddress = \"https://v\"\n[store.login]\nmethod = \"certificate\"\n\
         certificate = \"c\"\nkey = \"./k\"\n",
        "[store]\nkey-file = \"k\"\n[limits.shared]\naddress = \"v\"\ndigest-key-file = \"d\"\n",
    ];

    fn parse(text: &str) -> Result<Config, ConfigErrors> {
        Config::parse(text, Path::new("locum.toml"))
    }

    /// A key as `table.key`, with `<name>` and `<protocol>` for what varies.
    fn key(table: &str, key: &str) -> String {
        let mut parts: Vec<&str> = table.split('.').collect();
        if parts[0] == "upstream" && parts.len() > 1 {
            parts[1] = "<name>";
            parts.iter_mut().skip(2).for_each(|protocol| *protocol = "<protocol>");
        }
        if (parts.starts_with(&["rotation", "class"]) || parts.starts_with(&["limits", "class"])) && parts.len() > 2 {
            parts[2] = "<name>";
        }
        format!("{}.{key}", parts.join("."))
    }

    /// The sample with the tables that stand in no other's place and are commented out, since what they switch on is to be off.
    fn with_what_is_off(sample: &str) -> String {
        let mut is_off = false;
        let lines = sample.lines().map(|line| {
            is_off = ["#[listener.enrolment]", "#[limits.shared]"].contains(&line) || is_off && line.starts_with('#');
            if is_off && !line.starts_with("# ") { &line[1..] } else { line }
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The sample as it is, and with each of its tables that stand in place of another, there.
    fn samples() -> Vec<String> {
        let sample = &with_what_is_off(SAMPLE);
        let header_in = |part: &str| part.lines().find_map(|line| line.strip_prefix("#[").map(|it| format!("[{it}")));
        let (instead, as_is): (Vec<&str>, Vec<&str>) = sample.split("\n\n").partition(|part| header_in(part).is_some());
        let instead: Vec<(String, String)> = instead
            .into_iter()
            .map(|part| {
                let lines = part
                    .lines()
                    .map(|line| if line.starts_with("# ") { line } else { line.strip_prefix('#').unwrap_or(line) });
                (header_in(part).unwrap(), lines.collect::<Vec<_>>().join("\n"))
            })
            .collect();
        let (stores, logins): (Vec<_>, Vec<_>) = instead.iter().partition(|(header, _)| header == "[store]");
        let mut samples = vec![as_is.join("\n\n")];
        for (header, store) in &stores {
            for (_, login) in &logins {
                let parts = as_is.iter().map(|part| match part.lines().any(|line| line == header) {
                    true => format!("{store}\n\n{login}"),
                    false => (*part).to_owned(),
                });
                samples.push(parts.collect::<Vec<_>>().join("\n\n"));
            }
        }
        samples
    }

    /// The settings of a sample, set or commented out: line, table, key, whether it is set.
    fn sample_keys(sample: &str) -> Vec<(usize, &str, &str, bool)> {
        let (mut table, mut keys) = ("", Vec::new());
        for (number, line) in sample.lines().enumerate() {
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
        let asked = samples().into_iter().flat_map(|sample| {
            let reader = Reader::new(&sample, Path::new("locum.toml"));
            read_root(reader.root(), Path::new("locum.toml")).unwrap();
            reader.asked.take()
        });
        asked.map(|asked| asked.rsplit_once('.').map(|(table, name)| key(table, name)).unwrap()).collect()
    }

    #[test]
    fn the_sample_shows_every_key_and_no_other() {
        let samples = samples();
        assert_eq!(samples.len(), 5);
        let shown: BTreeSet<String> =
            samples.iter().flat_map(|it| sample_keys(it)).map(|(_, table, name, _)| key(table, name)).collect();
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
        const EXAMPLES: &[&str] = &[
            "store.key-credential",
            "store.key-environment",
            "store.namespace",
            "store.ca-file",
            "store.peers",
            "store.peer-bind",
            "store.login.secret-id-credential",
            "store.login.secret-id-environment",
            "store.login.token-credential",
            "store.login.token-environment",
            "store.login.role",
            "listener.upstream",
            "listener.passthrough-upstream",
            "listener.passthrough-networks",
            "listener.recognise.certificate",
            "upstream.own.app-passwords-max",
            "upstream.own.date.ends",
            "limits.connections-per-address-max",
            "limits.session-max-time",
            "limits.class.migration.sessions-max",
            "limits.class.migration.sessions-per-mailbox-max",
            "limits.class.migration.messages-per-minute",
            "limits.shared.ca-file",
            "limits.shared.username",
            "limits.shared.password-credential",
            "limits.shared.password-environment",
            "limits.shared.digest-key-credential",
            "limits.shared.digest-key-environment",
            "admin.bind",
            "admin.socket",
            "rotation.max-age.app-password",
            "rotation.max-age.oauth2",
            "rotation.class.printers.app-password",
            "rotation.class.printers.oauth2",
            "rotation.webhook.url",
            "rotation.webhook.token-file",
            "audit.path",
            "audit.max-size",
            "audit.keep",
            "rotation.hook.command",
            "telemetry.otlp-endpoint",
        ];
        for sample in samples() {
            let default = parse(&sample).unwrap();
            for (number, table, name, _) in sample_keys(&sample).into_iter().filter(|(.., is_set)| !is_set) {
                let mut lines: Vec<&str> = sample.lines().collect();
                lines[number] = &lines[number][1..];
                // A place to find a secret at stands in for the file.
                if let Some(secret) = name.strip_suffix("-credential").or(name.strip_suffix("-environment")) {
                    lines.retain(|line| !line.starts_with(&format!("{secret}-file")));
                }
                // A device is known by one thing.
                if (table, name) == ("listener.recognise", "certificate") {
                    lines.retain(|line| !line.starts_with("network = "));
                }
                // Three that need each other.
                let others: &[&str] = match name {
                    "passthrough-upstream" => &["unknown-logins = \"passthrough\"", "passthrough-networks = \"::1\""],
                    "passthrough-networks" => &["unknown-logins = \"passthrough\"", "passthrough-upstream = \"own\""],
                    _ => &[],
                };
                others.iter().for_each(|line| lines.insert(number, line));
                // A token is for somebody.
                if (table, name) == ("rotation.webhook", "token-file") {
                    lines.insert(number, "url = \"https://alerts.example.com/locum\"");
                }
                let config = parse(&lines.join("\n")).unwrap_or_else(|errors| panic!("[{table}] {name}: {errors}"));
                let is_default_elsewhere = name == "keeper" && matches!(config.store, crate::store::Options::Vault(_));
                let is_example = EXAMPLES.contains(&format!("{table}.{name}").as_str()) || is_default_elsewhere;
                assert_eq!(config == default, !is_example || name == "upstream", "[{table}] {name}");
            }
        }
    }

    #[test]
    fn the_defaults_of_the_reference_are_the_defaults() {
        let mut checked = 0;
        for (table, name, value) in reference_keys() {
            if table.contains("upstream") || table == "listener" || !value.starts_with('`') {
                continue;
            }
            let setting = format!("{name} = {}\n", value.trim_matches('`'));
            // Some keys are known beside some others only.
            let is_default = |base: &&str| {
                let text = match (table, base.split_once(&format!("[{table}]\n"))) {
                    ("", _) => format!("{setting}{base}"),
                    (table, Some((before, after))) => format!("{before}[{table}]\n{setting}{after}"),
                    (table, None) => format!("{base}[{table}]\n{setting}"),
                };
                parse(&text) == parse(base)
            };
            assert!(BASES.iter().any(is_default), "[{table}] {name}");
            checked += 1;
        }
        assert_eq!(checked, 54);
    }
}
