//! Live packets by packet sockets (AF_PACKET, TPACKET_V3): works with every driver, where XDP cannot be had.
//!
//! Each receiver has a socket with its own memory-mapped ring; the sockets of an interface are one fanout group, which
//! spreads packets by flow. VLAN tags that the kernel took out are handed over beside the frame. What the kernel dropped
//! because a ring was full is in the books. `unsafe` is in `sys` alone.
//!
//! The settings that are changed (GRO, LRO and their like off, the VLAN filter off on a tap, promiscuous mode) are put back when the
//! interface is closed. After SIGKILL the kernel itself ends promiscuous mode; offloads stay as they are, and the
//! next orderly end cannot know what they were.

mod block;
mod handed;
mod inject;
mod offload;
mod queue;
mod sys;

use std::borrow::Cow;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::keeper::message::Way;
use crate::keeper::{Given, Kept, Read};
use crate::live::source::{Interface, LinkEvent, Mode, QueueName, Receiver, SourceError};
use crate::live::{Filter, Policy};

pub(crate) use handed::Sockets;
pub use inject::Injector;
pub(crate) use offload::{Feature, features};
pub(crate) use sys::Control;

#[cfg(feature = "probe")]
pub(crate) use offload::Offloads;
#[cfg(not(feature = "probe"))]
use offload::Offloads;
use queue::{Orders, Queue, Sampler, Successor};
use sys::{Ring, Shape, Socket};

