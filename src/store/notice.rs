//! Notices between nodes: one small datagram that says how far the feed has come, so that nobody waits for the next poll.
//! It must never say what changed, nor be trusted with more than to ask the store sooner: a notice that is lost, late or
//! forged changes nothing but when the store is asked.
//!
//! A datagram is the sequence (8 bytes, big-endian) and an HMAC-SHA256 over a label and it, under the feed's epoch: only
//! those who can read the store know that, so only they can make a node ask.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use metrics::counter;
use ring::hmac;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{sleep, timeout};

use super::Position;
use super::cache::meters::NOTICES;

/// What the MAC is of, besides the sequence; with another layout it becomes another.
const LABEL: &[u8] = b"locum:notice:1:";

const SEQUENCE_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
const DATAGRAM_BYTES: usize = SEQUENCE_BYTES + MAC_BYTES;

/// Datagrams get lost: each is sent again after this.
const REPEAT_AFTER: Duration = Duration::from_millis(20);

/// Time for all of it: a writer must not wait for a name server.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// One name may stand for many nodes, as that of a headless service does; but not for any number.
const ADDRESSES_MAX: usize = 64;

/// Pause after a socket failed, for the next try may fail as fast.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Tells every address of every peer (`host:port`) how far the feed has come. It takes a second at the most, and
/// cannot fail: who is not told finds out by polling.
pub async fn send(position: &Position, peers: &[String]) {
    // No feed, no key: under an empty one anybody could make a notice.
    if position.epoch.is_empty() {
        return;
    }
    let datagram = &seal(position);
    let told = join_all(peers.iter().map(|peer| async move {
        if let Err(error) = tell(peer, datagram).await {
            tracing::debug!(peer, %error, "a peer could not be told of a write");
        }
    }));
    if timeout(SEND_TIMEOUT, told).await.is_err() {
        tracing::debug!("not every peer could be told of a write in time");
    }
}

async fn tell(peer: &str, datagram: &[u8]) -> io::Result<()> {
    let addresses: Vec<SocketAddr> = lookup_host(peer).await?.take(ADDRESSES_MAX).collect();
    let mut told = Ok(());
    for pause in [Duration::ZERO, REPEAT_AFTER] {
        sleep(pause).await;
        for address in &addresses {
            match tell_address(*address, datagram).await {
                Ok(()) => counter!(NOTICES, "outcome" => "sent").increment(1),
                Err(error) => told = Err(error),
            }
        }
    }
    told
}

async fn tell_address(address: SocketAddr, datagram: &[u8]) -> io::Result<()> {
    let from: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(from).await?.send_to(datagram, address).await.map(drop)
}

/// Where a node is told of writes.
#[derive(Debug)]
pub struct Receiver(UdpSocket);

impl Receiver {
    /// Listens at that address.
    ///
    /// # Errors
    /// If the system refuses.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        UdpSocket::bind(address).await.map(Self)
    }

    /// The address it listens at.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Waits until a node says that the feed has come further than is known, and returns how far. Whatever else arrives is
    /// counted and passed over. May be dropped at any time; nothing is lost but a datagram that was passed over.
    pub async fn next(&self, known: &Position) -> u64 {
        // One byte more, so that a datagram that is too long does not look like one that is cut to size.
        let mut bytes = [0; DATAGRAM_BYTES + 1];
        loop {
            let length = match self.0.recv(&mut bytes).await {
                Ok(length) => length,
                Err(error) => {
                    tracing::debug!(%error, "a notice could not be received");
                    sleep(FAILURE_PAUSE).await;
                    continue;
                }
            };
            let outcome = match open(&bytes[..length], known) {
                Ok(sequence) if sequence > known.sequence => {
                    counter!(NOTICES, "outcome" => "taken").increment(1);
                    return sequence;
                }
                Ok(_) => "known",
                Err(NotANotice::Malformed) => "malformed",
                Err(NotANotice::Forged) => "forged",
            };
            counter!(NOTICES, "outcome" => outcome).increment(1);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotANotice {
    /// No node sends such.
    Malformed,
    /// Made by somebody who does not know the epoch; or by a node that knows another.
    Forged,
}

fn key_of(position: &Position) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, position.epoch.as_bytes())
}

fn signed(sequence: &[u8]) -> Vec<u8> {
    [LABEL, sequence].concat()
}

