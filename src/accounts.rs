//! Who somebody is: logins, sessions and faces.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    auth::{Auth, Login, token::Token},
    avatar::{self, AvatarError},
    checks::{Place, names::Names},
    domain::{
        AvatarHash, GroupChange, GroupRefusal, GroupRules, Identity, RestrictionKind, SessionId,
        User, UserFacts, UserId, UserName,
        group::{GroupHistory, WhoMayAdd},
    },
    identity::{TokenError, TokenVerifier, Vouched},
    limits::Limits,
    protocol::fault::{ApiError, DenialReason, ErrorCode},
    standing::Standings,
    store::{Session, Store, StoreError, Told},
    wechat::{LoginError, MiniProgram, Wechat},
};

/// How many pictures are decoded at once: each may take 200 MiB for a moment.
const PICTURES_AT_ONCE: usize = 2;

/// How many uploads there are at once, whether they arrive, wait or are decoded: 256 KiB each.
const UPLOADS_AT_ONCE: usize = 64;

/// How many rows one call to the database changes in an erasure, and looks at in a search for pictures
/// that nobody has. Each may be a read of a slow disk, and all have to be done within its time-out.
const PAGE: u32 = 200;

/// The pause between two pages of a search for pictures that nobody has: nobody waits for it.
const PAGE_PAUSE: Duration = Duration::from_secs(1);

/// The pause between two searches. After the first one hardly any is found: only what replicas of an
/// earlier version leave behind.
const SEARCH_PAUSE: Duration = Duration::from_hours(24);

/// After how long an upload that found no place may be tried again.
const UPLOAD_WAIT: Duration = Duration::from_secs(2);

/// The use cases around an account.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
    auth: Auth,
    wechat: Wechat,
    tokens: Arc<TokenVerifier>,
    standings: Standings,
    rules: LoginRules,
    limits: Limits,
    uploads: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
}

/// How people log in.
#[derive(Clone, Debug)]
pub struct LoginRules {
    /// Whether a name is enough.
    pub demo: bool,
    /// What people may be called. A name that is refused is left away, and the login goes on.
    pub names: Names,
}

/// The right to bring the body of an upload into memory; given back when it is dropped.
#[derive(Debug)]
pub struct UploadPlace {
    _permit: OwnedSemaphorePermit,
}

impl Accounts {
    /// The use cases over these parts. Without a mini program there is no login by WeChat.
    pub fn new(
        store: Arc<dyn Store>,
        auth: Auth,
        wechat: Wechat,
        tokens: TokenVerifier,
        standings: Standings,
        rules: LoginRules,
        limits: Limits,
    ) -> Self {
        Self {
            store,
            auth,
            wechat,
            tokens: Arc::new(tokens),
            standings,
            rules,
            limits,
            uploads: Arc::new(Semaphore::new(UPLOADS_AT_ONCE)),
            decoders: Arc::new(Semaphore::new(PICTURES_AT_ONCE)),
        }
    }

    /// Logs the demo user of this name in.
    pub async fn log_in_demo(&self, name: &UserName) -> Result<(User, Login), ApiError> {
        if !self.rules.demo {
            return Err(ApiError::new(ErrorCode::NotFound, "demo login is off"));
        }
        let names = &self.rules.names;
        let identity = Identity::demo(name);
        let mut user = self.store.user_by_identity(&identity, names.at_once(name)).await?;
        // Not named yet.
        if user.name == UserName::placeholder(user.id.get())
            && *name != user.name
            && names.check(user.id, Place::Name, name.as_str()).await.is_ok()
        {
            let renamed = self.store.rename(user.id, name).await?;
            user = renamed.ok_or_else(ApiError::user_not_found)?;
        }
        self.begin(user).await
    }

    /// Logs in whom WeChat knows by this code, which is good once, in this mini program, or else in the
    /// first one.
    pub async fn log_in_wechat(
        &self,
        code: &str,
        appid: Option<&str>,
    ) -> Result<(User, Login), ApiError> {
        let program = self.mini_program(appid)?;
        let login = program.log_in(code).await.map_err(wechat_fault)?;
        let user = self.store.user_by_identity(&program.identity(&login), None).await?;
        self.begin(user).await
    }

