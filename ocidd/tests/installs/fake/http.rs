//! Requests off a connection, with or without TLS: one after the other, each noted and answered.

use crate::fake::Answer;
use crate::fake::TOKEN;
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
use std::sync::Mutex;

/// What somebody asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// With the query.
    pub(crate) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header, named in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has_token(&self) -> bool {
        self.header("authorization") == Some(&format!("Bearer {TOKEN}"))
    }
}

/// Answers until either side closes the connection.
pub(crate) fn answer_requests(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: &impl Fn(&Request) -> Answer,
    requests: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    match tls {
        None => answer_on(stream, answer, requests),
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            answer_on(StreamOwned::new(connection, stream), answer, requests)
        }
    }
}

fn answer_on(
    stream: impl Read + Write,
    answer: &impl Fn(&Request) -> Answer,
    requests: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    // A TLS client at a plain HTTP server. Answered as nginx does: at its first byte, which begins no request.
    if stream.fill_buf()?.first().is_some_and(|first| !first.is_ascii_uppercase()) {
        Answer::new(400, "text/plain", "what?").send(stream.get_mut())?;
        // Closing with something unread would reset the connection, and the answer with it.
        io::copy(&mut stream, &mut io::sink())?;
    }
    while let Some(request) = read_request(&mut stream)? {
        // Noted before it is answered: whoever has the answer finds it in the list.
        requests.lock().unwrap().push(request.clone());
        let answer = answer(&request);
        answer.send(stream.get_mut())?;
        if !answer.keeps_connection() {
            break;
        }
    }
    Ok(())
}

/// `None` at the end of the connection. Requests have no body here.
fn read_request(from: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let malformed = || io::Error::other(format!("malformed request: {lines:?}"));
    let (first, headers) = lines.split_first().ok_or_else(malformed)?;
    let path = first.strip_prefix("GET ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    let headers: Option<Vec<(String, String)>> = headers
        .iter()
        .map(|line| line.split_once(": ").map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())))
        .collect();
    Ok(Some(Request {
        path: path.ok_or_else(malformed)?.to_owned(),
        headers: headers.ok_or_else(malformed)?,
    }))
}
