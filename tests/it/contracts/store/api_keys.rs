//! Keys of the server API, and the log of what is done with them.

use imserver::{
    clock::Timestamp,
    domain::{ApiKeyId, ApiKeyName, Scope, Scopes, UserId},
    store::{AuditEntry, MachineAct, Store, TokenHash},
};

use super::Database;

fn called(name: &str) -> ApiKeyName {
    name.parse().unwrap()
}

fn scopes(words: &str) -> Scopes {
    Scopes::stored(words)
}

async fn make(store: &dyn Store, name: &str, secret: u8) -> ApiKeyId {
    let secret = TokenHash([secret; 32]);
    store.create_api_key(&called(name), secret, &scopes("users,chats"), true).await.unwrap()
}

async fn log(store: &dyn Store) -> Vec<AuditEntry> {
    let page = store.audit_log(None, 100).await.unwrap();
    assert!(!page.has_more);
    page.entries
}

fn line(entry: &AuditEntry) -> String {
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "-".to_owned());
    format!("{} {} {}", entry.action, word(&entry.subject), word(&entry.outcome))
}

pub(super) async fn a_key_is_found_by_its_secret_until_it_is_revoked<D: Database>() {
    let database = D::create().await;
    let stores = [database.open().await, database.open().await];
    let [store, other] = &stores;
    // Two of a name are good at once, so that one can take the place of the other.
    let (old, new) = (make(&**store, "crm", 1).await, make(&**store, "crm", 2).await);
    assert!(old < new);
    for (secret, id) in [(1, old), (2, new)] {
        let key = other.api_key(TokenHash([secret; 32])).await.unwrap().unwrap();
        assert_eq!((key.id, key.name.as_str(), key.revoked_at), (id, "crm", None));
        assert_eq!(key.scopes, [Scope::Users, Scope::Chats].into_iter().collect());
    }
    assert_eq!(store.api_key(TokenHash([3; 32])).await.unwrap(), None);
    let taken =
        store.create_api_key(&called("crm"), TokenHash([1; 32]), &scopes("all"), true).await;
    assert!(taken.is_err(), "a secret is one key's");

    assert!(store.revoke_api_key(old, true).await.unwrap());
    assert_eq!(other.api_key(TokenHash([1; 32])).await.unwrap(), None, "from now on, everywhere");
    assert!(other.api_key(TokenHash([2; 32])).await.unwrap().is_some());
    assert!(!store.revoke_api_key(old, true).await.unwrap(), "once");
    assert!(!store.revoke_api_key(ApiKeyId::new(99).unwrap(), true).await.unwrap());

    let keys = store.api_keys().await.unwrap();
    assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), [old, new]);
    assert!(keys[0].revoked_at >= Some(keys[0].created_at) && keys[1].revoked_at.is_none());
    // By the server API, which notes its own acts.
    let (name, scopes) = (called("crm"), scopes("feed"));
    let quiet = store.create_api_key(&name, TokenHash([4; 32]), &scopes, false).await.unwrap();
    assert!(store.revoke_api_key(quiet, false).await.unwrap());
    let made = log(&**store).await;
    assert!(made.iter().all(|entry| entry.key.is_none()), "by the command line");
    assert_eq!(
        made.iter().map(line).collect::<Vec<_>>(),
        [
            format!("api_key.revoke api_key:{old} ok"),
            format!("api_key.create api_key:{new} ok"),
            format!("api_key.create api_key:{old} ok"),
        ]
    );
}

pub(super) async fn the_use_of_a_key_is_noted_once_a_minute<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let id = make(&*store, "crm", 1).await;
    let used = async || store.api_keys().await.unwrap()[0].last_used_at.map(Timestamp::as_millis);
    let find = async || store.api_key(TokenHash([1; 32])).await.unwrap().unwrap();
    assert_eq!(used().await, None);
    assert_eq!(find().await.id, id);
    let first = used().await.unwrap();
    assert!(first >= store.api_keys().await.unwrap()[0].created_at.as_millis());
    let ago = async |millis: i64| {
        let at = first - millis;
        database.tamper(&format!("UPDATE api_keys SET last_used_at = {at}")).await;
        find().await;
        used().await.unwrap() - at
    };
    assert_eq!(ago(30_000).await, 0, "noted a moment ago");
    assert!(ago(60_000).await >= 60_000);
}

pub(super) async fn an_act_is_in_the_log_from_its_beginning<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let key = make(&*store, "crm", 1).await;
    let first = store.begin_act(Some(key), "user.put", None, None).await.unwrap();
    let subject = Some("conversation:3");
    let second = store.begin_act(Some(key), "chats.read", subject, Some("为什么")).await.unwrap();
    assert!(first < second);
    let lines = async || log(&*store).await.iter().take(2).map(line).collect::<Vec<_>>();
    assert_eq!(lines().await, ["chats.read conversation:3 -", "user.put - -"]);
    store.end_act(first, Some("user:7"), "ok").await.unwrap();
    store.end_act(second, None, "unavailable").await.unwrap();
    let ended = ["chats.read conversation:3 unavailable", "user.put user:7 ok"];
    assert_eq!(lines().await, ended);
    // For good.
    store.end_act(first, Some("user:8"), "forbidden").await.unwrap();
    assert_eq!(lines().await, ended);
    let entries = log(&*store).await;
    assert_eq!(entries[1].key, Some((key, called("crm"))));
    assert_eq!(
        (entries[0].reason.as_deref(), entries[1].reason.as_deref()),
        (Some("为什么"), None)
    );
    assert!(entries[0].created_at >= entries[1].created_at);
}

pub(super) async fn the_log_comes_in_pages_newest_first<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let key = make(&*store, "crm", 1).await;
    for _ in 0..5 {
        store.begin_act(Some(key), "x", None, None).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.audit_log(before, 2).await.unwrap();
        before = page.entries.last().map(|entry| entry.id);
        seen.extend(page.entries.iter().map(|entry| entry.id));
        if !page.has_more {
            break;
        }
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted_by(|later, earlier| later > earlier), "{seen:?}");
}

pub(super) async fn acts_of_machines_are_noted_as_ended_with_how_often<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let act = |machine, action, user| {
        MachineAct::new(machine, action, UserId::new(user).unwrap(), "list:words")
    };
    store.note_machine_acts(&[]).await.unwrap();
    store.note_machine_acts(&[(act("words", "chat.deny", 7), 1)]).await.unwrap();
    let acts = [(act("words", "chat.mask", 7), 3), (act("wechat", "chat.hold", 8), 1)];
    store.note_machine_acts(&acts).await.unwrap();
    let mut entries = log(&*store).await;
    // Within one call the order is not said.
    entries[..2].sort_by_key(|entry| entry.action.clone());
    assert_eq!(
        entries.iter().map(line).collect::<Vec<_>>(),
        [
            "chat.hold user:8 list:words ok",
            "chat.mask user:7 list:words times:3 ok",
            "chat.deny user:7 list:words ok",
        ]
    );
    let machines = entries.iter().map(|entry| entry.machine.as_deref());
    assert_eq!(machines.collect::<Vec<_>>(), [Some("wechat"), Some("words"), Some("words")]);
    assert!(entries.iter().all(|entry| entry.key.is_none() && entry.reason.is_none()));
}
