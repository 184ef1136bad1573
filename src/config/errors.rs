//! What is wrong with a configuration file. Nothing here may hold a value or a line of the file: it could be a secret,
//! and errors end up in terminals, logs and tickets. A position says where to look instead.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// All that is wrong with one configuration file, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Puts errors into the order of the file. `errors` must not be empty.
    pub(super) fn new(mut errors: Vec<ConfigError>) -> Self {
        debug_assert!(!errors.is_empty(), "an empty list of errors is no error");
        errors.sort_by_key(|error| error.position);
        errors.dedup();
        Self(errors)
    }

    /// The errors, in the order of the file; those without a position come first.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

/// One block for each error, see [`ConfigError`].
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl Error for ConfigErrors {}

/// One thing that is wrong: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) file: PathBuf,
    pub(super) position: Option<Position>,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
}

impl ConfigError {
    /// The file, as it was named to Locum.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The place in the file, where the error has one.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do, where the message does not already say it.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

/// `locum.toml:12:7: what is wrong`, and under it, indented, what to do.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n    {remedy}"),
            None => Ok(()),
        }
    }
}

impl Error for ConfigError {}

/// A place in a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1: characters, not bytes, as editors count.
    pub column: usize,
}

impl Position {
    /// The place of a byte offset. An offset within a character counts as the one after it; one past the end as the end.
    pub(super) fn of(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let before = &before[line_start..];
        // The byte order mark that some editors put in front is not a character of the first line.
        let before = if line == 1 { before.strip_prefix(b"\xef\xbb\xbf").unwrap_or(before) } else { before };
        let is_first_byte = |byte: u8| byte & 0b1100_0000 != 0b1000_0000;
        Self { line, column: 1 + before.iter().filter(|&&byte| is_first_byte(byte)).count() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let text = "a = 1\nnäme = \"é\" # x".as_bytes();
        assert_eq!(Position::of(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::of(text, 6), Position { line: 2, column: 1 });
        let hash = text.iter().position(|&byte| byte == b'#').unwrap();
        assert_eq!(Position::of(text, hash), Position { line: 2, column: 12 });
    }

    #[test]
    fn a_byte_order_mark_is_no_column() {
        assert_eq!(Position::of("\u{feff}name = 1".as_bytes(), 3), Position { line: 1, column: 1 });
    }

    #[test]
    fn an_offset_past_the_end_is_the_end() {
        assert_eq!(Position::of(b"ab", 99), Position { line: 1, column: 3 });
        assert_eq!(Position::of(b"", 0), Position { line: 1, column: 1 });
    }
}
