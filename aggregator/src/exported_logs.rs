//! From the rows of others' logs to records.

use capture::logs::{LogAnswer, LogConnection, LogDhcp, LogDns, LogKind, LogRequest, LogRow};
use capture::{ResourceRecord, Service};

use crate::icmp::{ICMP, ICMPV6};
use crate::record::{
    DhcpLease, DhcpRecord, Direction, DnsRecord, EndReason, Exporter, FlowRecord, History, Micros, Origin, ProxyRecord,
    RecordId, Records,
};
use crate::record_id::RecordIds;

/// Zeek's conn_state values.
const STATES: [&str; 13] = ["S0", "S1", "S2", "S3", "SF", "REJ", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR", "OTH"];

/// Makes records of one sensor's log rows.
#[derive(Debug)]
pub struct LogRecords {
    zeek: RecordIds,
    suricata: RecordIds,
    pmacct: RecordIds,
    /// Of mapped logs.
    csv: RecordIds,
    json: RecordIds,
    /// Of Apache Spot's tables.
    spot: RecordIds,
}

impl LogRecords {
    /// For a sensor.
    pub fn new(sensor: &str) -> Self {
        let ids = |origin| RecordIds::new(sensor, origin);
        let (zeek, suricata, pmacct) = (ids(Origin::Zeek), ids(Origin::Suricata), ids(Origin::Pmacct));
        Self { zeek, suricata, pmacct, csv: ids(Origin::Csv), json: ids(Origin::Json), spot: ids(Origin::Spot) }
    }

    fn ids(&mut self, origin: Origin) -> &mut RecordIds {
        match origin {
            Origin::Suricata => &mut self.suricata,
            Origin::Pmacct => &mut self.pmacct,
            Origin::Csv => &mut self.csv,
            Origin::Json => &mut self.json,
            Origin::Spot => &mut self.spot,
            _ => &mut self.zeek,
        }
    }

    /// Adds the record of a row that stands at a place of a topic.
    #[cfg(feature = "kafka")]
    pub(crate) fn add_at(&mut self, place: &[u8], row: LogRow, records: &mut Records) {
        for ids in [&mut self.zeek, &mut self.pmacct, &mut self.csv, &mut self.json] {
            ids.set_place(place);
        }
        self.add(row, records);
    }

    /// Adds the record of a row.
    pub fn add(&mut self, row: LogRow, records: &mut Records) {
        match row {
            LogRow::Connection(row) => {
                let mut record = connection(*row);
                record.record_id = self.ids(record.origin).flow(&record, 0);
                records.flow.push(record);
            }
            LogRow::Dns(row) => {
                let mut record = dns(*row);
                record.record_id = self.ids(record.origin).dns(&record);
                records.dns.push(record);
            }
            LogRow::Dhcp(row) => {
                let mut record = dhcp(*row);
                record.record_id = self.ids(record.origin).dhcp(&record);
                records.dhcp.push(record);
            }
            LogRow::Request(row) => {
                let mut record = request(*row);
                record.record_id = self.zeek.log_request(&record);
                records.proxy.push(record);
            }
        }
    }
}

/// The origin of flow and DNS records of a log.
const fn origin(kind: LogKind) -> Origin {
    match kind {
        LogKind::Suricata => Origin::Suricata,
        LogKind::Pmacct => Origin::Pmacct,
        LogKind::Csv => Origin::Csv,
        LogKind::Json => Origin::Json,
        LogKind::Spot => Origin::Spot,
        _ => Origin::Zeek,
    }
}

fn connection(row: LogConnection) -> FlowRecord {
    let pair = row.pair;
    let (src_port, dst_port) = match pair.proto {
        ICMP | ICMPV6 => (0, (pair.src_port & 0xff) << 8 | pair.dst_port & 0xff),
        _ => (pair.src_port, pair.dst_port),
    };
    let mut history = History::default();
    row.history.iter().flat_map(|text| text.bytes()).filter(u8::is_ascii).for_each(|letter| history.push(letter));
    let scale = u64::from(row.sampling);
    let direction = |packets: u64, bytes: u64, tcp_flags, tos| Direction {
        packets: packets.saturating_mul(scale),
        bytes: bytes.saturating_mul(scale),
        tcp_flags,
        tos,
    };
    let says_exporter = row.exporter.is_some()
        || row.input_if.is_some()
        || row.output_if.is_some()
        || row.src_as.is_some()
        || row.dst_as.is_some();
    let exporter = says_exporter.then(|| {
        Box::new(Exporter {
            exporter_ip: row.exporter,
            input_if: row.input_if,
            output_if: row.output_if,
            src_as: row.src_as,
            dst_as: row.dst_as,
            ..Exporter::default()
        })
    });
    let (first, last) = (Micros(row.first.micros()), Micros(row.last.max(row.first).micros()));
    FlowRecord {
        record_id: RecordId::default(),
        first_seen: first,
        last_seen: last,
        flow_start: first,
        segment: 0,
        origin: origin(row.kind),
        src_ip: pair.src,
        dst_ip: pair.dst,
        version: pair.version,
        src_port,
        dst_port,
        proto: pair.proto,
        src: direction(row.src_packets, row.src_bytes, row.tcp_flags, row.tos),
        dst: row.dst.map(|(packets, bytes)| direction(packets, bytes, row.dst_tcp_flags, None)),
        conn_state: row.conn_state.and_then(|text| STATES.into_iter().find(|state| *state == text)),
        history: row.history.map(|_| history),
        macs: row.macs,
        ethertype: None,
        vlan: row.vlan,
        cos: None,
        end_reason: EndReason::Idle,
        exporter,
        sampling: row.sampling,
        observations: 1,
        tunnel: None,
        service: row.service.as_deref().and_then(service),
    }
}

/// Zeek names several (`ssl,http`): the first that is known.
fn service(text: &str) -> Option<Service> {
    text.split(',').find_map(|name| {
        Some(match name.trim_start_matches('-') {
            "dns" => Service::Dns,
            "http" => Service::Http,
            "ssl" | "tls" => Service::Tls,
            "ssh" => Service::Ssh,
            "quic" => Service::Quic,
            "ntp" => Service::Ntp,
            "dhcp" => Service::Dhcp,
            "smtp" => Service::Smtp,
            "ftp" | "ftp-data" => Service::Ftp,
            "rdp" => Service::Rdp,
            "smb" => Service::Smb,
            "snmp" => Service::Snmp,
            "sip" => Service::Sip,
            _ => return None,
        })
    })
}

fn dns(row: LogDns) -> DnsRecord {
    let pair = row.pair;
    let first = Micros(row.first.micros());
    let rtt = row.rtt.map(|rtt| rtt.micros());
    let name = match row.query.trim_end_matches('.') {
        "" => ".".to_owned(),
        name => name.to_ascii_lowercase(),
    };
    let [aa, tc, rd, ra] = row.bits.map(u16::from);
    let answered = row.rcode.is_some();
    let flags = u16::from(answered) << 15 | aa << 10 | tc << 9 | rd << 8 | ra << 7 | row.rcode.unwrap_or(0) & 0xf;
    let answers = row.answers.into_iter().map(|LogAnswer { data, ttl, rtype }| ResourceRecord {
        name: name.clone(),
        rtype: rtype.unwrap_or_else(|| answer_type(&data, row.qtype)),
        ttl,
        data,
    });
    DnsRecord {
        record_id: RecordId::default(),
        first_seen: first,
        last_seen: Micros(first.0.saturating_add(rtt.unwrap_or(0))),
        origin: origin(row.kind),
        client_ip: pair.src,
        server_ip: pair.dst,
        version: pair.version,
        client_port: pair.src_port,
        server_port: pair.dst_port,
        transport: row.transport,
        id: row.id,
        answers: answers.collect(),
        qname: name,
        qname_wire: row.query,
        qtype: row.qtype,
        qclass: row.qclass,
        question: 0,
        opcode: 0,
        rcode: row.rcode,
        rtt_us: rtt.and_then(|rtt| u32::try_from(rtt).ok()),
        query_len: None,
        response_len: None,
        response_frame_len: None,
        flags,
        edns_udp_size: None,
        authorities: Vec::new(),
        additional_count: 0,
        damage: None,
    }
}

/// Zeek's log has no types: addresses show theirs, a name that answers a question for addresses is an alias.
fn answer_type(data: &str, qtype: u16) -> u16 {
    match data.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => 1,
        Ok(std::net::IpAddr::V6(_)) => 28,
        Err(_) if data.starts_with("TXT ") => 16,
        Err(_) if matches!(qtype, 1 | 28) => 5,
        Err(_) => qtype,
    }
}

