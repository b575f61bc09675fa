//! Writing the store: a thread with a bounded queue in front.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use capture::Frame;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use hashbrown::HashMap;
use uuid::Uuid;

use super::index::Index;
use super::pcapng::PcapngWriter;
use super::{PacketOptions, SharedCounts, StoreCounts};

/// Batches that may wait: with [`BATCH_BYTES`] 16 MiB.
const WAITING: usize = 64;

/// Bytes of a batch past which it is sent.
const BATCH_BYTES: usize = 256 << 10;

/// A file is complete at this size, if the store is large enough for eight …
const FILE_BYTES: u64 = 64 << 20;

/// … or this long after its first packet.
const FILE_TIME: Duration = Duration::from_secs(60);

/// How long writing is left alone after it failed.
const RETRY: Duration = Duration::from_secs(5);

/// Flows of a generation whose packets are counted for the cut-off.
const FLOWS: usize = 1 << 19;

/// Link type Ethernet.
const ETHERNET: u16 = 1;

#[derive(Clone, Copy, Debug)]
struct Entry {
    ts: i64,
    hash: u64,
    interface: u16,
    length: u32,
    wire_len: u32,
}

/// Frames on their way to the writer.
#[derive(Debug, Default)]
struct Batch {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

/// A worker's way to the writer.
#[derive(Debug)]
pub(crate) struct Tap {
    to: Sender<Batch>,
    batch: Batch,
    counts: SharedCounts,
    snaplen: usize,
    began: Option<Instant>,
}

impl Tap {
    /// A frame that came by this receiver, and its flow, where it has one.
    pub(crate) fn frame(&mut self, interface: u16, frame: &Frame<'_>, flow: Option<u64>) {
        let Frame { ts, wire_len, data, .. } = *frame;
        let (ts, hash) = (ts.unwrap_or_default().0, flow.unwrap_or(0));
        let data = data.get(..self.snaplen).unwrap_or(data);
        self.batch.entries.push(Entry { ts, hash, interface, length: data.len() as u32, wire_len });
        self.batch.bytes.extend_from_slice(data);
        if self.batch.bytes.len() >= BATCH_BYTES {
            self.send();
        } else if self.began.is_none() {
            self.began = Some(Instant::now());
        }
    }

    /// Sends what has been gathered for a while. Called now and then.
    pub(crate) fn send_if_old(&mut self) {
        if self.began.is_some_and(|began| began.elapsed() >= Duration::from_millis(200)) {
            self.send();
        }
    }

    fn send(&mut self) {
        self.began = None;
        let batch = std::mem::take(&mut self.batch);
        let packets = batch.entries.len() as u64;
        StoreCounts::add(&self.counts.offered, packets);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.to.try_send(batch) {
            StoreCounts::add(&self.counts.lost_queue, packets);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if !self.batch.entries.is_empty() {
            self.send();
        }
    }
}

/// A store that is not yet written to.
#[derive(Debug)]
pub(crate) struct PacketStore {
    options: PacketOptions,
    interfaces: Vec<(String, u16)>,
    counts: SharedCounts,
    to: Sender<Batch>,
    from: Receiver<Batch>,
}

impl PacketStore {
    /// A store of what these receivers bring, each with the name of its interface.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub(crate) fn open(options: PacketOptions, receivers: &[String]) -> io::Result<Self> {
        fs::create_dir_all(&options.dir)?;
        let (to, from) = bounded(WAITING);
        let interfaces = receivers.iter().map(|name| (name.clone(), ETHERNET)).collect();
        Ok(Self { options, interfaces, counts: Arc::default(), to, from })
    }

    /// A worker's way in.
    pub(crate) fn tap(&self) -> Tap {
        let snaplen = self.options.snaplen as usize;
        Tap { to: self.to.clone(), batch: Batch::default(), counts: Arc::clone(&self.counts), snaplen, began: None }
    }

