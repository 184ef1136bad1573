//! What a client presents when it logs in.

use std::fmt;

use super::Secret;

/// One login attempt, decoded by a dialogue and not yet believed.
///
/// Names are octets: a client may send any, and only the broker says what they mean.
#[derive(Clone)]
pub struct Attempt {
    /// Who proves (RFC 4422 section 2, authentication identity).
    pub authcid: Vec<u8>,
    /// Whom to act as (RFC 4422 section 2, authorization identity); `None` where the client named nobody.
    pub authzid: Option<Vec<u8>>,
    /// The password presented.
    pub proof: Secret,
    /// How it came, for the audit: `"LOGIN command"`, `"AUTHENTICATE PLAIN"`, `"USER/PASS"` …
    pub method: &'static str,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("authcid", &String::from_utf8_lossy(&self.authcid))
            .field("authzid", &self.authzid.as_deref().map(String::from_utf8_lossy))
            .field("proof", &self.proof)
            .field("method", &self.method)
            .finish()
    }
}
