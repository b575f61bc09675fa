//! What goes over the socket: a message as JSON with its length before it, then its descriptors, a bundle for each byte.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of a message, at most: hundreds of queues have tens of kilobytes.
const MOST_BYTES: u32 = 8 << 20;
/// Descriptors of a message, at most, and of a bundle (the kernel takes 253).
const MOST_DESCRIPTORS: u32 = 8 << 10;
const BUNDLE: usize = 64;

/// One end.
#[derive(Debug)]
pub(super) struct Line(UnixStream);

impl Line {
    pub(super) const fn new(socket: UnixStream) -> Self {
        Self(socket)
    }

    pub(super) fn send<T: Serialize>(&mut self, message: &T, descriptors: &[OwnedFd]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let [length, count] = [bytes.len(), descriptors.len()].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        if length > MOST_BYTES || count > MOST_DESCRIPTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a message between both processes is too long"));
        }
        self.0.write_all(&[length.to_le_bytes(), count.to_le_bytes()].concat())?;
        self.0.write_all(&bytes)?;
        for bundle in descriptors.chunks(BUNDLE) {
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BUNDLE))];
            let mut control = SendAncillaryBuffer::new(&mut room);
            let bundle: Vec<BorrowedFd<'_>> = bundle.iter().map(AsFd::as_fd).collect();
            control.push(SendAncillaryMessage::ScmRights(&bundle));
            let send = || sendmsg(&self.0, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL);
            rustix::io::retry_on_intr(send)?;
        }
        Ok(())
    }

    /// The next message; `None` when the other end is closed.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut head = [0; 8];
        match self.0.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            read => read?,
        }
        let word = |at: usize| head.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
        let (length, count) = (word(0), word(4));
        if length > MOST_BYTES || count > MOST_DESCRIPTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message between both processes is too long"));
        }
        let mut bytes = vec![0; length as usize];
        self.0.read_exact(&mut bytes)?;
        let mut descriptors = Vec::new();
        for _ in 0..(count as usize).div_ceil(BUNDLE) {
            self.bundle(&mut descriptors)?;
        }
        if descriptors.len() != count as usize {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "descriptors are missing"));
        }
        Ok(Some((serde_json::from_slice(&bytes)?, descriptors)))
    }

    fn bundle(&self, to: &mut Vec<OwnedFd>) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BUNDLE))];
        let mut control = RecvAncillaryBuffer::new(&mut room);
        let mut byte = [0];
        let receive = || recvmsg(&self.0, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC);
        if rustix::io::retry_on_intr(receive)?.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                to.extend(descriptors);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Seek, SeekFrom};

    fn ends() -> (Line, Line) {
        let (one, other) = UnixStream::pair().expect("sockets");
        (Line::new(one), Line::new(other))
    }

    #[test]
    fn messages_come_with_their_descriptors_in_order() {
        let (mut one, mut other) = ends();
        let files: Vec<File> = (0..150_u8)
            .map(|number| {
                let mut file = tempfile::tempfile().expect("a file");
                file.write_all(&[number]).expect("written");
                file
            })
            .collect();
        let sender = std::thread::spawn(move || {
            let descriptors: Vec<OwnedFd> = files.into_iter().map(OwnedFd::from).collect();
            one.send(&vec!["first"; 100_000], &descriptors).expect("sent");
            one.send(&"second", &[]).expect("sent");
        });
        let (texts, descriptors) = other.receive::<Vec<String>>().expect("received").expect("there");
        assert_eq!((texts.len(), descriptors.len()), (100_000, 150));
        for (descriptor, number) in descriptors.into_iter().zip(0_u8..) {
            let (mut file, mut byte) = (File::from(descriptor), [0]);
            file.seek(SeekFrom::Start(0)).expect("a file");
            file.read_exact(&mut byte).expect("read");
            assert_eq!(byte, [number]);
        }
        assert_eq!(other.receive::<String>().expect("received").expect("there").0, "second");
        sender.join().expect("sent");
        assert!(other.receive::<String>().expect("an end").is_none());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&[0xff; 8][..], &[2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'], &[1, 0, 0, 0, 1, 0, 0, 0, b'1', 0]] {
            let (mut one, mut other) = ends();
            one.0.write_all(bytes).expect("written");
            drop(one);
            assert!(other.receive::<u8>().is_err(), "{bytes:?}");
        }
    }
}
