//! Building from modules: what is refused, what comes out, and that it comes out the same.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, SystemTime};

use wasm_image::{Limits, Output, build, inspect};

use crate::support::{Layout, TAG, command_module, program, recipe, stderr, stdout, temp, wasm_image, write};

#[test]
fn one_index_for_three_platforms_that_share_a_layer() {
    let layout = Layout::new();
    let index = layout.json(&layout.blob(&layout.built.digest));
    let platforms: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            format!("{}/{}", entry["platform"]["os"], entry["platform"]["architecture"]).replace('"', "")
        })
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64", "wasi/wasm"]);
    let layers: Vec<_> = layout.built.manifests.iter().map(|manifest| &manifest.layer).collect();
    assert!(layers.iter().all(|layer| *layer == layers[0]));
    // Index, three manifests, three configurations, one layer.
    assert_eq!(layout.blobs().len(), 8);

    for manifest in &layout.built.manifests {
        let document = layout.json(&layout.blob(&manifest.digest));
        assert_eq!(document["annotations"]["module.wasm.image/variant"], "compat-smart");
        assert_eq!(document["annotations"]["org.opencontainers.image.title"], "hello");
        assert_eq!(document["annotations"]["org.opencontainers.image.version"], "dev");
        let config = document["config"]["digest"].as_str().unwrap().parse().unwrap();
        let config = layout.json(&layout.blob(&config));
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/hello.wasm"]));
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest.diff_id.to_string());
        assert_eq!(config.get("created"), None);
    }
    let named = &layout.index_json()["manifests"][0]["annotations"];
    assert_eq!(named["org.opencontainers.image.ref.name"], "dev");
    assert_eq!(named["io.containerd.image.name"], TAG);
}

#[test]
fn the_layer_holds_the_module_and_nothing_else() {
    let layout = Layout::new();
    let layer = File::open(layout.blob(&layout.built.manifests[0].layer)).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer));
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.mode().unwrap(), header.mtime().unwrap()), (0o644, 0));
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        names.push(entry.path().unwrap().display().to_string());
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        assert_eq!(content, command_module());
    }
    assert_eq!(names, ["hello.wasm"]);
}

