//! Capture files (nanosecond pcap, little-endian, Ethernet).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::config::SynthConfig;
use super::label::Label;
use super::session::{HOUR, SECOND};
use super::traffic::Traffic;
use super::{Progress, SynthError};

/// What was written.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// Packets.
    pub packets: u64,
    /// Bytes of frames on the wire.
    pub wire_bytes: u64,
    /// Bytes of the file or files.
    pub file_bytes: u64,
    /// Sessions that were under way at once, at most: what the memory is proportional to.
    pub sessions_at_once: usize,
    /// The incidents.
    pub labels: Vec<Label>,
    /// Files, where several were asked for.
    pub files: Vec<PathBuf>,
}

const HEADER: usize = 24;

pub(super) fn file_header(snaplen: u32) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..4].copy_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
    out[4..8].copy_from_slice(&[2, 0, 4, 0]);
    out[16..20].copy_from_slice(&snaplen.to_le_bytes());
    out[20..24].copy_from_slice(&1u32.to_le_bytes());
    out
}

/// Writes the traffic as one capture file.
///
/// # Errors
/// The configuration's, or the writer's.
pub fn write_pcap(config: &SynthConfig, out: impl Write, progress: &mut dyn Progress) -> Result<Summary, SynthError> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    out.write_all(&file_header(snaplen(config)))?;
    let mut summary = run(config, progress, |_, record| Ok(out.write_all(record)?))?;
    out.flush()?;
    summary.file_bytes += HEADER as u64;
    Ok(summary)
}

/// Writes one capture file an hour, `traffic-YYYY-MM-DD-HH.pcap`, into a folder that exists.
///
/// # Errors
/// The configuration's, or those of creating and writing the files.
pub fn write_pcap_hourly(
    config: &SynthConfig,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Summary, SynthError> {
    let begin = config.date.midnight();
    let mut files = Vec::new();
    let mut current: Option<(i64, BufWriter<File>)> = None;
    let mut summary = run(config, progress, |ts, record| {
        let hour = (ts - begin).div_euclid(HOUR);
        if current.as_ref().is_none_or(|(h, _)| *h != hour) {
            if let Some((_, mut done)) = current.take() {
                done.flush()?;
            }
            let name = format!("traffic-{}-{:02}.pcap", config.date.after(hour / 24), hour % 24);
            let path = folder.join(name);
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
            file.write_all(&file_header(snaplen(config)))?;
            files.push(path);
            current = Some((hour, file));
        }
        if let Some((_, file)) = &mut current {
            file.write_all(record)?;
        }
        Ok(())
    })?;
    if let Some((_, mut done)) = current {
        done.flush()?;
    }
    summary.file_bytes += (HEADER * files.len()) as u64;
    summary.files = files;
    Ok(summary)
}

fn snaplen(config: &SynthConfig) -> u32 {
    if config.snaplen == 0 { 65_535 } else { config.snaplen }
}

/// Makes the record of every packet: header and captured bytes.
fn run(
    config: &SynthConfig,
    progress: &mut dyn Progress,
    mut write: impl FnMut(i64, &[u8]) -> Result<(), SynthError>,
) -> Result<Summary, SynthError> {
    let mut traffic = Traffic::new(config.clone())?;
    let snaplen = snaplen(config) as usize;
    let mut summary = Summary {
        packets: 0,
        wire_bytes: 0,
        file_bytes: 0,
        sessions_at_once: 0,
        labels: Vec::new(),
        files: Vec::new(),
    };
    let (mut frame, mut record) = (Vec::with_capacity(2048), Vec::with_capacity(2048));
    loop {
        let more = traffic.window(|passing| {
            passing.frame(&mut frame);
            let ts = passing.event.packet.ts;
            let kept = frame.len().min(snaplen);
            record.clear();
            for word in [(ts / SECOND) as u32, (ts % SECOND) as u32, kept as u32, frame.len() as u32] {
                record.extend_from_slice(&word.to_le_bytes());
            }
            record.extend_from_slice(&frame[..kept]);
            summary.packets += 1;
            summary.wire_bytes += frame.len() as u64;
            summary.file_bytes += record.len() as u64;
            write(ts, &record)
        })?;
        progress.advance(traffic.share(), summary.packets);
        if !more {
            break;
        }
    }
    summary.sessions_at_once = traffic.most;
    summary.labels = traffic.labels();
    Ok(summary)
}
