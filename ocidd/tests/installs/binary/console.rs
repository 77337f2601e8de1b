//! What the binary asks, and what it makes of the answers.

use crate::binary::Scene;
use crate::binary::run;
use crate::run::By;
use crate::target::Left;

#[test]
fn what_is_missing_and_nobody_answers_ends_with_2() {
    let scene = Scene::new(|_| {});
    let tag = scene.word(By::Tag);
    run(&[&tag, "oci.allow_no_tls"], "").assert("no disk", 2, &[
        "No target disk is named (dd.of). The disks of this machine:\n",
        "ocidd: the console gave no answer to 'Disk, by number or path'; hint: name image and disk as words, and leave wait out; nothing was written\n",
    ]);
    run(&[&scene.disk], "").assert(
        "no image",
        2,
        &[
            "No image is named (oci.tag, oci.blob).\n",
            "ocidd: the console gave no answer to 'Image, as registry/repository:tag",
        ],
    );
}

#[test]
fn what_is_missing_can_be_typed_and_is_confirmed() {
    for by in [By::Tag, By::Blob] {
        let scene = Scene::new(|_| {});
        let (word, disk) = (scene.word(by), scene.target.path.display());
        // A blob is typed with its word, a tag without.
        let image = word.trim_start_matches("oci.tag=");
        let typed = format!("nonsense\n{image}\n\n0\n{disk}\nyes\n");
        let name = word.split_once('=').unwrap().1;
        run(&["oci.allow_no_tls"], &typed).assert(
            "typed",
            0,
            &[
                "'nonsense' does not name a registry",
                "'0' is no disk of this list and no path\n",
                &format!("Everything on {disk} will be overwritten with {name}:\n"),
                "Type 'yes' to go on: ",
                "ocidd: installed ",
            ],
        );
        scene.target.assert_installed("typed", &scene.image);
    }
}

#[test]
fn only_yes_overwrites_the_disk_where_wait_is_said() {
    let scene = Scene::new(|_| {});
    for (typed, says) in [
        ("no\n", "ocidd: not confirmed; nothing was written\n"),
        ("y\n", "ocidd: not confirmed; nothing was written\n"),
        ("", "ocidd: the console gave no answer to 'Type 'yes' to go on'"),
    ] {
        let disk = scene.target.path.display();
        let question = format!("Everything on {disk} will be overwritten with ");
        scene.run(&["wait"], typed).assert(typed, 3, &[&question, "Type 'yes' to go on: ", says]);
        scene.target.assert_left(typed, Left::Untouched, &scene.image);
    }
    let blobs = scene.registry.requests().into_iter().filter(|r| r.path.contains("/blobs/"));
    assert_eq!(blobs.count(), 0, "nothing is fetched before the yes");
    scene.run(&["wait"], "yes\n").assert("yes", 0, &["Type 'yes' to go on: ", "ocidd: installed "]);
    scene.target.assert_installed("yes", &scene.image);
}
