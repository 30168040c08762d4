//! The bytes to and from a server, secured or not, as the driver takes them.
//!
//! The connection is made and secured here rather than by the driver: only so can each failure
//! be told from the others, and a cancel request take the very same way.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::witness::{Watch, Witness};

/// A connected socket of any kind.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

pub(super) type Plain = Box<dyn Duplex>;
type Secured = <MakeRustlsConnect as MakeTlsConnect<Plain>>::Stream;

/// A connection that is as secure as it is going to be.
pub(super) struct Wire {
    stream: Stream,
    watch: Option<Watch>,
}

enum Stream {
    Plain(Plain),
    Tls(Box<Secured>),
}

impl Wire {
    pub(super) fn plain(plain: Plain) -> Self {
        Self {
            stream: Stream::Plain(plain),
            watch: None,
        }
    }

    /// Shows what arrives to a witness, too.
    pub(super) fn seen_by(mut self, witness: Arc<Witness>) -> Self {
        self.watch = Some(Watch::new(witness));
        self
    }

    /// Does the TLS handshake.
    pub(super) async fn secure(
        plain: Plain,
        connector: &MakeRustlsConnect,
        name: &str,
    ) -> io::Result<Self> {
        let mut connector = connector.clone();
        let handshake = match <MakeRustlsConnect as MakeTlsConnect<Plain>>::make_tls_connect(
            &mut connector,
            name,
        ) {
            Ok(handshake) => handshake,
            Err(never) => match never {},
        };
        let secured = handshake.connect(plain).await?;
        Ok(Self {
            stream: Stream::Tls(Box::new(secured)),
            watch: None,
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        };
        if let Some(watch) = &mut this.watch {
            watch.take(&buf.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

impl TlsStream for Wire {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.stream {
            Stream::Plain(_) => ChannelBinding::none(),
            Stream::Tls(stream) => stream.channel_binding(),
        }
    }
}

/// Tells the driver that a [`Wire`] needs no handshake any more.
#[derive(Clone, Copy)]
pub(super) struct AlreadySecured;

impl TlsConnect<Wire> for AlreadySecured {
    type Stream = Wire;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Wire, Infallible>>;

    fn connect(self, wire: Wire) -> Self::Future {
        std::future::ready(Ok(wire))
    }
}
