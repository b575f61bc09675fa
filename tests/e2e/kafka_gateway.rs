//! A guarded door to librdkafka's mock cluster, which itself knows neither TLS nor SASL: it ends TLS, asks for SASL PLAIN or
//! SCRAM (RFC 4616, RFC 5802), and then hands requests on. Where the broker says where it is reached, the door's port stands.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Requests by their number in the protocol.
const API_VERSIONS: i16 = 18;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
/// Error of a refused user.
const SASL_AUTHENTICATION_FAILED: i16 = 58;
/// No request of a test is larger.
const MOST: usize = 16 << 20;

/// The user all may be.
pub(crate) const USER: &str = "spotter";
pub(crate) const PASSWORD: &str = "correct horse";

/// What came through the door.
#[derive(Default)]
pub(crate) struct Seen {
    /// Mechanisms of users let in, in their order.
    pub(crate) let_in: Mutex<Vec<String>>,
    pub(crate) refused: AtomicU64,
    /// Requests handed on.
    pub(crate) handed_on: AtomicU64,
}

pub(crate) struct Gateway {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Seen>,
}

trait Both: Read + Write + Send {}
impl<T: Read + Write + Send> Both for T {}

impl Gateway {
    /// Before the broker on `inner`, for as long as the process lives.
    pub(crate) fn new(inner: u16, tls: Option<Arc<ServerConfig>>, with_sasl: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let seen = Arc::new(Seen::default());
        let door = Gateway { port, seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, seen) = (tls.clone(), Arc::clone(&seen));
                std::thread::spawn(move || {
                    let outer: Box<dyn Both> = match tls {
                        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).expect("TLS"), stream)),
                        None => Box::new(stream),
                    };
                    // A client that goes away ends its thread.
                    drop(Connection { outer, inner, port, with_sasl, seen: &seen }.run());
                });
            }
        });
        door
    }
}

struct Connection<'a> {
    outer: Box<dyn Both>,
    inner: u16,
    port: u16,
    with_sasl: bool,
    seen: &'a Seen,
}

/// A message with its length before it.
fn read(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MOST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message)?;
    Ok(message)
}

fn write(to: &mut dyn Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).expect("bounded").to_be_bytes();
    to.write_all(&[&length, message].concat())?;
    to.flush()
}

/// What is left of a request.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(length).expect("a whole request");
        self.0 = rest;
        taken
    }
    fn int16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("two"))
    }
    fn text(&mut self) -> String {
        let length = usize::try_from(self.int16()).unwrap_or(0);
        String::from_utf8(self.take(length).to_vec()).expect("text")
    }
    fn bytes(&mut self) -> &'a [u8] {
        let length = u32::from_be_bytes(self.take(4).try_into().expect("four"));
        self.take(length as usize)
    }
}

fn text(text: &str) -> Vec<u8> {
    [&i16::try_from(text.len()).expect("short").to_be_bytes(), text.as_bytes()].concat()
}

