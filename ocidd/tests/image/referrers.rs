//! What is about an image, at registries that list it and at those that leave it to their clients.

use serde_json::Value;

use crate::{
    fake::{Fake, Fault},
    ours::Author,
};

/// A registry with an image, and its author, who has two logs.
fn scene(knows_referrers: bool) -> (Fake, Author, String) {
    let fake = Fake::new();
    fake.store(|store| store.knows_referrers = knows_referrers);
    let author = Author::new();
    author.write("a", "a disk");
    author.write("one.log", "one");
    author.write("two.log", "two");
    let digest = author.push(&["a", &fake.reference("1")]);
    (fake, author, digest)
}

fn attach(author: &Author, fake: &Fake, file: &str) -> String {
    author.ok(&["attach", file, &fake.reference("1"), "--type", "build/log"]).trim().to_owned()
}

fn digests(referrers: &Value) -> Vec<&str> {
    let entries = referrers.as_array().unwrap();
    entries.iter().map(|entry| entry["digest"].as_str().unwrap()).collect()
}

#[test]
fn a_registry_without_lists_gets_one_under_a_tag() {
    let (fake, author, image) = scene(false);
    let tag = image.replace(':', "-");
    let one = attach(&author, &fake, "one.log");
    let two = attach(&author, &fake, "two.log");
    let list = fake.store(|store| store.document(&tag));
    assert_eq!(digests(&list["manifests"]), [&one, &two]);
    assert_eq!(list["manifests"][0]["artifactType"], "build/log");
    let before = fake.take_asked();
    assert!(before.contains(&format!("PUT manifests/{tag}")), "{before:?}");
    // The same again is no change.
    assert_eq!(attach(&author, &fake, "one.log"), one);
    let after = fake.take_asked();
    assert!(!after.contains(&format!("PUT manifests/{tag}")), "{after:?}");
    assert_eq!(fake.store(|store| store.document(&tag)), list);
    let listed = author.json(&["referrers", &fake.reference("1"), "--json"]);
    assert_eq!(digests(&listed), [&one, &two]);
}

#[test]
fn no_attachment_is_lost_if_several_are_made_at_once() {
    let (fake, author, _) = scene(false);
    let names: Vec<_> = (0..6).map(|number| format!("{number}.log")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            author.write(name, name);
            scope.spawn(|| attach(&author, &fake, name));
        }
    });
    let listed = author.json(&["referrers", &fake.reference("1"), "--json"]);
    assert_eq!(digests(&listed).len(), names.len());
}

#[test]
fn a_registry_that_lists_by_itself_gets_no_tag() {
    let (fake, author, image) = scene(true);
    let one = attach(&author, &fake, "one.log");
    let tag = image.replace(':', "-");
    assert!(!fake.store(|store| store.manifests.contains_key(&tag)));
    assert!(!fake.take_asked().iter().any(|line| line.contains(&tag)));
    let listed = author.json(&["referrers", &fake.reference("1"), "--json"]);
    assert_eq!(digests(&listed), [&one]);
    let manifest = fake.store(|store| store.document(&one));
    assert_eq!(manifest["subject"]["digest"], *image);
    assert_eq!(manifest["layers"][0]["annotations"]["org.opencontainers.image.title"], "one.log");
}

#[test]
fn a_list_can_be_narrowed_to_a_type() {
    let (fake, author, _) = scene(true);
    attach(&author, &fake, "one.log");
    let reference = fake.reference("1");
    let sbom = author.ok(&["attach", "two.log", &reference, "--artifact-type", "a/sbom"]);
    let listed = author.json(&["referrers", &reference, "--json", "--type", "a/sbom"]);
    assert_eq!(digests(&listed), [sbom.trim()]);
    let table = author.ok(&["referrers", &reference]);
    assert!(table.starts_with("TYPE        ID             DIGEST\n"), "{table}");
    assert_eq!(table.lines().count(), 3);
}

#[test]
fn a_tag_that_is_something_else_is_not_overwritten() {
    let (fake, author, image) = scene(false);
    let tag = image.replace(':', "-");
    fake.store(|store| {
        let other = store.manifests["1"].clone();
        store.manifests.insert(tag.clone(), other);
    });
    author.fails(
        &["attach", "one.log", &fake.reference("1"), "--type", "build/log"],
        "where clients list referrers, is not an image index\nocidd: hint: delete the tag",
    );
    assert_eq!(author.ok(&["referrers", &fake.reference("1")]).lines().count(), 1);
}

#[test]
fn what_is_about_an_image_is_copied_with_it_where_that_is_asked() {
    let (fake, author, _) = scene(false);
    attach(&author, &fake, "one.log");
    let reference = fake.reference("1");
    author.ok(&["copy", &reference, "oci:without:1"]);
    assert_eq!(author.ok(&["referrers", "oci:without:1"]).lines().count(), 1);
    author.ok(&["copy", "--referrers", &reference, "oci:with:1"]);
    let listed = author.ok(&["referrers", &reference]);
    assert_eq!(author.ok(&["referrers", "oci:with:1"]), listed);
    let other = Fake::new();
    author.ok(&["copy", "--referrers", "oci:with:1", &other.reference("2")]);
    assert_eq!(author.ok(&["referrers", &other.reference("2")]), listed);
    crate::schema::assert_layout(&author.path("with"));
}

#[test]
fn a_list_that_leads_in_circles_ends() {
    let (fake, author, image) = scene(false);
    let size = fake.store(|store| store.manifests[&image].1.len());
    let entry = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image, "size": size,
    });
    let media_type = "application/vnd.oci.image.index.v1+json";
    let list = serde_json::json!(
        { "schemaVersion": 2, "mediaType": media_type, "manifests": [entry] }
    );
    let tag = image.replace(':', "-");
    fake.store(|store| store.add_manifest(&tag, media_type, &list.to_string()));
    author.ok(&["copy", "--referrers", &fake.reference("1"), "oci:copy:1"]);
}

#[test]
fn an_attachment_to_an_image_of_a_layout_stays_there() {
    let author = Author::with(&["--store", "layout"]);
    author.write("kernel", "kernel");
    author.write("one.log", "one");
    author.ok(&["build", "--kernel-file", "kernel", "registry.example/os:1"]);
    let place = "oci:layout:registry.example/os:1";
    let made = author.ok(&["attach", "one.log", place, "--type", "build/log"]);
    let listed = author.json(&["referrers", place, "--json"]);
    assert_eq!(digests(&listed), [made.trim()]);
    author.ok(&["gc"]);
    crate::schema::assert_layout(&author.path("layout"));
}

#[test]
fn a_registry_that_is_busy_is_asked_again_for_its_list() {
    let (fake, author, _) = scene(true);
    let one = attach(&author, &fake, "one.log");
    let mut is_first = true;
    fake.set_faults(move |request| {
        Fault::Answer(crate::fake::Answer::new(500))
            .when(request.is("GET referrers/") && std::mem::take(&mut is_first))
    });
    let listed = author.json(&["referrers", &fake.reference("1"), "--json"]);
    assert_eq!(digests(&listed), [&one]);
}
