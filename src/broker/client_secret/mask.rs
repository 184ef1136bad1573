//! Secrets that were typed where a login name goes. What is typed there stands in the audit, and a secret must not.
//!
//! Only the form of [`super::issue`] can be known by itself, by the `lo_` that it begins with, or `Lo_` where a keyboard began
//! with a capital, or all capitals where a panel has no others: who knows that much knows the secret. The forms for devices with
//! picky fields ([`super::Form`]) are digits or letters as login names are, and who typed one as a name is nobody whose
//! records could tell; the same goes for what people chose. They are weaker in this, too, and the pages say so.

use super::CLEAR_CHARS;

/// A login name with the random part of any issued secret in it masked.
pub(in crate::broker) fn mask(name: &[u8]) -> Vec<u8> {
    let is_base32 = |byte: &u8| matches!(byte.to_ascii_lowercase(), b'a'..=b'z' | b'2'..=b'7');
    let mut masked = name.to_vec();
    for at in 0..name.len() {
        let Some((clear, random)) = name[at..].split_at_checked(CLEAR_CHARS) else { break };
        let [l, o, b'_', id @ .., b'_'] = clear else { continue };
        if [*l, *o].eq_ignore_ascii_case(b"lo") && id.iter().all(is_base32) {
            let length = random.iter().take_while(|byte| is_base32(byte)).count();
            masked[at + CLEAR_CHARS..][..length].fill(b'*');
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::issue;
    use super::*;

    #[test]
    fn a_secret_in_a_login_name_is_masked_whole_or_in_part() {
        let (record, secret) = issue("", None, Timestamp::UNIX_EPOCH).unwrap();
        let secret = secret.expose_text().unwrap();
        let shown = |name: &str| String::from_utf8(mask(name.as_bytes())).unwrap();
        let clear = format!("lo_{}_", record.id);
        let masked = format!("{clear}{}", "*".repeat(secret.len() - clear.len()));
        assert_eq!(shown(secret), masked);
        assert_eq!(shown(&format!("scan {secret}@x.test")), format!("scan {masked}@x.test"));
        assert_eq!(shown(&secret[..20]), format!("{clear}{}", "*".repeat(20 - clear.len())));
        let capital = format!("Lo_{}", &secret[3..]);
        assert_eq!(shown(&capital), masked.replacen('l', "L", 1));
        assert_eq!(shown(&secret.to_uppercase()), masked.to_uppercase());
        for harmless in ["", "lo", "lo_", "lo_abc_def", "hello_kitty_@x.test", "scänner-3f@x.test"] {
            assert_eq!(shown(harmless), harmless);
        }
    }
}
