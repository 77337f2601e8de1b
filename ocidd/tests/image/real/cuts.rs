//! A real registry behind a line that breaks.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Registry, Serve};
use crate::{noise::noise, ours::Author};

/// A line to a registry, whose next connections each end after so many bytes in the direction of the registry, or from it.
struct Line {
    address: String,
    cuts_left: Arc<AtomicUsize>,
}

impl Line {
    /// Ends with the tests: a thread that waits for connections costs nothing.
    fn to(registry: &Registry, up_bytes: u64, down_bytes: u64, cuts: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (upstream, cuts_left) = (registry.address.clone(), Arc::new(AtomicUsize::new(cuts)));
        let left = Arc::clone(&cuts_left);
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let Ok(far) = TcpStream::connect(&upstream) else { return };
                let (near, far) = (Arc::new(near), Arc::new(far));
                for (from, to, limit) in [(&near, &far, up_bytes), (&far, &near, down_bytes)] {
                    let (from, to, left) = (Arc::clone(from), Arc::clone(to), Arc::clone(&left));
                    std::thread::spawn(move || pass(&from, &to, limit, &left));
                }
            }
        });
        Self { address, cuts_left }
    }
}

/// Passes bytes on. Behind the limit the connection is cut, as long as there are cuts left.
fn pass(from: &TcpStream, to: &TcpStream, limit: u64, cuts_left: &AtomicUsize) {
    let (mut from, mut to) = (from, to);
    let mut buffer = [0; 16 << 10];
    let mut passed = 0;
    loop {
        let length = from.read(&mut buffer).unwrap_or(0);
        passed += length as u64;
        let is_cut = passed > limit
            && cuts_left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        if length == 0 || is_cut || to.write_all(&buffer[..length]).is_err() {
            from.shutdown(Shutdown::Both).ok();
            to.shutdown(Shutdown::Both).ok();
            return;
        }
    }
}

#[test]
fn what_breaks_off_on_either_way_goes_on() {
    let registry = Registry::start(&Serve::Plain);
    let author = Author::with(&["--plain-http", "--chunk-size", "1"]);
    let content = noise(13, 5 << 20);
    author.write("a", &content);
    author.write("b", "b");

    let line = Line::to(&registry, 1_500_000, u64::MAX, 2);
    author.push(&["a", "b", &format!("{}/os:1", line.address)]);
    assert_eq!(line.cuts_left.load(Ordering::SeqCst), 0);

    let line = Line::to(&registry, u64::MAX, 1_500_000, 2);
    author.ok(&["pull", &format!("{}/os:1", line.address), "-o", "out"]);
    assert_eq!(line.cuts_left.load(Ordering::SeqCst), 0);
    assert!(author.read("out/a") == content);
}
