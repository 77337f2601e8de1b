//! Which part of a body a request asks for by `Range`, and what an answer makes of that (RFC 9110, 14).

use std::fmt;

use crate::fake::answer::Answer;

/// The bytes `start..end` of `total`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) total: usize,
}

/// As in `Content-Range`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}-{}/{}", self.start, self.end - 1, self.total)
    }
}

/// What an answer of status 200 makes of a request with a `Range`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ranges {
    /// 200 and the whole, as if nothing had been asked.
    Ignored,
    /// 206 and what was asked for, or 416 behind the end.
    Honoured,
    /// 416, whatever is asked for.
    Refused,
    /// 206 and `Content-Range`, also for the whole and for those who ask for no part.
    Unasked,
    /// 206 and what was asked for, under another `Content-Range` or none.
    Claimed(fn(Span) -> Option<String>),
    /// 206 and another range than was asked for, truly told.
    Shifted(fn(Span) -> Span),
}

/// What a `Range` means for a body of some length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    /// No header, or one that a server has to pass over.
    Whole,
    Part(Span),
    Unsatisfiable,
}

impl Answer {
    /// The answer to a request with this `Range`: its status, headers and body changed as its [`Ranges`] say.
    pub(super) fn for_range(self, header: Option<&str>) -> Self {
        let total = self.body.len();
        let asked = header.map_or(Asked::Whole, |header| asked(header, total));
        let whole = Span { start: 0, end: total, total };
        if self.status != 200 {
            return self;
        }
        match (self.ranges, asked) {
            (Ranges::Unasked, Asked::Whole) if total > 0 => {
                self.part(whole, Some(whole.to_string()))
            }
            (Ranges::Ignored, _) | (_, Asked::Whole) => self,
            (Ranges::Refused, _) | (_, Asked::Unsatisfiable) => {
                Self::error(416, "RANGE_INVALID", "range not satisfiable")
                    .header("Content-Range", format!("bytes */{total}"))
            }
            (Ranges::Honoured | Ranges::Unasked, Asked::Part(span)) => {
                self.part(span, Some(span.to_string()))
            }
            (Ranges::Claimed(tell), Asked::Part(span)) => self.part(span, tell(span)),
            (Ranges::Shifted(shift), Asked::Part(span)) => {
                let span = shift(span);
                self.part(span, Some(span.to_string()))
            }
        }
    }

    fn part(self, span: Span, told: Option<String>) -> Self {
        let body = self.body[span.start..span.end].to_vec();
        let part = Self { status: 206, body, ..self };
        match told {
            Some(told) => part.header("Content-Range", told),
            None => part,
        }
    }
}

/// Reads `bytes=N-`, `bytes=N-M` and `bytes=-N`. Several ranges at once count as none, which a server is free to do.
fn asked(header: &str, total: usize) -> Asked {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Asked::Whole;
    };
    let (start, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => (first, total),
        (Err(_), Ok(count)) if first.is_empty() => (total.saturating_sub(count), total),
        _ => return Asked::Whole,
    };
    let end = end.min(total);
    if start < end { Asked::Part(Span { start, end, total }) } else { Asked::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_rfc_9110_says() {
        let part = |start, end| Asked::Part(Span { start, end, total: 10 });
        for (header, wanted) in [
            ("bytes=0-", part(0, 10)),
            ("bytes=4-", part(4, 10)),
            ("bytes=4-4", part(4, 5)),
            ("bytes=4-99", part(4, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-99", part(0, 10)),
            ("bytes=10-", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=5-4", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=x-", Asked::Whole),
            ("lines=1-", Asked::Whole),
        ] {
            assert_eq!(asked(header, 10), wanted, "{header}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Unsatisfiable);
    }
}
