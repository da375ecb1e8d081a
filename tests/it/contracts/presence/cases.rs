//! The cases of the suite.

use imserver::presence::Connection;

use super::{GRACE, PresenceFactory, Register, STEP, connection, user};

pub(super) async fn coming_and_going_are_announced_once_and_in_time(
    mut register: Register<impl PresenceFactory>,
) {
    assert!(!register.is_online(1).await);
    let came = register.join(1, 11).await;
    register.expect(1, true, came).await;
    assert!(register.is_online(1).await);

    register.pass(STEP).await;
    let left = register.leave(1, 11).await;
    assert!(register.is_online(1).await, "nobody is offline before the grace is over");
    register.pass(GRACE + STEP).await;
    register.expect(1, false, left).await;
    assert!(!register.is_online(1).await);
    register.pass(GRACE * 2).await;
    register.expect_silence().await;

    let again = register.join(1, 12).await;
    register.expect(1, true, again).await;
}

pub(super) async fn joining_and_leaving_twice_is_no_error(
    mut register: Register<impl PresenceFactory>,
) {
    let came = register.join(1, 11).await;
    register.join(1, 11).await;
    register.expect(1, true, came).await;
    assert_eq!(register.list(None, 10).await, [(1, 1)]);

    let left = register.leave(1, 11).await;
    register.pass(STEP).await;
    register.leave(1, 11).await;
    register.leave(2, 11).await;
    register.pass(GRACE + STEP).await;
    register.expect(1, false, left).await;
    register.leave(1, 11).await;
    register.pass(GRACE * 2).await;
    register.expect_silence().await;
}

pub(super) async fn a_user_stays_for_as_long_as_one_socket_does(
    mut register: Register<impl PresenceFactory>,
) {
    let came = register.join(1, 11).await;
    register.pass(STEP).await;
    register.join(1, 12).await;
    register.expect(1, true, came).await;
    assert_eq!(register.list(None, 10).await, [(1, 2)]);

    register.leave(1, 11).await;
    register.leave(1, 13).await;
    register.pass(GRACE * 2).await;
    assert_eq!(register.list(None, 10).await, [(1, 1)]);
    register.expect_silence().await;
    assert!(register.is_online(1).await);

    let left = register.leave(1, 12).await;
    register.pass(GRACE + STEP).await;
    register.expect(1, false, left).await;
}

pub(super) async fn coming_back_within_the_grace_is_not_seen(
    mut register: Register<impl PresenceFactory>,
) {
    let came = register.join(1, 11).await;
    register.expect(1, true, came).await;
    register.leave(1, 11).await;
    register.pass(GRACE / 2).await;
    assert!(register.is_online(1).await);
    register.join(1, 12).await;
    register.pass(GRACE * 2).await;
    register.expect_silence().await;
    assert!(register.is_online(1).await);
}

pub(super) async fn the_grace_begins_anew_with_each_leave(
    mut register: Register<impl PresenceFactory>,
) {
    let came = register.join(1, 11).await;
    register.expect(1, true, came).await;
    register.leave(1, 11).await;
    register.pass(STEP * 4).await;
    register.join(1, 12).await;
    let left = register.leave(1, 12).await;
    register.pass(STEP * 4).await;
    assert!(register.is_online(1).await, "the first leave was taken back");
    register.expect_silence().await;
    register.pass(STEP * 4).await;
    register.expect(1, false, left).await;
}

pub(super) async fn lists_are_paged_by_id_and_show_sockets_only(
    register: Register<impl PresenceFactory>,
) {
    // Where ids are sorted as text, 10 comes before 9; where they are spread, anything does.
    for who in [100, 9, 10, 1_000_000, 2] {
        register.join(who, who).await;
    }
    register.join(9, 90).await;
    register.join(50, 50).await;
    register.leave(50, 50).await;

    assert!(register.is_online(50).await);
    assert_eq!(register.list(None, 2).await, [(2, 1), (9, 2)]);
    assert_eq!(register.list(Some(9), 2).await, [(10, 1), (100, 1)]);
    assert_eq!(register.list(Some(100), 2).await, [(1_000_000, 1)]);
    assert_eq!(register.list(Some(1_000_000), 2).await, []);
    assert_eq!(register.list(Some(3), 1).await, [(9, 2)], "a page may begin after anybody");
    assert_eq!(register.list(None, 100).await.len(), 5);
}

