//! The two processes of a server.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use url::Url;

use super::{CompareArgs, Contender, contender::Start, stack::Stack};

/// How long a server may take to listen, and to end.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const PROCESSES: usize = 2;

/// Processes of one server. Dropping them kills them.
pub(super) struct Servers {
    processes: Vec<Child>,
    pub(super) urls: Vec<Url>,
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
        let start = contender.start(args, &url, stack.redis_url());
        let mut servers = Self { processes: Vec::new(), urls: Vec::new() };
        for number in 1..=PROCESSES {
            let log = args.stack.join("logs").join(format!("{database}-{number}.log"));
            servers.processes.push(spawn(&start, &log)?);
            let process = servers.processes.last_mut().expect("it was put there");
            servers.urls.push(listens(process, &log).await?);
        }
        Ok(servers)
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().filter_map(Child::id)
    }

    /// Ends them: as they end by themselves, or by force.
    pub(super) async fn end(mut self) {
        for process in &self.processes {
            let pid = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(pid) = pid {
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

fn spawn(start: &Start<'_>, log: &Path) -> anyhow::Result<Child> {
    let Start { program, arguments, folder, environment } = start;
    // A name without a folder is looked for on the PATH; another is a file from here on.
    let path: PathBuf = if program.components().count() > 1 {
        program.canonicalize().with_context(|| format!("{} is not there", program.display()))?
    } else {
        program.to_path_buf()
    };
    let output = File::create(log).with_context(|| log.display().to_string())?;
    Command::new(&path)
        .args(arguments)
        .current_dir(folder)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| path.display().to_string())
}

/// Waits until a process says where it listens.
async fn listens(process: &mut Child, log: &Path) -> anyhow::Result<Url> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let said = text.lines().find_map(|line| line.split_once(" listens on "));
        // A line that is being written is not whole yet.
        if let Some((_, url)) = said.filter(|_| text.ends_with('\n')) {
            return url.parse().with_context(|| format!("`{url}`"));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Start<'_> {
        let (program, folder) = (Path::new("sh"), Path::new("."));
        Start { program, arguments: vec!["-c", script], folder, environment: vec![("WHO", "it")] }
    }

    #[tokio::test]
    async fn a_server_says_where_it_listens_or_why_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = "echo begins; echo $WHO listens on http://127.0.0.1:7; exec sleep 600";
        let mut process = spawn(&shell(script), &log).unwrap();
        let url = listens(&mut process, &log).await.unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:7/");
        let servers = Servers { processes: vec![process], urls: vec![url] };
        timeout(PATIENCE, servers.end()).await.expect("SIGTERM ends it");

        let mut process = spawn(&shell("echo no database >&2; exit 3"), &log).unwrap();
        let why = listens(&mut process, &log).await.unwrap_err().to_string();
        assert!(why.contains('3') && why.ends_with("no database"), "{why}");
    }
}
