//! A STIX 2.1 bundle: what was seen (observed-data over cyber-observables), what is bad (an indicator for each thing that
//! an analyst judged High), and what was judged (opinions).
//!
//! Observables have the UUIDv5 that the specification (2.9) makes of their contributing properties, so two bundles name
//! the same address alike. Other objects have one made of the record, so a second export is the same file.

use std::collections::HashSet;

use aggregator::lake::Source;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::row::{Row, object, transport};
use super::{About, MAX_OBJECT_ROWS};
use crate::output::{OutputError, json as text};

/// Namespace of STIX observables.
const OBSERVABLES: [u8; 16] =
    [0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7];
/// Namespace of everything else here, drawn once.
pub(super) const OURS: [u8; 16] =
    [0x8d, 0x1f, 0x3a, 0x52, 0x6b, 0x0e, 0x4f, 0x7c, 0x9a, 0x3d, 0x51, 0x2e, 0x77, 0xc4, 0x08, 0xb6];
/// Marking TLP:AMBER of STIX 2.1.
const TLP_AMBER: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";

/// UUIDv5 (RFC 9562, 5.5).
pub(super) fn uuid5(namespace: &[u8; 16], name: &str) -> String {
    let mut sha = Sha1::new();
    sha.update(namespace);
    sha.update(name.as_bytes());
    let digest = sha.finalize();
    let mut id = [0_u8; 16];
    for (to, from) in id.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    id[6] = id[6] & 0x0f | 0x50;
    id[8] = id[8] & 0x3f | 0x80;
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// What was written already.
#[derive(Default)]
pub(super) struct Bundle {
    written: HashSet<String>,
    rows: u64,
}

impl Bundle {
    pub(super) fn head(&mut self, about: &About, out: &mut Vec<u8>) -> Result<(), OutputError> {
        let id = format!("bundle--{}", uuid5(&OURS, &format!("{} {}", about.title, about.made)));
        out.extend_from_slice(format!("{{\"type\":\"bundle\",\"id\":\"{id}\",\"objects\":[\n").as_bytes());
        text::push_value(
            out,
            &json!({
                "type": "identity", "spec_version": "2.1", "id": identity(), "created": "2026-01-01T00:00:00.000Z",
                "modified": "2026-01-01T00:00:00.000Z", "name": "Spotter", "identity_class": "system", "description": about.title,
            }),
        )
    }

    pub(super) fn row(
        &mut self,
        source: Source,
        row: &Row,
        severity: Option<u8>,
        about: &About,
        out: &mut Vec<u8>,
    ) -> Result<(), OutputError> {
        self.rows += 1;
        if self.rows > MAX_OBJECT_ROWS {
            return Err(OutputError::Format {
                format: "stix",
                detail: format!("a bundle may have {MAX_OBJECT_ROWS} records; ask for less"),
            });
        }
        let mut refs = Vec::new();
        let mut patterns = Vec::new();
        match source {
            Source::Flow => {
                let src = self.address(row.text("src_ip"), out)?;
                let dst = self.address(row.text("dst_ip"), out)?;
                self.traffic(row, src.as_deref(), dst.as_deref(), &mut refs, out)?;
                refs.extend([src, dst].into_iter().flatten());
                patterns.extend(pattern_of_address(row.text("dst_ip")));
            }
            Source::Dns => {
                refs.extend(self.address(row.text("client_ip"), out)?);
                let name = row.text("qname_wire").to_lowercase();
                refs.extend(self.observable("domain-name", &name, out)?);
                patterns.push(format!("[domain-name:value = {}]", literal(&name)));
            }
            Source::Proxy => {
                refs.extend(self.address(row.text("client_ip"), out)?);
                refs.extend(self.observable("url", row.text("full_uri"), out)?);
                patterns.push(format!("[url:value = {}]", literal(row.text("full_uri"))));
            }
        }
        if refs.is_empty() {
            return Ok(());
        }
        let (first, last) =
            (stamp(row.text("first_seen")), stamp(row.some("last_seen").unwrap_or(row.text("first_seen"))));
        let record = row.text("record_id");
        let made = stamp(&about.made);
        let observed = format!("observed-data--{}", uuid5(&OURS, &format!("observed {record}")));
        self.put(
            &observed,
            &json!({
                "type": "observed-data", "spec_version": "2.1", "id": observed, "created_by_ref": identity(), "created": made,
                "modified": made, "first_observed": first, "last_observed": last, "number_observed": 1, "object_refs": refs,
                "object_marking_refs": [TLP_AMBER],
            }),
            out,
        )?;
        if let Some(severity) = severity {
            let opinion = format!("opinion--{}", uuid5(&OURS, &format!("opinion {record}")));
            let words = match severity {
                1 => "strongly-agree",
                2 => "agree",
                _ => "disagree",
            };
            self.put(
                &opinion,
                &json!({
                    "type": "opinion", "spec_version": "2.1", "id": opinion, "created_by_ref": identity(), "created": made, "modified": made,
                    "opinion": words, "explanation": "An analyst's verdict: strongly-agree is a high threat, disagree is benign.",
                    "object_refs": [observed], "object_marking_refs": [TLP_AMBER],
                }),
                out,
            )?;
        }
        if severity == Some(1) {
            for pattern in patterns {
                let indicator = format!("indicator--{}", uuid5(&OURS, &pattern));
                self.put(
                    &indicator,
                    &json!({
                        "type": "indicator", "spec_version": "2.1", "id": indicator, "created_by_ref": identity(), "created": made,
                        "modified": made, "name": "Judged a high threat", "indicator_types": ["malicious-activity"],
                        "pattern": pattern, "pattern_type": "stix", "valid_from": first, "object_marking_refs": [TLP_AMBER],
                    }),
                    out,
                )?;
            }
        }
        Ok(())
    }

    fn put(&mut self, id: &str, value: &Value, out: &mut Vec<u8>) -> Result<(), OutputError> {
        if self.written.insert(id.to_owned()) {
            out.extend_from_slice(b",\n");
            text::push_value(out, value)?;
        }
        Ok(())
    }

    /// An observable that is its value.
    fn observable(&mut self, kind: &str, value: &str, out: &mut Vec<u8>) -> Result<Option<String>, OutputError> {
        if value.is_empty() {
            return Ok(None);
        }
        let id = observable_id(kind, &json!({ "value": value }));
        let object = json!({"type": kind, "spec_version": "2.1", "id": id, "value": value});
        self.put(&id, &object, out)?;
        Ok(Some(id))
    }

    fn address(&mut self, ip: &str, out: &mut Vec<u8>) -> Result<Option<String>, OutputError> {
        self.observable(if ip.contains(':') { "ipv6-addr" } else { "ipv4-addr" }, ip, out)
    }

    fn traffic(
        &mut self,
        row: &Row,
        src: Option<&str>,
        dst: Option<&str>,
        refs: &mut Vec<String>,
        out: &mut Vec<u8>,
    ) -> Result<(), OutputError> {
        let (Some(src), Some(dst)) = (src, dst) else { return Ok(()) };
        let proto = row.number("proto").unwrap_or(0);
        let has_ports = matches!(proto, 6 | 17 | 132);
        let mut protocols = vec![if src.starts_with("ipv6") { "ipv6" } else { "ipv4" }.to_owned(), transport(proto)];
        protocols.extend(row.some("service").map(str::to_owned));
        let port = |name: &str| if has_ports { row.value(name) } else { None };
        let start = Some(json!(stamp(row.text("first_seen"))));
        let contributing = object([
            ("start", start.clone()),
            ("end", row.some("last_seen").map(|end| json!(stamp(end)))),
            ("src_ref", Some(json!(src))),
            ("dst_ref", Some(json!(dst))),
            ("src_port", port("src_port")),
            ("dst_port", port("dst_port")),
            ("protocols", Some(json!(protocols))),
        ]);
        let id = observable_id("network-traffic", &contributing);
        let mut object = contributing;
        if let Value::Object(fields) = &mut object {
            fields.insert("type".to_owned(), json!("network-traffic"));
            fields.insert("spec_version".to_owned(), json!("2.1"));
            fields.insert("id".to_owned(), json!(id));
            for (to, from) in [
                ("src_byte_count", "src_bytes"),
                ("dst_byte_count", "dst_bytes"),
                ("src_packets", "src_packets"),
                ("dst_packets", "dst_packets"),
            ] {
                // STIX integers are at most 2^53 - 1.
                if let Some(value) = row.number(from).filter(|value| *value < 1 << 53) {
                    fields.insert(to.to_owned(), json!(value));
                }
            }
        }
        self.put(&id, &object, out)?;
        refs.push(id);
        Ok(())
    }
}

fn identity() -> String {
    format!("identity--{}", uuid5(&OURS, "Spotter"))
}

/// The identifier that the specification makes of contributing properties: canonical JSON (RFC 8785), which sorted keys and
/// no blanks are for text and small integers.
fn observable_id(kind: &str, contributing: &Value) -> String {
    // serde_json's maps are sorted.
    format!("{kind}--{}", uuid5(&OBSERVABLES, &contributing.to_string()))
}

/// Milliseconds, as STIX timestamps commonly have.
fn stamp(time: &str) -> String {
    match chrono::DateTime::parse_from_rfc3339(time) {
        Ok(at) => at.to_utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        Err(_) => "1970-01-01T00:00:00.000Z".to_owned(),
    }
}

fn pattern_of_address(ip: &str) -> Option<String> {
    let kind = if ip.contains(':') { "ipv6-addr" } else { "ipv4-addr" };
    (!ip.is_empty()).then(|| format!("[{kind}:value = {}]", literal(ip)))
}

/// A string of a pattern.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
