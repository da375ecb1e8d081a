package imserver.tutorial;

import java.net.URI;
import java.util.Map;
import org.mybatis.spring.annotation.MapperScan;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.context.ServletWebServerApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.web.socket.server.standard.ServerEndpointExporter;

/** Chats over the legacy routes of docs/protocol.md. Reads PORT and DATABASE_URL, and says where it listens. */
@SpringBootApplication
@MapperScan(basePackageClasses = ChatMapper.class, annotationClass = org.apache.ibatis.annotations.Mapper.class)
public class Tutorial {
    public static void main(String[] arguments) {
        SpringApplication application = new SpringApplication(Tutorial.class);
        application.setDefaultProperties(database(System.getenv("DATABASE_URL")));
        var context = (ServletWebServerApplicationContext) application.run(arguments);
        System.out.println("tutorial listens on http://127.0.0.1:" + context.getWebServer().getPort());
    }

    /** What a postgres:// URL is to JDBC. */
    private static Map<String, Object> database(String url) {
        URI uri = URI.create(url);
        String[] who = uri.getUserInfo().split(":", 2);
        return Map.of(
                "spring.datasource.url", "jdbc:postgresql://" + uri.getHost() + ":" + uri.getPort() + uri.getPath(),
                "spring.datasource.username", who[0],
                "spring.datasource.password", who[1]);
    }

    /** Makes Tomcat serve what is annotated with @ServerEndpoint. */
    @Bean
    public ServerEndpointExporter endpoints() {
        return new ServerEndpointExporter();
    }
}
