//! A name server of one name, which answers as it is told. The system's own resolver asks it: see `names`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What it says of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// That it is there.
    Is(Ipv4Addr),
    /// That there is no such name.
    NoSuchName,
    /// That it is in trouble itself.
    Failure,
    Silence,
}

/// It answers until it is dropped.
pub(crate) struct Nameserver {
    answer: Arc<Mutex<Answer>>,
    _stop: DropGuard,
}

impl Nameserver {
    /// At port 53 of an address of this machine.
    pub(crate) async fn start(at: Ipv4Addr, answer: Answer) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from((at, 53))).await.unwrap();
        let (answer, stop) = (Arc::new(Mutex::new(answer)), CancellationToken::new());
        let said = Arc::clone(&answer);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            let mut question = [0; 512];
            while let Ok((count, from)) = socket.recv_from(&mut question).await {
                let now = *said.lock().unwrap();
                if let Some(reply) = reply(&question[..count], now) {
                    let _ = socket.send_to(&reply, from).await; // who asked may be gone
                }
            }
        }));
        Self { answer, _stop: stop.drop_guard() }
    }

    pub(crate) fn say(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }
}

/// RFC 1035 section 4.1: the header, the question as it came, and an address where IPv4 is asked for and there is one.
fn reply(question: &[u8], answer: Answer) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    let name = question.get(HEAD..)?.iter().position(|byte| *byte == 0)?;
    let end = HEAD + name + 5;
    let wants_ipv4 = question.get(end - 4..end)? == [0, 1, 0, 1];
    let (code, address) = match answer {
        Answer::Silence => return None,
        Answer::NoSuchName => (3, None),
        Answer::Failure => (2, None),
        Answer::Is(address) => (0, Some(address).filter(|_| wants_ipv4)),
    };
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    reply.extend_from_slice(&question[HEAD..end]);
    if let Some(address) = address {
        reply.extend([0xc0, HEAD as u8, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}
