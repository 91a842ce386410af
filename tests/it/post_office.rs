//! An SMTP server on a real socket that says what a test wants: EHLO, STARTTLS, AUTH PLAIN and LOGIN, MAIL, RCPT, DATA with
//! dot-stuffing. It keeps what it was told and what it took; it relays nothing.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A letter that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    pub from: String,
    pub to: Vec<String>,
    pub bytes: Vec<u8>,
    pub tls: bool,
    /// Name and password.
    pub login: Option<(String, String)>,
}

/// What a step is answered in place of the usual.
#[derive(Clone, Debug)]
pub enum Turn {
    Say(String),
    /// Hangs up without a word.
    Leave,
    /// Says nothing any more.
    Hang,
}

/// How the way to it is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Plain,
    StartTls,
    Implicit,
}

/// One is known from another by its name.
static AUTHORITIES: AtomicU32 = AtomicU32::new(0);

/// An authority, and a certificate that it signed for `localhost` or another name.
pub struct Papers {
    pub authority_pem: String,
    tls: Arc<ServerConfig>,
}

impl Papers {
    pub fn new(host: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = format!("authority {}", AUTHORITIES.fetch_add(1, Ordering::SeqCst));
        params.distinguished_name.push(DnType::CommonName, own);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &issuer).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], private)
            .unwrap();
        Self {
            authority_pem: issuer.pem(),
            tls: Arc::new(tls),
        }
    }
}

/// What a step is called in a script: `greet`, `EHLO`, `STARTTLS`, `AUTH`, `MAIL …`, `RCPT …`, `DATA`, `.`, `NOOP`, `QUIT`;
/// with the number of conversations before this one.
type Script = dyn Fn(&str, usize) -> Option<Turn> + Send + Sync;

