// Java's own HttpClient. Left as it is, it asks every server without TLS to change to HTTP/2.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;

class Client {
    static final String URL = System.getenv("TOKENPAK_TEST_URL");
    static final String ASK = "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":1024,%s"
        + "\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}]}";

    static HttpRequest ask(String more) {
        return HttpRequest.newBuilder(URI.create(URL + "/v1/messages"))
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .header("x-api-key", System.getenv("ANTHROPIC_API_KEY"))
            .POST(HttpRequest.BodyPublishers.ofString(String.format(ASK, more)))
            .build();
    }

    // Every text in an answer, plain or streamed.
    static String texts(String answer) {
        var texts = java.util.regex.Pattern.compile("\"text\":\"([^\"]*)\"").matcher(answer);
        return texts.results().map(found -> found.group(1)).collect(Collectors.joining());
    }

    static void say(String what, HttpResponse<?> answer, String body) {
        System.out.println(what + ": " + answer.statusCode() + " " + answer.version() + " " + texts(body));
    }

    public static void main(String[] arguments) throws Exception {
        for (var version : HttpClient.Version.values()) {
            var client = HttpClient.newBuilder().version(version).build();
            var plain = client.send(ask(""), BodyHandlers.ofString());
            say("plain " + version, plain, plain.body());
            var stream = client.send(ask("\"stream\":true,"), BodyHandlers.ofLines());
            say("stream " + version, stream, stream.body().collect(Collectors.joining("\n")));
        }
        var client = HttpClient.newHttpClient();
        List<CompletableFuture<HttpResponse<String>>> all = new ArrayList<>();
        for (int n = 0; n < 16; n++) {
            all.add(client.sendAsync(ask(n % 2 == 0 ? "" : "\"stream\":true,"), BodyHandlers.ofString()));
        }
        for (var one : all) {
            say("at once", one.get(), one.get().body());
        }
    }
}
