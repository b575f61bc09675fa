//! RFC 5424 messages over UDP (RFC 5426), TCP with octet counting (RFC 6587) and TLS (RFC 5425).

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Facility local0, severity warning.
const PRIORITY: u8 = 16 * 8 + 4;
/// The largest message over UDP: what IPv6 and UDP leave of a datagram.
const MAX_DATAGRAM: usize = 65_487;

/// How messages travel.
#[derive(Clone, Debug)]
pub(super) enum SyslogTransport {
    /// Nothing tells whether they arrive.
    Udp,
    /// They arrived as far as the peer's kernel took them.
    Tcp,
    /// The same, encrypted.
    Tls(Arc<ClientConfig>),
}

enum Open {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A way to a syslog server.
pub(super) struct Syslog {
    transport: SyslogTransport,
    /// Host and port.
    address: String,
    host_name: String,
    timeout: Duration,
    open: Option<Open>,
}

/// A message: head, no structured data, the payload.
fn message(host: &str, now: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("<{PRIORITY}>1 {now} {host} spotter {} alert - ", std::process::id()).into_bytes();
    out.extend(payload);
    out
}

impl Syslog {
    pub(super) fn new(transport: SyslogTransport, address: &str, timeout: Duration) -> Self {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
        let host_name = if name.is_empty() { "-".to_owned() } else { name };
        Self { transport, address: address.to_owned(), host_name, timeout, open: None }
    }

    /// Sends all, or says that it could not. Gives how many were too large for a datagram and are left out.
    pub(super) fn send(&mut self, payloads: &[&[u8]]) -> io::Result<u64> {
        let result = self.try_send(payloads);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn try_send(&mut self, payloads: &[&[u8]]) -> io::Result<u64> {
        let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let mut open = match self.open.take() {
            Some(mut open) => {
                if !open.is_alive() {
                    open = self.connect()?;
                }
                open
            }
            None => self.connect()?,
        };
        let (mut too_large, mut stream) = (0, Vec::new());
        for payload in payloads {
            let message = message(&self.host_name, &now, payload);
            match &open {
                Open::Udp(_) if message.len() > MAX_DATAGRAM => too_large += 1,
                Open::Udp(socket) => drop(socket.send(&message)?),
                _ => {
                    stream.extend(format!("{} ", message.len()).as_bytes());
                    stream.extend(message);
                }
            }
        }
        match &mut open {
            Open::Udp(_) => {}
            Open::Tcp(tcp) => tcp.write_all(&stream).and_then(|()| tcp.flush())?,
            Open::Tls(tls) => tls.write_all(&stream).and_then(|()| tls.flush())?,
        }
        self.open = Some(open);
        Ok(too_large)
    }

    fn connect(&self) -> io::Result<Open> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", self.address));
        for address in self.address.to_socket_addrs()? {
            if let SyslogTransport::Udp = self.transport {
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                return Ok(Open::Udp(socket));
            }
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(stream) => {
                    stream.set_write_timeout(Some(self.timeout))?;
                    stream.set_read_timeout(Some(self.timeout))?;
                    let SyslogTransport::Tls(config) = &self.transport else { return Ok(Open::Tcp(stream)) };
                    let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
                    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                    let name = ServerName::try_from(host).map_err(io::Error::other)?;
                    let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                    let mut tls = StreamOwned::new(connection, stream);
                    // Before anything is taken for sent: the server's certificate is judged.
                    while tls.conn.is_handshaking() {
                        tls.conn.complete_io(&mut tls.sock)?;
                    }
                    return Ok(Open::Tls(Box::new(tls)));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Open {
    /// False where the server has closed: what is written then goes nowhere.
    fn is_alive(&mut self) -> bool {
        let waits = |read: io::Result<usize>| match read {
            Ok(count) => count > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        let quiet = |socket: &TcpStream, nonblocking| socket.set_nonblocking(nonblocking).is_ok();
        match self {
            Self::Udp(_) => true,
            Self::Tcp(tcp) => quiet(tcp, true) && waits(tcp.peek(&mut [0])) && quiet(tcp, false),
            // Tickets of the server are read on the way.
            Self::Tls(tls) => quiet(&tls.sock, true) && waits(tls.read(&mut [0])) && quiet(&tls.sock, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_heads_fields_in_order() {
        let text = message("sensor", "2026-03-02T10:00:00.000000Z", b"{}");
        let expected = format!("<132>1 2026-03-02T10:00:00.000000Z sensor spotter {} alert - {{}}", std::process::id());
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }
}