/// The server; it ends with the test's process.
pub struct PostOffice {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    way: Way,
    tls: Arc<ServerConfig>,
    login: Option<(String, String)>,
    script: Box<Script>,
    letters: Mutex<Vec<Letter>>,
    lines: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl PostOffice {
    pub fn open(
        way: Way,
        papers: &Papers,
        login: Option<(&str, &str)>,
        script: impl Fn(&str, usize) -> Option<Turn> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let office = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Shared {
                way,
                tls: Arc::clone(&papers.tls),
                login: login.map(|(user, word)| (user.to_owned(), word.to_owned())),
                script: Box::new(script),
                letters: Mutex::default(),
                lines: Mutex::default(),
                over: AtomicBool::new(false),
            }),
        };
        let shared = Arc::clone(&office.shared);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    // The other side may hang up at any moment.
                    let _ = converse(&shared, stream, number);
                });
            }
        });
        office
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn letters(&self) -> Vec<Letter> {
        self.shared.letters.lock().unwrap().clone()
    }

    /// Every command as it came, letters left out.
    pub fn lines(&self) -> Vec<String> {
        self.shared.lines.lock().unwrap().clone()
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

trait Both: Read + Write {}
impl<T: Read + Write> Both for T {}

type Stream = BufReader<Box<dyn Both>>;

fn converse(shared: &Shared, tcp: TcpStream, number: usize) -> std::io::Result<()> {
    let secure = |tcp: TcpStream| -> Box<dyn Both> {
        let tls = ServerConnection::new(Arc::clone(&shared.tls)).unwrap();
        Box::new(StreamOwned::new(tls, tcp))
    };
    let mut tls = shared.way == Way::Implicit;
    let kept = tcp.try_clone()?;
    let mut stream: Stream = BufReader::new(if tls { secure(tcp) } else { Box::new(tcp) });
    let mut letter = Letter::default();
    let mut login = None;
    if !turn(
        shared,
        &mut stream,
        "greet",
        number,
        "220 post.example ESMTP",
    )? {
        return Ok(());
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        shared.lines.lock().unwrap().push(line.clone());
        let word = line.split(' ').next().unwrap_or_default().to_uppercase();
        let step = match word.as_str() {
            "MAIL" | "RCPT" => line.as_str(),
            other => other,
        };
        let usual = match word.as_str() {
            "EHLO" => {
                let offers = match shared.way {
                    Way::StartTls if !tls => "250-STARTTLS\r\n",
                    _ => "250-AUTH PLAIN LOGIN\r\n",
                };
                format!("250-post.example\r\n{offers}250 8BITMIME")
            }
            "STARTTLS" => "220 go ahead".to_owned(),
            "AUTH" => {
                login = Some(authenticate(&mut stream, &line)?);
                if login == shared.login {
                    "235 welcome".to_owned()
                } else {
                    "535 5.7.8 no".to_owned()
                }
            }
            "DATA" => "354 end with a dot".to_owned(),
            "QUIT" => "221 bye".to_owned(),
            _ => "250 ok".to_owned(),
        };
        if !turn(shared, &mut stream, step, number, &usual)? {
            return Ok(());
        }
        match word.as_str() {
            "STARTTLS" if usual.starts_with("220") => {
                tls = true;
                stream = BufReader::new(secure(kept.try_clone()?));
            }
            "MAIL" => {
                letter = Letter {
                    from: between(&line),
                    tls,
                    login: login.clone(),
                    ..Letter::default()
                };
            }
            "RCPT" => letter.to.push(between(&line)),
            "DATA" => {
                letter.bytes = data(&mut stream)?;
                let script = (shared.script)(".", number);
                let taken = match &script {
                    None => true,
                    Some(Turn::Say(text)) => text.starts_with('2'),
                    Some(Turn::Leave | Turn::Hang) => false,
                };
                if taken || !matches!(script, Some(Turn::Say(_))) {
                    // Before the answer: whoever hears it may look.
                    shared.letters.lock().unwrap().push(letter.clone());
                }
                if !turn(shared, &mut stream, ".", number, "250 2.0.0 taken")? {
                    return Ok(());
                }
            }
            "QUIT" => return Ok(()),
            _ => {}
        }
    }
}

/// Whether to go on.
fn turn(
    shared: &Shared,
    stream: &mut Stream,
    step: &str,
    number: usize,
    usual: &str,
) -> std::io::Result<bool> {
    let said = match (shared.script)(step, number) {
        None => usual.to_owned(),
        Some(Turn::Say(text)) => text,
        Some(Turn::Leave) => return Ok(false),
        Some(Turn::Hang) => {
            thread::sleep(Duration::from_secs(60));
            return Ok(false);
        }
    };
    let stream = stream.get_mut();
    stream.write_all(format!("{said}\r\n").as_bytes())?;
    stream.flush()?;
    // Who is not let in is let go.
    Ok(step != "greet" || said.starts_with('2'))
}

fn authenticate(stream: &mut Stream, line: &str) -> std::io::Result<(String, String)> {
    let decode = |text: &str| {
        let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let words: Vec<&str> = line.split(' ').collect();
    if words.get(1) == Some(&"PLAIN") {
        let told = decode(words.get(2).unwrap_or(&""));
        let mut parts = told.split('\0').skip(1).map(str::to_owned);
        return Ok((
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        ));
    }
    let mut ask = |what: &str| -> std::io::Result<String> {
        let question = format!("334 {}\r\n", STANDARD.encode(what));
        stream.get_mut().write_all(question.as_bytes())?;
        stream.get_mut().flush()?;
        let mut answer = String::new();
        stream.read_line(&mut answer)?;
        Ok(decode(&answer))
    };
    Ok((ask("Username:")?, ask("Password:")?))
}

fn between(line: &str) -> String {
    let from = line.find('<').map_or(0, |at| at + 1);
    let to = line.rfind('>').unwrap_or(line.len());
    line[from..to].to_owned()
}

/// Up to the dot that stands alone; what was stuffed is taken out.
fn data(stream: &mut Stream) -> std::io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(whole);
        }
        let line = line.strip_prefix(b".").unwrap_or(&line);
        whole.extend_from_slice(line);
    }
}
