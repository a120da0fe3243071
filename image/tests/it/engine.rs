//! `run` and `compile` with the real engine: guests that are written for one question each.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{TAG, program, stderr, stdout, temp, wasm_image, write};

/// Imports of WASI, and a few words of it in shorter form.
const PRELUDE: &str = r#"
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $env_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (func $write (param $fd i32) (param $at i32) (param $length i32)
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $length))
        (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func $read (param $fd i32) (param $at i32) (param $length i32) (result i32)
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $length))
        (drop (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.load (i32.const 8)))
"#;

/// A module whose main does this.
fn guest(main: &str) -> Vec<u8> {
    wat::parse_str(format!(r#"(module {PRELUDE} (func (export "_start") {main}))"#)).unwrap()
}

/// Writes all arguments, or the environment, as they lie in memory: each with a NUL behind it.
fn printer(what: &str) -> Vec<u8> {
    guest(&format!(
        "(drop (call ${what}_sizes_get (i32.const 16) (i32.const 20)))
         (drop (call ${what}_get (i32.const 1024) (i32.const 8192)))
         (call $write (i32.const 1) (i32.const 8192) (i32.load (i32.const 20)))"
    ))
}

/// Opens a path beneath the root and writes what it reads from there, or exits with the error's number. `flags` as of
/// `path_open`: 0 to read, 9 to make and empty a file, into which it writes "written".
fn opener(path: &str, flags: i32) -> Vec<u8> {
    let act = if flags == 0 {
        "(call $write (i32.const 1) (i32.const 4096) (call $read (i32.load (i32.const 16)) (i32.const 4096) (i32.const 4096)))"
    } else {
        "(call $write (i32.load (i32.const 16)) (i32.const 1000) (i32.const 7))"
    };
    let rights = if flags == 0 { 2 } else { 64 };
    let length = path.len();
    let main = format!(
        r#"(local $error i32)
           (local.set $error (call $path_open (i32.const 3) (i32.const 1) (i32.const 512) (i32.const {length})
               (i32.const {flags}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 16)))
           (if (local.get $error) (then (call $exit (local.get $error))))
           {act}"#
    );
    wat::parse_str(format!(
        r#"(module {PRELUDE} (data (i32.const 512) "{path}") (data (i32.const 1000) "written")
           (func (export "_start") {main}))"#
    ))
    .unwrap()
}

/// Grows its memory page by page as far as it can, and exits with what it has.
fn grower() -> Vec<u8> {
    guest(
        "(block (loop (br_if 1 (i32.eq (memory.grow (i32.const 1)) (i32.const -1))) (br 0))) (call $exit (memory.size))",
    )
}

fn endless() -> Vec<u8> {
    guest("(loop (br 0))")
}

struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(temp())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> String {
        write(self.0.path(), name, bytes).to_str().unwrap().to_owned()
    }

    fn module(&self, bytes: &[u8]) -> String {
        self.put("guest.wasm", bytes)
    }

    /// An image of the module with default arguments and environment, in both forms.
    fn images(&self, module: &str) -> [String; 2] {
        ["image", "image.tar"].map(|name| {
            let output = self.path(name).to_str().unwrap().to_owned();
            let args =
                ["build", module, "--tag", TAG, "--output", &output, "--arg", "one", "--env", "A=image"];
            let ran = wasm_image(&[&args[..], &["--env", "B=image"]].concat());
            assert!(ran.status.success(), "{}", stderr(&ran));
            output
        })
    }

    fn compile(&self, source: &str, name: &str) -> String {
        let output = self.path(name).to_str().unwrap().to_owned();
        let ran = wasm_image(&["compile", source, "--tag", TAG, "--output", &output]);
        assert!(ran.status.success(), "{}", stderr(&ran));
        output
    }
}

/// `wasm-image run`, and that nothing is left behind.
fn run(args: &[&str]) -> Output {
    let place = temp();
    let ran = Command::new(program()).arg("run").args(args).env("TMPDIR", place.path()).output().unwrap();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "something is left: {args:?}");
    ran
}

fn code(ran: &Output) -> i32 {
    ran.status.code().unwrap_or_else(|| panic!("{:?}: {}", ran.status, stderr(ran)))
}

/// What a printer printed.
fn words(ran: &Output) -> Vec<String> {
    assert_eq!(code(ran), 0, "{}", stderr(ran));
    stdout(ran).split_terminator('\0').map(str::to_owned).collect()
}

