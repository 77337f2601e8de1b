//! Who is let in: everybody, those with the right credentials, or those with a numbered token that has not expired.

use crate::fake::{TOKEN, http::Request};

/// A login as it is shown in `Authorization`: user `robot$os`, password `sesame:1`. Both hold what may trip those who take them apart.
pub(crate) const BASIC: &str = "Basic cm9ib3Qkb3M6c2VzYW1lOjE=";

#[derive(Clone, Debug)]
pub(super) struct Login {
    /// Values of `Authorization` that are right whatever happens.
    pub(super) credentials: Vec<String>,
    /// How many requests a numbered token opens.
    pub(super) uses: usize,
    /// How many requests each numbered token still opens.
    left: Vec<usize>,
}

impl Login {
    pub(super) fn new() -> Self {
        Self { credentials: vec![format!("Bearer {TOKEN}")], uses: usize::MAX, left: Vec::new() }
    }

    /// A new token.
    pub(super) fn issue(&mut self) -> String {
        self.left.push(self.uses);
        format!("{TOKEN}-{}", self.left.len())
    }

    pub(super) fn expire(&mut self) {
        self.left.fill(0);
    }

    /// Whether what the request shows is right. Wears its token off.
    pub(super) fn lets_in(&mut self, request: &Request) -> bool {
        if let Some(number) = request.token_number() {
            let Some(left) = self.left.get_mut(number.wrapping_sub(1)) else { return false };
            let is_left = *left > 0;
            *left = left.saturating_sub(1);
            return is_left;
        }
        request
            .header("authorization")
            .is_some_and(|shown| self.credentials.iter().any(|right| right == shown))
    }
}
