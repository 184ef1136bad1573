//! A connection to a Valkey (or Redis) server that other nodes use, too: commands go out together and numbers come back, or
//! nothing does, soon. While it is away nobody waits for it. It must never put off a client, keep a name, or say a password.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisConnectionInfo, RedisError, ServerErrorKind, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::tls::{self, TlsError};
use super::{Names, Stream, TlsOptions, dial};
use crate::model::Secret;

/// A connection that takes longer is none: name, TCP, TLS and AUTH. No login waits for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Between two looks whether a server that is asked nothing is still there, and still takes writes.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// A probe that takes longer has failed; no login waits for it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause before a server that went away is tried again, doubled each time up to the second.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// One that stayed for so long begins anew with the shortest pause; one that comes and goes does not.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// How much of a server's own words is shown.
const TEXT_CHARS_MAX: usize = 200;

/// Where the server is, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValkeyOptions {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether TLS is spoken, verified for `host`.
    pub tls: bool,
    /// Authorities to trust beside those of the system, PEM.
    pub ca_file: Option<PathBuf>,
    /// The user of its access list; `None` for the default one.
    pub username: Option<String>,
    /// How long commands may take before the server counts as away. Logins wait for it.
    pub timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValkeyError {
    /// Nobody has tried yet.
    #[error("no connection has been made yet")]
    NotYet,
    /// It cannot be reached, or hung up.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It said nothing in time.
    #[error("it did not answer within {0:?}")]
    TimedOut(Duration),
    /// It does not take the password, or the user may not do this.
    #[error("it refuses the user or the password, or the user lacks a right: {0}")]
    Refused(String),
    /// It answers and does not do what it is asked: it is full, loading, or a replica.
    #[error("it answers, and does not do what it is asked: {0}")]
    Unable(String),
}

/// Commands that go out together.
#[derive(Default)]
pub struct Commands(redis::Pipeline);

impl Commands {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more: its name and its arguments.
    #[must_use]
    pub fn and(mut self, command: &[&str]) -> Self {
        if let Some((name, arguments)) = command.split_first() {
            self.0.cmd(name);
            for argument in arguments {
                self.0.arg(*argument);
            }
        }
        self
    }
}

/// The connection, made again whenever it is lost for as long as [`Valkey::keep`] runs.
pub struct Valkey {
    options: ValkeyOptions,
    tls: Option<Arc<ClientConfig>>,
    password: Option<Secret>,
    state: Mutex<State>,
    lost: Notify,
}

/// What moves a connection's bytes, for as long as it is polled.
struct Driver(Pin<Box<dyn Future<Output = ()> + Send>>);

struct State {
    /// As long as it is thought to be good. Whoever finds that it is not takes it away, and nobody waits for it any more.
    connection: Option<MultiplexedConnection>,
    /// Which one that is: who was failed by an earlier one takes nothing away.
    number: u64,
    why: ValkeyError,
}

impl fmt::Debug for Valkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Valkey({}:{})", self.options.host, self.options.port)
    }
}

impl Valkey {
    /// The one of these options; nothing is dialled yet.
    ///
    /// # Errors
    /// If the certificate authorities cannot be read.
    pub fn new(options: ValkeyOptions, password: Option<Secret>) -> Result<Self, Vec<TlsError>> {
        let trusted = || {
            let upstream_ca_files = options.ca_file.clone().into_iter().collect();
            tls::client_config(&TlsOptions { upstream_ca_files, ..TlsOptions::default() })
        };
        let tls = options.tls.then(trusted).transpose()?;
        let state = Mutex::new(State { connection: None, number: 0, why: ValkeyError::NotYet });
        Ok(Self { options, tls, password, state, lost: Notify::new() })
    }

    /// `host:port`, for people.
    pub fn place(&self) -> String {
        format!("{}:{}", self.options.host, self.options.port)
    }

    /// Why there is no connection now; `None` if there is one.
    pub fn trouble(&self) -> Option<ValkeyError> {
        let state = self.state();
        state.connection.is_none().then(|| state.why.clone())
    }

    /// The answers to these commands, where they are numbers. `None` if there are none in time: then the server is left alone
    /// until it answers again, and who asks meanwhile has this at once.
    pub async fn ask(&self, commands: &Commands) -> Option<Vec<Option<i64>>> {
        let (connection, number) = {
            let state = self.state();
            (state.connection.clone()?, state.number)
        };
        match answers(connection, commands, self.options.timeout).await {
            Ok(answers) => Some(answers),
            Err(why) => {
                let mut state = self.state();
                if state.number == number && state.connection.take().is_some() {
                    state.why = why;
                    self.lost.notify_one();
                }
                None
            }
        }
    }

