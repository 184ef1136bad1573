//! Walks a parsed file: tables give up their keys one by one, and what is wrong is noted and walked past, so that one
//! run finds everything. It must never take a value into a message, nor stop at the first error.
//!
//! A file with syntax errors is walked too, without the lines that have them. Two precautions keep that from raising
//! false alarms: what stands on such a line is not complained about a second time, and what can only be said of a whole
//! file (a key is missing, a name is not there) is not said of a part of one.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::errors::{ConfigError, Position};
use super::value::Value;
use super::{secrets, suggest};

/// How many errors are told. Whoever has more has named some other file.
const ERRORS_MAX: usize = 100;

/// The text that is read, and what was found wrong with it so far.
pub(super) struct Reader<'t> {
    text: &'t str,
    /// The text without its broken lines.
    readable: Cow<'t, str>,
    file: &'t Path,
    /// Whether all of the file is TOML.
    is_whole: bool,
    /// Lines that are not.
    broken_lines: BTreeSet<usize>,
    errors: RefCell<Vec<ConfigError>>,
    /// Every `table.key` that was asked for: the sample and the reference are held against it.
    #[cfg(test)]
    pub(super) asked: RefCell<BTreeSet<String>>,
}

/// The byte of the text that a complaint points at; `None` for what is nowhere in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At(pub(super) Option<usize>);

impl<'t> Reader<'t> {
    /// A reader for `text`. What is not TOML in it is noted.
    pub(super) fn new(text: &'t str, file: &'t Path) -> Self {
        let mut reader = Self {
            text,
            readable: Cow::Borrowed(text),
            file,
            is_whole: false,
            broken_lines: BTreeSet::new(),
            errors: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        };
        let (_, syntax_errors) = DeTable::parse_recoverable(text);
        if syntax_errors.is_empty() {
            reader.is_whole = true;
            return reader;
        }
        for error in syntax_errors.iter().take(ERRORS_MAX + 1) {
            // The messages of the parser are fixed texts; its `Display` would print the line.
            let message = error.message();
            let message = message.strip_suffix(", expected nothing").unwrap_or(message);
            reader.wrong(start(text, error), format!("not TOML: {message}"), None);
        }
        if syntax_errors.len() > ERRORS_MAX {
            reader.readable = Cow::Borrowed("");
            return reader;
        }
        let lines = |errors: &[toml::de::Error]| -> BTreeSet<usize> {
            errors.iter().map(|error| reader.line(start(text, error))).collect()
        };
        // The parser loses what comes after some errors. Without the lines that have them it reads the rest.
        let mut broken_lines = with_tables(text, lines(&syntax_errors));
        let readable = blank(text, &broken_lines);
        let (_, syntax_errors) = DeTable::parse_recoverable(&readable);
        broken_lines.extend(lines(&syntax_errors));
        reader.readable = Cow::Owned(readable);
        reader.broken_lines = broken_lines;
        reader
    }

    /// The top level of the file.
    pub(super) fn root(&self) -> Table<'_, '_> {
        let (tree, _) = DeTable::parse_recoverable(&self.readable);
        Table::new(self, String::new(), At(None), tree.into_inner())
    }

    /// A path; if it is relative, in the folder of the file that is read.
    pub(super) fn beside_the_file(&self, path: &str) -> PathBuf {
        self.file.parent().map_or_else(|| path.into(), |folder| folder.join(path))
    }

    /// Notes what is wrong at a place.
    pub(super) fn wrong(&self, at: At, message: impl Into<String>, remedy: Option<&str>) {
        if self.errors.borrow().len() > ERRORS_MAX {
            return;
        }
        let position = self.position(at);
        if position.is_some_and(|position| self.broken_lines.contains(&position.line)) {
            return;
        }
        self.errors.borrow_mut().push(ConfigError {
            file: self.file.to_owned(),
            position,
            message: message.into(),
            remedy: remedy.map(str::to_owned),
        });
    }

    /// Notes what is wrong with the file as a whole: something lacks, or two places do not agree.
    pub(super) fn wrong_in_whole(&self, at: At, message: impl Into<String>, remedy: Option<&str>) {
        if self.is_whole {
            self.wrong(at, message, remedy);
        }
    }

    /// The line of a place, to refer to it from another.
    pub(super) fn line(&self, at: At) -> usize {
        self.position(at).map_or(1, |position| position.line)
    }

