//! What the trial runs: a module, a native program, and what holds a pod's namespaces. Small enough to be in this very
//! program, so that a trial needs no network and no registry.

use crate::facts::Arch;

/// The module: says hello and its first argument. From `programs/hello.wat`.
pub(super) const HELLO: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello.wasm"));

/// Where the one segment is loaded: any page but the first ones will do.
const BASE: u64 = 0x40_0000;
/// Length of ELF header and one program header. <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>
const HEADERS: u64 = 64 + 56;

/// A native program that writes its first argument to its standard output, and ends with 0.
pub(super) fn sidecar(arch: Arch) -> Option<Vec<u8>> {
    Some(match arch {
        Arch::Amd64 => elf(
            62,
            &[
                &[0x48, 0x8b, 0x74, 0x24, 0x10][..], // mov rsi, [rsp+16]: the first argument
                &[0x31, 0xd2],                       // xor edx, edx: its length
                &[0x80, 0x3c, 0x16, 0x00],           // next: cmp byte [rsi+rdx], 0
                &[0x74, 0x05],                       // je found
                &[0x48, 0xff, 0xc2],                 // inc rdx
                &[0xeb, 0xf5],                       // jmp next
                &[0xbf, 1, 0, 0, 0],                 // found: mov edi, 1: standard output
                &[0xb8, 1, 0, 0, 0],                 // mov eax, 1: write
                &[0x0f, 0x05],                       // syscall
                &[0x31, 0xff],                       // xor edi, edi
                &[0xb8, 231, 0, 0, 0],               // mov eax, 231: exit_group
                &[0x0f, 0x05],                       // syscall
            ]
            .concat(),
        ),
        Arch::Arm64 => elf(
            183,
            &words(&[
                0xf940_0be1, // ldr x1, [sp, #16]: the first argument
                0xd280_0002, // mov x2, #0: its length
                0x3862_6823, // next: ldrb w3, [x1, x2]
                0x3400_0063, // cbz w3, found
                0x9100_0442, // add x2, x2, #1
                0x17ff_fffd, // b next
                0xd280_0020, // found: mov x0, #1: standard output
                0xd280_0808, // mov x8, #64: write
                0xd400_0001, // svc #0
                0xd280_0000, // mov x0, #0
                0xd280_0bc8, // mov x8, #94: exit_group
                0xd400_0001, // svc #0
            ]),
        ),
        Arch::Other => return None,
    })
}

/// A native program that waits for ever.
pub(super) fn pause(arch: Arch) -> Option<Vec<u8>> {
    Some(match arch {
        Arch::Amd64 => elf(
            62,
            &[
                &[0xb8, 34, 0, 0, 0][..], // again: mov eax, 34: pause
                &[0x0f, 0x05],            // syscall
                &[0xeb, 0xf7],            // jmp again
            ]
            .concat(),
        ),
        Arch::Arm64 => elf(
            183,
            &words(&[
                0xd280_0000, // again: mov x0, #0
                0xd280_0001, // mov x1, #0
                0xd280_0002, // mov x2, #0
                0xd280_0003, // mov x3, #0
                0xd280_0928, // mov x8, #73: ppoll, of nothing, without end
                0xd400_0001, // svc #0
                0x17ff_fffa, // b again
            ]),
        ),
        Arch::Other => return None,
    })
}

fn words(instructions: &[u32]) -> Vec<u8> {
    instructions.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A static executable of one segment, which begins with its first instruction.
fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    let length = HEADERS + code.len() as u64;
    // 64 bits, little-endian, version 1.
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(2u16.to_le_bytes()); // an executable
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for word in [BASE + HEADERS, 64, 0] {
        file.extend(word.to_le_bytes()); // entry, program headers, no section headers
    }
    file.extend(0u32.to_le_bytes());
    for short in [64u16, 56, 1, 64, 0, 0] {
        file.extend(short.to_le_bytes());
    }
    file.extend(1u32.to_le_bytes()); // to be loaded,
    file.extend(5u32.to_le_bytes()); // read and executed
    for word in [0, BASE, BASE, length, length, 0x1_0000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    fn program(bytes: &[u8]) -> tempfile::TempPath {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
        file.into_temp_path()
    }

    #[test]
    fn the_sidecar_says_its_argument() {
        let path = program(&sidecar(Arch::own()).unwrap());
        let output = Command::new(&path).arg("a word\n").output().unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"a word\n"[..]));
    }

    #[test]
    fn pause_waits() {
        let path = program(&pause(Arch::own()).unwrap());
        let mut child = Command::new(&path).stdin(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(ended, None);
    }
}
