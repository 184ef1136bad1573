//! One value on its way from TOML to a type. It must never appear in a message, whatever is wrong with it: the place
//! says enough, and the value may be a secret in the wrong line.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::reader::{At, Reader};
use super::{secrets, suggest};

/// A value and where it stands. Each conversion notes what is wrong and then gives `None`.
pub(super) struct Value<'r, 't> {
    reader: &'r Reader<'t>,
    pub(super) key: &'static str,
    pub(super) at: At,
    pub(super) value: DeValue<'t>,
}

impl<'r, 't> Value<'r, 't> {
    /// The value of a key that stands at `key_at`.
    pub(super) fn new(reader: &'r Reader<'t>, key: &'static str, key_at: At, value: Spanned<DeValue<'t>>) -> Self {
        // The parser puts something without extent where it found no value.
        let at = if value.span().is_empty() { key_at } else { At(Some(value.span().start)) };
        Self { reader, key, at, value: value.into_inner() }
    }

    /// Notes that this value is wrong.
    pub(super) fn wrong<T>(&self, message: impl Into<String>, remedy: Option<&str>) -> Option<T> {
        self.reader.wrong(self.at, message, remedy);
        None
    }

    /// The reader that complaints go to.
    pub(super) fn reader(&self) -> &'r Reader<'t> {
        self.reader
    }

    /// Whether it is this very string.
    pub(super) fn is_text(&self, text: &str) -> bool {
        self.value.as_str() == Some(text)
    }

    /// A string.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type("a string"),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong_type("true or false"))
    }

    /// One of the words of a list.
    pub(super) fn one_of<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let mut message = format!("\"{}\" must be {}", self.key, one_of(&words));
        if let Some(word) = suggest::nearest(text, words).filter(|_| choices.len() > 1) {
            message.push_str(&format!("; did you mean \"{word}\"?"));
        }
        self.wrong(message, None)
    }

    /// What its type reads from a string. The type's error must not quote the string.
    pub(super) fn parsed<T: FromStr<Err = String>>(&self) -> Option<T> {
        match self.text()?.parse() {
            Ok(parsed) => Some(parsed),
            Err(expected) => self.wrong(format!("\"{}\": {expected}", self.key), None),
        }
    }

    /// A whole number within bounds, and the reason for the bounds.
    pub(super) fn integer<T: TryFrom<u64>>(&self, bounds: RangeInclusive<u64>, reason: &str) -> Option<T> {
        let DeValue::Integer(digits) = &self.value else {
            return self.wrong_type("a whole number");
        };
        let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
        let number = number.filter(|number| bounds.contains(number)).and_then(|number| T::try_from(number).ok());
        let message = || format!("\"{}\" must be between {} and {}", self.key, bounds.start(), bounds.end());
        number.or_else(|| self.wrong(message(), Some(reason)))
    }

    /// A time such as `"30s"` within bounds, and the reason for the bounds.
    pub(super) fn duration(&self, bounds: RangeInclusive<Duration>, reason: &str) -> Option<Duration> {
        const FORM: &str = "a time such as \"30s\", \"5m\", \"2h\" or \"1d\"";
        let DeValue::String(text) = &self.value else {
            return self.wrong_type(FORM);
        };
        let Some(duration) = parse_duration(text) else {
            return self.wrong(format!("\"{}\" must be {FORM}", self.key), None);
        };
        if bounds.contains(&duration) {
            return Some(duration);
        }
        let (min, max) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
        self.wrong(format!("\"{}\" must be between \"{min}\" and \"{max}\"", self.key), Some(reason))
    }

    /// A size such as `"64MiB"` within bounds, and the reason for the bounds.
    pub(super) fn size(&self, bounds: RangeInclusive<u64>, reason: &str) -> Option<u64> {
        const FORM: &str = "a size such as \"512KiB\", \"64MiB\" or \"1GiB\"";
        let DeValue::String(text) = &self.value else {
            return self.wrong_type(FORM);
        };
        let Some(size) = parse_size(text) else {
            return self.wrong(format!("\"{}\" must be {FORM}", self.key), None);
        };
        if bounds.contains(&size) {
            return Some(size);
        }
        let (min, max) = (show_size(*bounds.start()), show_size(*bounds.end()));
        self.wrong(format!("\"{}\" must be between \"{min}\" and \"{max}\"", self.key), Some(reason))
    }

    /// A date and time, in TOML's own form or in quotes.
    pub(super) fn date_text(&self) -> Option<String> {
        match &self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Datetime(date) => Some(date.to_string()),
            _ => self.wrong_type("a date with a time"),
        }
    }

    /// A path; a relative one starts at the folder of the configuration file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let text = self.text()?;
        if secrets::is_file_content(text) {
            let message = format!("\"{}\" must be a path, not the content of a file; {}", self.key, secrets::RULE);
            return self
                .wrong(message, Some("put the content into a file of its own, mode 0600, and name that file here"));
        }
        if text.is_empty() || text.chars().any(char::is_control) {
            return self.wrong(format!("\"{}\" must be a path", self.key), None);
        }
        if text == "~" || text.starts_with("~/") {
            let message = format!("\"{}\" begins with \"~\", which only shells know", self.key);
            return self.wrong(message, Some("write the path in full, or relative to the folder of this file"));
        }
        Some(self.reader.beside_the_file(text))
    }

    /// One string or a list of strings, each through `convert`. Nothing if any of them is wrong.
    pub(super) fn list<T>(self, convert: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        let items: Vec<Self> = match self.value {
            DeValue::String(_) => vec![self],
            DeValue::Array(list) => {
                list.into_iter().map(|item| Self::new(self.reader, self.key, self.at, item)).collect()
            }
            _ => return self.wrong_type("a string or a list of strings"),
        };
        // Not straight into an `Option`: that would stop at the first that is wrong.
        let converted: Vec<Option<T>> = items.iter().map(convert).collect();
        converted.into_iter().collect()
    }

    fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        let found = match &self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("\"{}\" must be {expected}, not {found}", self.key), None)
    }
}

