import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.fusesource.mqtt.client.BlockingConnection;
import org.fusesource.mqtt.client.MQTT;
import org.fusesource.mqtt.client.Message;
import org.fusesource.mqtt.client.QoS;
import org.fusesource.mqtt.client.Topic;

/** A plugin as somebody writes it who has read the published guide: nothing here knows our code. */
public class Bridge {
    static final String NAME = "Bridge";

    static SSLContext trusting(String file) throws Exception {
        KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
        keys.load(null, null);
        try (var in = Files.newInputStream(Path.of(file))) {
            for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                keys.setCertificateEntry("ca" + keys.size(), certificate);
            }
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(keys);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    static String setting(HttpClient http, String plugin, String key) throws Exception {
        URI uri = URI.create(System.getenv("KEEPER_API_BASE_URL") + "/api/PluginSettings/" + plugin + "/" + key);
        var reply = http.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString());
        if (reply.statusCode() != 200) {
            throw new Exception(uri + ": " + reply.statusCode() + " " + reply.body());
        }
        return reply.body().trim().replaceAll("^\"|\"$", "");
    }

    public static void main(String[] args) throws Exception {
        SSLContext tls = trusting(System.getenv("KEEPER_CA_FILE"));
        HttpClient http = HttpClient.newBuilder().sslContext(tls).build();
        String greeting = setting(http, NAME, "greeting");
        MQTT mqtt = new MQTT();
        mqtt.setVersion("3.1.1");
        mqtt.setHost("ssl://" + setting(http, "KeeperPrivilegeManager", "broker.host") + ":" + setting(http, "KeeperPrivilegeManager", "broker.port"));
        mqtt.setSslContext(tls);
        mqtt.setClientId(NAME + "_" + ProcessHandle.current().pid());
        mqtt.setConnectAttemptsMax(0);
        mqtt.setReconnectAttemptsMax(0);
        BlockingConnection connection = mqtt.blockingConnection();
        connection.connect();
        connection.subscribe(new Topic[] {
            new Topic(NAME, QoS.EXACTLY_ONCE), new Topic(NAME + "/Commands/+", QoS.EXACTLY_ONCE), new Topic("PluginSettings/" + NAME, QoS.AT_LEAST_ONCE),
        });
        connection.publish("KeeperLogger", ("{\"Source\": \"" + NAME + "\", \"Level\": \"Information\", \"Message\": \"ready\"}").getBytes(StandardCharsets.UTF_8), QoS.AT_LEAST_ONCE, false);
        while (true) {
            Message message = connection.receive();
            String topic = message.getTopic();
            String text = new String(message.getPayload(), StandardCharsets.UTF_8);
            if (topic.equals("PluginSettings/" + NAME)) {
                greeting = setting(http, NAME, "greeting");
            } else {
                String answer = greeting + " " + text.toUpperCase();
                connection.publish(NAME + "/Responses/" + topic.substring(topic.lastIndexOf('/') + 1), answer.getBytes(StandardCharsets.UTF_8), QoS.EXACTLY_ONCE, false);
            }
            message.ack();
        }
    }
}
