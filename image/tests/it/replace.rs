//! What an output may replace, and that it is replaced whole or not at all.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use wasm_image::{BuildError, Output, OutputError, build};

use crate::support::{Layout, command_module, problems, recipe, temp, write};

#[test]
fn an_older_layout_is_replaced() {
    let layout = Layout::new();
    let module = layout.folder.path().join("hello.wasm");
    let mut recipe = recipe(&module);
    recipe.version = Some("2".to_owned());
    let built = build(&recipe, &Output::Layout(layout.path())).unwrap();
    assert_ne!(built.digest, layout.built.digest);
    assert!(!layout.blob(&layout.built.digest).exists());
    assert!(layout.problems().is_empty());
    assert_eq!(fs::read_dir(layout.folder.path()).unwrap().count(), 2);
}

#[test]
fn an_empty_folder_and_a_link_to_a_layout_are_taken() {
    let layout = Layout::new();
    let module = layout.folder.path().join("hello.wasm");
    let empty = layout.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    build(&recipe(&module), &Output::Layout(empty.clone())).unwrap();
    assert!(problems(&empty).is_empty());
    let link = layout.folder.path().join("link");
    symlink("empty", &link).unwrap();
    build(&recipe(&module), &Output::Layout(link.clone())).unwrap();
    assert!(link.is_symlink() && problems(&empty).is_empty());
}

#[test]
fn someones_folder_is_refused() {
    let folder = temp();
    let module = write(folder.path(), "hello.wasm", &command_module());
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    let notes = write(&work, "notes.txt", b"mine");
    for make_it_worse in [false, true] {
        if make_it_worse {
            // Even a layout is refused when there is something else in it.
            write(&work, "oci-layout", b"{}");
        }
        let refused = build(&recipe(&module), &Output::Layout(work.clone()));
        assert!(matches!(refused, Err(BuildError::Output(OutputError::NotALayout { .. }))));
        assert_eq!(fs::read(&notes).unwrap(), b"mine");
    }
    let refused = build(&recipe(&module), &Output::Archive(work));
    assert!(matches!(refused, Err(BuildError::Output(OutputError::NotAFile(_)))));
    let refused = build(&recipe(&module), &Output::Layout(notes));
    assert!(matches!(refused, Err(BuildError::Output(OutputError::NotALayout { .. }))));
}

#[test]
fn the_input_is_never_the_output() {
    let folder = temp();
    let module = write(folder.path(), "hello.wasm", &command_module());
    let refused = build(&recipe(&module), &Output::Archive(module.clone()));
    assert!(matches!(refused, Err(BuildError::Output(OutputError::IsInput(_)))));
    assert_eq!(fs::read(&module).unwrap(), command_module());
}

#[test]
fn a_failed_build_keeps_the_older_image() {
    let layout = Layout::new();
    let broken = write(layout.folder.path(), "broken.wasm", b"\0asm\x01\0\0\0\xff");
    build(&recipe(&broken), &Output::Layout(layout.path())).unwrap_err();
    assert!(layout.problems().is_empty());
    assert_eq!(fs::read_dir(layout.folder.path()).unwrap().count(), 3);
}

#[test]
fn what_a_killed_build_left_goes_with_the_next() {
    let folder = temp();
    let module = write(folder.path(), "hello.wasm", &command_module());
    let old = SystemTime::now() - Duration::from_secs(3600);
    let make = |name: &str, time: SystemTime| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        write(&path, "half", b"x");
        File::open(&path).unwrap().set_modified(time).unwrap();
        path
    };
    let abandoned = make(".wasm-image-out.tar-abc", old);
    let young = make(".wasm-image-out.tar-def", SystemTime::now());
    let others = make(".wasm-image-other-abc", old);
    build(&recipe(&module), &Output::from_path(folder.path().join("out.tar"))).unwrap();
    assert_eq!([abandoned, young, others].map(|path| path.exists()), [false, true, true]);
}
