//! Who takes part: people who log in, or those of a file of tokens.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use phone::{target::Target, wire::Person};

/// What people are called, with a number, unless there is a reason for another name.
pub const NAME: &str = "load";

/// How many log in at once.
const AT_ONCE: usize = 32;

#[derive(Deserialize)]
struct Login {
    token: String,
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: i64,
}

/// By which login people are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// The server takes them at their word.
    Demo,
    /// By login codes of WeChat, for a server whose `wechat.base_url` is a stub.
    Wechat,
}

impl Way {
    /// The route and the body of the login of somebody called so.
    fn request(self, name: &str) -> (&'static str, Value) {
        match self {
            Self::Demo => ("/v1/login/demo", json!({"name": name})),
            Self::Wechat => ("/v1/login/wechat", json!({"code": name})),
        }
    }
}

/// Logs people in as `NAME 0`, `NAME 1` and so on. The names are the same in each run, so that a database does not
/// fill up with people.
pub async fn log_in(
    http: &reqwest::Client,
    targets: &[Target],
    name: &str,
    users: u32,
    way: Way,
) -> anyhow::Result<Vec<Person>> {
    let logins = (0..users).map(async |number| {
        let target = &targets[number as usize % targets.len()];
        let (route, body) = way.request(&format!("{name} {number}"));
        let request = http.post(target.at(route)).json(&body);
        let answer = request.send().await.context("the login failed")?;
        match answer.status().as_u16() {
            200 => {}
            404 => bail!(
                "the server has no such login; give a file of `USER_ID TOKEN` lines: --tokens FILE"
            ),
            429 => bail!(
                "the server limits logins; start it with IMSERVER__LIMITS__ENABLED=false, or give a \
                 file of tokens: --tokens FILE"
            ),
            status => bail!("the login of a new person was answered with {status}"),
        }
        let Login { token, user } = answer.json().await.context("the answer to a login")?;
        Ok(Person { id: user.id, token })
    });
    stream::iter(logins).buffered(AT_ONCE).try_collect().await
}

/// Reads `USER_ID TOKEN` lines.
pub fn read_tokens(path: &Path, users: u32) -> anyhow::Result<Vec<Person>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let people: Vec<_> = lines
        .map(|(number, line)| {
            // The line is not shown: it holds a secret.
            let bad = || format!("{}:{}: not `USER_ID TOKEN`", path.display(), number + 1);
            let (id, token) = line.trim().split_once(char::is_whitespace).with_context(bad)?;
            Ok(Person { id: id.parse().with_context(bad)?, token: token.trim().to_owned() })
        })
        .collect::<anyhow::Result<_>>()?;
    ensure!(
        people.len() >= users as usize,
        "{} has {} people, {users} are needed: say --users {}",
        path.display(),
        people.len(),
        people.len(),
    );
    Ok(people.into_iter().take(users as usize).collect())
}

/// People of a server that takes anybody at their word.
pub fn numbered(users: u32) -> Vec<Person> {
    (1..=i64::from(users)).map(|id| Person { id, token: String::new() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_tokens_is_read_and_its_faults_are_named_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "7 abc\n\n 8\tdef \n").unwrap();
        let people = read_tokens(&path, 2).unwrap();
        assert_eq!((people[0].id, people[1].token.as_str()), (7, "def"));
        let error = read_tokens(&path, 3).err().unwrap().to_string();
        assert!(error.contains("has 2 people, 3 are needed"), "{error}");
        std::fs::write(&path, "7 abc\nsecret\n").unwrap();
        let error = format!("{:#}", read_tokens(&path, 1).err().unwrap());
        assert!(error.contains(":2: not `USER_ID TOKEN`") && !error.contains("secret"), "{error}");
    }
}
