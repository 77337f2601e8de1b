//! A proxy on loopback that tunnels (RFC 9110, 9.3.6) and keeps a list of where to.

use std::{
    io,
    io::{BufRead as _, BufReader, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

pub(crate) struct Proxy {
    pub(crate) address: String,
    connected: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Runs until the tests end.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connected = Arc::<Mutex<Vec<String>>>::default();
        let list = Arc::clone(&connected);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let list = Arc::clone(&list);
                std::thread::spawn(move || tunnel(&stream?, &list));
            }
        });
        Self { address, connected }
    }

    /// Where it was asked to connect to, in order.
    pub(crate) fn connected(&self) -> Vec<String> {
        self.connected.lock().unwrap().clone()
    }
}

fn tunnel(client: &TcpStream, list: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let target = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let target = target.ok_or_else(|| io::Error::other(format!("no tunnel: {first}")))?;
    list.lock().unwrap().push(target.to_owned());
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let server = TcpStream::connect(target)?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    to_client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let back = std::thread::spawn(move || {
        io::copy(&mut from_server, &mut to_client).ok();
        to_client.shutdown(Shutdown::Both).ok();
    });
    io::copy(&mut reader, &mut &server).ok();
    server.shutdown(Shutdown::Write).ok();
    back.join().ok();
    Ok(())
}
