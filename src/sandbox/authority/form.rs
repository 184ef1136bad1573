//! Forms (`application/x-www-form-urlencoded`) and queries, both ways. Their values may be secrets.

use std::fmt::Write as _;

use crate::model::Secret;

/// A form, in the order of its fields.
#[derive(Default)]
pub(super) struct Form(Vec<(String, Secret)>);

impl Form {
    /// Reads a form; a field that is not UTF-8 makes it none.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        for field in text.split(|&byte| byte == b'&').filter(|field| !field.is_empty()) {
            let end = field.iter().position(|&byte| byte == b'=').unwrap_or(field.len());
            let name = decode(&field[..end])?;
            let value = decode(field.get(end + 1..).unwrap_or_default())?;
            value.expose_text()?;
            fields.push((name.expose_text()?.to_owned(), value));
        }
        Some(Self(fields))
    }

    /// The value of a field that is there once and not empty.
    pub(super) fn secret(&self, name: &str) -> Option<&Secret> {
        let mut values = self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value);
        values.next().filter(|value| !value.is_empty() && values.next().is_none())
    }

    /// The same as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.secret(name).and_then(Secret::expose_text)
    }
}

fn decode(text: &[u8]) -> Option<Secret> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => plain.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                plain.push(data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?[0]);
                rest = after;
            }
            byte => plain.push(byte),
        }
    }
    Some(Secret::new(plain))
}

/// A value as it stands in a query.
pub(super) fn encode(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            byte => write!(text, "%{byte:02X}").expect("a string takes all that is written to it"),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_they_are_written() {
        let strange = "a&b=c+d %é\u{1}";
        let form = Form::parse(format!("x={}&y=a+b&empty=&bare&twice=1&twice=2", encode(strange)).as_bytes()).unwrap();
        assert_eq!(form.text("x"), Some(strange));
        assert_eq!(form.text("y"), Some("a b"));
        for name in ["empty", "bare", "twice", "absent"] {
            assert_eq!(form.text(name), None, "{name}");
        }
        for bad in ["x=%", "x=%4", "x=%zz", "x=%ff"] {
            assert!(Form::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
