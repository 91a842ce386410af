//! The conversation with an SMTP server, step by step. The home of `lettre`, which speaks it; connecting and TLS are
//! gated's own, so that certificates are judged as those of every other receiver, and so that nothing that was said
//! before TLS is ever taken for something said within it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Quit, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
    ReadBuf,
};
use tokio::net::TcpStream;

use super::{MailTls, Mailbox, SmtpConfig};
use crate::model::Timestamp;
use crate::sink::look::{Reached, Trust, secured};
use crate::sink::secret::Secret;

/// All that a server may say in one conversation, in bytes; a usual one says a few thousand. `lettre` reads an answer
/// again from its beginning with each of its lines, so this bounds work too.
const SAID_BYTES_MAX: usize = 16 << 10;
/// Longest answer before TLS, in bytes and in lines.
const ANSWER_BYTES_MAX: u64 = 16 << 10;
const ANSWER_LINES_MAX: usize = 100;
/// Of an answer this much is told, in bytes.
const SHOWN_BYTES_MAX: usize = 300;
/// A server that has answered need not be waited for.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a step did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server said no.
    Said { code: u16, text: String },
    /// Nothing came back, or nothing was said, for this reason.
    Lost(String),
}

impl Failure {
    /// Whatever the server repeats, the password is not told.
    pub fn without(self, password: Option<&Secret>) -> Self {
        match (self, password) {
            (Self::Said { code, text }, Some(password)) => Self::Said {
                code,
                text: text.replace(password.expose(), "[secret]"),
            },
            (other, _) => other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { code, text } => write!(f, "{code} {text}"),
            Self::Lost(reason) => f.write_str(reason),
        }
    }
}

/// What a server says, in one line and cut.
pub(super) fn shown(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::sink::body::cut(&text.escape_debug().to_string(), SHOWN_BYTES_MAX)
}

/// An open conversation: greeted, and within TLS where that was asked for.
pub(super) struct Line {
    server: AsyncSmtpConnection,
    pub reached: Reached,
}

impl Line {
    pub async fn open(
        smtp: &SmtpConfig,
        ca: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let tcp = connected(smtp).await?;
        let local = tcp
            .local_addr()
            .map_err(|error| Failure::Lost(error.to_string()))?;
        let hello = match (&smtp.hello, local.ip()) {
            (Some(name), _) => ClientId::Domain(name.clone()),
            (None, IpAddr::V4(ip)) => ClientId::Ipv4(ip),
            (None, IpAddr::V6(ip)) => ClientId::Ipv6(ip),
        };
        let trust = ca.map_or(Trust::System, Trust::These);
        let secure = async |tcp| {
            let secured = secured(tcp, &smtp.host, "`host` of [smtp]", trust, now).await;
            secured.map_err(Failure::Lost)
        };
        let peer = tcp
            .peer_addr()
            .map_err(|error| Failure::Lost(error.to_string()))?;
        let (stream, reached): (Box<dyn AsyncTokioStream>, Reached) = match smtp.tls {
            MailTls::None => (Box::new(Wire::new(tcp, peer, Vec::new())), Reached::Plain),
            MailTls::Implicit => {
                let (tls, reached) = secure(tcp).await?;
                (Box::new(Wire::new(tls, peer, Vec::new())), reached)
            }
            MailTls::StartTls => {
                let (tcp, answer) = start_tls(tcp, &hello).await?;
                let (tls, reached) = secure(tcp).await?;
                // Within TLS the server greets nobody: its leave to begin stands for that.
                (Box::new(Wire::new(tls, peer, answer)), reached)
            }
        };
        let server = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
        Ok(Self {
            server: server.map_err(failure)?,
            reached,
        })
    }

    pub async fn log_in(&mut self, user: &str, password: &Secret) -> Result<(), Failure> {
        let credentials = Credentials::new(user.to_owned(), password.expose().to_owned());
        let answer = self.server.auth(DEFAULT_MECHANISMS, &credentials).await;
        match answer.map_err(failure) {
            Ok(_) => Ok(()),
            // What it says may hold what it was told.
            Err(Failure::Said { code, .. }) => Err(Failure::Said {
                code,
                text: "it does not take gated's name and password".to_owned(),
            }),
            Err(Failure::Lost(why)) if why.contains("No compatible authentication") => {
                let text = "it offers neither AUTH PLAIN nor AUTH LOGIN";
                Err(Failure::Lost(text.to_owned()))
            }
            Err(lost) => Err(lost),
        }
    }

    pub async fn from(&mut self, mailbox: &Mailbox) -> Result<(), Failure> {
        let mail = Mail::new(Some(mailbox.address.clone()), Vec::new());
        self.server.command(mail).await.map(drop).map_err(failure)
    }

    pub async fn to(&mut self, mailbox: &Mailbox) -> Result<(), Failure> {
        let to = Rcpt::new(mailbox.address.clone(), Vec::new());
        self.server.command(to).await.map(drop).map_err(failure)
    }

    /// From here on the letter may be taken.
    pub async fn begin(&mut self) -> Result<(), Failure> {
        self.server.command(Data).await.map(drop).map_err(failure)
    }

    /// The whole letter, and what the server says of it.
    pub async fn hand_over(&mut self, letter: &[u8]) -> Result<(u16, String), Failure> {
        // `lettre` ends the last line itself.
        let letter = letter.strip_suffix(b"\r\n").unwrap_or(letter);
        let answer = self.server.message(letter).await.map_err(failure)?;
        Ok((answer.code().into(), said(&answer)))
    }

