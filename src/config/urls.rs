//! The addresses of the database and of what connects the replicas. They may hold passwords, so no error and
//! no log shows them.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

use super::values::list;
use crate::secret::Secret;

/// Which database it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum DatabaseUrl {
    /// The file of a service that runs alone.
    Sqlite(PathBuf),
    /// The URL of a database that replicas can share, with the password.
    Postgres(Secret),
}

impl TryFrom<String> for DatabaseUrl {
    type Error = String;

    fn try_from(url: String) -> Result<Self, String> {
        let refused = |problem: &str| {
            Err(format!(
                "{problem}; set it to sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/NAME"
            ))
        };
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() || path == ":memory:" || path.contains('?') {
                return refused("SQLite needs the path of a file, without parameters");
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return refused("only SQLite and Postgres are supported");
        }
        match Url::parse(&url) {
            Err(_) => refused("this is no URL"),
            Ok(parsed) if parsed.path().trim_matches('/').is_empty() => {
                refused("the name of a database is missing")
            }
            Ok(_) => Ok(Self::Postgres(Secret::new(url))),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    /// Where it is, without user, password and parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                path.display().fmt(f)
            }
            Self::Postgres(url) => {
                let url = Url::parse(url.reveal()).map_err(|_| fmt::Error)?;
                f.write_str("postgres://")?;
                f.write_str(url.host_str().unwrap_or_default())?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
        }
    }
}

/// Where the bytes of media are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MediaUrl {
    /// In this folder.
    Folder(PathBuf),
    /// In S3. Credentials are those of the environment.
    S3 {
        /// The bucket.
        bucket: String,
        /// What all names begin with; may be empty.
        prefix: String,
        /// Such as `region` and `endpoint`.
        options: Vec<(String, String)>,
    },
}

impl TryFrom<String> for MediaUrl {
    type Error = &'static str;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        const FORMS: &str = "must be file://FOLDER or s3://BUCKET[/PREFIX][?region=…&endpoint=…]";
        /// Where settings are shown, they would be.
        const SECRETS: [&str; 3] = ["access_key_id", "secret_access_key", "token"];
        if let Some(folder) = url.strip_prefix("file://") {
            return if folder.is_empty() { Err(FORMS) } else { Ok(Self::Folder(folder.into())) };
        }
        let parsed = Url::parse(&url).ok().filter(|url| url.scheme() == "s3");
        let parsed = parsed.filter(|url| url.username().is_empty() && url.password().is_none());
        let parsed = parsed.ok_or(FORMS)?;
        let bucket = parsed.host_str().filter(|bucket| !bucket.is_empty()).ok_or(FORMS)?.to_owned();
        let options: Vec<_> = parsed.query_pairs().into_owned().collect();
        if options.iter().any(|(key, _)| SECRETS.iter().any(|secret| key.ends_with(secret))) {
            return Err("must not hold credentials; set AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY in the environment");
        }
        let prefix = parsed.path().trim_matches('/').to_owned();
        Ok(Self::S3 { bucket, prefix, options })
    }
}

impl fmt::Display for MediaUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => {
                let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                folder.display().fmt(f)
            }
            Self::S3 { bucket, prefix, .. } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// What connects the replicas.
#[derive(Clone, PartialEq, Eq)]
pub enum BusKind {
    /// Nothing: there is one process.
    Local,
    /// These instances of Redis, in this order.
    Redis(Vec<Url>),
}

impl fmt::Debug for BusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("Local"),
            Self::Redis(urls) => write!(f, "Redis({})", urls.len()),
        }
    }
}

impl<'de> Deserialize<'de> for BusKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let urls: Vec<String> = list(deserializer)?;
        if urls.is_empty() {
            return Err(D::Error::custom("at least one URL is needed"));
        }
        if urls == ["memory://"] {
            return Ok(Self::Local);
        }
        let urls = urls.iter().map(|url| Url::parse(url).ok());
        let urls = urls.map(|url| url.filter(|url| url.scheme() == "redis" && url.has_host()));
        urls.collect::<Option<_>>().map(Self::Redis).ok_or_else(|| {
            D::Error::custom(
                "set it to memory://, to redis://[:PASSWORD@]HOST[:PORT], or to a list of such; \
                 a comma in a password is written %2C",
            )
        })
    }
}