#[test]
fn settings_reach_the_documents() {
    let folder = temp();
    let module = write(folder.path(), "x.wasm", &command_module());
    let output = folder.path().join("out");
    let ran = wasm_image(&[
        "build",
        module.to_str().unwrap(),
        "--tag",
        "localhost:5000/x:v1",
        "--output",
        output.to_str().unwrap(),
        "--name",
        "other",
        "--user",
        "0",
        "--env",
        "A=b=c",
        "--arg",
        "serve",
        "--arg",
        "--flag",
        "--label",
        "l=1",
        "--annotation",
        "org.opencontainers.image.source=https://example.org",
        "--licenses",
        "Apache-2.0",
        "--image-version",
        "1.2",
        "--created",
        "2026-11-21T03:00:00+01:00",
        "--print",
        "json",
    ]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    let built: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(built["entrypoint"], "/other.wasm");
    assert_eq!(built["reference"], "localhost:5000/x:v1");
    let report = inspect(&output, &Limits::default()).unwrap();
    assert!(report.is_sound());
    let manifest = &report.images[0].children[0];
    let annotations = &manifest.document_annotations;
    assert_eq!(annotations["org.opencontainers.image.source"], "https://example.org");
    assert_eq!(annotations["org.opencontainers.image.licenses"], "Apache-2.0");
    assert_eq!(annotations["org.opencontainers.image.version"], "1.2");
    assert_eq!(annotations["org.opencontainers.image.created"], "2026-11-21T02:00:00Z");
    let config = manifest.children[0].config.as_ref().unwrap();
    assert_eq!((config.user.as_deref(), config.env[0].as_str()), (Some("0"), "A=b=c"));
    assert_eq!(
        (config.cmd.as_slice(), config.labels["l"].as_str()),
        (&["serve".to_owned(), "--flag".to_owned()][..], "1")
    );
    assert_eq!(config.created.as_deref(), Some("2026-11-21T02:00:00Z"));
}

#[test]
fn equal_input_gives_equal_bytes() {
    let (one, two) = (temp(), temp());
    let modules = [&one, &two].map(|folder| write(folder.path(), "hello.wasm", &command_module()));
    let file = File::options().write(true).open(&modules[1]).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
    fs::set_permissions(&modules[1], fs::Permissions::from_mode(0o600)).unwrap();

    let built = modules.clone().map(|module| {
        let mut recipe = recipe(&module);
        recipe.annotations = ["z=1", "a=2", "m=3"].iter().map(|pair| pair.parse().unwrap()).collect();
        recipe.labels = recipe.annotations.clone();
        let archive = module.with_file_name("image.tar");
        let archived = build(&recipe, &Output::from_path(archive.clone())).unwrap();
        let laid_out = build(&recipe, &Output::from_path(module.with_file_name("layout"))).unwrap();
        // The two forms differ in nothing but their form.
        assert_eq!(archived.digest, laid_out.digest);
        let digests = laid_out.manifests.iter().map(|manifest| manifest.digest.clone()).collect::<Vec<_>>();
        (laid_out.digest, digests, fs::read(archive).unwrap())
    });
    assert!(built[0] == built[1]);
}

#[test]
fn source_date_epoch_is_the_only_time() {
    let folder = temp();
    let module = write(folder.path(), "hello.wasm", &command_module());
    let run = |output: &str, epoch: &str| {
        let output = folder.path().join(output);
        let ran = Command::new(program())
            .env("SOURCE_DATE_EPOCH", epoch)
            .args(["build", "--tag", TAG, "--output"])
            .arg(&output)
            .arg(&module)
            .output()
            .unwrap();
        (ran, output)
    };
    let (ran, output) = run("a.tar", "1700000000");
    assert!(ran.status.success());
    let report = inspect(&output, &Limits::default()).unwrap();
    let config = report.images[0].children[0].children[0].config.as_ref().unwrap();
    assert_eq!(config.created.as_deref(), Some("2023-11-14T22:13:20Z"));
    let mut archive = tar::Archive::new(File::open(&output).unwrap());
    assert!(
        archive.entries().unwrap().all(|entry| entry.unwrap().header().mtime().unwrap() == 1_700_000_000)
    );
    let (ran, again) = run("b.tar", "1700000000");
    assert!(ran.status.success());
    assert_eq!(fs::read(output).unwrap(), fs::read(again).unwrap());
    let (ran, output) = run("c.tar", "yesterday");
    assert_eq!((ran.status.code(), output.exists()), (Some(2), false));
}

#[test]
fn refuses_modules_that_will_not_run() {
    let folder = temp();
    let whole = command_module();
    let foreign =
        r#"(module (import "env" "f" (func)) (memory (export "memory") 1) (func (export "_start")))"#;
    let foreign = wat::parse_str(foreign).unwrap();
    let component = wat::parse_str("(component)").unwrap();
    let library = wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap();
    let cases: [(&str, &[u8], &str); 8] = [
        ("foreign", &foreign, "imports from env"),
        ("component", &component, "component"),
        ("library", &library, "_start"),
        ("cut", &whole[..whole.len() - 9], "invalid or cut off"),
        ("short", &whole[..5], "no WebAssembly module"),
        ("text", b"(module)", "text form"),
        ("empty", b"", "no WebAssembly module"),
        ("elf", b"\x7fELF\x02\x01\x01", "no WebAssembly module"),
    ];
    for (name, bytes, message) in cases {
        let module = write(folder.path(), &format!("{name}.wasm"), bytes);
        let output = folder.path().join(name);
        let args = ["build", module.to_str().unwrap(), "--tag", TAG, "--output", output.to_str().unwrap()];
        let ran = wasm_image(&args);
        assert_eq!(ran.status.code(), Some(1), "{name}");
        assert!(stderr(&ran).contains(message), "{name}: {}", stderr(&ran));
        assert!(!output.exists(), "{name}");
        let allowed = wasm_image(&[&args[..], &["--allow-imports"]].concat());
        assert_eq!(allowed.status.success(), name == "foreign", "{name}");
    }
    // Nothing is left but what was put there, and the one image that was allowed.
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 8 + 1);
}

#[test]
fn refuses_command_lines_that_make_no_sense() {
    let digest = "localhost/x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (args, code) in [
        (&["build", "x.wasm", "--output", "o"][..], 2),
        (&["build", "--tag", TAG, "--output", "o"], 2),
        (&["build", "x.wasm", "--native", "y", "--tag", TAG, "--output", "o"], 2),
        (&["build", "x.wasm", "--tag", "UPPER", "--output", "o"], 2),
        (&["build", "x.wasm", "--tag", TAG, "--output", "o", "--user", "root"], 2),
        (&["build", "/nonexistent/x.wasm", "--tag", TAG, "--output", "o"], 1),
        (&["build", "/dev/null", "--tag", TAG, "--output", "o"], 1),
        (&["build", "x.wasm", "--tag", digest, "--output", "o"], 1),
        (&["inspect"], 2),
        (&["inspect", "/nonexistent"], 1),
        (&["inspect", "/dev/null"], 1),
        (&["no-such-command"], 2),
    ] {
        let ran = wasm_image(args);
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {}", stderr(&ran));
        assert!(!stderr(&ran).is_empty());
    }
}

#[test]
fn helps_and_completes() {
    for args in [&["--help"][..], &["build", "--help"], &["inspect", "--help"], &["check", "--help"]] {
        let ran = wasm_image(args);
        assert!(ran.status.success());
        assert!(stdout(&ran).contains("Exit codes") && stdout(&ran).contains("Example"), "{args:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&wasm_image(&["completions", shell])).contains("wasm-image"), "{shell}");
    }
}
