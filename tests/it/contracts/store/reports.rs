//! What people report.

use imserver::{
    accounts,
    domain::{ChatId, ReportReason, UserId},
    store::{Appended, NewReport, Report, ReportAbout, Reported, Store},
};
use serde_json::Value;

use super::{Database, media, populated, send, user};

fn new(reporter: i64, about: ReportAbout) -> NewReport {
    let detail = Some("look".to_owned());
    NewReport { reporter: user(reporter), about, reason: ReportReason::Fraud, detail }
}

async fn report(store: &dyn Store, reporter: i64, about: ReportAbout) -> Reported {
    store.report(&new(reporter, about)).await.unwrap()
}

async fn noted(store: &dyn Store, reporter: i64, about: ReportAbout) -> Report {
    match report(store, reporter, about).await {
        Reported::Noted(id) => store.find_report(id).await.unwrap().unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn a_report_keeps_the_chat_as_it_was<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let chat = send(&*store, 2, 1, "buy this").await.chat;
    let made = noted(&*store, 1, ReportAbout::Chat(chat.id)).await;
    assert_eq!((made.reporter, made.reported), (user(1), user(2)));
    assert_eq!((made.reason, made.detail.as_deref()), (ReportReason::Fraud, Some("look")));
    assert_eq!((made.chat_id, made.outcome), (Some(chat.id), None));
    let window = std::time::Duration::from_mins(2);
    store.recall(user(2), chat.id, window).await.unwrap();
    let made = store.find_report(made.id).await.unwrap().unwrap();
    let copy: Value = serde_json::from_str(made.chat.as_deref().unwrap()).unwrap();
    let mut own = serde_json::to_value(&*chat).unwrap();
    own.as_object_mut().unwrap().remove("targetUserName").expect("it is another's");
    assert_eq!(copy, own);
    let about_user = noted(&*store, 3, ReportAbout::User(user(2))).await;
    assert_eq!((about_user.reported, about_user.chat), (user(2), None));

    // An erasure takes the words of both.
    assert!(accounts::erase(&*store, user(2), |_| ()).await.unwrap());
    assert!(accounts::erase(&*store, user(1), |_| ()).await.unwrap());
    let made = store.find_report(made.id).await.unwrap().unwrap();
    assert_eq!((made.chat, made.detail, made.chat_id), (None, None, Some(chat.id)));
}

pub(super) async fn only_what_one_can_see_is_reported<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let chat = send(&*store, 2, 1, "x").await.chat;
    let about = ReportAbout::Chat(chat.id);
    assert_eq!(report(&*store, 2, about).await, Reported::Oneself);
    assert_eq!(report(&*store, 3, about).await, Reported::ChatNotFound);
    let none = ReportAbout::Chat(ChatId::new(999).unwrap());
    assert_eq!(report(&*store, 1, none).await, Reported::ChatNotFound);
    store.delete_for(user(1), chat.id).await.unwrap();
    assert_eq!(report(&*store, 1, about).await, Reported::ChatNotFound);
    let self_report = ReportAbout::User(user(3));
    assert_eq!(report(&*store, 3, self_report).await, Reported::Oneself);
    assert_eq!(report(&*store, 3, ReportAbout::User(user(77))).await, Reported::UserNotFound);
}

pub(super) async fn a_repeat_is_the_same_report_until_something_is_done<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let chat = send(&*store, 2, 1, "x").await.chat.id;
    let other = send(&*store, 2, 1, "y").await.chat.id;
    let about = [chat, other].map(ReportAbout::Chat);
    let about = about.into_iter().chain([ReportAbout::User(user(2))]).collect::<Vec<_>>();
    let mut first = Vec::new();
    for about in &about {
        first.push(noted(&*store, 1, *about).await.id);
    }
    for (about, first) in about.iter().zip(&first) {
        assert_eq!(report(&*store, 1, *about).await, Reported::Noted(*first));
    }
    assert_eq!(database.count("reports").await, 3);
    // Two at once are one, whoever they are, and two who report each other do not wait for each other.
    let again = ReportAbout::User(user(1));
    let (one, two, back) = tokio::join!(
        report(&*store, 3, about[2]),
        report(&*store, 3, about[2]),
        report(&*store, 2, again),
    );
    assert_eq!(one, two);
    assert_ne!(one, back);
    assert_eq!(database.count("reports").await, 5);
    store.close_report(first[0], "resolve").await.unwrap();
    assert_ne!(noted(&*store, 1, about[0]).await.id, first[0]);
}

pub(super) async fn what_a_reported_chat_shows_is_not_collected<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let id = media::kept(&*store, 1).await;
    let sent = store.append(&[media::showing(1, 2, id)]).await.unwrap().remove(0);
    let Appended::Committed(sent) = sent else { panic!("not sent") };
    let made = noted(&*store, 2, ReportAbout::Chat(sent.chat.id)).await;
    let window = std::time::Duration::from_mins(2);
    store.recall(user(1), sent.chat.id, window).await.unwrap();
    assert_eq!(media::collect(&*store).await, []);
    store.close_report(made.id, "recall").await.unwrap();
    assert_eq!(media::collect(&*store).await, [id]);
}

pub(super) async fn open_reports_come_in_pages_until_something_is_done<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let mut made = Vec::new();
    for reported in 2..=4 {
        made.push(noted(&*store, 1, ReportAbout::User(user(reported))).await);
    }
    let reported = async |after: Option<&Report>, limit| {
        let page = store.open_reports(after.map(|it| it.id), limit).await.unwrap();
        let reported: Vec<UserId> = page.reports.iter().map(|report| report.reported).collect();
        (reported, page.has_more)
    };
    assert_eq!(reported(None, 2).await, (vec![user(2), user(3)], true));
    assert_eq!(reported(Some(&made[1]), 2).await, (vec![user(4)], false));
    store.close_report(made[0].id, "mute").await.unwrap();
    assert_eq!(reported(None, 9).await, (vec![user(3), user(4)], false));
    let closed = store.find_report(made[0].id).await.unwrap().unwrap();
    assert_eq!(closed.outcome.as_deref(), Some("mute"));
}
