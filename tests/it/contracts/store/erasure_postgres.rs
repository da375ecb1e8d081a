//! Erasing somebody who has much, on a slow disk: no statement grows with it.

use std::time::Duration;

use imserver::{
    accounts,
    clock::Timestamp,
    domain::ClientMsgId,
    store::{NewChat, TokenHash, Window},
};

use super::{Database, chat, populated, postgres::PgDatabase, user};

/// Each row takes ten milliseconds, and a statement may take five seconds.
const SLOW: &str = "
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_sleep(0.01);
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER slow BEFORE DELETE ON avatars FOR EACH ROW EXECUTE FUNCTION slow();
    CREATE TRIGGER slow BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION slow();
    CREATE TRIGGER slow BEFORE UPDATE ON chats FOR EACH ROW EXECUTE FUNCTION slow();";

const MANY: u16 = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_much_is_erased_on_a_slow_disk() {
    let (database, store) = populated::<PgDatabase>(3).await;
    let chats: Vec<NewChat> = (0..MANY)
        .map(|_| NewChat { client_msg_id: ClientMsgId::random(), ..chat(1, 3, "-", "word") })
        .collect();
    store.append(&chats).await.unwrap();
    for number in 0..MANY {
        let mut token = [0; 32];
        token[..2].copy_from_slice(&number.to_be_bytes());
        let (now, long) = (Timestamp::from_millis(1_000), Duration::from_hours(1));
        store.create_session(TokenHash(token), user(2), now, long, long).await.unwrap();
    }
    // What others have left behind is none of an erasure's business.
    let pictures = format!(
        "INSERT INTO avatars (hash, content_type, picture)
         SELECT lpad(n::text, 64, '0'), 'image/png', 'x' FROM generate_series(1, {MANY}) n"
    );
    database.tamper(&pictures).await;
    database.tamper(SLOW).await;

    let [talker, stayer] = [1, 2].map(user);
    let (talker, stayer) = tokio::join!(
        accounts::erase(&*store, talker, |_| ()),
        accounts::erase(&*store, stayer, |_| ())
    );
    assert!(talker.unwrap() && stayer.unwrap());

    let conversation = store.conversation_with(user(3), user(1)).await.unwrap().unwrap().id;
    let page = store.chats(user(3), conversation, Window::Newest, 1_000).await.unwrap().unwrap();
    assert_eq!(page.chats.len(), usize::from(MANY));
    assert!(page.chats.iter().all(|chat| chat.content.is_empty()));
    let mut last = [0; 32];
    last[..2].copy_from_slice(&(MANY - 1).to_be_bytes());
    assert!(store.session(TokenHash(last)).await.unwrap().unwrap().revoked);
}
