//! What every `store` implementation is held to: one suite, run on each database.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as its assertions do")]

mod api_keys;
mod append;
mod batcher;
mod concurrency;
mod connections;
mod conversations;
pub mod cost;
mod directory;
mod erasure;
mod erasure_postgres;
mod exports;
mod external_users;
pub(crate) mod fake;
mod feed;
mod groups;
mod happenings;
mod holds;
mod identities;
mod jobs;
mod joins_postgres;
mod latest;
mod linger;
mod managed;
mod media;
mod members;
mod outbox;
mod outbox_postgres;
mod parking;
mod pictures;
mod postgres;
mod readers;
mod recalls;
mod reports;
mod service;
mod sessions;
mod sqlite;
mod standings;
mod subscriptions;
mod timelines;
mod trims;
mod users;
mod webhooks;
mod wechat;

use std::sync::Arc;

use imserver::{
    domain::{
        Chat, ChatId, ClientMsgId, Content, Conversation, Destination, Identity, Peer, Seq, Target,
        User, UserId, UserName,
    },
    store::{Appended, Change, Committed, NewChat, Store},
};

/// A database of one test's own.
pub(crate) trait Database: Sized + Send + Sync + 'static {
    /// How its SQL writes bytes, `{}` being their hexadecimal digits.
    const BYTES: &'static str;

    /// Whether one of several that write without a pause may wait for longer than the store does.
    const MAKES_WAIT: bool;

    /// Makes an empty one.
    async fn create() -> Self;

    /// Opens it: the first time as the service does, each further time as another replica.
    async fn open(&self) -> Arc<dyn Store>;

    /// Runs a statement behind the store's back.
    async fn tamper(&self, statement: &str);

    /// The one number that a query answers.
    async fn number(&self, query: &str) -> i64;

    /// All columns, each behind its table and a dot, but for what the database itself keeps.
    async fn columns(&self) -> Vec<String>;

    /// How many rows these are: what stands behind `FROM`.
    async fn count(&self, rows: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {rows}")).await
    }
}

