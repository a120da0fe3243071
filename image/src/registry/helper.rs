//! Credential helpers: `docker-credential-X get`, the registry on its standard input. Never sees a secret in its
//! arguments, and gets neither much time nor much room.
//! <https://github.com/docker/docker-credential-helpers#development>

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::credentials::CredentialError;
use super::{Credential, Secret};

/// How long a helper may take: some ask a person.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of its answer.
const MAX_ANSWER: u64 = 64 * 1024;
/// The user name that stands for an identity token. Same source.
const IDENTITY_USER: &str = "<token>";
/// How a helper says that it knows nothing. Same source.
const NOT_FOUND: &str = "credentials not found";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Asks the helper `name` about `registry`; `None` if it knows nothing.
pub(super) async fn get(
    name: &str,
    registry: &str,
    limit: Duration,
) -> Result<Option<Credential>, CredentialError> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(good) {
        return Err(CredentialError::HelperName(name.chars().take(80).collect()));
    }
    let program = program(name);
    let child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| CredentialError::Helper { program: program.clone(), source })?;
    let child = Arc::new(Mutex::new(child));
    let failed =
        |reason: &str| CredentialError::HelperFailed { program: program.clone(), reason: reason.into() };
    let asked = {
        let (child, registry) = (Arc::clone(&child), registry.to_owned());
        tokio::task::spawn_blocking(move || ask(&child, &registry))
    };
    let answer = match tokio::time::timeout(limit, asked).await {
        Ok(Ok(answer)) => answer.map_err(|_| failed("broke off"))?,
        Ok(Err(_)) => return Err(failed("could not be waited for")),
        Err(_) => {
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            // It may have ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed("took too long"));
        }
    };
    let Some((true, answer)) = answer else {
        let said = answer.map(|(_, answer)| answer).unwrap_or_default();
        if String::from_utf8_lossy(&said).contains(NOT_FOUND) {
            return Ok(None);
        }
        return Err(failed("failed: ask it by hand"));
    };
    if answer.len() as u64 > MAX_ANSWER {
        return Err(failed("answers with more than 64 KiB"));
    }
    let answer: Answer = serde_json::from_slice(&answer)
        .map_err(|_| failed("answers with something else than credentials"))?;
    let secret = Secret::new(answer.secret);
    Ok(match answer.username.as_str() {
        _ if secret.is_empty() => None,
        IDENTITY_USER => Some(Credential::Identity(secret)),
        _ => Some(Credential::Basic { username: answer.username, password: secret }),
    })
}

/// Success and output; `None` if the output had no end.
fn ask(child: &Mutex<Child>, registry: &str) -> std::io::Result<Option<(bool, Vec<u8>)>> {
    let (input, output) = {
        let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
        (child.stdin.take(), child.stdout.take())
    };
    if let Some(mut input) = input {
        // A helper that does not listen tells so by its exit code.
        let _ = input.write_all(registry.as_bytes());
    }
    let mut answer = Vec::new();
    if let Some(output) = output {
        output.take(MAX_ANSWER + 1).read_to_end(&mut answer)?;
    }
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    if answer.len() as u64 > MAX_ANSWER {
        child.kill()?;
        child.wait()?;
        return Ok(Some((true, answer)));
    }
    let status = child.wait()?;
    Ok(Some((status.success(), answer)))
}
