//! How long building, pushing and pulling an image of a 3 MB module takes, beside the tools that others use and a floor: the
//! same bytes by bare HTTP. Every figure is the median of as many pairs, ours and theirs in turn, and so is every ratio; what
//! starts a process counts in both. Then peak memory with a blob of 1 GB. Prints; judges nothing.
//!
//! `cargo bench --package wasm-image --bench peers`; needs docker-registry, skopeo, umoci, buildah (Debian packages; oras
//! named by ORAS). A tool that is missing is said and left out.
#![allow(clippy::unwrap_used, reason = "a measurement that fails has nothing to print")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use image_peers::large::{Noise, peak, write_program};
use image_peers::{DockerRegistry, Guard};

/// Pairs for each figure.
const PAIRS: usize = 15;
/// The module's length in bytes, near enough.
const MODULE: usize = 3_000_000;
/// The length of the blob for the memory figures, in bytes.
const LARGE: u64 = 1 << 30;
const WASM_IMAGE: &str = env!("CARGO_BIN_EXE_wasm-image");

fn main() {
    // `cargo test --benches` only wants to know that it can be built.
    if env::args().any(|argument| argument == "--test") {
        return;
    }
    let bench = Bench::new();
    println!(
        "Images: medians of {PAIRS} pairs, ours and theirs in turn; ratio = theirs / ours, so more than 1 is faster than they are"
    );
    bench.build();
    let Some(docker_registry) = tool("docker-registry") else { return };
    let registry = DockerRegistry::start(&docker_registry, Guard::Open).unwrap();
    bench.push(&registry);
    bench.pull(&registry);
    bench.memory(&registry);
}

