//! A MongoDB collection as a target: `mongodb://HOST:27017,HOST:27017/DATABASE/COLLECTION`, a document a record, its id the `_id`; so a
//! record that is sent again is there once.
//!
//! Hosts of the URL must be allowed; the members of a replica set that these name are then reached, too.

use std::time::Duration;

use mongodb::bson::{Bson, Document};
use mongodb::error::ErrorKind;
use mongodb::options::{ClientOptions, Credential, ServerAddress, Tls, TlsOptions};
use mongodb::sync::{Client, Collection};
use serde_json::Value;

use super::ForwardError;
use super::http::Taken;
use super::queue::Entry;
use super::target::{Target, TargetOptions};

/// Longest wait for a server that takes writes.
const WAIT: Duration = Duration::from_secs(10);
/// The server's number for a document whose `_id` is there already.
const DUPLICATE_KEY: i32 = 11_000;

/// An open collection. Connections are made when something is sent.
pub(super) struct Mongodb(Collection<Document>);

impl TargetOptions {
    /// Servers, database and collection of the URL.
    fn mongodb(&self) -> Result<(Vec<ServerAddress>, &str, &str), String> {
        let (_, rest) = self.to.split_once("://").unwrap_or_default();
        let mut parts = rest.split('/');
        let is_name = |name: &&str| {
            (1..=63).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let hosts = parts.next().unwrap_or_default();
        let named = (
            parts.next().filter(is_name).filter(|name| !name.contains('.')),
            parts.next().filter(is_name),
            parts.next(),
        );
        let (Some(database), Some(collection), None) = named else {
            return Err("the path is the database and the collection, as /spotter/alerts".to_owned());
        };
        let hosts = hosts.split(',').map(|host| ServerAddress::parse(host).map_err(|e| format!("{host}: {}", e.kind)));
        Ok((hosts.collect::<Result<_, _>>()?, database, collection))
    }

    pub(super) fn check_mongodb(&self) -> Result<(), ForwardError> {
        let wrong = |reason: String| ForwardError::Target { to: self.to.clone(), reason };
        if self.sasl.is_some() || self.tls_client.is_some() {
            return Err(wrong("sasl, and a certificate of ours, are for Kafka".to_owned()));
        }
        self.mongodb().map(drop).map_err(wrong)
    }

    /// `credential`: user and password.
    pub(super) fn open_mongodb(&self) -> Result<Target, ForwardError> {
        let wrong = |reason: String| ForwardError::Target { to: self.to.clone(), reason };
        let (hosts, database, collection) = self.mongodb().map_err(wrong)?;
        let credential = self
            .user_and_password()
            .map_err(wrong)?
            .map(|(user, password)| Credential::builder().username(user).password(password).build());
        let tls = self
            .to
            .starts_with("mongodb+tls")
            .then(|| Tls::Enabled(TlsOptions::builder().ca_file_path(self.tls_ca.clone()).build()));
        let options = ClientOptions::builder()
            .hosts(hosts)
            .app_name("spotter".to_owned())
            .credential(credential)
            .tls(tls)
            .connect_timeout(WAIT)
            .server_selection_timeout(WAIT)
            .max_pool_size(1)
            .build();
        let client = Client::with_options(options).map_err(|e| wrong(e.kind.to_string()))?;
        Ok(Target::Mongodb(Mongodb(client.database(database).collection(collection))))
    }

    /// Of the file that has the user in its first line, the password in its second.
    fn user_and_password(&self) -> Result<Option<(String, String)>, String> {
        let Some(path) = &self.authorization_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|e| format!("reading {}: {e}", path.display()))?;
        match text.lines().collect::<Vec<_>>().as_slice() {
            [user, password, ..] => Ok(Some(((*user).to_owned(), (*password).to_owned()))),
            _ => Err(format!("{} needs the user in its first line, the password in its second", path.display())),
        }
    }
}

