//! Files that pages refer to, each under the version of its content.

use axum::{
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use crate::protocol::fault::{ApiError, ErrorCode};

const FOR_EVER: &str = "public, max-age=31536000, immutable";
pub(super) const ASK_AGAIN: &str = "no-cache";

/// A file that the build of `miniprogram/web` made, and what `build.rs` made of it.
#[derive(Clone, Copy)]
pub(super) struct Built {
    plain: &'static [u8],
    brotli: &'static [u8],
    gzip: &'static [u8],
}

/// All of them, by name.
static BUILT: &[(&str, Built)] = include!(concat!(env!("OUT_DIR"), "/dist.rs"));

/// A file that the program does not work without.
///
/// # Panics
///
/// If the build has no such file.
pub(super) fn built(name: &str) -> Built {
    let found = BUILT.iter().find(|(each, _)| *each == name);
    found.unwrap_or_else(|| panic!("the page was built without {name}")).1
}

/// The type of a file that a page may refer to, by the end of its name.
fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "png" => Some("image/png"),
        _ => None,
    }
}

/// The files of some pages, and what these may do.
pub(super) struct Assets {
    policy: &'static str,
    files: Vec<File>,
}

struct File {
    name: &'static str,
    content_type: &'static str,
    built: Built,
    /// The query under which a page asks for it.
    version: String,
}

impl Assets {
    /// The files whose names are `wanted`, all served with this content security policy; never a page, which has a
    /// route of its own.
    pub(super) fn new(policy: &'static str, wanted: fn(&str) -> bool) -> Self {
        let file = |&(name, built): &(&'static str, Built)| {
            let content_type = content_type(name).filter(|_| wanted(name))?;
            let digest = Sha256::digest(built.plain);
            let bytes = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
            let version = format!("v={}", bytes.collect::<String>());
            Some(File { name, content_type, built, version })
        };
        Self { policy, files: BUILT.iter().filter_map(file).collect() }
    }

    /// A page.
    pub(super) fn page(&self, asked: &HeaderMap, built: &Built) -> Response {
        self.served(asked, "text/html; charset=utf-8", ASK_AGAIN, built)
    }

    /// A file of the pages. Under the version that it has it may be kept for ever; while replicas differ in
    /// their version, an answer for another one may not.
    pub(super) fn file(
        &self,
        asked: &HeaderMap,
        name: &str,
        query: Option<&str>,
    ) -> Result<Response, ApiError> {
        let found = self.files.iter().find(|file| file.name == name);
        let file =
            found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no such file"))?;
        let caching = if query == Some(&*file.version) { FOR_EVER } else { ASK_AGAIN };
        Ok(self.served(asked, file.content_type, caching, &file.built))
    }

    fn served(
        &self,
        asked: &HeaderMap,
        content_type: &'static str,
        caching: &'static str,
        built: &Built,
    ) -> Response {
        let headers = [
            (header::CONTENT_TYPE, content_type),
            (header::CONTENT_SECURITY_POLICY, self.policy),
            (header::CACHE_CONTROL, caching),
            (header::VARY, "accept-encoding"),
        ];
        if takes(asked, "br") {
            (headers, [(header::CONTENT_ENCODING, "br")], built.brotli).into_response()
        } else if takes(asked, "gzip") {
            (headers, [(header::CONTENT_ENCODING, "gzip")], built.gzip).into_response()
        } else {
            (headers, built.plain).into_response()
        }
    }
}

/// Whether the client names this coding, and not with a weight of 0: RFC 9110, 12.5.3.
fn takes(asked: &HeaderMap, coding: &str) -> bool {
    let lists = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse();
        name.trim().eq_ignore_ascii_case(coding) && weight.is_ok_and(|weight: f32| weight > 0.0)
    })
}
