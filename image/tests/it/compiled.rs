//! Images with compiled modules, and what is said where there is no engine. The engine itself is not needed.

use std::fs;
use std::path::Path;

use wasm_image::{CompiledModule, Contents, Output, build, spec};

use crate::support::{TAG, command_module, problems, recipe, stderr, stdout, temp, wasm_image, write};

/// A section of compiled code for an architecture, without any code.
fn section(architecture: u8) -> Vec<u8> {
    let mut section = vec![0, 12, 8];
    section.extend(spec::AOT_SECTION.as_bytes());
    section.extend([1, 1, architecture]);
    section
}

fn compiled(folder: &Path, name: &str, architecture: u8) -> String {
    let module = [command_module(), section(architecture)].concat();
    write(folder, name, &module).to_str().unwrap().to_owned()
}

#[test]
fn a_platform_with_a_compiled_module_gets_it_and_all_others_the_portable_one() {
    let folder = temp();
    let module = write(folder.path(), "hello.wasm", &command_module());
    let mut recipe = recipe(&module);
    let portable = build(&recipe, &Output::Layout(folder.path().join("portable"))).unwrap();
    let Contents::Module { compiled: modules, .. } = &mut recipe.contents else { panic!() };
    for (platform, architecture) in [("linux/riscv64", 3), ("linux/arm64", 2)] {
        modules.push(CompiledModule {
            platform: platform.parse().unwrap(),
            path: compiled(folder.path(), &format!("{architecture}.wasm"), architecture).into(),
            compiled_by: Some("wasmedge 0.14.1".to_owned()),
        });
    }
    let output = folder.path().join("compiled");
    let built = build(&recipe, &Output::Layout(output.clone())).unwrap();
    assert!(problems(&output).is_empty());
    let platforms: Vec<_> = built.manifests.iter().map(|manifest| manifest.platform.to_string()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64", "linux/riscv64", "wasi/wasm"]);
    let of = |manifests: &[wasm_image::BuiltManifest], platform: &str| {
        manifests.iter().find(|manifest| manifest.platform.to_string() == platform).unwrap().clone()
    };
    // To the last byte: a node that has no compiled module notices nothing.
    for platform in ["linux/amd64", "wasi/wasm"] {
        assert_eq!(of(&built.manifests, platform).digest, of(&portable.manifests, platform).digest);
    }
    let arm = of(&built.manifests, "linux/arm64");
    assert_ne!(arm.layer, of(&built.manifests, "linux/riscv64").layer);
    assert_eq!(arm.compiled_by.as_deref(), Some("wasmedge 0.14.1"));
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(output.join(arm.digest.blob_path())).unwrap()).unwrap();
    assert_eq!(manifest["annotations"][spec::ANNOTATION_COMPILED_BY], "wasmedge 0.14.1");
}

#[test]
fn refuses_modules_that_are_not_the_portable_one_compiled() {
    let folder = temp();
    let module = write(folder.path(), "hello.wasm", &command_module());
    let arm = compiled(folder.path(), "arm.wasm", 2);
    let native = write(folder.path(), "hello.so", b"\x7fELF\x02\x01\x01").to_str().unwrap().to_owned();
    let output = folder.path().join("out.tar");
    let run = |module: &str, compiled: &[&str]| {
        let mut args = vec!["build", module, "--tag", TAG, "--output", output.to_str().unwrap()];
        compiled.iter().for_each(|compiled| args.extend(["--compiled", compiled]));
        wasm_image(&args)
    };
    let module = module.to_str().unwrap();
    for (module, given, message) in [
        (module, vec![format!("linux/amd64={arm}")], "its code is for linux/arm64, not for linux/amd64"),
        (module, vec![format!("linux/arm64={module}")], "no section"),
        (
            module,
            vec![format!("linux/arm64={native}")],
            "does not begin with the bytes of the portable module",
        ),
        (
            module,
            vec![format!("linux/arm64={arm}"), format!("linux/arm64={arm}")],
            "two compiled modules are for linux/arm64",
        ),
        (&arm, vec![format!("linux/arm64={arm}")], "holds compiled code already"),
        (module, vec!["linux/arm64=/nonexistent".to_owned()], "cannot open /nonexistent"),
    ] {
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let ran = run(module, &given);
        assert_eq!(ran.status.code(), Some(1), "{given:?}");
        assert!(stderr(&ran).contains(message), "{given:?}: {}", stderr(&ran));
        assert!(!output.exists());
    }
    for usage in ["linux/arm64", "linux/arm64=", "=x", "LINUX/arm64=x"] {
        assert_eq!(run(module, &[usage]).status.code(), Some(2), "{usage}");
    }
    let ran = run(module, &[&format!("linux/arm64={arm}")]);
    assert!(ran.status.success(), "{}", stderr(&ran));
}

#[test]
fn the_engines_commands_explain_themselves() {
    for command in ["run", "compile"] {
        let help = stdout(&wasm_image(&[command, "--help"]));
        assert!(help.contains("Exit codes") && help.contains("Examples"), "{command}");
    }
    assert!(stdout(&wasm_image(&["compile", "--help"])).contains("an engine runs compiled code unchecked"));
}

#[cfg(not(feature = "wasmedge"))]
#[test]
fn without_the_engine_its_commands_say_how_to_get_it() {
    for args in [&["run", "x.wasm"][..], &["compile", "x.wasm", "--tag", TAG, "--output", "x.tar"]] {
        let ran = wasm_image(args);
        assert_eq!(ran.status.code(), Some(1));
        for word in ["--features wasmedge", "libwasmedge-dev", "libclang-dev", "clang"] {
            assert!(stderr(&ran).contains(word), "{args:?}: {}", stderr(&ran));
        }
    }
}
