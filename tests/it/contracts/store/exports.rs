//! Reading all that is kept of a user.

use std::{collections::BTreeSet, time::Duration};

use imserver::{
    accounts,
    clock::Timestamp,
    domain::{
        AvatarUrl, Block, ChatId, ExternalId, GroupChange, GroupRules, Payload, Profile,
        ReportReason, UserFacts, UserId,
        group::{GroupHistory, WhoMayAdd},
    },
    store::{ExportPart, NewChat, NewReport, ReportAbout, Store, TokenHash},
};
use serde_json::{Value, json};

use super::{Database, chat, committed, media, members, name, populated, send, user};

const RULES: GroupRules =
    GroupRules { max_members: 9, who_may_add: WhoMayAdd::Members, history: GroupHistory::Joined };

/// A user of the back end, with a profile.
async fn made(store: &dyn Store) -> i64 {
    let part = |json: &str| Some(Payload::parse(json.to_owned()).unwrap());
    let profile =
        Profile { public: part(r#"{"level":3}"#), hidden: part(r#"{"private":{"phone":"1"}}"#) };
    let facts = UserFacts {
        name: Some(name("张三")),
        avatar_url: Some(AvatarUrl::parse("https://example.com/1.png")),
        profile: Some(profile),
    };
    let id = ExternalId::parse("u1").unwrap();
    store.put_users(&[(id, facts)]).await.unwrap().remove(0).0.id.get()
}

/// All records of a list, read two at a time.
async fn records(store: &dyn Store, of: i64, part: ExportPart) -> Vec<Value> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = store.export_page(user(of), part, after.as_ref(), 2).await.unwrap();
        assert!(page.records.len() <= 2);
        records.extend(page.records.iter().map(|line| serde_json::from_str(line).unwrap()));
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}

/// These fields of each record.
fn fields<const N: usize>(records: &[Value], keys: [&str; N]) -> Vec<[Value; N]> {
    records.iter().map(|record| keys.map(|key| record[key].clone())).collect()
}

async fn say(store: &dyn Store, new: NewChat) -> ChatId {
    committed(store.append(&[new]).await.unwrap().remove(0)).chat.id
}

async fn report(store: &dyn Store, reporter: i64, about: ReportAbout, detail: &str) {
    let (reporter, detail) = (user(reporter), Some(detail.to_owned()));
    let new = NewReport { reporter, about, reason: ReportReason::Spam, detail };
    store.report(&new).await.unwrap();
}

pub(super) async fn a_user_is_read_with_profile_identities_and_restriction<D: Database>() {
    let (database, store) = populated::<D>(1).await;
    let id = made(&*store).await;
    store.save_last_seen(&[(user(id), Timestamp::from_millis(1_000))]).await.unwrap();
    database
        .tamper(&format!(
            "INSERT INTO restrictions (user_id, kind, until, reason, created_at)
             VALUES ({id}, 'muted', 2000, 'spam', 1000)"
        ))
        .await;
    let exported = store.exported_user(user(id)).await.unwrap().unwrap();
    let mut record: Value = serde_json::from_str(&exported.record).unwrap();
    let made_at = record.as_object_mut().unwrap().remove("createTime").unwrap();
    assert!(made_at.as_str().unwrap().ends_with('Z'));
    let expected = json!({
        "id": id, "name": "张三", "lastSeenAt": "1970-01-01T00:00:01.000Z",
        "avatarUrl": "https://example.com/1.png",
        "profile": {"public": {"level": 3}, "hidden": {"private": {"phone": "1"}}},
        "identities": [{"provider": "external", "subject": "u1"}],
        "restriction": {"kind": "muted", "until": "1970-01-01T00:00:02.000Z", "reason": "spam",
            "createTime": "1970-01-01T00:00:01.000Z"},
        "subscriptions": [],
    });
    assert_eq!(record, expected);
    assert_eq!(exported.avatar, None);

    let bare = store.exported_user(user(1)).await.unwrap().unwrap();
    let bare: Value = serde_json::from_str(&bare.record).unwrap();
    assert_eq!((&bare["identities"], &bare["restriction"]), (&json!([]), &Value::Null));
    assert!(store.exported_user(user(77)).await.unwrap().is_none());
    let service = store.service_user().await.unwrap();
    assert!(store.exported_user(service).await.unwrap().is_none(), "it is nobody");
    assert!(accounts::erase(&*store, user(id), |_| ()).await.unwrap());
    assert!(store.exported_user(user(id)).await.unwrap().is_none());
}

pub(super) async fn chats_are_read_as_they_are_now_and_quotes_as_ids<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let secret = send(&*store, 2, 1, "of another").await.chat;
    let mut sent = Vec::new();
    for key in ["e", "a", "c", "b"] {
        sent.push(say(&*store, chat(1, 2, key, &format!("word {key}"))).await);
    }
    let quoting = NewChat { reply_to: Some(secret.id), ..chat(1, 2, "d", "word d") };
    let quoting = say(&*store, quoting).await;
    store.recall(user(1), sent[0], Duration::from_mins(2)).await.unwrap();
    store.delete_for(user(1), sent[1]).await.unwrap();
    let upload = media::kept(&*store, 1).await;
    let shown = NewChat {
        client_msg_id: chat(1, 2, "f", "x").client_msg_id,
        ..media::showing(1, 2, upload)
    };
    say(&*store, shown).await;

    let chats = records(&*store, 1, ExportPart::Chats).await;
    let told = fields(&chats, ["clientMsgId", "content", "state"]);
    let row = |key: &str, content: &str| [json!(key), json!(content), Value::Null];
    let recalled = [json!("e"), json!(""), json!("recalled")];
    let expected = [
        row("a", "word a"),
        row("b", "word b"),
        row("c", "word c"),
        row("d", "word d"),
        recalled,
        row("f", "[图片]"),
    ];
    assert_eq!(told, expected);
    assert_eq!((&chats[3]["id"], &chats[3]["replyTo"]), (&json!(quoting), &json!(secret.id)));
    assert!(chats[0].get("replyTo").is_none());
    for (key, value) in [("userId", json!(1)), ("targetUserId", json!(2)), ("version", json!(1))] {
        assert_eq!(chats[0][key], value, "{key}");
    }
    assert_eq!(chats[0]["conversationId"], json!(secret.conversation_id));
    assert!(!json!(chats).to_string().contains("of another"), "another's words are another's");
    assert_eq!(records(&*store, 1, ExportPart::Hidden).await, [json!({"chatId": sent[1]})]);
    assert_eq!(records(&*store, 3, ExportPart::Chats).await, [Value::Null; 0]);
}

