//! The HTTP client towards authorities and webhooks. It must never follow a redirect (what is posted would go along), take a
//! setting from the environment (a proxy would see it), speak without TLS but to this machine where a URL says so, or read
//! without end.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use zeroize::Zeroizing;

use crate::model::Secret;

/// How long an idle connection is kept for the next request. TLS decrypts in a buffer that it keeps, and a part of the last
/// token would lie there in clear for as long as its connection lives.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Idle connections kept to each host.
const IDLE_MAX: usize = 4;

/// The most of a library's text that is repeated.
const TEXT_CHARS_MAX: usize = 200;

/// Bounds for requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Time for a request, from its beginning to the last byte of its answer.
    pub request_timeout: Duration,
    /// The longest body that is read. Answers with tokens have some kilobytes.
    pub body_bytes_max: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            body_bytes_max: 256 * 1024,
        }
    }
}

/// Why there is no answer. Neither what was sent nor what was received is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpsError {
    /// It cannot be reached, or breaks off.
    #[error("{0}")]
    Unreachable(String),
    /// Its certificate is not one to trust.
    #[error("{0}")]
    Untrusted(String),
    /// It takes too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Its answer is longer than that.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// An answer of any status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// `Retry-After` as it came.
    pub retry_after: Option<String>,
    /// `Date` as it came.
    pub date: Option<String>,
    /// The body.
    pub body: Secret,
}

/// A client for HTTPS. Clones are one.
#[derive(Debug, Clone)]
pub struct Https {
    clients: Arc<ArcSwap<Clients>>,
    options: HttpOptions,
}

#[derive(Debug)]
struct Clients {
    client: Client,
    /// The same, also without TLS.
    plain: Client,
}

impl Https {
    /// A client that trusts what `tls` trusts.
    ///
    /// # Errors
    /// If the library cannot be set up so.
    pub fn new(tls: &Arc<ClientConfig>, options: HttpOptions) -> Result<Self, HttpsError> {
        let clients = Arc::new(ArcSwap::from_pointee(Clients::new(tls, &options)?));
        Ok(Self { clients, options })
    }

    /// Trusts what that trusts from now on, in all clones.
    ///
    /// # Errors
    /// If the library cannot be set up so; then nothing has changed.
    pub fn trust(&self, tls: &Arc<ClientConfig>) -> Result<(), HttpsError> {
        self.clients.store(Arc::new(Clients::new(tls, &self.options)?));
        Ok(())
    }

    /// Posts a form (`application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// If there is no answer. A refusal is one.
    pub async fn post_form(&self, url: &str, form: &[(&str, Secret)]) -> Result<Reply, HttpsError> {
        let request = self
            .clients
            .load()
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            // The library takes the buffer over; the allocator of the program wipes it when it is freed.
            .body(std::mem::take(&mut *encode(form)));
        self.send(request).await
    }

