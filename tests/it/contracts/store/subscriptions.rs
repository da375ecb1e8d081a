//! Subscribe messages: who may be sent one, and who is.

use std::time::Duration;

use imserver::{
    accounts,
    domain::{ChatId, ConversationId, MessageTemplate, OpenId, TemplateId},
    store::{Absence, MAX_GRANTS, NewChat, OwnChange, Store},
};

use super::{Database, committed, groups::quiet_group, populated, send, user, wechat_user};

const NOW: Duration = Duration::ZERO;

fn template(id: &str) -> MessageTemplate {
    MessageTemplate { appid: "wx-1".into(), id: TemplateId::parse(id).unwrap() }
}

fn t() -> MessageTemplate {
    template("t")
}

async fn grants<D: Database>(database: &D, of: i64) -> i64 {
    let sum = "SELECT coalesce(CAST(sum(grants) AS BIGINT), 0) FROM subscription_grants";
    database.number(&format!("{sum} WHERE user_id = {of} AND template_id = 't'")).await
}

async fn begin(store: &dyn Store, chats: &[ChatId]) {
    store.begin_absences(chats, &t(), NOW).await.unwrap();
}

/// Who is due, and since which chat.
async fn due(store: &dyn Store) -> Vec<(i64, ChatId)> {
    let due = store.due_absences(100).await.unwrap();
    let mut due: Vec<_> = due.iter().map(|it| (it.user.get(), it.chat)).collect();
    due.sort_unstable();
    due
}

async fn say(store: &dyn Store, sender: i64, group: ConversationId, text: &str) -> ChatId {
    let new = NewChat {
        destination: imserver::domain::Destination::Conversation(group),
        client_msg_id: imserver::domain::ClientMsgId::random(),
        ..super::chat(sender, 1, "-", text)
    };
    committed(store.append(&[new]).await.unwrap().remove(0)).chat.id
}

/// An absence of 2 from a direct conversation with 1, which is due.
async fn away(store: &dyn Store) -> Absence {
    let chat = send(store, 1, 2, "在吗").await.chat;
    begin(store, &[chat.id]).await;
    let due = store.due_absences(100).await.unwrap();
    *due.iter().find(|it| it.user == user(2)).unwrap()
}

pub(super) async fn each_accept_is_one_grant<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    for (count, sum) in [(1, 1), (1, 2), (3, 5), (200, i64::from(MAX_GRANTS)), (1, 100)] {
        store.grant(user(1), &t(), count).await.unwrap();
        assert_eq!(grants(&database, 1).await, sum);
    }
    store.grant(user(1), &template("other"), 1).await.unwrap();
    store.grant(user(77), &t(), 1).await.unwrap();
    assert_eq!((grants(&database, 2).await, grants(&database, 77).await), (0, 0));
    for _ in 0..2 {
        store.end_grants(user(1), &t()).await.unwrap();
    }
    assert_eq!(grants(&database, 1).await, 0);
    assert_eq!(database.count("subscription_grants").await, 1, "the other one stays");

    let zhang = wechat_user(&*store, "openid-1").await.id;
    for (appid, openid, left) in
        [("wx-2", "openid-1", 1), ("wx-1", "openid-2", 1), ("wx-1", "openid-1", 0)]
    {
        store
            .grant(zhang, &t(), 1 - u32::try_from(grants(&database, zhang.get()).await).unwrap())
            .await
            .unwrap();
        let template = MessageTemplate { appid: appid.into(), ..t() };
        store.end_grants_of(&OpenId::new(openid), &template).await.unwrap();
        assert_eq!(grants(&database, zhang.get()).await, left, "{appid} {openid}");
    }
}

