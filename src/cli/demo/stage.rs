//! The stage of the demo: two providers, a store with two accounts and two clients, and Locum itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::broker::{Directory, client_secret};
use crate::cli::desk;
use crate::config::Config;
use crate::credential;
use crate::credential::oauth2::{Authentication, Grant, OAuth2};
use crate::model::{Account, Binding, Client, CredentialKind, Identity, Policy, Preference, Protocol, Secret, Slots};
use crate::net::{TlsOptions, tls};
use crate::rotation::{Given, Subject};
use crate::sandbox::{self, Behaviour, Face, Sandbox, Start};
use crate::store::{self, KeySource};

/// Everything that the demo runs and made.
pub(super) struct Stage {
    pub(super) dir: Directory0700,
    pub(super) ports: Ports,
    pub(super) alice: Actor,
    pub(super) scanner: Actor,
    directory: Directory,
    /// Trusts Locum's certificate.
    pub(super) client_tls: Arc<ClientConfig>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Where Locum listens.
pub(super) struct Ports {
    pub(super) imap: u16,
    pub(super) pop3: u16,
    pub(super) submission: u16,
}

/// A mailbox at a provider, and the client that uses it through Locum.
pub(super) struct Actor {
    pub(super) provider: &'static str,
    pub(super) sandbox: Sandbox,
    pub(super) address: String,
    /// As the provider's portal shows it.
    pub(super) shown_app_password: String,
    pub(super) app_password: Secret,
    pub(super) login: &'static str,
    pub(super) client_secret: Secret,
}

impl Actor {
    pub(super) fn client_secret_text(&self) -> &str {
        self.client_secret.expose_text().unwrap_or_default() // issued secrets are ASCII
    }
}

impl Stage {
    /// Builds the stage and starts everything on it.
    pub(super) async fn set() -> Result<Self> {
        let dir = Directory0700::make()?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let google = provider(&dir, "gmail", Face::Gmail, "mx.gmail.example")?;
        let microsoft = provider(&dir, "exchange-online", Face::ExchangeOnline, "XX0P000CA0000.outlook.example")?;
        let upstreams = [
            serve(&tasks, &stop, &google, Protocol::Imap, Start::Implicit).await?,
            serve(&tasks, &stop, &google, Protocol::Pop3, Start::Implicit).await?,
            serve(&tasks, &stop, &google, Protocol::Submission, Start::Implicit).await?,
            serve(&tasks, &stop, &microsoft, Protocol::Submission, Start::StartTls).await?,
        ];
        let authority = serve_authority(&tasks, &stop, &microsoft).await?;
        let config = configure(&dir, upstreams, authority)?;

        let store::Options::Sqlite(options) = &config.store else { return Err(anyhow!("the demo's store is sqlite")) };
        if let KeySource::File(path) = &options.key {
            store::generate_key_file(path)?;
        }
        let directory = Directory::new(store::create(&config.store).await?);
        let alice = enrol(&directory, &config, &google, "gmail", "alice@gmail.example", "alice").await?;
        let scanner =
            enrol(&directory, &config, &microsoft, "exchange-online", "scanner@contoso.example", "scanner-3f").await?;
        for actor in [&alice, &scanner] {
            let line = format!("machine localhost login {} password {}\n", actor.login, actor.client_secret_text());
            let name = actor.login.split('-').next().unwrap_or(actor.login);
            dir.write(&format!("{name}.netrc"), line.as_bytes())?;
        }

        let trust = TlsOptions { upstream_ca_files: vec![dir.path().join("tls.crt")], ..TlsOptions::default() };
        let client_tls = tls::client_config(&trust).map_err(|errors| anyhow!("{errors:?}"))?;
        let app = App::build(config).await?;
        let port = |listener: &str| {
            let found = app.addresses().into_iter().find(|(name, _)| name == listener);
            found.map(|(_, address)| address.port()).context("a listener of the demo is not bound")
        };
        let ports = Ports { imap: port("imap")?, pop3: port("pop3")?, submission: port("submission")? };
        tasks.spawn(app.run(stop.clone()));
        Ok(Self { dir, ports, alice, scanner, directory, client_tls, stop, tasks })
    }

