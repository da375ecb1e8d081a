//! Whether a sender may write there: restrictions, blocks, and the setting `chat.who_may_write`.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;

use super::{Rule, decided::as_decided};
use crate::{
    coalescer::{Coalescer, READS},
    domain::{Block, ConversationKey, Destination, UserId, WhoMayWrite},
    protocol::fault::{ApiError, DenialReason},
    recent::Recent,
    standing::{Standings, to_its_end},
    store::{ConversationOrigin, NewChat, Origin, Store, StoreError, WantedKey},
};

/// Of how many conversations a replica knows their origin, in each of two generations: 4 MiB each.
const GENERATION: usize = 65_536;

/// Refuses chats of senders who may not write there. What a company's own back end sends in somebody's name is
/// bound by blocks and restrictions, and not by the setting.
///
/// A chat whose key was committed, or is held, passes: it is answered as before, whatever became of its sender
/// since. What is nobody's conversation, or not the sender's, passes too, and fails when it is committed.
pub struct MayWrite {
    standings: Standings,
    store: Arc<dyn Store>,
    who: WhoMayWrite,
    reads: Coalescer<ConversationKey, Option<ConversationOrigin>, StoreError>,
    origins: Mutex<Recent<ConversationKey, ConversationOrigin>>,
}

impl MayWrite {
    /// The rule, with what limits users by these standings.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(standings: Standings, store: Arc<dyn Store>, who: WhoMayWrite) -> Self {
        let from = Arc::clone(&store);
        let reads = Coalescer::new(READS, move |keys: Vec<_>| {
            let store = Arc::clone(&from);
            async move { store.conversation_origins(&keys).await }.boxed()
        });
        Self { standings, store, who, reads, origins: Mutex::new(Recent::new(GENERATION)) }
    }

    async fn denial(&self, chat: &NewChat) -> Result<Option<DenialReason>, ApiError> {
        let (sender, destination) = (chat.sender, chat.destination);
        if let Some(kind) = self.standings.restriction(sender).await? {
            return Ok(Some(kind.into()));
        }
        let origin = match destination {
            Destination::Direct(_) if self.who == WhoMayWrite::Anyone => None,
            _ => self.origin(destination.key(sender)).await?,
        };
        let peer = match (destination, origin) {
            (Destination::Direct(peer), _) => Some(peer),
            (Destination::Conversation(_), None) => return Ok(None),
            (Destination::Conversation(_), Some(origin)) => match origin.pair {
                Some((low, high)) if low == sender => Some(high),
                Some((low, high)) if high == sender => Some(low),
                Some(_) => return Ok(None),
                None => None,
            },
        };
        if let Some(peer) = peer
            && self.standings.is_set(Block { by: peer, of: sender }).await?
        {
            return Ok(Some(DenialReason::Blocked));
        }
        let is_allowed = match self.who {
            _ if chat.origin == Origin::Server => true,
            WhoMayWrite::Anyone => true,
            WhoMayWrite::Acquainted => origin.is_some() || peer == Some(sender),
            WhoMayWrite::Conversations => origin.is_some_and(|origin| origin.is_managed),
        };
        if is_allowed || self.is_nobodys(sender, destination).await? {
            return Ok(None);
        }
        Ok(Some(DenialReason::Policy))
    }

    /// Whether the destination is none that the sender could know of.
    async fn is_nobodys(&self, sender: UserId, destination: Destination) -> Result<bool, ApiError> {
        let store = Arc::clone(&self.store);
        to_its_end(async move {
            Ok(match destination {
                Destination::Direct(target) => store.users(&[target]).await?.is_empty(),
                Destination::Conversation(id) => {
                    store.conversation(sender, id).await?.is_none_or(|found| found.left)
                }
            })
        })
        .await
    }

    async fn origin(&self, key: ConversationKey) -> Result<Option<ConversationOrigin>, ApiError> {
        let known = self.origins.lock().get(&key);
        if known.is_some() {
            return Ok(known);
        }
        let found = self.reads.call(key).await?;
        // One that is not managed may be from now on.
        if let Some(origin) = found
            && (origin.is_managed || self.who != WhoMayWrite::Conversations)
        {
            self.origins.lock().insert(key, origin);
        }
        Ok(found)
    }
}

#[async_trait]
impl Rule for MayWrite {
    fn name(&self) -> &'static str {
        "may_write"
    }

    fn asks_again(&self) -> bool {
        true
    }

    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
        let Some(reason) = self.denial(chat).await? else { return Ok(()) };
        let (store, wanted) = (Arc::clone(&self.store), [WantedKey::of(chat)]);
        let states = to_its_end(async move { store.key_states(&wanted).await }).await?;
        for state in states {
            if as_decided(state, chat)? {
                return Ok(());
            }
        }
        Err(ApiError::not_allowed(reason))
    }
}
