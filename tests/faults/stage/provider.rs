//! The provider of one test: Dovecot and Postfix with a mailbox for each row, an authority of the test's own, and good and bad
//! certificates by it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locum::model::Protocol;
use locum::net::tls::{self, Pems};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use crate::certificates::Identity;
use crate::dovecot::{Dovecot, Mailbox};
use crate::endpoint::Tls;
use crate::postfix::Postfix;
use crate::scratch::{Certificates, Scratch};

/// The app password of every mailbox: what a fault shows to nobody is not looked for here.
pub(crate) const PASSWORD: &str = "zkvqxjwpbmfhygtd";

/// The running servers. They stop in the order of the fields, and the folder goes last.
pub(crate) struct Provider {
    pub(crate) postfix: Postfix,
    pub(crate) dovecot: Dovecot,
    mailboxes: Vec<Mailbox>,
    pub(crate) authority: Authority,
    pub(crate) identities: Arc<Identities>,
    /// A client that trusts the servers.
    pub(crate) trust: Arc<ClientConfig>,
    /// A client that trusts Locum.
    pub(crate) trusts_locum: Arc<ClientConfig>,
    pub(crate) scratch: Scratch,
}

/// What a tap shows as the provider.
pub(crate) struct Identities {
    pub(crate) good: Arc<ServerConfig>,
    pub(crate) other_name: Arc<ServerConfig>,
    pub(crate) expired: Arc<ServerConfig>,
    pub(crate) self_signed: Arc<ServerConfig>,
    pub(crate) stranger: Arc<ServerConfig>,
}

impl Provider {
    /// Mailboxes `<name>@example.test`. Taps are known as `host`, too.
    pub(crate) fn start(names: &[&str], host: &str) -> Self {
        let scratch = Scratch::new();
        for folder in ["locum", "audit"] {
            scratch.folder(folder);
        }
        let certificates = Certificates::new(&scratch, "provider");
        let mailboxes: Vec<_> =
            names.iter().map(|name| Mailbox::new(&scratch, &format!("{name}@example.test"), PASSWORD)).collect();
        let dovecot = Dovecot::start(&scratch, &certificates, &mailboxes, None);
        let postfix = Postfix::start(&scratch, &certificates, &dovecot, &mailboxes);
        let authority = Authority::new(&scratch, "taps", &certificates.authority);
        let identities = Arc::new(Identities {
            good: authority.server(&["localhost", host], false),
            other_name: authority.server(&["mail.elsewhere.test"], false),
            expired: authority.server(&["localhost", host], true),
            self_signed: Identity::of("localhost").server,
            stranger: Authority::new(&scratch, "stranger", &certificates.authority).server(&["localhost"], false),
        });
        let own = Identity::of("localhost");
        scratch.write("own.pem", &own.pems.certificate);
        scratch.write_secret("own.key", &*own.pems.key);
        let trust = trusting(&certificates.authority);
        let trusts_locum = own.client();
        Self { postfix, dovecot, mailboxes, authority, identities, trust, trusts_locum, scratch }
    }

    /// The port of a server of theirs.
    pub(crate) fn port(&self, protocol: Protocol, tls: Tls) -> u16 {
        let any = &self.mailboxes[0];
        match protocol {
            Protocol::Imap => self.dovecot.imap(tls, any).port,
            Protocol::Pop3 => self.dovecot.pop3(tls, any).port,
            Protocol::Submission => self.postfix.submission(tls, any).port,
        }
    }

    pub(crate) fn mailbox(&self, name: &str) -> &Mailbox {
        let address = format!("{name}@example.test");
        self.mailboxes.iter().find(|mailbox| mailbox.address == address).unwrap()
    }
}

/// Trusts what is in a file, and nothing else.
pub(crate) fn trusting(authority: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_in(authority) {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn certificates_in(file: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file).unwrap().map(Result::unwrap).collect()
}

/// Signs certificates. Its file has the authority of the servers beside its own certificate.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(scratch: &Scratch, name: &str, beside: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, format!("{name} authority"));
        // Whoever moves the clock does not get past these.
        (params.not_before, params.not_after) = (date_time_ymd(1971, 1, 1), date_time_ymd(2999, 1, 1));
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let both = format!("{pem}{}", std::fs::read_to_string(beside).unwrap());
        Self { issuer: Issuer::new(params, key), file: scratch.write(&format!("{name}-ca.pem"), both) }
    }

    /// What Locum trusts.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// A server of these names, from 2024 to 2034, or over since 2021.
    fn server(&self, names: &[&str], is_expired: bool) -> Arc<ServerConfig> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let [from, to] = if is_expired { [2020, 2021] } else { [2024, 2044] };
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let config = tls::server_config_from_pems(&Pems { certificate, key: Zeroizing::new(key.serialize_pem()) });
        // One that drips is to drip its words, not tickets.
        let mut config = config.unwrap().as_ref().clone();
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }
}
