//! The keeper's side: requests in, answers out.

use std::io;
use std::os::fd::OwnedFd;

use super::line::Line;
use super::message::{Answer, Kept, Request};
use crate::live::open_kept;
use crate::live::source::{LinkEvent, SourceError};

/// Answers until the reader is gone. What it has not given back is left in `kept`.
pub(super) fn serve(line: &mut Line, kept: &mut Vec<Option<Box<dyn Kept>>>) -> io::Result<()> {
    while let Some((request, _)) = line.receive::<Request>()? {
        let (answer, descriptors) =
            answer(kept, request).unwrap_or_else(|error| (Answer::Failed(error.to_string()), Vec::new()));
        if let Err(error) = line.send(&answer, &descriptors) {
            let is_gone = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
            return if is_gone { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

type Answered = Result<(Answer, Vec<OwnedFd>), SourceError>;

fn answer(kept: &mut Vec<Option<Box<dyn Kept>>>, request: Request) -> Answered {
    match request {
        Request::Open { name, options } => {
            let mut opened = open_kept(&name, &options)?;
            let (given, descriptors) = opened.give().map_err(handing)?;
            let (mode, clock, way) = (opened.mode(), opened.clock(), opened.way());
            kept.push(Some(opened));
            Ok((Answer::Opened { interface: kept.len() - 1, mode, clock, way, given }, descriptors))
        }
        Request::Maintain { interface, read } => {
            let kept = of(kept, interface)?;
            kept.has_read(&read);
            let events = kept.maintain()?;
            gives(kept, events)
        }
        Request::SetFilter { interface, filter } => {
            of(kept, interface)?.set_filter(&filter)?;
            Ok((Answer::Done, Vec::new()))
        }
        Request::Published { interface, read } => {
            let kept = of(kept, interface)?;
            kept.has_read(&read);
            kept.published();
            gives(kept, Vec::new())
        }
        Request::Counters { interface } => {
            let counters = of(kept, interface)?.counters();
            Ok((Answer::Counters(counters.into_iter().map(|(n, v)| (n.into_owned(), v)).collect()), Vec::new()))
        }
        Request::Stop { interface, read } => {
            let kept = of(kept, interface)?;
            kept.has_read(&read);
            kept.stop();
            gives(kept, Vec::new())
        }
        Request::Restore { interface } => {
            // Dropped, and so put back.
            if let Some(mut kept) = kept.get_mut(interface).and_then(Option::take) {
                kept.restore();
            }
            Ok((Answer::Done, Vec::new()))
        }
    }
}

fn of(kept: &mut [Option<Box<dyn Kept>>], interface: usize) -> Result<&mut Box<dyn Kept>, SourceError> {
    let found = kept.get_mut(interface).and_then(Option::as_mut);
    found.ok_or_else(|| SourceError::Refused(format!("interface {interface} is not kept")))
}

fn gives(kept: &mut Box<dyn Kept>, events: Vec<LinkEvent>) -> Answered {
    let (given, descriptors) = kept.give().map_err(handing)?;
    Ok((Answer::Kept { events, given }, descriptors))
}

fn handing(error: io::Error) -> SourceError {
    SourceError::Refused(format!("descriptors cannot be handed to the reader: {error}"))
}
