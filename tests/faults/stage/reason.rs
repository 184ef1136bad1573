//! What the audit says of a login that failed at the provider, without what differs from run to run.

use crate::page;

/// What an operator reads: `the provider is out of reach (upstream=… state="greeting" after=0.1s): it hung up; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    cause: String,
    state: String,
    pub(crate) detail: String,
}

impl Reason {
    pub(super) fn read(reason: &str) -> Self {
        let parts = reason.split_once(" (upstream=").and_then(|(cause, rest)| Some((cause, rest.split_once("s): ")?)));
        let (cause, (head, rest)) = parts.unwrap_or_else(|| panic!("no state in {reason:?}"));
        let state = head.split("state=\"").nth(1).and_then(|it| it.split('"').next()).unwrap_or_default();
        let detail = rest.split("; ").next().unwrap_or_default();
        // The time in it is that of the run.
        let detail = detail.split(": verification time").next().unwrap_or_default();
        Self { cause: cause.to_owned(), state: state.to_owned(), detail: settled(detail) }
    }

    /// The cell of the page for some, of which most are the same.
    pub(crate) fn cell(reasons: &[Self]) -> String {
        let Some(first) = reasons.first() else { return "-".to_owned() };
        assert!(reasons.iter().all(|it| it.cause == first.cause), "{reasons:?}");
        let mut said: Vec<String> = Vec::new();
        for one in reasons.iter().map(|it| page::code(&format!("{}: {}", it.state, it.detail))) {
            if !said.contains(&one) {
                said.push(one);
            }
        }
        format!("{}: {}", first.cause, said.join(", "))
    }
}

/// Ports differ from run to run. A connection that is reset is met by whoever reads or by whoever writes, as chance has it.
pub(crate) fn settled(text: &str) -> String {
    let text = text.replace("Broken pipe (os error 32)", "Connection reset by peer (os error 104)");
    let mut out = String::new();
    for (number, part) in text.split(':').enumerate() {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        if number > 0 {
            out.push(':');
        }
        if number > 0 && digits >= 4 {
            out.push('…');
            out.push_str(&part[digits..]);
        } else {
            out.push_str(part);
        }
    }
    out
}
