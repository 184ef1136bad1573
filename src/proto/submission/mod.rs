//! stub, being replaced
use super::*;
use crate::model::Refusal;
/// s
#[derive(Debug)]
pub struct Server(ServerOptions);
impl Server {
    /// new
    pub fn new(o: ServerOptions) -> Self {
        Self(o)
    }
}
impl super::Server for Server {
    fn receive(&mut self, _: &[u8]) {
        unimplemented!()
    }
    fn next_action(&mut self) -> ServerAction {
        unimplemented!()
    }
    fn tls_started(&mut self) {}
    fn accept(&mut self, _: &UpstreamReady) {}
    fn refuse(&mut self, _: Refusal) {}
    fn shut_down(&mut self, _: Goodbye) {}
    fn state(&self) -> &'static str {
        unimplemented!()
    }
}
/// c
#[derive(Debug)]
pub struct Client(Goal, ClientOptions);
impl Client {
    /// new
    pub fn new(g: Goal, o: ClientOptions) -> Self {
        Self(g, o)
    }
}
impl super::Client for Client {
    fn receive(&mut self, _: &[u8]) {
        unimplemented!()
    }
    fn next_action(&mut self) -> ClientAction {
        unimplemented!()
    }
    fn tls_started(&mut self) {}
    fn state(&self) -> &'static str {
        unimplemented!()
    }
}
pub(super) fn shared_keywords(_l: &[Vec<String>]) -> Vec<String> {
    Vec::new()
}
