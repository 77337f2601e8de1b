//! Events for a receiver, as the binary posts them.

use serde_json::Value;

use super::Scene;
use crate::{
    fake::{Answer, DeadEnd, Fake, Part},
    images::Layer,
};

/// A receiver that takes everything, on a registry's server.
fn receiver() -> Fake {
    let mut fake = Fake::with(&Layer::new(b"none"));
    fake.answers.insert("/events".to_owned(), Answer::new(204, "text/plain", ""));
    fake
}

#[test]
fn what_happens_is_posted_in_order_with_the_machine_and_the_time() {
    type Fault = fn(&mut Fake);
    let faults: [(Fault, &[&str]); 2] = [
        (
            |fake| fake.spoil(Part::Blob, |right| right.clone().cut(1 << 20).then(right)),
            &["started", "retry", "warning", "done"],
        ),
        (|fake| fake.spoil(Part::Manifest, |_| Answer::not_found()), &["failed"]),
    ];
    for (fault, names) in faults {
        let scene = Scene::new(fault);
        let receiver = receiver();
        let word = format!("ocidd.report=http://{}/events", receiver.address());
        let receiver = receiver.serve();
        scene.run(&[&word, "oci.retries=3"], "");
        let events: Vec<Value> = receiver
            .requests()
            .iter()
            .map(|request| serde_json::from_slice(&request.body).unwrap())
            .collect();
        let found: Vec<&str> =
            events.iter().map(|event| event["event"].as_str().unwrap()).collect();
        // How often progress is told depends on how fast the machine is. The warning is about an image that nothing could boot from.
        let found: Vec<&str> = found.into_iter().filter(|name| *name != "progress").collect();
        assert_eq!(found, names);
        for event in &events {
            assert_eq!(event["schema"], 1, "{event}");
            assert!(event["time"].as_u64().unwrap() > 1_700_000_000, "{event}");
            assert!(event["machine"]["macs"].is_array(), "{event}");
        }
        let last = events.last().unwrap();
        if last["event"] == "done" {
            assert_eq!(last["outcome"], "installed");
            assert_eq!(last["layer"], scene.layer.digest.to_string());
            assert_eq!(last["image_bytes"], scene.image.len());
        } else {
            assert_eq!((&last["id"], &last["exit_code"]), (&"not-found".into(), &4.into()));
            assert_eq!(last["disk_state"], "untouched");
        }
    }
}

#[test]
fn a_receiver_that_is_dead_or_says_no_never_stops_an_install() {
    let dead = DeadEnd::new();
    let refusing = Fake::with(&Layer::new(b"none"));
    let addresses = [dead.address(), refusing.address()];
    let _refusing = refusing.serve();
    for address in addresses {
        let scene = Scene::new(|_| {});
        let word = format!("ocidd.report=http://{address}/events");
        let ended = scene.run(&[&word], "");
        ended.assert("no receiver", 0, &["sending events (ocidd.report) failed: "]);
        scene.target.assert_installed("no receiver", &scene.image);
    }
}
