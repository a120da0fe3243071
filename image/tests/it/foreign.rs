//! Tools that nobody here wrote read what we write. A missing tool skips its test, loudly; where the environment
//! says CI=true or REQUIRE_FOREIGN_TOOLS=1, missing skopeo, umoci or go fails it. `oras` may be named by ORAS=path.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_image::{BuildFormat, Output, build};

use crate::support::{Layout, TAG, command_module, elf, recipe, wasm_image, write};

/// Whether what is missing makes a failure.
pub(crate) fn is_required() -> bool {
    let is = |key: &str, value: &str| env::var(key).is_ok_and(|found| found == value);
    is("CI", "true") || is("REQUIRE_FOREIGN_TOOLS", "1")
}

/// Says what was not tested, past the test harness's capture, or nobody would see it.
pub(crate) fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Where the tool is, if it is.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let found = env::var_os(name.to_uppercase()).map(PathBuf::from).or_else(|| {
        env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
    });
    let required = name != "oras" && is_required();
    assert!(found.is_some() || !required, "{name} is not in PATH: install it (scripts/test does, as root)");
    if found.is_none() {
        skip(&format!("{name} is not in PATH, so nothing was tested with it"));
    }
    found
}

pub(crate) fn run(tool: &Path, args: &[&str]) -> String {
    let ran = Command::new(tool).args(args).output().unwrap();
    assert!(ran.status.success(), "{} {args:?}: {}", tool.display(), String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn skopeo_finds_image_and_platforms() {
    let Some(skopeo) = tool("skopeo") else { return };
    let layout = Layout::new();
    let module = layout.folder.path().join("hello.wasm");
    let archive = layout.folder.path().join("hello.tar");
    build(&recipe(&module), &Output::from_path(archive.clone())).unwrap();
    let mut sources = vec![format!("oci:{}:dev", layout.path().display())];
    // skopeo gives what it unpacks to the archive's owner, user 0, which only root may.
    if rustix::process::geteuid().is_root() {
        sources.push(format!("oci-archive:{}:dev", archive.display()));
    }
    for source in sources {
        let raw = run(&skopeo, &["inspect", "--raw", &source]);
        assert_eq!(wasm_image::Digest::of(raw.as_bytes()), layout.built.digest);
        for (os, arch) in [("linux", "amd64"), ("linux", "arm64"), ("wasi", "wasm")] {
            let text = run(&skopeo, &["--override-os", os, "--override-arch", arch, "inspect", &source]);
            let image: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&image["Os"], &image["Architecture"]), (&os.into(), &arch.into()));
            assert_eq!(image["Layers"][0], layout.built.manifests[0].layer.to_string());
        }
    }
}

#[test]
fn skopeo_copies_without_changing_a_digest() {
    let Some(skopeo) = tool("skopeo") else { return };
    let layout = Layout::new();
    let copy = layout.folder.path().join("copy");
    let from = format!("oci:{}:dev", layout.path().display());
    let to = format!("oci:{}:dev", copy.display());
    run(&skopeo, &["--insecure-policy", "copy", "--all", &from, &to]);
    let report = wasm_image::inspect(&copy, &wasm_image::Limits::default()).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.images[0].digest.as_ref(), Some(&layout.built.digest));
}

/// umoci 0.4 takes images of one platform only, so skopeo picks one of the module's three.
#[test]
fn umoci_unpacks_the_module() {
    let (Some(umoci), Some(skopeo)) = (tool("umoci"), tool("skopeo")) else { return };
    let layout = Layout::new();
    let single = layout.folder.path().join("single");
    let from = format!("oci:{}:dev", layout.path().display());
    run(
        &skopeo,
        &[
            "--insecure-policy",
            "--override-arch",
            "arm64",
            "copy",
            &from,
            &format!("oci:{}:dev", single.display()),
        ],
    );
    let root = unpack(&umoci, &single, layout.folder.path());
    assert_eq!(fs::read(root.join("rootfs/hello.wasm")).unwrap(), command_module());
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(root.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["process"]["args"], serde_json::json!(["/hello.wasm"]));
    assert_eq!(config["process"]["user"]["uid"], 65532);
}

#[test]
fn umoci_unpacks_a_binary() {
    let Some(umoci) = tool("umoci") else { return };
    let layout = Layout::new();
    let binary = write(layout.folder.path(), "proxy", &elf(62, None));
    let output = layout.folder.path().join("native");
    let ran = wasm_image(&[
        "build",
        "--native",
        binary.to_str().unwrap(),
        "--tag",
        TAG,
        "--output",
        output.to_str().unwrap(),
    ]);
    assert!(ran.status.success());
    let root = unpack(&umoci, &output, layout.folder.path());
    let file = root.join("rootfs/proxy");
    assert_eq!(fs::read(&file).unwrap(), elf(62, None));
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file).unwrap().permissions()) & 0o777,
        0o755
    );
}

pub(crate) fn unpack(umoci: &Path, layout: &Path, folder: &Path) -> PathBuf {
    let root = folder.join("unpacked");
    let image = format!("{}:dev", layout.display());
    let mut args = vec!["unpack", "--image", &image];
    if !rustix::process::geteuid().is_root() {
        args.push("--rootless");
    }
    args.push(root.to_str().unwrap());
    run(umoci, &args);
    root
}

#[test]
fn oras_fetches_the_index() {
    let Some(oras) = tool("oras") else { return };
    let layout = Layout::new();
    let reference = format!("{}:dev", layout.path().display());
    let raw = run(&oras, &["manifest", "fetch", "--oci-layout", &reference]);
    assert_eq!(wasm_image::Digest::of(raw.trim_end().as_bytes()), layout.built.digest);
}

/// As wkg's and Krustlet's users would: the file comes out under its own name.
#[test]
fn oras_pulls_the_module_of_an_artifact() {
    let Some(oras) = tool("oras") else { return };
    for format in [BuildFormat::Artifact, BuildFormat::WasmToOci] {
        let layout = Layout::of(format);
        let reference = format!("{}:dev", layout.path().display());
        let output = layout.folder.path().join("pulled");
        run(&oras, &["pull", "--oci-layout", &reference, "--output", output.to_str().unwrap()]);
        assert_eq!(fs::read(output.join("hello.wasm")).unwrap(), command_module());
    }
}

#[test]
fn skopeo_copies_an_artifact_without_changing_its_digest() {
    let Some(skopeo) = tool("skopeo") else { return };
    for format in [BuildFormat::Artifact, BuildFormat::WasmToOci] {
        let layout = Layout::of(format);
        let copy = layout.folder.path().join("copy");
        let from = format!("oci:{}:dev", layout.path().display());
        run(&skopeo, &["--insecure-policy", "copy", &from, &format!("oci:{}:dev", copy.display())]);
        let report = wasm_image::inspect(&copy, &wasm_image::Limits::default()).unwrap();
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.images[0].digest.as_ref(), Some(&layout.built.digest));
    }
}
