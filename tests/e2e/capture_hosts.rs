//! Real hosts in namespaces: a client and a server on a hub, a tap on the hub's third port. What they said is in the lake.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::capture_net::{Wires, counter, ip};
use crate::support::rows;

/// A web server, and a DNS server that answers every question with 192.0.2.7.
const SERVER: &str = r#"
import http.server, socket, threading
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"x" * 100_000
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *args):
        pass
def names():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.77.0.2", 53))
    while True:
        q, peer = s.recvfrom(2048)
        s.sendto(q[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + q[12:] + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x07", peer)
threading.Thread(target=names, daemon=True).start()
http.server.ThreadingHTTPServer(("10.77.0.2", 80), Page).serve_forever()
"#;

/// Asks for `mirror.spotter.example`, type A.
const QUERY: &str = r#"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06mirror\x07spotter\x07example\x00\x00\x01\x00\x01", ("10.77.0.2", 53))
assert s.recv(2048)[-4:] == bytes([192, 0, 2, 7])
"#;

/// A hub in the namespace of the wires with a host on each of two ports, and `tap9` on the third.
struct Hub {
    wires: Wires,
    client: String,
    server: String,
    serving: Option<Child>,
}

impl Hub {
    fn new(test: &str) -> Option<Self> {
        let wires = Wires::new(test, 0)?;
        let hub = &wires.namespace;
        let (client, server) = (format!("{hub}-c"), format!("{hub}-s"));
        // A bridge that learns nothing sends every frame to every port.
        ip(&format!("-n {hub} link add hub type bridge ageing_time 0 mcast_snooping 0 stp_state 0"));
        ip(&format!("-n {hub} link add mirror type veth peer name tap9"));
        for (host, address) in [(&client, "10.77.0.1"), (&server, "10.77.0.2")] {
            ip(&format!("netns add {host}"));
            let sysctl = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"];
            let _ = run(host, "sysctl", &[&["-qw"], &sysctl[..]].concat()).output();
            let port = &address[8..];
            ip(&format!("-n {host} link add eth0 type veth peer name port{port} netns {hub}"));
            ip(&format!("-n {host} addr add {address}/24 dev eth0"));
            // A host's superframes never were on a wire.
            let done = run(host, "ethtool", &["-K", "eth0", "tso", "off", "gso", "off", "gro", "off"]).output();
            assert!(done.as_ref().is_ok_and(|o| o.status.success()), "ethtool: {done:?}");
            ip(&format!("-n {host} link set eth0 up"));
            ip(&format!("-n {hub} link set port{port} master hub up"));
        }
        let _ = run(hub, "sysctl", &["-qw", "net.ipv6.conf.all.disable_ipv6=1"]).output();
        for name in ["mirror master hub", "tap9", "hub"] {
            ip(&format!("-n {hub} link set {name} up"));
        }
        let serving = run(&server, "python3", &["-c", SERVER]).stdout(Stdio::null()).spawn().expect("python3 starts");
        let hub = Self { wires, client, server, serving: Some(serving) };
        let end = Instant::now() + Duration::from_secs(20);
        while !hub.curl() {
            assert!(Instant::now() < end, "the hosts do not reach each other");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(hub)
    }

    /// What the client receives and sends is mirrored by its kernel into `tap8` of the hub's namespace.
    fn mirror_client(&self) {
        let (client, hub) = (&self.client, &self.wires.namespace);
        ip(&format!("-n {client} link add mir0 type veth peer name tap8 netns {hub}"));
        let _ = run(hub, "sysctl", &["-qw", "net.ipv6.conf.tap8.disable_ipv6=1"]).output();
        ip(&format!("-n {hub} link set tap8 up"));
        ip(&format!("-n {client} link set mir0 up"));
        let tc = |arguments: &str| {
            let words: Vec<&str> = arguments.split_whitespace().collect();
            let done = run(client, "tc", &words).output().expect("tc starts");
            assert!(done.status.success(), "tc {arguments}: {}", String::from_utf8_lossy(&done.stderr));
        };
        tc("qdisc add dev eth0 clsact");
        for way in ["ingress", "egress"] {
            tc(&format!(
                "filter add dev eth0 {way} protocol all u32 match u32 0 0 action mirred egress mirror dev mir0"
            ));
        }
    }

    fn curl(&self) -> bool {
        let arguments = ["-sf", "-m", "5", "-A", "hunter/1", "-o", "/dev/null", "http://10.77.0.2/page?q=1"];
        run(&self.client, "curl", &arguments).status().expect("curl starts").success()
    }

    /// What the hosts say to each other.
    fn talk(&self) {
        assert!(self.curl());
        assert!(run(&self.client, "python3", &["-c", QUERY]).status().expect("python3 starts").success());
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            let _ = serving.kill();
            let _ = serving.wait();
        }
        for host in [&self.client, &self.server] {
            let _ = Command::new("ip").args(["netns", "del", host]).output();
        }
    }
}

fn run(namespace: &str, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]).args(arguments);
    command
}

