//! A client of the authority: forms over HTTPS, and signed assertions. Follows no redirect.

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use reqwest::{Client, Url};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::rsa::{RSA, Rsa};

/// Where it is, and the connections to it.
pub(crate) struct Authority {
    pub(crate) base: String,
    pub(crate) http: Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status and `error` of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, text_of(&self.json(), "error"))
    }

    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        text_of(&self.json(), "access_token")
    }

    pub(crate) fn refresh_token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        text_of(&self.json(), "refresh_token")
    }
}

pub(crate) fn text_of(json: &Value, name: &str) -> String {
    json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
}

impl Authority {
    pub(crate) fn new(port: u16, tls: ClientConfig) -> Self {
        let http = Client::builder().tls_backend_preconfigured(tls).no_proxy();
        let http = http.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base: format!("https://localhost:{port}"), http }
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.try_post(path, form).await.unwrap()
    }

    pub(crate) async fn try_post(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer, reqwest::Error> {
        let body = query(form);
        let kind = "application/x-www-form-urlencoded";
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", kind).body(body);
        Self::answer(request.send().await?).await
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        Self::answer(self.http.get(url).send().await.unwrap()).await.unwrap()
    }

    async fn answer(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }
}

/// Fields as they stand in a query.
pub(crate) fn query(fields: &[(&str, &str)]) -> String {
    Url::parse_with_params("http://x/", fields).unwrap().query().unwrap().to_owned()
}

/// The fields of a URL's query.
pub(crate) fn fields(url: &str) -> Vec<(String, String)> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

pub(crate) fn field(url: &str, name: &str) -> String {
    fields(url).into_iter().find(|(field, _)| field == name).unwrap_or_else(|| panic!("no {name} in {url}")).1
}

static OTHER: LazyLock<Rsa> = LazyLock::new(Rsa::make);

/// An application's RSA key, made for these tests, and a certificate for it.
pub(crate) struct Signer {
    key: RsaKeyPair,
    pub(crate) certificate: String,
    pub(crate) thumbprint: String,
}

impl Signer {
    pub(crate) fn application() -> Self {
        Self::of(&RSA)
    }

    pub(crate) fn other() -> Self {
        Self::of(&OTHER)
    }

    fn of(pair: &Rsa) -> Self {
        let certificate = pair.certificate.clone();
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let thumbprint = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, &der).as_ref());
        let key = PrivatePkcs8KeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        Self { key: RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap(), certificate, thumbprint }
    }

    pub(crate) fn sign(&self, algorithm: &str, claims: &Value) -> String {
        self.sign_as(algorithm, &self.thumbprint, claims)
    }

    pub(crate) fn sign_as(&self, algorithm: &str, thumbprint: &str, claims: &Value) -> String {
        let header = json!({ "alg": algorithm, "typ": "JWT", "x5t#S256": thumbprint });
        let part = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let encoding: &dyn ring::signature::RsaEncoding =
            if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        self.key.sign(encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}
