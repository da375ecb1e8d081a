//! Compresses the files of the pages, and makes cargo build again when a migration is added: all are compiled in.

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
};

use brotli::{CompressorWriter, enc::BrotliEncoderParams};
use flate2::{Compression, write::GzEncoder};

const DIST: &str = "miniprogram/web/dist";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed={DIST}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    for entry in fs::read_dir(DIST)? {
        let entry = entry?;
        let file = fs::read(entry.path())?;
        let name = entry.file_name().into_string().map_err(|_| io::ErrorKind::InvalidData)?;
        let to = |coding| fs::File::create(out.join(format!("{name}.{coding}")));
        CompressorWriter::with_params(to("br")?, 4096, &BrotliEncoderParams::default())
            .write_all(&file)?;
        GzEncoder::new(to("gz")?, Compression::best()).write_all(&file)?;
    }
    Ok(())
}
