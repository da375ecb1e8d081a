//! Who somebody is: logins, sessions and faces.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::{
    auth::{Auth, Login, token::Token},
    avatar::{self, AvatarError},
    domain::{AvatarHash, SessionId, User, UserId, UserName},
    limits::Limits,
    messaging::{Error, user_not_found},
    protocol::fault::{Code, Fault},
    store::{Session, Store, StoreError},
    wechat::{WechatClient, WechatError},
};

/// How many pictures are decoded at once: each may take 64 MiB.
const PICTURES_AT_ONCE: usize = 2;

/// The use cases around an account.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
    auth: Auth,
    wechat: Option<Arc<WechatClient>>,
    demo_login: bool,
    limits: Limits,
    pictures: Arc<Semaphore>,
}

impl Accounts {
    /// The use cases over these parts. Without `wechat` there is no login by WeChat.
    pub fn new(
        store: Arc<dyn Store>,
        auth: Auth,
        wechat: Option<WechatClient>,
        demo_login: bool,
        limits: Limits,
    ) -> Self {
        let pictures = Arc::new(Semaphore::new(PICTURES_AT_ONCE));
        Self { store, auth, wechat: wechat.map(Arc::new), demo_login, limits, pictures }
    }

    /// Logs the demo user of this name in.
    pub async fn log_in_demo(&self, name: &UserName) -> Result<(User, Login), Error> {
        if !self.demo_login {
            return Err(Fault::new(Code::NotFound, "demo login is off").into());
        }
        let user = self.store.demo_user(name).await?;
        self.begin(user).await
    }

    /// Logs in whom WeChat knows by this code, which is good once.
    pub async fn log_in_wechat(&self, code: &str) -> Result<(User, Login), Error> {
        let wechat = self.wechat.as_ref().ok_or_else(|| {
            Fault::new(Code::NotFound, "login by WeChat is not configured; set wechat.secret")
        })?;
        let openid = wechat.openid(code).await.map_err(wechat_fault)?;
        let user = self.store.wechat_user(openid.as_str()).await?;
        self.begin(user).await
    }

    async fn begin(&self, user: User) -> Result<(User, Login), Error> {
        self.limits.login(user.id).await?;
        let login = self.auth.log_in(user.id).await?;
        tracing::info!(user = %user.id, "logged in");
        Ok((user, login))
    }

    /// The live session with this token.
    pub async fn authenticate(&self, token: &Token) -> Result<Option<Session>, Error> {
        Ok(self.auth.authenticate(token).await?)
    }

    /// Ends a session.
    pub async fn log_out(&self, session: &Session) -> Result<(), Error> {
        Ok(self.auth.log_out(session.id).await?)
    }

    /// Ends all sessions of a user; returns the last of them.
    pub async fn log_out_everywhere(&self, user: UserId) -> Result<Option<SessionId>, Error> {
        Ok(self.auth.log_out_everywhere(user).await?)
    }

    /// Checks a picture, makes it the user's and keeps it.
    pub async fn set_avatar(&self, user: UserId, upload: Bytes) -> Result<User, Error> {
        let busy = || Fault::unavailable("too many pictures are being read");
        // Waits behind the few that are being decoded; the closing of the semaphore never happens.
        let permit = Arc::clone(&self.pictures).acquire_owned().await.map_err(|_| busy())?;
        let decoded = tokio::task::spawn_blocking(move || {
            let picture = avatar::normalise(&upload);
            drop(permit);
            picture
        });
        let picture = decoded.await.map_err(|_| Fault::internal())?.map_err(avatar_fault)?;
        let hash = AvatarHash::of(&picture.bytes);
        let user = self.store.set_avatar(user, &hash, picture.content_type, picture.bytes).await?;
        user.ok_or_else(|| user_not_found().into())
    }

    /// A picture and its content type.
    pub async fn avatar(&self, hash: &AvatarHash) -> Result<Option<(String, Bytes)>, Error> {
        Ok(self.store.avatar(hash).await?)
    }
}

/// How many chats are blanked in one transaction.
const BLANKED_AT_ONCE: u32 = 1_000;

/// Erases a user: first all that says who it is and every session, then the words of every chat that it
/// sent. `false` if there never was such a user. What was begun and not finished is finished by a
/// repeat.
pub async fn erase(store: &dyn Store, user: UserId) -> Result<bool, StoreError> {
    if !store.erase_user(user).await? {
        return Ok(false);
    }
    let mut last = None;
    loop {
        last = store.blank_chats(user, last.as_ref(), BLANKED_AT_ONCE).await?;
        if last.is_none() {
            return Ok(true);
        }
    }
}

fn avatar_fault(error: AvatarError) -> Fault {
    Fault::new(Code::InvalidImage, error.to_string())
}

fn wechat_fault(error: WechatError) -> Fault {
    match error {
        WechatError::CodeInvalid => {
            Fault::new(Code::WechatCodeInvalid, "the code is wrong, used or expired")
        }
        WechatError::UserBlocked => Fault::new(Code::WechatUserBlocked, "WeChat sees a risk"),
        WechatError::RateLimited => Fault {
            retry_after: Some(Duration::from_mins(1)),
            ..Fault::new(Code::RateLimited, "WeChat limits this user's logins")
        },
        WechatError::Unavailable => Fault {
            retry_after: Some(Duration::from_secs(2)),
            ..Fault::new(Code::WechatUnavailable, "WeChat did not answer as it should")
        },
    }
}
