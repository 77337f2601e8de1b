//! Properties of the parsers. A new parser gets a test here, or an entry point in `fuzz/lib.rs`.

use std::{
    collections::BTreeSet,
    fmt::{Debug, Display},
    str::FromStr,
};

use oci::{
    digest::Digest,
    reference::{BlobReference, ManifestReference},
    size::Bytes,
};
use ocidd::request::{Request, parse_request};
use params::{PARAMETERS, parse_size};
use proptest::{collection::vec, prelude::*};

// A failing input is printed in its smallest form and becomes a row of the parser's own tests: no file is kept of it.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// A parsed value prints as text that parses to the same value; an error has a message.
#[track_caller]
fn assert_parses_or_fails<T>(text: &str)
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{text:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "{text:?}"),
    }
}

/// Complete text parses, and prints unchanged.
#[track_caller]
fn assert_round_trip<T: FromStr + Display>(text: &str) {
    let printed = text.parse::<T>().ok().map(|value| value.to_string());
    assert_eq!(printed.as_deref(), Some(text));
}

fn registry() -> impl Strategy<Value = String> {
    let host = "[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?){1,3}";
    let address = any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]"));
    let port = prop_oneof![Just(String::new()), (1..=u16::MAX).prop_map(|port| format!(":{port}"))];
    (prop_oneof![host, address], port).prop_map(|(host, port)| host + &port)
}

fn repository() -> impl Strategy<Value = String> {
    let part = "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,3}";
    (registry(), vec(part, 1..4))
        .prop_map(|(registry, name)| format!("{registry}/{}", name.join("/")))
}

/// Mostly what stands next to the digits in ASCII.
fn near_a_digit() -> impl Strategy<Value = char> {
    prop_oneof![3 => prop::char::range('.', 'h'), 1 => any::<char>()]
}

fn digest() -> impl Strategy<Value = String> {
    "sha256:[0-9a-f]{64}"
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_is_a_reference_or_refused(text in any::<String>()) {
        assert_parses_or_fails::<ManifestReference>(&text);
        assert_parses_or_fails::<BlobReference>(&text);
    }

    #[test]
    fn any_text_made_of_the_signs_of_references_is_one_or_refused(text in "[a1A.:/@_\\[\\]-]{0,30}(sha256:[0-9a-f]{63,65})?") {
        assert_parses_or_fails::<ManifestReference>(&text);
        assert_parses_or_fails::<BlobReference>(&text);
    }

    #[test]
    fn a_reference_prints_as_it_was_written(
        repository in repository(),
        tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}",
        digest in digest(),
    ) {
        assert_round_trip::<ManifestReference>(&format!("{repository}:{tag}"));
        assert_round_trip::<ManifestReference>(&format!("{repository}@{digest}"));
        assert_round_trip::<BlobReference>(&format!("{repository}@{digest}"));
        let both = format!("{repository}:{tag}@{digest}");
        let wins = format!("{repository}@{digest}");
        prop_assert_eq!(both.parse::<ManifestReference>().unwrap().to_string(), wins);
        prop_assert!(both.parse::<BlobReference>().is_err());
    }

    #[test]
    fn a_digest_is_64_digits_and_nothing_else(digest in digest(), at in 0..71_usize, other in near_a_digit()) {
        assert_round_trip::<Digest>(&digest);
        let mut changed: Vec<char> = digest.chars().collect();
        changed[at] = other;
        let changed: String = changed.into_iter().collect();
        let is_digit = at >= 7 && matches!(other, '0'..='9' | 'a'..='f');
        prop_assert_eq!(changed.parse::<Digest>().is_ok(), is_digit || changed == digest);
        prop_assert!(digest[..at].parse::<Digest>().is_err());
    }

    #[test]
    fn any_text_is_a_digest_or_refused(text in any::<String>()) {
        assert_parses_or_fails::<Digest>(&text);
    }

    #[test]
    fn a_size_is_read_as_it_is_printed(bytes in 1..=u64::MAX) {
        prop_assert_eq!(parse_size(&bytes.to_string()), Some(bytes));
        let printed = Bytes(bytes).to_string();
        prop_assert!(printed.starts_with(&format!("{bytes} bytes")), "{}", printed);
    }

    #[test]
    fn a_suffix_multiplies_or_the_size_is_refused(number in any::<u64>(), kib in any::<u32>()) {
        prop_assert_eq!(parse_size(&format!("{kib}k")), Some(u64::from(kib) << 10).filter(|bytes| *bytes > 0));
        prop_assert_eq!(parse_size(&format!("{number}G")), number.checked_mul(1 << 30).filter(|bytes| *bytes > 0));
    }

    #[test]
    fn any_text_is_a_size_or_none(text in any::<String>()) {
        prop_assert!(parse_size(&text).is_none_or(|bytes| bytes > 0));
    }

    #[test]
    fn any_words_are_read_or_refused_in_words(words in vec(any::<String>(), 0..6)) {
        assert_words_read_or_refused(&words);
    }

    #[test]
    fn any_words_of_ours_are_read_or_refused_in_words(words in vec("(oci|dd|ocidd)\\.[a-z_]{0,4}(=.{0,4})?", 0..6)) {
        assert_words_read_or_refused(&words);
    }

    #[test]
    fn what_a_word_says_is_kept_as_it_was_said(value in ".+", bytes in 1..=u64::MAX) {
        let words = [format!("oci.tag={value}"), format!("dd.of={value}"), format!("dd.bs={bytes}")];
        let Ok(Request::Install(options)) = parse_request(&words) else { panic!("{words:?}") };
        prop_assert_eq!(options.tag.as_ref(), Some(&value));
        prop_assert_eq!(options.disk.as_ref(), Some(&value));
        prop_assert_eq!(options.transfer_size, Some(bytes));
    }

    #[test]
    fn of_repeated_words_the_last_counts_and_no_other_order_does(words in vec(right_word(), 0..12)) {
        let mut seen = BTreeSet::new();
        let last_first = words.iter().rev().filter(|word| seen.insert(key(word)));
        let last_first: Vec<&String> = last_first.collect();
        prop_assert_eq!(parse_request(&words), parse_request(last_first));
    }

    #[test]
    fn the_words_of_others_do_not_matter(words in vec((prop_oneof![right_word(), wrong_word()], strangers()), 0..6)) {
        let ours = words.iter().map(|(word, _)| word);
        let all = words.iter().flat_map(|(word, strangers)| strangers.iter().chain([word]));
        prop_assert_eq!(parse_request(all), parse_request(ours));
    }
}