impl Mongodb {
    /// Inserts what is not there. A document that the server refuses by itself (too long, a rule of the collection) is refused for good.
    pub(super) fn insert(&self, entries: &[Entry]) -> Result<Taken, String> {
        let documents: Vec<Document> = entries.iter().filter_map(document).collect();
        let unreadable = (entries.len() - documents.len()) as u64;
        let sent = documents.len() as u64;
        let refused = if documents.is_empty() { 0 } else { self.insert_documents(&documents)? };
        Ok(Taken { sent: sent - refused, rejected: unreadable + refused })
    }

    /// How many were refused.
    fn insert_documents(&self, documents: &[Document]) -> Result<u64, String> {
        let Err(error) = self.0.insert_many(documents).ordered(false).run() else { return Ok(0) };
        let ErrorKind::InsertMany(said) = error.kind.as_ref() else { return Err(error.kind.to_string()) };
        match (&said.write_concern_error, &said.write_errors) {
            (Some(concern), _) => Err(format!("not written by enough members: {}", concern.message)),
            (None, Some(errors)) => Ok(errors.iter().filter(|e| e.code != DUPLICATE_KEY).count() as u64),
            (None, None) => Err(error.kind.to_string()),
        }
    }
}

/// Nothing where the payload is no JSON object.
fn document(entry: &Entry) -> Option<Document> {
    let Bson::Document(mut document) = bson(serde_json::from_slice(&entry.payload).ok()?) else { return None };
    document.insert("_id", entry.id.clone());
    Some(document)
}

