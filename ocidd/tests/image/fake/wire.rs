//! HTTP by hand, since no server library breaks off on demand: heads off a connection, bodies whole or in part, answers onto it.

use std::{
    io,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    ops::Deref,
};

use crate::head::Head;

/// What somebody asks for, before the body is read. Its path begins behind the repository's name: `blobs/uploads/`.
#[derive(Clone, Debug)]
pub(crate) struct Request(Head);

impl Deref for Request {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.0
    }
}

impl Request {
    /// `None` at the end of the connection.
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(mut head) = Head::read(from)? else { return Ok(None) };
        let start = ["/blobs/", "/manifests/", "/referrers/", "/tags/"]
            .into_iter()
            .find_map(|part| head.path.find(part))
            .map_or(0, |at| at + 1);
        head.path.drain(..start);
        Ok(Some(Self(head)))
    }

    /// Whether it is one of these, as `PATCH blobs/uploads/`.
    pub(crate) fn is(&self, start: &str) -> bool {
        format!("{} {}", self.method, self.path).starts_with(start)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Closes the connection after so many bytes of the body.
    pub(crate) cut_after: Option<usize>,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut_after: None }
    }

    /// An error as the distribution spec writes it.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": "as told" }] });
        Self::new(status).body("application/json", body.to_string())
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.header("Content-Type", media_type) }
    }

    fn send(&self, method: &str, to: &mut impl Write) -> io::Result<()> {
        let headers = self.headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat());
        let headers: String = headers.collect();
        // Of these there is no body, and no length of one (RFC 9110, 8.6).
        let length = match self.status {
            204 => String::new(),
            _ => format!("Content-Length: {}\r\n", self.body.len()),
        };
        to.write_all(format!("HTTP/1.1 {} \r\n{headers}{length}\r\n", self.status).as_bytes())?;
        if method != "HEAD" {
            let end = self.cut_after.unwrap_or(usize::MAX).min(self.body.len());
            to.write_all(&self.body[..end])?;
        }
        to.flush()
    }
}

/// Done with the body of a request.
type Then<T> = Box<dyn FnOnce(&[u8]) -> T>;

/// What becomes of a request.
pub(crate) enum Verdict {
    /// An answer to the request with its body.
    Whole(Then<Answer>),
    /// An answer that does not wait for the body; then the connection is closed.
    Early(Answer),
    /// So many bytes of the body are read and kept, and then the connection is closed.
    Cut(usize, Then<()>),
}

/// Carries out what `judge` says of each request, until either side closes the connection.
pub(super) fn serve(stream: TcpStream, judge: &impl Fn(&Request) -> Verdict) -> io::Result<()> {
    let mut from = BufReader::new(stream.try_clone()?);
    let mut to = stream;
    while let Some(request) = Request::read(&mut from)? {
        let length = request.header("content-length").and_then(|text| text.parse().ok());
        let length: usize = length.unwrap_or(0);
        match judge(&request) {
            Verdict::Whole(answer) => {
                let answer = answer(&read_body(&mut from, length)?);
                answer.send(&request.method, &mut to)?;
                if answer.cut_after.is_some() {
                    return to.shutdown(Shutdown::Both);
                }
            }
            Verdict::Early(answer) => {
                answer.header("Connection", "close").send(&request.method, &mut to)?;
                return to.shutdown(Shutdown::Both);
            }
            Verdict::Cut(bytes, keep) => {
                keep(&read_body(&mut from, bytes.min(length))?);
                return to.shutdown(Shutdown::Both);
            }
        }
    }
    Ok(())
}

fn read_body(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(body)
}
