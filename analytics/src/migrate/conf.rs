//! Spot's settings: `spot.conf`, a shell file, and `ingest_conf.json`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{Found, Left};

/// A setting of Spot's and what becomes of it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Setting {
    /// As Spot calls it.
    pub from: String,
    /// The key of the configuration.
    pub to: String,
    /// Its value, as TOML.
    pub value: String,
}

/// Reads `NAME=VALUE` lines; `${NAME}` is what stood before.
fn variables(text: &str) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("export ").trim_start();
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let value = value.trim();
        let value = match value.chars().next() {
            Some(quote @ ('\'' | '"')) => value.get(1..).unwrap_or_default().split(quote).next().unwrap_or_default(),
            _ => value.split_once(" #").map_or(value, |(value, _)| value).trim(),
        };
        let mut value = value.to_owned();
        for (known, text) in &all {
            value = value.replace(&format!("${{{known}}}"), text);
        }
        all.insert(name.to_owned(), value);
    }
    all
}

/// Why a key of `spot.conf` has no counterpart.
fn why_left(name: &str) -> &'static str {
    match name {
        "UINODE" | "MLNODE" | "GWNODE" => "one machine does all of it",
        "TOL" => "an absolute score means little; score.limit says how many rows are kept",
        "DUPFACTOR" => "verdicts reach by their scope and are not copied into the training",
        "PRECISION" | "LDA_ALPHA" | "LDA_BETA" => "the model is fitted until it converges, with priors of its own",
        "LDA_OPTIMIZER" => "`spotter score --optimizer` chooses",
        "LUSER" | "LPATH" | "RPATH" | "LIPATH" => "there are no working folders",
        "KERBEROS" | "KINIT" | "PRINCIPAL" | "KEYTAB" | "SASL_MECH" | "SECURITY_PROTO" | "KAFKA_SERVICE_NAME"
        | "SSL" | "SSL_VERIFY" | "CA_LOCATION" | "CERT" | "KEY" => {
            "it is for reaching the cluster; for browsers see [ui] tls_cert, for Kafka [[kafka]] tls and sasl"
        }
        _ if name.starts_with("SPK_") => "there is no Spark",
        "HUSER" | "NAME_NODE" | "HPATH" | "FLOW_PATH" | "DNS_PATH" | "PROXY_PATH" | "DBNAME" | "DBENGINE"
        | "JDBC_URL" => {
            "there is no Hadoop: the lake is a folder of Parquet files; name the folder of Hive's tables to take them over"
        }
        _ if name.starts_with("IMPALA_") || name.starts_with("HS2_") => {
            "there is no Impala and no Hive: `spotter query` takes SQL"
        }
        _ => "nothing of Spotter's is set by it",
    }
}

/// Why one of the small configuration files has none.
pub(super) fn why_file_left(name: &str) -> &'static str {
    match name {
        "engine.json" => "there is no Impala and no Hive",
        "iana_config.json" => "names of types, classes and codes are built in",
        "nc_config.json" => "it only names the context file: name that one",
        _ => {
            "McAfee GTI's client and ThreatExchange 2.4 are gone: `spotter context add --kind reputation` takes lists, STIX and MISP"
        }
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(super) fn spot_conf(text: &str, found: &mut Found) {
    let mut left: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (name, value) in variables(text) {
        let setting = |to: &str, value: String| Setting { from: name.clone(), to: to.to_owned(), value };
        let taken = match name.as_str() {
            "USER_DOMAIN" if !value.is_empty() => Some(setting("score.user_domain", quoted(&value))),
            "TOPIC_COUNT" => {
                let count = value.parse::<u16>().ok().filter(|count| (2..=256).contains(count));
                count.map(|count| setting("score.topics", count.to_string()))
            }
            "WEB_PORT" => {
                let port = value.parse::<u16>().ok().filter(|port| *port > 0);
                port.map(|port| setting("ui.listen", quoted(&format!("127.0.0.1:{port}"))))
            }
            _ => None,
        };
        match taken {
            Some(setting) => found.settings.push(setting),
            // What is not set needs no counterpart.
            None if value.is_empty() => {}
            None => left.entry(why_left(&name)).or_default().push(name),
        }
    }
    found.left.extend(left.into_iter().map(|(why, names)| Left { what: names.join(", "), why: why.to_owned() }));
}

pub(super) fn ingest_conf(text: &str, found: &mut Found) -> Result<(), String> {
    let conf: Value = serde_json::from_str(text).map_err(|e| format!("no JSON: {e}"))?;
    let conf = conf.as_object().ok_or("no JSON object")?;
    let pipelines = conf.get("pipelines").and_then(Value::as_object);
    for (name, pipeline) in pipelines.into_iter().flatten() {
        let Some(folder) = pipeline.get("collector_path").and_then(Value::as_str).filter(|path| !path.is_empty())
        else {
            let why = "it has no collector_path".to_owned();
            found.left.push(Left { what: format!("pipeline {name}"), why });
            continue;
        };
        let mut safe: String =
            name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(59).collect();
        let taken = |name: &str| found.settings.iter().any(|s| s.from == format!("pipeline {name}"));
        if safe.is_empty() || taken(&safe) {
            safe.push_str(&format!("-{}", found.settings.len()));
        }
        found.settings.push(Setting {
            from: format!("pipeline {safe}"),
            to: "watch".to_owned(),
            value: format!("name = {}\ndir = {}", quoted(&safe), quoted(folder)),
        });
    }
    for (name, why) in [
        ("kafka", "no broker stands between collecting and the lake; [[kafka]] reads topics of pmacct and of Spotters"),
        ("spark-streaming", "there is no Spark"),
        ("dbname", "there is no Hive"),
        ("hdfs_app_path", "there is no Hadoop"),
        ("collector_processes", "files are read one after the other, each on all cores it can use"),
        ("ingestion_interval", "watched folders are looked at each second"),
    ] {
        if conf.contains_key(name) {
            found.left.push(Left { what: format!("ingest_conf.json {name}"), why: why.to_owned() });
        }
    }
    Ok(())
}

/// Tables in the order of their keys, then the watched folders.
pub(super) fn to_toml(settings: &[Setting]) -> String {
    let mut tables: BTreeMap<&str, Vec<(&str, &Setting)>> = BTreeMap::new();
    for setting in settings {
        if let Some((table, key)) = setting.to.split_once('.') {
            tables.entry(table).or_default().push((key, setting));
        }
    }
    let mut out = "# Taken over from Apache Spot. `spotter config show` has every key.\n".to_owned();
    for (table, keys) in tables {
        out.push_str(&format!("\n[{table}]\n"));
        // The last word counts where two files say something.
        let last: BTreeMap<&str, &Setting> = keys.into_iter().collect();
        for (key, setting) in last {
            out.push_str(&format!("{key} = {}    # {}\n", setting.value, setting.from));
        }
    }
    for setting in settings.iter().filter(|setting| setting.to == "watch") {
        out.push_str(&format!("\n[[watch]]    # {}\n{}\n", setting.from, setting.value));
    }
    out
}
