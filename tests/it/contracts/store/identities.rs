//! Who a login leads to, also beside a replica of the version before, which knows no identities: here it
//! is played by its own statements.

use std::{collections::HashSet, sync::Arc};

use imserver::{
    domain::{ExternalId, Identity, OpenId, User, UserId, WechatUser},
    store::{Store, StoreError},
};
use sqlx::{AssertSqlSafe, Connection};
use tokio::task::JoinSet;

use super::{
    Database, demo_user, name, populated, postgres::PgDatabase, sqlite::SqliteFile, user,
    wechat_user,
};
use crate::harness::{eventually, postgres};

/// What the version before does with users: `column` is `demo_name` or `openid`.
pub(super) trait VersionBefore: Database {
    /// The user with this login, made if there is none.
    fn log_in(&self, column: &str, login: &str) -> impl Future<Output = i64> + Send;

    /// Drops the triggers of `users`, as the next version will.
    async fn drop_triggers(&self);

    /// Erases a user.
    async fn erase(&self, id: UserId) {
        let columns = "name = '已注销', avatar = NULL, openid = NULL, demo_name = NULL";
        let erased = "erased_at = coalesce(erased_at, 1)";
        self.tamper(&format!("UPDATE users SET {columns}, {erased} WHERE id = {id}")).await;
    }
}

impl VersionBefore for PgDatabase {
    async fn log_in(&self, column: &str, login: &str) -> i64 {
        let mut connection = postgres::connect(self.url()).await;
        loop {
            let find = format!("SELECT id FROM users WHERE {column} = $1");
            let found = sqlx::query_scalar(AssertSqlSafe(find)).bind(login);
            if let Some(id) = found.fetch_optional(&mut connection).await.unwrap() {
                return id;
            }
            let make = format!(
                "WITH made AS (
                     INSERT INTO users (id, name, {column}, created_at)
                     VALUES (nextval('user_ids'), 'x', $1, 0) ON CONFLICT DO NOTHING RETURNING id
                 )
                 INSERT INTO timelines (user_id, first_seq, last_seq) SELECT id, 1, 0 FROM made"
            );
            let make = sqlx::query(AssertSqlSafe(make)).bind(login);
            make.execute(&mut connection).await.unwrap();
        }
    }

    async fn drop_triggers(&self) {
        for which in ["new", "changed"] {
            self.tamper(&format!("DROP TRIGGER identities_of_{which}_users ON users")).await;
        }
    }
}