    /// The provider makes another app password for alice's account, and it is rotated: what `locum rotate run` does. What the
    /// new one is.
    pub(super) async fn rotate(&self) -> Result<Secret> {
        let shown = app_password_as_shown("gmail")?;
        let new = Secret::new(shown.replace(' ', ""));
        self.alice.sandbox.add_password(&self.alice.address, new.clone());
        let desk = desk::open(&self.dir.path().join("locum.toml")).await?;
        let profile = desk.profiles.get("gmail").context("the demo's configuration lacks an upstream")?;
        let (id, pasted) = (client_secret::random_id()?, Secret::new(shown));
        let stored = credential::new_app_password(&pasted, profile.app_password, id, "locum, new", Timestamp::now())?;
        let subject = Subject::app_password(&self.alice.address);
        desk::rotation(&desk).run(&subject, Given::New(Box::new(stored)), &[]).await?;
        Ok(new)
    }

    /// Gives the scanner's account OAuth2 and prefers it: what `locum oauth set` and `locum account set --prefer oauth2` do.
    /// The provider knows the application already.
    pub(super) async fn switch_to_oauth2(&self) -> Result<()> {
        let (tenant, client_id) = ("contoso.example", "00000000-0000-4000-8000-00000000dec6");
        let secret = client_secret::issue("demo", None, Timestamp::now())?.1;
        self.scanner.sandbox.register(sandbox::Application {
            client_id: client_id.to_owned(),
            tenant: tenant.to_owned(),
            authentication: sandbox::ApplicationProof::Secret(secret.clone()),
            may_act_as: sandbox::Mailboxes::All,
            consented: true,
        });
        let oauth2 = OAuth2 {
            tenant: Some(tenant.to_owned()),
            client_id: client_id.to_owned(),
            authentication: Authentication::Secret { secret, expires: None },
            grant: Grant::ClientCredentials,
        };
        let stored = oauth2.into_stored(client_secret::random_id()?, "locum", Timestamp::now())?;
        let found = self.directory.account(&self.scanner.address).await?.context("the scanner's account is gone")?;
        let mut account = found.record;
        account.credentials.insert(CredentialKind::OAuth2, Slots::of(stored));
        account.preference.all = vec![CredentialKind::OAuth2];
        self.directory.put_account(&account, Some(found.version)).await?;
        Ok(())
    }

