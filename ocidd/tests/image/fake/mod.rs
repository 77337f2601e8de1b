//! A registry on loopback that takes and gives whatever it should (OCI distribution spec) but where a test has it go wrong. It knows one repository
//! under every name, and looks at every manifest that it is given.

mod store;
mod wire;

use std::{
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

pub(crate) use store::Store;
use wire::Verdict;
pub(crate) use wire::{Answer, Request};

/// How one request goes wrong.
pub(crate) enum Fault {
    /// Not at all.
    None,
    /// Another answer, and nothing is done.
    Answer(Answer),
    /// The same, before the body was read; then the connection is closed.
    Early(Answer),
    /// The connection is closed after so many bytes of the body, which are kept.
    Cut(usize),
    /// So many bytes of the body are taken, and the right answer says so.
    Short(usize),
    /// The right answer, changed.
    Spoil(fn(&mut Answer)),
}

impl Fault {
    /// Only then.
    pub(crate) fn when(self, is_meant: bool) -> Self {
        if is_meant { self } else { Self::None }
    }
}

pub(crate) type Faults = Box<dyn FnMut(&Request) -> Fault + Send>;

/// A registry that runs until it is dropped.
pub(crate) struct Fake {
    /// `host:port`, as in references.
    pub(crate) address: String,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

struct Desk {
    store: Arc<Mutex<Store>>,
    faults: Mutex<Faults>,
    asked: Mutex<Vec<String>>,
    ended: AtomicBool,
}

impl Fake {
    /// A registry without faults.
    pub(crate) fn new() -> Self {
        Self::with(|_| Fault::None)
    }

    /// A registry that does with each request what `faults` says.
    pub(crate) fn with(faults: impl FnMut(&Request) -> Fault + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let desk = Arc::new(Desk {
            store: Arc::default(),
            faults: Mutex::new(Box::new(faults)),
            asked: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let thread = {
            let desk = Arc::clone(&desk);
            std::thread::spawn(move || accept(&listener, &desk))
        };
        Self { address, desk, thread: Some(thread) }
    }

    /// `host:port/os:tag`
    pub(crate) fn reference(&self, tag: &str) -> String {
        format!("{}/os:{tag}", self.address)
    }

    /// Looks at what it holds, or changes it.
    pub(crate) fn store<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        look(&mut self.desk.store.lock().unwrap())
    }

    /// Goes wrong in another way from now on, or no more.
    pub(crate) fn set_faults(&self, faults: impl FnMut(&Request) -> Fault + Send + 'static) {
        *self.desk.faults.lock().unwrap() = Box::new(faults);
    }

    /// What was asked so far: method, path, and the range where there is one. Forgets it.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.desk.asked.lock().unwrap())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.desk.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        if TcpStream::connect(&self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            thread.join().ok();
        }
    }
}

fn accept(listener: &TcpListener, desk: &Arc<Desk>) {
    while let Ok((stream, _)) = listener.accept() {
        if desk.ended.load(Ordering::Relaxed) {
            return;
        }
        let desk = Arc::clone(desk);
        // Each ends with its connection; a client that has gone away is no fault of a test.
        std::thread::spawn(move || wire::serve(stream, &|request| desk.judge(request)).ok());
    }
}

impl Desk {
    fn judge(&self, request: &Request) -> Verdict {
        let range = request.header("content-range").or_else(|| request.header("range"));
        let range = range.map(|range| format!(" {range}")).unwrap_or_default();
        // Without what the store appends to an upload, which differs each time.
        let path = request.path.split("&state=").next().unwrap_or_default();
        let line = format!("{} {path}{range}", request.method);
        self.asked.lock().unwrap().push(line);
        let fault = (self.faults.lock().unwrap())(request);
        let (store, request) = (Arc::clone(&self.store), request.clone());
        let right = move |body: &[u8]| store.lock().unwrap().answer(&request, body);
        match fault {
            Fault::None => Verdict::Whole(Box::new(right)),
            Fault::Answer(answer) => Verdict::Whole(Box::new(|_| answer)),
            Fault::Early(answer) => Verdict::Early(answer),
            Fault::Cut(bytes) => Verdict::Cut(bytes, Box::new(move |body| drop(right(body)))),
            Fault::Short(bytes) => Verdict::Whole(Box::new(move |body| right(&body[..bytes]))),
            Fault::Spoil(spoil) => Verdict::Whole(Box::new(move |body| {
                let mut answer = right(body);
                spoil(&mut answer);
                answer
            })),
        }
    }
}