    /// Posts JSON, with a bearer token if there is one. A URL of this machine may do without TLS (`http://127.0.0.1/`).
    ///
    /// # Errors
    /// If there is no answer. A refusal is one.
    pub async fn post_json(&self, url: &str, token: Option<&Secret>, json: &str) -> Result<Reply, HttpsError> {
        let clients = self.clients.load_full();
        let client = if is_loopback(url) { &clients.plain } else { &clients.client };
        let mut request = client.post(url).header(CONTENT_TYPE, "application/json").body(json.to_owned());
        if let Some(token) = token {
            let text = [b"Bearer ".as_slice(), token.expose()].concat();
            let value = HeaderValue::from_bytes(&Zeroizing::new(text));
            let mut value = value.map_err(|_| HttpsError::Unreachable("the token fits into no header".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        self.send(request).await
    }

    /// Posts bytes of that type, with headers that may be secret. A URL of this machine may do without TLS.
    ///
    /// # Errors
    /// If there is no answer. A refusal is one.
    pub async fn post_bytes(
        &self,
        url: &str,
        content_type: &'static str,
        headers: &[(String, Secret)],
        body: Vec<u8>,
    ) -> Result<Reply, HttpsError> {
        let clients = self.clients.load_full();
        let client = if is_loopback(url) { &clients.plain } else { &clients.client };
        let mut request = client.post(url).header(CONTENT_TYPE, content_type).body(body);
        let unfit = |_| HttpsError::Unreachable("what is to be a header fits into none".into());
        for (name, value) in headers {
            let mut value = HeaderValue::from_bytes(value.expose()).map_err(|_| unfit(()))?;
            value.set_sensitive(true);
            request = request.header(HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit(()))?, value);
        }
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, HttpsError> {
        let mut response = request.send().await.map_err(|error| self.failed(&error))?;
        let header = |name: HeaderName| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (retry_after, date) = (header(RETRY_AFTER), header(DATE));
        let status = response.status().as_u16();
        let body = self.body(&mut response).await?;
        Ok(Reply { status, retry_after, date, body })
    }

    async fn body(&self, response: &mut reqwest::Response) -> Result<Secret, HttpsError> {
        let max = self.options.body_bytes_max;
        let mut chunks = Vec::new();
        let mut length = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            length += chunk.len();
            if length > max {
                return Err(HttpsError::TooLong(max));
            }
            chunks.push(chunk);
        }
        let mut body = Vec::with_capacity(length);
        chunks.iter().for_each(|chunk| body.extend_from_slice(chunk));
        Ok(Secret::new(body))
    }

    /// The innermost cause is the telling one.
    fn failed(&self, error: &reqwest::Error) -> HttpsError {
        if error.is_timeout() {
            let is_connect = error.is_connect();
            let bound = if is_connect { self.options.connect_timeout } else { self.options.request_timeout };
            return HttpsError::TimedOut(bound.min(self.options.request_timeout));
        }
        let causes = || std::iter::successors(Some(error as &(dyn Error + 'static)), |error| cause_of(*error));
        let text = causes().last().map(|cause| plain(&cause.to_string())).unwrap_or_default();
        match causes().find_map(|cause| cause.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_)) => HttpsError::Untrusted(text),
            Some(rustls::Error::InvalidMessage(_)) => {
                HttpsError::Unreachable("what listens there speaks no TLS".into())
            }
            _ => HttpsError::Unreachable(text),
        }
    }
}

impl Clients {
    fn new(tls: &Arc<ClientConfig>, options: &HttpOptions) -> Result<Self, HttpsError> {
        let client = |https_only| {
            Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .referer(false)
                .https_only(https_only)
                .http1_only()
                .connect_timeout(options.connect_timeout.min(options.request_timeout))
                .timeout(options.request_timeout)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .pool_max_idle_per_host(IDLE_MAX)
                .tls_backend_preconfigured(ClientConfig::clone(tls))
                .build()
                .map_err(|error| HttpsError::Unreachable(plain(&error.to_string())))
        };
        Ok(Self { client: client(true)?, plain: client(false)? })
    }
}

/// An I/O error passes over what it was made of when it is asked for its source, and here one is made of another.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// Whether that URL is of this machine, by what it says and not by what a name leads to.
fn is_loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A library's text, fit for one line of ours.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ").chars().take(TEXT_CHARS_MAX).collect()
}

/// <https://url.spec.whatwg.org/#application/x-www-form-urlencoded>, in a buffer that has room for all of it at once.
fn encode(form: &[(&str, Secret)]) -> Zeroizing<Vec<u8>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*-._".contains(&byte);
    let pieces = form.iter().map(|(name, value)| (name.as_bytes(), value.expose()));
    let length: usize = pieces.clone().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(length));
    for (name, value) in pieces {
        if !body.is_empty() {
            body.push(b'&');
        }
        for (at, piece) in [name, value].into_iter().enumerate() {
            if at == 1 {
                body.push(b'=');
            }
            for &byte in piece {
                match byte {
                    b' ' => body.push(b'+'),
                    byte if is_plain(byte) => body.push(byte),
                    byte => {
                        let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
                        body.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
                    }
                }
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use rustls::RootCertStore;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::sleep;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::server::TlsStream;

    use super::super::tls::{self, Pems};
    use super::*;

    fn pems() -> Pems {
        tls::self_signed(&["127.0.0.1".to_owned()]).unwrap()
    }

    fn client(trusted: &Pems, options: HttpOptions) -> Https {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Https::new(&Arc::new(config.with_root_certificates(roots).with_no_client_auth()), options).unwrap()
    }

    fn hasty() -> HttpOptions {
        HttpOptions { request_timeout: Duration::from_millis(400), ..HttpOptions::default() }
    }

    /// Bounds that a slow machine keeps, for tests that are not about time.
    fn patient() -> HttpOptions {
        let long = Duration::from_secs(60);
        HttpOptions { connect_timeout: long, request_timeout: long, ..HttpOptions::default() }
    }

    /// Reads one request; gives it with the connection.
    async fn accept(listener: &TcpListener, pems: &Pems) -> (String, TlsStream<TcpStream>) {
        let acceptor = TlsAcceptor::from(tls::server_config_from_pems(pems).unwrap());
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut request = String::new();
        let mut piece = [0; 1024];
        loop {
            let length = stream.read(&mut piece).await.unwrap();
            request.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
            let length = head
                .to_lowercase()
                .split_once("content-length: ")
                .map(|(_, rest)| rest.lines().next().unwrap().parse::<usize>().unwrap());
            if body.len() >= length.unwrap() {
                return (request, stream);
            }
        }
    }

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// What becomes of a request that is answered with these bytes, `times` over.
    async fn answered(options: HttpOptions, bytes: &str, times: usize) -> (String, Result<Reply, HttpsError>) {
        let ((listener, address), pems) = (listen().await, pems());
        let https = client(&pems, options);
        let server = async {
            let (request, mut stream) = accept(&listener, &pems).await;
            for _ in 0..times {
                // The client may have heard enough.
                if stream.write_all(bytes.as_bytes()).await.is_err() {
                    break;
                }
            }
            drop(stream.shutdown().await);
            request
        };
        let url = format!("https://{address}/tenant/token?api=2");
        let form = [("grant_type", Secret::new("x y")), ("client_secret", Secret::new("a&b"))];
        tokio::join!(server, https.post_form(&url, &form))
    }

    #[test]
    fn a_form_is_encoded() {
        let form = [("a", Secret::new("x y&=%é")), ("b-_.*", Secret::new("")), ("c", Secret::new("~+/"))];
        assert_eq!(encode(&form).as_slice(), b"a=x+y%26%3D%25%C3%A9&b-_.*=&c=%7E%2B%2F");
    }

    #[tokio::test]
    async fn a_form_is_posted_and_any_answer_is_one() {
        let answer = "HTTP/1.1 418 Odd\r\nRetry-After: 120\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                      Content-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>";
        let (request, reply) = answered(patient(), answer, 1).await;
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /tenant/token?api=2 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/x-www-form-urlencoded\r\n"), "{head}");
        assert_eq!(body, "grant_type=x+y&client_secret=a%26b");
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.retry_after.as_deref()), (418, Some("120")));
        assert_eq!(reply.date.as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(reply.body, Secret::new("<html></html>"));
        assert!(!format!("{reply:?}").contains("html"));
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        for status in [301, 302, 303, 307, 308] {
            let (elsewhere, address) = listen().await;
            let answer =
                format!("HTTP/1.1 {status} X\r\nLocation: https://{address}/token\r\nContent-Length: 0\r\n\r\n");
            let (_, reply) = tokio::select! {
                answered = answered(patient(), &answer, 1) => answered,
                _ = elsewhere.accept() => panic!("{status} was followed"),
            };
            assert_eq!(reply.unwrap().status, status);
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut_off() {
        let bound = HttpOptions::default().body_bytes_max;
        let piece = "x".repeat(64 * 1024);
        let announced = format!("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{piece}");
        let (_, reply) = answered(patient(), &announced, 100).await;
        assert_eq!(reply.unwrap_err(), HttpsError::TooLong(bound));
        let unannounced = format!("HTTP/1.1 200 OK\r\n\r\n{piece}");
        let (_, reply) = answered(patient(), &unannounced, 100).await;
        assert_eq!(reply.unwrap_err(), HttpsError::TooLong(bound));
    }

    #[tokio::test]
    async fn who_does_not_answer_or_drips_is_given_up() {
        for head in ["", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"] {
            let ((listener, address), pems) = (listen().await, pems());
            let https = client(&pems, hasty());
            let drip = async {
                let (_, mut stream) = accept(&listener, &pems).await;
                stream.write_all(head.as_bytes()).await.unwrap();
                loop {
                    sleep(Duration::from_millis(20)).await;
                    if head.is_empty() || stream.write_all(b" ").await.and(stream.flush().await).is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            let (began, url) = (Instant::now(), format!("https://{address}/"));
            let form = [("a", Secret::new("b"))];
            let reply = tokio::select! {
                () = drip => unreachable!("it goes on for ever"),
                reply = https.post_form(&url, &form) => reply,
            };
            assert_eq!(reply.unwrap_err(), HttpsError::TimedOut(hasty().request_timeout));
            assert!(began.elapsed() >= hasty().request_timeout);
        }
    }

    #[tokio::test]
    async fn a_certificate_of_somebody_else_is_not_trusted() {
        let (listener, address) = listen().await;
        let (shown, trusted) = (pems(), pems());
        let https = client(&trusted, patient());
        let acceptor = TlsAcceptor::from(tls::server_config_from_pems(&shown).unwrap());
        let server = async { acceptor.accept(listener.accept().await.unwrap().0).await };
        let url = format!("https://{address}/");
        let form = [("client_secret", Secret::new("canary"))];
        let (refused, reply) = tokio::join!(server, https.post_form(&url, &form));
        assert!(refused.is_err());
        assert!(matches!(reply, Err(HttpsError::Untrusted(_))), "{reply:?}");
    }

    #[tokio::test]
    async fn nothing_is_sent_without_tls() {
        let (listener, address) = listen().await;
        let https = client(&pems(), patient());
        let (url, form) = (format!("http://{address}/"), [("a", Secret::new("canary"))]);
        let reply = tokio::select! {
            reply = https.post_form(&url, &form) => reply,
            _ = listener.accept() => panic!("it connected"),
        };
        let said = reply.unwrap_err();
        assert!(matches!(said, HttpsError::Unreachable(_)) && !said.to_string().contains("canary"), "{said}");

        let plain = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
            let mut heard = Vec::new();
            drop(stream.read_to_end(&mut heard).await);
            heard
        };
        let url = format!("https://{address}/");
        let (heard, reply) = tokio::join!(plain, https.post_form(&url, &form));
        assert!(!heard.windows(6).any(|window| window == b"canary"));
        assert_eq!(reply.unwrap_err(), HttpsError::Unreachable("what listens there speaks no TLS".into()));
    }

    #[tokio::test]
    async fn who_is_not_there_is_unreachable() {
        let (listener, address) = listen().await;
        drop(listener);
        let reply = client(&pems(), patient()).post_form(&format!("https://{address}/"), &[]).await;
        assert!(matches!(reply, Err(HttpsError::Unreachable(_))), "{reply:?}");
    }
}
