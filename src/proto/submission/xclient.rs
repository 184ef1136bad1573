//! The arguments of XCLIENT (Postfix, XCLIENT_README): whose connection a front end says it passes on. It must never take a
//! login: that a client has proved itself is for nobody to say but the client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::proto::SpokenFor;

/// The attributes that are taken, as EHLO shows them.
pub(super) const KEYWORD: &str = "XCLIENT ADDR PORT NAME PROTO HELO";

const ATTRIBUTES: [&str; 6] = ["ADDR", "PORT", "NAME", "PROTO", "HELO", "LOGIN"];

const NO_LOGIN: &str = "501 5.5.4 LOGIN is not taken: the client has to log in here";
const BAD_SYNTAX: &str = "501 5.5.4 Bad XCLIENT syntax";

/// What the arguments of one command say.
///
/// # Errors
/// The reply, if they cannot be taken. Then none of them is.
pub(super) fn parse(arguments: &[u8]) -> Result<SpokenFor, &'static str> {
    let mut seen = [false; ATTRIBUTES.len()];
    let mut said = SpokenFor::Same;
    for argument in arguments.split(u8::is_ascii_whitespace).filter(|argument| !argument.is_empty()) {
        let equals = argument.iter().position(|&byte| byte == b'=').ok_or(BAD_SYNTAX)?;
        let (name, value) = (&argument[..equals], &argument[equals + 1..]);
        let at = ATTRIBUTES.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes())).ok_or(BAD_SYNTAX)?;
        if std::mem::replace(&mut seen[at], true) {
            return Err(BAD_SYNTAX);
        }
        let is_unknown =
            [&b"[UNAVAILABLE]"[..], b"[TEMPUNAVAIL]"].iter().any(|unknown| value.eq_ignore_ascii_case(unknown));
        let value = decode(value).ok_or(BAD_SYNTAX)?;
        match ATTRIBUTES[at] {
            "ADDR" if is_unknown => said = SpokenFor::Unknown,
            "ADDR" => said = SpokenFor::Address(address(&value).ok_or(BAD_SYNTAX)?),
            _ if is_unknown => {}
            "LOGIN" => return Err(NO_LOGIN),
            "PORT" => drop(value.parse::<u16>().map_err(|_| BAD_SYNTAX)?),
            "PROTO" if !["SMTP", "ESMTP"].iter().any(|proto| value.eq_ignore_ascii_case(proto)) => {
                return Err(BAD_SYNTAX);
            }
            // Names are the client's own word or the DNS's, and decide nothing here.
            _ => {}
        }
    }
    if seen.contains(&true) { Ok(said) } else { Err(BAD_SYNTAX) }
}

/// An address as Postfix writes it: IPv6 has `IPV6:` in front.
fn address(text: &str) -> Option<IpAddr> {
    let address = match text.split_at_checked(5) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("IPV6:") => rest.parse::<Ipv6Addr>().ok()?.into(),
        _ => text.parse::<Ipv4Addr>().ok()?.into(),
    };
    Some(IpAddr::to_canonical(&address))
}

/// Decodes xtext (RFC 3461 section 4): printable, with `+` and two hexadecimal digits for any other octet.
fn decode(xtext: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(xtext.len());
    let mut rest = xtext.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(match byte {
            b'+' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'=' => return None,
            b'!'..=b'~' => byte,
            _ => return None,
        });
    }
    String::from_utf8(decoded).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(arguments: &str, said: SpokenFor) {
        assert_eq!(parse(arguments.as_bytes()), Ok(said), "{arguments}");
    }

    fn address(text: &str) -> SpokenFor {
        SpokenFor::Address(text.parse().unwrap())
    }

    #[test]
    fn the_examples_of_the_readme() {
        says("NAME=spike.porcupine.org ADDR=168.100.189.2", address("168.100.189.2"));
        says("PROTO=ESMTP", SpokenFor::Same);
        says("HELO=spike.porcupine.org", SpokenFor::Same);
        says("ADDR=127.0.0.1 LOGIN=[UNAVAILABLE] NAME=[UNAVAILABLE]", address("127.0.0.1"));
    }

    #[test]
    fn addresses_of_both_kinds_and_none() {
        says("addr=IPV6:2001:db8::7 port=50000", address("2001:db8::7"));
        says("ADDR=ipv6:::ffff:192.0.2.7", address("192.0.2.7"));
        says("ADDR=+31+39+32.0.2.7", address("192.0.2.7"));
        says("ADDR=[UNAVAILABLE]", SpokenFor::Unknown);
        says("ADDR=[tempunavail] PORT=[UNAVAILABLE]", SpokenFor::Unknown);
        says("NAME=[TEMPUNAVAIL] HELO=a+20b+2Bc", SpokenFor::Same);
    }

    #[test]
    fn a_front_end_logs_nobody_in() {
        assert_eq!(parse(b"ADDR=192.0.2.7 LOGIN=alice"), Err(NO_LOGIN));
        assert_eq!(parse(b"login=alice"), Err(NO_LOGIN));
    }

    #[test]
    fn anything_else_is_bad_syntax() {
        for arguments in [
            "",
            "ADDR",
            "ADDR=",
            "=192.0.2.7",
            "ADDR=192.0.2.7 ADDR=192.0.2.8",
            "ADDR=192.0.2.07",
            "ADDR=192.0.2.7/32",
            "ADDR=2001:db8::7",
            "ADDR=IPV6:192.0.2.7",
            "ADDR=mail.example.com",
            "ADDR=192.0.2.7+",
            "ADDR=192.0.2.7+0",
            "ADDR=192.0.2.7+0A",
            "ADDR=192.0.2.7+00",
            "ADDR=+g0",
            "ADDR=192.0.2.7 X=1",
            "DESTADDR=192.0.2.7",
            "PORT=65536",
            "PORT=-1",
            "PROTO=LMTP",
            "NAME=a=b",
            "NAME=+ff",
            "NAME=+0D+0A",
        ] {
            assert_eq!(parse(arguments.as_bytes()), Err(BAD_SYNTAX), "{arguments}");
        }
        assert_eq!(parse(b"NAME=\xc3\xa9"), Err(BAD_SYNTAX));
        assert_eq!(parse(b"ADDR=192.0.2.7\0"), Err(BAD_SYNTAX));
    }
}
