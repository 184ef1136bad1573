//! Certificates, keys and trust. TLS 1.2 and 1.3 by rustls on `ring`; names are always verified towards upstreams, and
//! there is no setting that turns it off.

mod devices;
mod sessions;
#[cfg(test)]
mod shaking;
mod tickets;

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::{Resumption, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, TrustAnchor};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::TlsOptions;
use crate::model::Fingerprint;

pub use devices::with_device_certificates;
pub use tickets::{TicketKey, Tickets, with_tickets};

/// Why TLS cannot be set up. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; correct the path, or let the user that runs Locum read it", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file holds no certificate.
    #[error("{path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", path = .0.display())]
    NoCertificate(PathBuf),
    /// A file holds no private key.
    #[error("{path} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)", path = .0.display())]
    NoKey(PathBuf),
    /// Others can read the private key.
    #[error("{path} is readable by every user of this machine; run `chmod o-rwx {path}`", path = .0.display())]
    KeyExposed(PathBuf),
    /// Key and certificate do not belong together.
    #[error(
        "the key in {key} is not the key of the certificate in {certificate}; put both files from the same issue",
        key = key.display(),
        certificate = certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate's time is over.
    #[error("the certificate in {path} expired on {on}; renew it", path = path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        on: Timestamp,
    },
    /// The certificate's time has not begun.
    #[error("the certificate in {path} is not valid before {from}; check the clock of this machine", path = path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// When it begins.
        from: Timestamp,
    },
    /// The files are there but rustls cannot use them.
    #[error("cannot use {path}: {why}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// This build has no OpenSSL.
    #[error(
        "this build cannot speak TLS 1.0 and 1.1; build it with `cargo build --release --features legacy-tls`, or take \
         legacy-tls-networks out"
    )]
    NoLegacyTls,
    /// There is nothing to show to clients.
    #[error("legacy-tls-networks needs a certificate: set certificate and key in [tls]")]
    NoLegacyCertificate,
    /// Nothing is trusted, so no upstream could be verified.
    #[error(
        "no certificate authority is trusted; install the package ca-certificates or set upstream-ca-files in [tls]"
    )]
    NoRoots,
}

/// Certificate and private key in PEM form.
pub struct Pems {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: Zeroizing<String>,
}

/// A certificate for these names, signed by itself: to begin with, until a real one is there.
///
/// # Errors
/// If a name cannot stand in a certificate.
pub fn self_signed(names: &[String]) -> Result<Pems, String> {
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| error.to_string())?;
    Ok(Pems { certificate: made.cert.pem(), key: Zeroizing::new(made.signing_key.serialize_pem()) })
}

/// What listeners show to clients, from the files of `options`; `None` where it names none.
///
/// # Errors
/// All that is wrong with the files, not the first only.
pub fn server_config(options: &TlsOptions, now: Timestamp) -> Result<Option<Arc<ServerConfig>>, Vec<TlsError>> {
    let (Some(certificate), Some(key)) = (&options.certificate, &options.key) else { return Ok(None) };
    match (read_certificates(certificate), read_key(key)) {
        (Ok(chain), Ok(private)) => {
            check_dates(certificate, &chain[0], now).map_err(|error| vec![error])?;
            let config = server_config_from(chain, private).map_err(|error| {
                vec![match error {
                    rustls::Error::InconsistentKeys(_) => {
                        TlsError::Mismatch { certificate: certificate.clone(), key: key.clone() }
                    }
                    other => TlsError::Unusable { path: certificate.clone(), why: other.to_string() },
                }]
            })?;
            Ok(Some(config))
        }
        (chain, private) => Err([chain.err(), private.err()].into_iter().flatten().collect()),
    }
}

/// The certificate that clients are shown, to tell one from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Which it is.
    pub fingerprint: Fingerprint,
    /// When it ends.
    pub until: Timestamp,
}

/// The certificate in the file of `options`, if there is one.
pub fn shown(options: &TlsOptions) -> Option<Shown> {
    let chain = read_certificates(options.certificate.as_ref()?).ok()?;
    let (_, parsed) = X509Certificate::from_der(&chain[0]).ok()?;
    Some(Shown { fingerprint: Fingerprint::of(&chain[0]), until: validity(&parsed).1 })
}

