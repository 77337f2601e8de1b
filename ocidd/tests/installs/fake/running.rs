//! A registry that runs: takes connections, chooses the answer to each request, and keeps the list of requests.

use std::{
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use crate::fake::{
    Fake,
    answer::Answer,
    delivery::Ended,
    http::{Request, answer_requests},
    login::Login,
    script::Answers,
};

/// What registries beside each other were asked, in order.
pub(super) type Journal = Arc<Mutex<Vec<Request>>>;

/// A registry that answers.
pub(crate) struct Running {
    pub(crate) address: String,
    journal: Journal,
    ended: Arc<Ended>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn new(fake: Fake) -> Self {
        let address = fake.address();
        let journal = Arc::clone(&fake.journal);
        let ended = Arc::new(Ended::default());
        let thread = {
            let (journal, ended) = (Arc::clone(&journal), Arc::clone(&ended));
            std::thread::spawn(move || accept(fake, &journal, &ended))
        };
        Self { address, journal, ended, thread: Some(thread) }
    }

    /// What was asked so far, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let mut requests = self.all_requests();
        requests.retain(|request| request.registry == self.address);
        requests
    }

    /// What this registry and those beside it were asked so far, in order.
    pub(crate) fn all_requests(&self) -> Vec<Request> {
        self.journal.lock().unwrap().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ended.end();
        // Wakes the thread that waits for connections.
        if TcpStream::connect(&self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            thread.join().ok();
        }
    }
}

fn accept(fake: Fake, journal: &Journal, ended: &Arc<Ended>) {
    let address = fake.address();
    let Fake { listener, answers, challenges, login, tls, .. } = fake;
    let desk = Arc::new(Mutex::new(Desk { answers, challenges, login }));
    let answer = {
        let journal = Arc::clone(journal);
        Arc::new(move |mut request: Request| {
            request.registry.clone_from(&address);
            // Noted before it is answered: whoever has the answer finds it in the list.
            journal.lock().unwrap().push(request.clone());
            desk.lock().unwrap().answer(&request)
        })
    };
    while let Ok((stream, _)) = listener.accept() {
        if ended.has_ended() {
            return;
        }
        let (answer, tls, ended) = (Arc::clone(&answer), tls.clone(), Arc::clone(ended));
        // Each ends with its connection; a client that has gone away is no fault of a test.
        std::thread::spawn(move || answer_requests(stream, tls, &*answer, &ended).ok());
    }
}

/// What changes with every request.
struct Desk {
    answers: Answers,
    challenges: Vec<String>,
    login: Login,
}

impl Desk {
    fn answer(&mut self, request: &Request) -> Answer {
        let is_guarded = request.path.starts_with("/v2/") && !self.challenges.is_empty();
        if is_guarded && !self.login.lets_in(request) {
            return Answer::unauthorized(&self.challenges);
        }
        let Some(script) = self.answers.at(&request.path) else { return Answer::not_found() };
        if script.next().wanted.is_some_and(|wanted| !wanted(request)) {
            return Answer::unauthorized(&[]);
        }
        let mut answer = script.next().clone();
        // Who asks for the end of a blob wants to know its size; what is wrong with the transfer is not for them.
        let probes = request.header("range").is_some_and(|range| range.starts_with("bytes=-"));
        if !probes {
            script.advance();
        }
        if answer.expires_tokens {
            self.login.expire();
        }
        if let Some(key) = answer.token_key {
            let token = serde_json::json!({ key: self.login.issue(), "expires_in": 300 });
            answer.body = token.to_string().into_bytes();
        }
        answer.for_range(request.header("range"))
    }
}

/// An address that nobody listens on, and that nobody else can get as long as this lives: the near end of a connection.
pub(crate) struct DeadEnd {
    near: TcpStream,
    _listener: TcpListener,
}

impl DeadEnd {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self { near, _listener: listener }
    }

    pub(crate) fn address(&self) -> String {
        self.near.local_addr().unwrap().to_string()
    }
}
