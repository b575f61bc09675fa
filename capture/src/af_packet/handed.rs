//! Packet sockets in the process that reads them, while their interface is the keeper's.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::queue::{Orders, Queue, Sampler, Successor};
use super::sys::{Ring, Shape};
use crate::keeper::{Given, Read, Reading};
use crate::live::Filter;
use crate::live::source::{QueueName, Receiver};

/// See the [module](self).
pub(crate) struct Sockets {
    interface: String,
    shape: Shape,
    sample: u32,
    orders: Arc<Orders>,
    successors: Vec<Arc<Successor>>,
    receivers: Vec<Queue>,
}

impl Sockets {
    /// Rings of `(bytes of a block, blocks, time after which a block is handed out)`.
    pub(crate) fn new(
        interface: &str,
        (block_bytes, blocks, retire): (u32, u32, Duration),
        sample: u32,
        filter: &Filter,
    ) -> Self {
        let orders = Orders::default();
        orders.set_filter(filter);
        Self {
            interface: interface.to_owned(),
            shape: Shape { block_bytes, blocks, retire },
            sample,
            orders: Arc::new(orders),
            successors: Vec::new(),
            receivers: Vec::new(),
        }
    }
}

impl Reading for Sockets {
    fn take(&mut self, given: &Given, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        self.orders.longest_frame.store(given.longest_frame, Ordering::Relaxed);
        for (number, socket) in given.rings.iter().zip(descriptors) {
            let ring = Ring::handed(socket, self.shape)?;
            if let Some(successor) = self.successors.get(*number) {
                successor.offer(ring);
                continue;
            }
            let queue = self.successors.len() as u32;
            let successor = Arc::new(Successor::default());
            let name = QueueName { interface: self.interface.clone(), queue };
            let (orders, sampler) = (Arc::clone(&self.orders), Sampler::of(self.sample, queue));
            self.successors.push(Arc::clone(&successor));
            self.receivers.push(Queue::new(name, ring, self.shape.retire, orders, successor, sampler));
        }
        Ok(())
    }

    fn read(&self) -> Read {
        Read::default()
    }

    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>> {
        std::mem::take(&mut self.receivers).into_iter().map(|queue| Box::new(queue) as Box<dyn Receiver>).collect()
    }

    fn set_filter(&mut self, filter: &Filter) {
        self.orders.set_filter(filter);
    }

    fn stop(&mut self) {
        self.orders.stop.store(true, Ordering::Release);
    }
}