    pub(crate) fn counts(&self) -> SharedCounts {
        Arc::clone(&self.counts)
    }

    /// Writes until the last tap is gone.
    pub(crate) fn run(self) {
        let Self { options, interfaces, counts, to, from } = self;
        drop(to);
        let mut writer = Writer {
            kept: Kept::read(&options.dir),
            cut: CutOff::new(&options),
            options,
            interfaces,
            counts,
            open: None,
            failed: None,
        };
        writer.expire();
        loop {
            match from.recv_timeout(Duration::from_secs(1)) {
                Ok(batch) => writer.batch(&batch),
                Err(crossbeam::channel::RecvTimeoutError::Timeout) => {}
                Err(crossbeam::channel::RecvTimeoutError::Disconnected) => break,
            }
            writer.rotate_if_due();
        }
        writer.close();
        writer.counts.is_final.store(true, Ordering::Release);
    }
}

struct OpenFile {
    path: PathBuf,
    began: Instant,
    pcapng: PcapngWriter<BufWriter<File>>,
    index: Index,
}

struct Writer {
    options: PacketOptions,
    interfaces: Vec<(String, u16)>,
    counts: SharedCounts,
    kept: Kept,
    cut: CutOff,
    open: Option<OpenFile>,
    failed: Option<Instant>,
}

impl Writer {
    fn batch(&mut self, batch: &Batch) {
        let mut at = 0;
        for entry in &batch.entries {
            let end = at + entry.length as usize;
            let data = batch.bytes.get(at..end).unwrap_or_default();
            at = end;
            if !self.cut.keeps(entry) {
                StoreCounts::add(&self.counts.cut_off, 1);
                continue;
            }
            match self.write(entry, data) {
                Ok(()) => {
                    StoreCounts::add(&self.counts.stored, 1);
                    StoreCounts::add(&self.counts.bytes, data.len() as u64);
                }
                Err(error) => {
                    StoreCounts::add(&self.counts.lost_disk, 1);
                    if let Some(error) = error {
                        self.fail(&error);
                    }
                }
            }
        }
        // What was written can be read by others at once.
        if let Some(open) = &mut self.open
            && let Err(error) = io::Write::flush(open.pcapng.get_mut())
        {
            self.fail(&error);
        }
    }

