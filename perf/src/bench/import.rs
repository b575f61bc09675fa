//! Part `import`: a capture file becomes records, by us and by the peers.
//!
//! | process | what it does with the file |
//! |---|---|
//! | `spotter import` | flows, DNS, HTTP and TLS as Parquet in a fresh lake, synced |
//! | `nfpcapd -r` | flows to nfdump's own files |
//! | `softflowd -r -v 9` | flows as NetFlow v9 to a socket on loopback that we drain; stores nothing |
//! | `tshark -T fields` | one line of text a packet with addresses, ports and DNS, HTTP and TLS fields, to nowhere |

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capture::file::CaptureReader;

use super::child::{Used, measure, version};
use super::{BenchError, BenchOptions, Better, Figure, Part, Runs, beside};
use crate::synth::{SynthConfig, write_pcap};

/// Memory an import may need, however large the file: the goal beside which ours is shown.
const MEMORY_LIMIT: f64 = 512.0 * 1024.0 * 1024.0;

/// A peer: program, how it tells its version, Debian package, and what must be said of it.
struct Peer {
    program: &'static str,
    version: &'static str,
    package: &'static str,
    note: Option<&'static str>,
    run: fn(&Path, &Path) -> Result<Used, BenchError>,
}

const PEERS: [Peer; 3] = [
    Peer { program: "nfpcapd", version: "-V", package: "nfdump", note: None, run: nfpcapd },
    Peer {
        program: "softflowd",
        version: "-h",
        package: "softflowd",
        note: Some("stores nothing: sends NetFlow v9 to loopback"),
        run: softflowd,
    },
    Peer { program: "tshark", version: "-v", package: "tshark", note: None, run: tshark },
];

/// What is read.
struct Sample {
    path: PathBuf,
    packets: f64,
    bytes: f64,
}

pub(super) fn run(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    let folder = tempfile::tempdir()?;
    let sample = sample(options, folder.path())?;
    let mut own: Vec<Used> = Vec::new();
    let mut peers: Vec<Result<Vec<Used>, String>> = PEERS.iter().map(|_| Ok(Vec::new())).collect();
    let versions: Vec<Option<String>> = PEERS.iter().map(|p| version(p.program, p.version)).collect();
    for (peer, (runs, found)) in PEERS.iter().zip(peers.iter_mut().zip(&versions)) {
        if found.is_none() {
            *runs = Err(format!("{} is not installed: Debian package {}", peer.program, peer.package));
        }
    }
    for turn in 0..options.runs.max(1) {
        let scratch = folder.path().join(format!("turn-{turn}"));
        std::fs::create_dir(&scratch)?;
        own.push(ourselves(options, &sample.path, &scratch)?);
        for (peer, runs) in PEERS.iter().zip(&mut peers) {
            if let Ok(list) = runs {
                match (peer.run)(&sample.path, &scratch) {
                    Ok(used) => list.push(used),
                    Err(error) => *runs = Err(error.to_string()),
                }
            }
        }
        // What was written stays to the end: on ext4 without a journal whoever makes files within minutes of a deletion
        // searches long for inodes, which would be counted as the work of the next turn.
    }
    for (i, peer) in PEERS.iter().enumerate() {
        let name = format!("{} {}", peer.program, versions[i].as_deref().unwrap_or_default()).trim().to_owned();
        report(&sample, &own, &name, peer.note, peers[i].as_ref(), emit);
    }
    let memory = Runs(own.iter().map(|u| u.memory).collect());
    let limit = Runs(vec![MEMORY_LIMIT; own.len()]);
    let mebi = |r: &Runs| r.map(|b| b / 1_048_576.0);
    emit(&beside(Part::Import, "peak memory", "MiB", &mebi(&memory), Better::Less, "limit 512 MiB", Ok(&mebi(&limit))));
    Ok(())
}

