//! The JSON of an authority, member by member: what is there and of which type. It must never quote a value: a parser's own
//! message does.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::Secret;

/// Members of a list that are looked at.
const LIST_MAX: usize = 16;

/// One member, as it came.
#[derive(Debug, Default)]
pub(super) enum Member {
    #[default]
    Absent,
    Text(Secret),
    Number(f64),
    /// Neither text nor number.
    Other,
}

impl Member {
    pub(super) fn is_there(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.expose_text(),
            Self::Absent | Self::Number(_) | Self::Other => None,
        }
    }
}

/// What of an answer means anything to us. The rest is skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Members {
    pub(super) access_token: Member,
    pub(super) token_type: Member,
    pub(super) expires_in: Member,
    pub(super) refresh_token: Member,
    pub(super) error: Member,
    pub(super) error_description: Member,
    /// Google.
    pub(super) error_subtype: Member,
    /// Microsoft.
    pub(super) suberror: Member,
    /// Microsoft.
    #[serde(deserialize_with = "numbers")]
    pub(super) error_codes: Vec<u64>,
    /// Microsoft.
    pub(super) trace_id: Member,
    /// Microsoft.
    pub(super) correlation_id: Member,
}

/// It is no JSON object.
#[derive(Debug)]
pub(super) struct NoObject;

impl Members {
    pub(super) fn read(body: &Secret) -> Result<Self, NoObject> {
        // A list would be taken for the members in their order.
        let begins = body.expose().iter().find(|byte| !byte.is_ascii_whitespace());
        if begins != Some(&b'{') {
            return Err(NoObject);
        }
        serde_json::from_slice(body.expose()).map_err(|_| NoObject)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OfMember)
    }
}

struct OfMember;

impl<'de> Visitor<'de> for OfMember {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(Secret::new(text)))
    }

    fn visit_string<E>(self, text: String) -> Result<Member, E> {
        Ok(Member::Text(Secret::new(text)))
    }

    #[expect(clippy::cast_precision_loss, reason = "times beyond 2^53 s are bounded anyway")]
    fn visit_u64<E>(self, number: u64) -> Result<Member, E> {
        Ok(Member::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "times beyond 2^53 s are bounded anyway")]
    fn visit_i64<E>(self, number: i64) -> Result<Member, E> {
        Ok(Member::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Member, E> {
        Ok(Member::Number(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Member, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}

/// The whole numbers of a list; none of anything else.
fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    struct OfNumbers;

    impl<'de> Visitor<'de> for OfNumbers {
        type Value = Vec<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of numbers")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u64>, A::Error> {
            let mut numbers = Vec::new();
            while let Some(member) = list.next_element::<Member>()? {
                if let (Member::Number(number), true) = (member, numbers.len() < LIST_MAX) {
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
                    numbers.push(number as u64);
                }
            }
            Ok(numbers)
        }

        fn visit_unit<E>(self) -> Result<Vec<u64>, E> {
            Ok(Vec::new())
        }

        fn visit_str<E>(self, _: &str) -> Result<Vec<u64>, E> {
            Ok(Vec::new())
        }

        fn visit_u64<E>(self, number: u64) -> Result<Vec<u64>, E> {
            Ok(vec![number])
        }

        fn visit_i64<E>(self, _: i64) -> Result<Vec<u64>, E> {
            Ok(Vec::new())
        }

        fn visit_f64<E>(self, _: f64) -> Result<Vec<u64>, E> {
            Ok(Vec::new())
        }

        fn visit_bool<E>(self, _: bool) -> Result<Vec<u64>, E> {
            Ok(Vec::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<u64>, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Vec::new())
        }
    }

    from.deserialize_any(OfNumbers)
}
