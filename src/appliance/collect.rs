//! One `[[collect]]` of the appliance, and what it and `spotter collect` listen on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::exported_live::{CollectOptions, DtlsSocket, Sockets, collect};
use aggregator::lake::Lake;
use anyhow::Context;
use bytesize::ByteSize;
use capture::collect::AllowList;
use capture::collect::dtls::DtlsTls;
use capture::collect::socket::open_group;
use capture::collect::stream_socket::{StreamListener, StreamTls};
use serde::{Deserialize, Serialize};

use super::config::{Config, Span, is_name};

/// How long an address that cannot be listened on, or a lake that cannot be written, is left before the next try.
const RETRY: Duration = Duration::from_secs(10);

/// Certificate, key, and the authorities of the exporters' certificates.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
}

/// Where exports come to.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    pub(crate) datagrams: Vec<SocketAddr>,
    pub(crate) tcp: Vec<SocketAddr>,
    pub(crate) tls: Vec<SocketAddr>,
    pub(crate) dtls: Vec<SocketAddr>,
    pub(crate) tls_files: Option<TlsFiles>,
    pub(crate) workers: u16,
    pub(crate) buffer: ByteSize,
}

impl Listening {
    /// Opens all of it, or nothing.
    pub(crate) fn open(&self) -> anyhow::Result<Sockets> {
        let buffer = usize::try_from(self.buffer.as_u64()).unwrap_or(usize::MAX);
        let mut sockets = Sockets::default();
        for address in &self.datagrams {
            let group = open_group(*address, usize::from(self.workers), buffer)
                .with_context(|| format!("listening on {address} (UDP)"))?;
            if let Some(first) = group.first() {
                tracing::info!("listening on {} (UDP), {} sockets", first.local_addr()?, group.len());
            }
            sockets.datagrams.extend(group);
        }
        let tls = match &self.tls_files {
            Some(files) if !self.tls.is_empty() => {
                Some(StreamTls::load(&files.cert, &files.key, files.client_ca.as_deref())?)
            }
            _ => None,
        };
        let plain = self.tcp.iter().map(|address| (address, None));
        for (address, tls) in plain.chain(self.tls.iter().map(|address| (address, tls.clone()))) {
            let name = if tls.is_some() { "TLS" } else { "TCP" };
            let listener =
                StreamListener::bind(*address, tls).with_context(|| format!("listening on {address} ({name})"))?;
            tracing::info!("listening on {} ({name})", listener.local_addr()?);
            sockets.streams.push(listener);
        }
        let dtls = match &self.tls_files {
            Some(files) if !self.dtls.is_empty() => {
                Some(DtlsTls::load(&files.cert, &files.key, files.client_ca.as_deref())?)
            }
            _ => None,
        };
        for (address, tls) in self.dtls.iter().filter_map(|address| Some((address, dtls.as_ref()?))) {
            let group = open_group(*address, usize::from(self.workers), buffer)
                .with_context(|| format!("listening on {address} (DTLS)"))?;
            if let Some(first) = group.first() {
                tracing::info!("listening on {} (DTLS), {} sockets", first.local_addr()?, group.len());
            }
            sockets.dtls.extend(group.into_iter().map(|receiver| DtlsSocket { receiver, tls: tls.clone() }));
        }
        Ok(sockets)
    }
}

/// One `[[collect]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CollectConfig {
    /// Name of the input, unique; it stands in the ledger, and templates are kept under it.
    pub(crate) name: String,
    /// UDP: NetFlow, IPFIX and sFlow.
    pub(crate) listen: Vec<SocketAddr>,
    /// IPFIX over TCP.
    pub(crate) listen_tcp: Vec<SocketAddr>,
    /// IPFIX over TLS; needs `tls_cert` and `tls_key`.
    pub(crate) listen_tls: Vec<SocketAddr>,
    /// IPFIX over DTLS; needs `tls_cert` and `tls_key`, the key being ECDSA by P-256 or P-384.
    pub(crate) listen_dtls: Vec<SocketAddr>,
    /// Certificate chain, PEM.
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub(crate) tls_key: Option<PathBuf>,
    /// Exporters must show a certificate of these authorities, PEM.
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Addresses and networks that may export. Empty: all.
    pub(crate) allow: Vec<String>,
    /// Sensor name of its records; `lake.sensor` if absent.
    pub(crate) sensor: Option<String>,
    /// UDP and DTLS sockets, each with a thread, on each address.
    pub(crate) workers: u16,
    /// Receive buffer of each.
    pub(crate) buffer: ByteSize,
    /// TCP and TLS connections and DTLS sessions at once.
    pub(crate) max_connections: u16,
    /// How often finished records become visible.
    pub(crate) flush: Span,
    /// How long a uniflow waits for the opposite one.
    pub(crate) active_timeout: Span,
}

