//! DHCP: datagrams of both versions, from and to servers, relays and clients, perhaps cut.
#![no_main]

use capture::app::{AppConfig, AppDecoder};
use capture::{AddressPair, Body, DhcpMessage, Fragment, Ip, IpVersion, Link, Message, Nanos, Packet, Sink, Tcp};

const PORTS: [(u16, u16); 4] = [(68, 67), (67, 68), (67, 67), (40_000, 67)];

#[derive(Default)]
struct Check(u64);

impl Sink for Check {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, message: Message) {
        let Body::Dhcp(dhcp) = message.body else { panic!("{message:?}") };
        self.0 += 1;
        let DhcpMessage { host_name, client_fqdn, domain, text, vendor_class, addresses, param_list, .. } = *dhcp;
        for text in [host_name, client_fqdn, domain, text, vendor_class].into_iter().flatten() {
            // An octet takes up to four letters.
            assert!(!text.is_empty() && text.len() <= 4 * 255, "{text:?}");
            assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
        }
        assert!(addresses.len() <= 64 && param_list.len() <= 255);
        for address in addresses {
            assert!(!address.address.is_unspecified() && address.prefix_len <= 128);
            assert_eq!(address.address.is_ipv4(), dhcp.version == IpVersion::V4);
        }
        assert!(dhcp.client_id.is_none_or(|id| id.len() <= 255));
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&[how, cut], payload)) = data.split_first_chunk::<2>() else { return };
    let (src_port, dst_port) = PORTS[usize::from(how >> 1 & 3)];
    let is_v6 = how & 1 == 1;
    let (src, dst, version) = if is_v6 {
        (Ip([0xfe; 16]), Ip([0xff; 16]), IpVersion::V6)
    } else {
        (Ip::v4([10, 0, 0, 1]), Ip::v4([255; 4]), IpVersion::V4)
    };
    // Those of version 6 in the places of those of version 4.
    let port = |port: u16| if is_v6 { port.wrapping_add(if port == 67 { 480 } else { 478 }) } else { port };
    let packet = Packet {
        ts: Nanos(0),
        pair: AddressPair { src, dst, src_port: port(src_port), dst_port: port(dst_port), proto: 17, version },
        ip_bytes: 0,
        payload_bytes: payload.len() as u32 + u32::from(cut),
        tcp: Tcp::default(),
        tos: 0,
        fragment: Fragment::Whole,
        link: Link { macs: Some(([2; 6], [4; 6])), ..Link::default() },
        tunnel: None,
        service: None,
    };
    let mut decoder = AppDecoder::new(AppConfig::default());
    let mut check = Check::default();
    let _ = decoder.recognise(&packet, payload);
    decoder.handle_payload(&packet, payload, 1_500, &mut check);
    let counters = decoder.counters();
    let value = |name: &str| counters.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value);
    assert_eq!((value("dhcp_messages"), value("dhcp_not_dhcp")), (check.0, 1 - check.0));
});