/// What an opener got.
fn opened(args: &[&str]) -> Result<String, i32> {
    let ran = run(args);
    match code(&ran) {
        0 => Ok(stdout(&ran)),
        code => {
            assert!(stderr(&ran).contains("the module ended with exit code"), "{}", stderr(&ran));
            Err(code)
        }
    }
}

#[test]
fn arguments_and_environment_are_as_crun_gives_them() {
    let bench = Bench::new();
    let args = bench.module(&printer("args"));
    assert_eq!(words(&run(&[&args])), ["/guest.wasm"]);
    assert_eq!(words(&run(&[&args, "a", "--b", "-c"])), ["/guest.wasm", "a", "--b", "-c"]);
    for image in bench.images(&args) {
        assert_eq!(words(&run(&[&image])), ["/guest.wasm", "one"]);
        assert_eq!(words(&run(&[&image, "two", ""])), ["/guest.wasm", "two", ""]);
        assert_eq!(words(&run(&["--platform", "wasi/wasm", &image])), ["/guest.wasm", "one"]);
    }
    let env = bench.module(&printer("env"));
    assert!(words(&run(&[&env])).is_empty(), "nothing of this machine's environment");
    let file = bench.put("file.env", b"# a comment\n\nB=file\nC=file=x\n");
    let [image, _] = bench.images(&env);
    let given = words(&run(&["-e", "C=option", "--env-file", &file, "-e", "D=", &image]));
    assert_eq!(given, ["A=image", "B=file", "C=option", "D="]);
    let bad = bench.put("bad.env", b"SECRET\n");
    let ran = run(&["--env-file", &bad, &image]);
    assert_eq!(code(&ran), 125);
    assert!(
        stderr(&ran).contains("line 1 is not K=V") && !stderr(&ran).contains("SECRET"),
        "{}",
        stderr(&ran)
    );
}

#[test]
fn streams_pass_through() {
    let bench = Bench::new();
    let echo = bench.module(&guest(
        "(call $write (i32.const 2) (i32.const 4096) (call $read (i32.const 0) (i32.const 4096) (i32.const 99)))",
    ));
    let mut command = Command::new(program());
    command.args(["run", &echo]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"to and fro").unwrap();
    let ran = child.wait_with_output().unwrap();
    assert_eq!((code(&ran), stdout(&ran), stderr(&ran)), (0, String::new(), "to and fro".to_owned()));
}

#[test]
fn exit_codes_are_the_modules_own_and_a_pods_are_told() {
    let bench = Bench::new();
    let exit = |code: u32| guest(&format!("(call $exit (i32.const {code}))"));
    for (main, own, crun, word) in [
        (exit(0), 0, 0, None),
        (exit(3), 3, 0, Some("exit code 3; a pod under crun would say 0")),
        (exit(256), 255, 0, Some("exit code 256; a pod under crun would say 0")),
        (guest("unreachable"), 134, 1, Some("trapped: unreachable; a pod under crun would say 1")),
        (guest("(drop (i32.load (i32.const -4)))"), 134, 1, Some("out of bounds memory access")),
    ] {
        let portable = bench.module(&main);
        let compiled = bench.compile(&portable, "compiled.tar");
        for (source, flags) in [(&portable, &[][..]), (&compiled, &["--aot"])] {
            let ran = run(&[flags, &[source]].concat());
            assert_eq!((code(&ran), stdout(&ran)), (own, String::new()), "{word:?}: {}", stderr(&ran));
            assert!(word.is_none_or(|word| stderr(&ran).contains(word)), "{word:?}: {}", stderr(&ran));
            assert_eq!(word.is_none(), stderr(&ran).is_empty(), "{}", stderr(&ran));
            let ran = run(&[flags, &["--like-crun", "--quiet", source]].concat());
            assert_eq!((code(&ran), stderr(&ran)), (crun, String::new()));
        }
    }
}

