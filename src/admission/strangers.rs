//! Who writes to whom for the first time. Conversations that a user begins are limited; the chats of one
//! that has begun are not, so it must be known, cheaply, which have.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;

use super::Rule;
use crate::{
    coalescer::{Coalescer, READS},
    domain::{ConversationKey, Destination, UserId},
    limits::Limits,
    protocol::fault::ApiError,
    recent::Recent,
    store::{NewChat, Origin, Store, StoreError},
};

/// Of how many pairs a replica knows that they may write, in each of two generations: 2 MiB each.
const GENERATION: usize = 65_536;

/// How long the database may take to say whether there is a conversation: less than the door waits for
/// all rules.
const LOOK_WAIT: Duration = Duration::from_secs(2);

/// Whether the two may write.
type Look = Shared<BoxFuture<'static, Result<(), ApiError>>>;

/// Limits the conversations that users begin.
pub struct Strangers(Arc<Inner>);

struct Inner {
    reads: Coalescer<(UserId, UserId), Begun, StoreError>,
    limits: Limits,
    pairs: Mutex<Pairs>,
}

/// What a replica knows of pairs.
struct Pairs {
    /// Those that have a conversation, or whose first chat was counted and is on its way.
    known: Recent<ConversationKey, ()>,
    /// Those that are looked at now. Whoever sends meanwhile waits for the same answer: of two first
    /// chats one begins the conversation.
    looks: HashMap<ConversationKey, Look>,
}

/// Whether a sender and a target have a conversation.
enum Begun {
    Yes,
    No,
    /// There is no such target.
    WithNobody,
}

#[async_trait]
impl Rule for Strangers {
    fn name(&self) -> &'static str {
        "strangers"
    }

    async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
        match chat.destination {
            Destination::Direct(target) if chat.origin == Origin::Client => {
                self.may_write(chat.sender, target).await
            }
            // It has begun, or a company's own back end begins it.
            Destination::Direct(_) | Destination::Conversation(_) => Ok(()),
        }
    }
}

impl Strangers {
    /// The rate of these limits, for pairs without a conversation in this database.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(store: Arc<dyn Store>, limits: Limits) -> Self {
        let reads = Coalescer::new(READS, move |pairs| begun(Arc::clone(&store), pairs).boxed());
        let pairs = Pairs { known: Recent::new(GENERATION), looks: HashMap::new() };
        Self(Arc::new(Inner { reads, limits, pairs: Mutex::new(pairs) }))
    }

    /// Whether the sender may write to the target: not if that would begin a conversation, and the sender
    /// has begun too many. Of those who have one a replica asks the database once.
    async fn may_write(&self, sender: UserId, target: UserId) -> Result<(), ApiError> {
        if sender == target || !self.0.limits.are_enforced() {
            return Ok(());
        }
        let pair = ConversationKey::pair(sender, target);
        let look = {
            let mut pairs = self.0.pairs.lock();
            if pairs.known.get(&pair).is_some() {
                return Ok(());
            }
            let inner = &self.0;
            pairs
                .looks
                .entry(pair)
                .or_insert_with(|| inner.begin_look(sender, target, pair))
                .clone()
        };
        look.await
    }
}

impl Inner {
    /// Looks in a task of its own: it ends, and makes room for the next one, whether or not anybody
    /// waits.
    fn begin_look(self: &Arc<Self>, sender: UserId, target: UserId, pair: ConversationKey) -> Look {
        let inner = Arc::clone(self);
        let task = tokio::spawn(async move {
            let looked = tokio::time::timeout(LOOK_WAIT, inner.look(sender, target)).await;
            let mut pairs = inner.pairs.lock();
            pairs.looks.remove(&pair);
            match looked {
                Ok(Ok(is_known)) => {
                    if is_known {
                        pairs.known.insert(pair, ());
                    }
                    Ok(())
                }
                Ok(Err(fault)) => Err(fault),
                Err(_) => Err(ApiError::unavailable("the database did not answer in time")),
            }
        });
        let inner = Arc::clone(self);
        let looked = async move {
            task.await.unwrap_or_else(|_| {
                // It panicked, or the runtime is going down.
                inner.pairs.lock().looks.remove(&pair);
                Err(ApiError::internal())
            })
        };
        looked.boxed().shared()
    }

    /// Whether the two may write from now on without a look; an error if they must not. Nobody can begin
    /// a conversation with somebody who does not exist, so that is not counted, and is told later.
    async fn look(&self, sender: UserId, target: UserId) -> Result<bool, ApiError> {
        match self.reads.call((sender, target)).await? {
            Begun::Yes => {}
            Begun::No => self.limits.new_conversation(sender)?,
            Begun::WithNobody => return Ok(false),
        }
        Ok(true)
    }
}

/// Looks at each of these pairs of a sender and a target.
async fn begun(
    store: Arc<dyn Store>,
    pairs: Vec<(UserId, UserId)>,
) -> Result<Vec<Begun>, StoreError> {
    let keys = pairs.iter().map(|&(sender, target)| ConversationKey::pair(sender, target));
    let origins = store.conversation_origins(&keys.collect::<Vec<_>>()).await?;
    let strangers = pairs.iter().zip(&origins).filter(|(_, origin)| origin.is_none());
    let strangers: Vec<_> = strangers.map(|((_, target), _)| *target).collect();
    let users = store.users(&strangers).await?;
    let there: HashSet<_> = users.into_iter().map(|user| user.id).collect();
    let begun = pairs.iter().zip(origins).map(|((_, target), origin)| match origin {
        Some(_) => Begun::Yes,
        None if there.contains(target) => Begun::No,
        None => Begun::WithNobody,
    });
    Ok(begun.collect())
}
