// SPDX-License-Identifier: GPL-2.0

//! A client of etcd's JSON interface, which all servers since 3.4 have beside gRPC.

use base64::prelude::{Engine, BASE64_STANDARD};
use glb_config::targets::EtcdConf;
use serde_json::{json, Value};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(2);
/// Without news for so long, a watch is made anew: a server that is gone without a word says nothing either.
const SILENCE: Duration = Duration::from_secs(20);
/// No answer is longer.
const LONGEST: u64 = 64 << 20;
/// Keys of a page.
const PAGE: usize = 1000;

/// Why etcd did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No server can be reached, or none answers.
    Away(String),
    /// A server refused.
    Refused(String),
    /// A server answered with something else than etcd does.
    Nonsense(String),
    /// What was asked for was thrown away by etcd meanwhile: read all again.
    Compacted,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(reason) => write!(out, "etcd cannot be reached: {reason}"),
            Self::Refused(reason) => write!(out, "etcd refuses: {reason}"),
            Self::Nonsense(reason) => write!(out, "not an answer of etcd: {reason}"),
            Self::Compacted => out.write_str("etcd has thrown old changes away"),
        }
    }
}

impl std::error::Error for Error {}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub key: String,
    /// Its value; empty where the key was deleted.
    pub value: Vec<u8>,
    /// The change that it is of.
    pub revision: i64,
    /// The lease that it lives by; 0 for none.
    pub lease: i64,
}

/// A change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has this value now.
    Put(Item),
    /// It is gone.
    Gone(String),
}

/// A client of the servers of one etcd.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    endpoints: Vec<String>,
    /// The one that answered last.
    at: usize,
}

