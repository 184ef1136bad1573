//! RSA keys and certificates as operators make them, by `openssl`.

use std::fs;
use std::process::Command;
use std::sync::LazyLock;

/// A private key and a certificate for it, both PEM.
pub(crate) struct Rsa {
    pub(crate) key: String,
    pub(crate) certificate: String,
}

/// One for all tests of a process; `openssl` takes a while.
pub(crate) static RSA: LazyLock<Rsa> = LazyLock::new(Rsa::make);

impl Rsa {
    /// A new one.
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
        let request = ["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "30", "-subj", "/CN=locum"];
        let made =
            Command::new("openssl").args(request).arg("-keyout").arg(&key).arg("-out").arg(&certificate).output();
        let made = made.expect("openssl is there (tests/install)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { key: fs::read_to_string(key).unwrap(), certificate: fs::read_to_string(certificate).unwrap() }
    }
}
