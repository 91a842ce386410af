//! A raw TCP server that answers as badly as it is told. Plain threads, no runtime: nothing of gated is in it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200, text, with a length.
    Page(String),
    /// 200 with these header lines (each ended by CR LF) and body; a length is added.
    With(&'static str, Vec<u8>),
    /// These bytes, then the connection ends.
    Raw(Vec<u8>),
    /// Nothing, for as long as the server lives.
    Hang,
    /// A good head, then one byte each so often.
    Drip(Duration),
    /// These bytes, then more of the second ones until the other side hangs up.
    Endless(Vec<u8>, Vec<u8>),
}

impl Answer {
    pub fn status(line: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(
            format!(
                "HTTP/1.1 {line}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }
}

/// Listens on a port of its own until it is dropped.
pub struct FaultServer {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<u32>>,
    over: Arc<AtomicBool>,
}

impl FaultServer {
    /// `answer` gets the number of the request (from 0) and its head.
    pub fn start(answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
            over: Arc::default(),
        };
        let (seen, over) = (Arc::clone(&server.seen), Arc::clone(&server.over));
        let connections = Arc::clone(&server.connections);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                *connections.lock().unwrap() += 1;
                let (answer, seen, over) =
                    (Arc::clone(&answer), Arc::clone(&seen), Arc::clone(&over));
                thread::spawn(move || {
                    // A client that hangs up is what many tests are about.
                    let _ = serve(stream.unwrap(), answer.as_ref(), &seen, &over);
                });
            }
        });
        server
    }

    /// The same answer to everyone.
    pub fn always(answer: Answer) -> Self {
        Self::start(move |_, _| answer.clone())
    }

    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// The heads of all requests, in order.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> u32 {
        *self.connections.lock().unwrap()
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(usize, &str) -> Answer + ?Sized),
    seen: &Mutex<Vec<String>>,
    over: &AtomicBool,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(head) = head(&mut stream)? {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(head.clone());
            seen.len() - 1
        };
        match answer(number, &head) {
            Answer::Page(page) => {
                let head = "Content-Type: text/plain; version=0.0.4\r\n";
                whole(&mut stream, head, page.as_bytes())?;
            }
            Answer::With(head, body) => whole(&mut stream, head, &body)?,
            Answer::Raw(bytes) => return stream.write_all(&bytes),
            Answer::Hang => {
                while !over.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(20));
                }
                return Ok(());
            }
            Answer::Drip(pause) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
                while !over.load(Ordering::SeqCst) {
                    stream.write_all(b"#")?;
                    thread::sleep(pause);
                }
                return Ok(());
            }
            Answer::Endless(first, more) => {
                stream.write_all(&first)?;
                while !over.load(Ordering::SeqCst) {
                    stream.write_all(&more)?;
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

fn whole(stream: &mut TcpStream, head: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes)
}

/// A request's head, and the form in its body where it has one; `None` at the connection's end.
fn head(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let mut text = String::from_utf8_lossy(&head).into_owned();
    let lower = text.to_lowercase();
    if lower.contains("content-type: application/x-www-form-urlencoded") {
        let length = lower
            .lines()
            .find_map(|it| it.strip_prefix("content-length: "));
        let mut form = vec![0; length.map_or(0, |it| it.parse().unwrap())];
        stream.read_exact(&mut form)?;
        text += &String::from_utf8_lossy(&form);
    }
    Ok(Some(text))
}
