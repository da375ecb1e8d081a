-- Who wrote before that was noted. Apart from the columns, whose making locks the table for everybody:
-- this locks rows that nobody else writes.

UPDATE conversations SET
    low_wrote = EXISTS (SELECT 1 FROM chats c
        WHERE c.conversation_id = conversations.id AND c.sender_id = conversations.low_user),
    high_wrote = EXISTS (SELECT 1 FROM chats c
        WHERE c.conversation_id = conversations.id AND c.sender_id = conversations.high_user)
WHERE kind = 'direct';