pub(super) async fn conversations_are_read_with_ones_own_settings<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let first = send(&*store, 1, 2, "x").await.chat;
    send(&*store, 3, 1, "x").await;
    let others = send(&*store, 2, 3, "x").await.chat.conversation_id;
    let group = members::begin(&*store, 2, &[1, 3]).await.0;
    let leaving = GroupChange::Remove(user(1));
    store.change_group(group, user(1), &leaving, RULES).await.unwrap().unwrap();
    let own = members::begin(&*store, 1, &[2]).await.0;
    let settings = format!(
        "UPDATE members SET draft = 'begun', muted = true, pinned_at = 1000, read_up_to = {}",
        first.id
    );
    let which = format!("user_id = 1 AND conversation_id = {}", first.conversation_id);
    database.tamper(&format!("{settings} WHERE {which}")).await;
    database.tamper("UPDATE members SET draft = 'of another' WHERE user_id = 2").await;

    let read = records(&*store, 1, ExportPart::Conversations).await;
    let told = fields(&read, ["kind", "peerId", "title", "left", "role", "isCreator", "draft"]);
    let direct = |peer: i64, draft: Value| {
        [
            json!("direct"),
            json!(peer),
            Value::Null,
            json!(false),
            json!("member"),
            json!(false),
            draft,
        ]
    };
    let group_of = |left: bool, role: &str, is_creator: bool| {
        let [kind, title] = ["group", "爬山"].map(|word| json!(word));
        [kind, Value::Null, title, json!(left), json!(role), json!(is_creator), Value::Null]
    };
    let expected = [
        direct(2, json!("begun")),
        direct(3, Value::Null),
        group_of(true, "member", false),
        group_of(false, "owner", true),
    ];
    assert_eq!(told, expected);
    let ids = fields(&read, ["id"]).concat();
    assert!(!ids.contains(&json!(others)) && ids[2..] == [json!(group), json!(own)], "{ids:?}");
    let kept = fields(&read[..1], ["muted", "pinnedAt", "readUpTo", "markedUnread"]);
    let pinned_at = json!("1970-01-01T00:00:01.000Z");
    assert_eq!(kept, [[json!(true), pinned_at, json!(first.id), json!(false)]]);
    assert!(read[3]["creatorKey"].is_string() && read[2]["creatorKey"].is_null());

    let stretches = records(&*store, 1, ExportPart::Stretches).await;
    assert_eq!(fields(&stretches, ["conversationId"]), [[json!(group)]]);
    assert!(stretches[0]["after"].as_i64().unwrap() < stretches[0]["upTo"].as_i64().unwrap());
    assert_eq!(records(&*store, 2, ExportPart::Stretches).await, [Value::Null; 0]);
}

