//! The token endpoint: one function for each grant (RFC 6749, RFC 7523, RFC 7636, RFC 8628).

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ring::digest;
use tokio::time::Instant;

use super::assertion::Assertion;
use super::book::{Answered, Book, Holder, Refresh, Standing};
use super::denial::Denial;
use super::form::Form;
use super::{Application, ApplicationProof};
use crate::model::{Protocol, Secret, normalise};
use crate::sandbox::Face;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const GOOGLE_MAIL: &str = "https://mail.google.com/";

/// The hosts by which Exchange is asked for, in all of Microsoft's clouds.
const EXCHANGE: [&str; 5] = [
    "outlook.office.com",
    "outlook.office365.com",
    "outlook.office365.us",
    "outlook-dod.office365.us",
    "partner.outlook.cn",
];
/// Another resource that every directory knows.
const GRAPH: &str = "graph.microsoft.com";

/// A request for a token.
pub(in crate::sandbox) struct Wish<'a> {
    /// `None` at Google.
    pub(super) tenant: Option<&'a str>,
    /// The address of this endpoint, as the client knows it.
    pub(super) url: &'a str,
    pub(super) form: &'a Form,
}

/// What is answered to it.
pub(in crate::sandbox) struct Issued {
    pub(super) access_token: Secret,
    pub(super) life: Duration,
    pub(super) refresh_token: Option<Secret>,
    /// What is granted, where the answer says so.
    pub(super) scope: Option<String>,
}

impl Wish<'_> {
    /// Who asks, as far as it says.
    pub(super) fn client_id(&self) -> String {
        let issuer = || Some(Assertion::parse(self.form.text("assertion")?).ok()?.claim("iss")?.to_owned());
        self.form.text("client_id").map(str::to_owned).or_else(issuer).unwrap_or_default()
    }

    fn secret(&self, name: &'static str) -> Result<&Secret, Denial> {
        self.form.secret(name).ok_or(Denial::Missing(name))
    }

    fn text(&self, name: &'static str) -> Result<&str, Denial> {
        self.form.text(name).ok_or(Denial::Missing(name))
    }
}

impl Book {
    /// Grants the wish or not. `is_mailbox` says of an address whether somebody lives there.
    pub(in crate::sandbox) fn grant(
        &mut self,
        wish: &Wish<'_>,
        is_mailbox: impl Fn(&str) -> bool,
    ) -> Result<Issued, Denial> {
        let grant = wish.text("grant_type")?;
        let is_google = self.face == Face::Gmail;
        if grant == JWT_BEARER && is_google {
            return self.service_account(wish, is_mailbox);
        }
        let client_id = wish.text("client_id")?;
        let application = self.application_in(client_id, wish.tenant)?.clone();
        self.check_proof(&application, wish)?;
        match grant {
            "client_credentials" if !is_google => self.client_credentials(&application, wish),
            "refresh_token" => self.refresh_token(&application, wish),
            "authorization_code" => self.authorization_code(&application, wish),
            DEVICE_CODE if !is_google => self.device_code(&application, wish),
            other => Err(Denial::UnknownGrant(other.to_owned())),
        }
    }

    /// Whether the application is who it says it is, by any of its proofs (RFC 6749 section 2.3, RFC 7523 section 2.2).
    fn check_proof(&self, application: &Application, wish: &Wish<'_>) -> Result<(), Denial> {
        let denied = self.check_one(application, &application.authentication, wish);
        let others = self.more_proofs(&application.client_id);
        denied.or_else(|denial| {
            let mut others = others.iter();
            others.find_map(|proof| self.check_one(application, proof, wish).ok()).ok_or(denial)
        })
    }

    fn check_one(&self, application: &Application, proof: &ApplicationProof, wish: &Wish<'_>) -> Result<(), Denial> {
        let (secret, assertion) = (wish.form.secret("client_secret"), wish.form.text("client_assertion"));
        match (proof, secret, assertion) {
            (ApplicationProof::Public, None, None) => Ok(()),
            (ApplicationProof::Public, ..) => Err(Denial::ProofOfPublicClient),
            (_, None, None) => Err(Denial::NoProof),
            (ApplicationProof::Secret(right), Some(secret), _) => {
                if secret != right {
                    return Err(Denial::WrongSecret);
                }
                if self.secret_is_over(&application.client_id) { Err(Denial::ExpiredSecret) } else { Ok(()) }
            }
            (ApplicationProof::Certificate(certificate), _, Some(assertion)) => {
                if wish.form.text("client_assertion_type") != Some(ASSERTION_TYPE) {
                    return Err(Denial::Missing("client_assertion_type"));
                }
                let assertion = Assertion::parse(assertion)?;
                assertion.prove_application(certificate, &application.client_id, wish.url, self.now())
            }
            (ApplicationProof::Secret(_), None, Some(_)) => Err(Denial::AssertionKey),
            (ApplicationProof::Certificate(_), Some(_), None) => Err(Denial::WrongSecret),
        }
    }

