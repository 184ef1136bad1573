//! What a client may be told when it is not let in. Each protocol's `server.rs` holds its words for these.

/// The answer to a client that is not let in. It never says more than the client may know: an upstream or store
/// failure is never [`Refusal::WrongCredentials`], and a wrong secret is never told apart from an unknown login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Unknown login, or a wrong, expired or revoked client secret.
    WrongCredentials,
    /// The login is proven, but may not act as that account, or not here, or not now.
    NotPermitted,
    /// The store, the network or the upstream is out of reach: worth another try later.
    Unavailable,
    /// The upstream took the network connection but not the credential, or no credential is there: an operator must act.
    ContactAdmin,
    /// Too many sessions or attempts.
    LimitReached,
}

impl Refusal {
    /// All refusals, for tests and tables.
    pub const ALL: [Self; 5] =
        [Self::WrongCredentials, Self::NotPermitted, Self::Unavailable, Self::ContactAdmin, Self::LimitReached];

    /// A word for it, for counting.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongCredentials => "wrong-credentials",
            Self::NotPermitted => "not-permitted",
            Self::Unavailable => "unavailable",
            Self::ContactAdmin => "contact-admin",
            Self::LimitReached => "limit",
        }
    }
}
