//! Reads a module section by section, so that a large one is never in memory whole.

use std::io::Read;

use wasmparser::{BinaryReaderError, Chunk, Parser, Payload, WasmFeatures};

use super::{CORE_HEADER, MAGIC, ModuleError};

/// The least that is read at once.
const MIN_READ: usize = 64 * 1024;
/// The most that is read at once. A section's announced length is not believed: only bytes that came take memory.
pub(super) const MAX_READ: usize = 1024 * 1024;

/// Hands each piece of a module to `take`, which says true at its end; returns how many bytes it had.
pub(super) fn read(
    input: &mut impl Read,
    features: WasmFeatures,
    mut take: impl FnMut(&Payload<'_>) -> Result<bool, ModuleError>,
) -> Result<u64, ModuleError> {
    let mut buffer = read_header(input)?;
    let mut start = 0;
    let mut size = 0;
    let mut eof = false;
    let mut parser = Parser::new(0);
    parser.set_features(features);
    loop {
        match parser.parse(&buffer[start..], eof).map_err(invalid)? {
            Chunk::NeedMoreData(hint) => {
                buffer.drain(..start);
                start = 0;
                eof = fill(input, &mut buffer, hint)?;
            }
            Chunk::Parsed { payload, consumed } => {
                size += consumed as u64;
                if take(&payload)? {
                    return Ok(size);
                }
                start += consumed;
            }
        }
    }
}

/// The first bytes, checked by hand: the commonest mistakes deserve a better message than "bad magic".
fn read_header(input: &mut impl Read) -> Result<Vec<u8>, ModuleError> {
    let mut header = Vec::with_capacity(MIN_READ);
    input.take(CORE_HEADER.len() as u64).read_to_end(&mut header)?;
    if header == CORE_HEADER {
        return Ok(header);
    }
    if !header.starts_with(MAGIC) {
        let text = header.trim_ascii_start();
        let is_text = text.starts_with(b"(") || text.starts_with(b";;");
        return Err(if is_text { ModuleError::Text } else { ModuleError::NotWasm });
    }
    match header[MAGIC.len()..] {
        // The last two bytes are the layer: 1 is the component model.
        [_, _, 1, 0] => Err(ModuleError::Component),
        [a, b, c, d] => Err(ModuleError::Version(u32::from_le_bytes([a, b, c, d]))),
        _ => Err(ModuleError::NotWasm),
    }
}

/// Appends what the parser asked for, within bounds; true when the input has ended.
fn fill(input: &mut impl Read, buffer: &mut Vec<u8>, hint: usize) -> Result<bool, ModuleError> {
    let wanted = hint.clamp(MIN_READ, MAX_READ) as u64;
    Ok((input.take(wanted).read_to_end(buffer)? as u64) < wanted)
}

pub(super) fn invalid(error: BinaryReaderError) -> ModuleError {
    ModuleError::Invalid(Box::new(error))
}