impl VersionBefore for SqliteFile {
    async fn log_in(&self, column: &str, login: &str) -> i64 {
        let mut connection = self.connect().await;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let find = format!("SELECT id FROM users WHERE {column} = ?1");
        let found = sqlx::query_scalar(AssertSqlSafe(find)).bind(login);
        if let Some(id) = found.fetch_optional(&mut *tx).await.unwrap() {
            return id;
        }
        let next = "UPDATE service SET next_user_id = next_user_id + 1 RETURNING next_user_id - 1";
        let id: i64 = sqlx::query_scalar(next).fetch_one(&mut *tx).await.unwrap();
        let make = format!(
            "INSERT INTO users (id, name, {column}, created_at) VALUES (?1, 'x', ?2, 0)
             RETURNING id, name, avatar"
        );
        let make = sqlx::query(AssertSqlSafe(make)).bind(id).bind(login);
        make.fetch_one(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    async fn drop_triggers(&self) {
        for which in ["new", "changed", "erased"] {
            self.tamper(&format!("DROP TRIGGER identities_of_{which}_users")).await;
        }
    }
}

pub(super) async fn a_demo_user_is_found_by_the_first_name<D: Database>() {
    let database = D::create().await;
    let stores = [database.open().await, database.open().await];
    let mut calls = JoinSet::new();
    for i in 0..20 {
        let store = stores[i % 2].clone();
        calls.spawn(async move { demo_user(&*store, "张三").await });
    }
    let answers: HashSet<_> = calls.join_all().await.into_iter().map(|user| user.id).collect();
    assert_eq!(answers.len(), 1);
    let [store, _] = &stores;
    let first = demo_user(&**store, "张三").await;
    assert_eq!(first.name.as_str(), "张三");
    assert!(first.id.get() >= UserId::FIRST_REGISTERED);

    let renamed = store.rename(first.id, &name("李四")).await.unwrap().unwrap();
    assert_eq!(demo_user(&**store, "张三").await, renamed);
    // The display name of another is no login.
    assert_ne!(demo_user(&**store, "李四").await.id, first.id);
    // To the letter.
    assert_ne!(demo_user(&**store, "张 三").await.id, first.id);
    let lower = demo_user(&**store, "bob").await;
    assert_ne!(demo_user(&**store, "Bob").await.id, lower.id);
}

pub(super) async fn a_wechat_user_is_made_once<D: Database>() {
    let database = D::create().await;
    let stores = [database.open().await, database.open().await];
    let mut calls = JoinSet::new();
    for i in 0..20 {
        let store = stores[i % 2].clone();
        calls.spawn(async move { wechat_user(&*store, "oA-b_1").await });
    }
    let answers: HashSet<_> = calls.join_all().await.into_iter().map(|user| user.id).collect();
    assert_eq!(answers.len(), 1);
    let [store, _] = &stores;
    let same = wechat_user(&**store, "oA-b_1").await;
    assert!(answers.contains(&same.id) && same.id.get() >= UserId::FIRST_REGISTERED);
    assert!(!same.name.as_str().contains("oA-b_1"), "an openid is shown to nobody");
    let renamed = store.rename(same.id, &name("me")).await.unwrap().unwrap();
    assert_eq!(wechat_user(&**store, "oA-b_1").await, renamed);
    assert_ne!(wechat_user(&**store, "oa-b_1").await.id, same.id);
    // The same word is not the same user on both ways in.
    assert_ne!(demo_user(&**store, "oA-b_1").await.id, same.id);
}

pub(super) async fn a_name_is_given_to_who_is_new<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let wechat = Identity::wechat("wx-1".into(), "oA");
    let named = store.user_by_identity(&wechat, Some(&name("王五"))).await.unwrap();
    assert_eq!(named.name.as_str(), "王五");
    for called in [None, Some(&name("another"))] {
        assert_eq!(store.user_by_identity(&wechat, called).await.unwrap(), named);
    }
    let nameless = wechat_user(&*store, "oB").await;
    assert_eq!(nameless.name.as_str(), format!("用户{}", nameless.id));
    assert_eq!(store.users(&[nameless.id]).await.unwrap(), [nameless]);
}

pub(super) async fn each_mini_program_has_openids_of_its_own<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    for (provider, id) in [("wechat:wx-2", 2), ("wechat:wx-22", 1), ("wechat", 1)] {
        let known = format!("INSERT INTO identities VALUES ('{provider}', 'oA', {id})");
        database.tamper(&known).await;
    }
    for (appid, id) in [("wx-2", 2), ("wx-22", 1), ("wx-1", 1)] {
        let identity = Identity::wechat(appid.into(), "oA");
        assert_eq!(store.user_by_identity(&identity, None).await.unwrap().id, user(id), "{appid}");
    }
    let openids = async |id| {
        let mut users = store.wechat_users(user(id)).await.unwrap();
        users.sort_by(|a, b| a.appid.cmp(&b.appid));
        users
    };
    let in_program = |appid: Option<&str>| WechatUser {
        appid: appid.map(Into::into),
        openid: OpenId::new("oA"),
    };
    assert_eq!(openids(1).await, [in_program(None), in_program(Some("wx-22"))]);
    assert_eq!(openids(2).await, [in_program(Some("wx-2"))]);
    assert_eq!(openids(3).await, []);
}

