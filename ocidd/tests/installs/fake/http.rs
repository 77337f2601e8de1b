//! Requests off a connection, with or without TLS: one after the other, each handed over and its answer sent. Sockets are used bare, since no HTTP server
//! library cuts, stalls or lies on demand; reading heads is left to one that parses them.

use std::{
    io,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    ops::Deref,
    sync::Arc,
};

use httparse::Status;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{
    fake::{TOKEN, answer::Answer, delivery::Ended},
    head::Head,
};

/// What somebody asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The address of the registry that was asked.
    pub(crate) registry: String,
    head: Head,
    pub(crate) body: Vec<u8>,
}

impl Deref for Request {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Request {
    /// `None` at the end of the connection.
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(head) = Head::read(from)? else { return Ok(None) };
        let body = read_body(&head, from)?;
        Ok(Some(Self { head, body, ..Self::default() }))
    }

    pub(crate) fn has_token(&self) -> bool {
        self.shows(&format!("Bearer {TOKEN}"))
    }

    pub(crate) fn shows(&self, authorization: &str) -> bool {
        self.header("authorization") == Some(authorization)
    }

    /// The number of the token that is shown, if it is one with a number.
    pub(crate) fn token_number(&self) -> Option<usize> {
        let token = self.header("authorization")?.strip_prefix("Bearer ")?;
        token.strip_prefix(TOKEN)?.strip_prefix('-')?.parse().ok()
    }

    /// A field of a form, as it was sent: percent signs are not resolved.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let form = std::str::from_utf8(&self.body).ok()?;
        form.split('&')
            .filter_map(|field| field.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// Answers until either side closes the connection.
pub(super) fn answer_requests(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: &impl Fn(Request) -> Answer,
    ended: &Ended,
) -> io::Result<()> {
    match tls {
        None => answer_on(stream, answer, ended),
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            answer_on(StreamOwned::new(connection, stream), answer, ended)
        }
    }
}

fn answer_on(
    stream: impl Read + Write,
    answer: &impl Fn(Request) -> Answer,
    ended: &Ended,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    // A TLS client at a plain HTTP server. Answered as nginx does: at its first byte, which begins no request.
    if stream.fill_buf()?.first().is_some_and(|first| !first.is_ascii_uppercase()) {
        Answer::new(400, "text/plain", "what?").send("", stream.get_mut(), ended)?;
        // Closing with something unread would reset the connection, and the answer with it.
        io::copy(&mut stream, &mut io::sink())?;
    }
    while let Some(request) = Request::read(&mut stream)? {
        let method = request.method.clone();
        let answer = answer(request);
        answer.send(&method, stream.get_mut(), ended)?;
        if !answer.keeps_connection() {
            break;
        }
    }
    Ok(())
}

fn read_body(head: &Head, from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = Vec::new();
            from.read_until(b'\n', &mut line)?;
            let Ok(Status::Complete((_, size))) = httparse::parse_chunk_size(&line) else {
                return Err(io::Error::other("malformed chunk"));
            };
            from.take(size).read_to_end(&mut body)?;
            from.read_until(b'\n', &mut Vec::new())?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = head.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    from.take(length).read_to_end(&mut body)?;
    Ok(body)
}