    /// All that was noted.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        if errors.len() > ERRORS_MAX {
            let message = format!("more than {ERRORS_MAX} errors; {ERRORS_MAX} of them here");
            let remedy = Some("is this a configuration of Locum?".to_owned());
            errors.truncate(ERRORS_MAX);
            errors.insert(0, ConfigError { file: self.file.to_owned(), position: None, message, remedy });
        }
        errors
    }

    fn position(&self, at: At) -> Option<Position> {
        at.0.map(|offset| Position::of(self.text.as_bytes(), offset))
    }

    /// The name of a key as a message may show it. Where the file is not TOML, what looks like a key may be a piece of a
    /// value; and what is no plain word may be anything.
    fn shown(&self, key: &str) -> Option<String> {
        (self.is_whole && is_plain(key)).then(|| format!("\"{key}\""))
    }
}

/// Where a syntax error begins.
fn start(text: &str, error: &toml::de::Error) -> At {
    At(Some(error.span().map_or(text.len(), |span| span.start)))
}

/// The lines with syntax errors; after a header that is one, those of its table too: nobody knows where they belong.
fn with_tables(text: &str, begun: BTreeSet<usize>) -> BTreeSet<usize> {
    let mut broken = begun.clone();
    let mut in_broken_table = false;
    for (line, content) in (1..).zip(text.split('\n')) {
        if content.trim_start().starts_with('[') {
            in_broken_table = begun.contains(&line);
        }
        if in_broken_table {
            broken.insert(line);
        }
    }
    broken
}

/// The text with blanks for some of its lines, every other byte in its place.
fn blank(text: &str, lines: &BTreeSet<usize>) -> String {
    let blanked = (1..).zip(text.split('\n')).map(|(line, content)| match lines.contains(&line) {
        true => " ".repeat(content.len()),
        false => content.to_owned(),
    });
    blanked.collect::<Vec<_>>().join("\n")
}

/// Whether a name is safe and sensible to show and to refer to: letters, digits, `.`, `_` and `-`, 64 at most.
pub(super) fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// A table whose keys are being taken. [`Table::finish`] complains about those that are left.
#[must_use = "a table that is not finished hides its unknown keys"]
pub(super) struct Table<'r, 't> {
    reader: &'r Reader<'t>,
    /// Its name, dotted; empty for the top level.
    name: String,
    at: At,
    entries: DeTable<'t>,
    /// What was asked for so far: what an unknown key may have meant.
    known: Vec<&'static str>,
    /// What must be there and is not, and what to do about it.
    missing: Vec<(&'static str, &'static str)>,
    is_in_list: bool,
}

impl<'r, 't> Table<'r, 't> {
    fn new(reader: &'r Reader<'t>, name: String, at: At, entries: DeTable<'t>) -> Self {
        Self { reader, name, at, entries, known: Vec::new(), missing: Vec::new(), is_in_list: false }
    }

    /// The reader that complaints go to.
    pub(super) fn reader(&self) -> &'r Reader<'t> {
        self.reader
    }

    /// Its header.
    pub(super) fn at(&self) -> At {
        self.at
    }

    /// Where its keys are: "in [limits]".
    fn place(&self) -> String {
        match (self.name.as_str(), self.is_in_list) {
            ("", _) => "at the top level".to_owned(),
            (name, true) => format!("in [[{name}]]"),
            (name, false) => format!("in [{name}]"),
        }
    }

    /// Its header, as it is written.
    pub(super) fn title(&self) -> String {
        format!("[{}]", self.name)
    }

    /// Whether one of the keys that are left is this one, misspelt: worth one complaint, not two. To be asked last.
    pub(super) fn has_misspelt(&self, key: &str) -> bool {
        self.entries.keys().any(|typed| suggest::nearest(typed.get_ref(), [key]).is_some())
    }

