//! EHLO keywords (RFC 5321 section 4.1.1.1): what a provider offers, and what a listener may offer before it knows the
//! provider. It must never let a keyword through that a relay could not honour, or that is about login or TLS: those
//! are each side's own.

use super::reply::Reply;

/// Keywords that mean the same through a relay, and so may be shown to a client. What a provider invents stays out.
const PASSED_ON: [&str; 12] = [
    "SIZE",
    "PIPELINING",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
    "BINARYMIME",
    "DELIVERBY",
    "MT-PRIORITY",
    "FUTURERELEASE",
    "REQUIRETLS",
];

/// Those of them that take parameters, beside SIZE: RFC 2852, RFC 6710, RFC 4865.
const TAKE_PARAMETERS: [&str; 3] = ["DELIVERBY", "MT-PRIORITY", "FUTURERELEASE"];

/// What a provider offers in its reply to EHLO.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// All keywords with their parameters, but for AUTH and STARTTLS.
    pub(super) keywords: Vec<String>,
    pub(super) starttls: bool,
    /// Names of SASL mechanisms, from `AUTH` and the older `AUTH=` together.
    pub(super) mechanisms: Vec<String>,
}

impl Offer {
    pub(super) fn from_reply(reply: &Reply) -> Self {
        let mut offer = Self::default();
        // The first line is the server's name and a greeting. Lines that are not ASCII are none of the standard's.
        let lines = reply.lines.iter().skip(1).filter_map(|line| std::str::from_utf8(line.trim_ascii()).ok());
        for line in lines.filter(|line| !line.is_empty() && line.bytes().all(|byte| matches!(byte, b' '..=b'~'))) {
            let (keyword, parameters) = line.split_once([' ', '=']).unwrap_or((line, ""));
            if keyword.eq_ignore_ascii_case("AUTH") {
                for name in parameters.split_ascii_whitespace() {
                    if !offer.offers(name) {
                        offer.mechanisms.push(name.to_owned());
                    }
                }
            } else if keyword.eq_ignore_ascii_case("STARTTLS") {
                offer.starttls = true;
            } else {
                offer.keywords.push(line.to_owned());
            }
        }
        offer
    }

    /// Whether a SASL mechanism of that name is offered.
    pub(super) fn offers(&self, name: &str) -> bool {
        self.mechanisms.iter().any(|offered| offered.eq_ignore_ascii_case(name))
    }
}

/// The keywords that are in every list and can be kept through a relay, in a fixed order.
pub(in crate::proto) fn shared_keywords(lists: &[Vec<String>]) -> Vec<String> {
    let mut shared = Vec::new();
    for keyword in PASSED_ON {
        let parameters: Option<Vec<&str>> = lists.iter().map(|list| parameters_of(keyword, list)).collect();
        let line = match (parameters.as_deref(), keyword) {
            (None | Some([]), _) => None,
            (Some(sizes), "SIZE") => Some(smallest_size(sizes)),
            // RFC 3030 section 3: BINARYMIME can only be used with BDAT.
            (Some(_), "BINARYMIME") if !shared.iter().any(|line| line == "CHUNKING") => None,
            (Some(_), keyword) if !TAKE_PARAMETERS.contains(&keyword) => Some(keyword.to_owned()),
            (Some([first, others @ ..]), _) if others.iter().all(|other| other.eq_ignore_ascii_case(first)) => {
                match *first {
                    "" => Some(keyword.to_owned()),
                    // They stand before strangers: a provider's joke or fault must not.
                    parameters if is_plain(parameters) => Some(format!("{keyword} {parameters}")),
                    _ => None,
                }
            }
            // Providers that offer it with different bounds: no bound holds for all.
            (Some(_), _) => None,
        };
        shared.extend(line);
    }
    shared
}

/// Numbers, dates and names of profiles, and not many.
fn is_plain(parameters: &str) -> bool {
    const BYTES_MAX: usize = 64;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b" -:.,+".contains(&byte);
    parameters.len() <= BYTES_MAX && parameters.bytes().all(is_part)
}

fn parameters_of<'a>(keyword: &str, list: &'a [String]) -> Option<&'a str> {
    list.iter().find_map(|line| {
        let (name, parameters) = line.split_once(' ').unwrap_or((line, ""));
        name.eq_ignore_ascii_case(keyword).then(|| parameters.trim())
    })
}

/// RFC 1870 section 4: no number, or 0, is no fixed limit.
fn smallest_size(sizes: &[&str]) -> String {
    match sizes.iter().filter_map(|size| size.parse::<u64>().ok()).filter(|&size| size > 0).min() {
        Some(size) => format!("SIZE {size}"),
        None => "SIZE".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &str) -> Vec<String> {
        words.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn both_forms_of_auth_are_read() {
        let lines = ["mx Hello", "SIZE 5", "auth=LOGIN PLAIN", "AUTH plain XOAUTH2", "starttls", "", "X-\u{e9}"];
        let reply = Reply { code: 250, lines: lines.map(|line| line.as_bytes().to_vec()).into() };
        let offer = Offer::from_reply(&reply);
        assert_eq!(offer.mechanisms, ["LOGIN", "PLAIN", "XOAUTH2"]);
        assert_eq!((offer.keywords, offer.starttls), (list("SIZE 5"), true));
    }

    #[test]
    fn exchange_online_and_gmail_share_this() {
        let exchange = list("SIZE 157286400,PIPELINING,DSN,ENHANCEDSTATUSCODES,8BITMIME,BINARYMIME,CHUNKING,SMTPUTF8");
        let gmail = list("SIZE 35882577,8BITMIME,ENHANCEDSTATUSCODES,PIPELINING,CHUNKING,SMTPUTF8,X-GM");
        assert_eq!(
            shared_keywords(&[exchange, gmail]),
            ["SIZE 35882577", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING"]
        );
        assert!(shared_keywords(&[]).is_empty(), "nothing is known of no upstream");
    }

    #[test]
    fn no_size_limit_is_the_largest() {
        assert_eq!(shared_keywords(&[list("size"), list("SIZE 0"), list("Size 10")]), ["SIZE 10"]);
        assert_eq!(shared_keywords(&[list("SIZE"), list("SIZE 0")]), ["SIZE"]);
        assert!(shared_keywords(&[list("SIZE 5"), list("DSN")]).is_empty());
    }

    #[test]
    fn binary_needs_chunks_and_bounds_must_agree() {
        assert!(shared_keywords(&[list("BINARYMIME")]).is_empty());
        assert_eq!(shared_keywords(&[list("BINARYMIME,CHUNKING")]), ["CHUNKING", "BINARYMIME"]);
        assert!(shared_keywords(&[list("DELIVERBY 240"), list("DELIVERBY 60")]).is_empty());
        assert_eq!(shared_keywords(&[list("MT-PRIORITY MIXER"), list("mt-priority mixer")]), ["MT-PRIORITY MIXER"]);
    }
}
