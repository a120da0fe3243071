//! Compiles Akri's protocol in Rust alone: no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/discovery.proto");
    let descriptors = protox::compile(["proto/discovery.proto"], ["proto"])?;
    // In the order of their names, so that equal devices are equal bytes.
    tonic_prost_build::configure().btree_map(".v0.Device.properties").compile_fds(descriptors)?;
    Ok(())
}
