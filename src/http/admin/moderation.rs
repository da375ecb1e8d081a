//! Keeping order by the server API: restrictions of users, chats that are held back, and reports.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;

use super::{
    super::extract::{JsonBody, Params, PathParam, integer},
    Key, user_ref,
};
use crate::{
    clock::Timestamp,
    domain::{
        ChatId, ChatKind, ClientMsgId, ConversationId, Destination, ExternalId, HeldId, Mentions,
        Payload, ReportId, ReportReason, Restriction, RestrictionKind, Scope, User, UserId,
        UserName,
    },
    media::MediaLinks,
    moderation::ReportAction,
    protocol::{fault::ApiError, fields::Words},
    service::Service,
    store::{HeldChat, Report},
};

/// The most Unicode scalar values of why somebody is restricted.
const MAX_REASON_CHARS: usize = 500;

/// The most Unicode scalar values of what a sender is told.
const MAX_DETAIL_CHARS: usize = 200;

/// What a user may not do from now on.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutRestriction {
    kind: RestrictionKind,
    /// When it ends by itself; absent: never.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// For whoever reads the database.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<Words>,
}

/// Restrict a user, in place of any restriction before: whoever is muted sends nothing, and whoever is banned has no session either
#[utoipa::path(put, path = "/v1/admin/users/{externalId}/restriction", tag = "admin",
    security(("apiKey" = [])),
    params(("externalId" = ExternalId, Path, description = "Or `id:` and the service's own id")),
    request_body = PutRestriction, responses((status = 204)))]
pub(super) async fn restrict(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(name): PathParam,
    body: JsonBody,
) -> Result<StatusCode, ApiError> {
    let mut act = key.begin(&service, Scope::Moderation, "restriction.put", None).await?;
    let done = async {
        let PutRestriction { kind, until, reason } = body.fields()?.read()?;
        let until = until.map(|until| time("until", &until)).transpose()?;
        let reason = reason.map(|reason| reason.remark("reason", MAX_REASON_CHARS)).transpose()?;
        let user = service.admin.user(&user_ref("externalId", &name)?).await?;
        act.is_about(format!("user:{user}"));
        let restriction = Some(Restriction { kind, until });
        service.moderation.restrict(user, restriction, reason.as_deref()).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    let done = done.await;
    act.end(done).await
}

fn time(key: &str, text: &str) -> Result<Timestamp, ApiError> {
    let invalid = || ApiError::invalid(format!("`{key}` must be a time as RFC 3339 has it"));
    Timestamp::parse(text).ok_or_else(invalid)
}

/// End the restriction of a user; may be repeated
#[utoipa::path(delete, path = "/v1/admin/users/{externalId}/restriction", tag = "admin",
    security(("apiKey" = [])),
    params(("externalId" = ExternalId, Path, description = "Or `id:` and the service's own id")),
    responses((status = 204)))]
pub(super) async fn free(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(name): PathParam,
) -> Result<StatusCode, ApiError> {
    let mut act = key.begin(&service, Scope::Moderation, "restriction.delete", None).await?;
    let done = async {
        let user = service.admin.user(&user_ref("externalId", &name)?).await?;
        act.is_about(format!("user:{user}"));
        service.moderation.restrict(user, None, None).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    let done = done.await;
    act.end(done).await
}

/// People by their ids. Whoever was erased is missing.
type People = HashMap<UserId, User>;

/// A chat that is held back, as the hook before a send is asked about one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HeldView {
    id: HeldId,
    #[schema(value_type = String, format = DateTime)]
    create_time: Timestamp,
    user_id: UserId,
    #[schema(required = true)]
    external_id: Option<ExternalId>,
    #[schema(required = true)]
    user_name: Option<UserName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    target_user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    target_external_id: Option<ExternalId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    target_user_name: Option<UserName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    conversation_id: Option<ConversationId>,
    client_msg_id: ClientMsgId,
    #[schema(value_type = String, example = "text")]
    kind: ChatKind,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    body: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reply_to: Option<Quoted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<UserId>>, nullable = false)]
    mentions: Option<Mentions>,
}

/// The chat that a chat quotes.
#[derive(Debug, Serialize, ToSchema)]
struct Quoted {
    id: ChatId,
}

