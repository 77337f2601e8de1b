//! Every word, right and wrong, and README against the tables.

use super::*;

fn options(words: &[&str]) -> Options {
    match parse_words(words) {
        Ok(Request::Install(options)) => *options,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn reads_every_word() {
    let all = options(&[
        "oci.tag=r:1/a:b",
        "oci.blob=x@y",
        "oci.platform=linux/arm64",
        "oci.mirror=m.example, n.example:5000,",
        "oci.verify_key=/a.pub,MFkw==",
        "oci.retries=infinite",
        "oci.timeout=5",
        "oci.allow_no_tls",
        "oci.insecure_skip_verify",
        "http_proxy=http://p.example:3128",
        "https_proxy=http://user:secret@p.example:3129",
        "no_proxy=r.example",
        "dd.of=/dev/vda",
        "dd.timeout=60",
        "dd.bs=64k",
        "dd.gpt=keep",
        "dd.verify=readback",
        "wait",
        "ocidd.dry_run",
        "ocidd.skip_if_installed",
        "ocidd.report=http://events.example/",
        "ocidd.after=poweroff",
        "ocidd.on_error=reboot,30",
        "ocidd.ntp=10.0.0.1",
    ]);
    let text = |text: &str| Some(text.to_owned());
    let wanted = Options {
        tag: text("r:1/a:b"),
        blob: text("x@y"),
        platform: text("linux/arm64"),
        mirrors: vec!["m.example".to_owned(), "n.example:5000".to_owned()],
        verify_key: text("/a.pub,MFkw=="),
        retries: Some(Retries::Infinite),
        timeout: Some(Duration::from_secs(5)),
        allow_no_tls: true,
        insecure_skip_verify: true,
        http_proxy: text("http://p.example:3128"),
        https_proxy: text("http://user:secret@p.example:3129"),
        no_proxy: text("r.example"),
        disk: text("/dev/vda"),
        disk_timeout: Some(Duration::from_mins(1)),
        transfer_size: Some(65536),
        keep_gpt: true,
        read_back: true,
        wait: true,
        dry_run: true,
        skip_if_installed: true,
        report: text("http://events.example/"),
    };
    assert_eq!(all, wanted);
    assert_eq!(
        options(&["dd.gpt=keep", "dd.gpt=move", "dd.verify=readback", "dd.verify=off"]),
        Options::default()
    );
    assert_eq!(options(&["https_proxy=http://p.example", "https_proxy="]), Options::default());
}

#[test]
fn a_value_that_makes_no_sense_is_refused() {
    for (word, fault) in [
        ("oci.retries=-1", "'-1' is neither a number nor 'infinite'"),
        ("oci.verify_key", "no value; hint: it takes a key"),
        ("oci.verify_key=", "no word turns signatures off"),
        ("oci.timeout=0", "leaves no time"),
        ("oci.timeout=1m", "'1m' is no number of seconds"),
        ("dd.timeout=86401", "no number of seconds up to 86400"),
        ("dd.gpt=grow", "'grow' is not known; hint: it is one of move, keep"),
        ("dd.verify=", "'' is not known"),
        ("ocidd.after=kexec", "one of reboot, poweroff, halt, shell"),
        ("ocidd.on_error=halt", "one of shell, reboot, poweroff"),
        ("ocidd.on_error=shell,5", "shell comes at once"),
        ("ocidd.on_error=reboot,", "'' is no number of seconds"),
        ("ocidd.on_error=reboot,+5", "'+5' is no number of seconds"),
        ("ocidd.ntp=a.example,", "neither hosts with commas between them, nor off"),
        ("ocidd.ntp=off,a.example", "neither hosts with commas between them, nor off"),
        ("ocidd.on_error=reboot,soon", "'soon' is no number of seconds"),
        ("ocidd.report=events.example", "'events.example' is no http:// or https:// URL"),
        ("ocidd.ntp=", "no value"),
    ] {
        let faults = parse_words([word]).unwrap_err();
        assert!(faults[0].contains(fault), "{word}: {faults:?}");
    }
    let faults = parse_words(["https_proxy=ftp://user:secret@p"]).unwrap_err().join("");
    assert!(faults.contains("is no proxy's URL") && !faults.contains("secret"), "{faults}");
}

#[test]
fn passes_over_the_words_of_others() {
    assert_eq!(
        options(&[
            "quiet",
            "console=ttyS0,115200",
            "root=/dev/x=y",
            "ddx.of=1",
            "waiting",
            "",
            "=",
            "ip=dhcp"
        ]),
        Options::default()
    );
}

#[test]
fn the_last_of_repeated_words_wins() {
    let last = options(&[
        "dd.of=/dev/a",
        "wait",
        "oci.allow_no_tls=1",
        "dd.of=/dev/b=c",
        "wait=no",
        "oci.allow_no_tls=off",
    ]);
    assert_eq!(last, Options { disk: Some("/dev/b=c".to_owned()), ..Options::default() });
}

#[test]
fn tells_everything_that_is_wrong_at_once() {
    let faults =
        parse_words(["oci.tga=x", "dd.of", "dd.bs=1Q", "wait=perhaps", "ocidd.zzz=1", "oci.tag="])
            .unwrap_err();
    let all = faults.join("\n");
    assert_eq!(faults.len(), 6, "{all}");
    for found in [
        "'oci.tga' is not known; hint: the nearest word is oci.tag",
        "dd.of: no value",
        "dd.bs: '1Q'",
        "wait: 'perhaps'",
        "the words are",
        "oci.tag: no value",
    ] {
        assert!(all.contains(found), "{found} in {all}");
    }
}

#[test]
fn help_and_version_are_found_anywhere() {
    assert_eq!(parse_words(["quiet", "--help", "oci.tga"]), Ok(Request::Help));
    assert_eq!(parse_words(["-V"]), Ok(Request::Version));
}

#[test]
fn help_and_readme_name_every_word_with_its_meaning() {
    let help = Help.to_string();
    let readme = include_str!("../../../README.md");
    let assert_row =
        |row: String| assert!(readme.contains(&row), "README.md lacks this row:\n{row}");
    for word in &WORDS {
        assert!(help.contains(word.key) && help.contains(word.meaning), "{}", word.key);
        // In a table a bar has to be escaped.
        assert_row(format!("| `{}` | {} |", word.typed().replace('|', "\\|"), word.meaning));
    }
    for (part, meaning) in selector::PARTS {
        assert_row(format!("| `{part}` | {meaning} |"));
    }
    for (code, meaning) in crate::report::failure::EXIT_CODES {
        assert_row(format!("| {code} | {meaning} |"));
    }
    for entry in crate::report::failure::CAUSES {
        assert_row(format!("| `{}` | {} | {} |", entry.id, entry.exit_code, entry.remedy));
    }
}
