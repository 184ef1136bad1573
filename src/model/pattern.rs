//! A pattern of mail addresses: which mailboxes a client may act as, and which senders it may name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::normalise;

/// The longest pattern: a local part of 64 octets and a domain of 255 (RFC 5321 section 4.5.3.1).
const CHARS_MAX: usize = 320;

/// `*@contoso.com`, `scan-*@contoso.com`, `*@*.contoso.com`, or one address. `*` stands for any characters but `@`; in a
/// domain it may stand alone in front, and stands for one label or more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressPattern {
    local: String,
    domain: String,
}

impl AddressPattern {
    /// Whether that address is one of these. Case and surrounding blanks do not matter.
    pub fn matches(&self, address: &str) -> bool {
        let address = normalise(address);
        let Some((local, domain)) = address.rsplit_once('@') else { return false };
        let domain_matches = match self.domain.strip_prefix("*.") {
            Some(parent) => domain
                .strip_suffix(parent)
                .and_then(|before| before.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty()),
            None => domain == self.domain,
        };
        domain_matches && !local.is_empty() && !local.contains('@') && glob(&self.local, local)
    }

    /// Whether it names one address alone.
    pub fn is_one_address(&self) -> bool {
        !self.local.contains('*') && !self.domain.contains('*')
    }
}

/// `*` for any characters. Linear in the text for each star, with no recursion: patterns are an operator's, texts are not.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let (first, mut rest) = (parts.next().unwrap_or_default(), text);
    let Some(after_first) = rest.strip_prefix(first) else { return false };
    rest = after_first;
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

impl FromStr for AddressPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "expected an address or a pattern of addresses, such as alice@contoso.com, *@contoso.com or \
                            scan-*@*.contoso.com";
        let text = normalise(text);
        let (local, domain) = text.rsplit_once('@').ok_or(FORM)?;
        let labels = domain.strip_prefix("*.").unwrap_or(domain);
        let is_plain = |text: &str| !text.chars().any(|c| c.is_control() || c.is_whitespace() || "@<>,;".contains(c));
        let proper = !local.is_empty() && !labels.is_empty() && is_plain(local) && is_plain(labels);
        // All of a top level would be everybody's.
        if labels.len() < domain.len() && !labels.contains('.') {
            return Err(FORM);
        }
        if !proper || labels.contains('*') || labels.split('.').any(str::is_empty) || text.chars().count() > CHARS_MAX {
            return Err(FORM);
        }
        Ok(Self { local: local.to_owned(), domain: domain.to_owned() })
    }
}

impl TryFrom<String> for AddressPattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AddressPattern> for String {
    fn from(pattern: AddressPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl utoipa::PartialSchema for AddressPattern {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for AddressPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_in(pattern: &str, address: &str) -> bool {
        pattern.parse::<AddressPattern>().unwrap().matches(address)
    }

    #[test]
    fn a_domain_a_prefix_a_subdomain_and_one_address() {
        assert!(is_in("*@contoso.com", " Alice@Contoso.COM "));
        assert!(is_in("scan-*@contoso.com", "scan-3f@contoso.com"));
        assert!(is_in("*-scan-*x@contoso.com", "a-scan-b-scan-xx@contoso.com"));
        assert!(is_in("*@*.contoso.com", "a@mail.eu.contoso.com"));
        assert!(is_in("a@contoso.com", "A@contoso.com"));
        for (pattern, address) in [
            ("*@contoso.com", "alice@evilcontoso.com"),
            ("*@contoso.com", "alice@contoso.com.evil.test"),
            ("*@contoso.com", "x@evil.test@contoso.com"),
            ("*@contoso.com", "@contoso.com"),
            ("*@contoso.com", "contoso.com"),
            ("*@*.contoso.com", "a@contoso.com"),
            ("*@*.contoso.com", "a@.contoso.com"),
            ("*@*.contoso.com", "a@xcontoso.com"),
            ("scan-*@contoso.com", "boss@contoso.com"),
            ("a*a@contoso.com", "a@contoso.com"),
            ("a@contoso.com", "aa@contoso.com"),
        ] {
            assert!(!is_in(pattern, address), "{pattern} {address}");
        }
    }

    #[test]
    fn what_would_match_too_much_or_nothing_is_no_pattern() {
        let long = format!("{}@x.test", "a".repeat(CHARS_MAX));
        for text in [
            "",
            "*",
            "@x.test",
            "*@",
            "*@*",
            "*@*.",
            "*@*.com",
            "a@x*.test",
            "a@*x.test",
            "a b@x.test",
            "a@x\n.test",
            "<a@x>",
            &long,
        ] {
            assert!(text.parse::<AddressPattern>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_record_holds_it_as_text() {
        let pattern: AddressPattern = "*@Contoso.com".parse().unwrap();
        assert_eq!(serde_json::to_string(&pattern).unwrap(), r#""*@contoso.com""#);
        assert!(serde_json::from_str::<AddressPattern>(r#""*""#).is_err());
    }
}