    fn mini_program(&self, appid: Option<&str>) -> Result<&MiniProgram, ApiError> {
        if self.wechat.is_empty() {
            let off = "login by WeChat is not configured; set wechat.secret";
            return Err(ApiError::new(ErrorCode::NotFound, off));
        }
        let found = self.wechat.program(appid);
        found.ok_or_else(|| ApiError::invalid("`appid` is no mini program of this service"))
    }

    /// Logs in whom a token of the company's own back end names. A name and a picture in it are the user's
    /// from then on.
    pub async fn log_in_token(&self, token: &str) -> Result<(User, Login), ApiError> {
        if !self.tokens.is_on() {
            let off = "login by token is not configured; set auth.jwt or auth.usersig";
            return Err(ApiError::new(ErrorCode::NotFound, off));
        }
        let Vouched { external_id, name, avatar_url } =
            self.tokens.verify(token).await.map_err(token_fault)?;
        let identity = Identity::external(&external_id);
        let names = &self.rules.names;
        let at_once = name.as_ref().and_then(|name| names.at_once(name));
        let mut user = self.store.user_by_identity(&identity, at_once).await?;
        let name = match name {
            Some(name) if name != user.name => {
                let checked = names.check(user.id, Place::Name, name.as_str()).await;
                checked.is_ok().then_some(name)
            }
            _ => None,
        };
        let is_known = name.is_none() && (avatar_url.is_none() || avatar_url == user.avatar_url);
        if !is_known {
            let facts = UserFacts { name, avatar_url: avatar_url.map(Some), profile: None };
            let told = self.store.update_user(user.id, &facts).await?;
            user = told.ok_or_else(ApiError::user_not_found)?;
        }
        self.begin(user).await
    }

    /// Logs in whom a company's own back end names.
    pub async fn log_in(&self, user: User) -> Result<(User, Login), ApiError> {
        self.begin(user).await
    }

    async fn begin(&self, user: User) -> Result<(User, Login), ApiError> {
        self.limits.login(user.id).await?;
        let login = self.auth.log_in(user.id).await?;
        // After the session has begun: a ban that comes later ends it, and one that came before is seen.
        if self.standings.read_restriction(user.id).await? == Some(RestrictionKind::Banned) {
            self.auth.log_out(login.session).await?;
            return Err(ApiError::not_allowed(DenialReason::Banned));
        }
        tracing::info!(user = %user.id, "logged in");
        Ok((user, login))
    }

    /// The live session with this token.
    pub async fn authenticate(&self, token: &Token) -> Result<Option<Session>, ApiError> {
        Ok(self.auth.authenticate(token).await?)
    }

    /// Ends a session.
    pub async fn log_out(&self, session: &Session) -> Result<(), ApiError> {
        Ok(self.auth.log_out(session.id).await?)
    }

    /// Ends all sessions of a user; returns the last of them.
    pub async fn log_out_everywhere(&self, user: UserId) -> Result<Option<SessionId>, ApiError> {
        Ok(self.auth.log_out_everywhere(user).await?)
    }

    /// Erases a user, as [`erase`] does.
    pub async fn erase(&self, user: UserId, tell: impl Fn(&Told)) -> Result<(), ApiError> {
        if erase(&*self.store, user, tell).await? {
            Ok(())
        } else {
            Err(ApiError::user_not_found())
        }
    }

    /// A place for an upload of this user, to be had before its body is read: an error at once if the
    /// user uploads too often, or if there are too many uploads.
    pub fn upload_place(&self, user: UserId) -> Result<UploadPlace, ApiError> {
        self.limits.avatar(user)?;
        let permit = Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| ApiError {
            retry_after: Some(UPLOAD_WAIT),
            ..ApiError::unavailable("too many pictures are being uploaded")
        })?;
        Ok(UploadPlace { _permit: permit })
    }

    /// Checks a picture, makes it the user's and keeps it. Waits for those that came before it.
    pub async fn set_avatar(
        &self,
        user: UserId,
        upload: Bytes,
        place: UploadPlace,
    ) -> Result<User, ApiError> {
        // The closing of the semaphore never happens.
        let permit = Arc::clone(&self.decoders).acquire_owned().await;
        let permit = permit.map_err(|_| ApiError::internal())?;
        // To its end, whether or not the client waits: so the places go with it.
        let decoded = tokio::task::spawn_blocking(move || {
            let picture = avatar::normalise(&upload);
            drop((upload, place, permit));
            picture
        });
        let picture = decoded.await.map_err(|_| ApiError::internal())?.map_err(avatar_fault)?;
        let hash = AvatarHash::of(&picture.bytes);
        let user = self.store.set_avatar(user, &hash, picture.content_type, picture.bytes).await?;
        user.ok_or_else(ApiError::user_not_found)
    }

    /// A picture and its content type.
    pub async fn avatar(&self, hash: &AvatarHash) -> Result<Option<(String, Bytes)>, ApiError> {
        Ok(self.store.avatar(hash).await?)
    }
}

