//! What a listener lets in beside its clients, in words for whoever starts or checks Locum: it is to be closed again one day, and
//! nobody remembers it by then.

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Config;
use crate::model::{Enrolment, EnrolmentMode, UnknownLogins};
use crate::session::ListenerOptions;

/// One line for each window of enrolment and for each listener that passes unknown logins through.
pub fn windows(config: &Config, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for listener in &config.listeners {
        let name = &listener.name;
        if let Some(enrolment) = &listener.entrance.enrolment {
            lines.push(window(name, enrolment, now));
        }
        if let UnknownLogins::Passthrough { upstream, networks } = &listener.entrance.unknown_logins {
            let networks = list(networks);
            lines.push(format!(
                "listener {name}: unknown logins from {networks} are shown to {upstream} as they come; set unknown-logins = \
                 \"reject\" when the last client is moved"
            ));
        }
    }
    lines
}

/// Listeners with a window of enrolment, each with its end.
pub(crate) fn ends_of_windows(listeners: &[ListenerOptions]) -> Arc<[(String, Timestamp)]> {
    let end = |listener: &ListenerOptions| {
        let enrolment = listener.entrance.enrolment.as_ref()?;
        Some((listener.name.clone(), enrolment.until))
    };
    listeners.iter().filter_map(end).collect()
}

fn window(name: &str, enrolment: &Enrolment, now: Timestamp) -> String {
    let (mode, networks, until) = (enrolment.mode.name(), list(&enrolment.networks), enrolment.until);
    if enrolment.until <= now {
        return format!(
            "listener {name}: the window of enrolment ({mode}) closed at {until:.0}; take [listener.enrolment] out"
        );
    }
    let what = match &enrolment.mode {
        EnrolmentMode::Learn { upstream } => {
            format!("a login without a secret becomes a client's if {upstream} takes its password")
        }
        EnrolmentMode::FirstLogin => "the first password for an account without a client is taken".to_owned(),
    };
    let opens = match enrolment.from.filter(|from| now < *from) {
        Some(from) => format!("opens at {from:.0}, and closes at {until:.0}"),
        None => format!("is OPEN, and closes at {until:.0}"),
    };
    format!("listener {name}: the window of enrolment ({mode}) {opens}: to {networks}, {what}")
}

fn list(networks: &[impl ToString]) -> String {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
