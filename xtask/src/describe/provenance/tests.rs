//! The provenance of an example build, compared with in-toto and SLSA.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{describe::example::Example, host::output, sources::SourceSet};

fn statement(example: &Example) -> Value {
    serde_json::from_str(&example.described()["provenance"]).unwrap()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn has_exactly_the_specified_fields() {
    let statement = statement(&Example::of(SourceSet::Upstream));
    assert_eq!(
        keys(&statement),
        BTreeSet::from(["_type", "subject", "predicateType", "predicate"])
    );
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let predicate = &statement["predicate"];
    assert_eq!(keys(predicate), BTreeSet::from(["buildDefinition", "runDetails"]));
    let definition = &predicate["buildDefinition"];
    let wanted = ["buildType", "externalParameters", "internalParameters", "resolvedDependencies"];
    assert_eq!(keys(definition), BTreeSet::from(wanted));
    let run = &predicate["runDetails"];
    assert_eq!(keys(run), BTreeSet::from(["builder", "byproducts"]));
    assert_eq!(keys(&run["builder"]), BTreeSet::from(["id", "version"]));
    for uri in [&definition["buildType"], &run["builder"]["id"]] {
        assert!(uri.as_str().unwrap().starts_with("urn:ocidd:"), "{uri}");
    }
    let resources =
        [&statement["subject"], &definition["resolvedDependencies"], &run["byproducts"]];
    for resource in resources.into_iter().flat_map(|list| list.as_array().unwrap()) {
        let known = BTreeSet::from(["name", "uri", "digest", "annotations"]);
        assert!(keys(resource).is_subset(&known), "{resource}");
        for (algorithm, digest) in resource["digest"].as_object().unwrap() {
            let length = if algorithm == "gitCommit" { 40 } else { 64 };
            assert_eq!(digest.as_str().unwrap().len(), length, "{resource}");
        }
    }
}

#[test]
fn names_outputs_inputs_and_choices() {
    let example = Example::of(SourceSet::Debian);
    let statement = statement(&example);
    assert_eq!(
        statement["subject"],
        json!([
            { "name": "initramfs-amd64.gz", "digest": { "sha256": output::digest_of(b"initramfs") } },
            { "name": "vmlinuz-amd64", "digest": { "sha256": output::digest_of(b"kernel") } },
        ])
    );
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(
        definition["externalParameters"],
        json!({
            "arch": "amd64",
            "fsMtime": "1970-01-01T00:00:00Z",
            "kernelBuildTimestamp": "1970-01-01T00:00:01Z",
            "kernelConfig": ["--enable", "NR_CPUS"],
            "profile": "default",
            "sources": "debian",
        })
    );
    let dependencies = definition["resolvedDependencies"].as_array().unwrap();
    let commit = json!({ "name": "ocidd", "digest": { "gitCommit": "0a".repeat(20) }, "annotations": { "clean": true } });
    assert_eq!(dependencies[0], commit);
    assert_eq!(dependencies[1]["uri"], "pkg:deb/debian/busybox-static@1:1%2Bb4?arch=amd64");
    assert_eq!(dependencies.len(), 4);
    assert_eq!(definition["internalParameters"]["kernelKey"], "cd".repeat(32));
    let byproducts = &statement["predicate"]["runDetails"]["byproducts"];
    let files = example.described();
    for (index, kind) in ["manifest", "sbom"].into_iter().enumerate() {
        assert_eq!(
            byproducts[index]["digest"]["sha256"],
            output::digest_of(files[kind].as_bytes())
        );
    }
}

#[test]
fn omits_the_commit_outside_a_repository() {
    let mut example = Example::of(SourceSet::Upstream);
    example.host.commit = None;
    let statement = statement(&example);
    let dependencies = &statement["predicate"]["buildDefinition"]["resolvedDependencies"];
    assert_eq!(dependencies[0]["uri"], "https://example.org/alpine-minirootfs-3.1-x86_64.tar.gz");
    assert_eq!(dependencies.as_array().unwrap().len(), 2);
}
