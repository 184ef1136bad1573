//! The policy of a client as an operator names it: what is named takes the place of what was, the rest stays.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extend;
use crate::management::{Desk, Fault, ManagementError};
use crate::model::{AddressPattern, Hours, Policy, Protocol};

/// Parts of a policy. What is empty or absent is not changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[schema(as = ClientLimits)]
#[serde(default, deny_unknown_fields)] // a misspelt limit must not be taken for one
pub struct Limits {
    /// Protocols that the client may use; all that are named take the place of what was.
    pub protocols: Vec<Protocol>,
    /// Listeners that it may come through; the same.
    pub listeners: Vec<String>,
    /// Networks that it may come from; the same.
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<IpNet>,
    /// When it may log in, as `mon-fri 07:00-19:00 Europe/Berlin`; the same.
    pub hours: Vec<Hours>,
    /// When all of the client ends.
    pub expires: Option<Timestamp>,
    /// Sessions that it may have open at once on each node.
    #[schema(minimum = 1)]
    pub sessions_max: Option<u32>,
    /// Senders that it may name in MAIL FROM, as `scan@contoso.com` or `*@contoso.com`; as for protocols.
    pub senders: Vec<AddressPattern>,
    /// The class of quota that it is in: `[limits.class.<name>]`.
    pub class: Option<String>,
}

/// A part of a policy that is to bound nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ClientLimit)]
#[serde(rename_all = "snake_case")]
pub enum Clear {
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
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts what was named over what was. Nothing is changed if a part of it could not hold.
    pub(super) fn put_into(self, policy: &mut Policy, desk: &Desk) -> Result<(), ManagementError> {
        check_listeners(desk, &self.listeners)?;
        if let Some(class) = &self.class {
            check_class(desk, class)?;
        }
        if self.sessions_max == Some(0) {
            let message = "sessions_max is 1 at the least; to keep a client out let it expire, or revoke it";
            return Err(ManagementError::invalid(message));
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

impl Clear {
    pub(super) fn apply(self, policy: &mut Policy) {
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

/// A listener that is not there lets nobody in.
pub(super) fn check_listeners(desk: &Desk, named: &[String]) -> Result<(), ManagementError> {
    let known = &desk.listeners;
    match named.iter().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("the configuration has no listener {name}; it has: {}", known.join(", "));
            Err(ManagementError::new(Fault::Usage, message))
        }
    }
}

/// A class that is not there bounds nothing.
pub(super) fn check_class(desk: &Desk, name: &str) -> Result<(), ManagementError> {
    let known = &desk.classes;
    if known.iter().any(|it| it == name) {
        return Ok(());
    }
    let mut message = format!("the configuration has no class {name}; add [limits.class.{name}]");
    if !known.is_empty() {
        message += &format!(", or name one that it has: {}", known.join(", "));
    }
    Err(ManagementError::missing(message))
}

fn replace<T: PartialEq>(list: &mut Vec<T>, named: Vec<T>) {
    if !named.is_empty() {
        list.clear();
        extend(list, named);
    }
}