struct Bench {
    folder: tempfile::TempDir,
    module: PathBuf,
    layout: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("large.wasm");
        fs::write(&module, module_of(MODULE)).unwrap();
        let layout = folder.path().join("layout");
        let bench = Self { folder, module, layout };
        ours(&["build", text(&bench.module), "--tag", "localhost/large:v1", "--output", text(&bench.layout)]);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A module becomes an image layout of one platform's manifest or more; ours has three.
    fn build(&self) {
        let output = self.path("built");
        let mine = || {
            remove(&output);
            let began = Instant::now();
            ours(&["build", text(&self.module), "--tag", "localhost/large:v1", "--output", text(&output)]);
            began.elapsed().as_secs_f64()
        };
        if let Some(buildah) = tool("buildah") {
            let storage = [
                "--root".to_owned(),
                self.path("storage").display().to_string(),
                "--runroot".to_owned(),
                self.path("run").display().to_string(),
                "--storage-driver".to_owned(),
                "vfs".to_owned(),
            ];
            let step = |args: &[&str]| {
                let all: Vec<&str> = storage.iter().map(String::as_str).chain(args.iter().copied()).collect();
                run(&buildah, &all).trim().to_owned()
            };
            compare("build 3 MB", "buildah", &mine, &|_| {
                let output = self.path("buildah-out");
                remove(&output);
                let began = Instant::now();
                let container = step(&["from", "scratch"]);
                step(&["copy", "--quiet", &container, text(&self.module), "/large.wasm"]);
                step(&["config", "--entrypoint", r#"["/large.wasm"]"#, &container]);
                step(&["commit", "--quiet", "--rm", &container, &format!("oci:{}:v1", output.display())]);
                began.elapsed().as_secs_f64()
            });
        }
        if let Some(umoci) = tool("umoci") {
            compare("build 3 MB", "umoci", &mine, &|_| {
                let output = self.path("umoci-out");
                remove(&output);
                let image = format!("{}:v1", output.display());
                let began = Instant::now();
                run(&umoci, &["init", "--layout", text(&output)]);
                run(&umoci, &["new", "--image", &image]);
                run(&umoci, &["insert", "--rootless", "--image", &image, text(&self.module), "/large.wasm"]);
                run(&umoci, &["config", "--image", &image, "--config.entrypoint", "/large.wasm"]);
                began.elapsed().as_secs_f64()
            });
        }
    }

    fn push(&self, registry: &DockerRegistry) {
        let address = &registry.address;
        let cold = |who: &str, pair: usize| format!("{address}/cold/{who}:v{pair}");
        // A repository that was never there: a registry links blobs by repository.
        let name = |who: &str, peer: &str, pair: usize| format!("{address}/cold/{who}-{peer}-{pair}:v1");
        for again in [false, true] {
            let what = if again { "push 3 MB again" } else { "push 3 MB cold" };
            let target =
                |who: &str, peer: &str, pair: usize| if again { cold(who, 0) } else { name(who, peer, pair) };
            let mine = |peer: &str, pair: usize| {
                timed(|| {
                    drop(ours(&[
                        "push",
                        "--plain-http",
                        "--quiet",
                        text(&self.layout),
                        &target("ours", peer, pair),
                    ]))
                })
            };
            if again {
                mine("", 0);
            }
            for (peer, program) in peers_of_registries() {
                let push = |pair: usize| {
                    let reference = target(peer, peer, pair);
                    match peer {
                        "skopeo" => timed(|| {
                            drop(run(
                                &program,
                                &[
                                    "--insecure-policy",
                                    "copy",
                                    "--quiet",
                                    "--all",
                                    "--dest-tls-verify=false",
                                    &format!("oci:{}:v1", self.layout.display()),
                                    &format!("docker://{reference}"),
                                ],
                            ))
                        }),
                        _ => timed(|| {
                            drop(run(
                                &program,
                                &[
                                    "copy",
                                    "--no-tty",
                                    "--to-plain-http",
                                    "--from-oci-layout",
                                    &format!("{}:v1", self.layout.display()),
                                    &reference,
                                ],
                            ))
                        }),
                    }
                };
                if again {
                    push(0);
                }
                compare_pairs(what, peer, &|pair| mine(peer, pair), &push);
            }
            if !again {
                let documents = Documents::of(&self.layout);
                compare_pairs(what, "bare HTTP upload", &|pair| mine("floor", pair), &|pair| {
                    timed(|| documents.upload(address, &format!("cold/bare-{pair}")))
                });
            }
        }
    }

    fn pull(&self, registry: &DockerRegistry) {
        let reference = format!("{}/pulled:v1", registry.address);
        ours(&["push", "--plain-http", "--quiet", text(&self.layout), &reference]);
        let output = self.path("pulled");
        let mine = |_: usize| {
            remove(&output);
            timed(|| drop(ours(&["pull", "--plain-http", "--quiet", &reference, "--output", text(&output)])))
        };
        for (peer, program) in peers_of_registries() {
            let to = self.path("pulled-theirs");
            compare_pairs("pull 3 MB", peer, &mine, &|_| {
                remove(&to);
                match peer {
                    "skopeo" => timed(|| {
                        drop(run(
                            &program,
                            &[
                                "--insecure-policy",
                                "copy",
                                "--quiet",
                                "--all",
                                "--src-tls-verify=false",
                                &format!("docker://{reference}"),
                                &format!("oci:{}:v1", to.display()),
                            ],
                        ))
                    }),
                    _ => timed(|| {
                        drop(run(
                            &program,
                            &[
                                "copy",
                                "--no-tty",
                                "--from-plain-http",
                                "--to-oci-layout",
                                &reference,
                                &format!("{}:v1", to.display()),
                            ],
                        ))
                    }),
                }
            });
        }
    }

    /// Peak resident memory of each command with one blob of a gigabyte.
    fn memory(&self, registry: &DockerRegistry) {
        let binary = self.path("large");
        write_program(&binary, LARGE).unwrap();
        let layout = self.path("large-layout");
        let reference = format!("{}/large:v1", registry.address);
        println!(
            "\npeak memory with a file of 1 GiB (bytes that gzip cannot shrink), maximum resident set of the process"
        );
        let show = |what: &str, args: &[&str]| {
            let mut command = Command::new(WASM_IMAGE);
            println!("  {what:<24} {:>6.1} MB", peak(command.args(args)).unwrap() as f64 / 1e6);
        };
        show(
            "build",
            &["build", "--native", text(&binary), "--tag", "localhost/large:v1", "--output", text(&layout)],
        );
        show("push", &["push", "--plain-http", "--quiet", text(&layout), &reference]);
        let pulled = self.path("large-pulled");
        show("pull", &["pull", "--plain-http", "--quiet", &reference, "--output", text(&pulled)]);
        let copied = format!("{}/large-copy:v1", registry.address);
        show("copy to another tag", &["copy", "--plain-http", "--quiet", &reference, &copied]);
        show("inspect", &["inspect", text(&pulled)]);
    }
}

/// The clients of registries that are there.
fn peers_of_registries() -> Vec<(&'static str, PathBuf)> {
    ["skopeo", "oras"].into_iter().filter_map(|name| Some((name, tool(name)?))).collect()
}

/// Where the tool is, if it is.
fn tool(name: &str) -> Option<PathBuf> {
    let found = env::var_os(name.to_uppercase()).map(PathBuf::from).or_else(|| {
        env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
    });
    if found.is_none() {
        println!("  {name} is not in PATH: not compared with");
    }
    found
}

fn compare(what: &str, peer: &str, mine: &dyn Fn() -> f64, theirs: &dyn Fn(usize) -> f64) {
    compare_pairs(what, peer, &|_| mine(), theirs);
}

/// Measures pairs and prints medians, and the median of the pairs' ratios.
fn compare_pairs(what: &str, peer: &str, mine: &dyn Fn(usize) -> f64, theirs: &dyn Fn(usize) -> f64) {
    // The first is not counted: files and programs come from the disk.
    let pairs: Vec<(f64, f64)> = (0..=PAIRS).map(|pair| (mine(pair), theirs(pair))).skip(1).collect();
    let ours = median(pairs.iter().map(|pair| pair.0));
    let others = median(pairs.iter().map(|pair| pair.1));
    let ratio = median(pairs.iter().map(|pair| pair.1 / pair.0));
    println!(
        "  {what:<16} ours {:>7.1} ms   {peer:<17}{:>7.1} ms   ratio {ratio:>5.2}",
        ours * 1e3,
        others * 1e3
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn timed(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

fn ours(args: &[&str]) -> String {
    run(Path::new(WASM_IMAGE), args)
}

fn run(program: &Path, args: &[&str]) -> String {
    let ran = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(ran.status.success(), "{} {args:?}: {}", program.display(), String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A valid module whose data is half repeated and half not, as code is for a compressor.
fn module_of(length: usize) -> Vec<u8> {
    let mut noise = Noise(7);
    let mut data = String::with_capacity(length * 3);
    for number in 0..length {
        let byte = if number % 2 == 0 { 0x20 } else { noise.byte() };
        data.push_str(&format!("\\{byte:02x}"));
    }
    wat::parse_str(format!(
        r#"(module (memory (export "memory") 64) (func (export "_start")) (data (i32.const 0) "{data}"))"#
    ))
    .unwrap()
}

/// All that a layout's image consists of, ready to be sent.
struct Documents {
    blobs: Vec<(String, Vec<u8>)>,
}

impl Documents {
    fn of(layout: &Path) -> Self {
        let entries = fs::read_dir(layout.join("blobs/sha256")).unwrap();
        let blobs = entries.map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        });
        Self { blobs: blobs.collect() }
    }

    /// One connection, one request after another, and nothing but what an upload needs.
    fn upload(&self, address: &str, repository: &str) {
        let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
        stream.get_ref().set_nodelay(true).unwrap();
        for (hex, bytes) in &self.blobs {
            let path = format!("/v2/{repository}/blobs/uploads/");
            let location = exchange(
                &mut stream,
                &format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n"),
                &[],
                "202",
            );
            let path = location.split_once(address).map_or(location.as_str(), |(_, path)| path);
            let head = format!(
                "PUT {path}&digest=sha256:{hex} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            );
            exchange(&mut stream, &head, bytes, "201");
        }
    }
}

/// Sends a request and reads the answer to its end; its Location.
fn exchange(stream: &mut BufReader<TcpStream>, head: &str, body: &[u8], expected: &str) -> String {
    stream.get_mut().write_all(head.as_bytes()).unwrap();
    stream.get_mut().write_all(body).unwrap();
    let (mut location, mut length) = (String::new(), 0);
    for number in 0.. {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim_end();
        assert!(number > 0 || line.contains(expected), "{head}: {line}");
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "location" => location = value.to_owned(),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
    }
    std::io::copy(&mut stream.take(length), &mut std::io::sink()).unwrap();
    location
}

fn remove(path: &Path) {
    if path.exists() {
        fs::remove_dir_all(path).unwrap();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