/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK` (whose frames have an Ethernet header, too).
const ETHERNET_KINDS: [u16; 2] = [1, 772];

/// Ethernet header and one VLAN tag.
const HEADERS: u32 = 18;

/// Settings of [`AfPacket::open`].
#[derive(Clone, Debug)]
pub struct AfPacketOptions {
    /// Receivers, each with a socket and a thread. 1 to 64.
    pub receivers: u32,
    /// Bytes of each receiver's ring, rounded up to whole blocks. 1 MiB to 4 GiB. Default 64 MiB.
    pub ring_bytes: u64,
    /// Bytes of a block: a power of two from 4 KiB to 16 MiB. Default 512 KiB.
    pub block_bytes: u32,
    /// After this long a block that is not full is handed out. Default 20 ms.
    pub retire: Duration,
    /// Bytes kept of a frame. Default: all.
    pub snaplen: u32,
    /// What the interface is for.
    pub policy: Policy,
    /// One packet in so many is kept; 1 = all.
    pub sample: u32,
    /// What is dropped early.
    pub filter: Filter,
}

impl AfPacketOptions {
    /// The defaults for a policy.
    pub fn new(policy: Policy) -> Self {
        Self {
            receivers: 1,
            ring_bytes: 64 << 20,
            block_bytes: 512 << 10,
            retire: Duration::from_millis(20),
            snaplen: u32::MAX,
            policy,
            sample: 1,
            filter: Filter::default(),
        }
    }

    fn shape(&self) -> Result<Shape, SourceError> {
        let out_of_range = |name, range: &str| Err(SourceError::OutOfRange { name, range: range.to_owned() });
        if !(1..=64).contains(&self.receivers) {
            return out_of_range("receivers", "1 to 64");
        }
        if !self.block_bytes.is_power_of_two() || !(4 << 10..=16 << 20).contains(&self.block_bytes) {
            return out_of_range("block size", "a power of two from 4 KiB to 16 MiB");
        }
        // Two blocks at least: one that is read while the other is filled.
        let ring_bytes = self.ring_bytes.max(2 * u64::from(self.block_bytes));
        if !(2 * (4 << 10)..=4 << 30).contains(&ring_bytes) {
            return out_of_range("ring size", "8 KiB to 4 GiB");
        }
        if self.snaplen < 64 {
            return out_of_range("snaplen", "at least 64 bytes");
        }
        if self.sample == 0 {
            return out_of_range("sample", "at least 1");
        }
        let blocks = ring_bytes.div_ceil(u64::from(self.block_bytes)) as u32;
        Ok(Shape { block_bytes: self.block_bytes, blocks, retire: self.retire })
    }
}

/// An interface captured by packet sockets.
#[derive(Debug)]
pub struct AfPacket {
    name: String,
    options: AfPacketOptions,
    shape: Shape,
    control: Control,
    /// Index it has, or had when it was seen last.
    ifindex: u32,
    is_gone: bool,
    is_up: bool,
    orders: Arc<Orders>,
    successors: Vec<Arc<Successor>>,
    receivers: Vec<Queue>,
    offloads: Option<Offloads>,
    returns: u64,
}

impl AfPacket {
    /// Opens the interface: packets come in from now on. Takes CAP_NET_RAW, and CAP_NET_ADMIN for offloads and rings.
    pub fn open(name: &str, options: AfPacketOptions) -> Result<Self, SourceError> {
        let shape = options.shape()?;
        let kernel = |doing: &'static str| move |error: io::Error| SourceError::kernel(doing, name, error);
        let control = Control::new().map_err(kernel("opening a control socket"))?;
        let ifindex = control.index(name).map_err(kernel("looking up"))?;
        let ifindex = ifindex.ok_or_else(|| SourceError::NoInterface(name.to_owned()))?;
        let kind = control.link_kind(name).map_err(kernel("looking at"))?;
        if !ETHERNET_KINDS.contains(&kind) {
            return Err(SourceError::NotEthernet { interface: name.to_owned(), kind });
        }
        let is_up = is_up(&control, name).map_err(kernel("looking at"))?;
        let orders = Arc::new(Orders::default());
        orders.set_filter(&options.filter);
        let mut out = Self {
            name: name.to_owned(),
            options,
            shape,
            control,
            ifindex,
            is_gone: false,
            is_up,
            orders,
            successors: Vec::new(),
            receivers: Vec::new(),
            offloads: None,
            returns: 0,
        };
        for (ring, queue) in out.rings(ifindex)?.into_iter().zip(0..) {
            let successor = Arc::new(Successor::default());
            let name = QueueName { interface: out.name.clone(), queue };
            let sampler = Sampler::of(out.options.sample, queue);
            let (orders, retire) = (Arc::clone(&out.orders), out.shape.retire);
            out.successors.push(Arc::clone(&successor));
            out.receivers.push(Queue::new(name, ring, retire, orders, successor, sampler));
        }
        Ok(out)
    }

    /// Sockets with rings, bound to the interface as it is now.
    fn rings(&mut self, ifindex: u32) -> Result<Vec<Ring>, SourceError> {
        let mtu = self.control.mtu(&self.name).unwrap_or(u32::MAX);
        self.orders.longest_frame.store(mtu.saturating_add(HEADERS), Ordering::Relaxed);
        // Before the first packet comes in. Where the driver refuses, merged frames are counted.
        match Offloads::turn_off(&self.control, &self.name, self.options.policy) {
            Ok(offloads) => self.offloads = Some(offloads),
            Err(error) => tracing::warn!(interface = self.name, %error, "offloads cannot be turned off"),
        }
        let kernel = |doing: &'static str, error: io::Error| SourceError::kernel(doing, &self.name, error);
        let (mut rings, mut group) = (Vec::new(), None);
        for _ in 0..self.options.receivers {
            let socket = Socket::new().map_err(|e| kernel("opening a packet socket", e))?;
            if self.options.snaplen != u32::MAX {
                socket.set_snaplen(self.options.snaplen).map_err(|e| kernel("setting the snap length", e))?;
            }
            if self.options.policy == Policy::Tap {
                socket.ignore_outgoing().map_err(|e| kernel("ignoring sent packets", e))?;
                socket.set_promiscuous(ifindex).map_err(|e| kernel("setting promiscuous mode", e))?;
            }
            let ring = socket.into_ring(self.shape).map_err(|e| kernel("making the packet ring", e))?;
            ring.socket().bind(ifindex).map_err(|e| kernel("binding the packet socket", e))?;
            if self.options.receivers > 1 {
                group = Some(ring.socket().join_fanout(group).map_err(|e| kernel("joining the fanout group", e))?);
            }
            rings.push(ring);
        }
        Ok(rings)
    }
}

fn is_up(control: &Control, name: &str) -> io::Result<bool> {
    Ok(control.flags(name)? & libc::IFF_UP != 0)
}

impl Interface for AfPacket {
    fn name(&self) -> &str {
        &self.name
    }

    fn mode(&self) -> Mode {
        Mode::AfPacket
    }

    fn clock(&self) -> String {
        "realtime at reception, 1 ns".to_owned()
    }

    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>> {
        std::mem::take(&mut self.receivers).into_iter().map(|queue| Box::new(queue) as Box<dyn Receiver>).collect()
    }

    fn maintain(&mut self) -> Result<Vec<LinkEvent>, SourceError> {
        let name = self.name.clone();
        let kernel = |error| SourceError::kernel("looking up", &name, error);
        let Some(ifindex) = self.control.index(&self.name).map_err(kernel)? else {
            let was_there = !std::mem::replace(&mut self.is_gone, true);
            if was_there {
                // There is nothing left to put back.
                if let Some(offloads) = self.offloads.take() {
                    offloads.forget();
                }
            }
            return Ok(if was_there { vec![LinkEvent::Gone] } else { Vec::new() });
        };
        let mut events = Vec::new();
        if self.is_gone || ifindex != self.ifindex {
            for (ring, successor) in self.rings(ifindex)?.into_iter().zip(&self.successors) {
                successor.offer(ring);
            }
            if !self.is_gone {
                events.push(LinkEvent::Gone);
            }
            (self.ifindex, self.is_gone) = (ifindex, false);
            self.returns += 1;
            events.push(LinkEvent::Back { ifindex });
        }
        let up = is_up(&self.control, &self.name).map_err(kernel)?;
        if up != self.is_up {
            self.is_up = up;
            events.push(if up { LinkEvent::Up } else { LinkEvent::Down });
        }
        let mtu = self.control.mtu(&self.name).map_err(kernel)?;
        let from = self.orders.longest_frame.swap(mtu.saturating_add(HEADERS), Ordering::Relaxed);
        let from = from.saturating_sub(HEADERS);
        if from != mtu {
            events.push(LinkEvent::Mtu { from, to: mtu });
        }
        Ok(events)
    }

    fn set_filter(&mut self, filter: &Filter) -> Result<(), SourceError> {
        self.orders.set_filter(filter);
        self.options.filter = filter.clone();
        Ok(())
    }

    fn counters(&mut self) -> Vec<(Cow<'static, str>, u64)> {
        vec![("interface_returns".into(), self.returns)]
    }

    fn stop(&mut self) {
        self.orders.stop.store(true, Ordering::Release);
    }

    fn restore(&mut self) {
        // What was changed is put back when it is dropped.
        self.offloads = None;
    }
}

impl Kept for AfPacket {
    fn way(&self) -> Way {
        let Shape { block_bytes, blocks, retire } = self.shape;
        Way::Sockets { block_bytes, blocks, retire, sample: self.options.sample }
    }

    fn has_read(&mut self, _: &Read) {}

    fn give(&mut self) -> io::Result<(Given, Vec<OwnedFd>)> {
        let longest_frame = self.orders.longest_frame.load(Ordering::Relaxed);
        let (mut given, mut descriptors) = (Given { longest_frame, ..Given::default() }, Vec::new());
        for (number, queue) in std::mem::take(&mut self.receivers).into_iter().enumerate() {
            given.rings.push(number);
            descriptors.push(queue.hand_over()?);
        }
        for (number, successor) in self.successors.iter().enumerate() {
            if let Some(ring) = successor.take() {
                given.rings.push(number);
                descriptors.push(ring.socket().hand_over()?);
            }
        }
        Ok((given, descriptors))
    }
}
