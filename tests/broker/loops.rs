//! An upstream that leads back to Locum: its clients are told that an operator is needed, and nothing goes round.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use locum::model::{Protocol, Refusal};

use crate::answers::refused;
use crate::support::{Lab, Plan};

/// A lab whose Gmail is at that host, on a port where Locum itself listens at all addresses.
async fn looping(host: &'static str) -> Lab {
    let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let tune = move |config: &mut locum::config::Config| {
        for listener in &mut config.listeners {
            if ["imaps", "submissions"].contains(&listener.name.as_str()) {
                listener.bind.push(SocketAddr::from(([0, 0, 0, 0], port + u16::from(listener.name == "submissions"))));
            }
        }
        let gmail = Arc::make_mut(config.upstreams.get_mut("gmail").unwrap());
        for (protocol, endpoint) in &mut gmail.endpoints {
            endpoint.host = host.to_owned();
            endpoint.port = port + u16::from(*protocol == Protocol::Submission);
        }
    };
    Plan::new().tune(tune).start().await
}

#[tokio::test]
async fn an_upstream_that_is_ourselves_is_for_an_operator_to_mend() {
    let lab = looping("localhost").await;
    for protocol in [Protocol::Imap, Protocol::Submission] {
        let (_wire, answer) = lab.present(protocol, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::ContactAdmin));
        let event = lab.last_event(protocol, &lab.alice.login);
        assert_eq!((event["event"].as_str(), event["outcome"].as_str()), (Some("upstream"), Some("failed")));
        let reason = event["reason"].as_str().unwrap();
        for part in ["state=\"dial\"", "where this process listens itself", "correct host and port of the upstream"] {
            assert!(reason.contains(part), "{reason}");
        }
    }
    let sessions = lab.audit().iter().filter(|event| event["outcome"] == "allow").count();
    assert_eq!(sessions, 2, "nothing came back to us");
    // Other upstreams at loopback are none of ours.
    lab.log_in(Protocol::Submission, &lab.scanner).await;
}