/// Runs the suite on a database. Each case is a function of the module that its list is headed by.
macro_rules! store_contract {
    ($database:ident, $factory:ty) => {
        mod $database {
            store_contract! { @cases $factory;
                append: [
                    commits_are_numbered_and_answered_in_order,
                    the_same_key_is_the_same_chat_for_ever,
                    a_key_with_other_words_is_refused,
                    repeats_within_a_batch_are_folded,
                    a_chat_to_oneself_is_one_event,
                    unknown_users_are_told_apart,
                    an_empty_batch_touches_nothing,
                    a_refused_chat_takes_its_batch_along,
                    content_comes_back_exactly,
                    a_batch_may_be_large,
                ];
                concurrency: [
                    a_key_at_two_replicas_is_one_chat,
                    a_timeline_has_no_holes_and_nothing_overtakes,
                    crossed_batches_of_replicas_do_not_deadlock,
                    a_dropped_call_leaves_nothing_half_done,
                ];
                timelines: [
                    nothing_has_happened_yet,
                    events_come_in_pages_without_holes,
                    a_seq_outside_the_range_gives_only_the_range,
                    a_trimmed_timeline_keeps_its_numbers,
                    a_hole_is_found,
                    a_lost_chat_is_found,
                    events_of_unknown_kinds_pass_through,
                    chats_of_unknown_kinds_pass_through,
                    latest_chats_are_in_the_order_of_the_timeline,
                    a_standing_is_of_its_user_and_of_now,
                ];
                groups: [
                    every_member_gets_each_chat_and_nobody_else,
                    a_direct_conversation_can_be_named_by_its_id,
                    who_has_no_timeline_gets_no_event,
                    what_a_chat_holds_comes_back_as_it_was,
                    a_changed_chat_still_tells_a_repeat_from_another_request,
                    what_nobody_decided_about_is_answered_if_it_is_a_repeat,
                    exactly_the_members_of_that_moment_get_a_chat,
                    crossed_changes_and_batches_do_not_deadlock,
                ];
                wechat: [
                    an_event_is_kept_once_until_it_is_handled,
                    a_check_goes_from_its_question_to_what_follows,
                ];
                members: [
                    a_group_begins_once_for_each_key,
                    at_two_replicas_a_key_is_one_group,
                    members_read_their_own_stretches_of_a_group,
                    a_group_changes_as_its_roles_allow,
                    roles_and_own_settings_do_not_deadlock,
                    what_one_keeps_of_a_conversation_is_ones_own,
                    whoever_is_called_by_name_sees_it_until_reading,
                ];
                recalls: [
                    a_recalled_chat_says_nothing_anywhere,
                    a_recall_has_its_time,
                    changes_are_read_from_a_version_on,
                    a_chat_deleted_for_oneself_is_gone_for_good,
                    recalls_and_chats_cross_without_a_deadlock,
                ];
                standings: [
                    a_block_is_between_two_until_it_is_taken_back,
                    whoever_is_blocked_does_not_find_the_blocker,
                    whoever_is_blocked_sees_the_read_mark_of_then,
                    a_restriction_replaces_the_one_before,
                    standings_come_in_the_order_of_the_users,
                    a_change_of_a_standing_is_found_by_its_time,
                    what_is_fixed_about_a_conversation_is_found,
                ];
                subscriptions: [
                    each_accept_is_one_grant,
                    whoever_has_a_grant_and_has_not_read_is_away,
                    of_all_callers_one_takes_an_absence,
                    an_absence_ends_when_it_is_read,
                    what_was_not_sent_is_given_back_once,
                    a_grant_is_spent_once_for_many_absences,
                    an_erased_user_has_neither_grants_nor_absences,
                ];
                holds: [
                    a_key_is_at_one_caller_at_a_time,
                    a_key_at_two_replicas_is_asked_about_once,
                    what_was_allowed_and_not_sent_is_remembered,
                    a_held_chat_is_sent_when_it_is_released,
                    a_refused_chat_is_told_to_its_sender_alone,
                    what_cannot_be_sent_is_not_held,
                    whoever_takes_keys_learns_of_their_chats,
                    a_key_is_looked_up_without_being_taken,
                    what_a_held_chat_shows_is_not_collected,
                ];
                reports: [
                    a_report_keeps_the_chat_as_it_was,
                    only_what_one_can_see_is_reported,
                    open_reports_come_in_pages_until_something_is_done,
                    a_repeat_is_the_same_report_until_something_is_done,
                    what_a_reported_chat_shows_is_not_collected,
                ];
                latest: [
                    latest_chats_outlive_the_timeline,
                    latest_chats_are_those_of_the_timeline_whatever_the_limit,
                    latest_chats_are_direct,
                ];
                trims: [
                    events_are_as_old_as_they_say_or_as_their_chats,
                    timelines_are_trimmed_in_steps_and_one_round_a_day,
                ];
                outbox: [
                    it_tells_of_chats_while_it_is_on,
                    a_reader_goes_on_from_the_text_of_its_place,
                    a_new_history_is_read_from_the_beginning,
                    a_place_in_another_kind_of_database_is_refused,
                    old_entries_are_dropped_page_by_page,
                    kinds_of_a_newer_version_are_passed_on,
                    readers_that_die_miss_nothing,
                    what_a_handler_does_not_take_comes_again,
                    nobody_takes_the_work_while_a_handler_is_at_it,
                ];
                happenings: [
                    a_conversation_is_told_before_its_chats_and_once,
                    members_who_come_and_go_are_told,
                    users_are_told_when_they_are_new_and_come_and_go,
                    entries_are_found_by_id_and_time,
                ];
                parking: [
                    heads_of_lanes_are_due_in_their_time,
                    what_is_asked_for_again_is_due_at_once,
                    what_was_parked_since_a_time_can_be_due_at_once,
                    an_endpoint_is_off_as_long_as_its_url_stays,
                    parked_deliveries_are_listed_counted_and_dropped,
                ];
                webhooks: [
                    an_endpoint_is_told_what_it_wants_to_know_in_order,
                    a_lane_that_fails_holds_up_no_other,
                    an_endpoint_that_is_away_misses_nothing,
                    a_chat_that_was_recalled_has_no_words,
                    an_endpoint_that_is_gone_is_left_alone,
                    odd_answers_do_no_harm,
                    no_address_of_ones_own_network_is_asked,
                    what_was_given_up_can_be_repeated,
                    all_since_a_time_can_be_repeated,
                    too_many_parked_deliveries_stop_the_reader,
                    a_busy_lane_that_is_refused_stops_no_other,
                    the_end_of_an_outage_ends_its_waits,
                    replicas_that_die_lose_nothing,
                ];
                feed: [
                    a_feed_is_read_page_by_page,
                    a_reader_of_the_feed_waits_for_news,
                    an_old_cursor_is_gone_and_a_wrong_one_refused,
                ];
                jobs: [
                    work_is_done_by_one_replica_at_a_time,
                    of_replicas_that_ask_at_once_one_has_the_work,
                    work_that_rests_is_taken_by_nobody,
                    work_can_be_moved_back,
                ];
                conversations: [
                    both_sides_see_one_conversation,
                    conversations_come_in_pages,
                    chats_come_in_pages_at_both_ends,
                    unread_is_counted_to_a_hundred,
                    a_read_mark_only_rises_and_stays_within,
                    strangers_see_no_conversation,
                    conversations_of_unknown_kinds_pass_through,
                ];
                users: [
                    names_are_those_of_now,
                    ids_never_collide_with_those_that_clients_chose,
                    ensuring_changes_nobody,
                    a_search_is_by_the_letter,
                    acquaintances_share_a_conversation,
                    both_have_written_from_the_first_answer_on,
                    that_somebody_wrote_is_noted_whatever_the_batch,
                    who_wrote_before_it_was_noted_is_found,
                    last_seen_only_rises,
                ];
                identities: [
                    a_demo_user_is_found_by_the_first_name,
                    a_wechat_user_is_made_once,
                    a_name_is_given_to_who_is_new,
                    each_mini_program_has_openids_of_its_own,
                    an_openid_of_the_version_before_leads_in_from_any_mini_program,
                    an_external_id_leads_to_one_user,
                    a_unionid_joins_mini_programs,
                    a_unionid_is_noted_at_the_next_login,
                    a_unionid_joins_nobody_who_was_somebody_else_before,
                    two_openids_of_a_mini_program_are_two_users_whatever_the_unionid,
                    whom_the_version_before_made_is_found,
                    whom_this_version_made_the_version_before_finds,
                    both_versions_make_one_user_at_the_same_time,
                    an_erasure_by_either_version_takes_all_identities,
                    this_version_needs_no_trigger,
                    an_identity_that_was_lost_is_noticed,
                ];
                external_users: [
                    a_back_end_makes_each_user_once,
                    what_a_back_end_does_not_say_stays,
                    what_a_back_end_said_goes_with_an_erasure,
                    names_lead_to_persons_alone,
                    the_service_has_one_user,
                    a_thousand_users_are_put_at_once,
                ];
                managed: [
                    a_back_end_begins_a_group_once_for_each_id,
                    a_back_end_names_a_direct_conversation,
                    the_service_changes_any_group,
                    the_service_reads_and_recalls_any_chat,
                ];
                pictures: [
                    avatars_are_kept_by_their_hash,
                    a_replaced_picture_goes_unless_somebody_has_it,
                    writers_of_few_pictures_lose_none_and_leave_none,
                    an_upload_counts_in_place_of_a_picture_elsewhere,
                    pictures_of_old_are_dropped_page_by_page,
                ];
                media: [
                    an_upload_is_found_once_it_is_stored,
                    who_can_read_it_can_send_it,
                    a_repeat_needs_no_upload,
                    what_no_chat_shows_is_collected,
                    what_an_erased_user_has_sent_is_collected,
                    uploads_are_collected_page_by_page,
                    nothing_is_collected_under_a_chat,
                    the_newest_key_signs_and_others_last_for_a_while,
                ];
                erasure: [
                    what_says_who_it_was_goes,
                    its_words_go_and_timelines_of_others_stay,
                    words_are_blanked_page_by_page,
                    groups_are_left_and_recalled_words_go,
                    no_word_and_no_session_slips_past_an_erasure,
                ];
                exports: [
                    a_user_is_read_with_profile_identities_and_restriction,
                    chats_are_read_as_they_are_now_and_quotes_as_ids,
                    conversations_are_read_with_ones_own_settings,
                    many_stretches_of_several_groups_come_in_pages,
                    lists_have_what_is_ones_own_alone,
                    uploads_come_in_pages,
                    every_table_with_a_users_id_is_thought_of,
                ];
                directory: [
                    people_are_found_by_name_and_paged_by_name_and_id,
                    a_restriction_is_shown_while_it_is_in_force,
                    what_waits_is_counted_up_to_a_bound,
                ];
                api_keys: [
                    a_key_is_found_by_its_secret_until_it_is_revoked,
                    the_use_of_a_key_is_noted_once_a_minute,
                    an_act_is_in_the_log_from_its_beginning,
                    the_log_comes_in_pages_newest_first,
                    acts_of_machines_are_noted_as_ended_with_how_often,
                ];
                sessions: [
                    a_session_is_found_by_its_token,
                    each_of_many_tokens_finds_its_own_session,
                    a_session_ends_of_idleness_and_of_age,
                    extending_never_shortens,
                    a_revoked_session_stays_revoked,
                    all_sessions_of_a_user_end_a_few_at_a_time,
                    all_sessions_of_a_user_end_at_once,
                    no_session_that_is_begun_meanwhile_is_taken_for_an_old_one,
                    what_ended_long_ago_is_deleted_page_by_page,
                ];
                connections: [
                    ids_rise_in_the_order_of_opening,
                    a_close_means_all_until_now_and_never_goes_back,
                ];
                service: [
                    the_epoch_stays_until_it_is_rotated,
                    the_database_answers,
                    the_version_before_opens_a_newer_schema,
                    a_trial_leaves_nothing,
                    replicas_that_can_be_heard_find_each_other,
                ];
                batcher: [
                    a_key_fifty_times_at_once_is_one_chat,
                    chats_of_one_task_commit_in_their_order,
                    commits_are_announced_before_they_are_answered,
                    a_poisoned_chat_fails_alone,
                    a_caller_may_go_away,
                    closing_commits_the_queue,
                ];
            }
        }
    };
    (@cases $factory:ty; $($area:ident: [$($case:ident),* $(,)?];)*) => {
        $(mod $area {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::contracts::store::$area::$case::<$factory>().await;
            })*
        })*
    };
}

