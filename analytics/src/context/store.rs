//! The files of `LAKE/context`: read, checked, and read again when they change.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hashbrown::HashMap;

use super::ranges::{Ranges, number, parse_range};
use super::reputation::Lists;
use super::text::{Rejected, cells, lines, shown};
use super::{Context, ContextError, Kind, geo, services};

/// Files of one kind that are read, by name; the rest is told as left out.
const MAX_FILES: usize = 64;
/// Names of a list of popular ones that are kept.
const MAX_DOMAINS: usize = 2_000_000;

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct FileReport {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Entries taken: ranges, indicators, names; nodes of an MMDB.
    pub entries: u64,
    /// What was not taken.
    pub rejected: Rejected,
    /// Why nothing was taken.
    pub error: Option<String>,
}

/// Files by kind and name, with what tells that one changed.
type Stamp = Vec<(Kind, PathBuf, u64, Option<SystemTime>)>;

/// The context of a lake, read again when a file of it changes.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    current: Mutex<Option<(Stamp, Arc<Context>)>>,
}

impl Store {
    /// Of a lake's folder. Nothing is read yet.
    pub fn of_lake(lake: &Path) -> Self {
        Self { dir: lake.join("context"), current: Mutex::new(None) }
    }

    /// The folder of the files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is loaded, as the files are now. Lists the folders; reads files only if one came, went or changed.
    pub fn current(&self) -> Arc<Context> {
        let stamp = self.stamp();
        // One reader at a time: the others wait and find it done. A panic cannot leave it half.
        let mut held = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((of, context)) if *of == stamp => Arc::clone(context),
            _ => {
                let context = Arc::new(load(&stamp));
                for file in context.files.iter().filter(|file| file.error.is_some()) {
                    tracing::warn!(kind = file.kind.as_str(), file = %file.name, error = ?file.error, "context file left out");
                }
                *held = Some((stamp, Arc::clone(&context)));
                context
            }
        }
    }

    fn stamp(&self) -> Stamp {
        let mut stamp = Stamp::new();
        for kind in Kind::ALL {
            let Ok(folder) = fs::read_dir(self.dir.join(kind.as_str())) else { continue };
            for entry in folder.flatten() {
                let hidden = entry.file_name().as_encoded_bytes().first() == Some(&b'.');
                match entry.metadata() {
                    Ok(meta) if meta.is_file() && !hidden => {
                        stamp.push((kind, entry.path(), meta.len(), meta.modified().ok()));
                    }
                    _ => {}
                }
            }
        }
        stamp.sort();
        stamp
    }

    /// Puts a file in its folder, whole or not at all, after it was checked. One of the same name is replaced.
    ///
    /// # Errors
    /// It cannot be read, nothing of it can be taken, or it cannot be written.
    pub fn add(&self, kind: Kind, file: &Path) -> Result<FileReport, ContextError> {
        let report = check(kind, file)?;
        let bytes = read_bounded(file, kind.max_bytes())?;
        self.put(kind, &report.name, &bytes)?;
        Ok(report)
    }

    /// Writes a file that was checked.
    pub(super) fn put(&self, kind: Kind, name: &str, bytes: &[u8]) -> Result<(), ContextError> {
        let folder = self.dir.join(kind.as_str());
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| ContextError::Io { path, source }
        };
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        let (staged, place) = (folder.join(format!(".{name}.new")), folder.join(name));
        let write = || {
            let mut file = File::create(&staged)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&staged, &place)?;
            File::open(&folder)?.sync_all()
        };
        write().map_err(io(&place))
    }

    /// Takes a file away. False where there is none.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, kind: Kind, name: &str) -> Result<bool, ContextError> {
        let name = safe_name(name)?;
        let place = self.dir.join(kind.as_str()).join(name);
        match fs::remove_file(&place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ContextError::Io { path: place, source }),
        }
    }
}

/// A name that is one file of a folder, and not hidden.
pub(super) fn safe_name(name: &str) -> Result<&str, ContextError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fine = (1..=100).contains(&name.len()) && name.chars().all(good) && !name.starts_with('.');
    fine.then_some(name).ok_or_else(|| {
        ContextError::File(format!(
            "{name:?} is no name for a file here: use up to 100 letters, digits, '.', '-' or '_'"
        ))
    })
}

fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, ContextError> {
    let io = |source| ContextError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most {
        return Err(ContextError::File(format!(
            "{}: more than {most} bytes, which is the most for its kind",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Reads a file as a kind, without keeping it.
///
/// # Errors
/// It cannot be read, or nothing of it can be taken.
pub fn check(kind: Kind, file: &Path) -> Result<FileReport, ContextError> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    safe_name(&name)?;
    check_bytes(kind, &name, read_bounded(file, kind.max_bytes())?)
}

pub(super) fn check_bytes(kind: Kind, name: &str, bytes: Vec<u8>) -> Result<FileReport, ContextError> {
    let report = Loading::default().read(kind, name, bytes);
    match &report.error {
        Some(error) => Err(ContextError::File(format!("{name}: {error}"))),
        None if report.entries == 0 => {
            let why =
                report.rejected.first.first().map(|(line, why)| format!("; line {line}: {why}")).unwrap_or_default();
            Err(ContextError::File(format!("{name}: nothing of it is a file of kind {}{why}", kind.as_str())))
        }
        None => Ok(report),
    }
}

fn load(stamp: &Stamp) -> Context {
    let told = format!("{stamp:?}");
    let mut loading = Loading::default();
    let mut files = Vec::new();
    for (number, (kind, path, bytes, _)) in stamp.iter().enumerate() {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let before = stamp.iter().take(number).filter(|(other, ..)| other == kind).count();
        let read = if before >= MAX_FILES {
            Err(ContextError::File(format!("more than {MAX_FILES} files of its kind")))
        } else {
            read_bounded(path, kind.max_bytes())
        };
        files.push(match read {
            Ok(bytes) => loading.read(*kind, &name, bytes),
            Err(error) => {
                let (rejected, error) = (Rejected::default(), Some(error.to_string()));
                FileReport { kind: *kind, name, bytes: *bytes, entries: 0, rejected, error }
            }
        });
    }
    Context { stamp: told, ..loading.finish(files) }
}

/// Files being read.
#[derive(Default)]
struct Loading {
    internal: Ranges<String>,
    network: Ranges<String>,
    geo: geo::Places,
    lists: Lists,
    domains: HashMap<Box<str>, u32>,
    services: HashMap<(u8, u16), String>,
}

impl Loading {
    fn read(&mut self, kind: Kind, name: &str, bytes: Vec<u8>) -> FileReport {
        let size = bytes.len() as u64;
        let mut rejected = Rejected::default();
        let read = match kind {
            Kind::Mmdb => geo::Mmdb::read(bytes).map(|database| {
                let nodes = database.nodes();
                self.geo.databases.push(database);
                nodes
            }),
            _ => match String::from_utf8(bytes) {
                Ok(text) => self.read_text(kind, name, text.trim_start_matches('\u{feff}'), &mut rejected),
                Err(error) => {
                    Err(ContextError::File(format!("not UTF-8 text at byte {}", error.utf8_error().valid_up_to())))
                }
            },
        };
        let (entries, error) = match read {
            Ok(entries) => (entries, None),
            Err(error) => (0, Some(error.to_string())),
        };
        FileReport { kind, name: name.to_owned(), bytes: size, entries, rejected, error }
    }

    fn read_text(&mut self, kind: Kind, name: &str, text: &str, rejected: &mut Rejected) -> Result<u64, ContextError> {
        Ok(match kind {
            Kind::Internal => named_ranges(text, &mut self.internal, rejected),
            Kind::Network => named_ranges(text, &mut self.network, rejected),
            Kind::Geo => {
                let table = geo::iploc(text, rejected);
                let entries = table.len() as u64;
                self.geo.tables.push(table);
                entries
            }
            Kind::Reputation => self.lists.read(name, text, rejected)?,
            Kind::Domains => domains(text, &mut self.domains, rejected),
            Kind::Services => services::read(text, &mut self.services, rejected),
            Kind::Mmdb => 0,
        })
    }

    fn finish(self, files: Vec<FileReport>) -> Context {
        let Self { internal, network, geo, lists, domains, services } = self;
        let (internal, network) = (internal.build(), network.build());
        Context { internal, network, geo, reputation: lists.build(), domains, services, files, stamp: String::new() }
    }
}

/// `start,end,name` (Spot's ipranges.csv), or `key,name` with an address, a network or two addresses for a key (networkcontext_1.csv). A first line without an
/// address is a header.
fn named_ranges(text: &str, into: &mut Ranges<String>, rejected: &mut Rejected) -> u64 {
    let mut read = 0;
    for (line, row) in lines(text, rejected) {
        let Some(cells) = cells(row) else {
            rejected.add(line, "a quote is not closed");
            continue;
        };
        let ip = |text: &String| text.parse().ok().map(number);
        let (range, name) = match cells.as_slice() {
            [first, last, rest @ ..] if ip(first).is_some() && ip(last).is_some() => {
                (ip(first).zip(ip(last)).filter(|(first, last)| first <= last), rest.first())
            }
            [key, rest @ ..] => (parse_range(key), rest.first()),
            [] => continue,
        };
        match range {
            Some(range) => {
                into.add(range, name.and_then(|name| shown(name)).unwrap_or_else(|| "Internal".to_owned()));
                read += 1;
            }
            None if line == 1 => {}
            None => rejected.add(line, "neither start,end,name nor a network or range with a name"),
        }
    }
    read
}

/// `rank,name`, or a name a line, which are ranked as they stand.
fn domains(text: &str, into: &mut HashMap<Box<str>, u32>, rejected: &mut Rejected) -> u64 {
    let mut read = 0;
    for (line, row) in lines(text, rejected) {
        let (rank, name) = match row.split_once(',') {
            Some((rank, name)) => (rank.trim().parse::<u32>().ok(), name),
            None => (u32::try_from(line).ok(), row),
        };
        let name = name.trim().trim_matches('.').to_lowercase();
        let sound = !name.is_empty() && name.len() <= 253 && !name.contains([',', ' ', '/']);
        match rank.filter(|rank| *rank > 0 && sound) {
            _ if into.len() >= MAX_DOMAINS => {
                rejected.add(line, format!("more than {MAX_DOMAINS} names"));
                break;
            }
            Some(rank) => {
                let held = into.entry(name.into_boxed_str()).or_insert(rank);
                *held = rank.min(*held);
                read += 1;
            }
            None if line == 1 => {}
            None => rejected.add(line, "rank,name or a name is expected"),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use aggregator::record::Micros;

    fn put(store: &Store, kind: Kind, name: &str, text: &str) -> Result<FileReport, ContextError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        store.add(kind, &path)
    }

    #[test]
    fn files_are_read_when_they_come_change_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of_lake(folder.path());
        let ip = |text: &str| text.parse().unwrap();
        assert!(store.current().files().is_empty());
        put(&store, Kind::Internal, "ipranges.csv", "10.0.0.1,10.255.255.255,Internal\n2001:db8::/32,Site six\n")
            .unwrap();
        put(
            &store,
            Kind::Network,
            "networkcontext_1.csv",
            "key,name\n10.1.0.0/16,VPN\n10.1.2.3,Proxy\n10.2.0.1-10.2.0.9,DMZ\n",
        )
        .unwrap();
        put(&store, Kind::Reputation, "bad.csv", "198.51.100.7\nevil.example\n").unwrap();
        put(&store, Kind::Domains, "tranco.csv", "1,example.com\n2,example.org\n").unwrap();
        let context = store.current();
        assert_eq!(
            (context.internal(ip("10.9.9.9")), context.internal(ip("2001:db8::1"))),
            (Some("Internal"), Some("Site six"))
        );
        assert_eq!(context.internal(ip("10.0.0.0")), None, "Spot's example begins at .1");
        assert_eq!(
            ["10.1.9.9", "10.1.2.3", "10.2.0.5", "10.2.0.10"].map(|text| context.network(ip(text))),
            [Some("VPN"), Some("Proxy"), Some("DMZ"), None]
        );
        assert_eq!(context.of_address(ip("198.51.100.7"), Micros(0)).map(|said| said.level), Some(3));
        assert_eq!(context.of_uri("http://a.evil.example:8080/x", Micros(0)).map(|said| said.level), Some(3));
        assert_eq!((context.popularity("www.EXAMPLE.org"), context.popularity("x.test")), (Some(2), None));
        assert!(Arc::ptr_eq(&context, &store.current()), "nothing changed: nothing is read");
        put(&store, Kind::Network, "networkcontext_1.csv", "key,name\n10.1.0.0/16,Office and more\n").unwrap();
        assert_eq!(store.current().network(ip("10.1.2.3")), Some("Office and more"));
        assert!(store.remove(Kind::Network, "networkcontext_1.csv").unwrap());
        assert_eq!(store.current().network(ip("10.1.2.3")), None);
        assert!(!store.remove(Kind::Network, "networkcontext_1.csv").unwrap());
    }

    #[test]
    fn what_is_no_such_file_is_refused_and_one_bad_file_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of_lake(folder.path());
        for (kind, name, text) in [
            (Kind::Internal, "a.csv", "no,address,here\nnone,here,either\n"),
            (Kind::Geo, "iploc.csv", "x"),
            (Kind::Reputation, "x.json", "{\"a\":"),
            (Kind::Mmdb, "x.mmdb", "not a database"),
            (Kind::Domains, "d.csv", ""),
        ] {
            assert!(put(&store, kind, name, text).is_err(), "{name}");
        }
        assert!(store.remove(Kind::Geo, "../state.sqlite").is_err());
        put(&store, Kind::Internal, "good.csv", "10.0.0.0/8,Site\n").unwrap();
        fs::create_dir_all(store.dir().join("mmdb")).unwrap();
        fs::write(store.dir().join("mmdb/bad.mmdb"), "not a database").unwrap();
        let context = store.current();
        assert_eq!(context.internal("10.1.1.1".parse().unwrap()), Some("Site"));
        let bad = context.files().iter().find(|file| file.name == "bad.mmdb").unwrap();
        assert!(bad.error.as_ref().unwrap().contains("no MMDB"));
    }
}
