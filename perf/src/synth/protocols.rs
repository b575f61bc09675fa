//! First messages of the other protocols, so that what names a protocol by its bytes finds what it expects.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::random::{ALPHANUMERIC, Random};
use super::session::{Data, Framing, MILLI, Session, Side};

fn bytes(data: Vec<u8>) -> Data {
    Data::Bytes(data.into())
}

/// NTP version 4 (RFC 5905), client or server mode. `at`: nanoseconds since the Unix epoch.
pub(crate) fn ntp(client: bool, at: i64) -> Data {
    let mut out = vec![if client { 0x23 } else { 0x24 }, if client { 0 } else { 2 }, 6, 0xe8];
    out.extend_from_slice(&[0, 0, 0x0a, 0x10, 0, 0, 0x0b, 0x20, 198, 18, 0xf2, 1]);
    let seconds = (at / 1_000_000_000 + 2_208_988_800) as u32;
    let fraction = ((at % 1_000_000_000) as u64 * 0x1_0000_0000 / 1_000_000_000) as u32;
    for i in 0..4 {
        let known = !client || i == 3;
        out.extend_from_slice(&(if known { seconds } else { 0 }).to_be_bytes());
        out.extend_from_slice(&(if known { fraction } else { 0 }).to_be_bytes());
    }
    bytes(out)
}

/// A DER element.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        n @ 0..=127 => out.push(n as u8),
        n @ 128..=255 => out.extend_from_slice(&[0x81, n as u8]),
        n => out.extend_from_slice(&[0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend_from_slice(content);
    out
}

fn integer(value: u32) -> Vec<u8> {
    let all = value.to_be_bytes();
    let skip = all.iter().take(3).take_while(|b| **b == 0).count();
    let mut content = all[skip..].to_vec();
    if content[0] & 0x80 != 0 {
        content.insert(0, 0);
    }
    der(2, &content)
}

/// SNMP v2c (RFC 3416): GetRequest of sysUpTime, and its Response.
pub(crate) fn snmp(id: u32, uptime: Option<u32>) -> Data {
    let oid = der(6, &[0x2b, 6, 1, 2, 1, 1, 3, 0]);
    let value = uptime.map_or_else(
        || der(5, &[]),
        |ticks| {
            let mut v = integer(ticks);
            v[0] = 0x43;
            v
        },
    );
    let binding = der(0x30, &[oid, value].concat());
    let pdu = [integer(id & 0x7fff_ffff), integer(0), integer(0), der(0x30, &binding)].concat();
    let tag = if uptime.is_some() { 0xa2 } else { 0xa0 };
    bytes(der(0x30, &[integer(1), der(4, b"monitoring"), der(tag, &pdu)].concat()))
}

/// Kerberos over TCP (RFC 4120 5.4.1, 7.2.2): a TGS-REQ-shaped AS-REQ.
pub(crate) fn kerberos_request(user: &str, nonce: u32) -> Data {
    let general = |text: &str| der(0x1b, text.as_bytes());
    let principal = |kind: u32, names: &[&str]| {
        let parts: Vec<u8> = names.iter().flat_map(|n| general(n)).collect();
        der(0x30, &[der(0xa0, &integer(kind)), der(0xa1, &der(0x30, &parts))].concat())
    };
    let etypes: Vec<u8> = [18, 17].into_iter().flat_map(integer).collect();
    let body = der(
        0x30,
        &[
            der(0xa0, &der(3, &[0, 0x40, 0x81, 0, 0x10])),
            der(0xa1, &principal(1, &[user])),
            der(0xa2, &general("CORP.EXAMPLE")),
            der(0xa3, &principal(2, &["krbtgt", "CORP.EXAMPLE"])),
            der(0xa5, &der(0x18, b"20370913024805Z")),
            der(0xa7, &integer(nonce & 0x7fff_ffff)),
            der(0xa8, &der(0x30, &etypes)),
        ]
        .concat(),
    );
    let request = der(0x6a, &der(0x30, &[der(0xa1, &integer(5)), der(0xa2, &integer(10)), der(0xa4, &body)].concat()));
    record(&request)
}

/// KRB-ERROR (RFC 4120 5.9.1): 25 asks for pre-authentication, 24 says the password was wrong.
pub(crate) fn kerberos_error(code: u32) -> Data {
    let general = |text: &str| der(0x1b, text.as_bytes());
    let names: Vec<u8> = ["krbtgt", "CORP.EXAMPLE"].iter().flat_map(|n| general(n)).collect();
    let principal = der(0x30, &[der(0xa0, &integer(2)), der(0xa1, &der(0x30, &names))].concat());
    let body = [
        der(0xa0, &integer(5)),
        der(0xa1, &integer(30)),
        der(0xa4, &der(0x18, b"20260311080000Z")),
        der(0xa5, &integer(123_456)),
        der(0xa6, &integer(code)),
        der(0xa9, &general("CORP.EXAMPLE")),
        der(0xaa, &principal),
    ]
    .concat();
    record(&der(0x7e, &der(0x30, &body)))
}

fn record(message: &[u8]) -> Data {
    bytes([&(message.len() as u32).to_be_bytes(), message].concat())
}

/// DHCP (RFC 2131): REQUEST of a bound client with its name, and the ACK, for eight days.
pub(crate) fn dhcp(client: bool, id: u32, address: Ipv4Addr, mac: [u8; 6], name: &str) -> Data {
    let mut out = vec![if client { 1 } else { 2 }, 1, 6, 0];
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&address.octets());
    out.extend_from_slice(&if client { [0; 4] } else { address.octets() });
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&mac);
    out.resize(236, 0);
    out.extend_from_slice(&[99, 130, 83, 99, 53, 1, if client { 3 } else { 5 }]);
    if client {
        let host = name.split('.').next().unwrap_or_default();
        let labels: Vec<u8> = name.split('.').flat_map(|l| [&[l.len() as u8], l.as_bytes()].concat()).collect();
        out.extend_from_slice(&[55, 4, 1, 3, 6, 15, 12, host.len() as u8]);
        out.extend_from_slice(host.as_bytes());
        // Client FQDN (RFC 4702), in labels: the server is to register the name.
        out.extend_from_slice(&[81, labels.len() as u8 + 4, 0x05, 0, 0]);
        out.extend_from_slice(&labels);
        out.push(0);
    } else {
        out.extend_from_slice(&[54, 4, 10, 20, 1, 10, 51, 4, 0, 0x0a, 0x8c, 0, 1, 4, 255, 255, 255, 0]);
    }
    out.push(255);
    out.resize(out.len().max(300), 0);
    bytes(out)
}

