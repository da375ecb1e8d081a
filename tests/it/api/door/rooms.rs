//! Who can reach what is behind the door, and who imports whom: read from the source.

use std::{
    collections::{BTreeMap, BTreeSet},
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

/// The rooms of `src/` from the lowest up, each with those that it imports. `app` and `cli` put them together,
/// and may import any.
const ROOMS: &[(&str, &[&str])] = &[
    ("breaker", &[]),
    ("clock", &[]),
    ("coalescer", &[]),
    ("descriptors", &[]),
    ("drain", &[]),
    ("output", &[]),
    ("picture", &[]),
    ("public_addresses", &[]),
    ("recent", &[]),
    ("redis", &[]),
    ("secret", &[]),
    ("signing", &[]),
    ("avatar", &["picture"]),
    ("domain", &["clock"]),
    ("http_client", &["public_addresses"]),
    ("identity", &["clock", "domain", "http_client", "secret"]),
    ("healthcheck", &["http_client"]),
    ("protocol", &["clock", "domain"]),
    ("store", &["clock", "coalescer", "domain"]),
    ("checks", &["breaker", "domain", "protocol", "store"]),
    ("wechat", &["checks", "domain", "http_client", "secret"]),
    ("wechat_texts", &["checks", "store", "wechat"]),
    ("config", &["domain", "identity", "secret", "signing", "store", "wechat"]),
    ("telemetry", &["config", "output"]),
    ("bus", &["domain", "protocol", "redis"]),
    ("presence", &["clock", "domain", "redis"]),
    ("hub", &["domain", "protocol"]),
    ("limits", &["domain", "redis"]),
    ("auth", &["clock", "domain", "store"]),
    ("jobs", &["domain", "store"]),
    ("wechat_events", &["clock", "jobs", "store", "wechat"]),
    ("media", &["clock", "config", "domain", "jobs", "limits", "picture", "protocol", "store"]),
    ("export", &["clock", "domain", "media", "protocol", "store"]),
    ("delivery", &["bus", "clock", "domain", "hub", "media", "presence", "protocol", "store"]),
    ("standing", &["clock", "coalescer", "domain", "protocol", "recent", "store"]),
    (
        "admission",
        &[
            "breaker",
            "checks",
            "clock",
            "coalescer",
            "domain",
            "limits",
            "media",
            "protocol",
            "recent",
            "signing",
            "standing",
            "store",
        ],
    ),
    (
        "messaging",
        &[
            "admission",
            "bus",
            "checks",
            "clock",
            "delivery",
            "domain",
            "hub",
            "presence",
            "protocol",
            "standing",
            "store",
        ],
    ),
    (
        "accounts",
        &[
            "auth", "avatar", "checks", "domain", "identity", "limits", "protocol", "standing",
            "store", "wechat",
        ],
    ),
    ("admin", &["auth", "domain", "protocol", "store"]),
    (
        "moderation",
        &["accounts", "clock", "domain", "jobs", "messaging", "protocol", "standing", "store"],
    ),
    (
        "media_checks",
        &[
            "admission",
            "checks",
            "clock",
            "domain",
            "jobs",
            "media",
            "moderation",
            "protocol",
            "store",
            "wechat",
            "wechat_events",
        ],
    ),
    (
        "outbox",
        &["clock", "config", "domain", "http_client", "jobs", "media", "public_addresses", "store"],
    ),
    ("subscribe", &["domain", "jobs", "outbox", "presence", "store"]),
    (
        "api_errors",
        &["domain", "limits", "outbox", "presence", "protocol", "store", "wechat", "wechat_events"],
    ),
    ("revocation", &["auth", "delivery", "store"]),
    ("trimming", &["clock", "domain", "jobs", "store"]),
    (
        "service",
        &[
            "accounts",
            "admin",
            "auth",
            "bus",
            "clock",
            "config",
            "delivery",
            "drain",
            "export",
            "limits",
            "media",
            "messaging",
            "moderation",
            "outbox",
            "presence",
            "redis",
            "store",
            "subscribe",
            "wechat_events",
        ],
    ),
    (
        "http",
        &[
            "admin",
            "auth",
            "clock",
            "domain",
            "export",
            "media",
            "messaging",
            "moderation",
            "outbox",
            "protocol",
            "service",
            "store",
            "wechat",
        ],
    ),
    (
        "ws",
        &[
            "admission",
            "delivery",
            "domain",
            "drain",
            "http",
            "hub",
            "messaging",
            "protocol",
            "service",
            "store",
        ],
    ),
    ("wechat_subscribe", &["domain", "subscribe", "wechat", "wechat_events"]),
];

/// The rooms that a program names: the word behind each `crate::`, and in braces the first word of each path.
fn imports(program: &str) -> BTreeSet<String> {
    let word = |path: &str| -> String {
        path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let lines = program.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<_> = lines.collect();
    let mut imports = BTreeSet::new();
    for behind in code.join("\n").split("crate::").skip(1) {
        let Some(list) = behind.strip_prefix('{') else {
            imports.insert(word(behind));
            continue;
        };
        let mut depth = 1;
        let paths: String = list
            .chars()
            .map_while(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                // What is deeper is within a room.
                (depth > 0).then_some(if depth == 1 { c } else { ' ' })
            })
            .collect();
        imports.extend(paths.split(',').map(word).filter(|word| !word.is_empty()));
    }
    imports
}

#[test]
fn a_list_of_imports_is_read_by_its_rooms() {
    let program =
        "use crate::{\n    a::{B, c::{D, E}},\n    f::G,\n};\n// crate::h\nlet i = crate::j::k();";
    assert_eq!(imports(program).into_iter().collect::<Vec<_>>(), ["a", "f", "j"]);
}

#[test]
fn imports_go_down_only() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in source(Path::new("src")) {
        let in_src = path.strip_prefix("src").unwrap().with_extension("");
        let room = in_src.iter().next().unwrap().to_str().unwrap().to_owned();
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        found.entry(room).or_default().extend(imports(program));
    }
    for above in ["app", "cli", "lib", "main"] {
        found.remove(above);
    }
    for (place, (room, listed)) in ROOMS.iter().enumerate() {
        let mut imported = found.remove(*room).unwrap_or_else(|| panic!("there is no room {room}"));
        imported.remove(*room);
        assert_eq!(imported.iter().collect::<Vec<_>>(), *listed, "what {room} imports");
        for import in *listed {
            let is_below = ROOMS[..place].iter().any(|(below, _)| below == import);
            assert!(is_below, "{room} imports {import}, which is not below it");
        }
    }
    assert!(found.is_empty(), "not in the list of rooms: {found:?}");
}

#[test]
fn only_the_composition_root_names_backends() {
    for (room, backends) in [
        ("src/store", &["PgStore", "SqliteStore"][..]),
        ("src/bus", &["RedisBus", "LocalBroker"]),
        ("src/presence", &["RedisPresence", "LocalPresence"]),
        ("src/limits", &["RedisLimiter", "LocalLimiter"]),
    ] {
        for backend in backends {
            let elsewhere = having(backend, room);
            assert!(elsewhere.iter().all(|path| path.starts_with("src/app")), "{elsewhere:?}");
        }
    }
}

#[test]
fn the_web_framework_stays_at_the_edge() {
    let below = |path: &String| !path.starts_with("src/http/") && !path.starts_with("src/ws/");
    let naming: Vec<_> = having("axum::", "src/none").into_iter().filter(below).collect();
    // The two policies judge headers. `protocol` names the framework's text of a frame, which is written
    // without a copy.
    assert_eq!(naming, ["src/auth/host.rs", "src/auth/origin.rs", "src/protocol/mod.rs"]);
}
