//! Compresses the files of the pages and lists them, and makes cargo build again when a migration is added: all are
//! compiled in.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use brotli::{CompressorWriter, enc::BrotliEncoderParams};
use flate2::{Compression, write::GzEncoder};

const DIST: &str = "miniprogram/web/dist";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed={DIST}");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut rows = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir(root.join(DIST))?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    for path in paths {
        let file = fs::read(&path)?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or(io::ErrorKind::InvalidData)?;
        let [brotli, gzip] = ["br", "gz"].map(|coding| out.join(format!("{name}.{coding}")));
        CompressorWriter::with_params(
            fs::File::create(&brotli)?,
            4096,
            &BrotliEncoderParams::default(),
        )
        .write_all(&file)?;
        GzEncoder::new(fs::File::create(&gzip)?, Compression::best()).write_all(&file)?;
        let (plain, brotli, gzip) = (included(&path)?, included(&brotli)?, included(&gzip)?);
        rows.push(format!(
            "({name:?}, Built {{ plain: {plain}, brotli: {brotli}, gzip: {gzip} }})"
        ));
    }
    fs::write(out.join("dist.rs"), format!("&[{}]", rows.join(",\n")))
}

/// The expression for the bytes of a file.
fn included(path: &Path) -> io::Result<String> {
    let path = path.to_str().ok_or(io::ErrorKind::InvalidData)?;
    Ok(format!("include_bytes!({path:?})"))
}
