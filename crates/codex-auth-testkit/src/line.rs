//! Owns one accepted connection: it can be told to end with a reset, and to say when everything is on the wire.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A handle on a connection that hyper owns.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub connection: u64,
    reset: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    blocked: Arc<AtomicBool>,
}

impl Line {
    pub(crate) fn new(connection: u64) -> Self {
        Self { connection, reset: Arc::default(), written: Arc::default(), blocked: Arc::default() }
    }

    /// Makes the close of this connection a reset.
    pub(crate) fn reset_on_close(&self) {
        self.reset.store(true, Ordering::SeqCst);
    }

    /// Waits until nothing has been written for a moment, and not because the client reads too slowly.
    pub(crate) async fn flushed(&self) {
        loop {
            let before = self.written.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
            if self.written.load(Ordering::SeqCst) == before && !self.blocked.load(Ordering::SeqCst) {
                return;
            }
        }
    }
}

impl Line {
    fn note(&self, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.blocked.store(write.is_pending(), Ordering::SeqCst);
        if let Poll::Ready(Ok(written)) = &write {
            self.written.fetch_add(*written as u64, Ordering::SeqCst);
        }
        write
    }
}

/// The connection itself.
pub(crate) struct LineIo {
    stream: TcpStream,
    line: Line,
}

impl LineIo {
    pub(crate) fn new(stream: TcpStream, line: Line) -> Self {
        Self { stream, line }
    }
}

impl Drop for LineIo {
    fn drop(&mut self) {
        if self.line.reset.load(Ordering::SeqCst) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for LineIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for LineIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.line.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.line.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
