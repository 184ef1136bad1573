//! The record of the keys under which nodes seal TLS tickets. No clock and no cipher here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Secret;

/// The keys of all nodes, the oldest first (`tickets/<hash>`, one record in a store). Any node replaces it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKeys {
    /// The newest is not used for sealing until each node had time to read it.
    #[serde(default)]
    pub keys: Vec<KeptTicketKey>,
}

impl TicketKeys {
    /// The name of the one record.
    pub const NAME: &str = "clients";
}

/// One key of [`TicketKeys`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTicketKey {
    /// What a ticket under it begins with: 16 random bytes, in hexadecimal.
    pub id: String,
    /// When it was made, by the clock of the node that made it.
    pub made: Timestamp,
    /// 32 random bytes, in base64.
    #[serde(with = "super::secret::in_record")]
    pub secret: Secret,
}