impl Connection<'_> {
    fn run(mut self) -> io::Result<()> {
        let mut broker = TcpStream::connect(("127.0.0.1", self.inner))?;
        let (mut scram, mut is_known) = (None::<Scram>, !self.with_sasl);
        let mut mechanism = String::new();
        loop {
            let request = read(&mut self.outer)?;
            let mut rest = Rest(&request);
            let (api, version) = (rest.int16(), rest.int16());
            let correlation = rest.take(4);
            rest.text();
            match api {
                API_VERSIONS => {
                    write(&mut broker, &request)?;
                    let mut answer = read(&mut broker)?;
                    if self.with_sasl {
                        with_sasl(&mut answer, version);
                    }
                    write(&mut self.outer, &answer)?;
                }
                SASL_HANDSHAKE if self.with_sasl => {
                    mechanism = rest.text();
                    let known = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
                    // 33: the mechanism is not there.
                    let error = if known.contains(&mechanism.as_str()) { 0_i16 } else { 33 };
                    let mut answer = [correlation, &error.to_be_bytes(), &3_i32.to_be_bytes()].concat();
                    known.iter().for_each(|name| answer.extend(text(name)));
                    write(&mut self.outer, &answer)?;
                }
                SASL_AUTHENTICATE if self.with_sasl => {
                    let said = rest.bytes();
                    let answer = match mechanism.as_str() {
                        "PLAIN" => {
                            let good = format!("\0{USER}\0{PASSWORD}");
                            (said == good.as_bytes()).then(|| (Vec::new(), true))
                        }
                        mechanism => match &scram {
                            None => {
                                let begun = Scram::begin(mechanism, said);
                                begun.map(|begun| (scram.insert(begun).first.clone().into_bytes(), false))
                            }
                            Some(begun) => begun.end(said).map(|last| (last.into_bytes(), true)),
                        },
                    };
                    let error = if answer.is_some() { 0 } else { SASL_AUTHENTICATION_FAILED };
                    let why = if error == 0 { text("") } else { text("no such user, or another password") };
                    let (bytes, is_last) = answer.unwrap_or_default();
                    let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
                    let mut answer = [correlation, &error.to_be_bytes(), &why, &length, &bytes].concat();
                    if version >= 1 {
                        answer.extend(0_i64.to_be_bytes());
                    }
                    write(&mut self.outer, &answer)?;
                    if error != 0 {
                        self.seen.refused.fetch_add(1, Ordering::Relaxed);
                        return Ok(());
                    }
                    if is_last {
                        is_known = true;
                        self.seen.let_in.lock().expect("whole").push(mechanism.clone());
                    }
                }
                // Nobody knows who it is: the connection ends.
                _ if !is_known => return Ok(()),
                _ => {
                    write(&mut broker, &request)?;
                    let mut answer = read(&mut broker)?;
                    self.turn_here(&mut answer);
                    write(&mut self.outer, &answer)?;
                    self.seen.handed_on.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Where the broker names itself, its port becomes the door's.
    fn turn_here(&self, answer: &mut [u8]) {
        let named = [b"127.0.0.1".as_slice(), &u32::from(self.inner).to_be_bytes()].concat();
        let mut from = 0;
        while let Some(at) = answer[from..].windows(named.len()).position(|window| window == named) {
            from += at + named.len();
            answer[from - 4..from].copy_from_slice(&u32::from(self.port).to_be_bytes());
        }
    }
}

/// Adds the two requests of SASL to those a broker knows.
fn with_sasl(answer: &mut Vec<u8>, version: i16) {
    // After the correlation and the error: their number, as four bytes or, from version 3 on, as one more in a byte.
    let (at, tagged): (usize, &[u8]) = if version >= 3 { (7, &[0]) } else { (10, &[]) };
    answer[at - 1] += 2;
    let known = [(SASL_HANDSHAKE, 1_i16), (SASL_AUTHENTICATE, 1)];
    let added =
        known.map(|(api, most)| [&api.to_be_bytes(), [0_u8, 0].as_slice(), &most.to_be_bytes(), tagged].concat());
    answer.splice(at..at, added.concat());
}

/// The server's side of SCRAM.
struct Scram {
    first: String,
    client_first: String,
    hash: (hmac::Algorithm, &'static digest::Algorithm),
    salted: Vec<u8>,
}

impl Scram {
    const SALT: &'static [u8] = b"of the sea";
    const ROUNDS: u32 = 4_096;

    fn begin(mechanism: &str, said: &[u8]) -> Option<Self> {
        let client_first = std::str::from_utf8(said).ok()?.strip_prefix("n,,")?.to_owned();
        let (user, nonce) = client_first.split_once(',')?;
        if user.strip_prefix("n=") != Some(USER) {
            return None;
        }
        let nonce = nonce.strip_prefix("r=")?;
        let (hash, of) = match mechanism {
            "SCRAM-SHA-256" => ((hmac::HMAC_SHA256, &digest::SHA256), pbkdf2::PBKDF2_HMAC_SHA256),
            _ => ((hmac::HMAC_SHA512, &digest::SHA512), pbkdf2::PBKDF2_HMAC_SHA512),
        };
        let mut salted = vec![0; hash.1.output_len()];
        let rounds = NonZero::new(Self::ROUNDS).expect("some");
        pbkdf2::derive(of, rounds, Self::SALT, PASSWORD.as_bytes(), &mut salted);
        let first = format!("r={nonce}door,s={},i={}", STANDARD.encode(Self::SALT), Self::ROUNDS);
        Some(Self { first, client_first, hash, salted })
    }

    fn keyed(&self, key: &[u8], text: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hash.0, key), text).as_ref().to_vec()
    }

    /// The last message, if the client has proved that it knows the password.
    fn end(&self, said: &[u8]) -> Option<String> {
        let said = std::str::from_utf8(said).ok()?;
        let (without_proof, proof) = said.rsplit_once(",p=")?;
        let proof = STANDARD.decode(proof).ok()?;
        let all = format!("{},{},{without_proof}", self.client_first, self.first);
        let stored = digest::digest(self.hash.1, &self.keyed(&self.salted, b"Client Key"));
        let signature = self.keyed(stored.as_ref(), all.as_bytes());
        let key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let is_good = digest::digest(self.hash.1, &key).as_ref() == stored.as_ref();
        let server = self.keyed(&self.salted, b"Server Key");
        is_good.then(|| format!("v={}", STANDARD.encode(self.keyed(&server, all.as_bytes()))))
    }
}