/// Words as a choice: `"a", "b" or "c"`.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

const UNITS: [(char, u64); 4] = [('d', 24 * 60 * 60), ('h', 60 * 60), ('m', 60), ('s', 1)];

fn parse_duration(text: &str) -> Option<Duration> {
    let (_, seconds) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let digits = &text[..text.len() - 1];
    // `parse` alone would take a sign too.
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok())??;
    number.checked_mul(seconds).map(Duration::from_secs)
}

fn show_duration(duration: Duration) -> String {
    let whole = |(_, unit): &(char, u64)| duration.as_secs().is_multiple_of(*unit) && !duration.is_zero();
    let (unit, seconds) = UNITS.into_iter().find(whole).unwrap_or(('s', 1));
    format!("{}{unit}", duration.as_secs() / seconds)
}

/// Units of sizes, the largest first.
const SIZES: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];

fn parse_size(text: &str) -> Option<u64> {
    let (digits, shift) = SIZES.into_iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(1 << shift)
}

fn show_size(size: u64) -> String {
    let whole = |(_, shift): &(&str, u32)| size.is_multiple_of(1 << shift);
    let (unit, shift) = SIZES.into_iter().find(whole).unwrap_or(("B", 0));
    format!("{}{unit}", size >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_number_and_one_unit() {
        for (text, size) in [("1KiB", 1024), ("64MiB", 64 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(parse_size(text), Some(size), "{text}");
            assert_eq!(show_size(size), text);
        }
        for text in ["", "MiB", "1", "1MB", "-1MiB", "+1MiB", "1 MiB", "1.5MiB", "99999999999999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn durations_have_one_number_and_one_unit() {
        for (text, seconds) in [("0s", 0), ("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(show_duration(Duration::from_secs(seconds)), text);
        }
        for text in [
            "",
            "s",
            "5",
            "+5s",
            "-5s",
            "5 s",
            "1h30m",
            "5ms",
            "5M",
            "99999999999999999999s",
            "999999999999999999d",
            "5é",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
    }

    #[test]
    fn choices_read_as_a_sentence() {
        assert_eq!(one_of(&["a"]), "\"a\"");
        assert_eq!(one_of(&["a", "b", "c"]), "\"a\", \"b\" or \"c\"");
    }
}
