//! A second provider: one that takes access tokens alone, whose tokens live for seconds, and that restarts again and again. Its clients are
//! refused while it is away; what is wanted of them is that they come in again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use locum::model::{Protocol, Secret};
use locum::sandbox::{Application, ApplicationProof, Face, Mailboxes, Start};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::Soak;
use crate::load::clients::Way;
use crate::load::{Field, Key, Tally};
use crate::program::Provider;

const TENANT: &str = "corp.onmicrosoft.com";
const APPLICATION: &str = "7d3a2f60-0000-4000-8000-00000000dae0";
const SECRET: &str = "Zq8~Q~wX3vBn7mKp2Lr9TgHs5JdF";
const MAILBOXES: usize = 10;

/// The next token is ordered before the end of the last, and so again and again.
const TOKEN_LIFE: Duration = Duration::from_secs(40);
/// How long it serves, and how long it is away.
const UP: Duration = Duration::from_secs(25);
const DOWN: Duration = Duration::from_secs(2);
const PACE: Duration = Duration::from_millis(500);

pub(crate) struct Second {
    provider: Provider,
    port: u16,
    keys: Vec<Key>,
}

impl Second {
    /// Makes it known to Locum, which does not serve yet.
    pub(crate) fn beside(runtime: &Runtime, field: &Field) -> Self {
        let home = &field.stage.home;
        let pems = locum::net::tls::self_signed(&["localhost".to_owned()]).unwrap();
        home.write("second.pem", &pems.certificate);
        let provider = Provider::new(Face::ExchangeOnline, &pems);
        provider.sandbox.register(Application {
            client_id: APPLICATION.to_owned(),
            tenant: TENANT.to_owned(),
            authentication: ApplicationProof::Secret(Secret::new(SECRET)),
            may_act_as: Mailboxes::All,
            consented: true,
        });
        provider.sandbox.set_token_life(TOKEN_LIFE);
        let authority = provider.serve_authority();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let table = format!(
            "[upstream.second]\npreset = \"exchange-online\"\n\
             imap = {{ host = \"localhost\", port = {port}, tls = \"implicit\" }}\n{authority}\n"
        );
        let config = home.read("locum.toml").replace("\"fakes.crt\"]", "\"fakes.crt\", \"second.pem\"]");
        home.write("locum.toml", config + &table);
        home.write("application.secret", SECRET);
        let of = ["--upstream", "second", "--tenant", TENANT, "--client-id", APPLICATION];
        let tenant = ["oauth", "add-tenant", "corp.test", "--secret-file", "application.secret"];
        field.stage.run(&[&tenant[..], &of].concat());
        let key = |number| {
            let (login, mailbox) = (format!("token-{number}"), format!("token-{number}@corp.test"));
            provider.add(&mailbox, "unused");
            field.stage.run(&["account", "add", &mailbox, "--upstream", "second", "--oauth2-only"]);
            let issued = field.stage.run(&["client", "issue", &login, "--account", &mailbox]);
            Key { login, secret: issued.stdout.trim().to_owned() }
        };
        let keys = (0..MAILBOXES).map(key).collect();
        Self { provider, port, keys }
    }

    pub(crate) fn restart_again_and_again(&self, runtime: &Runtime) {
        let (sandbox, port) = (self.provider.sandbox.clone(), self.port);
        runtime.spawn(async move {
            loop {
                let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
                let stop = CancellationToken::new();
                let (until, sandbox) = (stop.clone(), sandbox.clone());
                let serving =
                    tokio::spawn(async move { sandbox.serve(Protocol::Imap, Start::Implicit, listener, until).await });
                sleep(UP).await;
                stop.cancel();
                serving.await.unwrap();
                sleep(DOWN).await;
            }
        });
    }

    pub(crate) fn send_clients(&self, runtime: &Runtime, soak: &Soak, tally: &Arc<Tally>) {
        let (caller, keys, tally) = (soak.caller.clone(), self.keys.clone(), Arc::clone(tally));
        runtime.spawn(async move {
            for turn in 0.. {
                sleep(PACE).await;
                let (caller, key, tally) = (caller.clone(), keys[turn % keys.len()].clone(), Arc::clone(&tally));
                tokio::spawn(async move {
                    let began = Instant::now();
                    tally.note("IMAP by a token", began, caller.visit(Way::Imap, &key).await);
                });
            }
        });
    }
}