    /// Keeps the connection for as long as it is polled. `probe` is a key that may be written, to see that others can be. `told`
    /// hears each turn: why it is away, or `None` when it is back.
    pub async fn keep(&self, probe: &str, told: impl Fn(Option<&ValkeyError>)) {
        let mut pause = PAUSE_MIN;
        let mut is_told = false;
        // As long as the process runs, with a pause in each turn.
        loop {
            let mut since = None;
            let up = || {
                since = Some(Instant::now());
                told(None);
            };
            let why = self.serve(probe, up).await;
            self.close(&why);
            let was_up = since.is_some();
            if was_up || !is_told {
                told(Some(&why));
                is_told = true;
            }
            if since.is_some_and(|since| since.elapsed() >= STEADY_AFTER) {
                pause = PAUSE_MIN;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Tries once whether it can be used, for an operator.
    ///
    /// # Errors
    /// Why not.
    pub async fn try_once(&self, probe: &str) -> Result<(), ValkeyError> {
        let connected = timeout(CONNECT_TIMEOUT, self.connect()).await;
        let (connection, driver) = connected.map_err(|_| ValkeyError::TimedOut(CONNECT_TIMEOUT))??;
        let commands = probing(probe);
        tokio::select! {
            answers = answers(connection, &commands, PROBE_TIMEOUT) => answers.map(drop),
            () = driver.0 => Err(ValkeyError::Unreachable("it closed the connection".into())),
        }
    }

    /// One connection, from its beginning to its end.
    async fn serve(&self, probe: &str, up: impl FnOnce()) -> ValkeyError {
        let connected = timeout(CONNECT_TIMEOUT, self.connect()).await;
        let (connection, driver) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(why)) => return why,
            Err(_) => return ValkeyError::TimedOut(CONNECT_TIMEOUT),
        };
        let commands = probing(probe);
        let look = || answers(connection.clone(), &commands, PROBE_TIMEOUT);
        let serving = async {
            if let Err(why) = look().await {
                return why;
            }
            self.open(connection.clone());
            up();
            loop {
                tokio::select! {
                    () = self.lost.notified() => {
                        // What was told of a connection before this one is no news.
                        if let Some(why) = self.trouble() {
                            return why;
                        }
                    }
                    () = sleep(PROBE_INTERVAL) => {
                        if let Err(why) = look().await {
                            return why;
                        }
                    }
                }
            }
        };
        tokio::select! {
            why = serving => why,
            () = driver.0 => ValkeyError::Unreachable("it closed the connection".into()),
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, Driver), ValkeyError> {
        let ValkeyOptions { host, port, .. } = &self.options;
        let unreachable = |error: &dyn fmt::Display| ValkeyError::Unreachable(plain(&error.to_string()));
        let stream =
            dial(&Names::default(), host, *port, &[], CONNECT_TIMEOUT).await.map_err(|error| unreachable(&error))?;
        let mut stream = Stream::Plain(stream);
        if let Some(config) = &self.tls {
            let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
            let name = name.map_err(|error| unreachable(&error))?;
            let secured = stream.connect_tls(Arc::clone(config), name).await;
            stream = secured.map_err(|error| unreachable(&error))?;
        }
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(username) = &self.options.username {
            info = info.set_username(username);
        }
        if let Some(password) = self.password.as_ref().and_then(Secret::expose_text) {
            info = info.set_password(password);
        }
        // Times are kept here, whatever the library thinks of them.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let connected = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = connected.map_err(|error| sorted(&error))?;
        Ok((connection, Driver(Box::pin(driver))))
    }

    fn open(&self, connection: MultiplexedConnection) {
        let mut state = self.state();
        state.connection = Some(connection);
        state.number += 1;
    }

    fn close(&self, why: &ValkeyError) {
        let mut state = self.state();
        state.connection = None;
        state.why = why.clone();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

/// A write, for a server that is full or a replica answers all else.
fn probing(probe: &str) -> Commands {
    Commands::new().and(&["SET", probe, "1", "EX", "60"])
}

/// What comes back in time. An error among the answers is one.
async fn answers(
    mut connection: MultiplexedConnection,
    commands: &Commands,
    limit: Duration,
) -> Result<Vec<Option<i64>>, ValkeyError> {
    let sent = connection.send_packed_commands(&commands.0, 0, commands.0.len());
    let values = timeout(limit, sent).await.map_err(|_| ValkeyError::TimedOut(limit))?;
    let number = |value| match value {
        Value::Int(number) => Ok(Some(number)),
        Value::BulkString(text) => Ok(std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok())),
        Value::ServerError(error) => Err(sorted(&RedisError::from(error))),
        _ => Ok(None),
    };
    values.map_err(|error| sorted(&error))?.into_iter().map(number).collect()
}

/// What a failure means.
fn sorted(error: &RedisError) -> ValkeyError {
    let text = plain(&error.to_string());
    match error.kind() {
        ErrorKind::AuthenticationFailed => ValkeyError::Refused(text),
        ErrorKind::Server(ServerErrorKind::NoPerm) => ValkeyError::Refused(text),
        ErrorKind::Server(_) if is_about_authentication(error) => ValkeyError::Refused(text),
        ErrorKind::Extension if is_about_authentication(error) => ValkeyError::Refused(text),
        ErrorKind::Io | ErrorKind::Parse => ValkeyError::Unreachable(text),
        _ => ValkeyError::Unable(text),
    }
}

fn is_about_authentication(error: &RedisError) -> bool {
    error.code().is_some_and(|code| matches!(code, "WRONGPASS" | "NOAUTH" | "NOPERM"))
}

/// A server's text, fit for one line of ours.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ").chars().take(TEXT_CHARS_MAX).collect()
}
