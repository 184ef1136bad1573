//! The policy of a client on the command line: what `locum client add` and `locum client set` take.

use anyhow::Result;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{check_listeners, parse_network, parse_time};
use crate::cli::exit::{self, Failure};
use crate::config::Config;
use crate::model::{AddressPattern, Hours, Policy, Protocol};

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

impl Limits {
    /// Whether nothing was named.
    pub(super) fn is_empty(&self) -> bool {
        let Self { protocols, listeners, networks, hours, expires, sessions_max, senders, class } = self;
        protocols.is_empty()
            && listeners.is_empty()
            && networks.is_empty()
            && hours.is_empty()
            && expires.is_none()
            && sessions_max.is_none()
            && senders.is_empty()
            && class.is_none()
    }

    /// Puts what was named over what was. Nothing is changed if a part of it could not hold.
    pub(super) fn put_into(self, policy: &mut Policy, config: &Config) -> Result<()> {
        check_listeners(config, &self.listeners)?;
        if let Some(class) = &self.class {
            check_class(config, class)?;
        }
        replace(&mut policy.protocols, self.protocols);
        replace(&mut policy.listeners, self.listeners);
        replace(&mut policy.networks, self.networks);
        replace(&mut policy.hours, self.hours);
        replace(&mut policy.senders, self.senders);
        policy.expires = self.expires.or(policy.expires);
        policy.sessions_max = self.sessions_max.or(policy.sessions_max);
        policy.class = self.class.or(policy.class.take());
        Ok(())
    }
}

impl Part {
    pub(super) fn clear(self, policy: &mut Policy) {
        match self {
            Self::Protocols => policy.protocols.clear(),
            Self::Listeners => policy.listeners.clear(),
            Self::Networks => policy.networks.clear(),
            Self::Hours => policy.hours.clear(),
            Self::Expires => policy.expires = None,
            Self::SessionsMax => policy.sessions_max = None,
            Self::Senders => policy.senders.clear(),
            Self::Class => policy.class = None,
        }
    }
}

/// A class that is not there bounds nothing.
pub(super) fn check_class(config: &Config, name: &str) -> Result<()> {
    let known: Vec<&str> = config.upstream.classes.keys().map(String::as_str).collect();
    if known.contains(&name) {
        return Ok(());
    }
    let mut message = format!("the configuration has no class {name}; add [limits.class.{name}]");
    if !known.is_empty() {
        message += &format!(", or name one that it has: {}", known.join(", "));
    }
    Err(Failure::new(exit::NOT_FOUND, message).into())
}

fn replace<T: PartialEq>(list: &mut Vec<T>, named: Vec<T>) {
    if !named.is_empty() {
        list.clear();
        super::extend(list, named);
    }
}
