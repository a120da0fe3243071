//! A handler that does whatever a seed says, all of it bad: whatever it writes, the proxy stays up and within its memory, the
//! last good list stands, and another job is served as quickly as ever.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use akri_exchange::{Device, DeviceSpec, Mount, RequestId, limits};
use rustix::fs::{CWD, FileType, mknodat};

use crate::support::{Agent, Place, Process, Script, discover, program};

/// Rounds; each is one bad thing and one good answer of another job.
const ROUNDS: usize = 300;
/// What the proxy may have resident beside what it had before, in bytes. None of what is refused here is kept.
const MEMORY: u64 = 6 << 20;
/// Longer than another job's answer ever has to wait for what is refused meanwhile, on a machine that is busy otherwise.
const LATENCY: Duration = Duration::from_secs(2);

/// SplitMix64: the same seed does the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ mixed >> 27) % bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Something that is no good answer to `id`.
fn bad(dice: &mut Dice, handler: &Script, id: RequestId, outside: &Path) {
    let head = format!("{{\"protocol\":1,\"id\":\"{id}\",\"devices\":");
    match dice.below(16) {
        0 => handler.in_place_of(id, |path| symlink(outside, path).unwrap()),
        1 => {
            handler.in_place_of(id, |path| std::fs::hard_link(outside, path).unwrap());
            // Renaming one link of a file over another does nothing, and leaves both.
            let _ = std::fs::remove_file(outside.parent().unwrap().with_file_name("x").join(".odd"));
        }
        2 => handler.in_place_of(id, |path| mknodat(CWD, path, FileType::Fifo, 0o666.into(), 0).unwrap()),
        3 => handler.in_place_of(id, |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
        4 => handler.in_place_of(id, |path| {
            std::fs::File::create(path).unwrap().set_len(10 << 30).unwrap();
        }),
        5 => {
            let depth = 1 + dice.below(500_000);
            handler.raw(id, format!("{head}{}", "[".repeat(depth)).as_bytes());
        }
        6 => handler
            .raw(id, format!("{head}[{{\"id\":{}}}]}}", "9".repeat(1 + dice.below(100_000))).as_bytes()),
        7 => handler.raw(id, format!("{head}[],\"devices\":[]}}").as_bytes()),
        8 => {
            let mut bytes = akri_exchange::Answer::devices(id, vec![Device::new("ä".repeat(50))]).to_json();
            let at = dice.below(bytes.len());
            bytes[at] ^= 0x80;
            handler.raw(id, &bytes);
        }
        9 => {
            let bytes = akri_exchange::Answer::devices(id, vec![Device::new("x"); 3]).to_json();
            handler.raw(id, &bytes[..dice.below(bytes.len())]);
        }
        // A million devices: more than the file may have bytes, or more than there may be.
        10 => {
            let count = dice.pick(&[limits::DEVICES + 1, 100_000, 1_000_000]);
            handler
                .raw(id, format!("{head}[{}{{\"id\":\"a\"}}]}}", "{\"id\":\"a\"},".repeat(count)).as_bytes());
        }
        11 => {
            let name = dice.pick(&["a\nb", "a\0b", "\u{1b}[2J", "\u{7f}", "\u{85}"]);
            handler.devices(id, vec![Device::new(name)]);
        }
        12 => {
            let name = dice.pick(&["A=B", "", "1A", "A B", "A\0", "Ä", "A\n"]);
            handler.devices(id, vec![Device::new("x").property(name, "")]);
        }
        13 => {
            let path = dice.pick(&[
                "/dev/../etc/shadow",
                "/dev//sda",
                "/dev/./sda",
                "dev/sda",
                "/etc",
                "/devil",
                "/",
            ]);
            let spec = DeviceSpec {
                container_path: "/dev/x".into(),
                host_path: path.into(),
                permissions: dice.pick(&["r", "rwm", "rwx", ""]).into(),
            };
            handler.devices(id, vec![Device { device_specs: vec![spec], ..Device::new("x") }]);
        }
        14 => {
            let path = dice.pick(&["/", "/etc", "/dev/shm", "/var/lib/kubelet", "/../etc"]);
            let mount = Mount { container_path: "/x".into(), host_path: path.into(), read_only: true };
            handler.devices(id, vec![Device { mounts: vec![mount], ..Device::new("x") }]);
        }
        _ => {
            // A flood of answers that nobody asked for.
            for n in 0..dice.below(200) {
                handler.raw(RequestId::of(&n.to_string(), &Default::default()), b"whatever");
            }
        }
    }
}

#[tokio::test]
async fn whatever_it_writes_the_last_list_stands_and_others_are_served() {
    let seed = std::env::var("HOSTILE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    eprintln!("seed {seed} (HOSTILE_SEED chooses another)");
    let mut dice = Dice(seed);
    let place = Place::new();
    let outside = place.akri().join("outside");
    let mut agent = Agent::start(&place.akri());
    let proxy = Process::start(program(&place).arg("serve"));
    let handler = Script::start(&place.exchange()).await;
    let endpoint = agent.registered().await.endpoint;
    let streams = async { (discover(&endpoint, "a: 1").await, discover(&endpoint, "b: 2").await) };
    let ((mut victim, mut other), (bad_id, good_id)) = tokio::join!(streams, async {
        // One after the other, for the second Discover waits for the first one's headers.
        let (first, _) = handler.request().await;
        handler.list(first, &["good"]);
        let both = handler.requests(2).await;
        let (second, _) = both.into_iter().find(|(id, _)| *id != first).unwrap();
        handler.list(second, &["0"]);
        (first, second)
    });
    for stream in [&mut victim, &mut other] {
        stream.next().await;
        stream.next().await;
    }
    // What the link leads to would be a good answer, if it were taken; it is another one's in its place by hard link too.
    std::fs::write(&outside, b"not an answer").unwrap();
    let before = proxy.memory("VmRSS");
    let mut slowest = Duration::ZERO;
    for round in 1..=ROUNDS {
        bad(&mut dice, &handler, bad_id, &outside);
        let expected = round.to_string();
        let began = Instant::now();
        handler.list(good_id, &[&expected]);
        while other.next().await != [expected.as_str()] {}
        slowest = slowest.max(began.elapsed());
        assert!(
            proxy.memory("VmRSS") < before + MEMORY,
            "round {round}: {} kB",
            proxy.memory("VmRSS") / 1024
        );
    }
    eprintln!(
        "slowest answer of the other job: {slowest:?}; most memory below {} kB",
        (before + MEMORY) / 1024
    );
    assert!(slowest < LATENCY, "{slowest:?}");
    victim.stays_silent().await;
    handler.list(bad_id, &["good", "again"]);
    assert_eq!(victim.next().await, ["good", "again"]);
    let said = proxy.said.lock().unwrap().clone();
    assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "control characters in the log");
}

/// Wake-ups that nobody asked for: the handler can write into its own FIFO, too.
#[tokio::test]
async fn a_fifo_that_the_handler_fills_itself_holds_nobody_up() {
    let place = Place::new();
    let mut agent = Agent::start(&place.akri());
    let _proxy = Process::start(program(&place).arg("serve"));
    let handler = Script::start(&place.exchange()).await;
    let endpoint = agent.registered().await.endpoint;
    let wake = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
    let fifo = rustix::fs::open(place.exchange().join("wake"), wake, rustix::fs::Mode::empty()).unwrap();
    while rustix::io::write(&fifo, &[b'r'; 4096]).is_ok() {}
    let (mut lists, id) = tokio::join!(discover(&endpoint, "a: 1"), async {
        let (id, _) = handler.request().await;
        handler.list(id, &["x"]);
        id
    });
    assert_eq!(lists.next().await, ["x"]);
    handler.list(id, &["y"]);
    while lists.next().await != ["y"] {}
}

/// An announced name chooses a socket, but never one that somebody else's proxy holds.
#[tokio::test]
async fn an_announced_name_takes_no_other_handlers_socket() {
    let (node, evil) = (Place::new(), Place::new());
    let mut agent = Agent::start(&node.akri());
    let _honest = Process::start(program(&node).arg("serve"));
    let _handler = Script::start(&node.exchange()).await;
    let honest = agent.registered().await.endpoint;
    let mut command = program(&evil);
    command.env("DISCOVERY_HANDLERS_DIRECTORY", node.akri()).args(["serve", "--name", "auto"]);
    let _thief = Process::start(&mut command);
    let _script = Script::start_named(&evil.exchange(), "debugEcho", "1.0").await;
    let second = agent.registered().await.endpoint;
    assert_ne!(honest, second);
    assert!(std::os::unix::net::UnixStream::connect(&honest).is_ok());
}