impl Client {
    /// Reads the files of keys and certificates; connects when something is asked.
    pub fn new(conf: &EtcdConf) -> Result<Self, String> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(REQUEST))
            .timeout_recv_response(Some(REQUEST))
            .tls_config(tls(conf)?)
            .build();
        Ok(Self {
            agent: config.into(),
            endpoints: conf.endpoints.clone(),
            at: 0,
        })
    }

    /// Sends a request to one server after the other, until one can be reached.
    fn send(&mut self, path: &str, body: &Value, watch: bool) -> Result<Body, Error> {
        let text = body.to_string();
        let mut last = "no endpoints are configured".to_owned();
        for _ in 0..self.endpoints.len() {
            let endpoint = &self.endpoints[self.at];
            let url = format!("{}{path}", endpoint.trim_end_matches('/'));
            let request = self.agent.post(&url).config();
            let request = if watch {
                request.timeout_per_read(Some(SILENCE))
            } else {
                request.timeout_global(Some(REQUEST))
            };
            let sent = request.build().content_type("application/json").send(&text);
            match sent {
                Ok(answer) => {
                    let good = answer.status().is_success();
                    let status = answer.status().as_u16();
                    let mut body = answer.into_body();
                    if good {
                        return Ok(body);
                    }
                    let text = body.with_config().limit(LONGEST).read_to_string();
                    let reason = refusal(&text.unwrap_or_default(), status);
                    // One that has no leader may have a neighbour that has.
                    if status != 503 {
                        return Err(Error::Refused(reason));
                    }
                    last = format!("{endpoint}: {reason}");
                }
                Err(error) => last = format!("{endpoint}: {error}"),
            }
            self.at = (self.at + 1) % self.endpoints.len();
        }
        Err(Error::Away(last))
    }

    fn ask(&mut self, path: &str, body: &Value) -> Result<Value, Error> {
        let mut answer = self.send(path, body, false)?;
        let text = answer.with_config().limit(LONGEST).read_to_string();
        let text = text.map_err(|error| Error::Away(error.to_string()))?;
        let value: Value = serde_json::from_str(&text).map_err(|_| nonsense(&text))?;
        if value.is_object() {
            Ok(value)
        } else {
            Err(nonsense(&text))
        }
    }

    /// All keys that begin so, and the change that they are as of.
    pub fn list(&mut self, prefix: &str) -> Result<(Vec<Item>, i64), Error> {
        let end = code(&end_of(prefix));
        let (mut from, mut as_of) = (prefix.to_owned(), 0);
        let mut all = Vec::new();
        loop {
            let mut body =
                json!({"key": code(from.as_bytes()), "range_end": end, "limit": PAGE.to_string()});
            if as_of != 0 {
                body["revision"] = as_of.to_string().into();
            }
            let answer = self.ask("/v3/kv/range", &body)?;
            as_of = revision(&answer)?;
            for one in answer
                .get("kvs")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                all.push(item(one)?);
            }
            match all.last() {
                Some(last) if answer.get("more").and_then(Value::as_bool) == Some(true) => {
                    from = format!("{}\0", last.key);
                }
                _ => return Ok((all, as_of)),
            }
        }
    }

    /// A key, if it is there.
    pub fn get(&mut self, key: &str) -> Result<Option<Item>, Error> {
        let answer = self.ask("/v3/kv/range", &json!({"key": code(key.as_bytes())}))?;
        revision(&answer)?;
        let found = answer.get("kvs").and_then(|all| all.get(0));
        found.map(item).transpose()
    }

    /// Writes all of these under a lease, if each key is still as of the change that is named with it: 0 is a key that is not
    /// there. Whether it was.
    pub fn put_if(
        &mut self,
        puts: &[(String, Vec<u8>)],
        revisions: &[(String, i64)],
        lease: i64,
    ) -> Result<bool, Error> {
        let compare = |(key, revision): &(String, i64)| json!({"key": code(key.as_bytes()), "target": "MOD", "result": "EQUAL", "mod_revision": revision.to_string()});
        let put = |(key, value): &(String, Vec<u8>)| json!({"request_put": {"key": code(key.as_bytes()), "value": code(value), "lease": lease.to_string()}});
        let body = json!({
            "compare": revisions.iter().map(compare).collect::<Vec<_>>(),
            "success": puts.iter().map(put).collect::<Vec<_>>(),
        });
        let answer = self.ask("/v3/kv/txn", &body)?;
        revision(&answer)?;
        Ok(answer.get("succeeded").and_then(Value::as_bool) == Some(true))
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: &str) -> Result<(), Error> {
        self.ask("/v3/kv/deleterange", &json!({"key": code(key.as_bytes())}))
            .map(drop)
    }

    /// Makes a lease of so many seconds.
    pub fn grant(&mut self, seconds: u32) -> Result<i64, Error> {
        let answer = self.ask("/v3/lease/grant", &json!({"TTL": seconds.to_string()}))?;
        let lease = number(&answer, "ID")?;
        if lease == 0 {
            return Err(nonsense(&answer.to_string()));
        }
        Ok(lease)
    }

    /// Begins a lease's time again; false if it has ended.
    pub fn keep_alive(&mut self, lease: i64) -> Result<bool, Error> {
        let answer = self.ask("/v3/lease/keepalive", &json!({"ID": lease.to_string()}))?;
        let result = answer.get("result").unwrap_or(&answer);
        Ok(number(result, "TTL")? > 0)
    }

    /// Ends a lease, and with it the keys that live by it.
    pub fn revoke(&mut self, lease: i64) -> Result<(), Error> {
        self.ask("/v3/lease/revoke", &json!({"ID": lease.to_string()}))
            .map(drop)
    }

    /// Follows the changes of all keys that begin so, from this one on.
    pub fn watch(&mut self, prefix: &str, from: i64) -> Result<Changes, Error> {
        let body = json!({"create_request": {
            "key": code(prefix.as_bytes()), "range_end": code(&end_of(prefix)), "start_revision": from.to_string(),
        }});
        let body = self.send("/v3/watch", &body, true)?;
        let reader = body.into_with_config().limit(u64::MAX).reader();
        Ok(Changes {
            lines: BufReader::new(Box::new(reader)),
        })
    }
}

