//! The names in the exchange directory. Each stands here once; nothing else spells them.

use crate::RequestId;

/// Where the shared directory is mounted in both containers unless configured otherwise.
pub const DEFAULT_DIRECTORY: &str = "/exchange";
/// The handler's announcement, written by the handler when it is ready.
pub const HELLO: &str = "handler.json";
/// The FIFO that wakes the handler. Made by the proxy, last of all: once it is there, so are the folders.
pub const WAKE: &str = "wake";
/// Folder of folders: one for each proxy, with its live requests.
pub const REQUESTS: &str = "requests";
/// Folder of the handler's answers.
pub const ANSWERS: &str = "answers";
/// Folder that people and tests write to, and that handlers may read.
pub const INPUTS: &str = "inputs";
/// Its presence asks the handler to leave; written by the last live proxy.
pub const STOP: &str = "stop";
/// In each proxy's folder of requests: flocked for as long as that proxy lives.
pub const LOCK: &str = "lock";
/// A name that begins so is a file still being written: readers pass over it.
pub const TEMPORARY_PREFIX: char = '.';
/// The ending of request and answer files.
pub const MESSAGE_SUFFIX: &str = ".json";

/// The file name of a request or of its answer.
///
/// ```
/// # use akri_exchange::{layout, RequestId};
/// let id = RequestId::of("", &Default::default());
/// assert_eq!(layout::request_id(&layout::message(id)), Some(id));
/// ```
pub fn message(id: RequestId) -> String {
    format!("{id}{MESSAGE_SUFFIX}")
}

/// The id in the name of a request or answer file; `None` for any other name.
pub fn request_id(file_name: &str) -> Option<RequestId> {
    file_name.strip_suffix(MESSAGE_SUFFIX)?.parse().ok()
}

/// The name under which a file is written before it is renamed to `name`. One writer per name: the writer's own mark
/// keeps two writers of one name apart.
pub fn temporary(name: &str, writer: &str) -> String {
    format!("{TEMPORARY_PREFIX}{name}.{writer}")
}

/// The folder of proxy number `index` below [`REQUESTS`].
pub fn proxy_folder(index: u32) -> String {
    format!("proxy-{index}")
}
