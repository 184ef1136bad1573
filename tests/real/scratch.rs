//! The folder and the certificates of one test. The folder is short in name and open to other users for passing
//! through, because the servers' own accounts must reach their sockets in it; what is secret inside is closed by its mode.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// A folder that goes away with its test.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// Under `/tmp` whatever `TMPDIR` says: a Unix socket's path may have 107 bytes, and every account must reach it.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("locum-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A new folder that other users may pass through.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Writes a file that everybody may read.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write_with_mode(&self.path(name), content.as_ref(), 0o644)
    }

    /// Writes a file that only its owner may read: passwords and keys.
    pub(crate) fn write_secret(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write_with_mode(&self.path(name), content.as_ref(), 0o600)
    }

    /// Writes a file that may be run.
    pub(crate) fn write_script(&self, name: &str, content: &str) -> PathBuf {
        write_with_mode(&self.path(name), content.as_bytes(), 0o755)
    }
}

fn write_with_mode(path: &Path, content: &[u8], mode: u32) -> PathBuf {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path).unwrap();
    file.write_all(content).unwrap();
    path.to_path_buf()
}

/// Makes a file or folder look as if nothing had changed in it for a while. Postfix waits until its configuration is
/// older than a second or two, and mbsync until a Maildir folder is, because a change within one tick of the clock is
/// invisible to them.
pub(crate) fn let_settle(path: &Path) {
    let while_ago = SystemTime::now() - Duration::from_mins(1);
    File::open(path).unwrap().set_modified(while_ago).unwrap();
}

/// A certificate authority of the test's own, and a server certificate for `localhost` and 127.0.0.1 that it signed.
pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes them in `scratch` as `<stem>-ca.pem`, `<stem>.pem` and `<stem>.key`.
    pub(crate) fn new(scratch: &Scratch, stem: &str) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Issuers are looked up by name, so two authorities in one test must not share theirs.
        authority.distinguished_name.push(DnType::CommonName, format!("{stem} test authority"));
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(authority, authority_key);

        let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        server.distinguished_name.push(DnType::CommonName, "localhost");
        let server_key = KeyPair::generate().unwrap();
        let server_pem = server.signed_by(&server_key, &issuer).unwrap().pem();

        Self {
            authority: scratch.write(&format!("{stem}-ca.pem"), authority_pem),
            certificate: scratch.write(&format!("{stem}.pem"), server_pem),
            key: scratch.write_secret(&format!("{stem}.key"), server_key.serialize_pem()),
        }
    }
}
