//! The policy of a client on the command line: what `locum client add` and `locum client set` take.

use ipnet::IpNet;
use jiff::Timestamp;

use super::{parse_network, parse_time};
use crate::management::clients::{self, Clear};
use crate::model::{AddressPattern, Hours, Protocol};

#[derive(Debug, clap::Args)]
pub(super) struct Limits {
    /// A protocol that the client may use; may be given again, and all that are given take the place of what was.
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    protocols: Vec<Protocol>,
    /// A listener that the client may come through; the same.
    #[arg(long = "listener", value_name = "NAME")]
    listeners: Vec<String>,
    /// A network that the client may come from; the same.
    #[arg(long = "network", value_name = "CIDR", value_parser = parse_network)]
    networks: Vec<IpNet>,
    /// When the client may log in, as "mon-fri 07:00-19:00 Europe/Berlin"; the same. Open sessions go on behind their end.
    #[arg(long, value_name = "HOURS")]
    hours: Vec<Hours>,
    /// When all of the client ends, as 2027-01-31T00:00:00Z: its logins, and its sessions.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires: Option<Timestamp>,
    /// Sessions that the client may have open at once on each node.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    sessions_max: Option<u32>,
    /// A sender that the client may name in MAIL FROM, as "scan@contoso.com" or "*@contoso.com"; may be given again.
    #[arg(long = "sender", value_name = "PATTERN")]
    senders: Vec<AddressPattern>,
    /// The class of quota that it is in, as [limits.class.<name>] in the configuration.
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
}

/// A part of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Part {
    /// All protocols again.
    Protocols,
    /// All listeners again.
    Listeners,
    /// All networks again.
    Networks,
    /// All hours again.
    Hours,
    /// No end.
    Expires,
    /// Any number of sessions.
    SessionsMax,
    /// All senders again.
    Senders,
    /// No class.
    Class,
}

impl From<Limits> for clients::Limits {
    fn from(limits: Limits) -> Self {
        let Limits { protocols, listeners, networks, hours, expires, sessions_max, senders, class } = limits;
        Self { protocols, listeners, networks, hours, expires, sessions_max, senders, class }
    }
}

impl From<Part> for Clear {
    fn from(part: Part) -> Self {
        match part {
            Part::Protocols => Self::Protocols,
            Part::Listeners => Self::Listeners,
            Part::Networks => Self::Networks,
            Part::Hours => Self::Hours,
            Part::Expires => Self::Expires,
            Part::SessionsMax => Self::SessionsMax,
            Part::Senders => Self::Senders,
            Part::Class => Self::Class,
        }
    }
}
