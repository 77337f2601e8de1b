//! A proxy on loopback that tunnels (RFC 9110, 9.3.6), forwards absolute URLs (RFC 9112, 3.2.2), and
//! lists what it was asked for.

use std::{
    io,
    io::{BufRead, BufReader, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<String>>,
    heads: Mutex<Vec<String>>,
    /// Given instead of forwarding.
    answer: Option<String>,
}

pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Runs until the tests end.
    pub(crate) fn start() -> Self {
        Self::with(Shared::default())
    }

    /// A proxy that answers every request with this status.
    pub(crate) fn answering(status: &str) -> Self {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        Self::with(Shared { answer: Some(answer), ..Shared::default() })
    }

    fn with(shared: Shared) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(shared);
        let proxy = Self { address, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream?, &shared));
            }
        });
        proxy
    }

    /// The targets of tunnels and the origins of absolute URLs, in order.
    pub(crate) fn connected(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The heads of the requests that started a connection, in order.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }
}

/// Reads the head of a request up to its empty line.
fn read_head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    Ok(head)
}

fn serve(client: &TcpStream, proxy: &Shared) -> io::Result<()> {
    let mut to_client = client.try_clone()?;
    let mut first = [0];
    client.peek(&mut first)?;
    if let (b"\x16", Some(answer)) = (&first, &proxy.answer) {
        // A TLS handshake is an invalid request.
        to_client.write_all(answer.as_bytes())?;
        return io::copy(&mut &*client, &mut io::sink()).map(drop);
    }
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = read_head(&mut reader)?;
    let words: Vec<&str> = head.split(' ').collect();
    let [method, target, ..] = words[..] else { return Err(io::Error::other(head)) };
    let is_tunnel = method == "CONNECT";
    // Without its path, an absolute URL is the origin.
    let target = target.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    proxy.asked.lock().unwrap().push(target.clone());
    proxy.heads.lock().unwrap().push(head.clone());
    if let Some(answer) = &proxy.answer {
        return to_client.write_all(answer.as_bytes());
    }
    let server = TcpStream::connect(target.trim_start_matches("http://"))?;
    let mut from_server = server.try_clone()?;
    if is_tunnel {
        to_client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    }
    let back = std::thread::spawn(move || {
        io::copy(&mut from_server, &mut to_client).ok();
        to_client.shutdown(Shutdown::Both).ok();
    });
    if is_tunnel {
        io::copy(&mut reader, &mut &server).ok();
    } else {
        // Servers see the path only. Requests of installs have no bodies.
        while let Some((start, rest)) = head.split_once(&target) {
            (&server).write_all(format!("{start}{rest}").as_bytes())?;
            head = read_head(&mut reader)?;
        }
    }
    server.shutdown(Shutdown::Write).ok();
    back.join().ok();
    Ok(())
}
