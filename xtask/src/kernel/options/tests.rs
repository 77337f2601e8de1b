//! Parsing fragments and `KERNEL_CONFIG`, merging, and the check.

use super::*;

fn assignments(requested: &[Requested]) -> Vec<String> {
    requested.iter().map(Requested::assignment).collect()
}

fn arguments(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn parses_set_and_unset_options() {
    let text = "# why\n\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x y\"\nCONFIG_D=0x1f\nCONFIG_E=-1\nCONFIG_F=\"\"\n";
    let requested = parse_fragment("f.config", text).unwrap();
    assert_eq!(
        assignments(&requested),
        [
            "CONFIG_A=y",
            "CONFIG_B=n",
            "CONFIG_C=\"x y\"",
            "CONFIG_D=0x1f",
            "CONFIG_E=-1",
            "CONFIG_F=\"\""
        ]
    );
}

#[test]
fn reports_every_invalid_line_of_a_fragment() {
    let text = "CONFIG_A=y\nCONFIG_B\nA=y\nCONFIG_=y\nCONFIG_C=\nCONFIG_D=\"x\nCONFIG_E=y # why\n";
    let error = parse_fragment("f.config", text).unwrap_err().to_string();
    for number in 2..=7 {
        assert!(
            error.contains(&format!("f.config:{number}: ")),
            "line {number} is not in: {error}"
        );
    }
    assert!(!error.contains("f.config:1: "), "{error}");
}

#[test]
fn parses_all_arguments_of_scripts_config() {
    let cases = [
        ("--enable net", "CONFIG_NET=y"),
        ("-e CONFIG_NET", "CONFIG_NET=y"),
        ("--disable NET", "CONFIG_NET=n"),
        ("-d NET", "CONFIG_NET=n"),
        ("--module NET", "CONFIG_NET=m"),
        ("-m NET", "CONFIG_NET=m"),
        ("--set-str NET a\"b", "CONFIG_NET=\"a\\\"b\""),
        ("--set-val NET 42", "CONFIG_NET=42"),
        ("--keep-case -e NEt", "CONFIG_NEt=y"),
        ("-k -e CONFIG_net", "CONFIG_net=y"),
        ("-u NET", "CONFIG_NET="),
    ];
    for (given, requested) in cases {
        assert_eq!(
            assignments(&parse_arguments(&arguments(given)).unwrap()),
            [requested],
            "{given}"
        );
    }
}

#[test]
fn merging_replaces_options_and_the_last_value_wins() {
    let base = "# Automatically generated\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x\"\nCONFIG_D=y\n";
    let requested =
        parse_fragment("f", "CONFIG_B=y\nCONFIG_A=m\nCONFIG_A=n\nCONFIG_E=1\n").unwrap();
    let requested = [requested, parse_arguments(&arguments("-u D")).unwrap()].concat();
    assert_eq!(
        merge(base, &requested),
        "# Automatically generated\nCONFIG_C=\"x\"\nCONFIG_A=n\nCONFIG_B=y\nCONFIG_E=1\n"
    );
}

#[test]
fn reports_lost_options_with_origin_and_value() {
    let config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_D=\"x\"\n";
    let fragment = parse_fragment(
        "f",
        "CONFIG_A=y\nCONFIG_B=n\nCONFIG_UNKNOWN=n\nCONFIG_C=y\nCONFIG_D=\"x\"\nCONFIG_GONE=y\n",
    )
    .unwrap();
    assert_eq!(
        lost(&fragment, config),
        ["CONFIG_C=y (f:4) became m", "CONFIG_GONE=y (f:6) became n"]
    );
    // A later request overrides an earlier one.
    let requested = [fragment, parse_arguments(&arguments("-m C -u GONE")).unwrap()].concat();
    assert_eq!(lost(&requested, config), Vec::<String>::new());
}

/// The image contains no modules, and every option of the profile `hw` needs a comment.
#[test]
fn every_hardware_option_is_built_in_and_has_a_reason() {
    let config = crate::config::read_kernel_config().unwrap();
    let not_built_in = ["CONFIG_NR_CPUS=512", "CONFIG_GNSS=n"];
    for arch in crate::host::arch::Arch::ALL {
        for file in config.profiles[&crate::config::Profile::Hw].fragments(arch) {
            let text = std::fs::read_to_string(crate::host::project::root().join(file)).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2).filter(|pair| pair[1].starts_with("CONFIG_")) {
                assert!(
                    pair[1].ends_with("=y") || not_built_in.contains(&pair[1]),
                    "{}: {}",
                    file.display(),
                    pair[1]
                );
                assert!(
                    pair[0].starts_with("# ") && pair[0].len() > 3,
                    "{}: {} has no reason above it",
                    file.display(),
                    pair[1]
                );
            }
        }
    }
}
