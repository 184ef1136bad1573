//! IMAP before login: LOGIN and AUTHENTICATE, judged by the sandbox and answered in the words of its face.

use super::{Answer, Args, Fault, Session};
use crate::model::{Attempt, Mechanism, Protocol, Secret};
use crate::sandbox::login::{Asked, Exchanged, exchange, explain, inline_attempt};
use crate::sandbox::texts::{Refusal, Verdict};

impl Session<'_> {
    pub(super) async fn log_in(&mut self, args: &mut Args) -> Result<Answer, Fault> {
        args.space()?;
        let authcid = args.string()?.to_vec();
        args.space()?;
        let proof = Secret::new(args.string()?.to_vec());
        args.end()?;
        let attempt = Attempt { authcid, authzid: None, proof, method: "LOGIN command" };
        self.decide(&attempt).await
    }

    pub(super) async fn authenticate(&mut self, args: &mut Args) -> Result<Answer, Fault> {
        args.space()?;
        let asked = Asked::from_name(args.atom()?.as_bytes());
        let initial = match args.space() {
            Ok(()) => Some(args.string()?),
            Err(_) => None,
        };
        args.end()?;
        let initial = initial.as_ref().map(|initial| initial.as_slice());
        if !self.tls || !self.is_offered(asked) {
            if let Some(attempt) = inline_attempt(asked, true, initial) {
                return self.decide(&attempt).await;
            }
            return match asked {
                Asked::Known(Mechanism::Plain | Mechanism::Login)
                    if self.tls && !self.sandbox.texts().takes_passwords(Protocol::Imap) =>
                {
                    let refusal = self.sandbox.texts().no_passwords(Protocol::Imap);
                    Ok(self.refuse(refusal, "AUTHENTICATE").await?)
                }
                _ => Ok(Answer::line("NO Unsupported authentication mechanism.")),
            };
        }
        match exchange(self.connection, asked, true, "+ ", initial).await? {
            Exchanged::Attempt(attempt) => self.decide(&attempt).await,
            Exchanged::Cancelled => Ok(Answer::line(self.sandbox.texts().imap_cancelled())),
            Exchanged::Malformed => Err(Fault::Malformed),
        }
    }

    fn is_offered(&self, asked: Asked) -> bool {
        match asked {
            Asked::Known(mechanism) => self.sandbox.texts().offers(Protocol::Imap, mechanism),
            Asked::Unknown => false,
        }
    }

    async fn decide(&mut self, attempt: &Attempt) -> Result<Answer, Fault> {
        let texts = self.sandbox.texts();
        if !self.tls {
            // It has been seen by whoever listens on the way: too late to matter that it is refused.
            self.sandbox.turn_away(Protocol::Imap, attempt);
            return Ok(Answer::line("NO [PRIVACYREQUIRED] LOGIN is disabled until TLS is negotiated."));
        }
        match self.sandbox.log_in(Protocol::Imap, attempt) {
            Verdict::Refuse(refusal) => {
                if !explain(self.connection, &refusal, attempt.method, "+ ").await? {
                    return Err(Fault::Malformed);
                }
                self.refuse(refusal, attempt.method).await
            }
            Verdict::Accept { address, connected, token } => {
                let text = texts.imap_logged_in(attempt.method, &address);
                (self.account, self.connected, self.token) = (Some(address), connected, token);
                if texts.imap_tells_capability_at_login() {
                    self.untagged(&format!("CAPABILITY {}", self.capability())).await?;
                }
                Ok(Answer::Line(format!("OK {text}")))
            }
        }
    }

    async fn refuse(&mut self, refusal: Refusal, method: &'static str) -> Result<Answer, Fault> {
        for line in &refusal.before {
            self.connection.send_line(line).await?;
        }
        let reply = refusal.reply.into_iter().next();
        let enough = self.record_refusal(method);
        Ok(match reply {
            Some(reply) if !refusal.closes && !enough => Answer::Line(reply),
            reply => Answer::Last(reply, refusal.after.or(Some(self.sandbox.texts().imap_enough()))),
        })
    }
}
