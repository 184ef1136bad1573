//! Secrets of clients that Locum did not make, and clients whose TLS is old or none: what somebody may want to look at.

use crate::cli::output;
use crate::management::reports::{Enrolled, WeakTls};

/// For people; nothing where there is none.
pub(super) fn tell(enrolled: &[Enrolled], weak: &[WeakTls]) {
    if !enrolled.is_empty() {
        output::line("\nsecrets that Locum did not make:");
        let rows = enrolled.iter().map(|it| {
            let same = match it.same_upstream.is_empty() {
                true => String::new(),
                false => format!("the provider's password still: locum rotate stage {}", it.same_upstream.join(", ")),
            };
            let last = it.last_seen.map_or_else(|| "never".to_owned(), output::day);
            [format!("  {}", it.client), it.secret.clone(), it.how.name().to_owned(), output::day(it.since), last, same]
        });
        output::table(["  CLIENT", "SECRET", "HOW", "SINCE", "LAST SEEN", "MIND"], rows.collect(), "");
    }
    if !weak.is_empty() {
        output::line("\nclients without TLS of today:");
        let rows = weak.iter().map(|it| {
            let account = it.account.clone().unwrap_or_else(|| "-".to_owned());
            let (by, tls) = (it.protocol.to_string(), it.tls.clone());
            [format!("  {}", it.client), account, by, it.listener.clone(), tls, output::day(it.last_seen)]
        });
        output::table(["  CLIENT", "ACCOUNT", "BY", "LISTENER", "TLS", "LAST SEEN"], rows.collect(), "");
    }
}
