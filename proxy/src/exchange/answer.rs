//! From an answer's file to a list that can be told, in memory that is bounded whatever stands in the file.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use akri_exchange::{Answer, Device, Failure, Invalid, RequestId, Stopped, limits};
use serde_json::Deserializer;

use super::dir::too_large;
use super::refusals::Refused;
use crate::list::Draft;
use crate::policy::Policy;

/// Files up to so many bytes are read whole, for JSON in memory is read twice as fast. Larger ones are read piece by piece.
const WHOLE: usize = 1024 * 1024;
/// Bytes of such a piece.
const PIECE: usize = 64 * 1024;
/// Bytes that the reader of JSON may have to keep of what comes piece by piece: a text, a number, brackets in a row. In the longest
/// text that is allowed each byte may be escaped by six.
const LONGEST: usize = 8 * limits::PROPERTY_VALUE_BYTES;

/// What a handler answered.
#[derive(Debug)]
pub(super) enum Answered {
    /// The full list.
    Devices(Draft),
    /// There is none.
    Failed(Failure),
}

/// Reads the answer to a request, checks it by the rules of the exchange and by the policy. `size` is what the file had when it
/// was opened; `draft` is empty yet.
pub(super) fn read(
    file: &File,
    size: usize,
    id: RequestId,
    policy: &Policy,
    mut draft: Draft,
) -> Result<Answered, Refused> {
    let take = |device: Device| {
        policy.check_next(draft.devices(), &device)?;
        Ok::<(), Refused>(draft.push(device)?)
    };
    let failed = Cell::new(None);
    let read = match whole(file, size).map_err(Refused::File)? {
        Some(bytes) => Answer::read(|| Deserializer::from_slice(&bytes), id, take),
        None => {
            let pieces = || {
                let pieces = Pieces { file, at: 0, passed: Passed::default(), failed: &failed };
                Deserializer::from_reader(BufReader::with_capacity(PIECE, pieces))
            };
            Answer::read(pieces, id, take)
        }
    };
    match read {
        Ok(None) => Ok(Answered::Devices(draft)),
        Ok(Some(failure)) => Ok(Answered::Failed(failure)),
        Err(Stopped::Untaken(refused)) => Err(refused),
        Err(Stopped::Invalid(invalid)) => Err(failed.take().unwrap_or(Refused::Invalid(invalid))),
    }
}

/// The bytes of a small file; `None` for one that is large, or becomes so while it is read.
fn whole(file: &File, size: usize) -> io::Result<Option<Vec<u8>>> {
    if size > WHOLE {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(size);
    file.take(WHOLE as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= WHOLE).then_some(bytes))
}

/// A large file from its beginning. What is wrong with it is kept aside, for the reader of JSON would make a text of it.
struct Pieces<'f> {
    file: &'f File,
    at: u64,
    passed: Passed,
    failed: &'f Cell<Option<Refused>>,
}

impl Pieces<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, Refused> {
        // One byte more than allowed: a file that grows while it is read is noticed, and not followed.
        let left = usize::try_from(limits::ANSWER_BYTES as u64 + 1 - self.at).unwrap_or(usize::MAX);
        let room = left.min(buffer.len());
        let read = self.file.read_at(&mut buffer[..room], self.at).map_err(Refused::File)?;
        self.at += read as u64;
        if self.at > limits::ANSWER_BYTES as u64 {
            return Err(Refused::File(too_large(limits::ANSWER_BYTES)));
        }
        self.passed.pass(&buffer[..read]).map_err(Refused::Invalid)?;
        Ok(read)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|refused| {
            self.failed.set(Some(refused));
            io::Error::other("not read on")
        })
    }
}

/// Where in JSON the bytes end that were read so far, as far as it takes to see how much the reader of JSON has to keep.
#[derive(Debug, Default)]
struct Passed {
    place: Place,
    /// Bytes since the last beginning or end of a text, comma or colon.
    run: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Outside,
    Text,
    /// In a text, behind a backslash.
    Escape,
}

