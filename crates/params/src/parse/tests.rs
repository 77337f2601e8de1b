//! Tables of the parameter parser.

use std::time::Duration;

use super::*;
use crate::options::{After, Ending, OnError, Retries, Server, TimeServers};

#[track_caller]
fn options(parameters: &[&str]) -> Options {
    let (options, errors) = parse_parameters(parameters);
    assert!(errors.is_empty(), "{parameters:?}: {errors:?}");
    options
}

fn errors<'a>(parameters: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let (_, errors) = parse_parameters(parameters);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn parses_every_parameter() {
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
    let expected = Options {
        tag: text("r:1/a:b"),
        blob: text("x@y"),
        platform: text("linux/arm64"),
        mirrors: vec!["m.example".to_owned(), "n.example:5000".to_owned()],
        verify_key: text("/a.pub,MFkw=="),
        retries: Some(Retries(None)),
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
        after: After::End(Ending::PowerOff),
        on_error: OnError::End(Ending::Reboot, 30),
        time_servers: TimeServers::Servers(vec![Server::parse("10.0.0.1").unwrap()]),
    };
    assert_eq!(all, expected);
    assert_eq!(
        options(&["dd.gpt=keep", "dd.gpt=move", "dd.verify=readback", "dd.verify=off"]),
        Options::default()
    );
    assert_eq!(options(&["https_proxy=http://p.example", "https_proxy="]), Options::default());
}

#[test]
fn rejects_invalid_values() {
    for (parameter, expected) in [
        ("oci.retries=-1", "oci.retries: invalid value '-1', expected a number or 'infinite'"),
        ("oci.verify_key", "oci.verify_key: missing value, expected a key; signatures cannot"),
        ("oci.verify_key=", "oci.verify_key: missing value, expected a key"),
        ("oci.timeout=0", "invalid value '0', expected 1 to 86400 seconds"),
        ("oci.timeout=1m", "invalid value '1m', expected 1 to 86400 seconds"),
        ("dd.timeout=86401", "invalid value '86401', expected 0 to 86400 seconds"),
        ("dd.gpt=grow", "dd.gpt: invalid value 'grow', expected move or keep"),
        ("dd.verify=", "dd.verify: missing value, expected readback or off"),
        ("ocidd.after", "missing value, expected reboot, poweroff, halt or shell"),
        ("ocidd.after=kexec", "'kexec', expected reboot, poweroff, halt or shell"),
        ("ocidd.after=Reboot", "invalid value 'Reboot'"),
        ("ocidd.after=reboot,5", "invalid value 'reboot,5'"),
        ("ocidd.on_error=halt", "'halt', expected shell, or reboot or poweroff with an optional"),
        ("ocidd.on_error=shell,5", "invalid value 'shell,5'"),
        ("ocidd.on_error=reboot,", "invalid value 'reboot,'"),
        ("ocidd.on_error=reboot,+5", "invalid value 'reboot,+5'"),
        ("ocidd.on_error=reboot,-1", "invalid value 'reboot,-1'"),
        ("ocidd.on_error=reboot,5s", "invalid value 'reboot,5s'"),
        ("ocidd.on_error=reboot,99999999999", "invalid value 'reboot,99999999999'"),
        ("ocidd.on_error=reboot,soon", "invalid value 'reboot,soon'"),
        ("ocidd.ntp=a.example,", "'a.example,', expected hosts separated by commas, or off"),
        ("ocidd.ntp=off,a.example", "invalid value 'off,a.example'"),
        ("ocidd.ntp=", "ocidd.ntp: missing value"),
        ("ocidd.report=events.example", "'events.example', expected an http:// or https:// URL"),
    ] {
        let errors = errors([parameter]);
        assert!(errors.len() == 1 && errors[0].contains(expected), "{parameter}: {errors:?}");
    }
}

#[test]
fn parses_every_ending() {
    for (value, after) in [
        ("reboot", After::End(Ending::Reboot)),
        ("poweroff", After::End(Ending::PowerOff)),
        ("halt", After::End(Ending::Halt)),
        ("shell", After::Shell),
    ] {
        assert_eq!(options(&[&format!("ocidd.after={value}")]).after, after);
    }
    for (value, on_error) in [
        ("shell", OnError::Shell),
        ("reboot", OnError::End(Ending::Reboot, 60)),
        ("poweroff", OnError::End(Ending::PowerOff, 60)),
        ("reboot,5", OnError::End(Ending::Reboot, 5)),
        ("poweroff,0", OnError::End(Ending::PowerOff, 0)),
    ] {
        assert_eq!(options(&[&format!("ocidd.on_error={value}")]).on_error, on_error);
    }
    assert_eq!(options(&["ocidd.ntp=off"]).time_servers, TimeServers::Off);
    let servers = ["10.0.2.2:1123", "a.example"].map(|text| Server::parse(text).unwrap());
    let servers = TimeServers::Servers(servers.to_vec());
    assert_eq!(options(&["ocidd.ntp=10.0.2.2:1123,a.example"]).time_servers, servers);
}

#[test]
fn init_parses_its_own_parameters_only() {
    let valid = ["ocidd.after=halt", "ocidd.on_error=reboot,5", "ocidd.ntp=off"];
    let (expected, errors) = parse_init_parameters(valid);
    assert_eq!((expected.after, errors), (After::End(Ending::Halt), vec![]));
    let others = ["dd.of=/dev/vda", "dd.bs=1Q", "oci.tga=1", "ocidd.afterwards=1", "quiet", "="];
    let (found, errors) = parse_init_parameters(valid.into_iter().chain(others));
    assert_eq!((found, errors), (expected.clone(), vec![]));
    for invalid in
        ["ocidd.after=Halt", "ocidd.on_error=halt", "ocidd.ntp=a:b", "ocidd.ntp=\u{fffd}"]
    {
        let (found, errors) = parse_init_parameters(valid.into_iter().chain([invalid]));
        assert_eq!((found, errors.len()), (expected.clone(), 1), "{invalid}");
    }
}

#[test]
fn ignores_parameters_of_other_programs() {
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
fn the_last_of_repeated_parameters_wins() {
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
fn reports_all_invalid_parameters() {
    let errors =
        errors(["oci.tga=x", "dd.of", "dd.bs=1Q", "wait=perhaps", "ocidd.zzz=1", "oci.tag="]);
    let all = errors.join("\n");
    assert_eq!(errors.len(), 6, "{all}");
    for expected in [
        "unknown parameter 'oci.tga', similar to 'oci.tag'",
        "dd.of: missing value, expected a disk",
        "dd.bs: invalid value '1Q', expected a size such as 64k or 1M",
        "wait: invalid value 'perhaps', expected no value, yes or no",
        "unknown parameter 'ocidd.zzz', expected one of oci.tag, oci.blob, ",
        "oci.tag: missing value, expected a reference",
    ] {
        assert!(all.contains(expected), "{expected} in {all}");
    }
}