/// Which authorities `options` add to those of the system, to tell some from others.
pub fn authorities(options: &TlsOptions) -> Vec<Fingerprint> {
    let all = options.upstream_ca_files.iter().filter_map(|path| read_certificates(path).ok()).flatten();
    all.map(|certificate| Fingerprint::of(&certificate)).collect()
}

/// Why clients that verify what they are shown will turn away, though nothing is broken: the certificate does not cover
/// the name under which Locum greets. `None` if it does, or if there is nothing to say.
pub fn name_warning(options: &TlsOptions, name: &str) -> Option<String> {
    let path = options.certificate.as_ref()?;
    let chain = read_certificates(path).ok()?;
    let parsed = ParsedCertificate::try_from(&chain[0]).ok()?;
    let covered = ServerName::try_from(name).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok());
    let path = path.display();
    (!covered)
        .then(|| format!("the certificate in {path} is not for {name}: set name to one that it is for, or renew it"))
}

/// When the first certificate of that file ends: one of a chain that has ended breaks it.
///
/// # Errors
/// If there is none in it that can be read.
pub fn first_end(path: &Path) -> Result<Timestamp, TlsError> {
    ends(path).map(|ends| ends.into_iter().min().unwrap_or(Timestamp::MAX))
}

/// When the last certificate of that file ends: of authorities one that is good will do.
///
/// # Errors
/// If there is none in it that can be read.
pub fn last_end(path: &Path) -> Result<Timestamp, TlsError> {
    ends(path).map(|ends| ends.into_iter().max().unwrap_or(Timestamp::MIN))
}

fn ends(path: &Path) -> Result<Vec<Timestamp>, TlsError> {
    let end = |certificate: &CertificateDer<'_>| {
        let parsed = X509Certificate::from_der(certificate);
        let (_, parsed) =
            parsed.map_err(|error| TlsError::Unusable { path: path.to_owned(), why: error.to_string() })?;
        Ok(validity(&parsed).1)
    };
    read_certificates(path)?.iter().map(end).collect()
}

/// What listeners show to clients, from PEM texts made by [`self_signed`].
///
/// # Errors
/// If the texts are not what [`self_signed`] makes.
pub fn server_config_from_pems(pems: &Pems) -> Result<Arc<ServerConfig>, rustls::Error> {
    let broken = |error: rustls::pki_types::pem::Error| rustls::Error::General(error.to_string());
    let chain =
        CertificateDer::pem_slice_iter(pems.certificate.as_bytes()).collect::<Result<_, _>>().map_err(broken)?;
    server_config_from(chain, PrivateKeyDer::from_pem_slice(pems.key.as_bytes()).map_err(broken)?)
}

fn server_config_from(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = provider();
    // Checks that the key is the one of the certificate.
    let certified = CertifiedKey::from_der(chain, key, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.ignore_client_order = true; // nearly all put AES-256 first, none of them for want of AES-128
    Ok(Arc::new(config))
}

/// Restricts a listener's TLS to one application protocol (RFC 7301): a client that asks by ALPN for another one is
/// refused, so that a browser cannot be talked into speaking to a mail port (the ALPACA attack). Clients that do not use
/// ALPN, which is nearly all, are not affected.
pub fn with_application_protocol(config: &ServerConfig, name: &str) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![name.as_bytes().to_vec()];
    Arc::new(config)
}

/// For who dials nobody: it trusts no certificate, and reads none.
pub fn trusting_nobody() -> Arc<ClientConfig> {
    client_config_of(RootCertStore::empty())
}

/// Whom a process trusts towards upstreams. In it are the sessions that can be resumed with them: what trusts others has others.
#[derive(Debug, Clone)]
pub struct Trust {
    anchors: HashSet<TrustAnchor<'static>>,
    config: Arc<ClientConfig>,
}

impl Trust {
    /// What upstreams are verified against: the system's authorities and those of `options`. Where these are the ones of
    /// `before`, it is that: its sessions are resumed.
    ///
    /// # Errors
    /// All that is wrong with the files, or that nothing is trusted at all.
    pub fn read(options: &TlsOptions, before: Option<&Self>) -> Result<Self, Vec<TlsError>> {
        let roots = trusted_roots(options)?;
        let anchors = roots.roots.iter().cloned().collect();
        match before.filter(|before| before.anchors == anchors) {
            Some(before) => Ok(before.clone()),
            None => Ok(Self { anchors, config: client_config_of(roots) }),
        }
    }

