//! What failures are counted by, as keyed digests: neither an address, nor a login, nor a password is in a table or leaves
//! the process. It must never make a subject of a login alone, or a stranger could lock a principal out.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use ring::hmac;
use ring::rand::SystemRandom;

use crate::model::{Secret, network, normalise};

/// Bytes of a digest: so many that no two subjects are ever one.
const KEY_BYTES: usize = 16;

/// A subject, or a proof that one presented, as nobody but the holder of the key knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) [u8; KEY_BYTES]);

/// All that one attempt is counted by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subjects {
    /// The source and the login together.
    pub(super) pair: Key,
    /// The source: an IPv4 address, or the /64 of an IPv6 one.
    pub(super) source: Key,
    /// The /48 of an IPv6 address: all of what one customer is given at the most (RFC 6177 section 2).
    pub(super) site: Option<Key>,
}

impl Subjects {
    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Key> {
        [Some(self.pair), Some(self.source), self.site].into_iter().flatten()
    }
}

/// Makes digests.
#[derive(Debug)]
pub(super) struct Digester(hmac::Key);

impl Digester {
    /// With a key that is drawn by lot, and in no other process.
    pub(super) fn by_lot() -> Self {
        Self(hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).unwrap_or_else(|_| {
            // The system has no randomness now; the standard library keeps what it got when the process began.
            let bytes: Vec<u8> = (0u64..4).flat_map(|part| RandomState::new().hash_one(part).to_le_bytes()).collect();
            hmac::Key::new(hmac::HMAC_SHA256, &bytes)
        }))
    }

    /// With a key that other nodes have, too.
    pub(super) fn by_secret(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    /// What an attempt of that login from there is counted by.
    pub(super) fn subjects(&self, peer: IpAddr, login: &[u8]) -> Subjects {
        // As records are looked up by: with a blank more it is the same login, not another one with as many tries.
        let login = normalise(&String::from_utf8_lossy(login));
        let source = octets(network(peer));
        Subjects {
            pair: self.digest(&[b"pair", &source, login.as_bytes()]),
            source: self.digest(&[b"source", &source]),
            site: site(peer).map(|site| self.digest(&[b"site", &site.octets()])),
        }
    }

    /// What a pair presented.
    pub(super) fn proof(&self, pair: &Key, proof: &Secret) -> Key {
        self.digest(&[b"proof", &pair.0, proof.expose()])
    }

    fn digest(&self, parts: &[&[u8]]) -> Key {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            // With its length before it, no part can be taken for two.
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(&context.sign().as_ref()[..KEY_BYTES]);
        Key(key)
    }
}

/// The /48 of an IPv6 address.
fn site(peer: IpAddr) -> Option<Ipv6Addr> {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Some(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
        IpAddr::V4(_) => None,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects(digester: &Digester, peer: &str, login: &str) -> Subjects {
        digester.subjects(peer.parse().unwrap(), login.as_bytes())
    }

    #[test]
    fn another_spelling_is_no_other_login_and_another_source_is_another_pair() {
        let digester = Digester::by_lot();
        let one = subjects(&digester, "192.0.2.1", "b\u{fc}ro");
        for spelling in [" B\u{dc}RO ", "B\u{fc}ro\u{a0}", "  b\u{dc}ro"] {
            assert_eq!(subjects(&digester, "192.0.2.1", spelling).pair, one.pair, "{spelling:?}");
        }
        let elsewhere = subjects(&digester, "192.0.2.2", "b\u{fc}ro");
        assert!(elsewhere.pair != one.pair && elsewhere.source != one.source && one.site.is_none());
        assert_eq!(subjects(&digester, "::ffff:192.0.2.1", "b\u{fc}ro").pair, one.pair);
    }

    #[test]
    fn of_ipv6_a_64_is_a_source_and_a_48_a_site() {
        let digester = Digester::by_lot();
        let of = |peer| subjects(&digester, peer, "a");
        let (one, beside, next, far) =
            (of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"), of("2001:db8:0:2::1"), of("2001:db8:1:1::1"));
        assert_eq!((one.source, one.pair), (beside.source, beside.pair));
        assert!(one.source != next.source && one.site == next.site && one.site != far.site);
    }

    #[test]
    fn digests_are_equal_where_the_key_is_and_nowhere_else() {
        let [one, same] = [(); 2].map(|()| Digester::by_secret(&Secret::new("a secret that nodes share")));
        let other = Digester::by_lot();
        assert_eq!(subjects(&one, "192.0.2.1", "a").pair, subjects(&same, "192.0.2.1", "a").pair);
        assert_ne!(subjects(&one, "192.0.2.1", "a").pair, subjects(&other, "192.0.2.1", "a").pair);
        let pair = subjects(&one, "192.0.2.1", "a").pair;
        assert_ne!(one.proof(&pair, &Secret::new("x")), one.proof(&pair, &Secret::new("y")));
    }
}