    /// RFC 6749 section 4.4. There is no refresh token (section 4.4.3).
    fn client_credentials(&mut self, application: &Application, wish: &Wish<'_>) -> Result<Issued, Denial> {
        let scope = wish.text("scope")?;
        let mut protocols = protocols(self.face, scope)?;
        if scope.split_ascii_whitespace().count() != 1 || !scope.ends_with("/.default") {
            return Err(Denial::NotDefaultScope(scope.to_owned()));
        }
        if !application.consented {
            protocols.clear();
        }
        Ok(self.issue(&application.client_id, Holder::Application, protocols, None))
    }

    /// RFC 6749 section 6.
    fn refresh_token(&mut self, application: &Application, wish: &Wish<'_>) -> Result<Issued, Denial> {
        let token = wish.secret("refresh_token")?;
        let refresh = self.refresh(token).filter(|refresh| refresh.client_id == application.client_id);
        let refresh = refresh.ok_or(Denial::RefreshToken)?;
        match refresh.standing {
            Standing::Good => {}
            Standing::Spent => return Err(Denial::RefreshToken),
            Standing::Revoked => return Err(Denial::RefreshTokenRevoked),
        }
        let scope = wish.form.text("scope").unwrap_or(&refresh.scope).to_owned();
        let next = match self.face {
            Face::Gmail => None,
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                Some(Refresh { scope: scope.clone(), ..refresh.clone() })
            }
        };
        let issued = self.issue_for(application, refresh.person, &scope, next)?;
        if self.strict_rotation && issued.refresh_token.is_some() {
            self.spend(token);
        }
        Ok(issued)
    }

    /// RFC 6749 section 4.1.3 and RFC 7636 section 4.5.
    fn authorization_code(&mut self, application: &Application, wish: &Wish<'_>) -> Result<Issued, Denial> {
        let presented = wish.secret("code")?;
        let code = self.code(presented).ok_or(Denial::Code)?;
        if code.client_id != application.client_id {
            return Err(Denial::Code);
        }
        if code.redeemed {
            return Err(Denial::CodeRedeemed);
        }
        if code.is_over() {
            return Err(Denial::Listed(70_008));
        }
        if wish.text("redirect_uri")? != code.redirect_uri {
            return Err(Denial::CodeRedirect);
        }
        if let Some(challenge) = &code.challenge {
            let verifier = wish.text("code_verifier")?;
            let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
            if BASE64URL_NOPAD.encode(digest.as_ref()) != *challenge {
                return Err(Denial::CodeVerifier);
            }
        }
        code.redeemed = true;
        let code = code.clone();
        let refresh = code.offline.then(|| refresh_of(application, &code.person, &code.scope));
        self.issue_for(application, code.person, &code.scope, refresh)
    }

    /// RFC 8628 sections 3.4 and 3.5.
    fn device_code(&mut self, application: &Application, wish: &Wish<'_>) -> Result<Issued, Denial> {
        let presented = wish.secret("device_code")?;
        let interval = Duration::from_secs(self.device_interval.into());
        let device = self.device(presented).filter(|device| device.client_id == application.client_id);
        let device = device.ok_or(Denial::DeviceUnknown)?;
        if device.is_over() {
            return Err(Denial::DeviceExpired);
        }
        let asked = device.asked.replace(Instant::now());
        if asked.is_some_and(|asked| asked.elapsed() < interval) {
            return Err(Denial::DeviceTooFast);
        }
        let person = match &device.answered {
            None => return Err(Denial::DevicePending),
            Some(Answered::No) => return Err(Denial::DeviceDeclined),
            Some(Answered::TooLate) => return Err(Denial::DeviceExpired),
            Some(Answered::Yes(person)) => person.clone(),
        };
        let scope = device.scope.clone();
        let refresh = has(&scope, "offline_access").then(|| refresh_of(application, &person, &scope));
        let issued = self.issue_for(application, person, &scope, refresh)?;
        self.forget_device(presented);
        Ok(issued)
    }

    /// Google, "Using OAuth 2.0 for Server to Server Applications".
    fn service_account(&mut self, wish: &Wish<'_>, is_mailbox: impl Fn(&str) -> bool) -> Result<Issued, Denial> {
        let assertion = Assertion::parse(wish.text("assertion")?)?;
        let account = self.application(assertion.claim("iss").unwrap_or_default());
        let account = account.ok_or(Denial::AssertionSubject)?.clone();
        let proofs = std::iter::once(&account.authentication).chain(self.more_proofs(&account.client_id));
        let checks = proofs.map(|proof| match proof {
            ApplicationProof::Certificate(certificate) => {
                assertion.prove_service_account(certificate, wish.url, self.now())
            }
            ApplicationProof::Public | ApplicationProof::Secret(_) => Err(Denial::AssertionSignature),
        });
        checks.reduce(|one, other| one.or_else(|denial| other.map_err(|_| denial))).unwrap_or(Ok(()))?;
        let protocols = protocols(self.face, assertion.claim("scope").unwrap_or_default())?;
        // Without a subject it is nobody's mailbox: a token, and good for none.
        let Some(subject) = assertion.claim("sub") else {
            return Ok(self.issue(&account.client_id, Holder::Person(normalise(&account.client_id)), protocols, None));
        };
        if !is_mailbox(&normalise(subject)) {
            return Err(Denial::UnknownSubject);
        }
        if !account.consented || !account.may_act_as.has(subject) {
            return Err(Denial::NotDelegated);
        }
        Ok(self.issue(&account.client_id, Holder::Person(normalise(subject)), protocols, None))
    }

    fn issue_for(
        &mut self,
        application: &Application,
        person: String,
        scope: &str,
        refresh: Option<Refresh>,
    ) -> Result<Issued, Denial> {
        if !application.consented {
            return Err(Denial::NotConsented);
        }
        let protocols = protocols(self.face, scope)?;
        let refresh = refresh.map(|refresh| self.issue_refresh(refresh));
        let issued = self.issue(&application.client_id, Holder::Person(person), protocols, refresh);
        Ok(Issued { scope: Some(scope.to_owned()), ..issued })
    }

    fn issue(
        &mut self,
        client_id: &str,
        holder: Holder,
        protocols: Vec<Protocol>,
        refresh_token: Option<Secret>,
    ) -> Issued {
        let access_token = self.issue_access(client_id, holder, protocols);
        Issued { access_token, life: self.token_life, refresh_token, scope: None }
    }
}

