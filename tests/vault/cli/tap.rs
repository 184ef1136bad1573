//! A wire between the program and a server without TLS that keeps all that passes: what was on it is known to have been
//! in the program.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The wire. It ends with the test process: nothing holds what it serves.
pub(super) struct Tap {
    address: String,
    passed: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    /// Before the server at that address.
    pub(super) fn before(server: &str) -> Self {
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let passed = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&passed);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let ends = [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))];
                for (from, to) in ends {
                    let (from, to, kept) = (from.unwrap(), to.unwrap(), Arc::clone(&kept));
                    thread::spawn(move || pass(from, to, &kept));
                }
            }
        });
        Self { address, passed }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// All that passed, in either direction.
    pub(super) fn passed(&self) -> Vec<u8> {
        self.passed.lock().unwrap().clone()
    }

    /// The tokens that logins were answered with.
    pub(super) fn tokens(&self) -> Vec<String> {
        let passed = String::from_utf8_lossy(&self.passed()).into_owned();
        let behind = passed.split("\"client_token\":\"").skip(1);
        behind.filter_map(|rest| rest.split_once('"')).map(|(token, _)| token.to_owned()).collect()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, kept: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        kept.lock().unwrap().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
