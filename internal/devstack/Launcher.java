import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts an Elasticsearch node from its jars: the stock main class needs a jar
 * that is not published. es.path.home holds modules/, es.path.conf the settings.
 */
public final class Launcher {
  public static void main(String[] args) throws Exception {
    Path home = Path.of(System.getProperty("es.path.home"));
    Path config = Path.of(System.getProperty("es.path.conf"));
    Settings settings =
        Settings.builder()
            .loadFromPath(config.resolve("elasticsearch.yml"))
            .put("path.home", home.toString())
            .build();
    LogConfigurator.setNodeName(settings.get("node.name"));
    Environment env = new Environment(settings, config);
    LogConfigurator.configure(env, true);
    Node node =
        new Node(
            env,
            PluginsLoader.createPluginsLoader(
                PluginsLoader.loadModulesBundles(env.modulesDir()), Set.of(), Map.of(), false));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
    node.start();
    new CountDownLatch(1).await(); // the node's own threads do not keep a JVM alive
  }

  private static void close(Node node) {
    try {
      node.close();
    } catch (Exception e) {
      e.printStackTrace();
    }
  }
}
