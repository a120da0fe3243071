//! Archives that mean harm, and archives that other tools write.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};
use wasm_image::{Digest, InspectError, Limits, Output, Problem, build, inspect};

use crate::support::{Layout, command_module, problems, recipe, stderr, temp, wasm_image, write};

/// An archive of a good layout, with `more` members in front.
fn archive(layout: &Layout, more: impl FnOnce(&mut tar::Builder<File>)) -> PathBuf {
    let path = layout.folder.path().join("image.tar");
    let mut builder = tar::Builder::new(File::create(&path).unwrap());
    more(&mut builder);
    builder.append_dir_all(".", layout.path()).unwrap();
    builder.finish().unwrap();
    path
}

/// A member with exactly this name, however bad.
fn member(builder: &mut tar::Builder<File>, name: &str, kind: EntryType, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(kind);
    if kind == EntryType::Symlink || kind == EntryType::Link {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_size(content.len() as u64);
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

#[test]
fn archives_with_folders_and_dots_are_fine() {
    let layout = Layout::new();
    assert!(problems(&archive(&layout, |_| {})).is_empty());
    let with_docker = archive(&layout, |builder| member(builder, "manifest.json", EntryType::Regular, b"[]"));
    assert!(problems(&with_docker).is_empty());
}

#[test]
fn paths_that_point_outside() {
    let layout = Layout::new();
    for name in ["/etc/passwd", "../x", "blobs/../../x", "./..", "blobs/sha256/../../../x"] {
        let path = archive(&layout, |builder| member(builder, name, EntryType::Regular, b"x"));
        assert!(matches!(problems(&path)[..], [Problem::PathTrick(_)]), "{name}");
    }
}

#[test]
fn links_and_devices() {
    let layout = Layout::new();
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::new(b'?'),
    ] {
        let path = archive(&layout, |builder| member(builder, "blobs/sha256/x", kind, b""));
        assert!(matches!(problems(&path)[..], [Problem::NotRegular { .. }]), "{kind:?}");
    }
}

#[test]
fn two_members_of_one_name() {
    let layout = Layout::new();
    let path = archive(&layout, |builder| member(builder, "index.json", EntryType::Regular, b"{}"));
    let problems = problems(&path);
    assert!(problems.iter().any(|problem| matches!(problem, Problem::Duplicate(_))));
}

#[test]
fn extended_headers_cannot_hide_a_path() {
    let layout = Layout::new();
    for (kind, content) in
        [(EntryType::XHeader, &b"16 path=../../x\n"[..]), (EntryType::GNULongName, &b"../../x\0"[..])]
    {
        let path = archive(&layout, |builder| {
            member(builder, "extension", kind, content);
            member(builder, "index.html", EntryType::Regular, b"x");
        });
        assert!(matches!(problems(&path)[0], Problem::PathTrick(_)), "{kind:?}");
    }
    // A record whose length is wrong is read in one way by one reader, in another by the next.
    let path = archive(&layout, |builder| member(builder, "e", EntryType::XHeader, b"17 path=../../x\n"));
    assert!(matches!(problems(&path)[0], Problem::DamagedArchive(0)));
    let path = archive(&layout, |builder| member(builder, "e", EntryType::GNULongName, &vec![b'a'; 1 << 20]));
    assert!(matches!(problems(&path)[0], Problem::DamagedArchive(0)));
    let path = archive(&layout, |builder| {
        member(builder, "e", EntryType::XHeader, b"28 size=9223372036854775807\n");
        member(builder, "x", EntryType::Regular, b"x");
    });
    assert!(matches!(problems(&path)[0], Problem::Truncated(_)));
}

/// An archive as `wasm-image` writes it.
fn own_archive(folder: &Path) -> (PathBuf, Digest) {
    let module = write(folder, "hello.wasm", &command_module());
    let output = Output::from_path(folder.join("own.tar"));
    let built = build(&recipe(&module), &output).unwrap();
    (output.path().to_owned(), built.digest)
}

#[test]
fn every_cut_is_found() {
    let folder = temp();
    let (path, digest) = own_archive(folder.path());
    assert!(problems(&path).is_empty());
    assert_eq!(inspect(&path, &Limits::default()).unwrap().images[0].digest, Some(digest));
    let whole = fs::read(&path).unwrap();
    let cut = folder.path().join("cut.tar");
    // The end mark of two blocks may be missing; one byte less of content may not.
    for end in (0..whole.len() - 1024 - 512).step_by(173) {
        fs::write(&cut, &whole[..end]).unwrap();
        match inspect(&cut, &Limits::default()) {
            Ok(report) => assert!(!report.is_sound(), "cut at {end}"),
            Err(error) => assert!(end < 512 && matches!(error, InspectError::NotTar(_)), "cut at {end}"),
        }
    }
}

#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let folder = temp();
    let (path, digest) = own_archive(folder.path());
    let whole = fs::read(&path).unwrap();
    let bad = folder.path().join("bad.tar");
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&bad, bytes).unwrap();
        if let Ok(report) = inspect(&bad, &Limits::default()) {
            // Padding and end marks carry nothing, and index.json has no digest of its own.
            let same = report.images.first().and_then(|image| image.digest.clone()) == Some(digest.clone());
            assert!(same || !report.is_sound(), "byte {at}");
        }
    }
}

#[test]
fn garbage_never_panics() {
    let folder = temp();
    let path = folder.path().join("garbage.tar");
    // A xorshift: the same garbage on every run.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for length in [0, 1, 511, 512, 513, 1024, 10_000] {
        let garbage: Vec<u8> = (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        fs::write(&path, garbage).unwrap();
        assert!(matches!(inspect(&path, &Limits::default()), Err(InspectError::NotTar(_))), "{length}");
    }
    fs::write(&path, [0x1f, 0x8b, 8, 0]).unwrap();
    let ran = wasm_image(&["inspect", path.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(stderr(&ran).contains("decompress"));
}

#[test]
fn limits_hold() {
    let layout = Layout::new();
    let tight = |limits: Limits| inspect(&layout.path(), &limits).unwrap().findings.remove(0).problem;
    let default = Limits::default();
    let problem = tight(Limits { unpacked: 1000, ..default });
    assert!(matches!(problem, Problem::TooMany { what: "bytes of decompressed layers", .. }));
    let problem = tight(Limits { documents: 1000, ..default });
    assert!(matches!(problem, Problem::TooMany { what: "bytes of documents", .. }), "{problem}");
    let path = archive(&layout, |_| {});
    let report = inspect(&path, &Limits { members: 3, findings: 1, ..default }).unwrap();
    assert!(matches!(report.findings[0].problem, Problem::TooMany { what: "archive members", .. }));
    assert_eq!(report.findings.len(), 2);
}
