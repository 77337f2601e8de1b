//! Requests off a connection, with or without TLS: one after the other, each handed over and its answer sent. Sockets are used bare, since no HTTP server
//! library cuts, stalls or lies on demand; reading heads is left to one that parses them.

use crate::fake::TOKEN;
use crate::fake::answer::Answer;
use crate::fake::delivery::Ended;
use httparse::Status;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

/// What somebody asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The address of the registry that was asked.
    pub(crate) registry: String,
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header, named in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
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
    while let Some(request) = read_request(&mut stream)? {
        let method = request.method.clone();
        let answer = answer(request);
        answer.send(&method, stream.get_mut(), ended)?;
        if !answer.keeps_connection() {
            break;
        }
    }
    Ok(())
}

/// `None` at the end of the connection.
fn read_request(from: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(&head).map_err(|error| io::Error::other(error.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed
            .headers
            .iter()
            .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
            .collect(),
        ..Request::default()
    };
    request.body = read_body(&request, from)?;
    Ok(Some(request))
}

fn read_body(request: &Request, from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if request.header("transfer-encoding") == Some("chunked") {
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
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    from.take(length).read_to_end(&mut body)?;
    Ok(body)
}
