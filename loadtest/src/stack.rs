//! A stack that runs, `./dev stack up`, as its folder tells of it.

use std::{env, fs, io, path::PathBuf, process::Stdio};

use tokio::process::Command;
use url::Url;

use crate::measure::{Pid, Watched};

/// A stack in its folder: `pids/NAME`, `logs/NAME.log`, `nginx/port`, and `script`, which starts what
/// ended.
#[derive(Clone, Debug)]
pub struct Stack {
    folder: PathBuf,
    names: Vec<String>,
}

/// What is wrong with a stack.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    #[error("no stack runs in {}; start one: ./dev stack up", .0.display())]
    NotThere(PathBuf),
    #[error("the stack has no `{name}`, but: {}", .known.join(", "))]
    Unknown { name: String, known: Vec<String> },
    #[error("{0} does not run")]
    NotRunning(String),
    #[error("{0} could not be started again: {1}")]
    Start(String, String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Stack {
    /// Where `./dev stack` keeps it unless it is told otherwise: as `IMSERVER_STACK` says, or in /tmp.
    pub fn usual_folder() -> PathBuf {
        env::var_os("IMSERVER_STACK").map_or_else(
            || {
                env::temp_dir()
                    .join(format!("imserver-stack-{}", rustix::process::getuid().as_raw()))
            },
            PathBuf::from,
        )
    }

    /// The stack in this folder.
    pub fn open(folder: PathBuf) -> Result<Self, StackError> {
        let Ok(notes) = fs::read_dir(folder.join("pids")) else {
            return Err(StackError::NotThere(folder));
        };
        let mut names = Vec::new();
        for note in notes {
            names.extend(note?.file_name().into_string());
        }
        // By number within a kind: imserver-2 before imserver-10.
        names.sort_by_key(|name| (name.len(), name.clone()));
        Ok(Self { folder, names })
    }

    /// Its processes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Its processes as they are looked at.
    pub fn watched(&self) -> Vec<Watched> {
        let pid = |name: &str| Pid::In(self.folder.join("pids").join(name));
        self.names.iter().map(|name| Watched::new(name, pid(name))).collect()
    }

    /// Where the replicas are, in the order of their numbers.
    pub fn replicas(&self) -> Vec<Url> {
        let replicas = self.names.iter().filter(|name| name.starts_with("imserver-"));
        replicas.filter_map(|name| self.address(name)).collect()
    }

    /// As the replica says it when it starts.
    fn address(&self, name: &str) -> Option<Url> {
        let log = self.log(name)?;
        let said = log.lines().filter(|line| line.starts_with("imserver "));
        said.filter_map(|line| line.split_once(" listens on ")?.1.parse().ok()).next_back()
    }

    /// Where a replica shows its metrics.
    pub fn metrics(&self, name: &str) -> Option<Url> {
        let log = self.log(name)?;
        let said = log.lines().filter_map(|line| line.trim_start().strip_prefix("metrics "));
        said.filter_map(|url| url.trim().parse().ok()).next_back()
    }

    fn log(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join("logs").join(format!("{name}.log"))).ok()
    }

    /// Where nginx is, if the stack has one.
    pub fn balancer(&self) -> Option<Url> {
        let port = fs::read_to_string(self.folder.join("nginx/port")).ok()?;
        format!("http://127.0.0.1:{}", port.trim()).parse().ok()
    }

    /// Errs if there is no process of this name.
    pub fn know(&self, name: &str) -> Result<(), StackError> {
        if self.names.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(StackError::Unknown { name: name.to_owned(), known: self.names.clone() })
    }

    /// The process of this name, if it runs. The note says when it was started too, so that nobody else is
    /// taken for it who got its id later.
    pub async fn pid(&self, name: &str) -> Result<u32, StackError> {
        let not_running = || StackError::NotRunning(name.to_owned());
        let note = fs::read_to_string(self.folder.join("pids").join(name))?;
        let (pid, started) = note.trim().split_once(' ').ok_or_else(not_running)?;
        if started_at(pid).await?.as_deref() != Some(started.trim()) {
            return Err(not_running());
        }
        pid.parse().map_err(|_| not_running())
    }

    /// Starts a process again, where it was and as it was, and waits until it takes connections.
    pub async fn start(&self, name: &str) -> Result<(), StackError> {
        let output = Command::from(self.starting(name)?).output().await?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(StackError::Start(name.to_owned(), said))
    }

    /// The command that starts a process again.
    pub fn starting(&self, name: &str) -> Result<std::process::Command, StackError> {
        use std::os::unix::process::CommandExt;

        let script = fs::read_to_string(self.folder.join("script"))?;
        let mut command = std::process::Command::new(script.trim());
        // In a group of its own: Ctrl-C in a terminal goes to this program, which then undoes its faults.
        command.args(["start", name]).env("IMSERVER_STACK", &self.folder).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(command)
    }
}

