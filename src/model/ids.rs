//! Names of records. Nothing from the wire becomes a path: a record is found by a hash of its kind and normalised name.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use ring::digest;

/// What a record is about; each kind is a folder of its own in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// One mailbox at a provider ([`Account`](super::Account)).
    Account,
    /// One login name ([`Client`](super::Client)).
    Client,
    /// One credential for a whole domain ([`Tenant`](super::Tenant)).
    Tenant,
    /// What a node itself obtains from a provider and must keep, such as a refresh token. A node writes these, its
    /// [`Usage`](Self::Usage), whom it has [`Seen`](Self::Seen), and the keys of TLS [`Tickets`](Self::Tickets), and nothing
    /// else.
    Token,
    /// What one node tells of who uses which credential ([`UsageReport`](super::UsageReport)).
    Usage,
    /// One client as nodes have seen it ([`Sighting`](super::Sighting)).
    Seen,
    /// The keys under which nodes seal TLS tickets ([`TicketKeys`](super::TicketKeys)).
    Tickets,
    /// One who manages this system over HTTP ([`Operator`](super::Operator)).
    Operator,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Account,
        Self::Client,
        Self::Tenant,
        Self::Token,
        Self::Usage,
        Self::Seen,
        Self::Operator,
        Self::Tickets,
    ];

    /// Those that another store needs to take the place of this one. What nodes tell of themselves, and the keys of
    /// tickets, are of this store alone: they make them anew wherever they are.
    pub const MOVED: [Self; 5] = [Self::Account, Self::Client, Self::Tenant, Self::Token, Self::Operator];

    /// The folder's name.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Account => "accounts",
            Self::Client => "clients",
            Self::Tenant => "tenants",
            Self::Token => "tokens",
            Self::Usage => "usage",
            Self::Seen => "seen",
            Self::Tickets => "tickets",
            Self::Operator => "operators",
        }
    }
}

/// Where a record lives: its kind and the hash of its name. Fixed length, no address in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    kind: RecordKind,
    hash: String,
}

impl RecordId {
    /// The id of the record of that kind and name. The name is [normalised](normalise) first.
    pub fn new(kind: RecordKind, name: &str) -> Self {
        let text = format!("locum:1:{}:{}", kind.folder(), normalise(name));
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        // 160 bits: no collision by chance, 32 characters exactly.
        let hash = BASE32_NOPAD.encode(&hash.as_ref()[..20]).to_ascii_lowercase();
        Self { kind, hash }
    }

    /// The id of that kind whose hash part a store has kept; `None` if it is not 32 characters of `a-z2-7`.
    pub fn from_hash(kind: RecordKind, hash: &str) -> Option<Self> {
        let proper = hash.len() == 32 && hash.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        proper.then(|| Self { kind, hash: hash.to_owned() })
    }

    /// The kind of record.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The hash part: 32 characters of `a-z2-7`.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.folder(), self.hash)
    }
}

/// The form in which names are compared: without surrounding blanks, in lower case.
pub fn normalise(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{RecordId, RecordKind};

    #[test]
    fn case_and_blanks_do_not_matter() {
        let id = RecordId::new(RecordKind::Client, " Scan@Contoso.com");
        assert_eq!(id, RecordId::new(RecordKind::Client, "scan@contoso.com"));
        assert_eq!(id.hash().len(), 32);
    }

    #[test]
    fn kinds_do_not_collide() {
        assert_ne!(RecordId::new(RecordKind::Client, "x").hash(), RecordId::new(RecordKind::Account, "x").hash());
    }

    #[test]
    fn an_id_comes_back_from_its_hash_and_from_nothing_else() {
        let id = RecordId::new(RecordKind::Client, "x");
        assert_eq!(RecordId::from_hash(RecordKind::Client, id.hash()), Some(id.clone()));
        for hash in ["", "../x", &id.hash()[1..], &id.hash().to_uppercase(), &"1".repeat(32)] {
            assert_eq!(RecordId::from_hash(RecordKind::Client, hash), None, "{hash}");
        }
    }

    #[test]
    fn ids_are_stable() {
        // Stores hold these for years: a change here loses every record.
        assert_eq!(
            RecordId::new(RecordKind::Account, "alice@example.com").to_string(),
            "accounts/p7retqmrh3aapwznlmu6dmkuf74cvkn3"
        );
    }
}