pub(super) async fn an_openid_of_the_version_before_leads_in_from_any_mini_program<D>()
where
    D: VersionBefore,
{
    let database = D::create().await;
    let store = database.open().await;
    let id = database.log_in("openid", "oA").await;
    for appid in ["wx-1", "wx-2"] {
        let identity = Identity::wechat(appid.into(), "oA");
        assert_eq!(store.user_by_identity(&identity, None).await.unwrap().id, user(id));
    }
    // A demo user may be called so.
    assert_ne!(demo_user(&*store, "oA").await.id, user(id));
}

pub(super) async fn an_external_id_leads_to_one_user<D: Database>() {
    let database = D::create().await;
    let stores = [database.open().await, database.open().await];
    let external = Identity::external(&ExternalId::parse("4711").unwrap());
    let mut calls = JoinSet::new();
    for i in 0..20 {
        let (store, external) = (stores[i % 2].clone(), external.clone());
        calls.spawn(async move { store.user_by_identity(&external, None).await.unwrap().id });
    }
    let answers: HashSet<UserId> = calls.join_all().await.into_iter().collect();
    assert_eq!(answers.len(), 1);
    assert_eq!(database.count("users").await, 1);
    let [store, _] = &stores;
    let same = store.user_by_identity(&external, Some(&name("王五"))).await.unwrap();
    assert!(answers.contains(&same.id));
    assert_ne!(same.name.as_str(), "王五", "a login renames nobody");
    assert_eq!(database.count("identities WHERE provider = 'external'").await, 1);
    assert_eq!(same.external_id, Some(ExternalId::parse("4711").unwrap()));
    // The same word is somebody else on another way in.
    let demo = demo_user(&**store, "4711").await;
    assert_ne!(demo.id, same.id);
    assert_eq!(demo.external_id, None);
    assert_ne!(wechat_user(&**store, "4711").await.id, same.id);
}

/// The user of this mini program with this openid and unionid.
async fn union_user(store: &dyn Store, appid: &str, openid: &str, unionid: &str) -> User {
    let unionid = Some(unionid).filter(|unionid| !unionid.is_empty());
    let identity = Identity::wechat(appid.into(), openid).with_unionid(unionid);
    store.user_by_identity(&identity, None).await.unwrap()
}

pub(super) async fn a_unionid_joins_mini_programs<D: VersionBefore>() {
    let database = D::create().await;
    let stores = [database.open().await, database.open().await];
    let mut calls = JoinSet::new();
    for i in 0..20 {
        let store = stores[i % 2].clone();
        calls.spawn(async move {
            let (appid, openid) = (format!("wx-{}", i / 2 % 3), format!("o{}", i / 2 % 3));
            union_user(&*store, &appid, &openid, "u1").await.id
        });
    }
    let answers: HashSet<UserId> = calls.join_all().await.into_iter().collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(database.count("users").await, 1, "nobody is left over");
    let [store, _] = &stores;
    for (appid, openid) in [("wx-0", "o0"), ("wx-1", "o1"), ("wx-2", "o2")] {
        let user = union_user(&**store, appid, openid, "").await;
        assert!(answers.contains(&user.id), "{appid} leads in without the unionid");
    }
    let other = union_user(&**store, "wx-0", "o9", "u9").await;
    assert!(!answers.contains(&other.id));
    assert_eq!(database.log_in("openid", "o9").await, other.id.get());
    // Whatever an erased user came by leads to somebody else.
    assert!(store.erase_user(other.id).await.unwrap());
    let again = union_user(&**store, "wx-1", "o8", "u9").await;
    assert_ne!(again.id, other.id);
    assert_eq!(union_user(&**store, "wx-0", "o9", "u9").await.id, again.id);
}

