//! What WeChat pushes, and checks of media whose results come later.

use std::time::Duration;

use imserver::{
    accounts,
    domain::Media,
    store::{CheckState, CheckedChat, EventKept, NewChat},
};

use super::{Database, committed, media, populated, user};

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_hours(1);

pub(super) async fn an_event_is_kept_once_until_it_is_handled<D: Database>() {
    let (database, store) = populated::<D>(1).await;
    let keep = async |key: &str| store.keep_wechat_event(key, Some("wx1"), "{}", 2).await.unwrap();
    assert_eq!((keep("a").await, keep("a").await), (EventKept::New, EventKept::Repeat));
    assert_eq!((keep("b").await, keep("c").await), (EventKept::New, EventKept::Full));
    let due = store.due_wechat_events(10).await.unwrap();
    assert_eq!(due.len(), 2);
    assert_eq!((due[0].appid.as_deref(), due[0].payload.as_str()), (Some("wx1"), "{}"));
    assert_eq!(store.due_wechat_events(1).await.unwrap()[0].id, due[0].id);

    store.postpone_wechat_event(due[0].id, LONG).await.unwrap();
    let later = store.due_wechat_events(10).await.unwrap();
    assert_eq!(later.iter().map(|event| event.id).collect::<Vec<_>>(), [due[1].id]);
    store.postpone_wechat_event(due[0].id, NOW).await.unwrap();
    assert_eq!(store.due_wechat_events(10).await.unwrap()[0].attempts, 2);
    for event in &due {
        store.wechat_event_handled(event.id).await.unwrap();
    }
    assert!(store.due_wechat_events(10).await.unwrap().is_empty());
    assert_eq!((keep("a").await, keep("c").await), (EventKept::Repeat, EventKept::New));
    assert_eq!(store.forget_wechat_events(LONG, 10).await.unwrap(), 0);
    database.tamper("UPDATE wechat_events SET handled_at = 0 WHERE key = 'a'").await;
    assert_eq!(store.forget_wechat_events(LONG, 10).await.unwrap(), 1);
    store.wechat_event_handled(due[0].id).await.unwrap();
    store.wechat_event_handled(store.due_wechat_events(1).await.unwrap()[0].id).await.unwrap();
    assert_eq!(keep("a").await, EventKept::New);
}

pub(super) async fn a_check_goes_from_its_question_to_what_follows<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let upload = media::kept(&*store, 1).await;
    let found: Media = store.media(upload).await.unwrap().unwrap();
    assert_eq!(store.want_check(&found, user(1)).await.unwrap(), CheckState::Due);
    assert_eq!(store.want_check(&found, user(2)).await.unwrap(), CheckState::Due);
    let sent = store.append(&[media::showing(1, 2, upload)]).await.unwrap().remove(0);
    let sent = committed(sent).chat.id;
    let waiting = NewChat { hold: true, awaits_check: true, ..media::showing(1, 3, upload) };
    let other = NewChat { hold: true, ..media::showing(1, 3, upload) };
    for chat in [&waiting, &other] {
        store.hold(chat).await.unwrap();
    }
    let held: Vec<_> =
        store.held_chats(None, 10).await.unwrap().chats.iter().map(|held| held.id).collect();

    let due = store.due_checks(10).await.unwrap();
    assert_eq!(due.len(), 1);
    let first = (due[0].media, due[0].kind, due[0].sender, due[0].attempts);
    assert_eq!(first, (upload, found.kind(), Some(user(1)), 0));
    store.postpone_check(upload, LONG).await.unwrap();
    assert!(store.due_checks(10).await.unwrap().is_empty());
    store.check_asked(upload, "t", LONG).await.unwrap();
    assert_eq!(store.fail_late_checks().await.unwrap(), 0);
    assert_eq!(store.want_check(&found, user(1)).await.unwrap(), CheckState::Asked);
    let all = [CheckState::Risky, CheckState::Unable, CheckState::Failed];
    assert!(store.checked_chats(&all, LONG, 10).await.unwrap().is_empty());

    // An answer that did not come, and then comes.
    store.check_asked(upload, "t", NOW).await.unwrap();
    database.tamper("UPDATE media_checks SET next_at = 0").await;
    assert_eq!(store.fail_late_checks().await.unwrap(), 1);
    let lost = [
        CheckedChat::Sent(sent, CheckState::Failed),
        CheckedChat::Held(held[0], CheckState::Failed, true),
    ];
    assert_eq!(store.checked_chats(&all, LONG, 10).await.unwrap(), lost);
    assert_eq!(store.checked_chats(&[CheckState::Risky], LONG, 10).await.unwrap(), lost[1..]);
    assert!(!store.end_check_by_trace("u", CheckState::Risky).await.unwrap());
    for state in [CheckState::Risky, CheckState::Pass] {
        assert!(store.end_check_by_trace("t", state).await.unwrap());
    }
    let risky = [
        CheckedChat::Sent(sent, CheckState::Risky),
        CheckedChat::Held(held[0], CheckState::Risky, true),
        CheckedChat::Held(held[1], CheckState::Risky, false),
    ];
    assert_eq!(store.checked_chats(&all, LONG, 10).await.unwrap(), risky);
    store.keep_held(held[0]).await.unwrap();
    let kept = CheckedChat::Held(held[0], CheckState::Risky, false);
    assert_eq!(store.checked_chats(&all, LONG, 10).await.unwrap()[1], kept);

    // By another name it is the same.
    let same = media::kept(&*store, 2).await;
    let same = store.media(same).await.unwrap().unwrap();
    assert_eq!(store.want_check(&same, user(2)).await.unwrap(), CheckState::Risky);
    assert_eq!(store.forget_checks(NOW, LONG, 10).await.unwrap(), 0);
    database.tamper("UPDATE media_checks SET decided_at = 0").await;
    assert_eq!(store.forget_checks(LONG, LONG, 10).await.unwrap(), 1);

    // One that came to nothing begins anew, and an erased user has none.
    assert_eq!(store.want_check(&same, user(2)).await.unwrap(), CheckState::Due);
    store.end_check(same.id, CheckState::Unable).await.unwrap();
    assert_eq!(store.want_check(&same, user(3)).await.unwrap(), CheckState::Due);
    assert_eq!(store.due_checks(10).await.unwrap()[0].sender, Some(user(3)));
    assert!(accounts::erase(&*store, user(3), |_| ()).await.unwrap());
    assert_eq!(store.due_checks(10).await.unwrap()[0].sender, None);
}