fn dhcp(row: LogDhcp) -> DhcpRecord {
    let mut record = DhcpRecord::new(origin(row.kind), Micros(row.first.micros()));
    let duration = row.duration.map_or(0, |duration| duration.micros().max(0));
    record.last_seen = Micros(record.first_seen.0.saturating_add(duration));
    let (is_old, has) = (row.msg_types.is_empty(), |kind: &str| row.msg_types.iter().any(|known| known == kind));
    let lease = match (row.assigned_addr, row.lease_time) {
        (Some(address), Some(valid_s)) if is_old || has("ACK") => Some((address, valid_s)),
        _ if has("RELEASE") => row.client_addr.map(|address| (address, 0)),
        _ if has("DECLINE") => row.requested_addr.map(|address| (address, 0)),
        _ => None,
    };
    record.leases =
        lease.map(|(address, valid_s)| DhcpLease { address, prefix_len: 32, valid_s }).into_iter().collect();
    DhcpRecord {
        xid: row.xid,
        client_addr: row.client_addr,
        client_port: row.client_port,
        server_addr: row.server_addr,
        server_port: row.server_port,
        mac: row.mac,
        host_name: row.host_name,
        client_fqdn: row.client_fqdn,
        domain: row.domain,
        requested_addr: row.requested_addr,
        assigned_addr: row.assigned_addr,
        lease_time: row.lease_time,
        client_message: row.client_message,
        server_message: row.server_message,
        msg_types: row.msg_types.into_iter().map(Into::into).collect(),
        ..record
    }
}

