//! Runs the blocks of a document that are marked `sh`, in one shell.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::Value;

use super::DEADLINE;

/// The file with what a tour prints.
pub const OUTPUT: &str = "printed";

/// Printed between two blocks.
const MARK: &str = "-- the next block --";

/// The blocks that are marked `sh`. Those that build or fetch something are `console`.
pub fn blocks(document: &str) -> Vec<&str> {
    document.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// The commands of a document, which are the same in every language.
pub fn commands(document: &str) -> String {
    let lines = blocks(document).join("\n");
    lines.lines().filter(|line| !line.starts_with("echo")).collect::<Vec<_>>().join("\n")
}

/// Runs a document's blocks in this folder, each text of `instead` replaced. Returns what each block printed.
pub fn run(home: &Path, document: &str, instead: &[(&str, &str)]) -> Vec<String> {
    let mut script = blocks(document).join(&format!("\necho '{MARK}'\n"));
    for (text, other) in instead {
        assert!(script.contains(text), "{text}");
        script = script.replace(text, other);
    }
    let output = run_script(home, &format!("set -eu\n{script}\n"));
    output.split(&format!("{MARK}\n")).map(str::to_owned).collect()
}

/// Runs a script with the shell; it must succeed, and in time.
fn run_script(home: &Path, script: &str) -> String {
    let [out, err] = [OUTPUT, "errors"].map(|name| home.join(name));
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .current_dir(home)
        .env("PYTHONUTF8", "1")
        // Of its own, so that what it has started ends with it.
        .process_group(0)
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = shell.try_wait().unwrap() {
            break Some(status);
        }
        if begun.elapsed() > DEADLINE {
            break None;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    // Nothing is left of it if it went well.
    let group = format!("-{}", shell.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    shell.wait().unwrap();
    let [out, err] = [out, err].map(|path| std::fs::read_to_string(path).unwrap());
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{out}\n{err}");
    assert_eq!(err, "", "{out}");
    out
}

/// The JSON that a block printed, whether or not each began a line: two programs print at once.
pub fn json(block: &str) -> Vec<Value> {
    let lines: String = block.lines().filter(|line| line.starts_with(['{', '['])).collect();
    serde_json::Deserializer::from_str(&lines).into_iter().map(Result::unwrap).collect()
}
