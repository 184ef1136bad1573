//! By what a device that cannot log in is known: where it comes from, or which certificate it shows. It must never name
//! more than one client for one device.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use ipnet::IpNet;
use jiff::Timestamp;
use ring::digest;

/// SHA-256.
const FINGERPRINT_BYTES: usize = 32;

/// A device that is let in without a password, and as which client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognition {
    /// The client's login name.
    pub client: String,
    /// What the device is known by.
    pub mark: Mark,
}

/// What a device is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The address that it comes from is in this network.
    Network(IpNet),
    /// It shows this certificate in TLS and proves that it has the key.
    Certificate(Fingerprint),
}

impl Mark {
    /// What a login by it is called in the audit.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Network(_) => "source network",
            Self::Certificate(_) => "client certificate",
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "the network {network}"),
            Self::Certificate(fingerprint) => write!(f, "the certificate {fingerprint}"),
        }
    }
}

/// SHA-256 over a certificate in DER: it names that one certificate, whoever issued it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        let mut bytes = [0; FINGERPRINT_BYTES];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", HEXLOWER_PERMISSIVE.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    /// As `openssl x509 -fingerprint -sha256` writes it, too: capitals, with colons between the octets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex: Option<String> = text.strip_prefix("sha256:").map(|hex| hex.replace(':', ""));
        let bytes = hex.and_then(|hex| HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok());
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            "expected \"sha256:\" and the 64 hexadecimal digits of the SHA-256 fingerprint of a certificate".to_owned()
        })
    }
}

/// The certificate that a device showed in TLS. That it has the key was proven by the handshake; who issued it was not
/// looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// Which one it is.
    pub fingerprint: Fingerprint,
    /// When its time begins.
    pub valid_from: Timestamp,
    /// When it ends.
    pub valid_until: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_fingerprint_is_read_as_openssl_writes_it() {
        let fingerprint = Fingerprint::of(b"");
        assert_eq!(fingerprint.to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(fingerprint));
        let pairs: Vec<String> =
            EMPTY.as_bytes()[7..].chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
        assert_eq!(format!("sha256:{}", pairs.join(":")).parse(), Ok(fingerprint));
    }

    #[test]
    fn what_is_no_fingerprint_is_none() {
        for text in
            ["", "sha256:", &EMPTY[7..], &EMPTY[..70], &format!("{EMPTY}0"), &EMPTY.replace('e', "g"), "sha1:00"]
        {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
