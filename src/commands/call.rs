//! `call`: signs one request with the code that the server verifies with, sends it to any endpoint,
//! and prints the answer.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{ACCEPT, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::print;
use crate::auth::secret::Secret;
use crate::auth::secret_files::read_secret;
use crate::auth::signature::{Pair, Parameters, canonical_query, v1, v3};
use crate::clock::Clock;
use crate::config::CallSettings;
use crate::domain::time;
use crate::ids::new_id;
use crate::logging::{self, Output};
use crate::rest::Dispatch;

/// Time within which the endpoint must answer.
const TIMEOUT: Duration = Duration::from_secs(30);
const UNREACHABLE: u8 = 2;

/// A request, signed and ready to be sent.
struct Signed {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

/// An access key or a temporary credential, with its secret.
pub(super) struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// The security token of a temporary credential.
    pub security_token: Option<Secret>,
}

/// Runs the command. The exit status differs for a reply, for a refusal, and for an endpoint that
/// cannot be reached.
pub async fn run(settings: CallSettings) -> anyhow::Result<ExitCode> {
    let signed = sign(&settings)?;
    if settings.print_url {
        print(&signed.uri)?;
        return Ok(ExitCode::SUCCESS);
    }
    if settings.print_curl {
        print(signed.as_curl())?;
        return Ok(ExitCode::SUCCESS);
    }
    match send(signed).await {
        Ok((true, body)) => {
            print(body)?;
            Ok(ExitCode::SUCCESS)
        }
        Ok((false, body)) => {
            print(body)?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => {
            let endpoint = settings.endpoint;
            let sentence = format!("cdn-activation: {endpoint} does not answer: {error:#}\n");
            logging::say(Output::Stderr, &sentence);
            Ok(ExitCode::from(UNREACHABLE))
        }
    }
}

/// Removes what people copy with a key by accident: blanks, line ends, a byte order mark.
fn pasted(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}')
}

fn sign(settings: &CallSettings) -> anyhow::Result<Signed> {
    let version = match &settings.api_version {
        Some(version) => version.clone(),
        None => newest_version(&settings.action)?,
    };
    let secret = match (&settings.access_key_secret_file, &settings.access_key_secret) {
        (Some(path), _) => Secret::new(pasted(&read_secret(path)?).to_owned()),
        (None, Some(secret)) => Secret::new(pasted(secret).to_owned()),
        (None, None) => bail!("there is no secret; give --access-key-secret-file"),
    };
    let id = pasted(&settings.access_key_id).to_owned();
    let key = AccessKey { id, secret, security_token: security_token(settings)? };
    let format = if settings.xml { "XML" } else { "JSON" };
    if settings.v3 {
        return sign_v3(settings, &version, &key);
    }
    let uri = signed_url(
        &settings.endpoint,
        &settings.action,
        &version,
        format,
        &settings.parameters,
        &key,
    )?;
    Ok(Signed { method: Method::GET, uri, headers: HeaderMap::new() })
}

/// Returns the security token. An empty variable counts as none, as in the SDKs.
fn security_token(settings: &CallSettings) -> anyhow::Result<Option<Secret>> {
    let text = match (&settings.security_token_file, &settings.security_token) {
        (Some(path), _) => pasted(&read_secret(path)?).to_owned(),
        (None, Some(token)) => pasted(token).to_owned(),
        (None, None) => return Ok(None),
    };
    Ok(Some(text).filter(|text| !text.is_empty()).map(Secret::new))
}

fn newest_version(action: &str) -> anyhow::Result<String> {
    let dispatch = Dispatch::new().map_err(anyhow::Error::msg)?;
    let newest = dispatch.versions_of(action).into_iter().max();
    newest.with_context(|| format!("{action} is not an action of this service; give --api-version"))
}