/// All figures beside one peer.
fn report(
    sample: &Sample,
    own: &[Used],
    name: &str,
    note: Option<&str>,
    peer: Result<&Vec<Used>, &String>,
    emit: &mut dyn FnMut(&Figure),
) {
    type Value = fn(&Sample, &Used) -> f64;
    let rows: [(&str, &'static str, Better, Value); 4] = [
        ("cpu per packet", "ns", Better::Less, |s, u| u.cpu * 1e9 / s.packets),
        ("packets per core", "packets/s", Better::More, |s, u| s.packets / u.cpu),
        ("bytes per core", "bytes/s", Better::More, |s, u| s.bytes / u.cpu),
        ("peak memory", "MiB", Better::Less, |_, u| u.memory / 1_048_576.0),
    ];
    for (figure, unit, better, value) in rows {
        let runs = |list: &[Used]| Runs(list.iter().map(|u| value(sample, u)).collect());
        let peer_runs = peer.map(|list| runs(list));
        let mut row =
            beside(Part::Import, figure, unit, &runs(own), better, name, peer_runs.as_ref().map_err(|e| (*e).clone()));
        if row.note.is_none() {
            row.note = note.map(str::to_owned);
        }
        emit(&row);
    }
}

/// The given capture, or a synthetic one; always a plain file, which every peer can read.
fn sample(options: &BenchOptions, folder: &Path) -> Result<Sample, BenchError> {
    let path = match &options.file {
        Some(given) if is_plain(given)? => given.clone(),
        Some(given) => unpack(given, folder)?,
        None => {
            // About 200,000 packets in 57,000 flows, frames cut to 400 bytes, like the composite that is the reference.
            let path = folder.join("synthetic.pcap");
            let config = SynthConfig { snaplen: 400, activity: 1.3, ..SynthConfig::default() };
            write_pcap(&config, File::create(&path)?, &mut ())?;
            path
        }
    };
    let mut reader = CaptureReader::open(&path)?;
    let mut sample = Sample { path, packets: 0.0, bytes: 0.0 };
    while let Some(frame) = reader.next_frame()? {
        sample.packets += 1.0;
        sample.bytes += f64::from(frame.wire_len);
    }
    if sample.packets == 0.0 {
        return Err(BenchError::Empty(sample.path));
    }
    Ok(sample)
}

/// Whether the file begins as an uncompressed pcap or pcapng does.
fn is_plain(path: &Path) -> Result<bool, BenchError> {
    let mut magic = [0; 4];
    File::open(path)?.read_exact(&mut magic)?;
    Ok(matches!(u32::from_le_bytes(magic), 0xa1b2_c3d4 | 0xd4c3_b2a1 | 0xa1b2_3c4d | 0x4d3c_b2a1 | 0x0a0d_0d0a))
}

/// A compressed capture as a plain one; all packets must have one link type.
fn unpack(path: &Path, folder: &Path) -> Result<PathBuf, BenchError> {
    let out = folder.join("unpacked.pcap");
    let mut reader = CaptureReader::open(path)?;
    let mut file = BufWriter::new(File::create(&out)?);
    let mut link = None;
    while let Some(frame) = reader.next_frame()? {
        if link.is_none() {
            link = Some(frame.link);
            for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, u32::from(frame.link.0)] {
                file.write_all(&u32::to_le_bytes(word))?;
            }
        }
        if link == Some(frame.link) {
            let ts = frame.ts.map_or(0, |t| t.0).max(0) as u64;
            for word in
                [(ts / 1_000_000_000) as u32, (ts % 1_000_000_000) as u32, frame.data.len() as u32, frame.wire_len]
            {
                file.write_all(&word.to_le_bytes())?;
            }
            file.write_all(frame.data)?;
        }
    }
    file.flush()?;
    Ok(out)
}

/// The whole command, into a lake of its own.
fn ourselves(options: &BenchOptions, file: &Path, scratch: &Path) -> Result<Used, BenchError> {
    measure(Command::new(&options.spotter).args(["import", "--json", "--lake"]).arg(scratch.join("lake")).arg(file))
}

fn nfpcapd(file: &Path, scratch: &Path) -> Result<Used, BenchError> {
    let out = scratch.join("nfpcapd");
    std::fs::create_dir(&out)?;
    measure(Command::new("nfpcapd").arg("-r").arg(file).arg("-w").arg(out))
}

fn tshark(file: &Path, _: &Path) -> Result<Used, BenchError> {
    const FIELDS: [&str; 24] = [
        "frame.time_epoch",
        "frame.len",
        "ip.src",
        "ip.dst",
        "ip.len",
        "ipv6.src",
        "ipv6.dst",
        "ipv6.plen",
        "ip.proto",
        "ipv6.nxt",
        "tcp.srcport",
        "tcp.dstport",
        "tcp.flags",
        "udp.srcport",
        "udp.dstport",
        "dns.id",
        "dns.qry.name",
        "dns.qry.type",
        "dns.flags.rcode",
        "dns.a",
        "http.request.method",
        "http.host",
        "http.request.uri",
        "tls.handshake.extensions_server_name",
    ];
    measure(
        Command::new("tshark")
            .arg("-n")
            .arg("-r")
            .arg(file)
            .args(["-T", "fields"])
            .args(FIELDS.iter().flat_map(|f| ["-e", f])),
    )
}

/// softflowd sends to a socket on loopback that is drained here; its pid file stays in the scratch folder.
fn softflowd(file: &Path, scratch: &Path) -> Result<Used, BenchError> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    let to = socket.local_addr()?.to_string();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 65_536];
            while !done.load(Ordering::Relaxed) {
                // A time-out or an ICMP error is no reason to stop draining.
                let _ = socket.recv(&mut buffer);
            }
        });
        let used = measure(
            Command::new("softflowd")
                .arg("-r")
                .arg(file)
                // Without its control socket: softflowd 1.1.0 waits for a client of it after the last packet, for ever.
                .args(["-n", &to, "-v", "9", "-d", "-c", "none", "-p"])
                .arg(scratch.join("softflowd.pid")),
        );
        done.store(true, Ordering::Relaxed);
        used
    })
}