    /// What connections are begun with.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}

/// What upstreams are verified against: the system's authorities and those of `options`.
///
/// # Errors
/// All that is wrong with the files, or that nothing is trusted at all.
pub fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, Vec<TlsError>> {
    trusted_roots(options).map(client_config_of)
}

fn client_config_of(roots: RootCertStore) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring offers suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::store(Arc::new(sessions::Sessions::new()));
    Arc::new(config)
}

fn trusted_roots(options: &TlsOptions) -> Result<RootCertStore, Vec<TlsError>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut errors = Vec::new();
    for path in &options.upstream_ca_files {
        match read_certificates(path) {
            Ok(certificates) => {
                for certificate in certificates {
                    if let Err(error) = roots.add(certificate) {
                        errors.push(TlsError::Unusable { path: path.clone(), why: error.to_string() });
                    }
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() && roots.is_empty() {
        errors.push(TlsError::NoRoots);
    }
    if errors.is_empty() { Ok(roots) } else { Err(errors) }
}

/// The one cryptographic provider of the house. First of its suites stands the one that TLS 1.3 asks of everybody (RFC 8446, 9.1):
/// its SHA-256 is done by the processor, where SHA-384 is not, and costs a login a fourteenth.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != TLS13_AES_128_GCM_SHA256.suite());
    Arc::new(provider)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read_key_text(path)?).map_err(|_| TlsError::NoKey(path.to_owned()))
}

/// The PEM text of a private key that no stranger can read.
pub(super) fn read_key_text(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let mut file = fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?; // of what is read, not of what has its name meanwhile
    // A group may read it: Debian keeps keys so for the group ssl-cert. Of a folder the mode says nothing yet.
    if metadata.is_file() && metadata.permissions().mode() & 0o007 != 0 {
        return Err(TlsError::KeyExposed(path.to_owned()));
    }
    // Room for all of it at once: a buffer that grows leaves copies of the key behind.
    let bytes = usize::try_from(metadata.len()).unwrap_or_default();
    let mut text = Zeroizing::new(Vec::with_capacity(bytes + 1));
    file.read_to_end(&mut text).map_err(unreadable)?;
    Ok(text)
}

fn check_dates(path: &Path, leaf: &CertificateDer<'_>, now: Timestamp) -> Result<(), TlsError> {
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|error| TlsError::Unusable { path: path.to_owned(), why: error.to_string() })?;
    let (from, until) = validity(&parsed);
    if now > until {
        return Err(TlsError::Expired { path: path.to_owned(), on: until });
    }
    if now < from {
        return Err(TlsError::NotYetValid { path: path.to_owned(), from });
    }
    Ok(())
}