fn request(row: LogRequest) -> ProxyRecord {
    let first = Micros(row.first.micros());
    let duration = i64::try_from(row.duration_us.unwrap_or(0)).unwrap_or(0);
    ProxyRecord {
        first_seen: first,
        last_seen: Micros(first.0.saturating_add(duration)),
        client_port: row.client_port,
        server_ip: row.server_ip,
        server_port: row.server_port,
        scheme: row.scheme,
        method: row.method,
        host: row.host,
        uri_path: row.uri_path,
        uri_query: row.uri_query,
        uri_extension: row.uri_extension,
        full_uri: row.full_uri,
        user_agent: row.user_agent,
        referer: row.referer,
        content_type: row.content_type,
        status: row.status,
        username: row.username,
        auth_group: row.auth_group,
        category: row.category,
        action: row.action,
        filter_result: row.filter_result,
        exception_id: row.exception_id,
        virus_id: row.virus_id,
        app_name: row.app_name,
        app_operation: row.app_operation,
        duration_us: row.duration_us,
        request_bytes: row.request_bytes,
        response_bytes: row.response_bytes,
        tls_version: row.tls_version,
        tls_sni: row.tls_sni,
        tls_alpn: row.tls_alpn,
        ja4: row.ja4,
        ..ProxyRecord::new(row.kind.as_str(), row.client_ip)
    }
}

#[cfg(test)]
mod tests {
    use capture::logs::{Entry, LogReader};

    use super::*;

    fn records(text: &'static str) -> Records {
        let mut reader = LogReader::from_reader(Box::new(text.as_bytes())).unwrap().unwrap();
        let (mut made, mut records) = (LogRecords::new("s"), Records::default());
        while let Some(entry) = reader.next_entry().unwrap() {
            let Entry::Row(row) = entry else { unreachable!("{entry:?}") };
            made.add(row, &mut records);
        }
        records
    }

    #[test]
    fn a_connection_keeps_what_zeek_saw() {
        let text = "#separator \\x09\n#path\tconn\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\n\
            1.500000\t10.0.0.1\t40000\t10.0.0.2\t443\ttcp\tssl\t2.250000\t10\t20\tSF\tShADad\t5\t270\t4\t300\n\
            1.500000\t10.0.0.1\t8\t10.0.0.2\t0\ticmp\t-\t-\t-\t-\tOTH\t-\t1\t84\t0\t0\n";
        let flows = records(text).flow;
        let f = &flows[0];
        assert_eq!((f.first_seen.0, f.last_seen.0), (1_500_000, 3_750_000));
        assert_eq!((f.src.packets, f.src.bytes), (5, 270));
        assert_eq!(f.dst.map(|d| (d.packets, d.bytes)), Some((4, 300)));
        assert_eq!((f.conn_state, f.history.as_ref().map(History::as_str)), (Some("SF"), Some("ShADad")));
        assert_eq!((f.service, f.origin), (Some(Service::Tls), Origin::Zeek));
        assert_eq!((flows[1].src_port, flows[1].dst_port), (0, 2_048));
        assert_ne!(flows[0].record_id, flows[1].record_id);
    }

