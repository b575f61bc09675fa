//! The reader's side: an interface that the keeper has.

use std::borrow::Cow;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;

use super::Keeper;
use super::message::{Answer, Given, Read, Request, Way};
use crate::af_packet::Sockets;
use crate::live::source::{Interface, LinkEvent, Mode, Receiver, SourceError, Survivor};
use crate::live::{Filter, OpenOptions};

/// Makes receivers of what the keeper hands over.
pub(crate) trait Reading: Send {
    /// Takes in what was handed over.
    fn take(&mut self, given: &Given, descriptors: Vec<OwnedFd>) -> io::Result<()>;

    /// How far the receivers have come.
    fn read(&self) -> Read;

    /// See [`Interface::settle`].
    fn settle(&mut self, told: &dyn Fn(u64, u32) -> Option<Survivor>) {
        let _ = told;
    }

    /// See [`Interface::take_receivers`].
    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>>;

    /// From now on these packets are dropped early.
    fn set_filter(&mut self, filter: &Filter) {
        let _ = filter;
    }

    /// Nothing more is handed over.
    fn stop(&mut self);
}

/// See the [module](self).
struct Remote {
    keeper: Keeper,
    interface: usize,
    name: String,
    mode: Mode,
    clock: String,
    reading: Box<dyn Reading>,
    stopped: bool,
    restored: bool,
}

impl Keeper {
    /// Has the keeper open an interface: packets come in from now on.
    ///
    /// # Errors
    /// As of [`crate::live::open`]; what the keeper said is a [`SourceError::Refused`] with its text.
    pub fn open(&self, name: &str, options: &OpenOptions) -> Result<Box<dyn Interface>, SourceError> {
        let request = Request::Open { name: name.to_owned(), options: Box::new(options.clone()) };
        let (Answer::Opened { interface, mode, clock, way, given }, descriptors) = self.ask(&request)? else {
            return Err(unexpected());
        };
        let reading: Box<dyn Reading> = match way {
            #[cfg(feature = "probe")]
            Way::Areas(receivers) => Box::new(crate::probe::Areas::new(name, receivers)),
            #[cfg(not(feature = "probe"))]
            Way::Areas(_) => return Err(unexpected()),
            Way::Sockets { block_bytes, blocks, retire, sample } => {
                Box::new(Sockets::new(name, (block_bytes, blocks, retire), sample, &options.filter))
            }
        };
        let keeper = self.clone();
        let (name, stopped, restored) = (name.to_owned(), false, false);
        let mut remote = Remote { keeper, interface, name, mode, clock, reading, stopped, restored };
        remote.take(&given, descriptors)?;
        Ok(Box::new(remote))
    }

    fn ask(&self, request: &Request) -> Result<(Answer, Vec<OwnedFd>), SourceError> {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = line.send(request, &[]).and_then(|()| line.receive());
        match answer {
            Ok(Some((Answer::Failed(why), _))) => Err(SourceError::Refused(why)),
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(SourceError::Refused("the process that keeps the interfaces is gone".to_owned())),
            Err(error) => Err(SourceError::Refused(format!("the process that keeps the interfaces: {error}"))),
        }
    }
}

fn unexpected() -> SourceError {
    SourceError::Refused("the process that keeps the interfaces answers another question".to_owned())
}

impl Remote {
    fn take(&mut self, given: &Given, descriptors: Vec<OwnedFd>) -> Result<(), SourceError> {
        let kernel = |error| SourceError::kernel("mapping the rings", &self.name, error);
        self.reading.take(given, descriptors).map_err(kernel)
    }

    /// Asks for what brings news with it.
    fn ask_for_news(&mut self, request: &Request) -> Result<Vec<LinkEvent>, SourceError> {
        let (Answer::Kept { events, given }, descriptors) = self.keeper.ask(request)? else { return Err(unexpected()) };
        self.take(&given, descriptors)?;
        Ok(events)
    }
}

impl Interface for Remote {
    fn name(&self) -> &str {
        &self.name
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn clock(&self) -> String {
        self.clock.clone()
    }

    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>> {
        self.reading.take_receivers()
    }

    fn settle(&mut self, told: &dyn Fn(u64, u32) -> Option<Survivor>) {
        self.reading.settle(told);
    }

    fn published(&mut self) {
        let request = Request::Published { interface: self.interface, read: self.reading.read() };
        if let Err(error) = self.ask_for_news(&request) {
            tracing::warn!(interface = self.name, %error, "what was published");
        }
    }

    fn maintain(&mut self) -> Result<Vec<LinkEvent>, SourceError> {
        let request = Request::Maintain { interface: self.interface, read: self.reading.read() };
        self.ask_for_news(&request)
    }

    fn set_filter(&mut self, filter: &Filter) -> Result<(), SourceError> {
        self.keeper.ask(&Request::SetFilter { interface: self.interface, filter: filter.clone() })?;
        self.reading.set_filter(filter);
        Ok(())
    }

    fn counters(&mut self) -> Vec<(Cow<'static, str>, u64)> {
        match self.keeper.ask(&Request::Counters { interface: self.interface }) {
            Ok((Answer::Counters(counters), _)) => counters.into_iter().map(|(n, v)| (n.into(), v)).collect(),
            other => {
                tracing::warn!(interface = self.name, ?other, "counters of the port");
                Vec::new()
            }
        }
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        self.reading.stop();
        let request = Request::Stop { interface: self.interface, read: self.reading.read() };
        if let Err(error) = self.ask_for_news(&request) {
            tracing::error!(interface = self.name, %error, "stopping");
        }
    }

    fn restore(&mut self) {
        self.stop();
        if std::mem::replace(&mut self.restored, true) {
            return;
        }
        if let Err(error) = self.keeper.ask(&Request::Restore { interface: self.interface }) {
            tracing::warn!(interface = self.name, %error, "settings are not put back");
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.restore();
    }
}
