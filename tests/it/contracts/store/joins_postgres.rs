//! A join that waits for a chat to be committed, on Postgres, where a statement that waits for a lock reads other
//! tables as they were before.

use imserver::{
    domain::{ClientMsgId, GroupChange},
    store::{GroupBegun, NewGroup, Window},
};

use super::{
    Database,
    groups::{RULES, into},
    populated,
    postgres::PgDatabase,
    user,
};
use crate::harness::{eventually, postgres};

/// A chat takes two seconds, and the lock of its group is held meanwhile.
const SLOW: &str = "
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON chats FOR EACH ROW WHEN (NEW.client_msg_id = 'slow')
        EXECUTE FUNCTION slow();";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_does_not_see_the_chat_that_the_join_waited_for() {
    let (database, store) = populated::<PgDatabase>(3).await;
    let new = NewGroup {
        creator: user(1),
        key: ClientMsgId::random(),
        title: None,
        members: [user(2)].into(),
    };
    let GroupBegun::Begun(group, _) = store.begin_group(&new).await.unwrap() else { panic!() };
    database.tamper(SLOW).await;
    let slow = [into(1, group, "slow")];
    let join = async {
        eventually("the chat is being written", async || {
            let mut watcher = postgres::connect(database.url()).await;
            let sleeping: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event = 'PgSleep'",
            )
            .fetch_one(&mut watcher)
            .await
            .unwrap();
            sleeping > 0
        })
        .await;
        let joining = GroupChange::Add([user(3)].into());
        store.change_group(group, user(1), &joining, RULES).await.unwrap().unwrap();
    };
    let (sent, ()) = tokio::join!(store.append(&slow), join);
    sent.unwrap();
    let page = store.chats(user(3), group, Window::Newest, 9).await.unwrap().unwrap();
    let seen: Vec<_> = page.chats.iter().map(|chat| chat.kind.as_str()).collect();
    assert_eq!(seen, ["system"], "from the line of the join on");
}