impl HeldView {
    fn of(held: HeldChat, people: &People, links: &MediaLinks) -> Self {
        let HeldChat { id, chat, created_at } = held;
        let body = chat.body.map(|body| links.fill(&chat.kind, &body));
        let (target_user_id, conversation_id) = match chat.destination {
            Destination::Direct(target) => (Some(target), None),
            Destination::Conversation(id) => (None, Some(id)),
        };
        let sender = people.get(&chat.sender);
        let target = target_user_id.and_then(|target| people.get(&target));
        Self {
            id,
            create_time: created_at,
            user_id: chat.sender,
            external_id: sender.and_then(|user| user.external_id.clone()),
            user_name: sender.map(|user| user.name.clone()),
            target_user_id,
            target_external_id: target.and_then(|user| user.external_id.clone()),
            target_user_name: target.map(|user| user.name.clone()),
            conversation_id,
            client_msg_id: chat.client_msg_id,
            kind: chat.kind,
            content: chat.content.as_str().to_owned(),
            body,
            reply_to: chat.reply_to.map(|id| Quoted { id }),
            mentions: chat.mentions,
        }
    }
}

/// Chats that are held back, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeldList {
    held: Vec<HeldView>,
    has_more: bool,
}

/// Chats that are held back until somebody decides, the oldest first
#[utoipa::path(get, path = "/v1/admin/held", tag = "admin", security(("apiKey" = [])),
    params(
        ("after" = Option<i64>, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "The id of the last entry of the page before; 0 is the beginning"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = HeldList)))]
pub(super) async fn held_chats(
    State(service): State<Arc<Service>>,
    key: Key,
    params: Params,
) -> Result<Json<HeldList>, ApiError> {
    let done = async {
        let page = service.moderation.held_chats(params.after_entry()?, params.limit()?).await?;
        let links = service.media.links();
        let people = service.moderation.people(page.chats.iter().flat_map(involved)).await?;
        let held = page.chats.into_iter().map(|held| HeldView::of(held, &people, links)).collect();
        Ok(Json(HeldList { held, has_more: page.has_more }))
    };
    key.act(&service, Scope::Moderation, "held.read", done).await
}

fn involved(held: &HeldChat) -> impl Iterator<Item = UserId> + use<> {
    let target = match held.chat.destination {
        Destination::Direct(target) => Some(target),
        Destination::Conversation(_) => None,
    };
    [held.chat.sender].into_iter().chain(target)
}

/// What becomes of a chat that is held back.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DecideHeld {
    action: HeldAction,
    /// Of a refusal: what its sender is told.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    detail: Option<Words>,
}

/// What can become of it.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HeldAction {
    /// It is sent, if its sender may still write there.
    Release,
    /// It is not; its sender is told.
    Refuse,
}

/// Send a chat that is held back, or refuse it
#[utoipa::path(post, path = "/v1/admin/held/{id}", tag = "admin", security(("apiKey" = [])),
    params(("id" = HeldId, Path)), request_body = DecideHeld, responses((status = 204)))]
pub(super) async fn decide_held(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(id): PathParam,
    body: JsonBody,
) -> Result<StatusCode, ApiError> {
    let asked = body.fields().and_then(|fields| fields.read::<DecideHeld>());
    let action = match &asked {
        Ok(DecideHeld { action: HeldAction::Release, .. }) => "held.release",
        Ok(DecideHeld { action: HeldAction::Refuse, .. }) | Err(_) => "held.refuse",
    };
    let mut act = key.begin(&service, Scope::Moderation, action, None).await?;
    let done = async {
        let DecideHeld { action, detail } = asked?;
        let detail = detail.map(|detail| detail.remark("detail", MAX_DETAIL_CHARS)).transpose()?;
        let id: HeldId = integer("id", &id)?;
        act.is_about(format!("held:{id}"));
        match action {
            HeldAction::Release => service.moderation.release(id).await?,
            HeldAction::Refuse => service.moderation.refuse(id, detail.as_deref()).await?,
        }
        Ok(StatusCode::NO_CONTENT)
    };
    let done = done.await;
    act.end(done).await
}

