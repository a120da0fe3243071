//! The arguments of all commands that speak with registries, and how their outcome becomes an exit code.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use wasm_image::{
    ClientOptions, Credential, CredentialSource, FailureKind, PlainHttp, Progress, RegistryError,
    RetryPolicy, Secret, TransferError,
};

/// The user name for registries.
const ENV_USERNAME: &str = "WASM_IMAGE_USERNAME";
/// The password that belongs to it.
const ENV_PASSWORD: &str = "WASM_IMAGE_PASSWORD";
/// Most bytes of a password.
const MAX_PASSWORD: u64 = 64 * 1024;
/// How a shell calls a command that was ended by SIGINT.
const INTERRUPTED: u8 = 130;

/// For the help of every command that uses [`RegistryArgs`].
pub(crate) const EXIT_CODES: &str = "\
Credentials, the first that is there: --username with --password-stdin; WASM_IMAGE_USERNAME and WASM_IMAGE_PASSWORD;
REGISTRY_AUTH_FILE, or else DOCKER_CONFIG/config.json (~/.docker/config.json) and containers/auth.json, with helpers.

Exit codes: 0 done, 1 failed, 2 usage, 3 credentials are missing or refused, 4 no such image, tag or blob,
5 something is not what its digest or length says, 130 interrupted";

/// How registries are spoken to.
#[derive(clap::Args)]
pub(crate) struct RegistryArgs {
    /// The user's name at the registry
    #[arg(long, requires = "password_stdin")]
    username: Option<String>,

    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,

    /// Speak plain HTTP with a registry on this machine; given twice, with any
    #[arg(long, action = clap::ArgAction::Count)]
    plain_http: u8,

    /// Trust these authorities beside the system's: a PEM file; may be repeated
    #[arg(long, value_name = "FILE")]
    ca_file: Vec<PathBuf>,

    /// How often to try again after 429, 5xx and broken connections
    #[arg(long, value_name = "N", default_value_t = RetryPolicy::default().retries)]
    retries: u32,

    /// Say nothing of the progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl RegistryArgs {
    /// Reads password and environment, once.
    pub(crate) fn options(&self, progress: Arc<dyn Progress>) -> anyhow::Result<ClientOptions> {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let credentials = CredentialSource {
            given: self.given()?,
            files: CredentialSource::standard_files(variable),
            helper_timeout: None,
        };
        Ok(ClientOptions {
            credentials,
            plain_http: plain_http(self.plain_http),
            ca_files: self.ca_file.clone(),
            retry: RetryPolicy { retries: self.retries, ..RetryPolicy::default() },
            progress,
            ..ClientOptions::default()
        })
    }

    fn given(&self) -> anyhow::Result<Option<(Credential, &'static str)>> {
        if let Some(username) = &self.username {
            if io::stdin().is_terminal() {
                bail!("--password-stdin wants the password by a pipe or file, not from a terminal");
            }
            let mut password = String::new();
            io::stdin()
                .take(MAX_PASSWORD)
                .read_to_string(&mut password)
                .context("cannot read the password from standard input")?;
            // One line end belongs to `echo`, not to the password.
            let password = password.strip_suffix('\n').unwrap_or(&password);
            let password = password.strip_suffix('\r').unwrap_or(password);
            if password.is_empty() {
                bail!("the password on standard input is empty");
            }
            let password = Secret::new(password.to_owned());
            return Ok(Some((Credential::Basic { username: username.clone(), password }, "--username")));
        }
        let read = |name: &str| match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(Some(value)),
            Err(std::env::VarError::NotUnicode(_)) => bail!("{name} is not valid UTF-8"),
            _ => Ok(None),
        };
        match (read(ENV_USERNAME)?, read(ENV_PASSWORD)?) {
            (Some(username), Some(password)) => {
                let password = Secret::new(password);
                Ok(Some((Credential::Basic { username, password }, ENV_USERNAME)))
            }
            (None, None) => Ok(None),
            _ => bail!("{ENV_USERNAME} and {ENV_PASSWORD} go together: set both or none"),
        }
    }
}

/// What so many `--plain-http` mean.
pub(crate) fn plain_http(count: u8) -> PlainHttp {
    match count {
        0 => PlainHttp::Never,
        1 => PlainHttp::Loopback,
        _ => PlainHttp::Anywhere,
    }
}

/// Runs what waits for the network. An interrupt drops it, and with it what is half made.
pub(crate) fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            Ok(()) = tokio::signal::ctrl_c() => Err(Interrupted.into()),
        }
    })
}

/// Somebody pressed Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

/// The exit code that a failure is.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(|error| error.is::<Interrupted>()) {
        return ExitCode::from(INTERRUPTED);
    }
    let kind = error.chain().find_map(|error| {
        let transfer = error.downcast_ref::<TransferError>().map(TransferError::kind);
        transfer.or_else(|| error.downcast_ref::<RegistryError>().map(RegistryError::kind))
    });
    match kind {
        Some(FailureKind::Authentication) => ExitCode::from(3),
        Some(FailureKind::NotFound) => ExitCode::from(4),
        Some(FailureKind::Integrity) => ExitCode::from(5),
        Some(FailureKind::Other) | None => ExitCode::FAILURE,
    }
}
