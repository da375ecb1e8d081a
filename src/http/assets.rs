//! Files that pages refer to, each under the version of its content.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use crate::protocol::fault::{ApiError, ErrorCode};

const FOR_EVER: &str = "public, max-age=31536000, immutable";
pub(super) const ASK_AGAIN: &str = "no-cache";

pub(super) const STYLE: &str = "text/css; charset=utf-8";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A text that the build of `miniprogram/web` made.
macro_rules! built {
    ($name:literal) => {
        include_str!(concat!("../../miniprogram/web/dist/", $name))
    };
}
pub(super) use built;

/// The files of some pages, and what these may do.
pub(super) struct Assets {
    policy: &'static str,
    files: Vec<File>,
}

struct File {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
    /// The query under which a page asks for it.
    version: String,
}

impl Assets {
    /// Files by name, type and text, all served with this content security policy.
    pub(super) fn new(
        policy: &'static str,
        files: &[(&'static str, &'static str, &'static str)],
    ) -> Self {
        let file = |&(name, content_type, text)| {
            let digest = Sha256::digest(text);
            let bytes = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
            let version = format!("v={}", bytes.collect::<String>());
            File { name, content_type, text, version }
        };
        Self { policy, files: files.iter().map(file).collect() }
    }

    /// A page.
    pub(super) fn page(&self, text: &'static str) -> Response {
        self.served("text/html; charset=utf-8", ASK_AGAIN, text)
    }

    /// A file of the pages. Under the version that it has it may be kept for ever; while replicas differ in
    /// their version, an answer for another one may not.
    pub(super) fn file(&self, name: &str, query: Option<&str>) -> Result<Response, ApiError> {
        let found = self.files.iter().find(|file| file.name == name);
        let file =
            found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no such file"))?;
        let caching = if query == Some(&*file.version) { FOR_EVER } else { ASK_AGAIN };
        Ok(self.served(file.content_type, caching, file.text))
    }

    fn served(
        &self,
        content_type: &'static str,
        caching: &'static str,
        text: &'static str,
    ) -> Response {
        let headers = [
            (header::CONTENT_TYPE, content_type),
            (header::CONTENT_SECURITY_POLICY, self.policy),
            (header::CACHE_CONTROL, caching),
        ];
        (headers, text).into_response()
    }
}
