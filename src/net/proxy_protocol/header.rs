//! The bytes of a header, and how many more there are to come. Pure. It must never ask for a byte that could be the client's,
//! nor take what it does not wholly understand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Version 1, line end included (section 2.1: "107 bytes").
const LINE_BYTES_MAX: usize = 107;

/// Version 2 with all its extensions: front ends send some hundred bytes of them, a client's certificate at most.
pub(super) const HEADER_BYTES_MAX: usize = 4 * 1024;

/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";

/// What version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length.
const FIXED_BYTES: usize = 16;

/// The extension with the checksum (section 2.2.3, `PP2_TYPE_CRC32C`).
const CRC32C: u8 = 0x03;

/// What the bytes come to so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// At least so many more bytes belong to the header.
    Need(usize),
    /// It is whole: the client's address, or `None` where the front end speaks for itself, or does not know for whom.
    Header(Option<IpAddr>),
}

/// Why bytes are no header that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It begins otherwise.
    #[error("there is no PROXY protocol header")]
    Absent,
    /// Version 1 with another form than the standard's.
    #[error("the line of the PROXY protocol is damaged")]
    Line,
    /// Version 2 of a version or with a command that does not exist.
    #[error("the PROXY protocol header has an unknown version or command")]
    Unknown,
    /// The client's connection is none of TCP.
    #[error("the PROXY protocol header is for another transport than TCP")]
    Transport,
    /// It is longer than anything that makes sense.
    #[error("the PROXY protocol header is too long")]
    TooLong,
    /// Addresses or extensions do not fit into its length.
    #[error("the PROXY protocol header is damaged")]
    Damaged,
    /// The checksum is another one.
    #[error("the checksum of the PROXY protocol header is wrong")]
    Checksum,
}

/// What these first bytes of a connection come to.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, HeaderError> {
    if begins(bytes, WORD) && !bytes.is_empty() {
        return line(bytes);
    }
    if !begins(bytes, SIGNATURE) {
        return Err(HeaderError::Absent);
    }
    // Of nothing yet, too: both versions have more than the signature of the second.
    let Some(rest) = bytes.strip_prefix(SIGNATURE) else { return Ok(Parsed::Need(SIGNATURE.len() - bytes.len())) };
    let &[version_and_command, family_and_transport, high, low, ..] = rest else {
        return Ok(Parsed::Need(FIXED_BYTES - bytes.len()));
    };
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > HEADER_BYTES_MAX {
        return Err(HeaderError::TooLong);
    }
    if !matches!(version_and_command, 0x20 | 0x21) {
        return Err(HeaderError::Unknown);
    }
    if bytes.len() < length {
        return Ok(Parsed::Need(length - bytes.len()));
    }
    // LOCAL: whatever else it says is to be thrown away (section 2.2).
    if version_and_command == 0x20 {
        return Ok(Parsed::Header(None));
    }
    let body = &bytes[FIXED_BYTES..length];
    let (client, extensions) = match family_and_transport {
        0x00 => (None, body),
        0x11 => split_addresses::<4>(body).map(|(source, rest)| (Some(Ipv4Addr::from(source).into()), rest))?,
        0x21 => split_addresses::<16>(body).map(|(source, rest)| (Some(Ipv6Addr::from(source).into()), rest))?,
        _ => return Err(HeaderError::Transport),
    };
    check_extensions(&bytes[..length], extensions)?;
    Ok(Parsed::Header(client.map(|address: IpAddr| address.to_canonical())))
}

/// Whether one begins with the other, as far as both go.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(a, b)| a == b)
}

/// Version 1: one line of text.
fn line(bytes: &[u8]) -> Result<Parsed, HeaderError> {
    // The shortest line there is; then the end of the line, which is two bytes away unless half of it is here.
    const SHORTEST: usize = b"PROXY UNKNOWN\r\n".len();
    if bytes.len() < SHORTEST {
        return Ok(Parsed::Need(SHORTEST - bytes.len()));
    }
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        let need = if bytes.ends_with(b"\r") { 1 } else { 2 };
        let is_broken = bytes[..bytes.len() - 1].contains(&b'\r') || bytes.contains(&b'\n');
        return match bytes.len() + need {
            _ if is_broken => Err(HeaderError::Line),
            length if length > LINE_BYTES_MAX => Err(HeaderError::TooLong),
            _ => Ok(Parsed::Need(need)),
        };
    };
    let text = std::str::from_utf8(line).ok().filter(|text| !text.contains(['\r', '\n'])).ok_or(HeaderError::Line)?;
    let mut words = text.split(' ').skip(1);
    let client = match words.next() {
        // Whatever else stands there is to be ignored (section 2.1).
        Some("UNKNOWN") => return Ok(Parsed::Header(None)),
        Some("TCP4") => address::<Ipv4Addr>(&mut words),
        Some("TCP6") => address::<Ipv6Addr>(&mut words),
        _ => None,
    };
    match (client, words.next()) {
        (Some(client), None) => Ok(Parsed::Header(Some(client.to_canonical()))),
        _ => Err(HeaderError::Line),
    }
}

/// Source, destination and their ports: the source.
fn address<'a, A: std::str::FromStr + Into<IpAddr>>(words: &mut impl Iterator<Item = &'a str>) -> Option<IpAddr> {
    let source = words.next()?.parse::<A>().ok()?;
    words.next()?.parse::<A>().ok()?;
    for _ in 0..2 {
        let port = words.next()?;
        let is_plain = port.bytes().all(|byte| byte.is_ascii_digit()) && (port == "0" || !port.starts_with('0'));
        port.parse::<u16>().ok().filter(|_| is_plain)?;
    }
    Some(source.into())
}

/// The source in front of destination and ports, and what follows them.
fn split_addresses<const N: usize>(body: &[u8]) -> Result<([u8; N], &[u8]), HeaderError> {
    let (source, rest) = body.split_first_chunk().ok_or(HeaderError::Damaged)?;
    let (_, extensions) = rest.split_at_checked(N + 4).ok_or(HeaderError::Damaged)?;
    Ok((*source, extensions))
}

/// Extensions mean nothing here, but they have to fill the header, and a checksum has to be right.
fn check_extensions(header: &[u8], mut extensions: &[u8]) -> Result<(), HeaderError> {
    let mut checked = false;
    while let Some((&[kind, high, low], rest)) = extensions.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, others) = rest.split_at_checked(length).ok_or(HeaderError::Damaged)?;
        if kind == CRC32C {
            let expected = value.try_into().map(u32::from_be_bytes).map_err(|_| HeaderError::Damaged)?;
            let at = header.len() - others.len() - length;
            if checked || crc32c_without(header, at) != expected {
                return Err(HeaderError::Checksum);
            }
            checked = true;
        }
        extensions = others;
    }
    if extensions.is_empty() { Ok(()) } else { Err(HeaderError::Damaged) }
}

/// CRC32c (RFC 3720 appendix B.4) over a header, its own four bytes taken for zeros. Bit by bit: it is a few hundred bytes,
/// once a connection.
fn crc32c_without(header: &[u8], own_at: usize) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let own = own_at..own_at + 4;
    let sum = header.iter().enumerate().fold(u32::MAX, |sum, (at, &byte)| {
        let byte = if own.contains(&at) { 0 } else { byte };
        (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 })
    });
    !sum
}

#[cfg(test)]
mod tests;
