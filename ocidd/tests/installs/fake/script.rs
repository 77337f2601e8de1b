//! What is answered at one path, request by request, and the paths of a registry.

use std::collections::BTreeMap;

use crate::fake::answer::Answer;

/// Answers in order. The last is given for ever.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    answers: Vec<Answer>,
    /// How many were given.
    given: usize,
}

impl Script {
    pub(super) fn of(answers: Vec<Answer>) -> Self {
        assert!(!answers.is_empty(), "a script without an answer");
        Self { answers, given: 0 }
    }

    pub(crate) fn then(mut self, next: impl Into<Self>) -> Self {
        self.answers.extend(next.into().answers);
        self
    }

    /// What the next request gets.
    pub(super) fn next(&self) -> &Answer {
        &self.answers[self.given.min(self.answers.len() - 1)]
    }

    pub(super) fn advance(&mut self) {
        self.given += 1;
    }

    /// The answer that is given for ever.
    pub(super) fn last(&mut self) -> &mut Answer {
        self.answers.last_mut().unwrap()
    }
}

impl From<Answer> for Script {
    fn from(answer: Answer) -> Self {
        Self::of(vec![answer])
    }
}

/// Scripts by path and query. Everything else is a 404.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(BTreeMap<String, Script>);

impl Answers {
    pub(crate) fn insert(&mut self, path: String, script: impl Into<Script>) {
        self.0.insert(path, script.into());
    }

    /// What is answered for ever at a path that there is.
    pub(crate) fn last(&mut self, path: &str) -> &mut Answer {
        self.0.get_mut(path).unwrap().last()
    }

    /// Puts another script at a path that there is, and gives the one that was there.
    pub(super) fn replace(&mut self, path: &str, script: impl Into<Script>) -> Script {
        std::mem::replace(self.0.get_mut(path).unwrap(), script.into())
    }

    pub(super) fn at(&mut self, path: &str) -> Option<&mut Script> {
        self.0.get_mut(path)
    }
}
