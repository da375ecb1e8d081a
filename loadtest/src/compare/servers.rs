//! The processes of a server.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use url::Url;

use super::{CompareArgs, Contender, contender::Start, stack::Stack};

/// How long a server may take to listen, and to end.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Processes of one server. Dropping them kills them, and what they started.
pub(super) struct Servers {
    processes: Vec<Child>,
    pub(super) urls: Vec<Url>,
    /// Where chats are read back, if not there.
    pub(super) pages: Option<Url>,
}

impl Servers {
    /// Starts them one after the other and waits until they listen.
    pub(super) async fn start(
        contender: Contender,
        args: &CompareArgs,
        stack: &Stack,
        database: &str,
    ) -> anyhow::Result<Self> {
        let url = stack.database_url(database);
        let start = contender.start(args, &url, stack.redis_url())?;
        let mut servers = Self { processes: Vec::new(), urls: Vec::new(), pages: None };
        for number in 1..=contender.processes() {
            let log = args.stack.join("logs").join(format!("{database}-{number}.log"));
            servers.processes.push(spawn(&start, args.server_cores.as_deref(), &log)?);
            let process = servers.processes.last_mut().expect("it was put there");
            let (url, pages) = listens(process, &log).await?;
            servers.urls.push(url);
            servers.pages = pages;
        }
        Ok(servers)
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().filter_map(Child::id)
    }

    /// Ends them: as they end by themselves, or by force.
    pub(super) async fn end(mut self) {
        for process in &self.processes {
            if let Some(pid) = pid_of(process) {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        for process in &mut self.processes {
            if timeout(PATIENCE, process.wait()).await.is_err() {
                let _ = process.kill().await;
            }
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for pid in self.processes.iter().filter_map(pid_of) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Unless it has ended.
fn pid_of(process: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process.id()?).ok()?)
}

/// On these cores, if any are named.
fn spawn(start: &Start<'_>, cores: Option<&str>, log: &Path) -> anyhow::Result<Child> {
    let Start { program, arguments, folder, environment } = start;
    // A name without a folder is looked for on the PATH; another is a file from here on.
    let path: PathBuf = if program.components().count() > 1 {
        program.canonicalize().with_context(|| format!("{} is not there", program.display()))?
    } else {
        program.clone()
    };
    let output = File::create(log).with_context(|| log.display().to_string())?;
    let mut command = match cores {
        Some(cores) => {
            // It becomes what it starts, so the process is the server's.
            let mut command = Command::new("taskset");
            command.args(["-c", cores]).arg(&path);
            command
        }
        None => Command::new(&path),
    };
    command
        .args(arguments)
        .current_dir(folder)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| path.display().to_string())
}

/// Waits until a process says where it listens; before that it says where chats are read back, if not there.
async fn listens(process: &mut Child, log: &Path) -> anyhow::Result<(Url, Option<Url>)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        // A line that is being written is not whole yet.
        if text.ends_with('\n')
            && let Some(url) = said(&text, " listens on ")?
        {
            return Ok((url, said(&text, " reads back on ")?));
        }
        if let Some(status) = process.try_wait()? {
            let last: Vec<_> = text.lines().rev().take(3).collect();
            bail!(
                "it ended with {status}: {}",
                last.into_iter().rev().collect::<Vec<_>>().join(" / ")
            );
        }
        if Instant::now() > deadline {
            bail!("it does not listen after {} s", PATIENCE.as_secs());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The URL after these words.
fn said(text: &str, words: &str) -> anyhow::Result<Option<Url>> {
    let url = text.lines().find_map(|line| line.split_once(words)).map(|(_, url)| url);
    url.map(|url| url.parse().with_context(|| format!("`{url}`"))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Start<'static> {
        Start {
            program: "sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            folder: Path::new("."),
            environment: vec![("WHO", "it".to_owned())],
        }
    }

    #[tokio::test]
    async fn a_server_says_where_it_listens_or_why_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = "echo begins; echo $WHO reads back on http://127.0.0.1:8; \
                      echo $WHO listens on http://127.0.0.1:7; exec sleep 600";
        let mut process = spawn(&shell(script), None, &log).unwrap();
        let (url, pages) = listens(&mut process, &log).await.unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:7/");
        assert_eq!(pages.as_ref().map(Url::as_str), Some("http://127.0.0.1:8/"));
        let servers = Servers { processes: vec![process], urls: vec![url], pages };
        timeout(PATIENCE, servers.end()).await.expect("SIGTERM ends it");

        let mut process = spawn(&shell("echo no database >&2; exit 3"), None, &log).unwrap();
        let why = listens(&mut process, &log).await.unwrap_err().to_string();
        assert!(why.contains('3') && why.ends_with("no database"), "{why}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_server_has_the_cores_that_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = "exec grep Cpus_allowed_list /proc/self/status";
        let mut process = spawn(&shell(script), Some("0"), &log).unwrap();
        assert!(process.wait().await.unwrap().success());
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.split_whitespace().last(), Some("0"), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_a_server_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = "sleep 600 & echo $!; echo it listens on http://127.0.0.1:7; wait";
        let mut process = spawn(&shell(script), None, &log).unwrap();
        let (url, pages) = listens(&mut process, &log).await.unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        // Empty once it has ended, even before anybody waited for it.
        let command = format!("/proc/{}/cmdline", text.lines().next().unwrap());
        assert_ne!(std::fs::read_to_string(&command).unwrap(), "");
        drop(Servers { processes: vec![process], urls: vec![url], pages });
        let deadline = Instant::now() + PATIENCE;
        while !std::fs::read_to_string(&command).unwrap_or_default().is_empty() {
            assert!(Instant::now() < deadline, "what it started goes on");
            sleep(LOOK_EVERY).await;
        }
    }
}
