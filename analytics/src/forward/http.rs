//! Webhooks, and the bulk requests of Elasticsearch and OpenSearch.
//!
//! Nothing is fetched from anywhere but the host that was named and allowed: no redirect is followed and no proxy of the environment is used.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::queue::Entry;

/// Bytes of an answer that are read.
const MOST: u64 = 16 << 20;

/// What happened to a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Taken {
    /// Taken by the other side.
    pub(super) sent: u64,
    /// Refused for good: another try would be refused again.
    pub(super) rejected: u64,
}

/// Where requests go.
#[derive(Debug)]
pub(super) struct Http {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

/// Whether an answer means that this content will never be taken. All other errors may be mended: of rights, of addresses, of load.
const fn is_final(status: u16) -> bool {
    matches!(status, 400 | 413 | 415 | 422)
}

impl Http {
    pub(super) fn new(
        url: &str,
        authorization: Option<String>,
        authorities: Option<Vec<Vec<u8>>>,
        timeout: Duration,
    ) -> Self {
        let roots = match authorities {
            Some(list) => {
                RootCerts::Specific(Arc::new(list.iter().map(|der| Certificate::from_der(der).to_owned()).collect()))
            }
            None => RootCerts::WebPki,
        };
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("spotter/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        Self { agent: config.new_agent(), url: url.to_owned(), authorization }
    }

    fn post(&self, media: &str, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
        let mut request = self.agent.post(&self.url).header("content-type", media);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut answer = request.send(body).map_err(|e| e.to_string())?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(MOST).read_to_vec().map_err(|e| e.to_string())?;
        Ok((status, text))
    }

    /// A JSON array of the alerts; text of CEF lines with `is_json` false. A batch that is refused for good is tried one by one.
    pub(super) fn webhook(&self, entries: &[Entry], is_json: bool) -> Result<Taken, String> {
        let (mut body, media) = (Vec::new(), if is_json { "application/json" } else { "text/plain; charset=utf-8" });
        let (open, between, close): (&[u8], &[u8], &[u8]) =
            if is_json { (b"[", b",", b"]") } else { (b"", b"\n", b"\n") };
        body.extend(open);
        for (at, entry) in entries.iter().enumerate() {
            body.extend(if at == 0 { &[] } else { between });
            body.extend(&entry.payload);
        }
        body.extend(close);
        let (status, text) = self.post(media, &body)?;
        match (status, entries) {
            (200..=299, _) => Ok(Taken { sent: entries.len() as u64, rejected: 0 }),
            (status, [_]) if is_final(status) => {
                tracing::warn!(status, answer = %short(&text), "an alert is refused for good");
                Ok(Taken { sent: 0, rejected: 1 })
            }
            (status, entries) if is_final(status) => {
                let mut sum = Taken::default();
                for entry in entries {
                    let one = self.webhook(std::slice::from_ref(entry), is_json)?;
                    sum = Taken { sent: sum.sent + one.sent, rejected: sum.rejected + one.rejected };
                }
                Ok(sum)
            }
            (status, _) => Err(format!("{} answered {status}: {}", self.url, short(&text))),
        }
    }

    /// A bulk request with the records' ids: what is sent twice is there once.
    pub(super) fn bulk(&self, index: &str, entries: &[Entry]) -> Result<Taken, String> {
        let mut body = Vec::new();
        for entry in entries {
            body.extend(json!({"create": {"_index": index, "_id": entry.id}}).to_string().as_bytes());
            body.push(b'\n');
            body.extend(&entry.payload);
            body.push(b'\n');
        }
        let (status, text) = self.post("application/x-ndjson", &body)?;
        if !(200..=299).contains(&status) {
            return Err(format!("{} answered {status}: {}", self.url, short(&text)));
        }
        let answer: Value = serde_json::from_slice(&text)
            .map_err(|e| format!("{} did not answer as Elasticsearch does ({e}): {}", self.url, short(&text)))?;
        let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if items.len() != entries.len() {
            return Err(format!("{} answered for {} of {} alerts", self.url, items.len(), entries.len()));
        }
        let mut taken = Taken::default();
        let mut again = None;
        for item in items {
            let done = item.get("create").or_else(|| item.get("index"));
            let status = done.and_then(|done| done.get("status")).and_then(Value::as_u64).unwrap_or(0);
            match status {
                // 409: it is there already.
                200..=299 | 409 => taken.sent += 1,
                400..=428 | 430..=499 => {
                    tracing::warn!(status, answer = %short(item.to_string().as_bytes()), "an alert is refused for good");
                    taken.rejected += 1;
                }
                _ => again = Some(item.to_string()),
            }
        }
        // Those that were taken are sent again, and are there already.
        again.map_or(Ok(taken), |item| Err(format!("{} is overloaded: {}", self.url, short(item.as_bytes()))))
    }
}

fn short(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..300).unwrap_or(text)).into_owned();
    crate::output::escaped(text.trim()).into_owned()
}