#[test]
fn the_time_limit_ends_an_endless_loop_interpreted_or_compiled() {
    let bench = Bench::new();
    let portable = bench.module(&endless());
    let compiled = bench.compile(&portable, "compiled");
    for (source, flags) in [(&portable, &[][..]), (&compiled, &["--aot"])] {
        let began = Instant::now();
        let ran = run(&[flags, &["--time-limit", "300ms", source]].concat());
        assert_eq!(code(&ran), 124, "{}", stderr(&ran));
        assert!(stderr(&ran).contains("ended after 300ms"), "{}", stderr(&ran));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}

#[test]
fn a_signal_to_us_ends_the_module_and_leaves_nothing() {
    let bench = Bench::new();
    // It says when it is there, and never ends.
    let noisy = guest("(call $write (i32.const 1) (i32.const 0) (i32.const 1)) (loop (br 0))");
    let module = bench.module(&noisy);
    let place = temp();
    for (signal, expected) in [(rustix::process::Signal::INT, 130), (rustix::process::Signal::TERM, 143)] {
        let mut command = Command::new(program());
        command.args(["run", &module]).env("TMPDIR", place.path()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut byte).unwrap();
        let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(expected));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}

#[test]
fn memory_does_not_grow_over_its_limit() {
    let bench = Bench::new();
    let portable = bench.module(&grower());
    let compiled = bench.compile(&portable, "compiled");
    for (source, flags) in [(&portable, &[][..]), (&compiled, &["--aot"])] {
        let ran = run(&[flags, &["--memory-limit", "4MiB", source]].concat());
        assert_eq!(code(&ran), 64, "64 pages are 4 MiB: {}", stderr(&ran));
    }
    let ran = run(&["--memory-limit", "64KiB", &portable]);
    // Two pages from its start.
    assert!(matches!(code(&ran), 1 | 125 | 134), "{} {}", code(&ran), stderr(&ran));
}

/// A table is memory of the engine's, of which the module's limit knows nothing: the process's own limit holds.
#[test]
fn tables_cannot_take_all_memory() {
    let bench = Bench::new();
    let bomb = wat::parse_str(
        r#"(module (memory (export "memory") 1) (table 1 externref)
            (func (export "_start") (loop
                (br_if 0 (i32.ne (table.grow 0 (ref.null extern) (i32.const 1000000)) (i32.const -1))))))"#,
    )
    .unwrap();
    let bomb = bench.module(&bomb);
    let ran = run(&["--memory-limit", "1MiB", "--time-limit", "60s", &bomb]);
    // The engine dies of it, or says no: but it does not go on for ever.
    assert_ne!(code(&ran), 124, "{}", stderr(&ran));
}

#[test]
fn volumes_are_seen_beneath_the_root_and_read_only_is_kept() {
    let bench = Bench::new();
    let folder = bench.path("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "of a volume").unwrap();
    let host = folder.to_str().unwrap();
    let read = bench.put("read.wasm", &opener("some/where/file", 0));
    let write = bench.put("write.wasm", &opener("some/where/new", 9));
    let volume = format!("{host}:/some/where");
    assert_eq!(opened(&["-v", &volume, &read]).unwrap(), "of a volume");
    assert_eq!(opened(&["-v", &format!("{volume}:ro"), &read]).unwrap(), "of a volume");
    // EROFS of the kernel's.
    assert_eq!(opened(&["-v", &format!("{volume}:ro"), &write]), Err(69));
    assert!(!folder.join("new").exists());
    opened(&["-v", &volume, &write]).unwrap();
    assert_eq!(fs::read_to_string(folder.join("new")).unwrap(), "written");
    let file = format!("{host}/file:/some/where/file");
    assert_eq!(opened(&["-v", &file, &read]).unwrap(), "of a volume");
    assert_eq!(opened(&[&read]), Err(44), "without the volume there is nothing");
    let ran = run(&["-v", "/nonexistent:/x", &read]);
    assert_eq!(code(&ran), 125);
    assert!(stderr(&ran).contains("/nonexistent"), "{}", stderr(&ran));
}

/// The engine's own way, where the kernel allows no namespaces: each volume is a folder that is opened beforehand, which
/// the C library of a guest finds by its path; these guests here know the first one, the root, only.
#[test]
fn without_namespaces_the_root_holds_and_files_are_refused() {
    let bench = Bench::new();
    let file = bench.put("file", b"secret");
    let read = bench.put("read.wasm", &opener("../file", 0));
    assert_eq!(opened(&["--no-namespaces", &read]), Err(63));
    let ran = run(&["--no-namespaces", "-v", &format!("{file}:/file"), &read]);
    assert_eq!(code(&ran), 125);
    assert!(stderr(&ran).contains("needs namespaces"), "{}", stderr(&ran));
    let write = bench.put("write.wasm", &opener("here", 9));
    opened(&["--no-namespaces", &write]).unwrap();
}

/// An image whose layer has these members besides a module.
fn image_with(bench: &Bench, guest: &[u8], members: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> String {
    let mut layer = tar::Builder::new(Vec::new());
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        layer.append_data(&mut header, path, bytes).unwrap();
    };
    add("guest.wasm", guest);
    add("inside/file", b"inside");
    members(&mut layer);
    let layer = layer.into_inner().unwrap();
    let folder = bench.path("crafted");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    let put = |media: &str, bytes: &[u8]| {
        let digest = wasm_image::Digest::of(bytes);
        fs::write(folder.join(digest.blob_path()), bytes).unwrap();
        serde_json::json!({ "mediaType": media, "digest": digest.to_string(), "size": bytes.len() })
    };
    let diff_id = wasm_image::Digest::of(&layer).to_string();
    let layer = put("application/vnd.oci.image.layer.v1.tar", &layer);
    let config = serde_json::json!({ "os": "wasi", "architecture": "wasm",
        "config": { "Entrypoint": ["/guest.wasm"] }, "rootfs": { "type": "layers", "diff_ids": [diff_id] } });
    let config = put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [layer],
        "mediaType": "application/vnd.oci.image.manifest.v1+json" });
    let manifest = put("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    folder.to_str().unwrap().to_owned()
}

