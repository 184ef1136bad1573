//! Floor 2: sockets and TLS. This room moves bytes; it never knows what they say.
//!
//! - [`bind`] and [`accept_each`]: listeners. [`accept_loop`]: the same with permits. [`UnixDoor`] and [`accept_here`]: the same for this machine alone. [`dial`]: connections to upstreams, whose [`Names`] are remembered.
//! - [`Stream`]: a connection, plain or under TLS. [`tls`]: certificates, keys and trust. [`LegacyTls`]: TLS 1.0 and 1.1,
//!   where it is built in.
//! - [`Https`]: posts forms to authorities.
//! - [`Valkey`]: asks a server that nodes share for numbers.
//! - [`read_proxy_header`]: what a front end says about a connection.
//! - [`relay`]: copies both ways after login. [`relay_inspected`]: the same under the eyes of an [`Inspector`].

mod dial;
mod http;
mod inspector;
#[cfg_attr(not(feature = "legacy-tls"), path = "legacy_tls/absent.rs")]
mod legacy_tls;
mod listener;
mod names;
mod options;
mod proxy_protocol;
mod relay;
mod secured;
mod stream;
pub mod tls;
mod unix;
mod valkey;

pub use dial::{DialError, dial, leads_to};
pub use http::{HttpOptions, Https, HttpsError, Reply};
pub use inspector::Inspector;
pub use legacy_tls::LegacyTls;
pub use listener::{
    BindError, accept_each, accept_here, accept_loop, bind, describe_listening, descriptors_beyond, exhausted_ago,
    say_at_once,
};
pub use names::Names;
pub use options::TlsOptions;
pub use proxy_protocol::{HeaderError, ProxyHeaderError, read_proxy_header};
pub use relay::{End, RelayOptions, Relayed, Side, Tally, Traffic, relay, relay_inspected};
pub use stream::{HANDSHAKES, Stream};
pub use tls::TlsError;
pub use unix::{UnixBindError, UnixDoor};
pub use valkey::{Commands, Valkey, ValkeyError, ValkeyOptions};
