//! Against the reference registry, with TLS and a password, beside the clients that others use: what one writes the others
//! read, byte for byte; and what the registry has lost or spoilt is noticed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use image_peers::{CERTIFICATES, DockerRegistry, Guard, PASSWORD, USER, blob};
use wasm_image::{Digest, Limits, inspect};

use crate::foreign::{run, tool, unpack};
use crate::support::{Layout, SBOM, command_module, stderr, stdout, temp};

/// The registry and the tool's own configuration for it.
struct Place {
    registry: DockerRegistry,
    config: PathBuf,
}

impl Place {
    fn new() -> Option<Self> {
        let registry = DockerRegistry::start(&tool("docker-registry")?, Guard::TlsAndPassword).unwrap();
        let config = registry.docker_config("docker", PASSWORD).unwrap();
        Some(Self { registry, config })
    }

    fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.registry.address)
    }

    /// The command, with the registry's CA and its password from `config.json`.
    fn wasm_image(&self, args: &[&str]) -> Output {
        self.wasm_image_as(&self.config, args)
    }

    fn wasm_image_as(&self, config: &Path, args: &[&str]) -> Output {
        let ran = Command::new(env!("CARGO_BIN_EXE_wasm-image"))
            .env_remove("SOURCE_DATE_EPOCH")
            .env("DOCKER_CONFIG", config)
            .args(&args[..1])
            .arg("--ca-file")
            .arg(self.registry.ca())
            .args(&args[1..])
            .output()
            .unwrap();
        for text in [stdout(&ran), stderr(&ran)] {
            assert!(!text.contains(PASSWORD), "the password is told: {text}");
        }
        ran
    }

    fn done(&self, args: &[&str]) -> String {
        let ran = self.wasm_image(args);
        assert!(ran.status.success(), "{args:?}: {}", stderr(&ran));
        stdout(&ran)
    }

    /// Fails, with `words` in the error.
    fn fails(&self, args: &[&str], words: &[&str]) {
        let ran = self.wasm_image(args);
        assert_eq!(
            ran.status.code().map(|code| code > 0),
            Some(true),
            "{args:?} went well: {}",
            stdout(&ran)
        );
        for word in words {
            assert!(stderr(&ran).contains(word), "{word:?} is missing in {}", stderr(&ran));
        }
    }

    fn skopeo(&self, skopeo: &Path, args: &[&str]) -> String {
        let certificates = self.registry.folder.path().join(CERTIFICATES);
        let mut all = vec!["--insecure-policy", args[0]];
        let option = match args[0] {
            "copy" => ["--src-cert-dir", "--dest-cert-dir"].as_slice(),
            _ => ["--cert-dir"].as_slice(),
        };
        for name in option {
            all.extend([name, certificates.to_str().unwrap()]);
        }
        let auth = self.config.join("config.json");
        all.extend(["--authfile", auth.to_str().unwrap()]);
        all.extend(&args[1..]);
        run(skopeo, &all)
    }

    fn oras(&self, oras: &Path, args: &[&str]) -> String {
        let config = self.config.join("config.json");
        let ca = self.registry.ca();
        let mut all = args.to_vec();
        // It takes every localhost for plain HTTP unless told.
        let registry_config = ["--plain-http=false", "--registry-config", config.to_str().unwrap()];
        all.extend(registry_config);
        all.extend(["--ca-file", ca.to_str().unwrap()]);
        run(oras, &all)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_we_push_skopeo_oras_and_umoci_read() {
    let Some(place) = Place::new() else { return };
    let layout = Layout::new();
    let reference = place.reference("akri-wasm/hello:v1");
    let pushed = place.done(&["push", text(&layout.path()), &reference, "-o", "json"]);
    assert!(pushed.contains(&layout.built.digest.to_string()), "{pushed}");
    if let Some(skopeo) = tool("skopeo") {
        let raw = place.skopeo(&skopeo, &["inspect", "--raw", &format!("docker://{reference}")]);
        assert_eq!(Digest::of(raw.as_bytes()), layout.built.digest);
        let single = layout.folder.path().join("single");
        let to = format!("oci:{}:dev", single.display());
        place.skopeo(&skopeo, &["copy", "--override-arch", "arm64", &format!("docker://{reference}"), &to]);
        if let Some(umoci) = tool("umoci") {
            let root = unpack(&umoci, &single, layout.folder.path());
            assert_eq!(fs::read(root.join("rootfs/hello.wasm")).unwrap(), command_module());
        }
    }
    if let Some(oras) = tool("oras") {
        let raw = place.oras(&oras, &["manifest", "fetch", &reference]);
        assert_eq!(Digest::of(raw.trim_end().as_bytes()), layout.built.digest);
        assert_eq!(place.oras(&oras, &["repo", "tags", &place.reference("akri-wasm/hello")]).trim(), "v1");
    }
}

#[test]
fn what_others_push_we_pull_without_changing_a_digest() {
    let Some(place) = Place::new() else { return };
    let Some(skopeo) = tool("skopeo") else { return };
    let layout = Layout::new();
    let reference = place.reference("hello:theirs");
    let from = format!("oci:{}:dev", layout.path().display());
    place.skopeo(&skopeo, &["copy", "--all", &from, &format!("docker://{reference}")]);
    let folder = temp();
    for name in ["pulled", "pulled.tar"] {
        let output = folder.path().join(name);
        place.done(&["pull", &reference, "--output", text(&output)]);
        let report = inspect(&output, &Limits::default()).unwrap();
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.images[0].digest.as_ref(), Some(&layout.built.digest));
    }
    let module = folder.path().join("hello.wasm");
    place.done(&["pull", &reference, "--module", text(&module)]);
    assert_eq!(fs::read(module).unwrap(), command_module());
    assert!(place.done(&["tags", &place.reference("hello")]).contains("theirs"));
}