store_contract!(on_sqlite, crate::contracts::store::sqlite::SqliteFile);
store_contract!(on_postgres, crate::contracts::store::postgres::PgDatabase);

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

fn seq(number: i64) -> Seq {
    Seq::new(number).unwrap()
}

pub(crate) fn name(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

/// The demo user who came by this name.
pub(crate) async fn demo_user(store: &dyn Store, called: &str) -> User {
    let called = name(called);
    store.user_by_identity(&Identity::demo(&called), Some(&called)).await.unwrap()
}

/// The user with this openid in the mini program of most tests.
pub(crate) async fn wechat_user(store: &dyn Store, openid: &str) -> User {
    store.user_by_identity(&Identity::wechat("wx-1".into(), openid), None).await.unwrap()
}

pub fn chat(sender: i64, target: i64, key: &str, content: &str) -> NewChat {
    NewChat::text(
        user(sender),
        Destination::Direct(user(target)),
        ClientMsgId::parse(key).unwrap(),
        Content::parse(content, 100_000).unwrap(),
    )
}

/// Whose timelines have a chat, and where.
fn places(of: &Committed) -> Vec<(i64, i64)> {
    of.places.iter().map(|(user, seq)| (user.get(), seq.get())).collect()
}

/// A chat that passes every check but the database's own.
fn poisoned(sender: i64, target: i64, key: &str) -> NewChat {
    chat(sender, target, key, &"x".repeat(65_537))
}

/// Opens a database in which the users 1 to `count` exist, called `user-1` and so on.
async fn populated<D: Database>(count: i64) -> (D, Arc<dyn Store>) {
    let database = D::create().await;
    let store = database.open().await;
    let users: Vec<_> = (1..=count).map(|id| (user(id), name(&format!("user-{id}")))).collect();
    store.ensure_users(&users).await.unwrap();
    (database, store)
}

/// The receiver of a chat of a direct conversation.
fn target(chat: &Chat) -> &Target {
    chat.target.as_ref().unwrap()
}

/// The other side of a direct conversation.
fn peer(conversation: &Conversation) -> &Peer {
    conversation.peer.as_ref().unwrap()
}

fn committed(appended: Appended) -> Committed {
    match appended {
        Appended::Committed(committed) => committed,
        other => panic!("not committed: {other:?}"),
    }
}

fn repeat(appended: Appended) -> Committed {
    match appended {
        Appended::Repeat(committed) => committed,
        other => panic!("no repeat: {other:?}"),
    }
}

/// Commits one chat under a key of its own.
pub(crate) async fn send(store: &dyn Store, sender: i64, target: i64, content: &str) -> Committed {
    let new =
        NewChat { client_msg_id: ClientMsgId::random(), ..chat(sender, target, "-", content) };
    committed(store.append(&[new]).await.unwrap().remove(0))
}

/// The chats of a timeline with their numbers.
async fn timeline(store: &dyn Store, of: i64) -> Vec<(i64, ChatId)> {
    let page = store.events(user(of), Seq::ZERO, 100_000).await.unwrap();
    page.events
        .into_iter()
        .map(|event| match event.change {
            Change::Chat(chat) => (event.seq.get(), chat.id),
            other => panic!("{other:?}"),
        })
        .collect()
}
