//! An oci-archive out of a fuzzer's bytes: parts between lines of `%%`, the first is `index.json`, each other one a blob. In a part,
//! `sha256:@N` becomes the digest of the N-th part, and `"size":@N` its length.

use std::io::Write;

use tempfile::NamedTempFile;
use wasm_image::Digest;

/// Most parts that are told apart.
const MOST: usize = 10;

pub fn of_parts(bytes: &[u8]) -> NamedTempFile {
    let mut parts: Vec<Vec<u8>> = split(bytes).into_iter().take(MOST).map(<[u8]>::to_vec).collect();
    // From the last to the first: a part can name those behind it.
    for at in (0..parts.len()).rev() {
        for (number, digit) in (b'0'..=b'9').enumerate().take(parts.len()).skip(at + 1) {
            let (digest, size) = (Digest::of(&parts[number]).to_string(), parts[number].len().to_string());
            let named = replaced(&parts[at], &[b"sha256:@", &[digit][..]].concat(), digest.as_bytes());
            parts[at] = replaced(
                &named,
                &[b"\"size\":@", &[digit][..]].concat(),
                format!("\"size\":{size}").as_bytes(),
            );
        }
    }
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let mut parts = parts.into_iter();
    add(&mut archive, "index.json", &parts.next().unwrap_or_default());
    for part in parts {
        let name = Digest::of(&part).to_string().replace(':', "/");
        add(&mut archive, &format!("blobs/{name}"), &part);
    }
    file(&archive.into_inner().expect("memory takes it"))
}

/// A file of its own, where writing costs least.
pub fn file(bytes: &[u8]) -> NamedTempFile {
    let folder = if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
    let mut file = NamedTempFile::new_in(folder).expect("a temporary file can be made");
    file.write_all(bytes).expect("it can be written");
    file
}

fn add(archive: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_path(path).expect("a short path");
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append(&header, bytes).expect("memory takes it");
}

fn split(bytes: &[u8]) -> Vec<&[u8]> {
    const MARK: &[u8] = b"\n%%\n";
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        parts.push(&rest[..at]);
        rest = &rest[at + MARK.len()..];
    }
    parts.push(rest);
    parts
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