/// This registry has no list of referrers: what is attached is found by the tag that stands in for it, by oras too.
#[test]
fn what_is_attached_goes_along_and_oras_finds_it() {
    let Some(place) = Place::new() else { return };
    let layout = Layout::with_sbom();
    let (first, second) = (place.reference("hello:v1"), place.reference("copied/hello:v1"));
    let pushed = place.done(&["push", text(&layout.path()), &first]);
    assert!(pushed.contains("attached   1"), "{pushed}");
    place.done(&["copy", &first, &second]);
    let folder = temp();
    let archive = folder.path().join("hello.tar");
    place.done(&["pull", &second, "--output", text(&archive)]);
    for source in [&first, &second, text(&archive)] {
        assert_eq!(place.done(&["sbom", source]).as_bytes(), SBOM, "{source}");
        assert!(
            place.done(&["inspect", source]).contains(&format!("about: {}", layout.built.digest)),
            "{source}"
        );
    }
    let left = place.reference("left/hello:v1");
    place.done(&["copy", &first, &left, "--no-referrers"]);
    place.fails(&["sbom", &left], &["made of"]);
    if let Some(oras) = tool("oras") {
        let found: serde_json::Value =
            serde_json::from_str(&place.oras(&oras, &["discover", "--format", "json", &second])).unwrap();
        let found = found.get("manifests").or_else(|| found.get("referrers")).expect("oras lists them");
        let digest = found[0]["digest"].as_str().unwrap();
        assert_eq!(digest, layout.built.referrers[0].digest.to_string());
        // And what oras attaches, we carry.
        let file = folder.path().join("signature.txt");
        fs::write(&file, "signed").unwrap();
        let path = text(&file);
        let attached = format!("{path}:text/plain");
        place.oras(
            &oras,
            &["attach", "--disable-path-validation", "--artifact-type", "text/x", &second, &attached],
        );
        let pulled = folder.path().join("with-both");
        place.done(&["pull", &second, "--output", text(&pulled)]);
        let report = inspect(&pulled, &Limits::default()).unwrap();
        let kinds: Vec<_> = report.images.iter().filter_map(|image| image.artifact_type.as_deref()).collect();
        assert!(kinds.contains(&"text/x") && kinds.len() == 2, "{kinds:?}");
    }
}

/// The three forms of a module that are around, as their own tools push them.
#[test]
fn modules_that_oras_pushed_are_extracted() {
    let Some(place) = Place::new() else { return };
    let Some(oras) = tool("oras") else { return };
    let folder = temp();
    fs::write(folder.path().join("hello.wasm"), command_module()).unwrap();
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    let forms = [
        ("wasm-to-oci", "application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"),
        ("artifact", "application/vnd.wasm.config.v0+json", "application/wasm"),
    ];
    for (form, config, layer) in forms {
        let reference = place.reference(&format!("forms/{form}:v1"));
        let module = folder.path().join("hello.wasm");
        place.oras(
            &oras,
            &[
                "push",
                "--disable-path-validation",
                "--config",
                &format!("{}:{config}", text(&folder.path().join("config.json"))),
                &reference,
                &format!("{}:{layer}", text(&module)),
            ],
        );
        let output = folder.path().join(format!("{form}.wasm"));
        place.done(&["pull", &reference, "--module", text(&output)]);
        assert_eq!(fs::read(output).unwrap(), command_module(), "{form}");
    }
}

