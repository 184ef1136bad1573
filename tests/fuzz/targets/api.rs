//! What comes in over HTTP behind a sign-in: bodies of JSON, and the queries of lists. What is wrong is told in bounded words.
//!
//! An input is: which (1 byte), and the body or the query.

use http::Uri;
use jiff::Timestamp;
use locum::admin::fuzzing::{body, page};
use locum::model::{AddressPattern, CredentialKind, Policy, Preference, Role};
use serde::Deserialize;

use super::{Input, bit};

/// A message about a value, and where it is.
const DETAIL_CHARS_MAX: usize = 1024;

/// Fields of all kinds that requests have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is there to be read into")]
struct Wish {
    name: String,
    count: Option<u8>,
    at: Option<Timestamp>,
    role: Option<Role>,
    kind: Option<CredentialKind>,
    pattern: Option<AddressPattern>,
    policy: Option<Policy>,
    preference: Option<Preference>,
    nested: Option<Vec<Self>>,
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let which = input.byte();
    let text = input.rest();
    let refused = if bit(which, 0) {
        let Ok(query) = Uri::try_from([b"/v1/accounts?".as_slice(), text].concat()) else { return };
        match page(query) {
            Ok((limit, after)) => {
                assert!((1..=200).contains(&limit) && after.is_none_or(|after| after.len() <= 256));
                return;
            }
            Err(refused) => refused,
        }
    } else {
        match body::<Wish>(text) {
            Ok(_) => return,
            Err(refused) => refused,
        }
    };
    let (status, detail) = refused;
    assert!(matches!(status, 400 | 422), "{status}: {detail}");
    assert!(!detail.is_empty() && detail.chars().count() <= DETAIL_CHARS_MAX, "{} characters", detail.len());
    assert!(!detail.contains(char::is_control), "{detail:?}");
}
