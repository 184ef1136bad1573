//! Tokens of operators: `locum_<operator><id>_<random>`. What stands in clear finds the record and names the token in it, so
//! that one read and one hash decide; what is random is as long as in a client's secret, and stored as that is
//! (`docs/decisions/0028`). The form is fixed, for programs that look for lost secrets:
//! `locum_[a-z2-7]{40}_[a-z2-7]{26}`.

use jiff::Timestamp;

use crate::broker::client_secret::{self, NoRandomness};
use crate::model::{Operator, OperatorToken, RecordId, RecordKind, Secret};

const PREFIX: &str = "locum_";

/// The hash part of a record's id.
const RECORD_CHARS: usize = 32;

/// The token's own id.
const ID_CHARS: usize = 8;

const RANDOM_CHARS: usize = 26;

/// What a token says of itself in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenName {
    /// Whose it is.
    pub(super) operator: RecordId,
    /// Its id.
    pub(super) id: String,
}

/// A new token for the operator of that name: its record, and the token itself, to be shown once.
pub(super) fn issue(
    name: &str,
    label: &str,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<(OperatorToken, Secret), NoRandomness> {
    let id = client_secret::random_id()?;
    let record = RecordId::new(RecordKind::Operator, name);
    let (secret, verifier) = client_secret::random_behind(&format!("{PREFIX}{}{id}_", record.hash()))?;
    Ok((OperatorToken { id, label: label.to_owned(), verifier, created: now, expires }, secret))
}

impl TokenName {
    /// What that token says of itself; `None` if it is not in the form of one.
    pub(super) fn read(token: &Secret) -> Option<Self> {
        let text = token.expose_text()?.strip_prefix(PREFIX)?;
        let (clear, random) = text.split_once('_')?;
        let (hash, id) = clear.split_at_checked(RECORD_CHARS)?;
        let is_base32 = |part: &str| part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        let is_of_form = id.len() == ID_CHARS && random.len() == RANDOM_CHARS && is_base32(id) && is_base32(random);
        let operator = RecordId::from_hash(RecordKind::Operator, hash).filter(|_| is_of_form)?;
        Some(Self { operator, id: id.to_owned() })
    }

    /// The token of that operator that this proves, if it is good for anything by now. It takes the same time whether there
    /// is one or not.
    pub(super) fn proven<'o>(
        &self,
        operator: Option<&'o Operator>,
        token: &Secret,
        now: Timestamp,
    ) -> Option<&'o OperatorToken> {
        let named = operator.and_then(|operator| operator.tokens.iter().find(|it| it.id == self.id));
        let proven = client_secret::proves_random(named.map(|it| &it.verifier), token);
        named.filter(|it| proven && is_valid(it, now))
    }
}

/// Whether it has not expired.
pub(super) fn is_valid(token: &OperatorToken, now: Timestamp) -> bool {
    token.expires.is_none_or(|expires| now < expires)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn operator(tokens: Vec<OperatorToken>) -> Operator {
        Operator { name: "alice".into(), role: Role::Viewer, tokens }
    }

    #[test]
    fn a_token_finds_its_record_and_proves_itself() {
        let now = Timestamp::UNIX_EPOCH;
        let (record, token) = issue("alice", "", None, now).unwrap();
        let (other, _) = issue("alice", "", None, now).unwrap();
        let name = TokenName::read(&token).unwrap();
        assert_eq!((&name.operator, &name.id), (&RecordId::new(RecordKind::Operator, "Alice "), &record.id));
        let alice = operator(vec![other.clone(), record.clone()]);
        assert_eq!(name.proven(Some(&alice), &token, now).unwrap().id, record.id);
        assert!(name.proven(None, &token, now).is_none());
        assert!(name.proven(Some(&operator(vec![other.clone()])), &token, now).is_none(), "it was revoked");
        let renamed = OperatorToken { id: record.id.clone(), ..other };
        assert!(name.proven(Some(&operator(vec![renamed])), &token, now).is_none(), "another secret");
    }

    #[test]
    fn a_token_ends() {
        let now = Timestamp::UNIX_EPOCH;
        let end = now + jiff::SignedDuration::from_hours(1);
        let (record, token) = issue("alice", "", Some(end), now).unwrap();
        let (name, alice) = (TokenName::read(&token).unwrap(), operator(vec![record]));
        assert!(name.proven(Some(&alice), &token, now).is_some());
        assert!(name.proven(Some(&alice), &token, end).is_none());
    }

    #[test]
    fn what_is_not_in_the_form_is_no_token() {
        let (_, token) = issue("alice", "", None, Timestamp::UNIX_EPOCH).unwrap();
        let text = token.expose_text().unwrap();
        assert_eq!(text.len(), 6 + 40 + 1 + 26);
        let cut = &text[..text.len() - 1];
        for wrong in ["", "locum_", "locum__", &text[6..], cut, &format!("{text}a"), &text.to_uppercase()] {
            assert_eq!(TokenName::read(&Secret::new(wrong)), None, "{wrong}");
        }
    }
}