/// Returns a URL that is signed with V1. It is valid for one request within the server's timestamp
/// window.
pub(super) fn signed_url(
    endpoint: &str,
    action: &str,
    version: &str,
    format: &str,
    parameters: &[Pair],
    key: &AccessKey,
) -> anyhow::Result<Uri> {
    let mut pairs = parameters.to_vec();
    for (name, value) in [
        ("Action", action),
        ("Version", version),
        ("Format", format),
        ("AccessKeyId", &key.id),
        ("SignatureMethod", v1::METHOD),
        ("SignatureVersion", v1::VERSION),
        ("SignatureNonce", &new_id().to_string()),
        ("Timestamp", &time::format(Clock::system().wire_now())),
    ] {
        pairs.push((name.to_owned(), value.to_owned()));
    }
    if let Some(token) = &key.security_token {
        pairs.push(("SecurityToken".to_owned(), token.expose().to_owned()));
    }
    let string_to_sign = v1::string_to_sign("GET", &pairs.iter().collect());
    let signature = v1::Key::new(&key.secret).sign(&string_to_sign);
    pairs.push((v1::SIGNATURE.to_owned(), signature));
    endpoint_uri(endpoint, &canonical_query(&pairs.iter().collect()))
}

fn sign_v3(settings: &CallSettings, version: &str, key: &AccessKey) -> anyhow::Result<Signed> {
    let parameters: Parameters = settings.parameters.iter().collect();
    let uri = endpoint_uri(&settings.endpoint, &canonical_query(&parameters))?;
    let authority = uri.authority().context("the endpoint has no host")?.as_str().to_owned();
    let payload_hash = v3::hash(b"");
    let mut headers = HeaderMap::new();
    let token = key.security_token.as_ref().map(Secret::expose);
    for (name, value) in [
        ("host", Some(authority.as_str())),
        ("x-acs-accesskey-id", token.map(|_| key.id.as_str())),
        ("x-acs-action", Some(settings.action.as_str())),
        ("x-acs-content-sha256", Some(payload_hash.as_str())),
        ("x-acs-date", Some(&*time::format(Clock::system().wire_now()))),
        ("x-acs-security-token", token),
        ("x-acs-signature-nonce", Some(&*new_id().simple().to_string())),
        ("x-acs-version", Some(version)),
    ] {
        let Some(value) = value else { continue };
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    }
    let mut signed_headers: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    signed_headers.sort_unstable(); // a map has no order
    let signed_headers = signed_headers.join(";");
    let canonical =
        v3::canonical_request("POST", &parameters, &headers, &signed_headers, &payload_hash);
    let signature = v3::Key::new(&key.secret).sign(&v3::string_to_sign(&canonical));
    let authorization = format!(
        "{} Credential={},SignedHeaders={signed_headers},Signature={signature}",
        v3::ALGORITHM,
        key.id
    );
    headers.insert(http::header::AUTHORIZATION, HeaderValue::from_str(&authorization)?);
    let accept = if settings.xml { "application/xml" } else { "application/json" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    Ok(Signed { method: Method::POST, uri, headers })
}

fn endpoint_uri(endpoint: &str, query: &str) -> anyhow::Result<Uri> {
    let endpoint = endpoint.trim_end_matches('/');
    let endpoint =
        if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
    format!("{endpoint}/?{query}")
        .parse()
        .with_context(|| format!("{endpoint} is not a valid endpoint"))
}

impl Signed {
    fn as_curl(&self) -> String {
        let mut command = format!("curl -X {}", self.method);
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != HOST) {
            let value = value.to_str().unwrap_or_default();
            write!(command, " -H '{name}: {value}'").expect("writing to a String cannot fail");
        }
        format!("{command} '{}'", self.uri) // percent-encoded, so it has no quotes
    }
}

async fn send(signed: Signed) -> anyhow::Result<(bool, String)> {
    let connector =
        HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let mut request =
        Request::builder().method(signed.method).uri(signed.uri).body(Empty::<Bytes>::new())?;
    *request.headers_mut() = signed.headers;
    let exchange = async {
        let response = client.request(request).await?;
        let succeeded = response.status().is_success();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::Ok((succeeded, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(TIMEOUT, exchange).await.context("no answer within 30 s")?
}