    /// Whether it still listens.
    pub async fn listens(&mut self) -> Result<(), Failure> {
        self.server.command(Noop).await.map(drop).map_err(failure)
    }

    pub async fn close(mut self) {
        let _ = tokio::time::timeout(GOODBYE, self.server.command(Quit)).await;
    }
}

fn said(answer: &Response) -> String {
    shown(&answer.message().collect::<Vec<_>>().join(" "))
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn failure(error: lettre::transport::smtp::Error) -> Failure {
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    match (error.status(), cause) {
        (Some(code), cause) => Failure::Said {
            code: code.into(),
            text: shown(&cause.unwrap_or_default()),
        },
        (None, Some(cause)) => {
            Failure::Lost(format!("the conversation broke off: {}", shown(&cause)))
        }
        (None, None) => Failure::Lost(shown(&error.to_string())),
    }
}

/// Each address in turn; half of the time may go into it, as with every receiver.
async fn connected(smtp: &SmtpConfig) -> Result<TcpStream, Failure> {
    let (host, port) = (smtp.host.as_str(), smtp.port);
    let connecting = async {
        let found = tokio::net::lookup_host((host, port)).await;
        let found: Vec<SocketAddr> = found
            .map_err(|error| {
                format!("{host}: {error}: mend `host` of [smtp], or the name's entry")
            })?
            .collect();
        let each = smtp.timeout / 2 / u32::try_from(found.len().clamp(1, 8)).unwrap_or(1);
        let mut refused = "it has no address".to_owned();
        for address in found {
            match tokio::time::timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => refused = error.to_string(),
                Err(_) => "it does not answer".clone_into(&mut refused),
            }
        }
        Err(format!(
            "no connection to {host}:{port}: {refused}: start what should listen there, let gated's network reach it, or mend `host` and `port` of [smtp]"
        ))
    };
    let Ok(connected) = tokio::time::timeout(smtp.timeout / 2, connecting).await else {
        let reason = format!("no connection to {host}:{port} within half of `timeout`");
        return Err(Failure::Lost(reason));
    };
    connected.map_err(Failure::Lost)
}

/// What is said before TLS, and the server's leave to begin it.
async fn start_tls(tcp: TcpStream, hello: &ClientId) -> Result<(TcpStream, Vec<u8>), Failure> {
    let mut plain = BufReader::new(tcp);
    answer(&mut plain).await?;
    let broken = |error: io::Error| Failure::Lost(format!("the conversation broke off: {error}"));
    let said = format!("EHLO {hello}\r\n");
    plain.write_all(said.as_bytes()).await.map_err(broken)?;
    let offers = answer(&mut plain).await?;
    let offered = |line: &[u8]| {
        line.get(4..)
            .is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(b"STARTTLS"))
    };
    if !offers.split(|byte| *byte == b'\n').any(offered) {
        return Err(Failure::Lost(
            "it offers no STARTTLS, and nothing is sent in plain text: mend the server, or `tls` of [smtp]"
                .to_owned(),
        ));
    }
    plain.write_all(b"STARTTLS\r\n").await.map_err(broken)?;
    let leave = answer(&mut plain).await?;
    if !plain.buffer().is_empty() {
        return Err(Failure::Lost(
            "more than its leave came before TLS: somebody may speak in between".to_owned(),
        ));
    }
    Ok((plain.into_inner(), leave))
}

/// One positive answer, whole.
async fn answer(plain: &mut BufReader<TcpStream>) -> Result<Vec<u8>, Failure> {
    let mut whole = Vec::new();
    for _ in 0..ANSWER_LINES_MAX {
        let begin = whole.len();
        let room = ANSWER_BYTES_MAX.saturating_sub(begin as u64);
        let read = plain.take(room).read_until(b'\n', &mut whole).await;
        read.map_err(|error| Failure::Lost(format!("the conversation broke off: {error}")))?;
        let line = &whole[begin..];
        let code = line.get(..3).and_then(|it| std::str::from_utf8(it).ok());
        let code: Option<u16> = code.and_then(|it| it.parse().ok());
        match (code, line.get(3), line.last()) {
            (Some(_), Some(b'-'), Some(b'\n')) => {}
            (Some(200..=299), _, Some(b'\n')) => return Ok(whole),
            (Some(code), _, Some(b'\n')) => {
                let text = String::from_utf8_lossy(line.get(4..).unwrap_or_default());
                let text = shown(&text);
                return Err(Failure::Said { code, text });
            }
            _ => break,
        }
    }
    let what = shown(&String::from_utf8_lossy(&whole[..whole.len().min(80)]));
    Err(Failure::Lost(format!(
        "what answers is no SMTP server: {what:?}"
    )))
}

/// A stream that says something first, and not more than so much in all.
#[derive(Debug)]
struct Wire<S> {
    inner: S,
    peer: SocketAddr,
    first: Vec<u8>,
    room: usize,
}

impl<S> Wire<S> {
    fn new(inner: S, peer: SocketAddr, first: Vec<u8>) -> Self {
        Self {
            inner,
            peer,
            first,
            room: SAID_BYTES_MAX,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let fits = self.first.len().min(buf.remaining());
            let said: Vec<u8> = self.first.drain(..fits).collect();
            buf.put_slice(&said);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        let room = self.room.checked_sub(read);
        self.room = room.unwrap_or(0);
        match room {
            Some(_) => Poll::Ready(Ok(())),
            None => Poll::Ready(Err(io::Error::other("it says too much"))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + fmt::Debug> AsyncTokioStream for Wire<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