    #[test]
    fn a_flow_of_suricata_has_the_flags_of_both_directions() {
        let text = r#"{"timestamp":"2026-03-02T10:00:03.0Z","flow_id":10,"event_type":"flow","src_ip":"192.0.2.9","src_port":1254,"dest_ip":"198.51.100.1","dest_port":443,"proto":"TCP","app_proto":"tls","flow":{"pkts_toserver":2,"pkts_toclient":1,"bytes_toserver":120,"bytes_toclient":60,"start":"2026-03-02T10:00:01.0Z","end":"2026-03-02T10:00:02.0Z"},"tcp":{"tcp_flags_ts":"1b","tcp_flags_tc":"12"}}
{"timestamp":"2026-03-02T10:00:04.0Z","event_type":"dns","src_ip":"192.0.2.53","src_port":53,"dest_ip":"192.0.2.9","dest_port":4000,"proto":"UDP","dns":{"version":3,"type":"response","id":9,"rcode":"NOERROR","queries":[{"rrname":"a.test","rrtype":"MX"}],"answers":[{"rrname":"a.test","rrtype":"MX","ttl":5,"rdata":"m.test"}]}}"#;
        let made = records(text);
        let f = &made.flow[0];
        assert_eq!(
            (f.origin.as_str(), f.src.tcp_flags, f.dst.and_then(|d| d.tcp_flags)),
            ("suricata", Some(0x1b), Some(0x12))
        );
        assert_eq!((f.src.bytes, f.service), (120 - 28, Some(Service::Tls)));
        let d = &made.dns[0];
        assert_eq!((d.origin.as_str(), d.client_port, d.answers[0].rtype), ("suricata", 4_000, 15));
    }

    #[test]
    fn leases_of_zeeks_log_in_both_of_its_forms() {
        let tsv = "#separator \\x09\n#set_separator\t,\n#path\tdhcp\n#fields\tts\tuids\tclient_addr\tserver_addr\tmac\thost_name\tclient_fqdn\tdomain\trequested_addr\tassigned_addr\tlease_time\tclient_message\tserver_message\tmsg_types\tduration\n\
            1.500000\tCa,Cb\t-\t10.0.0.1\t00:0b:82:01:fc:42\tlap\\x0atop\t-\tcorp\t10.0.0.9\t10.0.0.5\t3600.000000\t-\t-\tDISCOVER,OFFER,REQUEST,ACK\t0.250000\n\
            2.000000\tCc\t10.0.0.5\t10.0.0.1\t00:0b:82:01:fc:42\t-\t-\t-\t-\t-\t-\t-\t-\tRELEASE\t0.000000\n\
            3.000000\tCd\t-\t10.0.0.1\t00:0b:82:01:fc:42\t-\t-\t-\t-\t10.0.0.5\t3600.000000\t-\t-\tDISCOVER,OFFER\t-\n";
        let json = r#"{"_path":"dhcp","ts":1.5,"uids":["Ca","Cb"],"server_addr":"10.0.0.1","mac":"00:0b:82:01:fc:42","host_name":"lap\ntop","domain":"corp","requested_addr":"10.0.0.9","assigned_addr":"10.0.0.5","lease_time":3600.0,"msg_types":["DISCOVER","OFFER","REQUEST","ACK"],"duration":0.25}"#;
        let (rows, of_json) = (records(tsv).dhcp, records(json).dhcp);
        assert_eq!(rows[..1], of_json[..]);
        let row = &rows[0];
        assert_eq!((row.first_seen, row.last_seen), (Micros(1_500_000), Micros(1_750_000)));
        assert_eq!((row.host_name.as_deref(), row.mac), (Some("lap\\010top"), Some([0, 0x0b, 0x82, 1, 0xfc, 0x42])));
        assert_eq!(row.msg_types, ["DISCOVER", "OFFER", "REQUEST", "ACK"]);
        let leases = |at: usize| rows[at].leases.iter().map(|l| (l.address.to_string(), l.valid_s)).collect::<Vec<_>>();
        assert_eq!(leases(0), [("10.0.0.5".to_owned(), 3_600)]);
        assert_eq!(leases(1), [("10.0.0.5".to_owned(), 0)]);
        assert_eq!(leases(2), [], "an offer alone is none");
        // Bro 2.5 and before.
        let old = "#separator \\x09\n#path\tdhcp\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tmac\tassigned_ip\tlease_time\ttrans_id\n\
            1.0\tC\t0.0.0.0\t68\t10.0.0.1\t67\t00:0b:82:01:fc:42\t10.0.0.5\t86400.0\t1946557\n";
        let row = &records(old).dhcp[0];
        assert_eq!((row.xid, row.client_addr, row.leases[0].valid_s), (Some(1_946_557), None, 86_400));
    }

    #[test]
    fn the_same_request_has_the_same_id_and_another_another() {
        let line = "1461576382.642 161 127.0.0.1 TCP_MISS/200 1 GET http://a/ - DIRECT/1.1.1.1 text/html\n\
            1461576382.642 161 127.0.0.1 TCP_MISS/200 1 GET http://a/x - DIRECT/1.1.1.1 text/html\n";
        let (a, b) = (records(line).proxy, records(line).proxy);
        assert_eq!(a, b);
        assert_ne!(a[0].record_id, a[1].record_id);
        assert_eq!((a[0].origin, a[0].last_seen.0 - a[0].first_seen.0), ("squid", 161_000));
    }
}
