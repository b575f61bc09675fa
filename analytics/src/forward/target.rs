//! Where alerts go, as one URL, and who may be reached.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::http::{Http, Taken};
use super::ipfix::{self, Ipfix};
use super::queue::Entry;
use super::syslog::{Syslog, SyslogTransport};
use super::{Form, ForwardError};

/// Longest wait for the other side.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a target is made of.
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// `file:PATH`, `http://…` or `https://…` (webhook), `elastic+https://HOST:9200/INDEX`, `syslog+udp://HOST:514`, `syslog+tcp://…`, `syslog+tls://HOST:6514`,
    /// `kafka://HOST:9092,…/TOPIC`, `kafka+tls://HOST:9093,…/TOPIC`, `mongodb://HOST:27017,…/DATABASE/COLLECTION`, `mongodb+tls://…`, `ipfix+udp://HOST:4739`, `ipfix+tcp://HOST:4739`.
    pub to: String,
    /// Hosts that may be reached, as `siem.example` or `siem.example:8443`. A target on the network must be among them.
    pub allow: Vec<String>,
    /// Authorities (PEM) that vouch for the other side, in place of those browsers know.
    pub tls_ca: Option<PathBuf>,
    /// File whose first line is sent as the `authorization` header, as `Bearer …` or `ApiKey …`; with [`Self::sasl`], and for MongoDB,
    /// the user in its first line, the password in its second.
    pub authorization_file: Option<PathBuf>,
    /// Kafka: `plain`, `scram-sha-256` or `scram-sha-512`.
    pub sasl: Option<String>,
    /// Kafka by TLS: our certificate and its key, PEM.
    pub tls_client: Option<(PathBuf, PathBuf)>,
}

/// An open target.
pub(super) enum Target {
    File(PathBuf),
    Webhook(Http),
    Elastic {
        http: Http,
        index: String,
    },
    Syslog(Syslog),
    Ipfix(Ipfix),
    #[cfg(feature = "kafka")]
    Kafka(capture::kafka::KafkaProducer),
    #[cfg(feature = "mongodb")]
    Mongodb(super::mongodb::Mongodb),
}

impl TargetOptions {
    /// The host and port of a target on the network; nothing for a file.
    fn host(&self) -> Result<Option<(&str, &str)>, ForwardError> {
        let wrong = |reason: &str| ForwardError::Target { to: self.to.clone(), reason: reason.to_owned() };
        if let Some(path) = self.to.strip_prefix("file:") {
            return if path.is_empty() { Err(wrong("name a file, as file:/var/log/alerts.jsonl")) } else { Ok(None) };
        }
        let Some((scheme, rest)) = self.to.split_once("://") else {
            return Err(wrong(
                "use file:PATH, https://HOST/PATH, elastic+https://HOST:9200/INDEX, syslog+udp://HOST:514, syslog+tcp://, syslog+tls://, kafka://HOST:9092/TOPIC, kafka+tls://, mongodb://HOST:27017/DATABASE/COLLECTION, mongodb+tls://, ipfix+udp://HOST:4739 or ipfix+tcp://",
            ));
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(wrong("no user or password in the URL: put an authorization header into a file"));
        }
        if authority.is_empty() {
            return Err(wrong("it has no host"));
        }
        Ok(Some((scheme, authority)))
    }

    /// Whether it takes flow records, and nothing else.
    pub(super) fn is_ipfix(&self) -> bool {
        self.to.starts_with("ipfix+")
    }