/// One page and one question, with all that belongs to them.
fn assert_complete(lake: &Path) {
    let pages = rows(
        lake,
        "select client_ip, server_ip, method, host, uri_path, uri_query, status, user_agent, content_type, response_bytes from proxy",
    );
    assert_eq!(pages.len(), 1, "{pages:?}");
    let page = &pages[0];
    assert_eq!(
        [
            &page["client_ip"],
            &page["server_ip"],
            &page["method"],
            &page["host"],
            &page["uri_path"],
            &page["user_agent"]
        ],
        ["10.77.0.1", "10.77.0.2", "GET", "10.77.0.2", "/page", "hunter/1"]
    );
    assert_eq!((page["status"].as_u64(), page["content_type"].as_str()), (Some(200), Some("text/plain")));
    assert!(page["response_bytes"].as_u64() > Some(100_000), "{page}");
    let names = rows(lake, "select client_ip, server_ip, qname, rcode, answers[1]['data'] as data from dns");
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(
        [&names[0]["client_ip"], &names[0]["server_ip"], &names[0]["qname"], &names[0]["data"]],
        ["10.77.0.1", "10.77.0.2", "mirror.spotter.example", "192.0.2.7"]
    );
    let flows =
        rows(lake, "select src_ip, dst_port, src_packets, dst_bytes, conn_state, service from flow where proto = 6");
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!([&flows[0]["src_ip"], &flows[0]["conn_state"], &flows[0]["service"]], ["10.77.0.1", "SF", "http"]);
    assert!(flows[0]["dst_bytes"].as_u64() > Some(100_000));
}

#[test]
fn what_hosts_say_to_each_other_is_in_the_lake_by_a_tap() {
    let Some(hub) = Hub::new("hosts_tap") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    let capture = hub.wires.capture(&lake, &["-i", "tap9", "--mode", "af_packet", "--flush", "300ms", "--shards", "2"]);
    hub.talk();
    std::thread::sleep(Duration::from_millis(300));
    let report = capture.stop_well();
    assert_eq!(counter(&report, "merged_frames"), 0);
    assert_complete(&lake);
}

/// The client's own interface has an address: both what it receives and what it sends is captured, and it goes on working.
#[test]
fn what_a_host_says_is_in_the_lake_inline() {
    let Some(mut hub) = Hub::new("hosts_inline") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let tap = std::mem::replace(&mut hub.wires.namespace, hub.client.clone());
    for mode in ["af_packet", "xdp"] {
        let lake = folder.path().join(mode);
        let capture = hub.wires.capture(&lake, &["-i", "eth0", "--mode", mode, "--flush", "300ms"]);
        hub.talk();
        std::thread::sleep(Duration::from_millis(300));
        capture.stop_well();
        assert_complete(&lake);
    }
    hub.wires.namespace = tap;
}

/// What a socket hands down in one piece the device sends in many: the records have what is on the wire.
#[test]
fn superframes_that_a_host_sends_are_counted_as_their_segments() {
    const BODY: usize = 300_000;
    /// Payload of a segment, and the headers before it, with TCP's time stamps.
    const SEGMENT: (u64, u64) = (1_448, 52);
    let Some(mut hub) = Hub::new("hosts_segments") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (lake, body) = (folder.path().join("lake"), folder.path().join("body"));
    // Neither text nor zeros: nothing that a decoder would take for a message.
    std::fs::write(&body, vec![0xa5; BODY]).expect("written");
    let done = run(&hub.client, "ethtool", &["-K", "eth0", "tso", "on", "gso", "on"]).output();
    assert!(done.as_ref().is_ok_and(|o| o.status.success()), "ethtool: {done:?}");
    let tap = std::mem::replace(&mut hub.wires.namespace, hub.client.clone());
    let capture = hub.wires.capture(&lake, &["-i", "eth0", "--mode", "xdp", "--flush", "300ms"]);
    let data = format!("@{}", body.display());
    let arguments = ["-sf", "-m", "20", "-H", "Expect:", "--data-binary", &data, "http://10.77.0.2/"];
    assert!(run(&hub.client, "curl", &arguments).status().expect("curl starts").success());
    std::thread::sleep(Duration::from_millis(300));
    let report = capture.stop_well();
    hub.wires.namespace = tap;
    assert!(counter(&report, "packets.seen") > BODY as u64 / SEGMENT.0, "{report:#}");
    let flows = rows(&lake, "select src_ip, src_packets, src_bytes, dst_packets, conn_state from flow where proto = 6");
    assert_eq!(flows.len(), 1, "{flows:?}");
    let number = |name: &str| flows[0][name].as_u64().expect("a number");
    assert_eq!([&flows[0]["src_ip"], &flows[0]["conn_state"]], ["10.77.0.1", "SF"]);
    let (packets, bytes) = (number("src_packets"), number("src_bytes"));
    assert!(packets >= BODY as u64 / SEGMENT.0, "{packets} packets of {bytes} bytes");
    // The body, the head of the request, and eight bytes more of options in the SYN.
    let payload = bytes - packets * SEGMENT.1;
    assert!((BODY as u64 + 50..BODY as u64 + 500).contains(&payload), "{payload} bytes of payload, {packets} packets");
    assert!(number("dst_packets") > 3);
}

/// Both directions of a host's traffic, mirrored by its own kernel (clsact) into another wire: a SPAN port in software.
fn by_a_mirror(mode: &[&str]) {
    let Some(hub) = Hub::new("hosts_mirror") else { return };
    hub.mirror_client();
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    let capture = hub.wires.capture(&lake, &[&["-i", "tap8", "--policy", "tap", "--flush", "300ms"], mode].concat());
    hub.talk();
    std::thread::sleep(Duration::from_millis(300));
    let report = capture.stop_well();
    assert_eq!(counter(&report, "duplicates.copies"), 0, "each direction once: {report:#}");
    assert_complete(&lake);
}

#[test]
fn what_a_host_says_is_in_the_lake_by_a_clsact_mirror() {
    by_a_mirror(&["--mode", "af_packet", "--deduplicate"]);
}

#[cfg(feature = "probe")]
#[test]
fn what_a_host_says_is_in_the_lake_by_a_clsact_mirror_and_xdp() {
    // XDP counts the rest of a long body in the kernel: that it passed is told by the acknowledgement of the FIN.
    by_a_mirror(&["--mode", "xdp"]);
}