/// SMB 3 (MS-SMB2): Negotiate in the clear, everything after it encrypted.
pub(crate) fn smb(session: Session, random: &mut Random, rounds: &[(u64, u64)]) -> Session {
    let mut session = session
        .exchange(bytes(negotiate(true, random)), MILLI, bytes(negotiate(false, random)))
        .exchange(Data::Framed(Framing::Smb, 420), 2 * MILLI, Data::Framed(Framing::Smb, 310));
    for &(up, down) in rounds {
        session = session.wait(random.range(1, 40) as i64 * MILLI).exchange(
            Data::Framed(Framing::Smb, up),
            MILLI,
            Data::Framed(Framing::Smb, down),
        );
    }
    session
}

/// SMB2 NEGOTIATE request (MS-SMB2 2.2.3) or response (2.2.4), dialect 3.0.2.
fn negotiate(request: bool, random: &mut Random) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend_from_slice(b"\xfeSMB");
    out.extend_from_slice(&64u16.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&1u16.to_le_bytes());
    out.extend_from_slice(&u32::from(!request).to_le_bytes());
    out.resize(4 + 64, 0);
    if request {
        out.extend_from_slice(&[36, 0, 2, 0, 1, 0, 0, 0, 0x7f, 0, 0, 0]);
        super::tls::noise(random.bits(), 16, &mut out);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&[0x10, 2, 0x02, 3]);
    } else {
        out.extend_from_slice(&[65, 0, 1, 0, 0x02, 3, 0, 0]);
        super::tls::noise(random.bits(), 16, &mut out);
        out.extend_from_slice(&[0x6f, 0, 0, 0]);
        for size in [8_388_608u32; 3] {
            out.extend_from_slice(&size.to_le_bytes());
        }
        out.extend_from_slice(&[0; 16]);
        // No security blob: its offset is the end of the fixed part.
        out.extend_from_slice(&[128, 0, 0, 0, 0, 0, 0, 0]);
    }
    let length = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// SSH (RFC 4253): banners, KEXINIT, key exchange, NEWKEYS; then encrypted packets in rounds.
pub(crate) fn ssh(session: Session, random: &mut Random, agent: &str, rounds: &[(u64, u64, i64)]) -> Session {
    let banner = |text: &str| bytes(format!("SSH-2.0-{text}\r\n").into_bytes());
    let mut session = session
        .send(Side::Client, banner(agent))
        .send(Side::Server, banner("OpenSSH_9.6"))
        .send(Side::Client, bytes(kexinit(random)))
        .send(Side::Server, bytes(kexinit(random)))
        .send(Side::Client, bytes(packet(30, &string(32, random))))
        .wait(2 * MILLI)
        .send(
            Side::Server,
            bytes(
                [packet(31, &[key(32, random), string(32, random), key(64, random)].concat()), packet(21, &[])]
                    .concat(),
            ),
        )
        .send(Side::Client, bytes(packet(21, &[])));
    for &(up, down, pause) in rounds {
        session = session.wait(pause).exchange(Data::Fill(up), 3 * MILLI, Data::Fill(down));
    }
    session
}

