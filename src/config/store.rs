//! `[store]`: which store, and what it takes to open it. It must never take a secret, only the place of one.

use super::login;
use super::reader::{Table, is_plain};
use super::value::Value;
use super::vault;
use crate::store::{self, KeySource};

#[derive(Clone, Copy)]
enum Kind {
    Sqlite,
    Vault,
}

const SQLITE: &str = "kind = \"sqlite\"";
const VAULT: &str = "kind = \"vault\"";

/// What a sealed store is opened with.
const KEY: Places = Places {
    keys: ["key-file", "key-credential", "key-environment"],
    secret: "key",
    why: "the store is sealed with a key: set one of key-file (`locum init` makes one), key-credential and key-environment",
    examples: ("locum.key", "LOCUM_KEY"),
};

/// `[store]`.
pub(super) fn store(mut table: Table<'_, '_>) -> Option<store::Options> {
    let options = match kind(&mut table) {
        Kind::Sqlite => {
            vault::KEYS.into_iter().chain(["login"]).for_each(|key| table.refuse(key, VAULT));
            sqlite(&mut table).map(store::Options::Sqlite)
        }
        Kind::Vault => {
            KEY.keys.into_iter().chain(["path"]).for_each(|key| table.refuse(key, SQLITE));
            let login = login::login(table.section("login"));
            vault::vault(&mut table, login).map(store::Options::Vault)
        }
    };
    table.finish();
    options
}

/// Where no kind is named, or none that there is, the other keys tell which was meant, so that they are read as such.
fn kind(table: &mut Table<'_, '_>) -> Kind {
    let value = table.take("kind");
    let kind = value.as_ref().and_then(|value| value.one_of(&[("sqlite", Kind::Sqlite), ("vault", Kind::Vault)]));
    match (kind, table.at_key("address")) {
        (Some(kind), _) => kind,
        (None, None) => Kind::Sqlite,
        (None, Some(at)) => {
            if value.is_none() {
                table.reader().wrong_in_whole(at, format!("\"address\" in [store] without {VAULT}"), Some("add it"));
            }
            Kind::Vault
        }
    }
}

fn sqlite(table: &mut Table<'_, '_>) -> Option<store::sqlite::Options> {
    let path = match table.take("path") {
        Some(value) => value.path(),
        // Where the folder of the file begins is known to `Value::path` alone.
        None => Some(table.reader().beside_the_file("locum.db")),
    };
    let key = KEY.read(table);
    Some(store::sqlite::Options { path: path?, key: key? })
}

/// The keys that say where a secret is found, exactly one of which must be there.
pub(super) struct Places {
    /// For a file, a credential of the service manager, an environment variable.
    pub(super) keys: [&'static str; 3],
    /// What is found there.
    pub(super) secret: &'static str,
    /// What it is for, and what to set.
    pub(super) why: &'static str,
    /// The names of a credential and of a variable.
    pub(super) examples: (&'static str, &'static str),
}

impl Places {
    /// Takes the one that is there.
    pub(super) fn read(&self, table: &mut Table<'_, '_>) -> Option<KeySource> {
        let [file, credential, environment] = self.keys.map(|key| table.take(key));
        let given: Vec<_> = [&file, &credential, &environment].into_iter().flatten().map(|value| value.at).collect();
        match *given {
            [] if self.keys.iter().any(|key| table.has_misspelt(key)) => {}
            [] => {
                let message = format!("{} names no {}", table.title(), self.secret);
                table.reader().wrong_in_whole(table.at(), message, Some(self.why));
            }
            [_] => {}
            [.., last] => {
                let message = format!("{} names more than one {}", table.title(), self.secret);
                let remedy = format!("keep one of {}", self.keys.join(", "));
                table.reader().wrong_in_whole(last, message, Some(&remedy));
            }
        }
        let file = file.and_then(|value| value.path()).map(KeySource::File);
        let credential = credential.and_then(|value| self.credential(&value));
        let environment = environment.and_then(|value| self.environment(&value));
        file.or(credential).or(environment)
    }

    fn credential(&self, value: &Value<'_, '_>) -> Option<KeySource> {
        let name = value.text()?;
        if is_plain(name) {
            return Some(KeySource::Credential(name.to_owned()));
        }
        let example = self.examples.0;
        let remedy = format!("such as \"{example}\", as in LoadCredential={example}:/etc/locum/{example}");
        value.wrong(format!("\"{}\" must be the name of a systemd credential", self.keys[1]), Some(&remedy))
    }

    fn environment(&self, value: &Value<'_, '_>) -> Option<KeySource> {
        let name = value.text()?;
        if is_environment_name(name) {
            return Some(KeySource::Environment(name.to_owned()));
        }
        let (key, secret) = (self.keys[2], self.secret);
        let message = format!("\"{key}\" must be the name of an environment variable, not the {secret} itself");
        value.wrong(message, Some(&format!("such as \"{}\": capitals, digits and \"_\"", self.examples.1)))
    }
}

/// Capitals only (POSIX section 8.1 has it so for variables of utilities): that way a secret pasted here by mistake is
/// refused, and not looked up and reported as a variable that is not set.
fn is_environment_name(name: &str) -> bool {
    is_plain(name)
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_environment_name;

    #[test]
    fn a_pasted_secret_is_no_name_of_a_variable() {
        assert!(is_environment_name("LOCUM_KEY_2"));
        for text in ["", "locum_key", "2KEY", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA", "A-B", "A=B", "hvs.CAESIJ"]
        {
            assert!(!is_environment_name(text), "{text}");
        }
    }
}