/// A report about which nothing was done yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReportView {
    id: ReportId,
    #[schema(value_type = String, format = DateTime)]
    create_time: Timestamp,
    /// Who reports.
    user_id: UserId,
    #[schema(required = true)]
    external_id: Option<ExternalId>,
    #[schema(required = true)]
    user_name: Option<UserName>,
    reported_user_id: UserId,
    #[schema(required = true)]
    reported_external_id: Option<ExternalId>,
    #[schema(required = true)]
    reported_user_name: Option<UserName>,
    /// The chat that is reported, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    chat_id: Option<ChatId>,
    /// The chat as it was then; absent as well after an erasure of its sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    chat: Option<Box<RawValue>>,
    reason: ReportReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
}

impl ReportView {
    fn of(report: Report, people: &People, links: &MediaLinks) -> Result<Self, ApiError> {
        let (by, of) = (people.get(&report.reporter), people.get(&report.reported));
        let chat = report.chat.map(|chat| shown(&chat, links));
        Ok(Self {
            id: report.id,
            create_time: report.created_at,
            user_id: report.reporter,
            external_id: by.and_then(|user| user.external_id.clone()),
            user_name: by.map(|user| user.name.clone()),
            reported_user_id: report.reported,
            reported_external_id: of.and_then(|user| user.external_id.clone()),
            reported_user_name: of.map(|user| user.name.clone()),
            chat_id: report.chat_id,
            chat: chat.transpose().map_err(|_| ApiError::internal())?,
            reason: report.reason,
            detail: report.detail,
        })
    }
}

/// The copy of a chat, with the URLs of what it shows.
fn shown(chat: &str, links: &MediaLinks) -> serde_json::Result<Box<RawValue>> {
    let mut chat: Value = serde_json::from_str(chat)?;
    let kind = ChatKind::from(chat["kind"].as_str().unwrap_or_default().to_owned());
    if let Some(body) = chat.get_mut("body")
        && let Ok(known) = Payload::parse(body.to_string())
    {
        *body = serde_json::from_str(links.fill(&kind, &known).as_str())?;
    }
    serde_json::value::to_raw_value(&chat)
}

/// Reports about which nothing was done yet, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportList {
    reports: Vec<ReportView>,
    has_more: bool,
}

/// Reports about which nothing was done yet, the oldest first
#[utoipa::path(get, path = "/v1/admin/reports", tag = "admin", security(("apiKey" = [])),
    params(
        ("after" = Option<i64>, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "The id of the last entry of the page before; 0 is the beginning"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = ReportList)))]
pub(super) async fn reports(
    State(service): State<Arc<Service>>,
    key: Key,
    params: Params,
) -> Result<Json<ReportList>, ApiError> {
    let done = async {
        let page = service.moderation.open_reports(params.after_entry()?, params.limit()?).await?;
        let links = service.media.links();
        let involved = page.reports.iter().flat_map(|report| [report.reporter, report.reported]);
        let people = service.moderation.people(involved).await?;
        let reports = page.reports.into_iter().map(|report| ReportView::of(report, &people, links));
        Ok(Json(ReportList {
            reports: reports.collect::<Result<_, _>>()?,
            has_more: page.has_more,
        }))
    };
    key.act(&service, Scope::Moderation, "report.read", done).await
}

/// What is done about a report.
#[derive(Deserialize, ToSchema)]
pub(super) struct DecideReport {
    action: ReportAction,
}

/// Do something about a report
#[utoipa::path(post, path = "/v1/admin/reports/{id}", tag = "admin", security(("apiKey" = [])),
    params(("id" = ReportId, Path)), request_body = DecideReport, responses((status = 204)))]
pub(super) async fn decide_report(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(id): PathParam,
    body: JsonBody,
) -> Result<StatusCode, ApiError> {
    let asked = body.fields().and_then(|fields| fields.read::<DecideReport>());
    let action = match &asked {
        Ok(DecideReport { action: ReportAction::Recall }) => "report.recall",
        Ok(DecideReport { action: ReportAction::Mute }) => "report.mute",
        Ok(DecideReport { action: ReportAction::Ban }) => "report.ban",
        Ok(DecideReport { action: ReportAction::Resolve }) | Err(_) => "report.resolve",
    };
    let mut act = key.begin(&service, Scope::Moderation, action, None).await?;
    let done = async {
        let DecideReport { action } = asked?;
        let id: ReportId = integer("id", &id)?;
        act.is_about(format!("report:{id}"));
        service.moderation.act_on_report(id, action).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    let done = done.await;
    act.end(done).await
}
