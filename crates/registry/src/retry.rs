//! When a failed request is sent again: how often, after what delay, and for which errors.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use crate::{
    error::{Error, Result},
    observer::{Observer, Retry},
};

/// The longest delay that is not asked for by a server.
const MAX_DELAY: Duration = Duration::from_mins(1);
/// The longest delay that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(10);

/// How often a request is sent again, and after what delay.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Maximum number of consecutive retries; `None` without a limit.
    pub max_retries: Option<u32>,
    /// Each delay is about twice as long as the one before it.
    pub first_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_retries: Some(8), first_delay: Duration::from_secs(1) }
    }
}

/// The retries of one operation.
#[derive(Clone, Copy, Debug)]
pub struct Backoff<'a> {
    policy: RetryPolicy,
    pub observer: &'a dyn Observer,
    made: u32,
}

impl<'a> Backoff<'a> {
    pub fn new(policy: RetryPolicy, observer: &'a dyn Observer) -> Self {
        Self { policy, observer, made: 0 }
    }

    /// Calls `operation` until it succeeds, fails permanently, or the retries are used up.
    pub fn run<T>(mut self, doing: &str, mut operation: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            match operation() {
                Ok(done) => return Ok(done),
                Err(error) => self.wait(error, doing)?,
            }
        }
    }

    /// Waits before the next retry. Returns `error` if it is permanent or the retries are used up.
    /// `doing` is added to the reason that the observer receives.
    pub fn wait(&mut self, error: Error, doing: &str) -> Result<()> {
        let of = self.policy.max_retries;
        if !error.is_transient() || of == Some(0) {
            return Err(error);
        }
        if let Some(max) = of.filter(|max| self.made >= *max) {
            let noun = if max == 1 { "retry" } else { "retries" };
            self.observer.warn(format!("giving up after {max} {noun}"));
            return Err(error);
        }
        let delay = delay(self.policy.first_delay, self.made, random())
            .max(error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER));
        self.made += 1;
        let reason = format!("{doing}: {}", error.to_line());
        self.observer.retry(Retry { number: self.made, of, delay, reason });
        std::thread::sleep(delay);
        Ok(())
    }

    /// Starts counting again, after progress.
    pub fn reset(&mut self) {
        self.made = 0;
    }
}

/// Doubles with each retry up to a limit; between half and all of that, so that many machines that
/// lost their registry do not return at the same moment.
fn delay(first: Duration, made: u32, random: u32) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(made)).min(MAX_DELAY);
    let half = whole / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// A number that differs between machines and calls. The standard library seeds its hash tables
/// with random numbers of the kernel.
pub fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(()).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use oci::size::Transfer;

    use super::*;
    use crate::error::During as _;

    #[derive(Default)]
    struct Received(Mutex<Vec<String>>);

    impl Observer for Received {
        fn retry(&self, retry: Retry) {
            let Retry { number, of, reason, .. } = retry;
            self.warn(format!("{number} of {of:?}: {reason}"));
        }

        fn warn(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }

        fn note(&self, text: String) {
            panic!("{text}");
        }

        fn transfer(&self, label: &str, _total_bytes: u64) -> Box<dyn Transfer + '_> {
            panic!("{label}");
        }
    }

    fn cut() -> Error {
        Error::Interrupted("cut".to_owned())
    }

    fn backoff(max_retries: Option<u32>, observer: &Received) -> Backoff<'_> {
        Backoff::new(RetryPolicy { max_retries, first_delay: Duration::ZERO }, observer)
    }

    #[test]
    fn delays_grow_to_a_limit_and_are_random() {
        let second = Duration::from_secs(1);
        for (made, random, wanted) in [
            (0, 0, second / 2),
            (0, u32::MAX, second),
            (3, 0, second * 4),
            (3, u32::MAX, second * 8),
            (6, u32::MAX, MAX_DELAY),
            (40, 0, MAX_DELAY / 2),
            (u32::MAX, u32::MAX, MAX_DELAY),
        ] {
            assert_eq!(delay(second, made, random), wanted, "{made} {random}");
        }
    }

    #[test]
    fn reports_giving_up_after_the_last_retry() {
        let received = Received::default();
        let mut backoff = backoff(Some(2), &received);
        let broken = || Err::<(), _>(cut()).during(|| "fetching").unwrap_err();
        backoff.wait(broken(), "asking").unwrap();
        backoff.wait(broken(), "asking").unwrap();
        let error = backoff.wait(broken(), "asking").unwrap_err();
        assert_eq!(error.to_line(), "fetching: cut");
        assert!(matches!(error.root(), Error::Interrupted(_)));
        backoff.reset();
        backoff.wait(broken(), "asking").unwrap();
        let received = received.0.into_inner().unwrap();
        let wanted = [
            "1 of Some(2): asking: fetching: cut",
            "2 of Some(2): asking: fetching: cut",
            "giving up after 2 retries",
            "1 of Some(2): asking: fetching: cut",
        ];
        assert_eq!(received, wanted);
    }

    #[test]
    fn returns_permanent_errors_at_once() {
        let received = Received::default();
        for retries in [Some(5), None] {
            let mut backoff = backoff(retries, &received);
            backoff.wait(Error::Protocol("a web page".to_owned()), "asking").unwrap_err();
            backoff.wait(Error::NoStore, "asking").unwrap_err();
        }
        assert!(received.0.into_inner().unwrap().is_empty());
    }

    #[test]
    fn retries_without_a_limit() {
        let received = Received::default();
        let mut backoff = backoff(None, &received);
        (0..100).for_each(|_| backoff.wait(cut(), "asking").unwrap());
        assert_eq!(received.0.into_inner().unwrap()[99], "100 of None: asking: cut");
    }
}