fn refresh_of(application: &Application, person: &str, scope: &str) -> Refresh {
    Refresh {
        client_id: application.client_id.clone(),
        person: person.to_owned(),
        scope: scope.to_owned(),
        standing: Standing::Good,
    }
}

pub(super) fn has(scope: &str, wanted: &str) -> bool {
    scope.split_ascii_whitespace().any(|one| one == wanted)
}

/// Where a token of that scope is good.
pub(super) fn protocols(face: Face, scope: &str) -> Result<Vec<Protocol>, Denial> {
    match face {
        Face::Gmail if has(scope, GOOGLE_MAIL) => Ok(Protocol::ALL.to_vec()),
        Face::Gmail if scope.starts_with("https://www.googleapis.com/auth/") => Ok(Vec::new()),
        Face::Gmail => Err(Denial::Scope(scope.to_owned())),
        Face::ExchangeOnline | Face::ExchangeWithPasswords => exchange_protocols(scope),
    }
}

/// One token is for one resource.
fn exchange_protocols(scope: &str) -> Result<Vec<Protocol>, Denial> {
    let (mut protocols, mut of_exchange, mut of_graph) = (Vec::new(), false, false);
    let is_openid = |one: &&str| matches!(*one, "openid" | "profile" | "email" | "offline_access");
    for one in scope.split_ascii_whitespace().filter(|one| !is_openid(one)) {
        let invalid = || Denial::Scope(one.to_owned());
        let (host, permission) =
            one.strip_prefix("https://").and_then(|one| one.split_once('/')).ok_or_else(invalid)?;
        if host == GRAPH {
            of_graph = true;
        } else if EXCHANGE.contains(&host) {
            of_exchange = true;
        } else {
            return Err(Denial::UnknownResource(format!("https://{host}")));
        }
        match permission {
            ".default" if host != GRAPH => protocols.extend(Protocol::ALL),
            "IMAP.AccessAsUser.All" if host != GRAPH => protocols.push(Protocol::Imap),
            "POP.AccessAsUser.All" if host != GRAPH => protocols.push(Protocol::Pop3),
            "SMTP.Send" if host != GRAPH => protocols.push(Protocol::Submission),
            // Whatever else may be done with it: it opens no mailbox here.
            _ => {}
        }
    }
    match (of_exchange, of_graph) {
        (true, true) => Err(Denial::TwoResources),
        (false, false) => Err(Denial::Missing("scope")),
        _ => Ok(protocols),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_for_the_protocols_that_it_names_and_for_one_resource() {
        use Protocol::{Imap, Pop3, Submission};
        let exchange = |scope: &str| protocols(Face::ExchangeOnline, scope);
        assert_eq!(exchange("https://outlook.office365.com/.default").unwrap(), [Imap, Pop3, Submission]);
        let two =
            "https://outlook.office.com/IMAP.AccessAsUser.All offline_access https://outlook.office.com/SMTP.Send";
        assert_eq!(exchange(two).unwrap(), [Imap, Submission]);
        assert_eq!(exchange("https://graph.microsoft.com/IMAP.AccessAsUser.All").unwrap(), []);
        let mixed = "https://graph.microsoft.com/Mail.Read https://outlook.office.com/SMTP.Send";
        assert_eq!(exchange(mixed).unwrap_err(), Denial::TwoResources);
        assert_eq!(exchange("offline_access").unwrap_err(), Denial::Missing("scope"));
        assert!(matches!(exchange("https://x.test/.default"), Err(Denial::UnknownResource(_))));
        assert!(matches!(exchange("IMAP.AccessAsUser.All"), Err(Denial::Scope(_))));
        assert_eq!(protocols(Face::Gmail, GOOGLE_MAIL).unwrap().len(), 3);
        assert!(protocols(Face::Gmail, "mail").is_err());
    }
}
