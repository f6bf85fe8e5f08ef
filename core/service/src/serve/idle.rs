//! Connections on which nothing moves are closed: silence costs the client nothing, and each connection costs us a
//! descriptor. hyper bounds the time for a request's head only once it knows the version of HTTP, which takes a few bytes.

use std::future::Ready;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Makes [`IdleStream`]s of accepted connections, and sends small answers without delay.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdleAcceptor(pub(super) Duration);

impl<S> Accept<TcpStream, S> for IdleAcceptor {
    type Stream = IdleStream;
    type Service = S;
    type Future = Ready<io::Result<(IdleStream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let idle = self.0;
        std::future::ready(stream.set_nodelay(true).map(|()| {
            let moved = Instant::now();
            (IdleStream { stream, idle, moved, alarm: Box::pin(tokio::time::sleep(idle)) }, service)
        }))
    }
}

/// A connection that fails with [`io::ErrorKind::TimedOut`] when no byte has moved in either direction for `idle`.
pub(super) struct IdleStream {
    stream: TcpStream,
    idle: Duration,
    moved: Instant,
    /// Rings at the earliest possible end; then `moved` says whether it really is.
    alarm: Pin<Box<Sleep>>,
}

impl IdleStream {
    /// The outcome of an operation on the stream, with the clock looked at.
    fn watch<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.moved = Instant::now();
            return outcome;
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            let end = self.moved + self.idle;
            if end <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl AsyncRead for IdleStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch(outcome, context)
    }
}

impl AsyncWrite for IdleStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
