//! One SASL exchange with a provider, as all three protocols frame it: lines of base64 both ways. It must never take the
//! explanation of a refusal for a question or for success, nor show one that is not cleared of what we sent.

use zeroize::Zeroizing;

use super::input::{Sent, decode_base64, encode_base64, printable};
use super::{ClientFailure, Outgoing};
use crate::model::{Mechanism, Secret};
use crate::sasl::{ClientExchange, ClientStep, Credentials, Unsendable};

/// A status and a scope; of more than that the rest is not worth a line in a log.
const EXPLANATION_CHARS_MAX: usize = 128;

/// The side that proves itself.
#[derive(Debug)]
pub(super) struct Exchange {
    mechanism: Mechanism,
    sasl: ClientExchange,
    /// The initial response, where it did not fit into the command.
    held: Option<Secret>,
    /// Why we are refused, from when the provider has said that we are. Safe for a log.
    explanation: Option<String>,
}

impl Exchange {
    /// Begins one. What must not be shown of the credentials is remembered in `sent` from here on.
    pub(super) fn new(mechanism: Mechanism, credentials: Credentials, sent: &mut Sent) -> Result<Self, ClientFailure> {
        sent.note(credentials.secret.expose());
        let sasl = ClientExchange::new(mechanism, credentials)?;
        Ok(Self { mechanism, sasl, held: None, explanation: None })
    }

    pub(super) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What may stand behind the command, in base64, if the mechanism has such and it is not longer than this.
    pub(super) fn initial_response(&mut self, bytes_max: usize) -> Option<Zeroizing<String>> {
        self.held = self.sasl.initial_response();
        let base64 = encode_base64(self.held.as_ref()?.expose());
        if base64.len() > bytes_max {
            return None;
        }
        self.held = None;
        Some(base64)
    }

    /// The line that answers a challenge; `None` where nothing does, and the dialogue must cancel.
    pub(super) fn answer(&mut self, challenge: &[u8], sent: &mut Sent) -> Option<Outgoing> {
        // A prompt is for people; one that is no base64 is as good as any.
        let challenge = decode_base64(challenge).unwrap_or_else(|| Secret::new(""));
        let step = match self.held.take() {
            Some(response) => ClientStep::Respond(response),
            None => self.sasl.respond(challenge.expose()),
        };
        match step {
            ClientStep::Respond(response) => Some(sent.line("", encode_base64(response.expose()).as_bytes())),
            ClientStep::Acknowledge { answer, why } => {
                let why = sent.masked(why.expose());
                self.explanation = Some(why.chars().take(EXPLANATION_CHARS_MAX).collect());
                Some(Outgoing::new(format!("{}\r\n", *encode_base64(answer.expose()))))
            }
            ClientStep::Cancel => None,
        }
    }

    /// The provider says that it is done, and well. One that never asked for the credential has proven nothing of it: a
    /// rotation must not take that for a login.
    pub(super) fn succeed(&self) -> Result<(), ClientFailure> {
        if self.held.is_some() || !self.sasl.has_told() {
            return Err(ClientFailure::Protocol("the login was accepted before the credential was sent"));
        }
        match self.explanation {
            Some(_) => Err(ClientFailure::Protocol("the login was accepted after it was refused")),
            None => Ok(()),
        }
    }

    /// What the provider said about the login, for the operator, with the explanation that it may have given before.
    pub(super) fn text(&self, said: &[u8], sent: &Sent) -> String {
        let said = sent.masked(said);
        match self.explanation.as_deref() {
            None | Some("") => said,
            Some(explanation) => printable(format!("{said} ({explanation})").as_bytes()),
        }
    }
}

impl From<Unsendable> for ClientFailure {
    fn from(why: Unsendable) -> Self {
        Self::Protocol(why.text())
    }
}
