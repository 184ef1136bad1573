//! An application's credential, as the command line takes it. What is wrong with it is said before anything is asked of
//! anybody or written.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::cli::secret_input::SecretInput;
use crate::credential::oauth2::{Authentication, Grant, OAuth2};
use crate::management::credentials::{authority, has_tenants};
use crate::model::{Profile, Secret, StoredCredential};
use crate::store;

/// No certificate or key is longer.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// How an application is known to an authority.
#[derive(Debug, clap::Args)]
pub(super) struct Registration {
    /// The directory that the application is registered in: its id, or a domain of it such as contoso.onmicrosoft.com.
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// The application's id, as the provider's portal shows it.
    #[arg(long, value_name = "ID")]
    pub(super) client_id: Option<String>,
    /// When the application's secret ends, as the portal shows it.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    pub(super) secret_expires: Option<Timestamp>,
    /// What to call the credential: the name that it bears in the portal.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) label: String,
    #[command(flatten)]
    pub(super) secret: SecretInput,
}

/// An application that acts by itself.
#[derive(Debug, clap::Args)]
pub(super) struct Application {
    #[command(flatten)]
    pub(super) registration: Registration,
    /// The application's certificate, in PEM form, instead of a secret.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["secret_file", "secret_stdin", "secret_expires"])]
    certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM form.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The JSON key file of a Google service account with domain-wide delegation, instead of all that.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["tenant", "client_id", "secret_file", "secret_stdin", "secret_expires", "certificate"]
    )]
    service_account: Option<PathBuf>,
}

impl Registration {
    /// The application's secret, if one was named or `asked_for`.
    pub(super) fn authentication(&self, asked_for: bool, profile: &Profile) -> Result<Authentication> {
        if !asked_for && !self.secret.is_given() {
            return match self.secret_expires {
                Some(_) => {
                    Err(Failure::new(exit::USAGE, "--secret-expires is about a secret, and none is given").into())
                }
                None => Ok(Authentication::Public),
            };
        }
        by_secret(&self.secret, self.secret_expires, profile)
    }

    /// What is stored already, if it is the same application by the same right.
    pub(super) fn before(&self, stored: Option<&StoredCredential>, grant: Grant) -> Option<OAuth2> {
        let before = stored.and_then(|stored| OAuth2::from_stored(stored).ok())?;
        let is_same = self.client_id.as_deref().is_none_or(|named| named.trim() == before.client_id);
        (is_same && before.grant == grant).then_some(before)
    }

    /// Tenant and client id: as named, or else as before.
    pub(super) fn names(&self, before: Option<&OAuth2>, profile: &Profile) -> Result<(Option<String>, String)> {
        let name = &profile.name;
        let client_id = self.client_id.as_deref().map(str::trim).or(before.map(|before| before.client_id.as_str()));
        let tenant = self.tenant.as_deref().map(str::trim).or(before.and_then(|before| before.tenant.as_deref()));
        let message = match (client_id, tenant, has_tenants(profile)) {
            (Some(client_id), tenant @ Some(_), true) | (Some(client_id), tenant @ None, false) => {
                return Ok((tenant.map(str::to_owned), client_id.to_owned()));
            }
            (None, ..) => "say which application it is, with --client-id as the provider's portal shows it".to_owned(),
            (Some(_), None, true) => {
                format!(
                    "{name} needs to know the tenant: its id, or a domain of it, as --tenant contoso.onmicrosoft.com"
                )
            }
            (Some(_), Some(_), false) => format!("{name} has no tenants: leave --tenant out"),
        };
        Err(Failure::new(exit::USAGE, message).into())
    }
}

impl Application {
    /// Reads what was named. Where it is the application of last time, what is not named is as it was then.
    pub(super) fn read(&self, profile: &Profile, before: Option<&StoredCredential>) -> Result<OAuth2> {
        authority(profile)?;
        if let Some(file) = &self.service_account {
            return service_account(file);
        }
        let before = self.registration.before(before, Grant::ClientCredentials);
        let (tenant, client_id) = self.registration.names(before.as_ref(), profile)?;
        let authentication = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => by_certificate(certificate, key)?,
            _ => self.registration.authentication(true, profile)?,
        };
        Ok(OAuth2 { tenant, client_id, authentication, grant: Grant::ClientCredentials })
    }
}

/// A secret that is typed or read now.
pub(in crate::cli) fn by_secret(
    input: &SecretInput,
    expires: Option<Timestamp>,
    profile: &Profile,
) -> Result<Authentication> {
    if let Some(end) = expires.filter(|end| *end <= Timestamp::now()) {
        let message = format!("a secret that ended on {} does not work: make a new one", output::day(end));
        return Err(Failure::new(exit::DATA, message).into());
    }
    let pasted = input.read("secret of the application")?;
    let secret = Secret::new(pasted.expose().trim_ascii());
    if has_tenants(profile) && is_guid(&secret) {
        output::note("note: this looks like the id of a secret; what is needed stands in the column \"Value\"");
    }
    Ok(Authentication::Secret { secret, expires })
}

