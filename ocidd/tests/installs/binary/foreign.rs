//! Text of a registry on the console: it forges no line and moves no cursor.

use super::{Ended, Scene};
use crate::fake::{Answer, Fake, Part};

/// Moves the cursor, makes a terminal type, reorders a line, and forges one of ours and a prompt.
const EVIL: &str = "x)\nocidd: installed 8589934592 bytes on /dev/sda\n\u{1b}[2J\u{1b}[6n\rType 'yes' \
    to continue: \u{9b}31m\u{202e}\u{2066}\u{7f}";

#[track_caller]
fn assert_plain(rule: &str, ended: &Ended) {
    let text = &ended.stderr;
    let is_unsafe = |c: char| {
        let is_bidi = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c != '\n' && (c.is_control() || is_bidi)
    };
    assert!(!text.contains(is_unsafe), "{rule}: {text:?}");
    for line in text.lines() {
        assert!(line.starts_with("ocidd: ") && line.len() <= 2048, "{rule}: {line}");
        assert!(!line.starts_with("ocidd: installed 8589934592"), "{rule}: {text}");
    }
    assert!(text.contains("\\u{1b}[2J") || text.contains("\\n"), "{rule}: {text}");
}

#[test]
fn text_of_a_registry_is_escaped_on_one_line() {
    type Fault = fn(&mut Fake);
    let faults: [(&str, Fault, i32); 8] = [
        ("an error", |fake| *fake.manifest() = Answer::error(403, "DENIED", EVIL), 4),
        (
            "a retry",
            |fake| fake.spoil(Part::Blob, |right| Answer::error(503, EVIL, EVIL).then(right)),
            0,
        ),
        (
            "a token server",
            |fake| fake.demand_token(Answer::error(403, EVIL, &EVIL.repeat(100))),
            4,
        ),
        (
            "a digest",
            |fake| {
                let mut layer = fake.layer().descriptor("application/octet-stream+gzip");
                layer["digest"] = format!("sha256:{EVIL}").into();
                fake.set_descriptors(&[layer]);
            },
            4,
        ),
        ("media types", |fake| fake.set_layers(&[EVIL; 40]), 4),
        (
            "an annotation",
            |fake| {
                let mut layer = fake.layer().descriptor("application/octet-stream+gzip");
                layer["annotations"] = serde_json::json!({ "io.ocidd.raw.size": EVIL });
                fake.set_descriptors(&[layer]);
            },
            4,
        ),
        (
            "a type",
            |fake| {
                let manifest = serde_json::json!({ "mediaType": EVIL });
                fake.set_manifest("application/json", manifest.to_string());
            },
            4,
        ),
        (
            "platforms",
            |fake| {
                let layer = fake.layer().clone();
                let mut entry = fake.add_manifest(&layer);
                entry["platform"] = serde_json::json!({ "os": EVIL, "architecture": EVIL });
                fake.set_index(&vec![entry; 40]);
            },
            4,
        ),
    ];
    for (rule, fault, code) in faults {
        let scene = Scene::new(fault);
        let ended = scene.run(&["oci.retries=1"], "");
        assert_eq!(ended.code, code, "{rule}: {}", ended.stderr);
        assert_plain(rule, &ended);
    }
}
