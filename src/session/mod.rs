//! Floor 3: sessions. One client connection from accept to close: TLS, dialogue, decision, upstream, relay. It knows no
//! store and no kind of credential.
//!
//! - [`Sessions::serve`]: the whole life of one connection, top down.
//! - [`Sessions::doubt`], [`Sessions::keep_true`]: sessions end when what they were let in by is gone.

mod capacity;
mod enrol;
mod error;
mod front;
mod hangup;
mod hour;
mod live;
mod login;
mod meters;
mod operating;
mod options;
mod overlap;
mod parting;
mod sighting;
mod trace;
mod truth;
mod turns;
mod watched;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use zeroize::{Zeroize, Zeroizing};

use crate::audit::{Audit, Event, Origin};
use crate::broker::Broker;
use crate::enrolment::Enrolment;
use crate::model::{Profile, Protocol};
use crate::net::{End, LegacyTls, RelayOptions, Relayed, Stream, relay_inspected};
use crate::proto::{self, Goodbye, Server, ServerAction, ServerLimits, ServerOptions, ServerTls, Tap};
use crate::upstream::Upstreams;
use crate::usage::{Ledger, Visitors};
use capacity::{Capacity, Place, Shed};
use error::SessionError;
use front::{Guest, Misfits};
use hangup::meanwhile;
use hour::Hour;
use live::Live;
use login::{Established, Login};
use meters::{Census, Counted, Denied, count_handshake, count_phase};
use overlap::Overlap;
use parting::{Parting, WatchedDeparture};
use trace::Traces;
use turns::Turns;

pub use front::Arrival;
pub use hour::Minute;
pub use live::{LiveSession, LiveState};
pub use meters::SessionState;
pub use options::{FrontEnds, ListenerOptions, ListenerTls, Options};
pub use trace::{TRACE_TIME, TRACE_TIME_MAX, TraceError, TraceFilter, TraceLine, TraceView};

/// One read from a client before login; lines are short.
const READ_BYTES: usize = 4096;

/// After our last word a client gets this long to read it and hang up; closing at once could cut the word off.
const LINGER: Duration = Duration::from_secs(2);

/// What every session needs.
#[derive(Debug)]
pub struct Sessions {
    manner: ArcSwap<Manner>,
    broker: Arc<Broker>,
    upstreams: Arc<Upstreams>,
    audit: Audit,
    ledger: Ledger,
    visitors: Visitors,
    enrolment: Option<Enrolment>,
    next: AtomicU64,
    capacity: Capacity,
    turns: Turns,
    live: Arc<Live>,
    hour: Hour,
    traces: Arc<Traces>,
    misfits: Misfits,
    overlap: Overlap,
    census: Arc<Census>,
    parting: Parting,
    drain: CancellationToken,
    kill: CancellationToken,
}

/// How all of them behave, as of the last reload.
#[derive(Debug)]
struct Manner {
    name: String,
    options: Options,
}

/// A listener, as its sessions see it.
#[derive(Debug)]
pub struct Listener {
    /// How it behaves.
    pub options: ListenerOptions,
    /// What it shows in TLS; there unless its TLS is [`ListenerTls::None`].
    pub tls: Option<Arc<ServerConfig>>,
    /// How it speaks TLS with those that know none of today's versions; there if the options name networks for it.
    pub legacy_tls: Option<LegacyTls>,
    /// The profiles of its upstreams.
    pub profiles: Vec<Arc<Profile>>,
}

impl Sessions {
    /// Sessions of a process named `name` in greetings. When `drain` is cancelled, clients that have not logged in are
    /// sent away; when `kill` is, all sessions end.
    pub fn new(
        name: String,
        options: Options,
        broker: Arc<Broker>,
        upstreams: Arc<Upstreams>,
        audit: Audit,
        drain: CancellationToken,
        kill: CancellationToken,
    ) -> Self {
        meters::describe();
        let capacity = Capacity::new(&options);
        Self {
            manner: ArcSwap::from_pointee(Manner { name, options }),
            broker,
            upstreams,
            audit,
            ledger: Ledger::default(),
            visitors: Visitors::default(),
            enrolment: None,
            next: AtomicU64::new(1),
            capacity,
            turns: Turns::new(),
            live: Live::new(),
            hour: Hour::default(),
            traces: Arc::default(),
            misfits: Misfits::new(),
            overlap: Overlap::new(),
            census: Arc::default(),
            parting: Parting::new(drain.clone()),
            drain,
            kill,
        }
    }