fn link(layer: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, path: &str, target: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o777);
    header.set_size(0);
    layer.append_link(&mut header, path, target).unwrap();
}

#[test]
fn nothing_leads_out_of_the_root() {
    use tar::EntryType::{Link, Symlink};
    let bench = Bench::new();
    let outside = bench.put("outside", b"outside");
    for (path, expected) in [
        ("inside/file", Ok("inside")),
        ("within", Ok("inside")),
        ("second", Ok("inside")),
        ("../../../../../../../../etc/passwd", Err(63)),
        // Left out of the root, with a note.
        ("absolute", Err(44)),
        ("upwards", Err(44)),
        ("hard", Err(44)),
    ] {
        let image = image_with(&bench, &opener(path, 0), |layer| {
            link(layer, Symlink, "within", "inside/../inside/file");
            link(layer, Link, "second", "inside/file");
            link(layer, Symlink, "absolute", &outside);
            link(layer, Symlink, "upwards", "inside/../../outside");
            link(layer, Link, "hard", "absolute");
        });
        for flags in [&[][..], &["--no-namespaces"]] {
            let got = opened(&[flags, &[&image]].concat());
            assert_eq!(got.as_deref().map_err(|code| *code), expected, "{path} {flags:?}");
        }
        let said = stderr(&run(&[&image]));
        for name in [
            "absolute, a link out of the image",
            "upwards, a link out",
            "hard, a hard link to what is no file",
        ] {
            assert!(said.contains(name), "{said}");
        }
    }
}

#[test]
fn hostile_layers_are_refused_and_write_nothing_outside() {
    let bench = Bench::new();
    let guest = guest("");
    let raw = |name: &'static str| {
        move |layer: &mut tar::Builder<Vec<u8>>| {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(0o644);
            header.set_size(4);
            header.set_cksum();
            layer.append(&header, &b"evil"[..]).unwrap();
        }
    };
    let ran = run(&[&image_with(&bench, &guest, raw("../evil"))]);
    assert_eq!(code(&ran), 125);
    assert!(stderr(&ran).contains("points outside"), "{}", stderr(&ran));
    // Through a link that itself is allowed.
    let ran = run(&[&image_with(&bench, &guest, |layer| {
        link(layer, tar::EntryType::Symlink, "door", "inside");
        raw("door/evil")(layer);
    })]);
    assert_eq!(code(&ran), 125);
    assert!(stderr(&ran).contains("goes through a link"), "{}", stderr(&ran));
    // A device is left out; a file that takes the place of a link replaces the link.
    let ran = run(&[&image_with(&bench, &guest, |layer| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Char);
        header.set_size(0);
        layer.append_data(&mut header, "null", &b""[..]).unwrap();
        link(layer, tar::EntryType::Symlink, "door", "inside/file");
        raw("door")(layer);
    })]);
    assert_eq!(code(&ran), 0, "{}", stderr(&ran));
    assert!(stderr(&ran).contains("null, a device"), "{}", stderr(&ran));
    // An extended header of any length is not read into memory.
    let ran = run(&[&image_with(&bench, &guest, |layer| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(1 << 20);
        header.set_cksum();
        layer.append(&header, std::io::Read::take(std::io::repeat(0), 1 << 20)).unwrap();
    })]);
    assert_eq!(code(&ran), 125);
    assert!(stderr(&ran).contains("extended header"), "{}", stderr(&ran));
}