    /// `Err(None)`: writing failed a moment ago, and is not tried yet.
    fn write(&mut self, entry: &Entry, data: &[u8]) -> Result<(), Option<io::Error>> {
        if self.open.is_none() {
            if self.failed.is_some_and(|at| at.elapsed() < RETRY) {
                return Err(None);
            }
            self.open = Some(self.begin()?);
            self.failed = None;
        }
        let Some(open) = &mut self.open else { return Err(None) };
        let at = open.pcapng.packet(entry.interface.into(), entry.ts, data, entry.wire_len)?;
        open.index.add(entry.hash, at, entry.ts);
        if open.pcapng.position() >= FILE_BYTES.min(self.options.max_bytes / 8) {
            self.close();
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<OpenFile> {
        self.expire();
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let path = self.options.dir.join(format!("{seconds}-{}.pcapng", Uuid::now_v7().simple()));
        let file = File::create_new(&path)?;
        let pcapng =
            PcapngWriter::new(BufWriter::with_capacity(1 << 18, file), &self.interfaces, self.options.snaplen)?;
        Ok(OpenFile { path, began: Instant::now(), pcapng, index: Index::default() })
    }

    fn fail(&mut self, error: &io::Error) {
        tracing::error!(folder = %self.options.dir.display(), %error, "packets cannot be kept; what is lost is counted");
        // What there is of the file can be read; without its index.
        if let Some(open) = self.open.take() {
            self.kept.add(open.path);
        }
        self.failed = Some(Instant::now());
        if error.kind() == io::ErrorKind::StorageFull {
            StoreCounts::add(&self.counts.expired, self.kept.remove_oldest());
        }
    }

    fn rotate_if_due(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.began.elapsed() >= FILE_TIME) {
            self.close();
        }
        self.expire_old();
    }

    /// Completes the file in work.
    fn close(&mut self) {
        let Some(OpenFile { path, pcapng, index, .. }) = self.open.take() else { return };
        let written = pcapng.finish().and_then(|_| {
            let made = path.with_extension("idx.part");
            let mut to = BufWriter::new(File::create(&made)?);
            index.write(&mut to)?;
            fs::rename(&made, path.with_extension("idx"))
        });
        if let Err(error) = written {
            tracing::error!(file = %path.display(), %error, "the index of kept packets cannot be written: they are found without it");
        }
        self.kept.add(path);
        self.expire();
    }

    /// Makes room for another file.
    fn expire(&mut self) {
        let room = FILE_BYTES.min(self.options.max_bytes / 8);
        let mut gone = 0;
        while self.kept.bytes() + room > self.options.max_bytes && !self.kept.is_empty() {
            gone += self.kept.remove_oldest();
        }
        StoreCounts::add(&self.counts.expired, gone);
        self.expire_old();
    }

    fn expire_old(&mut self) {
        let Some(age) = self.options.max_age else { return };
        let now = SystemTime::now();
        while self.kept.oldest_end().is_some_and(|end| now.duration_since(end).is_ok_and(|since| since > age)) {
            let gone = self.kept.remove_oldest();
            StoreCounts::add(&self.counts.expired, gone);
        }
    }
}

/// The complete files, oldest first.
#[derive(Debug, Default)]
struct Kept(std::collections::VecDeque<(PathBuf, u64, SystemTime)>);

impl Kept {
    fn read(dir: &Path) -> Self {
        let mut out = Self::default();
        super::carve::files(dir).into_iter().for_each(|path| out.add(path));
        out
    }

    fn add(&mut self, path: PathBuf) {
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        let end = fs::metadata(&path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let bytes = size(&path) + size(&path.with_extension("idx"));
        self.0.push_back((path, bytes, end));
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes, _)| bytes).sum()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn oldest_end(&self) -> Option<SystemTime> {
        self.0.front().map(|(_, _, end)| *end)
    }

    /// How many were removed: 1 or 0. A file that cannot be removed is told of and forgotten.
    fn remove_oldest(&mut self) -> u64 {
        let Some((path, ..)) = self.0.pop_front() else { return 0 };
        drop(fs::remove_file(path.with_extension("idx")));
        match fs::remove_file(&path) {
            Ok(()) => 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "an old packet file cannot be removed");
                0
            }
        }
    }
}

/// The first packets and bytes of each flow. Flows that were silent for two generations begin anew.
#[derive(Debug)]
struct CutOff {
    packets: u64,
    bytes: u64,
    is_on: bool,
    generations: [HashMap<u64, (u64, u64)>; 2],
}

impl CutOff {
    fn new(options: &PacketOptions) -> Self {
        let PacketOptions { first_packets, first_bytes, .. } = options;
        Self {
            packets: first_packets.unwrap_or(u64::MAX),
            bytes: first_bytes.unwrap_or(u64::MAX),
            is_on: first_packets.is_some() || first_bytes.is_some(),
            generations: Default::default(),
        }
    }

    fn keeps(&mut self, entry: &Entry) -> bool {
        if !self.is_on || entry.hash == 0 {
            return true;
        }
        let [new, old] = &mut self.generations;
        if new.len() >= FLOWS {
            *old = std::mem::take(new);
        }
        let (packets, bytes) = new.entry(entry.hash).or_insert_with(|| old.remove(&entry.hash).unwrap_or_default());
        let keeps = *packets < self.packets && *bytes < self.bytes;
        *packets = packets.saturating_add(1);
        *bytes = bytes.saturating_add(entry.length.into());
        keeps
    }
}
