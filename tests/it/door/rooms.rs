//! Who can reach what is behind the door, and who imports whom: read from the source.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The source files below a folder, by their paths.
fn source(folder: &Path) -> BTreeMap<PathBuf, String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| {
        if path.is_dir() {
            source(&path)
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            BTreeMap::from([(path, text)])
        }
    });
    files.collect()
}

/// The files below `src/`, but for those below `but`, that have this text outside their unit tests.
fn having(text: &str, but: &str) -> Vec<String> {
    let files = source(Path::new("src")).into_iter();
    let having = files.filter(|(path, source)| {
        let program = source.split("#[cfg(test)]").next().unwrap_or_default();
        !path.starts_with(but) && program.contains(text)
    });
    having.map(|(path, _)| path.display().to_string()).collect()
}

#[test]
fn messaging_alone_commits_chats() {
    // The composition root makes the batcher, and closes it.
    assert_eq!(having("Batcher", "src/store"), ["src/app.rs", "src/messaging/mod.rs"]);
    assert_eq!(having("batcher.enqueue(", "src/store"), ["src/messaging/sending.rs"]);
    assert_eq!(having("store.append(", "src/store"), [""; 0]);
}

#[test]
fn admission_imports_only_what_is_below_it() {
    for (path, text) in source(Path::new("src/admission")) {
        for above in ["messaging", "delivery", "http", "ws", "app", "service", "accounts"] {
            for import in [format!("crate::{above}"), format!("    {above}::")] {
                assert!(!text.contains(&import), "{}: {import}", path.display());
            }
        }
    }
}