pub(super) async fn a_unionid_is_noted_at_the_next_login<D: VersionBefore>() {
    let database = D::create().await;
    let store = database.open().await;
    let first = union_user(&*store, "wx-1", "o1", "").await;
    let before = user(database.log_in("openid", "o-before").await);
    assert_eq!(union_user(&*store, "wx-1", "o1", "u1").await, first);
    assert_eq!(union_user(&*store, "wx-1", "o-before", "u-before").await.id, before);
    assert_eq!(union_user(&*store, "wx-2", "o2", "u1").await, first);
    assert_eq!(union_user(&*store, "wx-2", "o3", "u-before").await.id, before);
    assert_eq!(database.count("users").await, 2);
}

pub(super) async fn a_unionid_joins_nobody_who_was_somebody_else_before<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let one = union_user(&*store, "wx-1", "o1", "").await;
    let two = union_user(&*store, "wx-2", "o2", "").await;
    for _ in 0..2 {
        assert_eq!(union_user(&*store, "wx-1", "o1", "u1").await, one);
        assert_eq!(union_user(&*store, "wx-2", "o2", "u1").await, two);
    }
    assert_eq!(union_user(&*store, "wx-3", "o3", "u1").await, one);
    assert_eq!(database.count("users").await, 2);
    // The mini programs are another owner's now, who gives unionids of its own.
    for (appid, openid) in [("wx-1", "o1"), ("wx-4", "o4")] {
        assert_eq!(union_user(&*store, appid, openid, "u2").await, one);
    }
}

pub(super) async fn two_openids_of_a_mini_program_are_two_users_whatever_the_unionid<D>()
where
    D: Database,
{
    let database = D::create().await;
    let store = database.open().await;
    let one = union_user(&*store, "wx-1", "o1", "u1").await;
    let two = union_user(&*store, "wx-1", "o2", "u1").await;
    assert_ne!(one.id, two.id);
    for _ in 0..2 {
        assert_eq!(union_user(&*store, "wx-1", "o1", "u1").await, one);
        assert_eq!(union_user(&*store, "wx-1", "o2", "u1").await, two);
    }
    assert_eq!(database.count("users").await, 2);
}

pub(super) async fn whom_the_version_before_made_is_found<D: VersionBefore>() {
    let database = D::create().await;
    let store = database.open().await;
    let demo = database.log_in("demo_name", "张三").await;
    let wechat = database.log_in("openid", "oA").await;
    for _ in 0..2 {
        assert_eq!(demo_user(&*store, "张三").await.id, user(demo));
        assert_eq!(wechat_user(&*store, "oA").await.id, user(wechat));
    }
    assert_eq!(database.count("users").await, 2);
    // Whoever came without an account then comes to one.
    database.tamper("INSERT INTO users (id, name, created_at) VALUES (7, 'x', 0)").await;
    database.tamper("UPDATE users SET openid = 'oB' WHERE id = 7").await;
    assert_eq!(wechat_user(&*store, "oB").await.id, user(7));
}

pub(super) async fn whom_this_version_made_the_version_before_finds<D: VersionBefore>() {
    let database = D::create().await;
    let store = database.open().await;
    let demo = demo_user(&*store, "张三").await.id;
    let wechat = wechat_user(&*store, "oA").await.id;
    store.rename(demo, &name("李四")).await.unwrap();
    assert_eq!(database.log_in("demo_name", "张三").await, demo.get());
    assert_eq!(database.log_in("openid", "oA").await, wechat.get());
    assert_eq!(database.count("users").await, 2);
}

pub(super) async fn both_versions_make_one_user_at_the_same_time<D: VersionBefore>() {
    const ROUNDS: i64 = 20;
    let database = Arc::new(D::create().await);
    let stores = [database.open().await, database.open().await];
    for round in 0..ROUNDS {
        let login = format!("{round}");
        let mut calls = JoinSet::new();
        for store in stores.clone() {
            let login = login.clone();
            calls.spawn(async move {
                let (demo, wechat) =
                    tokio::join!(demo_user(&*store, &login), wechat_user(&*store, &login));
                (demo.id.get(), wechat.id.get())
            });
        }
        for _ in 0..2 {
            let (database, login) = (Arc::clone(&database), login.clone());
            calls.spawn(async move {
                tokio::join!(
                    database.log_in("demo_name", &login),
                    database.log_in("openid", &login)
                )
            });
        }
        let found: HashSet<(i64, i64)> = calls.join_all().await.into_iter().collect();
        assert_eq!(found.len(), 1, "{found:?}");
    }
    assert_eq!(database.count("users").await, 2 * ROUNDS);
    let wrong = "identities i JOIN users u ON u.id = i.user_id
        WHERE i.subject IS DISTINCT FROM coalesce(u.demo_name, u.openid)";
    assert_eq!(database.count(wrong).await, 0);
}