pub(super) async fn the_sockets_of_users_are_known_by_id(register: Register<impl PresenceFactory>) {
    // As numbers, 9 comes before 10; and they are as large as ids get.
    let large = imserver::domain::MAX_ID;
    for (who, socket) in [(1, 10), (1, large), (1, 9), (2, 7), (3, 8), (1_000, 5)] {
        register.join(who, socket).await;
    }
    register.join(1, 10).await;
    register.leave(1, 9).await;
    register.leave(3, 8).await;
    let asked = [1_000, 1, 3, 77, 1, 2].map(user);
    let open = register.presence.connections(&asked).await.unwrap();
    let sure = |id| Connection { id: connection(id), is_sure: true, is_background: false };
    let expected = [
        (user(1), vec![sure(10), sure(large)]),
        (user(2), vec![sure(7)]),
        (user(1_000), vec![sure(5)]),
    ];
    assert_eq!(open, expected.into());
    assert!(register.presence.connections(&[]).await.unwrap().is_empty());
}

pub(super) async fn a_socket_that_nobody_looks_at_is_marked(
    mut register: Register<impl PresenceFactory>,
) {
    let came = register.join(1, 11).await;
    register.expect(1, true, came).await;
    register.join(1, 12).await;
    let marks = async |register: &Register<_>| {
        let open = register.presence.connections(&[user(1)]).await.unwrap();
        let sockets = open.get(&user(1)).into_iter().flatten();
        sockets.map(|it| (it.id.get(), it.is_background)).collect::<Vec<_>>()
    };
    let set = async |register: &Register<_>, socket, is_background| {
        let presence = &register.presence;
        presence.set_background(user(1), connection(socket), is_background).await.unwrap();
    };
    for _ in 0..2 {
        set(&register, 12, true).await;
        assert_eq!(marks(&register).await, [(11, false), (12, true)]);
    }
    register.join(1, 13).await;
    assert_eq!(marks(&register).await, [(11, false), (12, true), (13, false)]);
    set(&register, 11, true).await;
    set(&register, 13, true).await;
    assert!(marks(&register).await.iter().all(|(_, is_background)| *is_background));
    assert_eq!(register.list(None, 9).await, [(1, 3)]);
    for _ in 0..2 {
        set(&register, 11, false).await;
        assert_eq!(marks(&register).await, [(11, false), (12, true), (13, true)]);
    }
    // With its socket a mark is gone, and of what is not open there is none.
    register.leave(1, 13).await;
    set(&register, 13, true).await;
    register.presence.set_background(user(2), connection(11), true).await.unwrap();
    register.join(1, 13).await;
    assert_eq!(marks(&register).await, [(11, false), (12, true), (13, false)]);
    for socket in [11, 12, 13] {
        register.leave(1, socket).await;
    }
    assert_eq!(marks(&register).await, []);
    register.expect_silence().await;
}

pub(super) async fn versions_rise_and_follow_the_time(
    mut register: Register<impl PresenceFactory>,
) {
    let mut last = 0;
    for _ in 0..3 {
        let came = register.join(1, 11).await;
        let online = register.expect(1, true, came).await;
        assert!(online.version > last);
        // In microseconds of the time, so that they rise although all was forgotten.
        assert!(online.version >= came.0.as_millis() * 1_000);
        let left = register.leave(1, 11).await;
        register.pass(GRACE + STEP).await;
        let offline = register.expect(1, false, left).await;
        assert!(offline.version > online.version);
        last = offline.version;
    }
}
