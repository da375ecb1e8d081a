//! File descriptors: as many as the system lets the process have. Each socket is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// With fewer than this, the service turns clients away long before it is busy.
const ENOUGH: u64 = 8_192;

/// Raises the soft limit to the hard one, and says so if that is little.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None` is no limit.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = &raised {
        tracing::warn!(%error, "the limit of file descriptors was not raised");
    }
    let now = if raised.is_ok() { maximum } else { current };
    match now {
        Some(limit) if limit < ENOUGH => tracing::warn!(
            limit,
            "few file descriptors, and each socket is one; raise the hard limit (ulimit -Hn, \
             LimitNOFILE=)"
        ),
        limit => tracing::debug!(limit, "file descriptors"),
    }
}

/// How many the process may have now.
pub fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}
