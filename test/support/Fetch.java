// Prints the body at a URL with the JVM's own trust, and fails when the certificate is not accepted.
import java.net.URI;

class Fetch {
  public static void main(String[] arguments) throws Exception {
    System.out.println(new String(URI.create(arguments[0]).toURL().openStream().readAllBytes()));
  }
}