pub(super) async fn an_erasure_by_either_version_takes_all_identities<D: VersionBefore>() {
    let database = D::create().await;
    let store = database.open().await;
    for by_this_version in [true, false] {
        let (demo, wechat) = (demo_user(&*store, "张三").await, wechat_user(&*store, "oA").await);
        let other = demo_user(&*store, "李四").await;
        // As a later version may add.
        let more = format!("INSERT INTO identities VALUES ('jwt:x', 's', {})", demo.id);
        database.tamper(&more).await;
        for erased in [demo.id, wechat.id] {
            if by_this_version {
                assert!(store.erase_user(erased).await.unwrap());
            } else {
                database.erase(erased).await;
            }
        }
        let left = format!("identities WHERE user_id IN ({}, {})", demo.id, wechat.id);
        assert_eq!(database.count(&left).await, 0);
        // The same way in leads to somebody else, in both versions.
        assert_eq!(demo_user(&*store, "李四").await, other);
        let again = demo_user(&*store, "张三").await;
        assert_ne!(again.id, demo.id);
        assert_eq!(database.log_in("demo_name", "张三").await, again.id.get());
        let again = database.log_in("openid", "oA").await;
        assert_ne!(again, wechat.id.get());
        assert_eq!(wechat_user(&*store, "oA").await.id.get(), again);
    }
}

/// As it is beside the next version.
pub(super) async fn this_version_needs_no_trigger<D: VersionBefore>() {
    let database = D::create().await;
    let store = database.open().await;
    database.drop_triggers().await;
    let (demo, wechat) = (demo_user(&*store, "张三").await, wechat_user(&*store, "oA").await);
    assert_eq!(demo_user(&*store, "张三").await, demo);
    assert_eq!(wechat_user(&*store, "oA").await, wechat);
    assert_eq!(database.count("identities").await, 2);
    for erased in [demo.id, wechat.id] {
        store.erase_user(erased).await.unwrap();
    }
    assert_eq!(database.count("identities").await, 0);
}

pub(super) async fn an_identity_that_was_lost_is_noticed<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    demo_user(&*store, "张三").await;
    database.tamper("DELETE FROM identities").await;
    let identity = Identity::demo(&name("张三"));
    let lost = store.user_by_identity(&identity, Some(&name("张三"))).await.unwrap_err();
    assert!(matches!(lost, StoreError::Corrupt(_)), "{lost:?}");
    assert!(!format!("{lost} {lost:?}").contains("张三"), "{lost:?}");
}

/// As it is once there are no columns, or where the provider never had one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_make_one_user_without_the_columns_too() {
    let (database, store) = populated::<PgDatabase>(1).await;
    let mut other = postgres::connect(database.url()).await;
    let mut tx = other.begin().await.unwrap();
    sqlx::query("INSERT INTO identities VALUES ('wechat:wx-1', 'oA', 1)")
        .execute(&mut *tx)
        .await
        .unwrap();
    let found = tokio::spawn({
        let store = store.clone();
        async move { wechat_user(&*store, "oA").await.id }
    });
    let waiting =
        "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("it waits", async || database.count(waiting).await == 1).await;
    tx.commit().await.unwrap();
    assert_eq!(found.await.unwrap(), user(1));
    assert_eq!(database.count("users").await, 1, "nobody is left over");
}
