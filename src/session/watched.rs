//! The look at what a client submits, within its relay: what was seen becomes turns at the pace of its mailbox. It must
//! never hold a turn for longer than there is a message for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::broker::Lease;
use crate::model::Protocol;
use crate::net::{Inspector, Side};
use crate::proto::submission::watch::{Notice, Watch, WatchOptions};
use crate::upstream::{LoggedIn, Pacer, Turn};

type Waiting = Pin<Box<dyn Future<Output = Option<Turn>> + Send>>;

/// A watched session.
pub(super) struct Watched {
    watch: Watch,
    pacer: Option<Pacer>,
    waiting: Option<Waiting>,
    turn: Option<Turn>,
}

impl Watched {
    /// For a session that has a policy of senders or a pace; all others are relayed unseen.
    pub(super) fn of(lease: &Lease, logged_in: &LoggedIn) -> Option<Box<Self>> {
        let senders = &lease.terms().senders;
        let pacer = logged_in.pacer.clone();
        if lease.protocol() != Protocol::Submission || (senders.is_empty() && pacer.is_none()) {
            return None;
        }
        let is_chunking = |keyword: &String| keyword.eq_ignore_ascii_case("CHUNKING");
        let chunking = logged_in.ready.keywords.iter().any(is_chunking);
        let watch = Watch::new(WatchOptions { senders: senders.clone(), paced: pacer.is_some(), chunking });
        Some(Box::new(Self { watch, pacer, waiting: None, turn: None }))
    }

    /// Messages that the upstream took.
    pub(super) fn messages(&self) -> u64 {
        self.watch.messages()
    }

    fn heed(&mut self, notice: Notice) {
        match notice {
            Notice::Turn => match (&self.turn, &self.pacer) {
                // What it has was not used.
                (None, Some(pacer)) => self.waiting = Some(Box::pin(pacer.turn())),
                (Some(_), _) | (None, None) => self.watch.turn_came(),
            },
            Notice::Begun => {
                if let Some(turn) = &mut self.turn {
                    turn.began();
                }
            }
            Notice::Taken => {
                self.turn = None;
                if let Some(pacer) = &self.pacer {
                    pacer.taken();
                }
            }
            Notice::Refused | Notice::Reset => self.turn = None,
            Notice::PutOff(words) => {
                if let Some(pacer) = &self.pacer {
                    pacer.put_off(&words);
                }
            }
        }
    }
}

impl Inspector for Watched {
    fn take(&mut self, from: Side, bytes: &[u8]) {
        match from {
            Side::Downstream => self.watch.client_sent(bytes),
            Side::Upstream => self.watch.upstream_sent(bytes),
        }
    }

    fn ended(&mut self, from: Side) {
        match from {
            Side::Downstream => self.watch.client_ended(),
            Side::Upstream => self.watch.upstream_ended(),
        }
    }

    fn has_room(&self, from: Side) -> bool {
        match from {
            Side::Downstream => self.watch.client_may_send(),
            Side::Upstream => self.watch.upstream_may_send(),
        }
    }

    fn give(&mut self, to: Side) -> Vec<u8> {
        match to {
            Side::Downstream => self.watch.for_client(),
            Side::Upstream => self.watch.for_upstream(),
        }
    }

    fn is_done(&self, to: Side) -> bool {
        match to {
            Side::Downstream => true,
            Side::Upstream => self.watch.is_done_up(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        loop {
            while let Some(notice) = self.watch.next_notice() {
                self.heed(notice);
            }
            let Some(waiting) = &mut self.waiting else { break };
            if !self.watch.turn_is_of_use() {
                // Nobody is there to use it; those who are get its place sooner.
                self.waiting = None;
                self.watch.turn_failed();
                continue;
            }
            let Poll::Ready(turn) = waiting.as_mut().poll(cx) else { break };
            self.waiting = None;
            match &turn {
                Some(_) => self.watch.turn_came(),
                None => self.watch.turn_failed(),
            }
            self.turn = turn;
        }
        self.watch.over().map_or(Poll::Pending, Poll::Ready)
    }
}