/// The changes of a watch.
pub struct Changes {
    lines: BufReader<Box<dyn std::io::Read + Send>>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Changes")
    }
}

impl Changes {
    /// Waits for the next ones, and the change that they are as of. None, and no change, says that the watch has ended or is
    /// silent, and is to be made anew.
    pub fn wait(&mut self) -> Result<Option<(Vec<Change>, i64)>, Error> {
        let mut line = String::new();
        let read = std::io::Read::take(&mut self.lines, LONGEST).read_line(&mut line);
        match read {
            // Silence, or the end of the connection: whether etcd is away, the next request says.
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
        changes(&line).map(Some)
    }
}

/// A line of a watch.
fn changes(line: &str) -> Result<(Vec<Change>, i64), Error> {
    let value: Value = serde_json::from_str(line).map_err(|_| nonsense(line))?;
    if let Some(error) = value.get("error") {
        // As of a server that ends, or that has lost the others.
        return Err(Error::Away(refusal(&error.to_string(), 200)));
    }
    let result = value.get("result").ok_or_else(|| nonsense(line))?;
    if number(result, "compact_revision")? != 0 {
        return Err(Error::Compacted);
    }
    if result.get("canceled").and_then(Value::as_bool) == Some(true) {
        let reason = result.get("cancel_reason").and_then(Value::as_str);
        return Err(Error::Refused(
            reason.unwrap_or("the watch was ended").to_owned(),
        ));
    }
    let events = result.get("events").and_then(Value::as_array);
    let change = |event: &Value| {
        let kv = event.get("kv").ok_or_else(|| nonsense(line))?;
        let item = item(kv)?;
        match event.get("type").and_then(Value::as_str) {
            Some("DELETE") => Ok(Change::Gone(item.key)),
            _ => Ok(Change::Put(item)),
        }
    };
    let all: Result<Vec<Change>, Error> = events.into_iter().flatten().map(change).collect();
    Ok((all?, revision(result)?))
}

fn tls(conf: &EtcdConf) -> Result<TlsConfig, String> {
    // It is there already where two clients are made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut tls = TlsConfig::builder();
    if conf.endpoints.iter().any(|one| one.starts_with("https:")) {
        let mut roots = Vec::new();
        for one in pem(&conf.ca_file)? {
            if let PemItem::Certificate(certificate) = one {
                roots.push(certificate);
            }
        }
        if roots.is_empty() {
            return Err(format!("{}: has no certificate", conf.ca_file.display()));
        }
        tls = tls.root_certs(RootCerts::new_with_certs(&roots));
    }
    if let Some((cert_file, key_file)) = &conf.client {
        let mut chain: Vec<Certificate<'static>> = Vec::new();
        let mut key: Option<PrivateKey<'static>> = None;
        for file in [cert_file, key_file] {
            for one in pem(file)? {
                match one {
                    PemItem::Certificate(certificate) if file == cert_file => {
                        chain.push(certificate)
                    }
                    PemItem::PrivateKey(found) if file == key_file => key = Some(found),
                    _ => {}
                }
            }
        }
        if chain.is_empty() {
            return Err(format!("{}: has no certificate", cert_file.display()));
        }
        let key = key.ok_or_else(|| format!("{}: has no private key", key_file.display()))?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(tls.build())
}

fn pem(path: &std::path::Path) -> Result<Vec<PemItem<'static>>, String> {
    let name = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| format!("{name}: {}", glb_config::io_reason(&error)))?;
    let items: Result<Vec<_>, _> = ureq::tls::parse_pem(&bytes).collect();
    items.map_err(|error| format!("{name}: {error}"))
}

