//! `spotter packets`

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use aggregator::lake::Lake;
use aggregator::packets::{Carved, Selection, carve};
use analytics::output::{Format, WriteOptions, write};
use analytics::sql::{Engine, EngineLimits};
use capture::Nanos;
use chrono::{DateTime, Utc};

use crate::output::UsedWrongly;

/// Imports whose originals are looked through.
const IMPORTS: u32 = 100_000;

/// Before the first and after the last moment of a record, packets are taken along for so long: retransmissions, the end of
/// the connection. Nanoseconds.
const AROUND: i64 = 1_000_000_000;

/// Carve the packets of a record, a flow, or a time out of the packet store into a pcapng file.
///
/// Packets are there if `spotter capture --packets` (or `[packets]` of the appliance) kept them and they have not expired, or if
/// their capture was imported with --keep-originals.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter packets --packets /data/packets --lake /data/lake --record 5a0c… -w record.pcapng\n  \
    spotter packets --packets /data/packets --flow 'tcp 10.0.0.1:40000 192.0.2.1:443' -w flow.pcapng\n  \
    spotter packets --packets /data/packets --community-id 1:wCb3OG7yAFWelaUydu0D+125CLM= -w flow.pcapng\n  \
    spotter packets --packets /data/packets --from 2026-11-28T18:00:00Z --to 2026-11-28T18:05:00Z -w - | tshark -r -\n  \
    spotter packets --lake /data/lake --originals --flow 'udp 10.0.0.1 10.0.0.53' -w names.pcapng"
)]
pub(crate) struct Args {
    /// Folder of the packet store; repeat for several.
    #[arg(long, value_name = "DIR")]
    packets: Vec<PathBuf>,
    /// The lake: of --record, and of the originals.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// Also look into the captures that were imported with --keep-originals. On with --record.
    #[arg(long)]
    originals: bool,
    /// Packets of this record: its record_id in flow, dns or proxy.
    #[arg(long, value_name = "ID", conflicts_with_all = ["flow", "community_id"])]
    record: Option<String>,
    /// Packets of this flow, in both directions: `PROTO ADDRESS[:PORT] ADDRESS[:PORT]`; IPv6 with a port as `[ADDRESS]:PORT`.
    #[arg(long, value_name = "FLOW")]
    flow: Option<String>,
    /// Packets of the flow with this Community ID.
    #[arg(long, value_name = "ID")]
    community_id: Option<String>,
    /// From this moment on, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Up to this moment, RFC 3339.
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
    /// The file to write; - for standard output.
    #[arg(long, short, value_name = "FILE")]
    write: PathBuf,
    /// Print what was found as JSON (on standard error where packets go to standard output).
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut wanted = selection(args)?;
    if args.record.is_none() && wanted == Selection::default() {
        return Err(
            UsedWrongly("say which packets: --record, --flow, --community-id, or --from and --to".to_owned()).into()
        );
    }
    let uses_originals = args.originals || args.record.is_some();
    if args.packets.is_empty() && !uses_originals {
        return Err(UsedWrongly("say where they are: --packets DIR, or --originals of the lake".to_owned()).into());
    }
    if let Some(missing) = args.packets.iter().find(|dir| !dir.is_dir()) {
        return Err(UsedWrongly(format!("--packets: there is no folder {}", missing.display())).into());
    }
    let mut captures = Vec::new();
    if uses_originals {
        let lake = Lake::open_existing(&args.lake)?;
        if let Some(id) = &args.record {
            wanted = of_record(&lake, id, wanted)?;
        }
        captures = originals(&lake)?;
    }
    let to_stdout = args.write.as_os_str() == "-";
    let to: Box<dyn Write> =
        if to_stdout { Box::new(io::stdout().lock()) } else { Box::new(File::create(&args.write)?) };
    let carved = carve(&args.packets, &captures, &wanted, to)?;
    tell(&carved, args.json, to_stdout)?;
    Ok(if carved.packets > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(carved: &Carved, json: bool, to_stdout: bool) -> anyhow::Result<()> {
    let Carved { packets, bytes, files, files_read, files_damaged, .. } = carved;
    if json {
        let text = serde_json::to_string(carved)? + "\n";
        if to_stdout { io::stderr().write_all(text.as_bytes())? } else { io::stdout().write_all(text.as_bytes())? }
    } else if *packets > 0 {
        tracing::info!("{packets} packets, {bytes} bytes, from {files} of {files_read} files");
    }
    if *files_damaged > 0 {
        tracing::warn!("{files_damaged} files could not be read, or not to their end");
    }
    if *packets == 0 {
        tracing::error!("no such packets in {files_read} files: were they kept, and have they expired since?");
    }
    Ok(())
}

fn selection(args: &Args) -> anyhow::Result<Selection> {
    let nanos = |time: &DateTime<Utc>, name: &str| {
        let nanos = time.timestamp_nanos_opt().map(Nanos);
        nanos.ok_or_else(|| UsedWrongly(format!("--{name}: a year from 1678 to 2261")))
    };
    let mut wanted = match &args.flow {
        Some(text) => flow(text).ok_or_else(|| {
            UsedWrongly(format!(
                "--flow \"{text}\": write it as 'tcp 10.0.0.1:40000 192.0.2.1:443' (ports may be left out)"
            ))
        })?,
        None => Selection::default(),
    };
    wanted.community_id.clone_from(&args.community_id);
    wanted.from = args.from.as_ref().map(|time| nanos(time, "from")).transpose()?;
    wanted.to = args.to.as_ref().map(|time| nanos(time, "to")).transpose()?;
    if let Some(id) = &args.record
        && (id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(UsedWrongly(format!("--record \"{id}\": a record_id has 32 hexadecimal digits")).into());
    }
    Ok(wanted)
}

/// `PROTO ADDRESS[:PORT] ADDRESS[:PORT]`
fn flow(text: &str) -> Option<Selection> {
    let mut words = text.split_whitespace();
    let (proto, a, b) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let proto = match proto.to_ascii_lowercase().as_str() {
        "tcp" => 6,
        "udp" => 17,
        "icmp" => 1,
        "icmpv6" | "icmp6" => 58,
        "sctp" => 132,
        "gre" => 47,
        number => number.parse().ok()?,
    };
    let end = |word: &str| -> Option<(IpAddr, Option<u16>)> {
        if let Ok(address) = word.parse::<IpAddr>() {
            return Some((address, None));
        }
        let both = word.parse::<SocketAddr>().ok()?;
        Some((both.ip(), Some(both.port())))
    };
    let ((a, a_port), (b, b_port)) = (end(a)?, end(b)?);
    if a.is_ipv4() != b.is_ipv4() || a_port.is_some() != b_port.is_some() {
        return None;
    }
    Some(Selection { addresses: Some((a, b)), ports: a_port.zip(b_port), proto: Some(proto), ..Selection::default() })
}

/// Whose packets and when, by a record of the lake.
fn of_record(lake: &Lake, id: &str, given: Selection) -> anyhow::Result<Selection> {
    let engine = Engine::open(lake.clone(), EngineLimits::default())?;
    // Hexadecimal digits only: see above.
    let id = id.to_ascii_lowercase();
    let sql = [
        ("flow", "src_ip", "src_port", "dst_ip", "dst_port", "proto"),
        (
            "dns",
            "client_ip",
            "client_port",
            "server_ip",
            "server_port",
            "case when transport = 'tcp' then 6 else 17 end",
        ),
        ("proxy", "client_ip", "client_port", "server_ip", "server_port", "6"),
    ]
    .map(|(table, a, a_port, b, b_port, proto)| {
        format!(
            "select {a} as a, {a_port} as a_port, {b} as b, {b_port} as b_port, {proto} as proto, \
             first_seen, last_seen from {table} where record_id = X'{id}'"
        )
    })
    .join(" union all ");
    let mut text = Vec::new();
    engine.block_on(async {
        let mut answer = engine.sql(&sql).await?;
        write(&mut answer, Format::JsonLines, &mut text, WriteOptions::default()).await?;
        anyhow::Ok(())
    })?;
    let text = String::from_utf8(text)?;
    let Some(line) = text.lines().find(|line| !line.is_empty()) else {
        anyhow::bail!("no record {id} in flow, dns or proxy of {}", lake.dir().display());
    };
    let row: serde_json::Value = serde_json::from_str(line)?;
    let address = |name: &str| row[name].as_str().and_then(|text| text.parse::<IpAddr>().ok());
    let port = |name: &str| row[name].as_u64().and_then(|port| u16::try_from(port).ok());
    let proto = row["proto"].as_u64().and_then(|proto| u8::try_from(proto).ok());
    let (Some(a), Some(b)) = (address("a"), address("b")) else {
        anyhow::bail!("record {id} has no two addresses: its packets cannot be told");
    };
    // ICMP has its type and code there.
    let has_ports = matches!(proto, Some(6 | 17 | 132));
    let time = |name: &str, more: i64| {
        let at = row[name].as_str()?.parse::<DateTime<Utc>>().ok()?;
        Some(Nanos(at.timestamp_nanos_opt()?.saturating_add(more)))
    };
    Ok(Selection {
        addresses: Some((a, b)),
        ports: port("a_port").zip(port("b_port")).filter(|_| has_ports),
        proto,
        community_id: None,
        from: given.from.or(time("first_seen", -AROUND)),
        to: given.to.or(time("last_seen", AROUND)),
    })
}

/// The captures that were kept with their imports.
fn originals(lake: &Lake) -> anyhow::Result<Vec<PathBuf>> {
    let folder = lake.dir().join("originals");
    let mut found = Vec::new();
    for import in lake.state().imports(IMPORTS)? {
        let Some(sha256) = import.original.filter(|sha256| sha256.len() == 64) else { continue };
        for entry in std::fs::read_dir(folder.join(&sha256[..2])).into_iter().flatten().flatten() {
            let is_it = entry.file_name().to_str().is_some_and(|name| name.starts_with(&sha256));
            found.extend(is_it.then(|| entry.path()));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_read_as_people_write_them() {
        let found = flow("tcp 10.0.0.1:40000 192.0.2.1:443").expect("a flow");
        assert_eq!((found.ports, found.proto), (Some((40_000, 443)), Some(6)));
        assert_eq!(flow("UDP [2001:db8::1]:53 [::1]:9").expect("a flow").ports, Some((53, 9)));
        assert_eq!(flow("icmpv6 2001:db8::1 ::1").expect("a flow").ports, None);
        assert_eq!(flow("47 10.0.0.1 10.0.0.2").expect("a flow").proto, Some(47));
        for text in [
            "",
            "tcp",
            "tcp 10.0.0.1:1",
            "tcp 10.0.0.1:1 10.0.0.2",
            "tcp 10.0.0.1 ::1",
            "tcp a b",
            "tcp 1.1.1.1 2.2.2.2 3",
        ] {
            assert_eq!(flow(text), None, "{text}");
        }
    }
}