/// A plain SSH packet: length, padding length, message number, content, padding to a multiple of 8.
fn packet(number: u8, content: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (4 + 1 + 1 + content.len() + 4) % 8) % 8;
    let mut out = ((1 + 1 + content.len() + padding) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&[padding as u8, number]);
    out.extend_from_slice(content);
    out.resize(out.len() + padding, 0);
    out
}

fn string(n: usize, random: &mut Random) -> Vec<u8> {
    let mut out = (n as u32).to_be_bytes().to_vec();
    super::tls::noise(random.bits(), n, &mut out);
    out
}

/// A host key or a signature: its algorithm and so many bytes.
fn key(n: usize, random: &mut Random) -> Vec<u8> {
    let name = b"ssh-ed25519";
    let mut out = ((4 + name.len() + 4 + n) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(name.len() as u32).to_be_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(&string(n, random));
    out
}

fn kexinit(random: &mut Random) -> Vec<u8> {
    let mut content = Vec::new();
    super::tls::noise(random.bits(), 16, &mut content);
    let lists = [
        "curve25519-sha256,ecdh-sha2-nistp256",
        "ssh-ed25519,rsa-sha2-512",
        "chacha20-poly1305@openssh.com,aes128-ctr",
        "chacha20-poly1305@openssh.com,aes128-ctr",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ];
    for list in lists {
        content.extend_from_slice(&(list.len() as u32).to_be_bytes());
        content.extend_from_slice(list.as_bytes());
    }
    content.extend_from_slice(&[0; 5]);
    packet(20, &content)
}

/// RDP (MS-RDPBCGR 2.2.1): X.224 connection request and confirm with TLS chosen, then TLS records.
pub(crate) fn rdp(session: Session, random: &mut Random, user: &str, rounds: &[(u64, u64, i64)]) -> Session {
    let cookie = format!("Cookie: mstshash={user}\r\n");
    let mut request = vec![3, 0, 0, 0, 0, 0xe0, 0, 0, 0, 0, 0];
    request.extend_from_slice(cookie.as_bytes());
    request.extend_from_slice(&[1, 0, 8, 0, 3, 0, 0, 0]);
    let total = request.len() as u8;
    request[3] = total;
    request[4] = total - 5;
    let confirm = vec![3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0x1f, 8, 0, 2, 0, 0, 0];
    let session = session.exchange(bytes(request), MILLI, bytes(confirm));
    super::web::tls(session, random, super::tls::Client::Windows, None, rounds)
}

/// PostgreSQL: SSLRequest, `S`, then TLS.
pub(crate) fn postgres(session: Session, random: &mut Random, name: Arc<str>, rounds: &[(u64, u64, i64)]) -> Session {
    let session = session.exchange(bytes(vec![0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]), MILLI / 5, bytes(vec![b'S']));
    super::web::tls(session, random, super::tls::Client::OpenSsl, Some(name), rounds)
}

/// SIP over UDP (RFC 3261): REGISTER and 200.
pub(crate) fn sip_register(random: &mut Random, phone: &str, server: &str, expires: u32) -> (Data, Data) {
    let (tag, call) = (random.text(ALPHANUMERIC, 8), random.text(ALPHANUMERIC, 12));
    let common = format!(
        "From: <sip:{phone}@{server}>;tag={tag}\r\nTo: <sip:{phone}@{server}>\r\nCall-ID: {call}@{phone}\r\nCSeq: 7 REGISTER\r\n"
    );
    let via = format!("Via: SIP/2.0/UDP {phone}:5060;branch=z9hG4bK{tag}\r\n");
    let request = format!(
        "REGISTER sip:{server} SIP/2.0\r\n{via}Max-Forwards: 70\r\n{common}Contact: <sip:{phone}@{phone}:5060>\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n"
    );
    let answer = format!("SIP/2.0 200 OK\r\n{via}{common}Expires: {expires}\r\nContent-Length: 0\r\n\r\n");
    (bytes(request.into_bytes()), bytes(answer.into_bytes()))
}

/// A syslog line (RFC 5424).
pub(crate) fn syslog(host: &str, text: &str) -> Data {
    bytes(format!("<30>1 2026-03-11T00:00:00Z {host} service 812 - - {text}").into_bytes())
}
