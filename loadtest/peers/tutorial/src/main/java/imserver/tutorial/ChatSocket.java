package imserver.tutorial;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import jakarta.websocket.CloseReason;
import jakarta.websocket.OnClose;
import jakarta.websocket.OnError;
import jakarta.websocket.OnMessage;
import jakarta.websocket.OnOpen;
import jakarta.websocket.Session;
import jakarta.websocket.server.PathParam;
import jakarta.websocket.server.ServerEndpoint;
import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;

/** The legacy socket. Tomcat makes one of these a connection, and Spring one more, which gives it what it needs. */
@Component
@ServerEndpoint("/imserver/{userId}")
public class ChatSocket {
    private static final Map<Long, Set<ChatSocket>> OPEN = new ConcurrentHashMap<>();
    private static volatile ChatService service;
    private static volatile ObjectMapper json;

    private Session session;

    static void serve(ChatService service) {
        ChatSocket.service = service;
    }

    @Autowired
    public void setJson(ObjectMapper json) {
        ChatSocket.json = json;
    }

    @OnOpen
    public void onOpen(Session session, @PathParam("userId") long userId) {
        this.session = session;
        OPEN.compute(userId, (user, sockets) -> {
            Set<ChatSocket> all = sockets == null ? ConcurrentHashMap.newKeySet() : sockets;
            all.add(this);
            return all;
        });
    }

    @OnMessage
    public void onMessage(String text) throws IOException {
        try {
            service.send(json.readValue(text, Chat.class));
        } catch (JsonProcessingException | IllegalArgumentException error) {
            write(json.writeValueAsString(Map.of("detail", "not a chat")));
        }
    }

    @OnClose
    public void onClose(@PathParam("userId") long userId) {
        OPEN.computeIfPresent(userId, (user, sockets) -> {
            sockets.remove(this);
            return sockets.isEmpty() ? null : sockets;
        });
    }

    /** After it Tomcat closes the socket. */
    @OnError
    public void onError(Throwable error) {}

    /** Sends a user's latest chats to all of their sockets. */
    static void show(long userId) {
        for (ChatSocket socket : OPEN.getOrDefault(userId, Set.of())) {
            socket.showLatest(userId);
        }
    }

    static Map<Long, Map<String, Long>> online() {
        Map<Long, Map<String, Long>> online = new TreeMap<>();
        OPEN.forEach((user, sockets) ->
                online.put(user, Map.of("userId", user, "connections", (long) sockets.size())));
        return online;
    }

    static void close(long userId) {
        for (ChatSocket socket : OPEN.getOrDefault(userId, Set.of())) {
            try {
                socket.session.close(new CloseReason(() -> 4403, "closed"));
            } catch (IOException gone) {
                // It is closed.
            }
        }
    }

    /** Read within the lock, so that an older snapshot does not come after a newer one. */
    private synchronized void showLatest(long userId) {
        try {
            write(json.writeValueAsString(service.latest(userId)));
        } catch (IOException gone) {
            // Tomcat closes it.
        }
    }

    private synchronized void write(String text) throws IOException {
        if (session.isOpen()) {
            session.getBasicRemote().sendText(text);
        }
    }
}