/// From when to when. What a certificate of no end bears is later than any time we can tell.
pub(super) fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let at = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX);
    (at(certificate.validity().not_before), at(certificate.validity().not_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        dir: tempfile::TempDir,
        options: TlsOptions,
    }

    /// A good pair of files.
    fn files() -> Files {
        let dir = tempfile::tempdir().unwrap();
        let pems = self_signed(&["localhost".to_owned()]).unwrap();
        let (certificate, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        fs::write(&certificate, &pems.certificate).unwrap();
        fs::write(&key, pems.key.as_bytes()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let options = TlsOptions { certificate: Some(certificate), key: Some(key), upstream_ca_files: Vec::new() };
        Files { dir, options }
    }

    fn errors_at(options: &TlsOptions, now: Timestamp) -> Vec<TlsError> {
        server_config(options, now).map(|_| ()).unwrap_err()
    }

    fn errors(options: &TlsOptions) -> Vec<TlsError> {
        errors_at(options, Timestamp::now())
    }

    #[test]
    fn a_good_pair_is_taken() {
        assert!(server_config(&files().options, Timestamp::now()).unwrap().is_some());
        assert!(server_config(&TlsOptions::default(), Timestamp::now()).unwrap().is_none());
    }

    #[test]
    fn both_files_are_reported_at_once() {
        let missing = TlsOptions {
            certificate: Some("/nonexistent/c".into()),
            key: Some("/nonexistent/k".into()),
            upstream_ca_files: Vec::new(),
        };
        assert!(matches!(errors(&missing)[..], [TlsError::Unreadable { .. }, TlsError::Unreadable { .. }]));
    }

    #[test]
    fn a_key_that_everyone_can_read_is_refused() {
        let files = files();
        let key = files.options.key.as_ref().unwrap();
        fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(errors(&files.options)[..], [TlsError::KeyExposed(_)]));
    }

    #[test]
    fn a_folder_in_place_of_the_key_is_no_key_that_everyone_can_read() {
        let files = files();
        let key = files.options.key.as_ref().unwrap();
        fs::remove_file(key).unwrap();
        fs::create_dir(key).unwrap();
        assert!(matches!(errors(&files.options)[..], [TlsError::Unreadable { .. }]), "{:?}", errors(&files.options));
    }

    #[test]
    fn files_in_the_wrong_place_are_named() {
        let files = files();
        let swapped = TlsOptions {
            certificate: files.options.key.clone(),
            key: files.options.key.clone(),
            upstream_ca_files: Vec::new(),
        };
        assert!(matches!(errors(&swapped)[..], [TlsError::NoCertificate(_)]));
        let certificate = files.options.certificate.clone().unwrap();
        fs::set_permissions(&certificate, fs::Permissions::from_mode(0o600)).unwrap();
        let no_key = TlsOptions {
            certificate: Some(certificate.clone()),
            key: Some(certificate),
            upstream_ca_files: Vec::new(),
        };
        assert!(matches!(errors(&no_key)[..], [TlsError::NoKey(_)]));
    }

    #[test]
    fn a_key_of_another_certificate_is_a_mismatch() {
        let (files, other) = (files(), self_signed(&["localhost".to_owned()]).unwrap());
        fs::write(files.dir.path().join("tls.key"), other.key.as_bytes()).unwrap();
        assert!(matches!(errors(&files.options)[..], [TlsError::Mismatch { .. }]), "{:?}", errors(&files.options));
    }

    #[test]
    fn dates_are_checked() {
        let files = files();
        let far = "4800-01-01T00:00:00Z".parse().unwrap();
        assert!(matches!(errors_at(&files.options, far)[..], [TlsError::Expired { .. }]));
        let early = "1950-01-01T00:00:00Z".parse().unwrap();
        assert!(matches!(errors_at(&files.options, early)[..], [TlsError::NotYetValid { .. }]));
    }

    #[test]
    fn a_certificate_for_another_name_is_warned_of() {
        let files = files();
        assert_eq!(name_warning(&files.options, "localhost"), None);
        assert!(name_warning(&files.options, "mail.example.com").is_some_and(|text| text.contains("mail.example.com")));
        assert_eq!(name_warning(&TlsOptions::default(), "mail.example.com"), None);
    }

    #[test]
    fn sessions_with_upstreams_outlive_a_reload_that_trusts_the_same_and_no_other() {
        let (dir, authority) = (tempfile::tempdir().unwrap(), self_signed(&["a.test".to_owned()]).unwrap());
        let paths = ["one.crt", "two.crt"].map(|name| dir.path().join(name));
        fs::write(&paths[0], &authority.certificate).unwrap();
        fs::write(&paths[1], self_signed(&["b.test".to_owned()]).unwrap().certificate).unwrap();
        let trusting = |files: &[&PathBuf], before| {
            let upstream_ca_files = files.iter().copied().cloned().collect();
            Trust::read(&TlsOptions { upstream_ca_files, ..TlsOptions::default() }, before).unwrap()
        };
        let first = trusting(&[&paths[0], &paths[1]], None);
        let is_first = |trust: &Trust| Arc::ptr_eq(trust.config(), first.config());
        assert!(
            is_first(&trusting(&[&paths[1], &paths[0], &paths[1]], Some(&first))),
            "in whatever order they are named"
        );
        assert!(!is_first(&trusting(&[&paths[0], &paths[1]], None)), "nothing was there before");
        assert!(!is_first(&trusting(&[&paths[0]], Some(&first))), "one less");
        fs::write(&paths[1], self_signed(&["b.test".to_owned()]).unwrap().certificate).unwrap();
        let other = trusting(&[&paths[0], &paths[1]], Some(&first));
        assert!(!is_first(&other), "another one in the same file");
    }

    #[test]
    fn an_unreadable_authority_is_reported() {
        let options = TlsOptions { upstream_ca_files: vec!["/nonexistent/ca".into()], ..TlsOptions::default() };
        assert!(matches!(client_config(&options).unwrap_err()[..], [TlsError::Unreadable { .. }]));
    }
}
