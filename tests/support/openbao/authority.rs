//! A certificate authority of a test's own.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// Signs certificates; its own and theirs lie in a folder as PEM files.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    file: PathBuf,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// `name` tells authorities apart: issuers are looked up by it, and it names the file.
    pub(crate) fn new(name: &str, folder: &Path) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder: folder.to_owned(), file }
    }

    /// Its certificate.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Its certificate, as text.
    pub(crate) fn pem(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// For a server on this machine.
    pub(crate) fn server(&self) -> Certificate {
        self.sign("localhost", &["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a client of that name.
    pub(crate) fn client(&self, name: &str) -> Certificate {
        self.sign(name, &[name], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, name: &str, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Certificate {
        let mut params = CertificateParams::new(names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let pair = KeyPair::generate().unwrap();
        let [certificate, key] = ["crt", "key"].map(|end| self.folder.join(format!("{name}.{end}")));
        fs::write(&certificate, params.signed_by(&pair, &self.issuer).unwrap().pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        Certificate { certificate, key }
    }
}
