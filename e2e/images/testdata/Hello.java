// Hello says what a program finds in a Java image. Hello.class beside it is
// compiled with: javac --release 17 -g:none Hello.java
import java.awt.Font;
import java.awt.GraphicsEnvironment;
import java.awt.image.BufferedImage;
import java.nio.charset.Charset;
import java.security.KeyStore;
import java.util.Arrays;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

public class Hello {
	public static void main(String[] args) throws Exception {
		if (args.length > 0) {
			System.out.print("fetched=" + new String(new java.net.URL(args[0]).openStream().readAllBytes()));
			return;
		}
		System.out.println("version=" + System.getProperty("java.version").split("[.]")[0]);
		System.out.println("charset=" + Charset.defaultCharset() + " \u00e4\u4e16");
		TrustManagerFactory f = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		f.init((KeyStore) null);
		int n = 0;
		for (TrustManager m : f.getTrustManagers()) {
			n += ((X509TrustManager) m).getAcceptedIssuers().length;
		}
		System.out.println("authorities=" + n);
		javax.net.ssl.SSLContext.getDefault().createSSLEngine();
		String[] fonts = GraphicsEnvironment.getLocalGraphicsEnvironment().getAvailableFontFamilyNames();
		System.out.println("font=" + Arrays.asList(fonts).contains("DejaVu Sans"));
		BufferedImage image = new BufferedImage(100, 30, BufferedImage.TYPE_INT_RGB);
		image.createGraphics().setFont(new Font("DejaVu Sans", Font.PLAIN, 12));
		var g = image.createGraphics();
		g.drawString("hardstand", 5, 20);
		int drawn = 0;
		for (int rgb : image.getRGB(0, 0, 100, 30, null, 0, 100)) {
			drawn += (rgb & 0xffffff) != 0 ? 1 : 0;
		}
		System.out.println("drawn=" + (drawn > 50));
		Process p = new ProcessBuilder("/bin/probe", "--help").start();
		p.getInputStream().readAllBytes();
		p.getErrorStream().readAllBytes();
		System.out.println("spawned=" + (p.waitFor() >= 0));
		System.out.println("user=" + System.getProperty("user.name"));
	}
}