pub(super) async fn many_stretches_of_several_groups_come_in_pages<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    for (group, from) in [(1, 0), (1, 5), (1, 9), (2, 0), (2, 7)] {
        for user in [1, 2] {
            database
                .tamper(&format!(
                    "INSERT INTO member_stretches (conversation_id, user_id, from_chat, to_chat)
                     VALUES ({group}, {user}, {from}, {from} + {user})"
                ))
                .await;
        }
    }
    let read = records(&*store, 1, ExportPart::Stretches).await;
    let expected = [[1, 0, 1], [1, 5, 6], [1, 9, 10], [2, 0, 1], [2, 7, 8]];
    assert_eq!(
        fields(&read, ["conversationId", "after", "upTo"]),
        expected.map(|row| row.map(|number| json!(number)))
    );
}

pub(super) async fn lists_have_what_is_ones_own_alone<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let long = Duration::from_hours(1);
    for token in 1..=4_u8 {
        let (of, now) = (user(i64::from(token) % 3 + 1), Timestamp::from_millis(1_000));
        store.create_session(TokenHash([token; 32]), of, now, long, long).await.unwrap();
    }
    for (by, of) in [(1, 2), (1, 3), (1, 4), (2, 1)] {
        store.block(Block { by: user(by), of: user(of) }).await.unwrap();
    }
    let reported = send(&*store, 3, 1, "of another").await.chat.id;
    report(&*store, 1, ReportAbout::Chat(reported), "my words").await;
    report(&*store, 1, ReportAbout::User(user(4)), "more").await;
    report(&*store, 2, ReportAbout::User(user(1)), "of another").await;
    for (sender, key) in [(1, "b"), (1, "a"), (1, "c"), (4, "a")] {
        let words = if sender == 1 { "my words" } else { "of another" };
        let target = if sender == 1 { 4 } else { 3 };
        let new = NewChat { hold: true, ..chat(sender, target, key, words) };
        store.hold(&new).await.unwrap();
    }

    let sessions = records(&*store, 1, ExportPart::Sessions).await;
    let expected = json!({
        "id": sessions[0]["id"], "createTime": "1970-01-01T00:00:01.000Z", "revoked": false,
        "idleExpiresAt": "1970-01-01T01:00:01.000Z", "expiresAt": "1970-01-01T01:00:01.000Z",
    });
    assert_eq!(sessions, [expected], "without the token");
    assert_eq!(records(&*store, 2, ExportPart::Sessions).await.len(), 2);
    let blocks = records(&*store, 1, ExportPart::Blocks).await;
    assert_eq!(fields(&blocks, ["userId"]), [[json!(2)], [json!(3)], [json!(4)]]);
    let reports = records(&*store, 1, ExportPart::Reports).await;
    let row = |of: i64, chat: Value, detail: &str| [json!(of), chat, json!("spam"), json!(detail)];
    assert_eq!(
        fields(&reports, ["reportedUserId", "chatId", "reason", "detail"]),
        [row(3, json!(reported), "my words"), row(4, Value::Null, "more")]
    );
    let held = records(&*store, 1, ExportPart::Held).await;
    assert_eq!(
        fields(&held, ["clientMsgId", "targetUserId", "state", "content"]),
        ["a", "b", "c"].map(|key| [json!(key), json!(4), json!("held"), json!("my words")])
    );
    for of_one in [&sessions, &blocks, &reports, &held] {
        assert!(!json!(of_one).to_string().contains("of another"), "{of_one:?}");
    }
}