pub(super) async fn whoever_has_a_grant_and_has_not_read_is_away<D: Database>() {
    let (database, store) = populated::<D>(7).await;
    let group = quiet_group(&database, (1..=6).map(user).collect()).await;
    for id in [1, 2, 3, 4, 7] {
        store.grant(user(id), &t(), 1).await.unwrap();
    }
    store.grant(user(5), &template("other"), 1).await.unwrap();
    let muted = OwnChange { muted: Some(true), ..OwnChange::default() };
    store.change_own(user(3), group, &muted, 9).await.unwrap();
    let first = say(&*store, 1, group, "first").await;
    let second = say(&*store, 1, group, "second").await;
    let reply = say(&*store, 4, group, "reply").await;
    store.mark_read(user(4), group, second).await.unwrap();
    begin(&*store, &[first, second, reply]).await;
    // 3 has muted it, 4 has read what others wrote, 5 and 6 have no grant, 7 is no member.
    assert_eq!(due(&*store).await, [(1, reply), (2, reply)]);
    // What comes again, or later, begins nothing.
    let later = say(&*store, 1, group, "later").await;
    begin(&*store, &[first, second, reply]).await;
    assert_eq!(due(&*store).await, [(1, reply), (2, reply)]);
    begin(&*store, &[later]).await;
    assert_eq!(due(&*store).await, [(1, reply), (2, reply), (4, later)]);

    // One that nobody has to wait for is not due before its time.
    let chat = send(&*store, 1, 7, "x").await.chat.id;
    store.begin_absences(&[chat], &t(), Duration::from_hours(1)).await.unwrap();
    assert_eq!(database.count("absences").await, 4);
    assert_eq!(due(&*store).await.len(), 3);
    let alone = send(&*store, 7, 7, "to oneself").await.chat.id;
    let recalled = send(&*store, 2, 1, "oh").await.chat;
    store.recall(user(2), recalled.id, Duration::from_hours(1)).await.unwrap();
    begin(&*store, &[alone, recalled.id]).await;
    assert_eq!(database.count("absences").await, 4);
}

pub(super) async fn of_all_callers_one_takes_an_absence<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let other = database.open().await;
    store.grant(user(2), &t(), 5).await.unwrap();
    for round in 1..=5 {
        let absence = away(&*store).await;
        let takes = (0..6).map(|at| {
            let store = if at % 2 == 0 { store.clone() } else { other.clone() };
            tokio::spawn(async move { store.take_absence(&absence, &t()).await.unwrap() })
        });
        let taken = futures_util::future::join_all(takes).await;
        let taken: Vec<_> = taken.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(taken, [absence.chat]);
        assert_eq!(grants(&database, 2).await, 5 - round);
        assert_eq!(due(&*store).await, []);
        store.mark_read(user(2), absence.conversation, absence.chat).await.unwrap();
    }
    // The fifth was the last one: nobody is away any more.
    let chat = send(&*store, 1, 2, "x").await.chat.id;
    begin(&*store, &[chat]).await;
    assert_eq!(due(&*store).await, []);
}

pub(super) async fn an_absence_ends_when_it_is_read<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    store.grant(user(2), &t(), 9).await.unwrap();
    let absence = away(&*store).await;
    assert_eq!(store.take_absence(&absence, &t()).await.unwrap(), Some(absence.chat));
    let second = send(&*store, 1, 2, "second").await.chat.id;
    begin(&*store, &[absence.chat, second]).await;
    assert_eq!(due(&*store).await, [], "one for each absence");
    store.end_absences(&[absence]).await.unwrap();
    assert_eq!(database.count("absences").await, 1, "what was told stands");

    store.mark_read(user(2), absence.conversation, absence.chat).await.unwrap();
    begin(&*store, &[absence.chat, second]).await;
    assert_eq!(due(&*store).await, [(2, second)]);
    // It is told of the newest chat.
    let third = send(&*store, 1, 2, "third").await.chat.id;
    let next = store.due_absences(1).await.unwrap()[0];
    assert_eq!(store.take_absence(&absence, &t()).await.unwrap(), None, "that one is over");
    assert_eq!(store.take_absence(&next, &t()).await.unwrap(), Some(third));
    assert_eq!(grants(&database, 2).await, 7);

    // What is read, muted or looked at before it is taken is not told.
    store.mark_read(user(2), absence.conversation, third).await.unwrap();
    let read = away(&*store).await;
    store.mark_read(user(2), read.conversation, read.chat).await.unwrap();
    assert_eq!(store.take_absence(&read, &t()).await.unwrap(), None);
    let muted = away(&*store).await;
    let mute = |is| OwnChange { muted: Some(is), ..OwnChange::default() };
    store.change_own(user(2), muted.conversation, &mute(true), 9).await.unwrap();
    assert_eq!(store.take_absence(&muted, &t()).await.unwrap(), None);
    store.change_own(user(2), muted.conversation, &mute(false), 9).await.unwrap();
    let seen = away(&*store).await;
    store.end_absences(&[seen]).await.unwrap();
    assert_eq!(store.take_absence(&seen, &t()).await.unwrap(), None);
    assert_eq!(database.count("absences").await, 0);
    assert_eq!(grants(&database, 2).await, 7);
}

