//! The loop: announce, wait, look, answer; until asked to stop.

use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use akri_exchange::{Answer, Failure, Hello, Outcome, RequestId, Wake, limits};

use crate::directory::Directory;
use crate::doorbell::{self, Doorbell};
use crate::handler::{Discover, Handler};
use crate::jobs::{Job, Jobs};
use crate::{Context, crash, files};

/// How long the handler sleeps between two looks for a FIFO that no proxy has made yet; doubles up to
/// [`LONGEST_LOOK`]. WASI has nothing to wait on there; it happens once, at the start.
const FIRST_LOOK: Duration = Duration::from_millis(5);
/// The longest such sleep: it bounds how much later than the proxy the handler is ready. Also how often it looks whether
/// its announcement is still there, until a proxy has rung.
const LONGEST_LOOK: Duration = Duration::from_millis(200);
/// Wake-up bytes read at once. More of them than this only means another turn of the loop.
const RINGS: usize = 512;

/// Serves the exchange directory until the last proxy asks the handler to leave.
pub(crate) fn run(handler: &Handler, exchange: &Path, discover: &mut Discover<'_>) -> io::Result<()> {
    crash::watch();
    let hello = hello(handler);
    // What is wrong from the first is told by failing; what goes wrong later is waited out.
    Doorbell::open(&Directory::open(exchange)?)?;
    let mut jobs = Jobs::default();
    let mut rings = [0; RINGS];
    let mut life = Life::New;
    while let Some((directory, mut bell)) = announced(exchange, &hello, &life) {
        if let Life::New = life {
            // Not by `Path::display`, whose way with broken names is a kilobyte in every handler.
            let shown = exchange.to_str().unwrap_or("with a name that is not UTF-8");
            eprintln!("{} {}: ready, exchange directory {shown}", hello.name, hello.version);
            life = Life::Moved;
        }
        // A proxy rings when it has seen the announcement. Until then it may never see it, for the directory may be emptied
        // first, and nobody could ring where nobody has opened the FIFO: so it is looked at again.
        let mut heard = false;
        while bell.is_current(&directory) {
            if files::stop_asked(&directory) {
                files::remove_hello(&directory);
                eprintln!("asked to stop");
                return Ok(());
            }
            match take_stock(&directory, &mut jobs) {
                Ok(()) => serve(handler, &directory, &mut jobs, discover),
                // What is there could not be read: nothing ends because of it, and the next wake-up looks again.
                Err(error) => eprintln!("cannot read the requests: {error}"),
            }
            let due = jobs.next_due().map(|due| due.saturating_duration_since(Instant::now()));
            let timeout = if heard { due } else { Some(due.unwrap_or(LONGEST_LOOK).min(LONGEST_LOOK)) };
            let rung = bell.wait(timeout, &mut rings)?;
            heard |= rung > 0;
            if rings.iter().take(rung).any(|byte| Wake::of(*byte) == Wake::Everything) {
                jobs.all_due(Instant::now(), |id| crash::wait(&directory, id).is_some());
            }
        }
        eprintln!("the exchange directory was emptied, announcing again");
    }
    eprintln!("asked to stop");
    Ok(())
}

/// Whether this handler has announced itself before.
enum Life {
    /// It has not: a `stop` that is there was meant for a former life, whose proxy was restarted alone.
    New,
    /// It has, in a directory that is gone or was emptied: a `stop` is meant for it.
    Moved,
}

fn hello(handler: &Handler) -> Hello {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    // std's hash keys are the random number that WASI and native have in common.
    let mark = std::hash::RandomState::new().build_hasher().finish();
    Hello {
        name: handler.name.clone(),
        version: handler.version.clone(),
        instance: format!("{mark:016x}"),
        shared: handler.shared,
        rescan_ms: handler.rescan.map_or(0, milliseconds),
        removal_grace_ms: milliseconds(handler.removal_grace),
    }
}

