//! Kafka behind TLS and SASL: records go out and come in as in the open, and nobody else is let in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use capture::kafka::MockCluster;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;

use crate::kafka::{count, stop, until};
use crate::kafka_gateway::{Gateway, PASSWORD, USER};
use crate::support::{Ran, command, spotter};

struct Certificates {
    /// PEM.
    authority: PathBuf,
    client: PathBuf,
    client_key: PathBuf,
    server: Arc<ServerConfig>,
}

/// An authority, a broker's certificate for 127.0.0.1 and a client's, which the broker asks for.
fn certificates(folder: &Path) -> Certificates {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A subject of its own: one that is its own issuer's namesake counts as signed by itself.
    params.distinguished_name.push(DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("authority");
    let of = |name: &str| {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("params");
        (params.signed_by(&key, &authority).expect("signed"), key)
    };
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let asks = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let ((server, server_key), (client, client_key)) = (of("127.0.0.1"), of("spotter"));
    let server_key = PrivateKeyDer::try_from(server_key.serialize_der()).expect("key");
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(asks.expect("verifier"))
        .with_single_cert(vec![server.der().clone()], server_key)
        .expect("server");
    Certificates {
        authority: file("authority.pem", authority.pem()),
        client: file("client.pem", client.pem()),
        client_key: file("client.key", client_key.serialize_pem()),
        server: Arc::new(server),
    }
}

struct Secured {
    _folder: tempfile::TempDir,
    certificates: Certificates,
    users: PathBuf,
    here: PathBuf,
    there: PathBuf,
    flows: u64,
    _cluster: MockCluster,
    door: Gateway,
}

impl Secured {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        let (here, there, users) = (at("here"), at("there"), at("users"));
        std::fs::write(&users, format!("{USER}\n{PASSWORD}\n")).expect("users");
        let pcap = crate::collect::capture(folder.path());
        spotter(["import", "--lake", &here.to_string_lossy(), &pcap.to_string_lossy()]).done();
        let cluster = MockCluster::new(1).expect("cluster");
        cluster.create("records", 1).expect("topic");
        let inner = cluster.options().brokers[0].rsplit_once(':').expect("port").1.parse().expect("port");
        let certificates = certificates(folder.path());
        let door = Gateway::new(inner, Some(Arc::clone(&certificates.server)), true);
        let flows = count(&here, "flow");
        Self { certificates, users, here, there, flows, _cluster: cluster, door, _folder: folder }
    }

    /// Flows to the topic, under a name of its own, so that each sends all.
    fn forward(&self, name: &str, mechanism: &str, authority: &Path, users: &Path) -> Ran {
        let (here, to) = (self.here.to_string_lossy(), format!("kafka+tls://127.0.0.1:{}/records", self.door.port));
        let fixed =
            ["forward", "--lake", &here, "--what", "records", "--source", "flow", "--to", &to, "--days", "36500"];
        let (authority, users) = (authority.to_string_lossy(), users.to_string_lossy());
        let Certificates { client, client_key, .. } = &self.certificates;
        let (client, key) = (client.to_string_lossy(), client_key.to_string_lossy());
        let keys = ["--tls-ca", &authority, "--tls-cert", &client, "--tls-key", &key];
        let more = ["--allow", "127.0.0.1", "--name", name, "--sasl", mechanism, "--authorization-file", &users];
        spotter(fixed.into_iter().chain(keys).chain(more))
    }

    fn let_in(&self) -> Vec<String> {
        let mut all = self.door.seen.let_in.lock().expect("whole").clone();
        all.dedup();
        all
    }
}

#[test]
fn records_go_through_a_broker_with_tls_and_each_mechanism_of_sasl() {
    let secured = Secured::new();
    let Certificates { authority, client, client_key, .. } = &secured.certificates;
    for mechanism in ["plain", "scram-sha-256", "scram-sha-512"] {
        secured.forward(mechanism, mechanism, authority, &secured.users).done();
    }
    assert_eq!(secured.let_in(), ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
    // The same records three times are each there once.
    let broker = format!("127.0.0.1:{}", secured.door.port);
    let mut collect = command();
    collect.args(["collect", "--kafka", &broker, "--topic", "records", "--flush", "200ms", "--session-timeout", "6s"]);
    collect.args(["--kafka-tls", "--kafka-sasl", "scram-sha-256"]).arg("--lake").arg(&secured.there);
    for (name, file) in [
        ("--kafka-ca", authority),
        ("--kafka-cert", client),
        ("--kafka-key", client_key),
        ("--kafka-sasl-file", &secured.users),
    ] {
        collect.arg(name).arg(file);
    }
    let child = collect.stdout(std::process::Stdio::piped()).spawn().expect("spotter starts");
    until("all flows", || secured.there.is_dir() && count(&secured.there, "flow") >= secured.flows);
    stop(child);
    assert_eq!(count(&secured.there, "flow"), secured.flows);
}

#[test]
fn another_password_and_another_authority_are_told_and_nothing_is_sent() {
    let secured = Secured::new();
    let authority = &secured.certificates.authority;
    let wrong = secured.here.with_file_name("wrong");
    std::fs::write(&wrong, format!("{USER}\nhorse\n")).expect("users");
    for mechanism in ["plain", "scram-sha-512"] {
        let ran = secured.forward(mechanism, mechanism, authority, &wrong);
        ran.failed(1, "no such user, or another password");
    }
    assert!(secured.door.seen.refused.load(Ordering::Relaxed) >= 2);
    // A certificate of nobody known: not even the user is told to it.
    let other = tempfile::tempdir().expect("folder");
    let other = certificates(other.path());
    secured.forward("other", "plain", &other.authority, &secured.users).failed(1, "certificate");
    assert!(secured.let_in().is_empty());
    assert_eq!(secured.door.seen.handed_on.load(Ordering::Relaxed), 0);
}
