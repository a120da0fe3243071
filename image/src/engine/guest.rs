//! The engine: one module, its one life. Runs in the child, behind the wall.

use std::collections::HashMap;

use wasmedge_sdk::config::{CommonConfigOptions, Config, ConfigBuilder, RuntimeConfigOptions};
use wasmedge_sdk::error::{CoreError, CoreExecutionError, WasmEdgeError};
use wasmedge_sdk::vm::SyncInst;
use wasmedge_sdk::wasi::WasiModule;
use wasmedge_sdk::{LogManager, Module, Store, Vm, WasmEdgeResult};

use super::Access;
use super::child::{Outcome, Request};
use crate::spec;

/// Runs the module to its end.
pub(super) fn run(request: &Request) -> Outcome {
    // It would write to the module's standard output.
    LogManager::log_off();
    match execute(request) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Refused(explain(&error, request)),
    }
}

fn execute(request: &Request) -> WasmEdgeResult<Outcome> {
    let config = config(request)?;
    let root = request.root.display();
    let (preopens, module) = if request.walled {
        (vec!["/:/".to_owned()], std::path::Path::new("/").join(&request.module))
    } else {
        (preopens(request, &root.to_string()), request.root.join(&request.module))
    };
    let mut wasi = WasiModule::create(texts(&request.argv), texts(&request.env), texts(&preopens))?;
    let module = Module::from_file(Some(&config), module)?;
    let mut instances: HashMap<String, &mut dyn SyncInst> = HashMap::new();
    instances.insert(wasi.name().to_owned(), wasi.as_mut());
    let mut vm = Vm::new(Store::new(Some(&config), instances)?);
    vm.register_module(None, module)?;
    let ended = vm.run_func(None, spec::WASI_START, Vec::new());
    drop(vm);
    // The engine says "fine" for every proc_exit; the code is WASI's to know. After a trap it knows nothing.
    Ok(match ended {
        Ok(_) => Outcome::Exited(wasi.exit_code()),
        Err(error) => Outcome::Trapped(error.to_string()),
    })
}

/// As the engine wants a list.
fn texts(list: &[String]) -> Option<Vec<&str>> {
    Some(list.iter().map(String::as_str).collect())
}

fn config(request: &Request) -> WasmEdgeResult<Config> {
    let common = CommonConfigOptions::default().interpreter_mode(!request.native);
    let builder = ConfigBuilder::new(common);
    match request.memory {
        Some((_, pages)) => {
            builder.with_runtime_config(RuntimeConfigOptions::default().max_memory_pages(pages)).build()
        }
        None => builder.build(),
    }
}

/// Without a wall, the root and each volume are folders of this machine that the engine opens beforehand.
fn preopens(request: &Request, root: &str) -> Vec<String> {
    let volumes = request.volumes.iter().map(|volume| {
        let suffix = if volume.access == Access::ReadOnly { ":readonly" } else { "" };
        format!("{}:{}{suffix}", volume.guest, volume.host.display())
    });
    std::iter::once(format!("/:{root}")).chain(volumes).collect()
}

fn explain(error: &WasmEdgeError, request: &Request) -> String {
    let out_of_bounds =
        matches!(error, WasmEdgeError::Core(CoreError::Execution(CoreExecutionError::MemoryOutOfBounds)));
    match request.memory {
        Some((bytes, _)) if out_of_bounds => {
            format!("{error}: it needs more memory from its start than the limit of {bytes} bytes")
        }
        _ => error.to_string(),
    }
}
