//! The lines of make's log that tell why it failed. A log in, at most 25 lines out: the first error with what belongs to it, and the end. Pure.

use crate::kernel::make;

/// Lines of the first error.
const CAUSE: usize = 16;
/// Lines of the log's end.
const TAIL: usize = 7;

/// What a compiler, linker or assembler says of an error, on any language's line.
const ERRORS: [&str; 6] = [
    "error: ",
    "Error: ",
    "cannot find -l",
    "undefined reference to ",
    "multiple definition of ",
    "ERROR: ",
];

/// What a shell or another program says where it cannot go on. Also said where nothing is wrong, so errors of compilers come first.
const TROUBLES: [&str; 8] = [
    ": not found",
    "command not found",
    "No such file or directory",
    "No space left on device",
    "Cannot allocate memory",
    "Permission denied",
    "Killed",
    "Segmentation fault",
];

/// What leads up to an error, before it.
const INTRODUCTIONS: [&str; 6] = [
    "In file included from ",
    "In function ",
    "in function ",
    "At top level",
    "Assembler messages",
    ": note: ",
];

/// What belongs to an error, behind it.
const CONSEQUENCES: [&str; 4] =
    [": note: ", "compilation terminated", "collect2: ", "more undefined references"];

/// The lines of the last command in `log` that tell why it failed.
pub(super) fn excerpt(log: &str) -> String {
    let lines = telling_lines(log);
    let failure = lines.iter().position(|line| is_failure(line)).unwrap_or(lines.len());
    // What a command says comes before make says that it failed, whatever runs beside it.
    let (said, rest) = lines.split_at(failure);
    let mut cause = cause(said);
    // It names the file that could not be made.
    cause.extend(rest.first());
    let tail = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
    // The end may be what was told already.
    let behind = tail.iter().position(|line| cause.last() == Some(line));
    let tail = tail.get(behind.map_or(0, |at| at + 1)..).unwrap_or_default();
    if behind.is_none() && !cause.is_empty() {
        cause.push("…");
    }
    cause.extend(tail);
    cause.join("\n")
}

/// The lines that the last command said, without those of files that were made and of folders that were entered.
fn telling_lines(log: &str) -> Vec<&str> {
    let start = log.rfind("\n$ ").map_or(0, |at| at + 1);
    let lines = log.get(start..).unwrap_or(log).lines();
    lines
        .filter(|line| {
            let is_of_make = line.starts_with("make")
                && ["Entering directory", "Leaving directory"]
                    .iter()
                    .any(|mark| line.contains(mark));
            !make::is_step(line.as_bytes()) && !line.starts_with("$ ") && !is_of_make
        })
        .collect()
}

/// Whether make tells that a file could not be made: `make[2]: *** [Makefile:1: a.o] Error 1`.
fn is_failure(line: &str) -> bool {
    line.starts_with("make") && line.contains(": *** ") && !line.contains("Waiting for unfinished")
}

/// The first error of a compiler in `said`, else the last trouble, with what belongs to it; else the last lines.
fn cause<'a>(said: &[&'a str]) -> Vec<&'a str> {
    let has = |line: &str, marks: &[&str]| marks.iter().any(|mark| line.contains(mark));
    let error = said.iter().position(|line| has(line, &ERRORS));
    let Some(at) = error.or_else(|| said.iter().rposition(|line| has(line, &TROUBLES))) else {
        return said.get(said.len().saturating_sub(TAIL)..).unwrap_or_default().to_vec();
    };
    let (before, from) = said.split_at(at);
    let introduction = before
        .iter()
        .rev()
        .take_while(|line| has(line, &INTRODUCTIONS) || line.trim_start().starts_with("from "))
        .count();
    let belongs = |line: &str| {
        has(line, &ERRORS)
            || has(line, &TROUBLES)
            || has(line, &INTRODUCTIONS)
            || has(line, &CONSEQUENCES)
            || is_quotation(line)
    };
    let first = before.len() - introduction;
    let length = introduction + from.iter().take_while(|line| belongs(line)).count();
    said.iter().skip(first).take(length.min(CAUSE)).copied().collect()
}

/// Whether a compiler shows the text that it speaks of: a number, a bar, a line of source.
fn is_quotation(line: &str) -> bool {
    line.starts_with(' ')
        && line.split_once('|').is_some_and(|(number, _)| {
            number.trim().is_empty() || number.trim().bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests;