    /// The value of a key, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'r, 't>> {
        #[cfg(test)]
        self.reader.asked.borrow_mut().insert(format!("{}.{key}", self.name));
        self.take_entry(key)
    }

    /// The value of a key that must be there. [`Table::finish`] complains about its lack, with what to do.
    pub(super) fn require(&mut self, key: &'static str, remedy: &'static str) -> Option<Value<'r, 't>> {
        let value = self.take(key);
        if value.is_none() {
            self.missing.push((key, remedy));
        }
        value
    }

    /// Where a key stands that was not taken yet.
    pub(super) fn at_key(&self, key: &str) -> Option<At> {
        self.entries.get_key_value(key).map(|(key, _)| At(Some(key.span().start)))
    }

    /// Complains about a key that means something, but only beside `setting`, which this table does not have.
    pub(super) fn refuse(&mut self, key: &'static str, setting: &str) {
        let Some((entry, value)) = self.entries.remove_entry(key) else { return };
        let message = format!("\"{key}\" {} goes with {setting}", self.place());
        let remedy = format!("take it out, or set {setting}");
        self.reader.wrong(At(Some(entry.span().start)), message, Some(&remedy));
        self.complain_of_secrets_in(value.get_ref());
    }

    /// The table under a key, if it is there.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Self> {
        let value = self.take_entry(key)?;
        self.child(key, value)
    }

    /// The table under a key; an empty one if it is not there.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        self.table(key).unwrap_or_else(|| Self::new(self.reader, self.child_name(key), At(None), DeTable::new()))
    }

    /// The tables of a list of tables: `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.take_entry(key) else {
            return Vec::new();
        };
        let values = match value.value {
            DeValue::Array(list) => list.into_iter().map(|item| Value::new(self.reader, key, value.at, item)).collect(),
            DeValue::Table(_) => {
                self.reader.wrong(value.at, format!("there may be several: write [[{key}]], not [{key}]"), None);
                vec![value]
            }
            _ => vec![value],
        };
        let tables = values.into_iter().filter_map(|value| self.child(key, value));
        tables.map(|table| Self { is_in_list: true, ..table }).collect()
    }

    /// All entries, as tables under names that the operator chooses: `[upstream.<name>]`.
    pub(super) fn into_named_tables(mut self) -> Vec<(String, Self)> {
        let mut tables = Vec::new();
        for (key, value) in std::mem::take(&mut self.entries) {
            let (at, name) = (At(Some(key.span().start)), key.into_inner());
            if !value.get_ref().is_table() && secrets::is_literal(&name, value.get_ref()) {
                self.complain(&name, at, value.get_ref());
                continue;
            }
            if !is_plain(&name) {
                let message =
                    format!("a name in [{}.<name>] is made of letters, digits, \".\", \"_\" and \"-\"", self.name);
                self.reader.wrong(at, message, Some("64 characters at most"));
                continue;
            }
            let shown = if self.reader.is_whole { &name } else { "<name>" };
            let table = self.child(shown, Value::new(self.reader, "", at, value));
            tables.extend(table.map(|table| (name.into_owned(), table)));
        }
        tables
    }

    /// Ends the reading of this table: what is left in it is unknown, and what is missing is missing.
    pub(super) fn finish(self) {
        for (key, remedy) in self.missing.iter().filter(|(key, _)| !self.has_misspelt(key)) {
            self.reader.wrong_in_whole(self.at, format!("\"{key}\" is missing {}", self.place()), Some(remedy));
        }
        for (key, value) in &self.entries {
            self.complain(key.get_ref(), At(Some(key.span().start)), value.get_ref());
        }
    }

    fn take_entry(&mut self, key: &'static str) -> Option<Value<'r, 't>> {
        self.known.push(key);
        let (entry, value): (Spanned<DeString<'t>>, _) = self.entries.remove_entry(key)?;
        Some(Value::new(self.reader, key, At(Some(entry.span().start)), value))
    }

    fn child(&self, key: &str, value: Value<'r, 't>) -> Option<Self> {
        let name = self.child_name(key);
        let (reader, at) = (self.reader, value.at);
        match value.value {
            DeValue::Table(entries) => Some(Self::new(reader, name, at, entries)),
            _ => {
                reader.wrong(at, format!("\"{key}\" must be a table: [{name}]"), None);
                None
            }
        }
    }

    fn child_name(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Complains about an entry that nobody asked for, and about secrets in it however deep.
    fn complain(&self, key: &str, at: At, value: &DeValue<'_>) {
        if secrets::is_literal(key, value) {
            return self.complain_of_secret(key, at);
        }
        let kind = if value.is_table() { "unknown table" } else { "unknown key" };
        let shown = self.reader.shown(key).map_or(kind.to_owned(), |key| format!("{kind} {key}"));
        let mut message = format!("{shown} {}", self.place());
        let mut remedy = None;
        match suggest::nearest(key, self.known.iter().copied()) {
            Some(known) => message.push_str(&format!("; did you mean \"{known}\"?")),
            None if self.known.is_empty() => {}
            None => remedy = Some(format!("the keys here are: {}", self.known.join(", "))),
        }
        self.reader.wrong(at, message, remedy.as_deref());
        self.complain_of_secrets_in(value);
    }

    fn complain_of_secrets_in(&self, value: &DeValue<'_>) {
        match value {
            DeValue::Table(entries) => {
                for (key, value) in entries {
                    if secrets::is_literal(key.get_ref(), value.get_ref()) {
                        self.complain_of_secret(key.get_ref(), At(Some(key.span().start)));
                    } else {
                        self.complain_of_secrets_in(value.get_ref());
                    }
                }
            }
            DeValue::Array(list) => list.iter().for_each(|item| self.complain_of_secrets_in(item.get_ref())),
            _ => {}
        }
    }

    fn complain_of_secret(&self, key: &str, at: At) {
        let shown = self.reader.shown(key).unwrap_or("this key".to_owned());
        self.reader.wrong(at, format!("{shown} looks like a secret; {}", secrets::RULE), Some(secrets::REMEDY));
    }
}
