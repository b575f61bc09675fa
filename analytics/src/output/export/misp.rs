//! A MISP event: an attribute for each address, name and URI, each once. Only what an analyst judged High is marked for
//! detection (`to_ids`).

use std::collections::HashSet;

use aggregator::lake::Source;
use serde_json::json;

use super::row::Row;
use super::stix::{OURS, uuid5};
use super::{About, MAX_OBJECT_ROWS};
use crate::output::{OutputError, json as text};

#[derive(Default)]
pub(super) struct Event {
    written: HashSet<(&'static str, String)>,
    rows: u64,
    any: bool,
}

impl Event {
    pub(super) fn head(&mut self, about: &About, out: &mut Vec<u8>) -> Result<(), OutputError> {
        let mut fields = Vec::new();
        text::push_value(
            &mut fields,
            &json!({
                "uuid": uuid5(&OURS, &format!("misp {} {}", about.title, about.made)), "info": about.title,
                "date": about.made.get(..10).unwrap_or_default(), "threat_level_id": "4", "analysis": "1", "distribution": "0",
                "published": false,
            }),
        )?;
        fields.pop();
        out.extend_from_slice(b"{\"Event\":");
        out.extend_from_slice(&fields);
        out.extend_from_slice(b",\"Attribute\":[\n");
        Ok(())
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
                format: "misp",
                detail: format!("an event may have {MAX_OBJECT_ROWS} records; ask for less"),
            });
        }
        // What is marked for detection is what was contacted, never the own host.
        let attributes: [(&'static str, &str, bool); 4] = match source {
            Source::Flow => [
                ("ip-src", row.text("src_ip"), false),
                ("ip-dst", row.text("dst_ip"), true),
                ("", "", false),
                ("", "", false),
            ],
            Source::Dns => [
                ("ip-src", row.text("client_ip"), false),
                ("domain", row.text("qname_wire"), true),
                ("", "", false),
                ("", "", false),
            ],
            Source::Proxy => [
                ("ip-src", row.text("client_ip"), false),
                ("ip-dst", row.text("server_ip"), false),
                ("url", row.text("full_uri"), true),
                ("user-agent", row.text("user_agent"), false),
            ],
        };
        for (kind, value, is_target) in attributes {
            if value.is_empty() || !self.written.insert((kind, value.to_owned())) {
                continue;
            }
            if self.any {
                out.extend_from_slice(b",\n");
            }
            self.any = true;
            let time = row.micros("first_seen").unwrap_or(0).div_euclid(1_000_000);
            text::push_value(
                out,
                &json!({
                    "uuid": uuid5(&OURS, &format!("{} {} {kind} {value}", about.title, about.made)), "type": kind,
                    "category": "Network activity", "value": value, "to_ids": is_target && severity == Some(1),
                    "distribution": "5", "timestamp": time.to_string(), "first_seen": row.text("first_seen"),
                    "comment": format!("{} record {}", source.as_str(), row.text("record_id")),
                }),
            )?;
        }
        Ok(())
    }
}
