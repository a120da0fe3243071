//! The exchange directory as the handler sees it: what it reads and what it writes there. No file is ever written in place.

use std::io;

use akri_exchange::{Hello, InputName, Invalid, Request, RequestId, layout, limits};

use crate::directory::Directory;

/// The writer's mark on temporary names; a handler is alone on its side.
const WRITER: &str = "handler";
/// The mark on the names of crash markers.
const CRASHES: &str = "crashes";

/// How a device list begins in an answer of this SDK.
const LIST: &[u8] = b"\"devices\":[";

/// A file among the answers.
pub(crate) struct AnswerFile {
    /// Which job it belongs to.
    pub(crate) id: RequestId,
    /// Whether it is the answer itself; else it is a temporary or a crash marker, which readers pass over.
    pub(crate) is_answer: bool,
    path: String,
}

/// Ids of all requests that are there, whichever proxy asks, with where to read them. What two proxies ask is there twice.
/// Where a folder cannot be listed the error is told: no job may end because of a reading error.
pub(crate) fn requests(directory: &Directory) -> io::Result<Vec<(RequestId, String)>> {
    let mut found = Vec::new();
    for proxy in directory.names(layout::REQUESTS)?.unwrap_or_default() {
        let folder = within(layout::REQUESTS, &proxy);
        let names = match directory.names(&folder) {
            Ok(Some(names)) => names,
            Err(error) if error.kind() != io::ErrorKind::NotADirectory => return Err(error),
            // It vanished while we looked, for its proxy left; or a stray file among the folders, which is none of ours.
            _ => continue,
        };
        found
            .extend(names.iter().filter_map(|name| Some((layout::request_id(name)?, within(&folder, name)))));
    }
    Ok(found)
}

/// Reads one request; `None` where it is gone by now.
pub(crate) fn request(
    directory: &Directory,
    path: &str,
    id: RequestId,
) -> io::Result<Option<Result<Request, Invalid>>> {
    // One byte more than may be: the message's own check then refuses it.
    let bytes = directory.read(path, limits::REQUEST_BYTES + 1)?;
    Ok(bytes.map(|bytes| Request::parse(&bytes, id)))
}

/// What is in the folder of answers, that of requests long gone too.
pub(crate) fn answers(directory: &Directory) -> io::Result<Vec<AnswerFile>> {
    let mut files = Vec::new();
    for name in directory.names(layout::ANSWERS)?.unwrap_or_default() {
        let hidden = name.strip_prefix(layout::TEMPORARY_PREFIX);
        let id = match hidden {
            Some(hidden) => hidden.split('.').next().and_then(|id| id.parse().ok()),
            None => layout::request_id(&name),
        };
        if let Some(id) = id {
            files.push(AnswerFile { id, is_answer: hidden.is_none(), path: within(layout::ANSWERS, &name) });
        }
    }
    Ok(files)
}

/// Whether an answer with a device list is there, from an earlier life of this handler perhaps.
/// The SDK wrote it, so its first bytes tell; reading the whole of it would cost every handler the code for that.
pub(crate) fn has_list(directory: &Directory, id: RequestId) -> bool {
    const HEAD: usize = 256;
    let head = directory.read(&within(layout::ANSWERS, &layout::message(id)), HEAD);
    head.is_ok_and(|head| head.is_some_and(|head| head.windows(LIST.len()).any(|part| part == LIST)))
}

/// Writes an answer's bytes.
pub(crate) fn write_answer(directory: &Directory, id: RequestId, bytes: &[u8]) -> io::Result<()> {
    let name = layout::message(id);
    let temporary = within(layout::ANSWERS, &layout::temporary(&name, WRITER));
    write(directory, &temporary, &within(layout::ANSWERS, &name), bytes)
}

/// Removes what a request left that nobody asks any more.
pub(crate) fn remove_answer(directory: &Directory, file: &AnswerFile) {
    // What cannot be removed now shows again at the next look.
    let _ = directory.remove(&file.path);
}

/// Announces the handler.
pub(crate) fn write_hello(directory: &Directory, hello: &Hello) -> io::Result<()> {
    write(directory, &layout::temporary(layout::HELLO, WRITER), layout::HELLO, &hello.to_json())
}

/// Takes the announcement back: this handler leaves of its own will.
pub(crate) fn remove_hello(directory: &Directory) {
    // On the way out there is nobody left to tell.
    let _ = directory.remove(layout::HELLO);
}

/// Whether the handler is asked to leave.
pub(crate) fn stop_asked(directory: &Directory) -> bool {
    directory.length(layout::STOP).is_ok_and(|length| length.is_some())
}

/// Removes a `stop` that was meant for an earlier life of this handler.
pub(crate) fn forget_stop(directory: &Directory) -> io::Result<()> {
    directory.remove(layout::STOP)
}

/// Reads an input; `None` where there is none or too much of it.
pub(crate) fn read_input(directory: &Directory, name: &InputName) -> Option<Vec<u8>> {
    let bytes = directory.read(&within(layout::INPUTS, name.as_str()), limits::INPUT_BYTES + 1).ok()??;
    (bytes.len() <= limits::INPUT_BYTES).then_some(bytes)
}

/// How often in a row a job crashed; `None` where it did not. The marker's length: a number would be a parser more.
pub(crate) fn crashes(directory: &Directory, id: RequestId) -> Option<u64> {
    directory.length(&crash_marker(id)).ok()?
}

/// Notes how often in a row a job crashed.
pub(crate) fn write_crashes(directory: &Directory, id: RequestId, crashes: u32) -> io::Result<()> {
    directory.write(&crash_marker(id), &vec![b'.'; crashes as usize])
}

/// No crash is held against a job any more.
pub(crate) fn remove_crashes(directory: &Directory, id: RequestId) {
    // Most jobs never crashed, so most often there is nothing to remove.
    let _ = directory.remove(&crash_marker(id));
}

/// What is read or watched has to be of the right kind.
pub(crate) fn no_file() -> io::Error {
    io::Error::other("not a regular file")
}

/// The same, of `wake`.
pub(crate) fn no_fifo() -> io::Error {
    io::Error::other("`wake` is not a FIFO: remove it, the proxy makes it")
}

fn crash_marker(id: RequestId) -> String {
    within(layout::ANSWERS, &layout::temporary(&id.to_string(), CRASHES))
}

fn within(folder: &str, name: &str) -> String {
    format!("{folder}/{name}")
}

/// Writes a file whole: under a temporary name, then renamed.
fn write(directory: &Directory, temporary: &str, path: &str, bytes: &[u8]) -> io::Result<()> {
    let written = directory.write(temporary, bytes).and_then(|()| directory.rename(temporary, path));
    if written.is_err() {
        // Half a file helps nobody and takes room, of which there may be too little.
        let _ = directory.remove(temporary);
    }
    written
}
