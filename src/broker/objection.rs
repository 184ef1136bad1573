//! What a provider has against a lease, as far as it decides which credential comes next.

/// What a provider has against a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// The credential is definitely wrong: another one of its kind may be right.
    Credential,
    /// The access token is not taken: a newer one may be, but none that other secrets of the application would get.
    Token,
    /// This kind of credential is not taken from this account: no other one of its kind would be.
    Kind,
}