impl Default for CollectConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            listen: Vec::new(),
            listen_tcp: Vec::new(),
            listen_tls: Vec::new(),
            listen_dtls: Vec::new(),
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            allow: Vec::new(),
            sensor: None,
            workers: 1,
            buffer: ByteSize::mib(32),
            max_connections: 64,
            flush: Span(Duration::from_secs(10)),
            active_timeout: Span(Duration::from_secs(60)),
        }
    }
}

impl CollectConfig {
    /// With every key, for the list of known ones.
    pub(super) fn full() -> Self {
        Self {
            sensor: Some(String::new()),
            tls_cert: Some(PathBuf::new()),
            tls_key: Some(PathBuf::new()),
            tls_client_ca: Some(PathBuf::new()),
            ..Self::default()
        }
    }

    /// What is wrong with the values, each with what to do.
    pub(super) fn problems(&self, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |good: bool, problem: String| {
            if !good {
                found.push(format!("{at}.{problem}"));
            }
        };
        let name = "use 1 to 64 letters, digits, '.', '_' or '-'";
        check(is_name(&self.name), format!("name: {name}"));
        check(
            [&self.listen, &self.listen_tcp, &self.listen_tls, &self.listen_dtls].iter().any(|all| !all.is_empty()),
            "listen is missing: say where exports come to, as [\"0.0.0.0:2055\"]".to_owned(),
        );
        let has_both = self.tls_cert.is_some() && self.tls_key.is_some();
        check(has_both || self.listen_tls.is_empty(), "listen_tls needs tls_cert and tls_key".to_owned());
        check(has_both || self.listen_dtls.is_empty(), "listen_dtls needs tls_cert and tls_key".to_owned());
        check(
            has_both || self.tls_client_ca.is_none() && self.tls_cert.is_none() && self.tls_key.is_none(),
            "tls_cert and tls_key go together (and tls_client_ca with both)".to_owned(),
        );
        check(self.sensor.as_deref().is_none_or(is_name), format!("sensor: {name}"));
        if let Err(error) = AllowList::parse(&self.allow) {
            check(false, format!("allow: {error}"));
        }
        check((1..=64).contains(&self.workers), "workers: from 1 to 64".to_owned());
        check(self.buffer >= ByteSize::kib(64), "buffer: at least 64KiB".to_owned());
        check((1..=4_096).contains(&self.max_connections), "max_connections: from 1 to 4096".to_owned());
        check(self.flush.0 >= Duration::from_millis(100), "flush: at least 100ms".to_owned());
        check(self.active_timeout.0 >= Duration::from_secs(1), "active_timeout: at least 1s".to_owned());
        found
    }
}

/// Collects until the interrupt. What cannot be opened or written is tried again.
pub(super) fn go_on(lake: &Lake, config: &Config, collector: &CollectConfig, interrupt: &AtomicBool) {
    while !interrupt.load(Ordering::Relaxed) {
        if let Err(error) = once(lake, config, collector, interrupt) {
            tracing::error!("collect \"{}\": {error:#}; trying again in {} s", collector.name, RETRY.as_secs());
            super::pause(RETRY, interrupt);
        }
    }
}

fn once(lake: &Lake, config: &Config, collector: &CollectConfig, interrupt: &AtomicBool) -> anyhow::Result<()> {
    let listening = Listening {
        datagrams: collector.listen.clone(),
        tcp: collector.listen_tcp.clone(),
        tls: collector.listen_tls.clone(),
        dtls: collector.listen_dtls.clone(),
        tls_files: collector.tls_cert.clone().zip(collector.tls_key.clone()).map(|(cert, key)| TlsFiles {
            cert,
            key,
            client_ca: collector.tls_client_ca.clone(),
        }),
        workers: collector.workers,
        buffer: collector.buffer,
    };
    let mut options = CollectOptions::new(collector.sensor.as_ref().unwrap_or(&config.lake.sensor));
    options.name.clone_from(&collector.name);
    options.allowed = AllowList::parse(&collector.allow)?;
    options.max_connections = usize::from(collector.max_connections);
    options.flush = collector.flush.0;
    options.pairing.active = collector.active_timeout.0;
    options.decoder.tunnels = config.flow.tunnels.into();
    let report = collect(lake, listening.open()?, &options, interrupt)?;
    for imbalance in &report.imbalances {
        tracing::error!("collect \"{}\": the books do not close: {imbalance}", collector.name);
    }
    let counter = |name: &str| report.ledger.get(name).copied().unwrap_or(0);
    tracing::info!(
        "collect \"{}\": {} messages, {} flows, {} dropped by sockets, {} missing by the exporters' numbering",
        collector.name,
        counter("datagrams.seen"),
        counter("exported.flows"),
        counter("datagrams.dropped_by_socket"),
        counter("sequence.lost"),
    );
    match report.error {
        Some(error) => anyhow::bail!("the last records could not be written: {error}"),
        None => Ok(()),
    }
}
