//! Copying what a stranger wrote into a file of ours, and telling whose failure it was.

use std::fs::File;
use std::io::{self, Read, Write};

use super::ExtractError;
use super::layer_tar::LayerTar;

/// How much is copied at once.
const PIECE: usize = 64 * 1024;

/// Copies all of `input`. The outer error is the output's, the inner one the input's.
pub(super) fn all(mut input: impl Read, output: &mut impl Write) -> Result<io::Result<()>, ExtractError> {
    let mut piece = vec![0; PIECE];
    loop {
        match input.read(&mut piece) {
            Ok(0) => return Ok(Ok(())),
            Ok(count) => output.write_all(&piece[..count]).map_err(ExtractError::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Copies the content of the member that the tar is at.
pub(super) fn member<R: Read>(
    tar: &mut LayerTar<R>,
    output: &mut File,
) -> Result<io::Result<()>, ExtractError> {
    let mut content = tar.content();
    let copied = all(&mut content, output)?;
    Ok(copied.and_then(|()| content.expect_end()))
}