pub(super) fn seal(position: &Position) -> Vec<u8> {
    let sequence = position.sequence.to_be_bytes();
    let mac = hmac::sign(&key_of(position), &signed(&sequence));
    [&sequence, mac.as_ref()].concat()
}

/// The sequence that a datagram says, if a reader of the same feed said it.
pub(super) fn open(datagram: &[u8], known: &Position) -> Result<u64, NotANotice> {
    let (sequence, mac) = datagram.split_first_chunk::<SEQUENCE_BYTES>().ok_or(NotANotice::Malformed)?;
    if mac.len() != MAC_BYTES {
        return Err(NotANotice::Malformed);
    }
    if known.epoch.is_empty() {
        return Err(NotANotice::Forged);
    }
    hmac::verify(&key_of(known), &signed(sequence), mac).map_err(|_| NotANotice::Forged)?;
    Ok(u64::from_be_bytes(*sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(epoch: &str, sequence: u64) -> Position {
        Position { epoch: epoch.to_owned(), sequence }
    }

    /// A receiver on this machine, and its address as a peer.
    async fn receiver() -> (Receiver, String) {
        let receiver = Receiver::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let peer = receiver.local_address().unwrap().to_string();
        (receiver, peer)
    }

    async fn next(receiver: &Receiver, known: &Position) -> u64 {
        timeout(Duration::from_secs(10), receiver.next(known)).await.expect("nothing came")
    }

    #[test]
    fn a_notice_is_what_it_was_sealed_as() {
        let sealed = seal(&position("epoch", 7));
        assert_eq!(open(&sealed, &position("epoch", 0)), Ok(7));
        // Nodes of one version talk to those of another while a cluster is upgraded.
        let known = "0000000000000007cb71fc03803daf66ff2871cc2de46984c3ac16905e676187cce61243ada8af40";
        assert_eq!(data_encoding::HEXLOWER.encode(&sealed), known);
    }

    #[test]
    fn forged_and_garbled_notices_are_told_apart() {
        let known = position("epoch", 0);
        let good = seal(&position("epoch", 7));
        for bit in 0..good.len() * 8 {
            let mut garbled = good.clone();
            garbled[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&garbled, &known), Err(NotANotice::Forged), "bit {bit}");
        }
        assert_eq!(open(&seal(&position("another", 7)), &known), Err(NotANotice::Forged));
        for garbage in [&[][..], &good[..1], &good[..SEQUENCE_BYTES], &good[..39], &[&good[..], &[0]].concat()] {
            assert_eq!(open(garbage, &known), Err(NotANotice::Malformed), "{} bytes", garbage.len());
        }
    }

    #[test]
    fn without_a_feed_nothing_is_authentic() {
        assert_eq!(open(&seal(&position("", 7)), &position("", 0)), Err(NotANotice::Forged));
    }

    #[tokio::test]
    async fn forged_replayed_and_garbled_notices_are_passed_over() {
        let (receiver, peer) = receiver().await;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        for bytes in [&b""[..], b"garbage", &[0; 2000], &seal(&position("forged", 99)), &seal(&position("epoch", 3))] {
            socket.send_to(bytes, &peer).await.unwrap();
        }
        let peers = [peer];
        send(&position("", 98), &peers).await;
        send(&position("epoch", 5), &peers).await;
        assert_eq!(next(&receiver, &position("epoch", 3)).await, 5);

        // The second copy of it is known by now, as is a replay.
        send(&position("epoch", 5), &peers).await;
        send(&position("epoch", 6), &peers).await;
        assert_eq!(next(&receiver, &position("epoch", 5)).await, 6);
    }

    #[tokio::test]
    async fn a_notice_is_sent_twice() {
        let (receiver, peer) = receiver().await;
        send(&position("epoch", 5), &[peer]).await;
        for _ in 0..2 {
            assert_eq!(next(&receiver, &position("epoch", 4)).await, 5);
        }
    }

    #[tokio::test]
    async fn a_peer_that_cannot_be_told_keeps_no_other_from_it() {
        let (receiver, peer) = receiver().await;
        let peers = ["no port".to_owned(), "nobody.invalid:1".to_owned(), "[::1]:1".to_owned(), peer];
        timeout(2 * SEND_TIMEOUT, send(&position("epoch", 5), &peers)).await.expect("it takes too long");
        assert_eq!(next(&receiver, &position("epoch", 4)).await, 5);
    }
}
