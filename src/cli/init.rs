//! `locum init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::exit::{self, Failure};
use super::output;
use crate::config::Config;
use crate::net::tls;
use crate::store::{self, KeySource};

/// What a new configuration says.
const STARTER: &str = include_str!("../../config/starter.toml");

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The host name by which clients reach Locum; the certificate is made for it.
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    name: String,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let starter = STARTER.replacen("name = \"localhost\"", &format!("name = {:?}", arguments.name), 1);
    // Nothing is made unless the configuration is good, whether it is new or was there.
    let is_new = !path.exists();
    let config = if is_new { Config::parse(&starter, path)? } else { Config::load(path)? };
    if is_new {
        write_new(path, starter.as_bytes(), 0o644)?;
        output::line(format!("{}: made", path.display()));
    } else {
        output::line(format!("{}: kept", path.display()));
    }
    make_certificate(&config)?;
    make_store(&config).await
}

fn make_certificate(config: &Config) -> Result<()> {
    let (Some(certificate), Some(key)) = (&config.tls.certificate, &config.tls.key) else { return Ok(()) };
    match (certificate.exists(), key.exists()) {
        (true, true) => {
            output::line(format!("{}: kept", certificate.display()));
            output::line(format!("{}: kept", key.display()));
        }
        (false, false) => {
            let names = [config.name.clone(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
            let pems =
                tls::self_signed(&names).map_err(|why| Failure::new(exit::DATA, format!("{}: {why}", config.name)))?;
            write_new(key, pems.key.as_bytes(), 0o600)?;
            write_new(certificate, pems.certificate.as_bytes(), 0o644)?;
            output::line(format!(
                "{}: made, signed by itself; put a real one there when you can",
                certificate.display()
            ));
            output::line(format!("{}: made", key.display()));
        }
        (true, false) | (false, true) => {
            let (there, missing) = if key.exists() { (key, certificate) } else { (certificate, key) };
            let message = format!(
                "{} is there but {} is not; put it there too, or remove both",
                there.display(),
                missing.display()
            );
            return Err(Failure::new(exit::CONFIG, message).into());
        }
    }
    Ok(())
}

async fn make_store(config: &Config) -> Result<()> {
    let options = match &config.store {
        store::Options::Memory => return Ok(()),
        store::Options::Sqlite(options) => options,
        store::Options::Vault(options) => {
            store::create(&config.store).await?;
            let addresses = options.addresses.join(", ");
            output::line(format!(
                "{addresses}: good; nothing is to be made there, records come with the first account"
            ));
            return Ok(());
        }
    };
    let is_new = !options.path.exists();
    if let KeySource::File(key) = &options.key {
        if is_new && !key.exists() {
            store::generate_key_file(key)?;
            output::line(format!(
                "{}: made; without it the store cannot be opened, so back it up elsewhere",
                key.display()
            ));
        } else if key.exists() {
            output::line(format!("{}: kept", key.display()));
        }
    }
    if !is_new {
        store::open(&config.store).await?;
        output::line(format!("{}: kept", options.path.display()));
        return Ok(());
    }
    store::create(&config.store).await?;
    output::line(format!("{}: made", options.path.display()));
    Ok(())
}

/// Makes a file that is not there yet, with these permissions from its first moment on.
fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|error| {
        let hint = if error.kind() == ErrorKind::NotFound { "; make its directory first" } else { "" };
        Failure::new(exit::CANNOT_CREATE, format!("cannot make {}: {error}{hint}", path.display()))
    })?;
    file.write_all(content).and_then(|()| file.sync_all()).with_context(|| format!("cannot write {}", path.display()))
}
