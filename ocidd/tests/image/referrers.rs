//! What is about an image, at registries that list it and at those that leave it to their clients.

use serde_json::Value;

use crate::{
    fake::{Fake, Fault},
    ours::{Author, small_disk},
};

/// A registry with an image, and its author, who has two logs.
fn scene(knows_referrers: bool) -> (Fake, Author, String) {
    let fake = Fake::new();
    fake.store(|store| store.knows_referrers = knows_referrers);
    let author = Author::new();
    author.write("a", small_disk("a disk"));
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
    let words = ["attach", "one.log", &fake.reference("1"), "--type", "build/log"];
    author.fails(&words, "where clients list referrers, is not an image index\n");
    // The tag can be an alias of the image.
    assert!(!author.run(&words).stderr.contains("hint: "));
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

/// Some registries resolve `sha256-HEX` as the digest.
#[test]
fn parts_of_an_index_are_not_its_referrers() {
    let (fake, author, _) = scene(false);
    let reference = fake.reference("2");
    let index = author.push(&["--platform", "linux/amd64", "a", &reference]);
    fake.store(|store| {
        let alias = store.manifests[&index].clone();
        store.manifests.insert(index.replace(':', "-"), alias);
    });
    assert_eq!(author.ok(&["referrers", &reference]).lines().count(), 1);
    let words = ["attach", "one.log", &reference, "--type", "build/log"];
    author.fails(&words, "where clients list referrers, is not an image index\n");
}

/// Answers lists in pages of two; `link` makes the link to the page of this number.
fn paged(fake: &Fake, link: fn(&str, usize) -> String) {
    let address = fake.address.clone();
    fake.set_faults(move |request| {
        if !request.is("GET referrers/") && !request.is("GET tags/") {
            return Fault::None;
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let number = query.split("page=").nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        let url = format!("http://{address}/v2/os/{path}");
        Fault::Page(number, link(&url, number + 1))
    });
}

#[test]
fn all_pages_of_referrers_are_listed_and_copied() {
    let (fake, author, _) = scene(true);
    for number in 0..5 {
        author.write("a.log", number.to_string());
        attach(&author, &fake, "a.log");
    }
    paged(&fake, |url, page| format!("<{url}?page={page}>; rel=\"next\""));
    let reference = fake.reference("1");
    let listed = author.ok(&["referrers", &reference]);
    assert_eq!(listed.lines().count(), 6, "{listed}");
    author.ok(&["copy", "--referrers", &reference, "oci:copy:1"]);
    assert_eq!(author.ok(&["referrers", "oci:copy:1"]), listed);
}

#[test]
fn a_deleted_referrer_leaves_the_list() {
    let (fake, author, image) = scene(false);
    let (one, two) = (attach(&author, &fake, "one.log"), attach(&author, &fake, "two.log"));
    author.ok(&["rm", "--remote", &format!("{}/os@{one}", fake.address)]);
    let reference = fake.reference("1");
    let listed = author.json(&["referrers", &reference, "--json"]);
    assert_eq!(digests(&listed), [&two]);
    // Another client leaves it there.
    fake.store(|store| store.manifests.remove(&two));
    let ended = author.run(&["copy", "--referrers", &reference, "oci:copy:1"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let warning = format!("'{}/os@{two}' not found in the registry; skipped", fake.address);
    assert!(ended.stderr.contains(&warning), "{}", ended.stderr);
    assert_eq!(author.ok(&["referrers", "oci:copy:1"]).lines().count(), 1);
    // Neither an image nor a registry that lists by itself has a list under a tag.
    author.ok(&["rm", "--remote", &format!("{}/os@{image}", fake.address)]);
    let (fake, author, _) = scene(true);
    let one = attach(&author, &fake, "one.log");
    fake.take_asked();
    author.ok(&["rm", "--remote", &format!("{}/os@{one}", fake.address)]);
    assert!(!fake.take_asked().iter().any(|line| line.starts_with("PUT")));
}

/// The first status is of the referrers API.
#[test]
fn a_registry_without_the_api_is_recognized_by_every_permanent_rejection() {
    for status in [400, 404, 405, 406, 410, 501] {
        let (fake, author, _) = scene(false);
        let one = attach(&author, &fake, "one.log");
        fake.set_faults(move |request| {
            Fault::Answer(crate::fake::Answer::new(status)).when(request.is("GET referrers/"))
        });
        let listed = author.json(&["referrers", &fake.reference("1"), "--json"]);
        assert_eq!(digests(&listed), [&one], "{status}");
    }
}

#[test]
fn every_tag_of_all_pages_is_listed_once() {
    let (fake, author, _) = scene(true);
    let names: Vec<String> = (0..7).map(|number| format!("v{number}")).collect();
    fake.store(|store| {
        for name in &names {
            let image = store.manifests["1"].clone();
            store.manifests.insert(name.clone(), image);
        }
    });
    let repository = format!("{}/os", fake.address);
    let wanted = format!("1\n{}\n", names.join("\n"));
    let links: [fn(&str, usize) -> String; 2] = [
        |url, page| format!("<{url}?page={page}>; rel=\"next\""),
        |_, page| format!("</v2/os/tags/list?n=2&page={page}>;rel=next"),
    ];
    for link in links {
        paged(&fake, link);
        assert_eq!(author.ok(&["list", &repository]), wanted);
    }
    // The same page, then pages without end, and a page of another registry.
    paged(&fake, |url, _| format!("<{url}?page=0>; rel=next"));
    author.fails(&["list", &repository], "the list does not end");
    fake.set_faults(|request| {
        let body = r#"{"name":"os","tags":["a"]}"#;
        let next = format!("</v2/os/{}0>; rel=next", request.path);
        let page = crate::fake::Answer::new(200).body("application/json", body);
        Fault::Answer(page.header("Link", next)).when(request.is("GET tags/"))
    });
    author.fails(&["list", &repository], "the list does not end");
    paged(&fake, |_, page| format!("<http://192.0.2.1/v2/os/tags/list?page={page}>; rel=next"));
    author.fails(&["list", &repository], "the next page has another origin");
}
