package imserver.tutorial;

import com.baomidou.mybatisplus.core.toolkit.Wrappers;
import java.time.LocalDateTime;
import java.time.temporal.ChronoUnit;
import java.util.Collections;
import java.util.List;
import org.springframework.stereotype.Service;

/** Stores chats, and tells both users' sockets. */
@Service
public class ChatService {
    /** As many as imserver shows by default. */
    private static final int LATEST = 100;

    private final ChatMapper chats;

    public ChatService(ChatMapper chats) {
        this.chats = chats;
        ChatSocket.serve(this);
    }

    /** Returns when the chat is committed and both users were shown it. */
    public void send(Chat chat) {
        if (chat.getUserId() == null || chat.getTargetUserId() == null
                || chat.getContent() == null || chat.getContent().isEmpty()) {
            throw new IllegalArgumentException("userId, targetUserId and content are needed");
        }
        chat.setId(null);
        chat.setCreateTime(LocalDateTime.now().truncatedTo(ChronoUnit.MILLIS));
        chats.insert(chat);
        ChatSocket.show(chat.getUserId());
        if (!chat.getTargetUserId().equals(chat.getUserId())) {
            ChatSocket.show(chat.getTargetUserId());
        }
    }

    /** The latest chats from or to a user, the oldest first. */
    public List<Chat> latest(long userId) {
        List<Chat> latest = chats.selectList(Wrappers.<Chat>lambdaQuery()
                .eq(Chat::getUserId, userId)
                .or()
                .eq(Chat::getTargetUserId, userId)
                .orderByDesc(Chat::getId)
                .last("LIMIT " + LATEST));
        Collections.reverse(latest);
        return latest;
    }
}