/// A certificate and its key in files.
pub(in crate::cli) fn by_certificate(certificate: &Path, key: &Path) -> Result<Authentication> {
    let certificate = read(certificate, |_, _| Ok(()))?;
    let certificate = certificate.expose_text().unwrap_or_default().to_owned(); // no PEM is not UTF-8
    Ok(Authentication::Certificate { certificate, key: private_file(key)? })
}

/// The key in the file that Google makes for a service account.
pub(in crate::cli) fn service_account(file: &Path) -> Result<OAuth2> {
    Ok(OAuth2::service_account(&private_file(file)?)?)
}

/// Says when a credential ends, or that nobody will know.
pub(in crate::cli) fn tell_end(credential: &OAuth2) {
    match (&credential.authentication, credential.expires()) {
        (_, Some(end)) => output::note(format!("  ends {}, {}", output::minute(end), until(end, Timestamp::now()))),
        (Authentication::Secret { .. }, None) => output::note(
            "note: nobody will be warned before the secret ends: say when that is, with --secret-expires YYYY-MM-DD",
        ),
        (Authentication::Public | Authentication::Certificate { .. } | Authentication::Key { .. }, None) => {}
    }
}

/// Whole days to a time: `in 12 days`, `3 days ago`.
pub(super) fn until(end: Timestamp, now: Timestamp) -> String {
    match days(end, now) {
        0 if end > now => "in less than a day".to_owned(),
        0 => "less than a day ago".to_owned(),
        1 => "in 1 day".to_owned(),
        -1 => "1 day ago".to_owned(),
        days if days > 0 => format!("in {days} days"),
        days => format!("{} days ago", -days),
    }
}

/// Whole days to a time; negative if it is over.
pub(super) fn days(end: Timestamp, now: Timestamp) -> i64 {
    end.duration_since(now).as_secs() / (24 * 60 * 60)
}

/// `8-4-4-4-12` hexadecimal digits. Microsoft shows the id of a secret so, beside the secret.
fn is_guid(secret: &Secret) -> bool {
    let parts: Vec<&str> = secret.expose_text().unwrap_or_default().split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A file with a private key in it: nobody else may be able to read it.
fn private_file(path: &Path) -> Result<Secret> {
    read(path, store::check_private)
}

fn read(path: &Path, check: fn(&Path, &fs::Metadata) -> Result<(), store::NotPrivate>) -> Result<Secret> {
    let failed =
        |why: &dyn std::fmt::Display| Failure::new(exit::NOT_FOUND, format!("cannot read {}: {why}", path.display()));
    // Looked at before it is opened, for opening a FIFO would wait for a writer; and again afterwards, for the check must be
    // of the very file that is read.
    if !fs::metadata(path).map_err(|error| failed(&error))?.is_file() {
        return Err(failed(&"it is no file").into());
    }
    let file = File::open(path).map_err(|error| failed(&error))?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    check(path, &metadata).map_err(|open| Failure::new(exit::DATA, open.to_string()))?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(failed(&format!("it is longer than {} KiB", FILE_BYTES_MAX >> 10)).into());
    }
    // Room for all there can be: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX)));
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    Ok(Secret::new(bytes.as_slice()))
}

pub(in crate::cli) fn parse_day(text: &str) -> Result<Timestamp, &'static str> {
    let day = text.parse::<Date>().ok().filter(|_| text.len() == "2027-01-31".len());
    let midnight = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    midnight.map(|midnight| midnight.timestamp()).ok_or("expected a day such as 2027-01-31")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_strictly() {
        assert_eq!(parse_day("2027-01-31").unwrap().to_string(), "2027-01-31T00:00:00Z");
        for text in ["", "2027-02-30", "31.01.2027", "2027-1-31", "tomorrow", "2027-01-31T00:00:00Z", "20270131"] {
            assert!(parse_day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_left_are_told_as_people_count() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (end, said) in [
            ("2026-12-05T13:00:00Z", "in 12 days"),
            ("2026-11-24T13:00:00Z", "in 1 day"),
            ("2026-11-23T13:00:00Z", "in less than a day"),
            ("2026-11-23T11:00:00Z", "less than a day ago"),
            ("2026-11-20T11:00:00Z", "3 days ago"),
        ] {
            assert_eq!(until(end.parse().unwrap(), now), said);
        }
    }

    #[test]
    fn the_id_of_a_secret_is_told_from_a_secret() {
        assert!(is_guid(&Secret::new("1b4e28ba-2fa1-11d2-883f-0016d3cca427")));
        for secret in ["", "x~8Q~abcdefghijklmnopqrstuvwxyz0123456789", "1b4e28ba-2fa1-11d2-883f-0016d3cca42g"] {
            assert!(!is_guid(&Secret::new(secret)), "{secret}");
        }
    }
}