/// A value as BSON has it. Of numbers it has none of 64 bits without a sign: one beyond the largest with a sign (the hash of a group) is text.
fn bson(value: Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(is) => Bson::Boolean(is),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Bson::Int64(number),
            (None, Some(number)) => Bson::String(number.to_string()),
            (None, None) => number.as_f64().map_or(Bson::Null, Bson::Double),
        },
        Value::String(text) => Bson::String(text),
        Value::Array(list) => Bson::Array(list.into_iter().map(bson).collect()),
        Value::Object(fields) => Bson::Document(fields.into_iter().map(|(name, value)| (name, bson(value))).collect()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::collections::BTreeMap;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};

    use mongodb::bson::{deserialize_from_slice, doc, serialize_to_vec};

    use super::*;

    /// Documents by their `_id`.
    type Kept = Arc<Mutex<BTreeMap<String, Document>>>;

    /// The documents of an OP_MSG: the command, and those of its sequence.
    fn message(stream: &mut TcpStream) -> Option<(i32, Document, Vec<Document>)> {
        let mut head = [0; 16];
        stream.read_exact(&mut head).ok()?;
        let word = |at: usize| i32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        assert_eq!(word(12), 2013, "OP_MSG");
        let mut body = vec![0; word(0) as usize - 16];
        stream.read_exact(&mut body).ok()?;
        let mut rest = &body[4..];
        let (mut command, mut sequence) = (None, Vec::new());
        let length = |bytes: &[u8]| i32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        while let Some((kind, after)) = rest.split_first() {
            let (section, next) = after.split_at(length(after));
            if *kind == 0 {
                command = Some(deserialize_from_slice(section).unwrap());
            } else {
                let mut documents = &section[4..];
                documents = &documents[documents.iter().position(|b| *b == 0).unwrap() + 1..];
                while !documents.is_empty() {
                    let (one, more) = documents.split_at(length(documents));
                    sequence.push(deserialize_from_slice(one).unwrap());
                    documents = more;
                }
            }
            rest = next;
        }
        Some((word(4), command.unwrap(), sequence))
    }

    /// What a server says to a command. Documents that say `bad` are refused, as by a collection's rule.
    fn answer(command: &Document, documents: Vec<Document>, kept: &Kept) -> Document {
        if !command.contains_key("insert") {
            return doc! { "ok": 1.0, "isWritablePrimary": true, "helloOk": true, "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 21 };
        }
        assert_eq!(["insert", "$db"].map(|key| command.get_str(key).unwrap()), ["alerts", "spotter"]);
        let mut errors = Vec::new();
        let mut kept = kept.lock().unwrap();
        let all = documents.len();
        for (index, document) in documents.into_iter().enumerate() {
            let id = document.get_str("_id").unwrap().to_owned();
            let code = if document.contains_key("bad") { 121 } else { 11_000 };
            if code == 121 || kept.contains_key(&id) {
                errors.push(doc! { "index": index as i32, "code": code, "errmsg": "refused" });
            } else {
                kept.insert(id, document);
            }
        }
        let mut said = doc! { "ok": 1.0, "n": (all - errors.len()) as i32 };
        if !errors.is_empty() {
            said.insert("writeErrors", errors);
        }
        said
    }

    fn serve(listener: TcpListener, kept: &Kept) {
        let kept = Arc::clone(kept);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, kept) = (stream.unwrap(), Arc::clone(&kept));
                std::thread::spawn(move || {
                    while let Some((asked, command, documents)) = message(&mut stream) {
                        let said = serialize_to_vec(&answer(&command, documents, &kept)).unwrap();
                        let mut reply = Vec::new();
                        for n in [said.len() as i32 + 21, 1, asked, 2013, 0] {
                            reply.extend_from_slice(&n.to_le_bytes());
                        }
                        reply.push(0);
                        reply.extend_from_slice(&said);
                        drop(stream.write_all(&reply));
                    }
                });
            }
        });
    }

    fn entry(id: u32, payload: &str) -> Entry {
        Entry { id: format!("{id:032x}"), payload: payload.as_bytes().to_vec() }
    }

    fn options(to: &str) -> TargetOptions {
        TargetOptions { to: to.to_owned(), allow: vec!["127.0.0.1".to_owned()], ..TargetOptions::default() }
    }

    #[test]
    fn what_is_sent_twice_is_there_once_and_what_is_refused_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = format!("mongodb://{}/spotter/alerts", listener.local_addr().unwrap());
        let kept = Kept::default();
        serve(listener, &kept);
        let Target::Mongodb(target) = options(&to).open().unwrap() else { panic!("another target") };
        let batch = [
            entry(1, r#"{"rank":1,"host":"10.0.0.1","bytes":5000000000,"group_id":18446744073709551615}"#),
            entry(2, r#"{"rank":2,"bad":true}"#),
            entry(3, "no document"),
        ];
        let of = |taken: Taken| (taken.sent, taken.rejected);
        assert_eq!(target.insert(&batch).map(of), Ok((1, 2)));
        assert_eq!(target.insert(&batch[..1]).map(of), Ok((1, 0)));
        let kept = kept.lock().unwrap();
        let one = &kept[&format!("{:032x}", 1)];
        assert_eq!(
            (kept.len(), one.get_str("host").unwrap(), one.get_i64("bytes").unwrap()),
            (1, "10.0.0.1", 5_000_000_000)
        );
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error_that_names_it() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let Target::Mongodb(target) = options(&format!("mongodb://{free}/spotter/alerts")).open().unwrap() else {
            panic!("another target")
        };
        let said = target.insert(&[entry(1, "{}")]).map(drop).unwrap_err();
        assert!(said.contains(&free.to_string()), "{said}");
    }

    #[test]
    fn a_url_says_database_and_collection() {
        for wrong in [
            "mongodb://127.0.0.1",
            "mongodb://127.0.0.1/spotter",
            "mongodb://127.0.0.1/a.b/c",
            "mongodb://127.0.0.1/a/b/c",
        ] {
            let said = options(wrong).check().unwrap_err().to_string();
            assert!(said.contains("as /spotter/alerts"), "{wrong}: {said}");
        }
        let said = options("mongodb+tls://192.0.2.1/spotter/alerts").check().unwrap_err().to_string();
        assert!(said.contains("not allowed"), "{said}");
        assert!(options("mongodb+tls://127.0.0.1:27017/spotter/alerts").check().is_ok());
    }
}