/// Waits for the directory and the FIFO in it, opens both and announces the handler: who says that it is ready can be sure
/// that it hears the bell. What cannot be done now, for want of room for example, is tried again. `None` where it is asked
/// to stop.
fn announced(exchange: &Path, hello: &Hello, life: &Life) -> Option<(Directory, Doorbell)> {
    let mut pause = FIRST_LOOK;
    let mut said = String::new();
    loop {
        // Opened anew each time: it may be another one by now.
        let opened = Directory::open(exchange).and_then(|directory| {
            let stop = matches!(life, Life::Moved) && files::stop_asked(&directory);
            let bell = if stop { None } else { Doorbell::open(&directory)? };
            if bell.is_some() {
                if let Life::New = life {
                    files::forget_stop(&directory)?;
                }
                files::write_hello(&directory, hello)?;
            }
            Ok((directory, bell, stop))
        });
        match opened {
            Ok((_, _, true)) => return None,
            Ok((directory, Some(bell), _)) => return Some((directory, bell)),
            Ok((_, None, _)) => {}
            Err(error) => {
                let error = error.to_string();
                if error != said {
                    eprintln!("cannot announce the handler, trying again: {error}");
                    said = error;
                }
            }
        }
        doorbell::pause(pause);
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// Brings the jobs in line with the requests that are there, and the answers with the jobs.
fn take_stock(directory: &Directory, jobs: &mut Jobs) -> io::Result<()> {
    let requests = files::requests(directory)?;
    let files = files::answers(directory)?;
    let asked = |id| requests.iter().any(|(other, _)| *other == id);
    let answered = |id| files.iter().any(|file| file.is_answer && file.id == id);
    jobs.keep(asked);
    for orphan in files.iter().filter(|file| !asked(file.id)) {
        files::remove_answer(directory, orphan);
    }
    let now = Instant::now();
    for (id, path) in &requests {
        let id = *id;
        let is_full = jobs.len() == limits::REQUESTS;
        match jobs.get(id) {
            Some(job) if job.has_written() && !answered(id) => job.lost(now),
            Some(_) => {}
            None if is_full => {
                eprintln!("request {id}: passed over, there are too many");
            }
            None => match files::request(directory, path, id) {
                Ok(Some(Ok(request))) => {
                    let wait = crash::wait(directory, id).unwrap_or_default();
                    jobs.add(id, Job::new(request, now + wait));
                }
                Ok(Some(Err(invalid))) => eprintln!("request {id}: {invalid}"),
                // Gone between listing and reading: there will be a wake-up for that, too.
                Ok(None) => {}
                Err(error) => eprintln!("request {id}: {error}"),
            },
        }
    }
    Ok(())
}

/// Looks at every job that is due and writes what changed.
fn serve(handler: &Handler, directory: &Directory, jobs: &mut Jobs, discover: &mut Discover<'_>) {
    for id in jobs.due(Instant::now()) {
        let Some(job) = jobs.get(id) else { continue };
        let bytes = match job.take_pending() {
            Some(bytes) => bytes,
            None => {
                // Lent, not copied: the discovery function gets to see them through the context only.
                let context = Context::new(std::mem::take(&mut job.request.properties), directory);
                let result = crash::guarded(directory, id, || discover(&job.request, &context));
                job.request.properties = context.into_properties();
                crash::forgive(directory, id);
                checked_answer(id, result).to_json()
            }
        };
        let now = Instant::now();
        let written =
            if job.is_written(&bytes) { Ok(()) } else { files::write_answer(directory, id, &bytes) };
        match written {
            Ok(()) => job.wrote(&bytes, now, handler.rescan),
            Err(error) => {
                let again = if job.has_failed() { None } else { Some(error) };
                job.failed(bytes, now);
                if let Some(error) = again {
                    eprintln!("answer {id}: {error}; trying again until it can be written");
                }
            }
        }
    }
}

/// The answer. A device that the proxy would refuse is told to the author here, as an error that names it.
fn checked_answer(id: RequestId, result: Result<Vec<akri_exchange::Device>, Failure>) -> Answer {
    let devices = match result {
        Ok(devices) => devices,
        Err(failure) => return Answer { id, outcome: Outcome::Failed(failure) },
    };
    for device in &devices {
        if let Err(invalid) = device.check() {
            return Answer::failed(
                id,
                Failure::unavailable(format!("the handler made a bad device: {invalid}")),
            );
        }
    }
    Answer::devices(id, devices)
}