/// Erases a user: its sessions, its places in groups and all that says who it is, then the words of every chat
/// that it sent.
/// `false` if there never was such a user. What was begun and not finished is finished by a repeat. No
/// call to the database grows with what the user has. `tell` brings to the sockets what the groups are told.
pub async fn erase(
    store: &dyn Store,
    user: UserId,
    tell: impl Fn(&Told),
) -> Result<bool, StoreError> {
    while store.revoke_some_sessions(user, PAGE).await? {}
    leave_groups(store, user, tell).await?;
    if !store.erase_user(user).await? {
        return Ok(false);
    }
    let mut last = None;
    loop {
        last = store.blank_chats(user, last.as_ref(), PAGE).await?;
        if last.is_none() {
            return Ok(true);
        }
    }
}

/// Takes a user out of all groups. One that the user owned has another owner.
async fn leave_groups(
    store: &dyn Store,
    user: UserId,
    tell: impl Fn(&Told),
) -> Result<(), StoreError> {
    // Of no matter to who leaves.
    let rules = GroupRules {
        max_members: 0,
        who_may_add: WhoMayAdd::Members,
        history: GroupHistory::Joined,
    };
    loop {
        let groups = store.some_groups(user, PAGE).await?;
        if groups.is_empty() {
            return Ok(());
        }
        for group in groups {
            match store.change_group(group, user, &GroupChange::Remove(user), rules).await? {
                Ok(told) => tell(&told),
                Err(GroupRefusal::NoMember) => {}
                Err(refusal) => return Err(StoreError::Corrupt(refusal.to_string())),
            }
        }
    }
}

/// Deletes pictures that nobody has, again and again: those that earlier versions left behind. Slow on
/// purpose, in small pages.
pub async fn drop_unused_pictures(store: Arc<dyn Store>) {
    let mut last = None;
    loop {
        match store.drop_unused_avatars(last.as_ref(), PAGE).await {
            Ok(found) => last = found,
            Err(error) => tracing::warn!(%error, "the search for unused pictures waits"),
        }
        let pause = if last.is_some() { PAGE_PAUSE } else { SEARCH_PAUSE };
        tokio::time::sleep(pause).await;
    }
}

fn avatar_fault(error: AvatarError) -> ApiError {
    ApiError::new(ErrorCode::InvalidImage, error.to_string())
}

fn token_fault(error: TokenError) -> ApiError {
    let code = match error {
        TokenError::Invalid(_) => ErrorCode::TokenInvalid,
        TokenError::Expired => ErrorCode::TokenExpired,
        TokenError::Unavailable => return ApiError::unavailable(error.to_string()),
    };
    ApiError::new(code, error.to_string())
}

fn wechat_fault(error: LoginError) -> ApiError {
    match error {
        LoginError::CodeInvalid => {
            ApiError::new(ErrorCode::WechatCodeInvalid, "the code is wrong, used or expired")
        }
        LoginError::UserBlocked => {
            ApiError::new(ErrorCode::WechatUserBlocked, "WeChat sees a risk")
        }
        LoginError::RateLimited => ApiError {
            retry_after: Some(Duration::from_mins(1)),
            ..ApiError::new(ErrorCode::RateLimited, "WeChat limits this user's logins")
        },
        LoginError::Unavailable => ApiError {
            retry_after: Some(Duration::from_secs(2)),
            ..ApiError::new(ErrorCode::WechatUnavailable, "WeChat did not answer as it should")
        },
    }
}