#[track_caller]
fn assert_words_read_or_refused(words: &[String]) {
    if let Err(errors) = parse_request(words) {
        let all_have_text = errors.iter().all(|error| !error.to_string().is_empty());
        assert!(!errors.is_empty() && all_have_text, "{words:?}");
    }
}

fn key(word: &str) -> &str {
    word.split_once('=').map_or(word, |(key, _)| key)
}

/// What some word takes, and some does not.
const VALUES: [&str; 9] =
    ["", "=yes", "=off", "=1", "=64k", "=/dev/vda", "=r.example/os:1", "=x=y", "="];

/// A word of the table with or without a value.
fn known_word() -> impl Strategy<Value = String> {
    let keys = prop::sample::select(PARAMETERS.map(|parameter| parameter.key()).to_vec());
    (keys, prop::sample::select(&VALUES[..])).prop_map(|(key, value)| [key, value].concat())
}

fn is_right(word: &str) -> bool {
    parse_request([word]).is_ok()
}

fn right_word() -> impl Strategy<Value = String> {
    known_word().prop_filter("a value of this word", |word| is_right(word))
}

fn wrong_word() -> impl Strategy<Value = String> {
    prop_oneof![known_word(), "(oci|dd|ocidd)\\.[a-z]{1,6}"]
        .prop_filter("no value of this word", |word| !is_right(word))
}

/// Words of the kernel and of other programs.
fn strangers() -> impl Strategy<Value = Vec<String>> {
    let stranger =
        "[a-z_]{0,6}(\\.[a-z_]{1,6})?(=.{0,6})?".prop_filter("no word of ours", |word| {
            let is_ours = |prefix| word.starts_with(prefix);
            !["oci.", "dd.", "ocidd."].into_iter().any(is_ours)
                && PARAMETERS.iter().all(|known| known.key() != key(word))
        });
    vec(stranger, 0..4)
}
