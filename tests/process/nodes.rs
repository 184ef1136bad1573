//! Two nodes over one store, and one refresh token that the authority replaces at each use: it is never lost, whoever dies
//! when.

use std::sync::Barrier;
use std::thread;

use locum::sandbox::{Application, ApplicationProof, AuthorityTrouble, Face, Mailboxes, Outcome};
use rustix::process::Signal;

use crate::support::{Home, Provider, Served, Wire, trusted};

const ALICE: &str = "alice@contoso.test";
const CLIENT_ID: &str = "0cb6c2a4-0000-4000-8000-00000000de5c";
const TENANT: &str = "contoso.onmicrosoft.com";

/// An account that a person consented to by device code, and a client that may use it.
struct Scene {
    home: Home,
    provider: Provider,
    secret: String,
}

impl Scene {
    fn set() -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::ExchangeOnline, &trusted(&home));
        let (upstream, authority) = (provider.serve(), provider.serve_authority());
        home.configure(&format!(
            "[upstream.exchange]\npreset = \"exchange-online\"\n{upstream}\n{authority}\n{LISTENER}"
        ));
        provider.sandbox.register(Application {
            client_id: CLIENT_ID.to_owned(),
            tenant: TENANT.to_owned(),
            authentication: ApplicationProof::Public,
            may_act_as: Mailboxes::All,
            consented: true,
        });
        provider.add(ALICE, "unused");
        provider.sandbox.set_device_interval(1);
        let scene = Self { home, provider, secret: String::new() };
        let login = ["oauth", "login", ALICE, "--upstream", "exchange", "--tenant", TENANT, "--client-id", CLIENT_ID];
        let login = Served::start(scene.home.command(&login));
        assert!(scene.provider.sandbox.approve_device(&login.wait_for_line("  enter  "), ALICE));
        login.wait().succeeded();
        let issued = scene.home.run(&["client", "issue", "reader", "--account", ALICE]).succeeded();
        Self { secret: issued.stdout.trim().to_owned(), ..scene }
    }

    /// A client that has asked to be let in.
    fn ask(&self, node: &Served) -> Wire {
        let mut wire = Wire::plain(node.port("imap"));
        wire.expect("* OK ");
        wire.say(&format!("a LOGIN reader {}", self.secret));
        wire
    }

    fn log_in(&self, node: &Served) {
        self.ask(node).expect("a OK ");
    }

    fn granted(&self) -> usize {
        let requests = self.provider.sandbox.token_requests();
        requests.iter().filter(|request| request.grant == "refresh_token").count()
    }
}

const LISTENER: &str = "[[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
                        plaintext-networks = \"127.0.0.0/8\"\n";

#[test]
fn a_node_that_dies_between_the_answer_and_the_store_loses_nothing() {
    let scene = Scene::set();
    let (first, second) = (scene.home.serve(), scene.home.serve());
    scene.provider.sandbox.set_authority_trouble(AuthorityTrouble::HoldAnswer, Some(1));
    let waiting = scene.ask(&first);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(scene.provider.sandbox.answers_held(1));
    // The authority has handed out a new token, and who asked for it will never read the answer.
    first.signal(Signal::KILL);
    drop(waiting);
    scene.provider.sandbox.release_answers();
    scene.log_in(&second);
    let restarted = scene.home.serve();
    scene.log_in(&restarted);
    assert_eq!(scene.granted(), 3);
    let outcomes: Vec<_> = scene.provider.sandbox.logins().into_iter().map(|login| login.outcome).collect();
    assert_eq!(outcomes, [Outcome::Accepted, Outcome::Accepted]);
}

/// The authority takes no refresh token twice, so that of two nodes that come at once one is refused.
#[test]
fn the_loser_takes_what_the_winner_stored() {
    let scene = Scene::set();
    scene.provider.sandbox.set_strict_rotation(true);
    for round in 1..=3 {
        // New processes have no access token, and want one at once.
        let nodes = [scene.home.serve(), scene.home.serve()];
        let together = Barrier::new(nodes.len());
        thread::scope(|scope| {
            for node in &nodes {
                scope.spawn(|| {
                    together.wait();
                    scene.log_in(node);
                });
            }
        });
        assert_eq!(scene.provider.sandbox.logins().len(), 2 * round);
    }
}