/// What we write in those forms, oras fetches as it stands.
#[test]
fn our_artifacts_are_fetched_by_oras() {
    let Some(place) = Place::new() else { return };
    let Some(oras) = tool("oras") else { return };
    let folder = temp();
    let module = folder.path().join("hello.wasm");
    fs::write(&module, command_module()).unwrap();
    for format in ["artifact", "wasm-to-oci"] {
        let reference = place.reference(&format!("ours/{format}:v1"));
        let layout = folder.path().join(format);
        let ran = crate::support::wasm_image(&[
            "build",
            text(&module),
            "--format",
            format,
            "--tag",
            &reference,
            "--output",
            text(&layout),
        ]);
        assert!(ran.status.success(), "{}", stderr(&ran));
        place.done(&["push", text(&layout), &reference]);
        let manifest: serde_json::Value =
            serde_json::from_str(&place.oras(&oras, &["manifest", "fetch", &reference])).unwrap();
        let digest = manifest["layers"][0]["digest"].as_str().unwrap();
        assert_eq!(digest, Digest::of(&command_module()).to_string());
        let fetched = folder.path().join(format!("{format}.fetched"));
        let blob = format!("{}@{digest}", reference.rsplit_once(':').unwrap().0);
        place.oras(&oras, &["blob", "fetch", "--output", text(&fetched), &blob]);
        assert_eq!(fs::read(fetched).unwrap(), command_module());
    }
}

#[test]
fn a_second_push_sends_nothing_and_a_copy_mounts() {
    let Some(place) = Place::new() else { return };
    let layout = Layout::new();
    let first = place.reference("one/hello:v1");
    place.done(&["push", text(&layout.path()), &first]);
    let again: serde_json::Value =
        serde_json::from_str(&place.done(&["push", text(&layout.path()), &first, "-o", "json"])).unwrap();
    assert_eq!(again["bytes"], 0, "{again}");
    let second = place.reference("two/hello:v2");
    let copied: serde_json::Value =
        serde_json::from_str(&place.done(&["copy", &first, &second, "-o", "json"])).unwrap();
    assert_eq!(copied["digest"], layout.built.digest.to_string());
    assert!(copied.to_string().contains("mounted"), "{copied}");
}

#[test]
fn a_wrong_password_and_an_unknown_ca_are_named() {
    let Some(place) = Place::new() else { return };
    let layout = Layout::new();
    let reference = place.reference("hello:v1");
    let wrong = place.registry.docker_config("wrong", "not-the-password").unwrap();
    let ran = place.wasm_image_as(&wrong, &["push", text(&layout.path()), &reference]);
    assert!(!ran.status.success());
    let said = stderr(&ran);
    assert!(said.contains(&place.registry.address) && !said.contains("not-the-password"), "{said}");
    assert!(said.contains("password") || said.contains("credentials"), "{said}");

    // From standard input, as scripts give it.
    let mut child = Command::new(env!("CARGO_BIN_EXE_wasm-image"))
        .env("DOCKER_CONFIG", place.registry.folder.path().join("nothing"))
        .args(["push", text(&layout.path()), &reference, "--username", USER, "--password-stdin", "--ca-file"])
        .arg(place.registry.ca())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{PASSWORD}\n").as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", stderr(&ran));

    let ran = Command::new(env!("CARGO_BIN_EXE_wasm-image"))
        .env("DOCKER_CONFIG", &place.config)
        .args(["tags", &place.reference("hello")])
        .output()
        .unwrap();
    assert!(!ran.status.success() && stderr(&ran).contains("--ca-file"), "{}", stderr(&ran));
}

#[test]
fn what_the_registry_lost_or_spoilt_is_noticed_and_nothing_is_left() {
    let Some(place) = Place::new() else { return };
    let layout = Layout::new();
    let reference = place.reference("hello:v1");
    place.done(&["push", text(&layout.path()), &reference]);
    let layer = layout.built.manifests[0].layer.to_string();
    let stored = blob(place.registry.folder.path(), &layer).unwrap();
    let bytes = fs::read(&stored).unwrap();
    let folder = temp();
    let nothing_left = || assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    fs::write(&stored, &bytes[..bytes.len() / 2]).unwrap();
    place.fails(&["pull", &reference, "--output", text(&folder.path().join("x"))], &[&layer]);
    nothing_left();
    let mut spoilt = bytes.clone();
    spoilt[bytes.len() / 2] ^= 1;
    fs::write(&stored, &spoilt).unwrap();
    place.fails(&["pull", &reference, "--output", text(&folder.path().join("x.tar"))], &[&layer]);
    nothing_left();
    fs::remove_file(&stored).unwrap();
    place.fails(&["pull", &reference, "--output", text(&folder.path().join("x"))], &[&layer]);
    nothing_left();
    place.fails(
        &["pull", &place.reference("hello:none"), "--output", text(&folder.path().join("x"))],
        &["none"],
    );
    nothing_left();
}
