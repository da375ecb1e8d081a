//! Finding people, and how much waits for whoever keeps order.

use imserver::{
    accounts,
    clock::Timestamp,
    domain::{Restriction, RestrictionKind, UserId, UserName},
    store::{KnownPerson, NewReport, ReportAbout, Store, Waiting},
};

use super::{Database, name, populated, user};

/// The pages of a search, two people each, as ids.
async fn pages(store: &dyn Store, prefix: &str) -> Vec<Vec<i64>> {
    let (mut pages, mut after) = (Vec::new(), None::<(UserName, UserId)>);
    loop {
        let last = after.as_ref().map(|(name, id)| (name, *id));
        let page = store.find_people(prefix, last, 2).await.unwrap();
        pages.push(page.people.iter().map(|it| it.user.id.get()).collect());
        if !page.has_more {
            return pages;
        }
        after = page.people.last().map(|it| (it.user.name.clone(), it.user.id));
    }
}

pub(super) async fn people_are_found_by_name_and_paged_by_name_and_id<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let called = [(30, "张三"), (31, "张三"), (32, "张三丰"), (33, "张"), (34, "章"), (35, "a%b")];
    let users: Vec<_> = called.iter().map(|&(id, text)| (user(id), name(text))).collect();
    store.ensure_users(&users).await.unwrap();
    store.service_user().await.unwrap();
    assert_eq!(pages(&*store, "张").await, [vec![33, 30], vec![31, 32]]);
    assert_eq!(pages(&*store, "张三").await, [vec![30, 31], vec![32]]);
    assert_eq!(pages(&*store, "a%").await, [[35]]);
    for nobody in ["%", "A", "x\0", "张三丰x"] {
        assert_eq!(pages(&*store, nobody).await, [[0_i64; 0]], "{nobody:?}");
    }
    // Everybody, but not the service itself.
    let all: Vec<_> = pages(&*store, "").await.concat();
    assert_eq!(all, [35, 1, 2, 33, 30, 31, 32, 34]);
    assert!(accounts::erase(&*store, user(30), |_| ()).await.unwrap());
    assert_eq!(pages(&*store, "张三").await, [[31, 32]]);
    assert_eq!(store.person(user(30)).await.unwrap(), None);
    assert_eq!(store.person(user(77)).await.unwrap(), None);
    assert_eq!(store.person(user(31)).await.unwrap().unwrap().user.name, name("张三"));
}

pub(super) async fn a_restriction_is_shown_while_it_is_in_force<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let person = async || store.person(user(1)).await.unwrap().unwrap();
    let KnownPerson { created_at, restriction, reason, .. } = person().await;
    assert_eq!((restriction, reason), (None, None));
    let at = |millis: i64| Some(Timestamp::from_millis(created_at.as_millis() + millis));
    let muted = |until| Restriction { kind: RestrictionKind::Muted, until };
    for until in [None, at(3_600_000)] {
        assert!(store.restrict(user(1), Some(muted(until)), Some("spam")).await.unwrap());
        let found = person().await;
        assert_eq!(
            (found.restriction, found.reason.as_deref()),
            (Some(muted(until)), Some("spam"))
        );
        let listed = store.find_people("user-1", None, 2).await.unwrap();
        assert_eq!(listed.people, [found]);
    }
    assert!(store.restrict(user(1), Some(muted(at(-1))), Some("spam")).await.unwrap());
    let found = person().await;
    assert_eq!((found.restriction, found.reason), (None, None), "it is over");
}

pub(super) async fn what_waits_is_counted_up_to_a_bound<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let waiting = async |most| store.waiting(most).await.unwrap();
    assert_eq!(waiting(10).await, Waiting { held: 0, reports: 0 });
    for reporter in 1..4 {
        let about = ReportAbout::User(user(4));
        let reason = imserver::domain::ReportReason::Spam;
        let new = NewReport { reporter: user(reporter), about, reason, detail: None };
        store.report(&new).await.unwrap();
    }
    assert_eq!(waiting(10).await, Waiting { held: 0, reports: 3 });
    assert_eq!(waiting(2).await.reports, 2);
    let page = store.open_reports(None, 1).await.unwrap();
    store.close_report(page.reports[0].id, "resolve").await.unwrap();
    assert_eq!(waiting(10).await.reports, 2);
}
