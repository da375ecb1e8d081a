package imserver.tutorial;

import java.util.List;
import java.util.Map;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

/** The legacy routes over HTTP. */
@RestController
public class ChatController {
    private final ChatService service;

    public ChatController(ChatService service) {
        this.service = service;
    }

    @PostMapping("/push")
    public String push(@RequestBody Chat chat) {
        service.send(chat);
        return "MSG SEND SUCCESS";
    }

    @GetMapping("/getMessage")
    public List<Chat> latest(@RequestParam long userId) {
        return service.latest(userId);
    }

    @GetMapping("/getOnlineUser")
    public Map<Long, Map<String, Long>> online() {
        return ChatSocket.online();
    }

    @GetMapping("/close")
    public String close(@RequestParam long userId) {
        ChatSocket.close(userId);
        return "ok";
    }

    @ExceptionHandler(IllegalArgumentException.class)
    @ResponseStatus(HttpStatus.BAD_REQUEST)
    public Map<String, String> refuse(IllegalArgumentException error) {
        return Map.of("detail", String.valueOf(error.getMessage()));
    }
}