#[test]
fn what_is_no_program_is_refused_with_its_reason() {
    let bench = Bench::new();
    let library = wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap();
    let foreign = wat::parse_str(
        r#"(module (import "env" "f" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    let [native, damaged] = [bench.path("native.tar"), bench.path("damaged")];
    let elf = bench.put("program", &crate::support::elf(62, None));
    let ran = wasm_image(&["build", "--native", &elf, "--tag", TAG, "--output", native.to_str().unwrap()]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    let [layout, _] = bench.images(&bench.module(&guest("")));
    fs::rename(layout, &damaged).unwrap();
    let blob = fs::read_dir(damaged.join("blobs/sha256")).unwrap().next().unwrap().unwrap().path();
    fs::write(blob, "x").unwrap();
    for (source, reason) in [
        (bench.put("library.wasm", &library), "exports no function _start"),
        (bench.put("foreign.wasm", &foreign.unwrap()), "imports from env"),
        (bench.put("cut.wasm", &guest("")[..60]), "invalid or cut off"),
        (native.to_str().unwrap().to_owned(), "crun would run it natively"),
        (damaged.to_str().unwrap().to_owned(), "is damaged"),
        (bench.put("text", b"hello"), "neither an oci-archive nor a WebAssembly binary"),
        ("nowhere.wasm".to_owned(), "there is no file or folder nowhere.wasm"),
        ("/nonexistent/X".to_owned(), "No such file"),
    ] {
        let ran = run(&[&source]);
        assert_eq!((code(&ran), stdout(&ran)), (125, String::new()), "{source}");
        assert!(stderr(&ran).contains(reason), "{source}: {}", stderr(&ran));
    }
}

#[test]
fn compiled_images_do_what_portable_ones_do() {
    let bench = Bench::new();
    let module = bench.module(&printer("args"));
    let [layout, archive] = bench.images(&module);
    let of_layout = bench.compile(&layout, "a.tar");
    let of_archive = bench.compile(&archive, "b.tar");
    let again = bench.compile(&of_archive, "c.tar");
    // Equal input, equal code: from either form, from the compiled image itself, and at another time.
    assert_eq!(fs::read(&of_layout).unwrap(), fs::read(&of_archive).unwrap());
    assert_eq!(fs::read(&of_layout).unwrap(), fs::read(&again).unwrap());
    let interpreted = words(&run(&[&layout, "x"]));
    for platform in ["linux/amd64", "linux/arm64", "wasi/wasm"] {
        assert_eq!(
            words(&run(&["--platform", platform, "--aot", &of_layout, "x"])),
            interpreted,
            "{platform}"
        );
    }
    let own = run(&[&of_layout]);
    assert_eq!(words(&own), ["/guest.wasm", "one"]);
    assert!(stderr(&own).contains("compiled code is not used"), "{}", stderr(&own));
    let report = stdout(&wasm_image(&["inspect", &of_layout]));
    assert_eq!(report.matches("wasm-image/compiled-by=wasmedge 0.14").count(), 1, "{report}");
}

/// Native code is executable memory of no file; an interpreted module has none.
#[test]
fn compiled_code_runs_where_it_is_trusted_only() {
    let bench = Bench::new();
    let noisy = guest("(call $write (i32.const 1) (i32.const 0) (i32.const 1)) (loop (br 0))");
    let compiled = bench.compile(&bench.module(&noisy), "compiled.tar");
    for (flags, native) in [(&[][..], false), (&["--aot"], true)] {
        let mut command = Command::new(program());
        command.arg("run").args(flags).arg(&compiled).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut byte).unwrap();
        let pid = child.id();
        let engine = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let maps = fs::read_to_string(format!("/proc/{}/maps", engine.trim())).unwrap();
        let code = maps.lines().filter(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields[1].contains('x') && fields.len() == 5
        });
        assert_eq!(code.count() > 0, native, "{maps}");
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn compile_refuses_what_it_cannot_do() {
    let bench = Bench::new();
    let module = bench.module(&guest(""));
    let output = bench.path("out.tar");
    let compile = |args: &[&str]| {
        wasm_image(&[&["compile", "--tag", TAG, "--output", output.to_str().unwrap()][..], args].concat())
    };
    let foreign = if cfg!(target_arch = "x86_64") { "linux/arm64" } else { "linux/amd64" };
    let more = image_with(&bench, &guest(""), |_| {});
    let text = bench.put("text.wasm", b"\0asm\x01\0\0\0\xff");
    for (args, reason) in [
        (&[&module[..], "--platform", foreign][..], "cannot be compiled on this machine"),
        (&[&module, "--optimize", "9"], "expected 0, 1, 2, 3, s or z"),
        (&[&more], "holds more than its module"),
        (&[&text], "invalid or cut off"),
        (&["/nonexistent/X"], "No such file"),
    ] {
        let ran = compile(args);
        assert_eq!(ran.status.code(), Some(1), "{args:?}");
        assert!(stderr(&ran).contains(reason), "{args:?}: {}", stderr(&ran));
        assert!(!output.exists());
    }
    for level in ["0", "s", "z"] {
        let ran = compile(&[&module, "--optimize", level, "--cpu", "native"]);
        assert!(ran.status.success(), "{level}: {}", stderr(&ran));
        assert_eq!(code(&run(&["--aot", output.to_str().unwrap()])), 0, "{level}");
    }
}

/// The real thing: the handler announces itself in its exchange directory, sleeps on the FIFO there, and leaves when told.
#[test]
fn the_real_handler_runs() {
    let Some(handler) = std::env::var_os("WASM_HANDLER") else {
        assert!(std::env::var_os("REQUIRE_WASM").is_none(), "WASM_HANDLER names the handler's module");
        return;
    };
    let bench = Bench::new();
    let exchange = bench.path("exchange");
    fs::create_dir(&exchange).unwrap();
    let bell = exchange.join("wake");
    let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(rustix::fs::CWD, &bell, fifo, mode, 0).unwrap();
    let portable = handler.to_str().unwrap().to_owned();
    let compiled = bench.compile(&portable, "handler.tar");
    let volume = format!("{}:/exchange", exchange.display());
    for (source, flags) in [(&portable, &[][..]), (&compiled, &["--aot"])] {
        let mut command = Command::new(program());
        command.arg("run").args(flags).args(["--time-limit", "60s", "--memory-limit", "64MiB"]);
        command.args(["-e", "EXCHANGE_DIRECTORY=/exchange", "-v", &volume, source]).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        assert!(line.contains("ready, exchange directory /exchange"), "{line}");
        assert!(exchange.join("handler.json").exists());
        fs::write(exchange.join("stop"), "").unwrap();
        fs::OpenOptions::new().write(true).open(&bell).unwrap().write_all(b"r").unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(!exchange.join("handler.json").exists());
    }
}

/// `scripts/test-engine --ignored --nocapture figures` prints what compiled code gains: start included, medians of five.
#[test]
#[ignore = "figures, not a promise"]
fn figures() {
    let bench = Bench::new();
    let spin = guest(
        "(local $left i32) (local $sum i32) (local.set $left (i32.const 20000000))
         (loop
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (local.get $left)))
            (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
         (i32.store (i32.const 64) (local.get $sum))
         (call $write (i32.const 1) (i32.const 64) (i32.const 4))",
    );
    for (name, main) in [("nothing", guest("")), ("20 million turns of a loop", spin)] {
        let portable = bench.module(&main);
        let compiled = bench.compile(&portable, "compiled.tar");
        let mut printed = Vec::new();
        for (source, flags, word) in
            [(&portable, &[][..], "interpreted"), (&compiled, &["--aot"], "compiled")]
        {
            let mut times: Vec<Duration> = (0..5)
                .map(|_| {
                    let began = Instant::now();
                    let ran = run(&[flags, &[source]].concat());
                    assert_eq!(code(&ran), 0, "{}", stderr(&ran));
                    printed.push(ran.stdout);
                    began.elapsed()
                })
                .collect();
            times.sort();
            println!("{name}: {word} {} ms", times[2].as_millis());
        }
        assert!(printed.iter().all(|output| *output == printed[0]), "the same result either way");
    }
}