fn code(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn decode(value: &Value, field: &str) -> Result<Vec<u8>, Error> {
    let text = value.get(field).and_then(Value::as_str).unwrap_or_default();
    BASE64_STANDARD
        .decode(text)
        .map_err(|_| nonsense(&value.to_string()))
}

/// The first key behind all that begin so.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // Prefixes end in a slash.
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

fn item(value: &Value) -> Result<Item, Error> {
    let key = String::from_utf8(decode(value, "key")?);
    Ok(Item {
        key: key.map_err(|_| nonsense(&value.to_string()))?,
        value: decode(value, "value")?,
        revision: number(value, "mod_revision")?,
        lease: number(value, "lease")?,
    })
}

/// The change that an answer is as of.
fn revision(answer: &Value) -> Result<i64, Error> {
    let header = answer
        .get("header")
        .ok_or_else(|| nonsense(&answer.to_string()))?;
    number(header, "revision")
}

/// A number, which JSON has as text, and not at all where it is 0.
fn number(value: &Value, field: &str) -> Result<i64, Error> {
    match value.get(field) {
        None => Ok(0),
        Some(Value::String(text)) => text.parse().map_err(|_| nonsense(&value.to_string())),
        Some(other) => other.as_i64().ok_or_else(|| nonsense(&value.to_string())),
    }
}

fn nonsense(text: &str) -> Error {
    const SOME: usize = 80;
    Error::Nonsense(text.trim().chars().take(SOME).collect())
}

/// What etcd says of a request that it refused.
fn refusal(text: &str, status: u16) -> String {
    let value: Option<Value> = serde_json::from_str(text).ok();
    let said = value.as_ref().and_then(|value| {
        let said = value.get("message").or_else(|| value.get("error"));
        said.and_then(Value::as_str)
    });
    said.map_or_else(|| format!("HTTP status {status}"), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_watch() {
        let created = r#"{"result":{"header":{"revision":"7"},"created":true}}"#;
        assert_eq!(changes(created), Ok((Vec::new(), 7)));
        let put = r#"{"result":{"header":{"revision":"8"},"events":[
            {"kv":{"key":"L2dsYg==","value":"eA==","mod_revision":"8","lease":"9"}},{"type":"DELETE","kv":{"key":"Yg=="}}]}}"#;
        let item = Item {
            key: "/glb".to_owned(),
            value: b"x".to_vec(),
            revision: 8,
            lease: 9,
        };
        let wanted = vec![Change::Put(item), Change::Gone("b".to_owned())];
        assert_eq!(changes(put), Ok((wanted, 8)));
        let compacted =
            r#"{"result":{"header":{"revision":"9"},"canceled":true,"compact_revision":"5"}}"#;
        assert_eq!(changes(compacted), Err(Error::Compacted));
        let canceled = r#"{"result":{"header":{},"canceled":true,"cancel_reason":"no"}}"#;
        assert_eq!(changes(canceled), Err(Error::Refused("no".to_owned())));
        let error = r#"{"error":{"grpc_code":14,"message":"no leader"}}"#;
        assert_eq!(changes(error), Err(Error::Away("no leader".to_owned())));
    }

    #[test]
    fn nonsense_is_said_and_not_taken() {
        for line in [
            "",
            "<html>",
            "[]",
            "{}",
            "{\"result\":7}",
            r#"{"result":{"header":{"revision":"x"}}}"#,
            r#"{"result":{"header":{"revision":"1"},"events":[{}]}}"#,
            r#"{"result":{"header":{"revision":"1"},"events":[{"kv":{"key":"%%"}}]}}"#,
            r#"{"result":{"header":{"revision":"1"},"events":[{"kv":{"key":"/w=="}}]}}"#,
        ] {
            assert!(matches!(changes(line), Err(Error::Nonsense(_))), "{line}");
        }
    }

    #[test]
    fn a_prefix_ends_before_the_next_key() {
        assert_eq!(end_of("/glb/"), b"/glb0");
    }
}
