//! What the binary asks, and what it makes of the answers.

use crate::{
    binary::{Scene, run},
    run::By,
    target::Left,
};

#[test]
fn what_is_missing_and_nobody_answers_ends_with_2() {
    let scene = Scene::new(|_| {});
    let tag = scene.word(By::Tag);
    run(&[&tag, "oci.allow_no_tls"], "").assert("no disk", 2, &[
        "No target disk is given (dd.of). Disks of this machine:\n",
        "ocidd: no answer on the console to 'Disk, by number or path'; nothing was written\nocidd: hint: set image and disk as parameters, without wait\n",
    ]);
    run(&[&scene.disk], "").assert(
        "no image",
        2,
        &[
            "No image is given (oci.tag, oci.blob).\n",
            "ocidd: no answer on the console to 'Image, as registry/repository:tag",
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
                "'0' is neither a listed disk nor a path\n",
                &format!("Everything on {disk} will be overwritten with {name}:\n"),
                "Type 'yes' to continue: ",
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
        ("", "ocidd: no answer on the console to 'Type 'yes' to continue'"),
    ] {
        let disk = scene.target.path.display();
        let question = format!("Everything on {disk} will be overwritten with ");
        scene.run(&["wait"], typed).assert(
            typed,
            3,
            &[&question, "Type 'yes' to continue: ", says],
        );
        scene.target.assert_left(typed, Left::Untouched, &scene.image);
    }
    let blobs = scene.registry.requests().into_iter().filter(|r| r.path.contains("/blobs/"));
    assert_eq!(blobs.count(), 0, "nothing is fetched before the yes");
    scene.run(&["wait"], "yes\n").assert(
        "yes",
        0,
        &["Type 'yes' to continue: ", "ocidd: installed "],
    );
    scene.target.assert_installed("yes", &scene.image);
}