pub(super) async fn uploads_come_in_pages<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let mut kept = Vec::new();
    for _ in 0..5 {
        kept.push(media::kept(&*store, 1).await);
    }
    kept.sort_unstable();
    media::kept(&*store, 2).await;
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = store.uploads(user(1), after, 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.id);
        read.extend(page.into_iter().map(|(media, _)| (media.owner, media.id)));
    }
    assert_eq!(read, kept.into_iter().map(|id| (user(1), id)).collect::<Vec<(UserId, _)>>());
    media::collect(&*store).await;
    assert!(store.uploads(user(1), None, 9).await.unwrap().is_empty(), "they are being deleted");
}

/// Where a user's id stands, and what the export and the erasure do with the row.
const COLUMNS: [(&str, &str); 27] = [
    ("absences.user_id", "not exported: which messages are due; erased"),
    ("blocks.blocked_id", "not exported: it is the blocker's; erased"),
    ("blocks.blocker_id", "exported; erased"),
    ("chat_revisions.changed_by", "not exported: recalled is recalled; erased by the sender"),
    ("chats.sender_id", "exported; blanked"),
    ("closes.user_id", "not exported: which sockets are closed; stays"),
    ("conversations.creator_id", "exported with the membership; stays"),
    ("conversations.high_user", "exported with the membership; stays"),
    ("conversations.low_user", "exported with the membership; stays"),
    ("held_chats.sender_id", "exported; erased"),
    ("held_chats.target_id", "not exported: it is the sender's; stays until it is decided"),
    ("hidden_chats.user_id", "exported; stays"),
    ("identities.user_id", "exported; erased"),
    ("last_seen.user_id", "exported; erased"),
    ("media.owner_id", "exported; collected once no chat shows it"),
    ("media_checks.sender_id", "not exported: while a medium is checked; erased"),
    ("member_stretches.user_id", "exported; stays"),
    ("members.user_id", "exported; left, and the draft erased"),
    ("reports.reported_id", "not exported: it is the reporter's; the copy is erased"),
    ("reports.reporter_id", "exported; the detail is erased"),
    ("restrictions.user_id", "exported; erased"),
    ("sessions.user_id", "exported without the token; revoked, and deleted later"),
    ("standing_changes.user_id", "not exported: when caches look again; stays for a while"),
    ("subscription_grants.user_id", "exported; erased"),
    ("timeline_events.user_id", "not exported: where chats stand that are; trimmed"),
    ("timelines.user_id", "not exported: how far they are counted; erased"),
    ("users.id", "exported; erased"),
];

/// Tables of nobody.
const OTHERS: [&str; 12] = [
    "api_keys",
    "audit_log",
    "avatars",
    "chat_media",
    "jobs",
    "media_keys",
    "outbox",
    "replicas",
    "service",
    "webhook_deliveries",
    "webhook_switched_off",
    "wechat_events",
];

/// What ids of other things are called.
const OTHER_IDS: [&str; 13] = [
    "change_id",
    "chat_id",
    "client_msg_id",
    "conversation_id",
    "external_id",
    "key_id",
    "last_chat_id",
    "media_id",
    "mention_id",
    "next_connection_id",
    "next_user_id",
    "template_id",
    "trace_id",
];

pub(super) async fn every_table_with_a_users_id_is_thought_of<D: Database>() {
    let (database, _store) = populated::<D>(1).await;
    let columns = database.columns().await;
    let names_user = |column: &str| {
        let name = column.split('.').nth(1).unwrap();
        let is_id = ["_id", "_user", "_by"].iter().any(|end| name.ends_with(end));
        is_id && !OTHER_IDS.contains(&name) || column == "users.id"
    };
    let found: BTreeSet<&str> =
        columns.iter().map(String::as_str).filter(|column| names_user(column)).collect();
    let listed: BTreeSet<&str> = COLUMNS.iter().map(|(column, _)| *column).collect();
    assert_eq!(found, listed, "say what becomes of it, in the export and in the erasure");
    let of_users: BTreeSet<_> =
        listed.iter().map(|column| column.split('.').next().unwrap()).collect();
    let tables: BTreeSet<_> =
        columns.iter().map(|column| column.split('.').next().unwrap()).collect();
    let others: BTreeSet<_> = tables.difference(&of_users).copied().collect();
    assert_eq!(others, BTreeSet::from(OTHERS), "say whose it is");
}
