//! How long an app password lies in the memory of the program: in clear for the moment of a login, and no longer; what is
//! remembered by design is sealed. What libraries leave of it behind is looked for in all that a process can write to.
//!
//! Only root may look into a process that forbids core dumps. Where that is not permitted nothing is proven, and said so.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use data_encoding::BASE64;

use super::post::{Answer, Post};
use crate::openbao::eventually;
use crate::program::{Served, finish};

const APP_PASSWORD: &str = "qzKw7pXv9mTbRgH2cJfD4sNy";
const ADDRESS: &str = "good@gmail.test";

/// So much of a secret in a row is a find.
const PIECE_BYTES: usize = 12;

/// How often the app password, or the greater part of it, is there; in clear, and as it is sent upstream. `None` if it is
/// not permitted to look.
fn copies(pid: u32) -> Option<usize> {
    let memory = match File::open(format!("/proc/{pid}/mem")) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return None,
        opened => opened.unwrap(),
    };
    let mut count = 0;
    for line in fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines() {
        let [range, permissions] = [0, 1].map(|at| line.split_whitespace().nth(at).unwrap());
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // Some of it, such as what the kernel shares with all, cannot be read, and a thread may end meanwhile.
        if permissions.starts_with("rw") && memory.read_exact_at(&mut bytes, start).is_ok() {
            count += count_in(&bytes);
        }
    }
    Some(count)
}

/// A copy that lost its beginning is one, too.
fn count_in(bytes: &[u8]) -> usize {
    let plain = BASE64.encode(format!("\0{ADDRESS}\0{APP_PASSWORD}").as_bytes());
    let [clear, sent] = [APP_PASSWORD.as_bytes(), plain.as_bytes()].map(|secret| &secret[secret.len() - PIECE_BYTES..]);
    bytes.windows(PIECE_BYTES).filter(|window| *window == clear || *window == sent).count()
}

#[test]
fn both_forms_are_counted() {
    let plain = BASE64.encode(format!("\0{ADDRESS}\0{APP_PASSWORD}").as_bytes());
    assert_eq!(count_in(format!("x{APP_PASSWORD}y {plain}").as_bytes()), 2);
    assert_eq!(count_in(&APP_PASSWORD.as_bytes()[1..]), 1);
    assert_eq!(count_in(&APP_PASSWORD.as_bytes()[..23]), 0);
}

/// Waits until there are so many.
async fn until_there_are(wanted: usize, served: &Served) {
    let what = format!("{wanted} copies");
    eventually(&what, async || (copies(served.pid()) == Some(wanted)).then_some(())).await;
}

/// Whether it is permitted to look.
fn may_look(served: &Served) -> bool {
    let permitted = copies(served.pid()).is_some();
    if !permitted {
        println!("NOT TESTED: /proc/{}/mem is for root alone", served.pid());
    }
    permitted
}

async fn nothing_is_left_in_clear(post: Post) {
    let secret = post.enrol("good", APP_PASSWORD);
    let served = post.serve();
    if !may_look(&served) {
        return;
    }
    assert_eq!(copies(served.pid()), Some(0), "nothing is read before it is wanted");
    for _ in 0..3 {
        assert_eq!(post.log_in(&served, "good", &secret), Answer::In);
    }
    // What is remembered is sealed; that of the session, should it not have ended yet, and that of the reader go.
    until_there_are(0, &served).await;
    post.office.run(&["--config", "node.toml", "account", "remove", ADDRESS]).succeeded();
    until_there_are(0, &served).await;
    assert_eq!(post.log_in(&served, "good", &secret), Answer::Wrong);
    served.stop().succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_is_never_there_in_clear() {
    nothing_is_left_in_clear(Post::set("", "").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_leaves_no_copy_behind() {
    nothing_is_left_in_clear(Post::set_with_tls("").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_may_be_stale_nothing_is_kept() {
    let post = Post::set_with_tls("max-stale = \"0s\"").await;
    let secret = post.enrol("good", APP_PASSWORD);
    let served = post.serve();
    if !may_look(&served) {
        return;
    }
    for _ in 0..3 {
        assert_eq!(post.log_in(&served, "good", &secret), Answer::In);
        until_there_are(0, &served).await;
    }
    served.stop().succeeded();
}

/// A verb holds the record that it changes, once, while it waits for a person.
#[tokio::test(flavor = "multi_thread")]
async fn a_verb_holds_what_it_works_on_once() {
    let post = Post::set_with_tls("").await;
    post.enrol("good", APP_PASSWORD);
    let mut command = post.office.desk.command(&["--config", "node.toml", "account", "set", ADDRESS, "--secret-stdin"]);
    let mut child = command.env("VAULT_TOKEN", &post.office.operator).stdin(Stdio::piped()).spawn().unwrap();
    if copies(child.id()).is_none() {
        println!("NOT TESTED: /proc/{}/mem is for root alone", child.id());
    } else {
        eventually("the record, once", async || (copies(child.id()) == Some(1)).then_some(())).await;
    }
    child.stdin.take().unwrap().write_all(b"another one entirely").unwrap();
    finish(child).succeeded();
}
