//! When to try again: how often, after what time, and for which errors.

use crate::error::HttpError;
use crate::observer::Observer;
use crate::observer::Retry;
use anyhow::Result;
use std::hash::BuildHasher as _;
use std::hash::RandomState;
use std::time::Duration;

/// The longest wait of our own choice.
const MAX_DELAY: Duration = Duration::from_mins(1);
/// The longest wait that a server can ask for.
const MAX_ASKED_DELAY: Duration = Duration::from_mins(10);

/// How often a request is sent again, and after what time.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The most retries in a row; `None` without a limit.
    pub max_retries: Option<u32>,
    /// Each wait is about twice as long as the one before it.
    pub first_delay: Duration,
}

/// The tries of one thing.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    made: u32,
}

impl Backoff {
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, made: 0 }
    }

    /// Waits before the next try; or gives `error` back when another one is useless or one too many.
    /// `doing` says in the retry's line what the error alone does not.
    pub fn wait(
        &mut self,
        error: anyhow::Error,
        doing: &str,
        observer: &dyn Observer,
    ) -> Result<()> {
        let http = error.downcast_ref::<HttpError>();
        let Some(http) = http.filter(|http| http.is_passing()) else { return Err(error) };
        let of = self.policy.max_retries;
        match of {
            Some(0) => return Err(error),
            Some(most) if self.made >= most => {
                let noun = if most == 1 { "retry" } else { "retries" };
                observer.warn(format!("giving up after {most} {noun}"));
                return Err(error);
            }
            _ => {}
        }
        let delay = delay(self.policy.first_delay, self.made, random())
            .max(http.retry_after.unwrap_or_default().min(MAX_ASKED_DELAY));
        self.made += 1;
        let reason = format!("{doing}: {error:#}");
        observer.retry(Retry { number: self.made, of, delay, reason });
        std::thread::sleep(delay);
        Ok(())
    }

    /// Forgets the tries so far: things went well for a while.
    pub fn forget(&mut self) {
        self.made = 0;
    }
}

/// Does something again as long as that may help.
pub fn with_retry<T>(
    policy: RetryPolicy,
    doing: &str,
    observer: &dyn Observer,
    mut act: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut tries = Backoff::new(policy);
    loop {
        match act() {
            Ok(done) => return Ok(done),
            Err(error) => tries.wait(error, doing, observer)?,
        }
    }
}

/// Doubles with each try made, up to a limit; between half and all of that, so that a rack that lost its registry does not come back as one.
fn delay(first: Duration, made: u32, random: u32) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(made)).min(MAX_DELAY);
    let half = whole / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// A number that differs between machines and calls. The standard library seeds its hash tables from the kernel's random numbers.
pub fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(()).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Trouble;
    use oci::size::Transfer;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Observer for Heard {
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

    fn tries(max_retries: Option<u32>) -> Backoff {
        Backoff::new(RetryPolicy { max_retries, first_delay: Duration::ZERO })
    }

    #[test]
    fn waits_grow_up_to_a_limit_and_differ_between_machines() {
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
    fn gives_up_after_so_many_tries_and_says_so() {
        let heard = Heard::default();
        let mut tries = tries(Some(2));
        let broken = || anyhow::Error::new(HttpError::broken("cut")).context("fetching");
        tries.wait(broken(), "asking", &heard).unwrap();
        tries.wait(broken(), "asking", &heard).unwrap();
        let error = tries.wait(broken(), "asking", &heard).unwrap_err();
        assert_eq!(format!("{error:#}"), "fetching: cut");
        assert_eq!(error.downcast_ref::<HttpError>().unwrap().trouble, Trouble::Unreachable);
        tries.forget();
        tries.wait(broken(), "asking", &heard).unwrap();
        let heard = heard.0.into_inner().unwrap();
        let wanted = [
            "1 of Some(2): asking: fetching: cut",
            "2 of Some(2): asking: fetching: cut",
            "giving up after 2 retries",
            "1 of Some(2): asking: fetching: cut",
        ];
        assert_eq!(heard, wanted);
    }

    #[test]
    fn an_error_that_does_not_pass_is_final_at_once() {
        let heard = Heard::default();
        for retries in [Some(5), None] {
            let mut tries = tries(retries);
            tries.wait(HttpError::useless("a web page").into(), "asking", &heard).unwrap_err();
            tries.wait(anyhow::anyhow!("a defect"), "asking", &heard).unwrap_err();
        }
        assert!(heard.0.into_inner().unwrap().is_empty());
    }

    #[test]
    fn infinite_retries_are_not_counted_down() {
        let heard = Heard::default();
        let mut tries = tries(None);
        (0..100)
            .for_each(|_| tries.wait(HttpError::broken("cut").into(), "asking", &heard).unwrap());
        assert_eq!(heard.0.into_inner().unwrap()[99], "100 of None: asking: cut");
    }
}
