//! Records without packets: the sessions' packets are counted, not built.
//!
//! Each planned packet becomes the event the decoder would have made of its frame, and the aggregator makes records of
//! the events. Only payload that says something (DNS, HTTP, TLS hellos) is built and read; filler is never copied.
//! The records are those of an import of the same traffic's capture, ids included.

use std::net::IpAddr;
use std::sync::mpsc::sync_channel;

use aggregator::lake::{Lake, Published, SetKind, WriterOptions};
use aggregator::record::{Origin, Records};
use aggregator::{Aggregator, AggregatorConfig};
use capture::app::{AppConfig, AppDecoder};
use capture::{AddressPair, Fragment, Ip, Link, Nanos, Packet, Sink, Tcp};

use super::config::SynthConfig;
use super::frame;
use super::label::Label;
use super::session::{Data, Transport};
use super::traffic::{Passing, Traffic};
use super::{Progress, SynthError};

/// What was made.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RecordSummary {
    /// Packets counted.
    pub packets: u64,
    /// Rows of each table.
    pub flows: u64,
    /// Rows of `dns`.
    pub dns: u64,
    /// Rows of `proxy`.
    pub proxy: u64,
    /// The incidents.
    pub labels: Vec<Label>,
}

/// Records handed over at a time.
const BATCH: usize = 16_384;

/// Makes the records and hands them to `take` in batches, in the order they end.
///
/// # Errors
/// The configuration's, or those of `take`.
pub fn make_records(
    config: &SynthConfig,
    sensor: &str,
    progress: &mut dyn Progress,
    mut take: impl FnMut(Records) -> Result<(), SynthError>,
) -> Result<RecordSummary, SynthError> {
    let mut traffic = Traffic::new(config.clone())?;
    let mut aggregator = Aggregator::new(AggregatorConfig::new(sensor, Origin::Pcap));
    let mut app = AppDecoder::new(AppConfig::default());
    let mut summary = RecordSummary::default();
    let mut payload = Vec::with_capacity(2048);
    let mut hand_over = |aggregator: &mut Aggregator, summary: &mut RecordSummary| {
        let records = aggregator.take_records();
        summary.flows += records.flow.len() as u64;
        summary.dns += records.dns.len() as u64;
        summary.proxy += records.proxy.len() as u64;
        take(records)
    };
    loop {
        let more = traffic.window(|passing| {
            summary.packets += 1;
            handle(&passing, &mut payload, &mut app, &mut aggregator);
            if aggregator.finished() >= BATCH {
                hand_over(&mut aggregator, &mut summary)?;
            }
            Ok(())
        })?;
        progress.advance(traffic.share(), summary.packets);
        if !more {
            break;
        }
    }
    app.finish(&mut aggregator);
    aggregator.finish();
    hand_over(&mut aggregator, &mut summary)?;
    summary.labels = traffic.labels();
    Ok(summary)
}

/// Batches on their way from the generator to the writer.
const QUEUE: usize = 4;

/// Writes the records to a lake as one generated set; generator and writer each have a thread. Memory: the writer's
/// limit, what the flow table holds, and [`QUEUE`] batches.
///
/// # Errors
/// The configuration's, or the lake's.
pub fn write_lake(
    config: &SynthConfig,
    lake: &Lake,
    options: WriterOptions,
    progress: &mut dyn Progress,
) -> Result<(RecordSummary, Published), SynthError> {
    let sensor = options.sensor.clone();
    let mut writer = lake.begin(SetKind::Generated, options)?;
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel::<Records>(QUEUE);
        let writing = scope.spawn(move || -> Result<Published, SynthError> {
            for records in receive {
                writer.records(records)?;
            }
            Ok(writer.commit()?)
        });
        let made = make_records(config, &sensor, progress, |records| {
            send.send(records).map_err(|_| SynthError::WriterStopped)
        });
        // The writer's own error says more than that it stopped; and an incomplete day is not published.
        if let Err(error) = made {
            drop(send);
            return match (error, writing.join()) {
                (SynthError::WriterStopped, Ok(Err(cause))) => Err(cause),
                (error, _) => Err(error),
            };
        }
        drop(send);
        let published = writing.join().map_err(|_| SynthError::WriterStopped)??;
        Ok((made?, published))
    })
}

/// One packet: its event, and what its payload says.
fn handle(passing: &Passing<'_>, payload: &mut Vec<u8>, app: &mut AppDecoder, sink: &mut Aggregator) {
    let Passing { player, event } = passing;
    let (session, planned) = (&player.session, &event.packet);
    let (src, dst) = (session.end(planned.from), session.end(planned.from.other()));
    let (src_ip, version) = Ip::from_ip_addr(src.ip);
    let (dst_ip, _) = Ip::from_ip_addr(dst.ip);
    let (src_port, dst_port) = match session.transport {
        Transport::Echo => (frame::echo_type(session.proto(), planned.from), 0),
        _ => (src.port, dst.port),
    };
    let mut packet = Packet {
        ts: Nanos(planned.ts),
        pair: AddressPair { src: src_ip, dst: dst_ip, src_port, dst_port, proto: session.proto(), version },
        ip_bytes: frame::ip_bytes(session, planned),
        payload_bytes: u32::from(planned.len),
        tcp: Tcp {
            flags: planned.flags,
            seq: planned.seq,
            ack: planned.ack,
            window: if planned.flags == 0 { 0 } else { frame::WINDOW },
        },
        tos: 0,
        fragment: Fragment::Whole,
        link: Link {
            macs: Some((src.mac, dst.mac)),
            ethertype: Some(if matches!(src.ip, IpAddr::V4(_)) { 0x0800 } else { 0x86dd }),
            vlan: None,
            cos: None,
        },
        tunnel: None,
        service: None,
    };
    payload.clear();
    if planned.len > 0 && says_something(passing) {
        player.payload(planned, payload);
        packet.service = app.recognise(&packet, payload);
    }
    sink.packet(&packet);
    if !matches!(session.transport, Transport::Echo) && (planned.flags != 0 || !payload.is_empty()) {
        app.handle_payload(&packet, payload, frame::frame_bytes(session, planned), sink);
    }
}

/// Whether the payload is worth building: it has bytes of its own, begins a frame, or belongs to an HTTP message.
fn says_something(passing: &Passing<'_>) -> bool {
    let Passing { player, event } = passing;
    event.packet.offset < player.own()
        || match player.data(player.current()) {
            Some((_, Data::Request(_) | Data::Response { .. })) => true,
            Some((_, Data::Framed(..))) => event.packet.offset == 0,
            _ => false,
        }
}
