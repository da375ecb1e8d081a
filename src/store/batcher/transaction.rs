//! How much of a batch goes into one transaction.

use crate::{domain::Destination, store::NewChat};

/// The most chats of one transaction that name a conversation by its id: each may have hundreds of
/// members, and so as many events.
const MAX_NAMED: usize = 20;

/// How many of these chats, from the first on, go into one transaction: not more than [`MAX_NAMED`] that
/// name a conversation.
pub(super) fn transaction<'a>(chats: impl Iterator<Item = &'a NewChat>) -> usize {
    let mut named = 0;
    chats
        .take_while(|chat| {
            named += usize::from(matches!(chat.destination, Destination::Conversation(_)));
            named <= MAX_NAMED
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientMsgId, Content, ConversationId, UserId};

    #[test]
    fn a_transaction_has_few_chats_that_may_have_many_members() {
        let user = UserId::new(1).unwrap();
        let chat = |is_named: bool| {
            let id = ConversationId::new(1).unwrap();
            let to =
                if is_named { Destination::Conversation(id) } else { Destination::Direct(user) };
            let content = Content::parse("x", 1).unwrap();
            NewChat::text(user, to, ClientMsgId::random(), content)
        };
        let first = |batch: &[bool]| {
            let chats: Vec<_> = batch.iter().map(|named| chat(*named)).collect();
            transaction(chats.iter())
        };
        assert_eq!(first(&[false; 500]), 500);
        assert_eq!(first(&[true; 45]), MAX_NAMED);
        let mixed: Vec<_> = (0..100).map(|place| place % 2 == 1).collect();
        assert_eq!(first(&mixed), 2 * MAX_NAMED + 1);
    }
}