/// When the process of this id was started, as the stack notes it; none if it has ended.
#[cfg(target_os = "linux")]
#[expect(clippy::unused_async, reason = "elsewhere a program is asked")]
async fn started_at(pid: &str) -> io::Result<Option<String>> {
    let process = pid.parse().ok().and_then(|pid| procfs::process::Process::new(pid).ok());
    let stat = process.and_then(|process| process.stat().ok()).filter(|stat| stat.state != 'Z');
    Ok(stat.map(|stat| stat.starttime.to_string()))
}

#[cfg(not(target_os = "linux"))]
async fn started_at(pid: &str) -> io::Result<Option<String>> {
    let ps = Command::new("ps").args(["-o", "stat=,lstart=", "-p", pid]).output().await?;
    let said = String::from_utf8_lossy(&ps.stdout);
    let (state, started) = said.trim().split_once(' ').unwrap_or_default();
    Ok((!state.is_empty() && !state.starts_with('Z')).then(|| started.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stack_is_read_from_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        assert!(matches!(Stack::open(path.clone()), Err(StackError::NotThere(_))));
        for folder in ["pids", "logs", "nginx"] {
            fs::create_dir(path.join(folder)).unwrap();
        }
        for name in ["imserver-10", "redis", "imserver-2", "nginx"] {
            fs::write(path.join("pids").join(name), "1 never\n").unwrap();
        }
        let log =
            "imserver 0.1.0 listens on http://127.0.0.1:1\n  metrics http://127.0.0.1:2/metrics\n
            imserver 0.1.0 listens on http://127.0.0.1:3\n";
        let log: Vec<_> = log.lines().map(str::trim_start).collect();
        fs::write(path.join("logs/imserver-2.log"), log.join("\n")).unwrap();
        fs::write(path.join("nginx/port"), "4\n").unwrap();
        let stack = Stack::open(path.clone()).unwrap();
        assert_eq!(stack.names(), ["nginx", "redis", "imserver-2", "imserver-10"]);
        assert_eq!(stack.replicas(), ["http://127.0.0.1:3".parse().unwrap()]);
        assert_eq!(
            stack.metrics("imserver-2"),
            Some("http://127.0.0.1:2/metrics".parse().unwrap())
        );
        assert_eq!(stack.metrics("redis"), None);
        assert_eq!(stack.balancer(), Some("http://127.0.0.1:4".parse().unwrap()));
        let watched = stack.watched();
        assert_eq!(watched[1], Watched::new("redis", Pid::In(path.join("pids/redis"))));
        // Process 1 runs, but it was not started then.
        assert!(matches!(stack.pid("redis").await, Err(StackError::NotRunning(_))));
        let error = stack.know("postgres").unwrap_err().to_string();
        assert_eq!(
            error,
            "the stack has no `postgres`, but: nginx, redis, imserver-2, imserver-10"
        );
    }
}