pub(super) async fn what_was_not_sent_is_given_back_once<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    store.grant(user(2), &t(), 2).await.unwrap();
    let absence = away(&*store).await;
    store.return_absence(&absence, &t(), Some(NOW)).await.unwrap();
    assert_eq!(grants(&database, 2).await, 2, "nothing was taken");
    store.take_absence(&absence, &t()).await.unwrap().unwrap();
    for _ in 0..2 {
        store.return_absence(&absence, &t(), Some(NOW)).await.unwrap();
        assert_eq!(grants(&database, 2).await, 2);
    }
    let again = store.due_absences(9).await.unwrap();
    assert_eq!(again, [Absence { attempts: 1, ..absence }]);
    store.take_absence(&again[0], &t()).await.unwrap().unwrap();
    store.return_absence(&again[0], &t(), Some(Duration::from_hours(1))).await.unwrap();
    assert_eq!((due(&*store).await.len(), database.count("absences").await), (0, 1));

    database.tamper("UPDATE absences SET due_at = 0").await;
    store.take_absence(&again[0], &t()).await.unwrap().unwrap();
    for _ in 0..2 {
        store.return_absence(&again[0], &t(), None).await.unwrap();
    }
    assert_eq!((grants(&database, 2).await, database.count("absences").await), (2, 0));

    // Whoever has rejected meanwhile gets none back.
    let absence = away(&*store).await;
    store.take_absence(&absence, &t()).await.unwrap().unwrap();
    store.end_grants(user(2), &t()).await.unwrap();
    store.return_absence(&absence, &t(), None).await.unwrap();
    assert_eq!(grants(&database, 2).await, 0);
    // After a refusal there is nothing, until the user accepts again.
    store.grant(user(2), &t(), 5).await.unwrap();
    let absence = away(&*store).await;
    store.take_absence(&absence, &t()).await.unwrap().unwrap();
    store.refuse_absence(&absence, &t()).await.unwrap();
    assert_eq!((grants(&database, 2).await, database.count("absences").await), (0, 0));
    store.grant(user(2), &t(), 1).await.unwrap();
    away(&*store).await;
}

pub(super) async fn a_grant_is_spent_once_for_many_absences<D: Database>() {
    let (database, store) = populated::<D>(9).await;
    let other = database.open().await;
    store.grant(user(2), &t(), 3).await.unwrap();
    let mut chats = Vec::new();
    for from in [1, 3, 4, 5, 6, 7, 8, 9] {
        chats.push(send(&*store, from, 2, "x").await.chat.id);
    }
    begin(&*store, &chats).await;
    let takes =
        store.due_absences(100).await.unwrap().into_iter().enumerate().map(|(at, absence)| {
            let store = if at % 2 == 0 { store.clone() } else { other.clone() };
            tokio::spawn(async move { store.take_absence(&absence, &t()).await.unwrap() })
        });
    let taken = futures_util::future::join_all(takes.collect::<Vec<_>>()).await;
    assert_eq!(taken.len(), 8);
    assert_eq!(taken.into_iter().filter(|it| it.as_ref().unwrap().is_some()).count(), 3);
    assert_eq!((grants(&database, 2).await, due(&*store).await.len()), (0, 0));
    assert_eq!(database.count("absences").await, 3);
}

pub(super) async fn an_erased_user_has_neither_grants_nor_absences<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    store.grant(user(2), &t(), 3).await.unwrap();
    let absence = away(&*store).await;
    let export = store.exported_user(user(2)).await.unwrap().unwrap().record;
    assert!(
        export.contains(r#""subscriptions":[{"appid":"wx-1","templateId":"t","grants":3}]"#),
        "{export}"
    );
    assert!(accounts::erase(&*store, user(2), |_| ()).await.unwrap());
    assert_eq!(store.take_absence(&absence, &t()).await.unwrap(), None);
    store.grant(user(2), &t(), 1).await.unwrap();
    assert_eq!(database.count("absences").await + database.count("subscription_grants").await, 0);
}
