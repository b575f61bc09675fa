//! What ports are for: IANA's registry as a file of the user, and the names of it that traffic shows daily built in.

use hashbrown::HashMap;

use super::text::{Rejected, cells};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// IANA's names of ports that are seen daily.
pub(super) const fn built_in(proto: u8, port: u16) -> Option<&'static str> {
    match (proto, port) {
        (TCP, 20) => Some("ftp-data"),
        (TCP, 21) => Some("ftp"),
        (TCP, 22) => Some("ssh"),
        (TCP, 23) => Some("telnet"),
        (TCP, 25) => Some("smtp"),
        (TCP | UDP, 53) => Some("domain"),
        (UDP, 67) => Some("bootps"),
        (UDP, 68) => Some("bootpc"),
        (UDP, 69) => Some("tftp"),
        (TCP, 80) => Some("http"),
        (TCP | UDP, 88) => Some("kerberos"),
        (TCP, 110) => Some("pop3"),
        (TCP | UDP, 111) => Some("sunrpc"),
        (UDP, 123) => Some("ntp"),
        (TCP, 135) => Some("epmap"),
        (UDP, 137) => Some("netbios-ns"),
        (UDP, 138) => Some("netbios-dgm"),
        (TCP, 139) => Some("netbios-ssn"),
        (TCP, 143) => Some("imap"),
        (UDP, 161) => Some("snmp"),
        (UDP, 162) => Some("snmptrap"),
        (TCP, 179) => Some("bgp"),
        (TCP | UDP, 389) => Some("ldap"),
        (TCP | UDP, 443) => Some("https"),
        (TCP, 445) => Some("microsoft-ds"),
        (TCP, 465) => Some("submissions"),
        (UDP, 500) => Some("isakmp"),
        (UDP, 514) => Some("syslog"),
        (TCP, 587) => Some("submission"),
        (TCP, 636) => Some("ldaps"),
        (TCP, 853) => Some("domain-s"),
        (TCP, 993) => Some("imaps"),
        (TCP, 995) => Some("pop3s"),
        (TCP, 1433) => Some("ms-sql-s"),
        (UDP, 1900) => Some("ssdp"),
        (TCP | UDP, 2049) => Some("nfs"),
        (TCP, 3306) => Some("mysql"),
        (TCP | UDP, 3389) => Some("ms-wbt-server"),
        (UDP, 4500) => Some("ipsec-nat-t"),
        (TCP | UDP, 5060) => Some("sip"),
        (UDP, 5353) => Some("mdns"),
        (UDP, 5355) => Some("llmnr"),
        (TCP, 5432) => Some("postgresql"),
        (TCP, 5900) => Some("rfb"),
        (TCP, 5985) => Some("wsman"),
        (TCP, 8080) => Some("http-alt"),
        _ => None,
    }
}

/// Reads IANA's CSV: `Service Name,Port Number,Transport Protocol,Description,…`; its texts run over lines, so the whole is read as CSV.
pub(super) fn read(text: &str, into: &mut HashMap<(u8, u16), String>, rejected: &mut Rejected) -> u64 {
    let mut read = 0;
    for (line, number) in text.lines().zip(1_u64..) {
        // Further lines of a description have no port.
        let Some(cells) = cells(line).or_else(|| cells(&format!("{line}\""))) else { continue };
        let [name, ports, proto, ..] = cells.as_slice() else { continue };
        let proto = match proto.as_str() {
            "tcp" => TCP,
            "udp" => UDP,
            "sctp" => 132,
            "dccp" => 33,
            _ => continue,
        };
        if name.is_empty() || name.len() > 64 {
            continue;
        }
        let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
        let (Ok(low), Ok(high)) = (low.parse::<u16>(), high.parse::<u16>()) else {
            if !ports.is_empty() {
                rejected.add(number, format!("{ports:?} is no port"));
            }
            continue;
        };
        for port in low..=high {
            into.entry((proto, port)).or_insert_with(|| name.clone());
            read += 1;
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ianas_file() {
        let text = "Service Name,Port Number,Transport Protocol,Description\nssh,22,tcp,\"The Secure Shell\n (SSH) Protocol\",,\n,4,tcp,Unassigned\n\
            exp,1021-1022,udp,x\nbad,7x,tcp,y\n";
        let (mut names, mut rejected) = (HashMap::new(), Rejected::default());
        assert_eq!(read(text, &mut names, &mut rejected), 3);
        assert_eq!(
            (names.get(&(TCP, 22)).map(String::as_str), names.get(&(UDP, 1022)).map(String::as_str)),
            (Some("ssh"), Some("exp"))
        );
        assert_eq!((rejected.count, built_in(TCP, 445)), (1, Some("microsoft-ds")));
    }
}
