//! The little of a message's form (RFC 5322) that the protocols ask for: where its header ends, and its fields. It must
//! never change a byte of a message.

use super::connection::line_length;

/// The header, its empty line included, and the body.
pub(super) fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    while let Some(length) = line_length(&message[end..]) {
        let line = &message[end..end + length];
        end += length;
        if line == b"\r\n" || line == b"\n" {
            return message.split_at(end);
        }
    }
    (message, b"")
}

/// One field of a header.
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    /// The whole field with its continuation lines and line end.
    pub(super) raw: &'a [u8],
}

impl Field<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Its value on one line.
    fn value(&self) -> Vec<u8> {
        let value = self.raw.get(self.name.len() + 1..).unwrap_or_default();
        value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect::<Vec<_>>().trim_ascii().to_vec()
    }
}

/// The fields of a header. Lines that are none are left out.
pub(super) fn fields(header: &[u8]) -> Vec<Field<'_>> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    let (mut start, mut end) = (0, 0);
    while end < header.len() {
        end += line_length(&header[end..]).unwrap_or(header.len() - end);
        if matches!(header.get(end), Some(b' ' | b'\t')) {
            continue;
        }
        let raw = &header[start..end];
        start = end;
        if let Some(colon) = raw.iter().position(|&byte| byte == b':') {
            fields.push(Field { name: raw[..colon].trim_ascii_end(), raw });
        }
    }
    fields
}

/// The value of the first field of that name, on one line.
pub(super) fn value(header: &[u8], name: &str) -> Option<Vec<u8>> {
    fields(header).iter().find(|field| field.is(name)).map(Field::value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"Subject: one\r\n two\r\nX-Empty:\r\nfrom : a@b\r\n\r\nbody\r\n\r\nmore";

    #[test]
    fn header_and_body_are_the_whole_message() {
        let (header, body) = split(MESSAGE);
        assert!(header.ends_with(b"a@b\r\n\r\n"));
        assert_eq!(body, b"body\r\n\r\nmore");
        assert_eq!(split(b"Subject: no end"), (b"Subject: no end".as_slice(), b"".as_slice()));
        assert_eq!(split(b"\r\nbody"), (b"\r\n".as_slice(), b"body".as_slice()));
    }

    #[test]
    fn values_are_unfolded_and_found_in_any_case() {
        let (header, _) = split(MESSAGE);
        assert_eq!(value(header, "SUBJECT").unwrap(), b"one two");
        assert_eq!(value(header, "x-empty").unwrap(), b"");
        assert_eq!(value(header, "To"), None);
        assert_eq!(fields(header)[0].raw, b"Subject: one\r\n two\r\n");
    }
}
