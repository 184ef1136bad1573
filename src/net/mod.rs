//! Floor 2: sockets and TLS. This room moves bytes; it never knows what they say.
//!
//! - [`bind`] and [`accept_loop`]: listeners. [`dial`]: connections to upstreams.
//! - [`Stream`]: a connection, plain or under TLS. [`tls`]: certificates, keys and trust.
//! - [`Https`]: posts forms to authorities.
//! - [`relay`]: copies both ways after login. [`relay_inspected`]: the same under the eyes of an [`Inspector`].

mod dial;
mod http;
mod inspector;
mod listener;
mod options;
mod relay;
mod stream;
pub mod tls;

pub use dial::{DialError, dial};
pub use http::{HttpOptions, Https, HttpsError, Reply};
pub use inspector::Inspector;
pub use listener::{BindError, accept_loop, bind};
pub use options::TlsOptions;
pub use relay::{End, RelayOptions, Relayed, Side, relay, relay_inspected};
pub use stream::Stream;
pub use tls::TlsError;