    /// All behave so from now on; those that are logged in keep to what held then.
    pub fn change(&self, name: String, options: Options) {
        self.capacity.change(&options);
        self.manner.store(Arc::new(Manner { name, options }));
    }

    /// All are to leave within that time, once `drain` is cancelled: each when nothing is under way, and one after the other.
    pub fn part(&self, within: Duration) {
        self.parting.begin(within);
    }

    fn manner(&self) -> Arc<Manner> {
        self.manner.load_full()
    }

    /// The same, with who uses which credential put down in that ledger.
    #[must_use]
    pub fn counted_in(mut self, ledger: Ledger) -> Self {
        self.ledger = ledger;
        self
    }

    /// The same, with every client put down there.
    #[must_use]
    pub fn seen_by(mut self, visitors: Visitors) -> Self {
        self.visitors = visitors;
        self
    }

    /// Where what happens is put down.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The sessions that were let in and are not over.
    pub fn live(&self) -> Vec<LiveSession> {
        self.live.all()
    }

    /// How logins ended in each of the last sixty minutes, the oldest first.
    pub fn last_hour(&self) -> Vec<Minute> {
        self.hour.minutes(Timestamp::now())
    }

    /// How many sessions there are, by protocol and state.
    pub fn census(&self) -> Vec<(Protocol, SessionState, usize)> {
        self.census.all()
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.census().into_iter().map(|(_, _, count)| count).sum()
    }

    /// How many there may be.
    pub fn max(&self) -> usize {
        self.manner().options.sessions_max
    }

