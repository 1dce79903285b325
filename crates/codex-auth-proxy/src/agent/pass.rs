//! Listening sockets on their way from one process to another, over the control socket (`SCM_RIGHTS`).
//!
//! A raw conversation begins with a zero byte, which no HTTP request does: `\0take` asks for duplicates of the sockets,
//! `\0give` brings them along.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::TcpListener,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// Asks for the sockets.
pub(super) const TAKE: &[u8; 5] = b"\0take";
/// Brings the sockets.
pub(super) const GIVE: &[u8; 5] = b"\0give";
/// One socket per address family.
const MOST: usize = 2;

/// Sends words and sockets in one message.
pub(super) fn send(to: impl AsFd, words: &[u8], sockets: &[TcpListener]) -> io::Result<()> {
    let fds: Vec<BorrowedFd<'_>> = sockets.iter().take(MOST).map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("no room for the sockets"));
    }
    sendmsg(to, &[IoSlice::new(words)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives words and whatever sockets came with them.
pub(super) fn receive(from: impl AsFd, words: &mut [u8]) -> io::Result<(usize, Vec<TcpListener>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(from, &mut [IoSliceMut::new(words)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let sockets = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => {
                Some(fds.map(|fd: OwnedFd| TcpListener::from(fd)).collect::<Vec<_>>())
            }
            _ => None,
        })
        .flatten()
        .collect();
    Ok((message.bytes, sockets))
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpStream, os::unix::net::UnixStream};

    use super::*;
    use crate::Listeners;

    #[test]
    fn a_passed_socket_serves_the_same_queue() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let listeners = Listeners::bind(0).expect("a port");
        send(&here, GIVE, listeners.sockets()).expect("sent");
        let mut words = [0; 8];
        let (length, sockets) = receive(&there, &mut words).expect("received");
        assert_eq!(&words[..length], GIVE);
        let port = listeners.port();
        drop(listeners);
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the queue still takes connections");
        let received = Listeners::of(sockets).expect("loopback sockets");
        assert_eq!(received.port(), port);
        received.sockets()[0].set_nonblocking(false).expect("a blocking accept");
        drop(received.sockets()[0].accept().expect("accepted"));
        assert_eq!(client.read(&mut [0; 1]).expect("closed"), 0);
    }
}