    /// Ends all that runs; the files go with the value.
    pub(super) async fn strike(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A provider with a certificate of its own, for Locum to verify.
fn provider(dir: &Directory0700, name: &str, face: Face, host: &str) -> Result<Sandbox> {
    let pems = tls::self_signed(&["localhost".to_owned()]).map_err(|why| anyhow!(why))?;
    dir.write(&format!("{name}.crt"), pems.certificate.as_bytes())?;
    let tls = tls::server_config_from_pems(&pems)?;
    Ok(Sandbox::new(sandbox::Options { face, host: host.to_owned(), tls, junk_delay: Duration::ZERO }))
}

async fn serve(
    tasks: &TaskTracker,
    stop: &CancellationToken,
    sandbox: &Sandbox,
    protocol: Protocol,
    start: Start,
) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let (sandbox, stop) = (sandbox.clone(), stop.clone());
    tasks.spawn(async move { sandbox.serve(protocol, start, listener, stop).await });
    Ok(port)
}

/// Who issues the provider's access tokens.
async fn serve_authority(tasks: &TaskTracker, stop: &CancellationToken, sandbox: &Sandbox) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let (sandbox, stop) = (sandbox.clone(), stop.clone());
    tasks.spawn(async move { sandbox.serve_authority(listener, stop).await });
    Ok(port)
}

/// The demo's `locum.toml`: the presets, with the look-alikes' addresses put over the real ones.
fn configure(dir: &Directory0700, [imap, pop3, submission, exchange]: [u16; 4], authority: u16) -> Result<Config> {
    let pems = tls::self_signed(&["localhost".to_owned(), "127.0.0.1".to_owned()]).map_err(|why| anyhow!(why))?;
    dir.write("tls.crt", pems.certificate.as_bytes())?;
    dir.write("tls.key", pems.key.as_bytes())?;
    let text = include_str!("../../../config/demo.toml")
        .replace("@GMAIL_IMAP@", &imap.to_string())
        .replace("@GMAIL_POP3@", &pop3.to_string())
        .replace("@GMAIL_SUBMISSION@", &submission.to_string())
        .replace("@EXCHANGE_SUBMISSION@", &exchange.to_string())
        .replace("@EXCHANGE_AUTHORITY@", &authority.to_string());
    dir.write("locum.toml", text.as_bytes())?;
    Ok(Config::parse(&text, &dir.path().join("locum.toml"))?)
}

/// Makes a mailbox at the provider, its account in the store, and a client that may use it.
async fn enrol(
    directory: &Directory,
    config: &Config,
    sandbox: &Sandbox,
    upstream: &'static str,
    address: &str,
    login: &'static str,
) -> Result<Actor> {
    let now = Timestamp::now();
    let profile = config.upstreams.get(upstream).context("the demo's configuration lacks an upstream")?;
    let shown = app_password_as_shown(upstream)?;
    let id = client_secret::random_id()?;
    let stored = credential::new_app_password(&Secret::new(shown.as_str()), profile.app_password, id, "locum", now)?;
    let app_password = Secret::new(shown.replace(' ', ""));
    sandbox.add_account(sandbox::Account {
        address: address.to_owned(),
        password: app_password.clone(),
        behaviour: Behaviour::Normal,
    });
    sandbox.deliver(
        address,
        format!("From: provider@{upstream}.example\r\nTo: {address}\r\nSubject: Welcome\r\n\r\nGood to see you.\r\n")
            .as_bytes(),
    );
    let account = Account {
        name: address.to_owned(),
        upstream: upstream.to_owned(),
        identity: Identity::default(),
        credentials: BTreeMap::from([(CredentialKind::AppPassword, Slots::of(stored))]),
        preference: Preference::default(),
        class: None,
    };
    directory.put_account(&account, None).await?;
    let (record, client_secret) = client_secret::issue("demo", None, now)?;
    let bindings = vec![Binding::Account(address.to_owned())];
    let client = Client { login: login.to_owned(), secrets: vec![record], bindings, policy: Policy::default() };
    directory.put_client(&client, None).await?;
    Ok(Actor {
        provider: upstream,
        sandbox: sandbox.clone(),
        address: address.to_owned(),
        shown_app_password: shown,
        app_password,
        login,
        client_secret,
    })
}

/// Sixteen letters; Google writes them in groups of four.
fn app_password_as_shown(upstream: &str) -> Result<String> {
    let letters = format!("{}{}", client_secret::random_id()?, client_secret::random_id()?);
    let letters: String =
        letters.chars().map(|c| if c.is_ascii_digit() { char::from(b'a' + (c as u8 - b'0')) } else { c }).collect();
    if upstream != "gmail" {
        return Ok(letters);
    }
    let groups: Vec<&str> = [0, 4, 8, 12].iter().map(|&start| &letters[start..start + 4]).collect();
    Ok(groups.join(" "))
}

/// A directory that only we can read, removed when dropped.
pub(super) struct Directory0700(PathBuf);

impl Directory0700 {
    fn make() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("locum-demo-{}", client_secret::random_id()?));
        fs::DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.0.join(name);
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        opened.and_then(|mut file| file.write_all(content)).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Directory0700 {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // nobody is left to be told
    }
}