    /// Says which listeners there are, for what is counted by them to begin at nothing.
    pub fn expect<'a>(&self, listeners: impl IntoIterator<Item = &'a ListenerOptions>) {
        listeners.into_iter().for_each(meters::expect);
    }

    /// The same, where clients make themselves known in the windows that listeners have for that. Without, none does.
    #[must_use]
    pub fn enrolling(mut self, enrolment: Enrolment) -> Self {
        self.enrolment = Some(enrolment);
        self
    }

    /// Serves one connection until it is closed.
    pub async fn serve(&self, listener: &Listener, arrival: Arrival) {
        let Arrival { mut socket, peer, place } = arrival; // the place is dropped last: it is free when all else is
        let session = self.next.fetch_add(1, Ordering::Relaxed);
        let counted = self.census.enter(listener.options.protocol);
        let Some(guest) = Box::pin(self.welcome(listener, session, &mut socket, peer, &place)).await else { return };
        let peer = guest.origin.peer;
        let span = tracing::info_span!("session", id = session, listener = listener.options.name, %peer);
        async {
            // Boxed: what a dialogue needs is given back before the relay begins, which may last for days.
            match Box::pin(self.log_in(listener, Stream::Plain(socket), guest)).await {
                Ok(Some(established)) => {
                    self.relay(established, counted).instrument(tracing::debug_span!("relay")).await;
                }
                Ok(None) => {}
                // A stranger can cause any of these at will.
                Err(error) => {
                    if place.is_lost() {
                        meters::count_shed(Shed::Displaced);
                    }
                    meters::count_ended(listener.options.protocol, &error);
                    tracing::debug!(%error, fault = ?error.fault(), "the session ended before login");
                }
            }
        }
        .instrument(span)
        .await;
    }

    /// The dialogue, until the client is logged in (`Some`) or gone (`None`).
    async fn log_in(
        &self,
        listener: &Listener,
        mut stream: Stream,
        mut guest: Guest<'_>,
    ) -> Result<Option<Established>, SessionError> {
        let mut deadline = Instant::now() + self.manner().options.login_timeout;
        if listener.options.tls == ListenerTls::Implicit {
            stream = self.accept_tls(stream, listener, &guest).await?;
            guest.origin.tls_version = stream.tls_version();
        }
        let mut dialogue = proto::server(listener.options.protocol, self.dialogue_options(listener, &guest));
        let mut buffer = Zeroizing::new(vec![0; READ_BYTES]);
        let mut accepted: Option<Box<Login>> = None;
        let mut said_goodbye = false;
        let tap = self.traces.tap(&guest.origin);
        if let Some(tap) = &tap {
            dialogue.be_traced();
            tap.note(came(&guest.origin));
        }
        loop {
            // Here, and not only where we wait: a client that always has something more to say must not stay for ever.
            if Instant::now() >= deadline && !said_goodbye && accepted.is_none() {
                said_goodbye = true;
                dialogue.shut_down(Goodbye::TimedOut);
            }
            let action = dialogue.next_action();
            let state = dialogue.state();
            if let Some(tap) = &tap {
                dialogue.remarks().into_iter().for_each(|remark| tap.hear(remark));
            }
            match action {
                ServerAction::Wait => tokio::select! {
                    biased;
                    () = self.drain.cancelled(), if !said_goodbye => {
                        said_goodbye = true;
                        dialogue.shut_down(Goodbye::Draining);
                    }
                    () = guest.place.lost(), if !said_goodbye => {
                        if !guest.place.may_be_told() {
                            return Err(SessionError::Displaced { state });
                        }
                        said_goodbye = true;
                        deadline = deadline.min(Instant::now() + LINGER);
                        dialogue.shut_down(Goodbye::Overloaded);
                    }
                    read = timeout_at(deadline, stream.read(&mut buffer)) => match read {
                        Ok(Ok(0)) => return Err(SessionError::Gone { state }),
                        Ok(Ok(count)) => {
                            error::reject_tls_on_plain(&stream, &buffer[..count])?;
                            dialogue.receive(&buffer[..count]);
                            buffer[..count].zeroize();
                        }
                        Ok(Err(source)) => return Err(SessionError::Broken { state, source }),
                        Err(_) if said_goodbye => return Err(SessionError::TimedOut { state }),
                        Err(_) => {} // seen at the top
                    },
                },
                ServerAction::Send(bytes) => {
                    let sending = self.send(&mut stream, bytes.as_bytes(), state);
                    let sent = match accepted.is_some() || said_goodbye {
                        true => sending.await,
                        false => guest.or_lost(state, sending).await,
                    };
                    if let (Err(error), Some(login)) = (&sent, &accepted) {
                        self.record_end(&guest.origin, login, error.to_string(), (0, 0), Instant::now());
                    }
                    sent?;
                }
                ServerAction::StartTls => {
                    stream = self.accept_tls(stream, listener, &guest).await?;
                    (guest.origin.tls, guest.origin.tls_version) = (true, stream.tls_version());
                    if let Some(tap) = &tap {
                        tap.note(format!("TLS is on: {}", guest.origin.tls_version.unwrap_or("of no known version")));
                    }
                    dialogue.tls_started();
                }
                ServerAction::Authenticate(attempt) => {
                    let began = Instant::now();
                    if let Some(tap) = &tap {
                        tap.login_is(&attempt.authcid);
                        tap.note(format!("is decided: {}", attempt.method));
                    }
                    let gone = CancellationToken::new();
                    // Boxed, here and below: who has not got so far need not hold what it takes.
                    let deciding = Box::pin(self.authenticate(&attempt, &guest.origin, listener, &gone));
                    let client = (&mut stream, &mut buffer[..], guest.place);
                    accepted = self.answer(dialogue.as_mut(), listener, client, &gone, deciding).await?;
                    deadline += began.elapsed(); // the time we took is not the client's
                }
                ServerAction::Recognise => {
                    let (began, certificate) = (Instant::now(), guest.certificate(&stream));
                    let gone = CancellationToken::new();
                    let deciding = Box::pin(self.recognise(certificate.as_ref(), &guest.origin, listener, &gone));
                    let client = (&mut stream, &mut buffer[..], guest.place);
                    accepted = self.answer(dialogue.as_mut(), listener, client, &gone, deciding).await?;
                    deadline += began.elapsed();
                }
                ServerAction::ChangePeer(said) => match self.change_peer(listener, &mut guest, said) {
                    Ok(plaintext_login) => {
                        if let Some(tap) = &tap {
                            tap.peer_is(guest.origin.peer);
                        }
                        dialogue.peer_changed(plaintext_login);
                    }
                    Err(refusal) => dialogue.refuse(refusal),
                },
                ServerAction::Relay { early } => {
                    let login = accepted.ok_or(SessionError::RelayWithoutLogin)?;
                    return Ok(Some(Established { origin: guest.origin, stream, early, login, tap }));
                }
                ServerAction::Close => {
                    linger(stream).await;
                    return Ok(None);
                }
            }
        }
    }

    /// Decides about an attempt and tells the dialogue what became of it. Bytes that came meanwhile stand behind the login.
    async fn answer(
        &self,
        dialogue: &mut dyn Server,
        listener: &Listener,
        (stream, buffer, place): (&mut Stream, &mut [u8], &Place),
        gone: &CancellationToken,
        deciding: impl Future<Output = Result<Box<Login>, Denied>>,
    ) -> Result<Option<Box<Login>>, SessionError> {
        if !place.decides() {
            return Err(SessionError::Displaced { state: dialogue.state() });
        }
        let began = Instant::now();
        let manners = (dialogue.has_unread(), self.manner().options.hang_up_grace);
        let deciding = self.kill.run_until_cancelled(deciding);
        let (decided, held) = meanwhile(stream, buffer, manners, gone, deciding).await;
        dialogue.receive(&buffer[..held]);
        buffer[..held].zeroize();
        if let Some(decided) = &decided {
            let denied = decided.as_ref().err().copied();
            self.hour.count(denied.map(Denied::cause));
            meters::count_login(&listener.options, denied, began.elapsed());
        }
        match decided {
            Some(Ok(login)) => {
                place.is_proven();
                dialogue.accept(&login.ready);
                return Ok(Some(login));
            }
            Some(Err(denied)) => dialogue.refuse(denied.refusal),
            None => dialogue.shut_down(Goodbye::Draining),
        }
        place.is_idle();
        Ok(None)
    }

    /// Copies both ways until one side is done.
    async fn relay(&self, established: Established, mut counted: Counted) {
        let Established { origin, mut stream, early, mut login, tap } = established;
        let began = Instant::now();
        counted.relays();
        tracing::debug!(login = login.login, account = login.account, "logged in");
        let tally = Some(meters::tally(origin.protocol));
        let Options { idle_timeout, stall_timeout, session_max_time, .. } = self.manner().options;
        let traffic = Some(login.alive.traffic());
        let options = RelayOptions { idle_timeout, stall_timeout, session_max_time, tally, traffic };
        let early_down = std::mem::take(&mut login.ready.early);
        let (client, upstream, stop) = (&mut stream, &mut login.stream, login.alive.over());
        let mut departure = self.parting.of(origin.session, origin.protocol);
        let relayed = match login.watched.as_deref_mut() {
            None => relay_inspected(client, upstream, early, early_down, options, stop, &mut departure).await,
            Some(watched) => {
                let mut both = Box::new(WatchedDeparture { watched, departure });
                relay_inspected(client, upstream, early, early_down, options, stop, &mut *both).await
            }
        };
        let Relayed { bytes_up, bytes_down, end, last_words } = relayed;
        let is_cut = matches!(end, End::Cut(_));
        let (reason, cause) = error::describe(&end, login.alive.withdrawn());
        live::count_end(cause);
        tracing::debug!(reason, up = bytes_up, down = bytes_down, "the relay ended");
        if let Some(tap) = tap {
            tap.note(format!(
                "over: {reason}; {bytes_up} bytes up, {bytes_down} down, {} s",
                began.elapsed().as_secs()
            ));
        }
        self.record_end(&origin, &login, reason, (bytes_up, bytes_down), began);
        drop(login);
        // Without a word it is closed so all the same: what the client was told before must arrive.
        if is_cut && (last_words.is_empty() || self.send(&mut stream, &last_words, "relay").await.is_ok()) {
            Box::pin(linger(stream)).await;
        }
    }

    fn record_end(&self, origin: &Origin, login: &Login, reason: String, bytes: (u64, u64), began: Instant) {
        let messages = login.watched.as_ref().map(|watched| watched.messages());
        login.tell(bytes.0, bytes.1, messages);
        let event = Event::End {
            login: login.login.clone(),
            account: login.account.clone(),
            client_secret: login.client_secret.clone(),
            credential: Some(login.credential.clone()),
            reason,
            bytes_up: bytes.0,
            bytes_down: bytes.1,
            messages,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.audit.record(origin, &event);
    }

    fn dialogue_options(&self, listener: &Listener, guest: &Guest<'_>) -> ServerOptions {
        let protocol = listener.options.protocol;
        let offers: Vec<_> = listener.profiles.iter().map(|profile| self.upstreams.offers(profile, protocol)).collect();
        ServerOptions {
            name: self.manner().name.clone(),
            tls: match listener.options.tls {
                ListenerTls::Implicit => ServerTls::Active,
                ListenerTls::StartTls => ServerTls::Offered,
                ListenerTls::None => ServerTls::Absent,
            },
            plaintext_login: guest.may_log_in_plainly(listener),
            takes_xclient: guest.is_front_end(),
            recognises: !listener.options.entrance.recognitions.is_empty(),
            keywords: proto::shared_keywords(protocol, &offers),
            limits: ServerLimits::default(),
        }
    }

    /// Shakes hands with whoever is there: for whom it may speak does not matter to TLS.
    async fn accept_tls(&self, stream: Stream, listener: &Listener, guest: &Guest<'_>) -> Result<Stream, SessionError> {
        const STATE: &str = "TLS handshake";
        let Some(config) = &listener.tls else { return Err(SessionError::NoTlsHere) };
        let hand: IpAddr = guest.hand;
        let may_be_old = listener.options.legacy_tls_networks.iter().any(|network| network.contains(&hand));
        let handshake = async {
            match &listener.legacy_tls {
                Some(legacy) if may_be_old => stream.accept_legacy_tls(legacy).await,
                _ => stream.accept_tls(Arc::clone(config)).await,
            }
        };
        let began = Instant::now();
        let handshake = self.turns.take(hand, handshake).instrument(tracing::debug_span!("tls"));
        let handshake = async { Ok(timeout(self.manner().options.tls_handshake_timeout, handshake).await) };
        let shaken = guest.or_lost(STATE, handshake).await?;
        count_phase(listener.options.protocol, "tls", began);
        match shaken {
            Ok(Ok(stream)) => {
                if let Some(handshake) = stream.handshake() {
                    count_handshake(listener.options.protocol, handshake);
                }
                tracing::debug!(tls = stream.tls_description(), "TLS is on");
                Ok(stream)
            }
            Ok(Err(source)) => Err(SessionError::Tls { source }),
            Err(_) => Err(SessionError::TimedOut { state: STATE }),
        }
    }

    async fn send(&self, stream: &mut Stream, bytes: &[u8], state: &'static str) -> Result<(), SessionError> {
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match timeout(self.manner().options.write_timeout, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(SessionError::Broken { state, source }),
            Err(_) => Err(SessionError::TimedOut { state }),
        }
    }
}

/// What a trace begins with.
fn came(origin: &Origin) -> String {
    let Origin { peer, listener, protocol, via, .. } = origin;
    let by = if via.is_empty() { String::new() } else { format!(", by way of {via:?}") };
    let tls = origin.tls_version.map_or_else(|| "without TLS".to_owned(), |version| format!("with {version}"));
    format!("{peer} came to {listener} ({protocol}) {tls}{by}")
}

/// Closes so that our last word arrives: closing a socket that has unread bytes makes TCP throw away what the client
/// has not read yet.
async fn linger(mut stream: Stream) {
    const BYTES_MAX: usize = 64 * 1024;
    let reading = async {
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        let mut left = BYTES_MAX;
        while left > 0 {
            match stream.read(&mut rest).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        std::io::Result::Ok(())
    };
    let _ = timeout(LINGER, reading).await; // it is over either way
}