    /// Checks without opening anything.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn check(&self) -> Result<(), ForwardError> {
        let wrong = |reason: String| ForwardError::Target { to: self.to.clone(), reason };
        let Some((scheme, authority)) = self.host()? else { return Ok(()) };
        let known = [
            "http",
            "https",
            "elastic+http",
            "elastic+https",
            "syslog+udp",
            "syslog+tcp",
            "syslog+tls",
            "ipfix+udp",
            "ipfix+tcp",
        ];
        let is_kafka = matches!(scheme, "kafka" | "kafka+tls");
        let is_mongodb = matches!(scheme, "mongodb" | "mongodb+tls");
        if !known.contains(&scheme) && !is_kafka && !is_mongodb {
            return Err(wrong(format!(
                "there is no way {scheme}://: use one of {}, kafka, kafka+tls, mongodb, mongodb+tls",
                known.join(", ")
            )));
        }
        for authority in authority.split(',') {
            let name = without_port(authority);
            if !self.allow.iter().any(|allowed| allowed == authority || allowed == name) {
                return Err(wrong(format!(
                    "\"{name}\" is not allowed: add it to the hosts that may be reached (allow)"
                )));
            }
        }
        if is_kafka {
            return self.check_kafka();
        }
        if is_mongodb {
            return self.check_mongodb();
        }
        if self.sasl.is_some() || self.tls_client.is_some() {
            return Err(wrong("sasl, and a certificate of ours, are for Kafka".to_owned()));
        }
        let name = without_port(authority);
        if (scheme.starts_with("syslog+") || self.is_ipfix()) && name.len() == authority.len() {
            return Err(wrong("it needs a port, as :514 (syslog) or :4739 (IPFIX)".to_owned()));
        }
        if scheme.starts_with("elastic+") && index(&self.to).is_none() {
            return Err(wrong("the path is the index, as /spotter-alerts".to_owned()));
        }
        Ok(())
    }

    pub(super) fn open(&self) -> Result<Target, ForwardError> {
        self.check()?;
        #[cfg(feature = "kafka")]
        if self.to.starts_with("kafka") {
            return self.open_kafka();
        }
        #[cfg(feature = "mongodb")]
        if self.to.starts_with("mongodb") {
            return self.open_mongodb();
        }
        let wrong = |reason: String| ForwardError::Target { to: self.to.clone(), reason };
        let authorities = self.tls_ca.as_deref().map(|path| certificates(path).map_err(&wrong)).transpose()?;
        let authorization = match &self.authorization_file {
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|e| wrong(format!("reading {}: {e}", path.display())))?;
                Some(text.lines().next().unwrap_or_default().trim().to_owned())
            }
            None => None,
        };
        let Some((scheme, authority)) = self.host()? else {
            return Ok(Target::File(self.to.trim_start_matches("file:").into()));
        };
        if self.is_ipfix() {
            let transport = if scheme == "ipfix+udp" { ipfix::Transport::Udp } else { ipfix::Transport::Tcp };
            return Ok(Target::Ipfix(Ipfix::new(transport, authority, TIMEOUT)));
        }
        let http = |url: &str| {
            let list = authorities.as_ref().map(|all| all.iter().map(|one| one.to_vec()).collect());
            Http::new(url, authorization.clone(), list, TIMEOUT)
        };
        Ok(match scheme.strip_prefix("elastic+") {
            Some(plain) => Target::Elastic {
                http: http(&format!("{plain}://{authority}/_bulk")),
                index: index(&self.to).unwrap_or_default(),
            },
            None if scheme.starts_with("http") => Target::Webhook(http(&self.to)),
            None => {
                let transport = match scheme {
                    "syslog+udp" => SyslogTransport::Udp,
                    "syslog+tcp" => SyslogTransport::Tcp,
                    _ => SyslogTransport::Tls(client(authorities).map_err(wrong)?),
                };
                Target::Syslog(Syslog::new(transport, authority, TIMEOUT))
            }
        })
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn index(to: &str) -> Option<String> {
    let path = to.split_once("://")?.1.split_once('/')?.1;
    let is_good = !path.is_empty() && !path.contains(['/', '?', '#', '"', '\\', ' ', '*', ',']);
    is_good.then(|| path.to_owned())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match all {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => Err(format!("{} holds no certificate", path.display())),
        Err(error) => Err(format!("{} holds no certificate that can be used: {error}", path.display())),
    }
}

fn client(authorities: Option<Vec<CertificateDer<'static>>>) -> Result<Arc<ClientConfig>, String> {
    let Some(list) = authorities else {
        return Err("TLS needs tls_ca: the certificate (PEM) of the authority of the server".to_owned());
    };
    let mut roots = RootCertStore::empty();
    for authority in list {
        roots.add(authority).map_err(|e| e.to_string())?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(not(feature = "kafka"))]
impl TargetOptions {
    fn check_kafka(&self) -> Result<(), ForwardError> {
        let reason = "this build has no Kafka (feature `kafka`)".to_owned();
        Err(ForwardError::Target { to: self.to.clone(), reason })
    }
}

#[cfg(not(feature = "mongodb"))]
impl TargetOptions {
    fn check_mongodb(&self) -> Result<(), ForwardError> {
        let reason = "this build has no MongoDB (feature `mongodb`)".to_owned();
        Err(ForwardError::Target { to: self.to.clone(), reason })
    }
}

impl Target {
    /// Sends a batch: all of it is taken or refused for good, or the error says why it is to be tried again.
    pub(super) fn send(&mut self, entries: &[Entry], form: Form) -> Result<Taken, String> {
        let all = entries.len() as u64;
        match self {
            Self::File(path) => {
                append(path, entries).map(|()| Taken { sent: all, rejected: 0 }).map_err(|e| e.to_string())
            }
            Self::Webhook(http) => http.webhook(entries, form != Form::Cef),
            Self::Elastic { http, index } => http.bulk(index, entries),
            Self::Syslog(syslog) => {
                let payloads: Vec<&[u8]> = entries.iter().map(|entry| entry.payload.as_slice()).collect();
                let rejected = syslog.send(&payloads).map_err(|e| e.to_string())?;
                Ok(Taken { sent: all - rejected, rejected })
            }
            Self::Ipfix(ipfix) => {
                let rejected = ipfix.send(entries).map_err(|e| e.to_string())?;
                Ok(Taken { sent: all - rejected, rejected })
            }
            #[cfg(feature = "kafka")]
            Self::Kafka(producer) => {
                let batch = entries.iter().map(|entry| (entry.id.as_bytes(), entry.payload.as_slice()));
                let done = producer.send(batch).map_err(|e| e.to_string())?;
                Ok(Taken { sent: done.sent, rejected: done.refused })
            }
            #[cfg(feature = "mongodb")]
            Self::Mongodb(collection) => collection.insert(entries),
        }
    }
}

fn append(path: &Path, entries: &[Entry]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend(&entry.payload);
        bytes.push(b'\n');
    }
    if path.as_os_str() == "-" {
        let mut out = std::io::stdout().lock();
        return out.write_all(&bytes).and_then(|()| out.flush());
    }
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(&bytes)?;
    file.sync_data()
}
