//! Who issues the access tokens of the tests: JWTs that Dovecot checks by itself. Its key is made anew for each test and kept
//! nowhere else.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use jiff::Timestamp;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

/// As long as the tokens of a large provider, and too long for any command line.
const PADDING: usize = 1500;

/// Who issues tokens: JWTs under a key that Dovecot has, too.
pub(crate) struct Issuer([u8; 32]);

impl Issuer {
    /// One that nobody else is.
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key).unwrap();
        Self(key)
    }

    /// What Dovecot is told of it.
    pub(crate) fn key_in_base64(&self) -> String {
        BASE64.encode(&self.0)
    }

    /// A token that is good from `from` seconds on for `life` seconds.
    pub(crate) fn issue(&self, address: &str, from: i64, life: i64) -> String {
        let now = Timestamp::now().as_second() + from;
        let part = |json: serde_json::Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let claims = json!({
            "sub": address, "email": address, "iat": now, "nbf": now, "exp": now + life, "padding": "x".repeat(PADDING)
        });
        let signed = format!("{}.{}", part(header), part(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let signature = hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}