impl Passed {
    fn pass(&mut self, bytes: &[u8]) -> Result<(), Invalid> {
        for byte in bytes {
            self.run += 1;
            match (self.place, byte) {
                (Place::Outside, b'"') => (self.place, self.run) = (Place::Text, 0),
                (Place::Outside, b',' | b':') => self.run = 0,
                (Place::Text, b'"') => (self.place, self.run) = (Place::Outside, 0),
                (Place::Text, b'\\') => self.place = Place::Escape,
                (Place::Escape, _) => self.place = Place::Text,
                (Place::Outside | Place::Text, _) => {}
            }
            if self.run > LONGEST {
                let (found, max) = (self.run as u64, LONGEST as u64);
                return Err(Invalid::TooMuch { what: "a part of an answer in bytes", found, max });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Room;
    use std::io::Write;

    fn draft() -> Draft {
        Draft::new(&Room::new(8 << 20), usize::MAX)
    }

    fn id() -> RequestId {
        RequestId::of("", &Default::default())
    }

    fn read_text(text: &[u8]) -> Result<Answered, Refused> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        read(&file, text.len(), id(), &Policy::default(), draft())
    }

    /// Once as it is, and once so large that it is read piece by piece, by white space between its parts.
    fn both(text: &str) -> [Result<Answered, Refused>; 2] {
        let space = " ".repeat(LONGEST - 1000);
        let long = text.replace("\"later\":0", &format!("{space}\"later\":{space}0,{space}\"more\":0"));
        assert!(long.len() > WHOLE, "the text has a field `later`");
        [read_text(text.as_bytes()), read_text(long.as_bytes())]
    }

    fn reason(answered: Result<Answered, Refused>) -> &'static str {
        answered.unwrap_err().reason()
    }

    #[test]
    fn large_files_are_read_as_small_ones_are() {
        let head = format!(r#"{{"protocol":1,"later":0,"id":"{}""#, id());
        for answered in both(&format!(
            r#"{head},"devices":[{{"id":"\"a\\","properties":{{"A":"\u00e4\""}}}},{{"id":"b"}}]}}"#
        )) {
            let Answered::Devices(read) = answered.unwrap() else { panic!("a failure") };
            let mut expected = draft();
            expected.push(Device::new("\"a\\").property("A", "ä\"")).unwrap();
            expected.push(Device::new("b")).unwrap();
            assert_eq!(read.finish(), expected.finish());
        }
        for answered in both(&format!(r#"{head},"error":{{"kind":"unavailable","message":"x"}}}}"#)) {
            assert!(matches!(answered.unwrap(), Answered::Failed(failure) if failure.message == "x"));
        }
        for (rest, expected) in [
            (r#","devices":[{"id":1}]}"#, "malformed"),
            (r#","devices":[]"#, "malformed"),
            (r#","devices":[]}x"#, "malformed"),
            (r#"}"#, "outcome"),
            (r#","devices":[{"id":"a\u0000"}]}"#, "text"),
            (r#","devices":[{"id":"a","mounts":[{"container_path":"/a","host_path":"/b"}]}]}"#, "policy"),
        ] {
            for answered in both(&format!("{head}{rest}")) {
                assert_eq!(reason(answered), expected, "{rest}");
            }
        }
        for answered in both(r#"{"later":0,"devices":[{"of":"another form"}],"protocol":2}"#) {
            assert_eq!(reason(answered), "protocol");
        }
    }

    #[test]
    fn what_would_have_to_be_kept_in_memory_is_bounded() {
        let head = format!(r#"{{"protocol":1,"id":"{}","#, id());
        for rest in [
            format!(r#""devices":[{{"id":"{}"#, "x".repeat(2 << 20)),
            format!(r#""devices":[{{"{}"#, "\\u0061".repeat(1 << 18)),
            format!(r#""{}"#, "x".repeat(2 << 20)),
            format!(r#""later":{}"#, "[".repeat(2 << 20)),
            format!(r#""later":{}"#, "9".repeat(2 << 20)),
            format!(r#""later":{}"#, " ".repeat(2 << 20)),
        ] {
            assert_eq!(reason(read_text(format!("{head}{rest}").as_bytes())), "limit");
        }
    }

    #[test]
    fn a_file_that_grew_is_not_followed() {
        let mut file = tempfile::tempfile().unwrap();
        let head = format!(r#"{{"protocol":1,"id":"{}","devices":["#, id());
        let device = format!("{}{{\"id\":\"x\"}},", " ".repeat(LONGEST / 2));
        file.write_all((head + &device.repeat(limits::ANSWER_BYTES / device.len() + 1)).as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let refused = read(&file, 100, id(), &Policy::default(), draft()).unwrap_err();
        assert_eq!(refused.reason(), "file");
        assert!(refused.to_string().contains("larger than"), "{refused}");
    }
}
