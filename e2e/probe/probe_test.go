//go:build e2e

// Package probe runs the probe against servers of Debian: nginx, php-fpm, a
// gRPC server on C-core, nghttpd; and its arm64 build under qemu-user. Packages:
// nginx-light php-fpm python3-grpcio nghttp2-server qemu-user-static openssl.
package probe

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// binaries of the probe, and a folder for everything.
var amd64, arm64, dir string

func TestMain(m *testing.M) {
	code := 1
	var err error
	if dir, err = os.MkdirTemp("", "probe-e2e-"); err == nil {
		amd64, err = build("amd64")
	}
	if err == nil {
		arm64, err = build("arm64")
	}
	if err == nil {
		// Servers that give up root must be able to enter.
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(arch string) (string, error) {
	path := filepath.Join(dir, "probe-"+arch)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -buildid= -E main.entry", "-o", path, "../../probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build probe: %w\n%s", err, out)
	}
	return path, nil
}

// emulator returns the command prefix that runs arm64 programs.
func emulator(t *testing.T) []string {
	for _, name := range []string{"qemu-aarch64-static", "qemu-aarch64"} {
		if path, err := exec.LookPath(name); err == nil {
			return []string{path}
		}
	}
	t.Fatal("qemu-aarch64 is missing: apt-get install qemu-user-static")
	return nil
}

// probes runs the command line on both architectures and expects the exit code
// and a part of the output.
func probes(t *testing.T, code int, text string, args ...string) {
	t.Helper()
	for _, argv := range [][]string{{amd64}, append(emulator(t), arm64)} {
		argv = append(argv, args...)
		cmd := exec.Command(argv[0], argv[1:]...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), text) {
			t.Errorf("%s: exit code %d, %s; want %d, %q", strings.Join(argv, " "), got, out, code, text)
		}
	}
}

// start runs a server until the test ends.
func start(t *testing.T, ready string, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing; see the packages this test names", name)
	}
	log, err := os.Create(filepath.Join(dir, filepath.Base(name)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Not a kill: php-fpm has children to end.
		_ = cmd.Process.Signal(os.Interrupt)
		time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
	})
	network := "tcp"
	if strings.HasPrefix(ready, "/") {
		network = "unix"
	}
	for range 100 {
		if conn, err := net.Dial(network, ready); err == nil {
			conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	said, _ := os.ReadFile(log.Name())
	t.Fatalf("%s does not listen at %s: %s", name, ready, said)
}

// freePort returns a port that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// write writes a file into the folder, readable by all.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificate makes a self-signed certificate for localhost with openssl.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
		"-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return cert, key
}

func TestNginx(t *testing.T) {
	cert, key := certificate(t)
	plain, secure, mutual := freePort(t), freePort(t), freePort(t)
	socket := filepath.Join(dir, "nginx.sock")
	config := write(t, "nginx.conf", fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server { listen 127.0.0.1:%[2]s default_server; return 421; }
	server {
		listen 127.0.0.1:%[2]s; listen unix:%[5]s; server_name app.example.com localhost;
		location / { return 200 "welcome\n"; }
		location /moved { return 301 /; }
		location /out { return 302 http://192.0.2.1/; }
		location /down { return 503; }
	}
	server { listen 127.0.0.1:%[3]s ssl; ssl_certificate %[6]s; ssl_certificate_key %[7]s; return 200 "secure\n"; }
	server {
		listen 127.0.0.1:%[4]s ssl; ssl_certificate %[6]s; ssl_certificate_key %[7]s;
		ssl_client_certificate %[6]s; ssl_verify_client on; return 200 "mutual\n";
	}
}`, dir, plain, secure, mutual, socket, cert, key))
	start(t, "127.0.0.1:"+secure, "nginx", "-c", config)
	probes(t, 0, "status 200", ":"+plain+"/")
	probes(t, 0, "status 200", ":"+plain+"/", "--body", "welcome")
	probes(t, 1, "status 421", "http://127.0.0.1:"+plain+"/")
	probes(t, 0, "status 200", "http://127.0.0.1:"+plain+"/", "--host", "app.example.com")
	probes(t, 1, "status 503", ":"+plain+"/down")
	probes(t, 1, "status 301", ":"+plain+"/moved")
	probes(t, 0, "status 200", ":"+plain+"/moved", "--redirects", "same-host")
	probes(t, 1, "never followed", ":"+plain+"/out", "--redirects", "same-host")
	probes(t, 0, "status 200", ":"+plain+"/", "--method", "HEAD")
	probes(t, 0, "status 200", "unix://"+socket)
	probes(t, 0, "status 200", "https://localhost:"+secure+"/", "--ca-file", cert)
	probes(t, 1, "unknown authority", "https://localhost:"+secure+"/")
	probes(t, 1, "https", ":"+secure+"/")
	probes(t, 1, "status 400", "https://localhost:"+mutual+"/", "--ca-file", cert)
	probes(t, 0, "status 200", "https://localhost:"+mutual+"/", "--ca-file", cert, "--cert-file", cert, "--key-file", key)
	probes(t, 1, "HTTP/1", "grpc://:"+plain)
	probes(t, 0, "healthy", ":"+plain+"/", "tcp://:"+plain, "https://:"+secure+"/", "--ca-file", cert)
}

func TestPHP(t *testing.T) {
	names, _ := filepath.Glob("/usr/sbin/php-fpm*")
	if len(names) == 0 {
		t.Fatal("php-fpm is missing: apt-get install php-fpm")
	}
	port, socket := freePort(t), filepath.Join(dir, "php.sock")
	config := write(t, "php.conf", fmt.Sprintf(`
[global]
error_log = %[1]s/php.log
daemonize = no
[tcp]
listen = 127.0.0.1:%[2]s
user = nobody
group = nogroup
pm = static
pm.max_children = 1
ping.path = /ping
[unix]
listen = %[3]s
listen.mode = 0666
user = nobody
group = nogroup
pm = static
pm.max_children = 1
ping.path = /fpm-ping
ping.response = alive
`, dir, port, socket))
	start(t, "127.0.0.1:"+port, names[0], "-F", "-y", config)
	probes(t, 0, "status 200", "fcgi://:"+port)
	probes(t, 0, "status 200", "fcgi://:"+port+"/ping", "--body", "pong")
	probes(t, 1, "--body", "fcgi://:"+port+"/ping", "--body", "ping")
	probes(t, 1, "status 404", "fcgi://:"+port+"/missing.php")
	probes(t, 0, "status 200", "fcgi+unix://"+socket+"/fpm-ping", "--body", "alive")
	probes(t, 1, "connection", ":"+port+"/")
}

// grpcServer answers on C-core, without generated code: messages are bytes.
const grpcServer = `
import sys, grpc
from concurrent import futures
class Health(grpc.GenericRpcHandler):
    def service(self, call):
        if call.method != '/grpc.health.v1.Health/Check':
            return None
        def check(request, context):
            name = request[2:].decode()
            if name == 'down':
                return b'\x08\x02'
            if name not in ('', 'a.B'):
                context.abort(grpc.StatusCode.NOT_FOUND, 'unknown')
            return b'\x08\x01'
        return grpc.unary_unary_rpc_method_handler(check)
server = grpc.server(futures.ThreadPoolExecutor(2), handlers=(Health(),))
key, cert = open(sys.argv[3], 'rb').read(), open(sys.argv[4], 'rb').read()
server.add_secure_port('127.0.0.1:' + sys.argv[2], grpc.ssl_server_credentials([(key, cert)]))
server.add_insecure_port('127.0.0.1:' + sys.argv[1])
server.start()
server.wait_for_termination()
`

func TestCore(t *testing.T) {
	cert, key := certificate(t)
	plain, secure := freePort(t), freePort(t)
	start(t, "127.0.0.1:"+plain, "/usr/bin/python3", write(t, "server.py", grpcServer), plain, secure, key, cert)
	probes(t, 0, "SERVING", "grpc://:"+plain)
	probes(t, 0, "SERVING", "grpc://:"+plain+"/a.B")
	probes(t, 1, "NOT_SERVING", "grpc://:"+plain+"/down")
	probes(t, 1, "NOT_FOUND", "grpc://:"+plain+"/other")
	probes(t, 0, "SERVING", "grpc://:"+plain, "--service", "a.B", "--service", "a.B")
	probes(t, 3, "NOT_FOUND", "grpc://:"+plain+"/other", "--exit-codes", "detailed")
	probes(t, 0, "SERVING", "grpcs://localhost:"+secure, "--ca-file", cert)
	probes(t, 1, "unknown authority", "grpcs://localhost:"+secure)
}

func TestNghttpd(t *testing.T) {
	port := freePort(t)
	write(t, "index.html", "hello")
	start(t, "127.0.0.1:"+port, "nghttpd", "--no-tls", "-d", dir, "-a", "127.0.0.1", port)
	probes(t, 1, "HTTP status is not 200: it is 404", "grpc://:"+port)
	probes(t, 1, "HTTP/2", ":"+port+"/")
	probes(t, 0, "connected", "tcp://:"+port)
}

// TestLimits runs the probe where other probes fail.
func TestLimits(t *testing.T) {
	port := freePort(t)
	start(t, "127.0.0.1:"+port, "/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", dir, port)
	script := func(s string) {
		t.Helper()
		out, err := exec.Command("/bin/sh", "-c", s, "sh", amd64, "http://127.0.0.1:"+port+"/").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v, %s", s, err, out)
		}
	}
	script(`ulimit -v 65536; exec "$@"`)
	script(`ulimit -s 128; exec "$@"`)
	script(`ulimit -n 4; exec "$@"`)
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	script(`cp "$1" ` + root + `/probe && exec chroot ` + root + ` /probe "$2"`)
	script(`exec unshare -fp "$@"`) // the host's /proc, another PID 1
	script(`exec setpriv --reuid 65532 --regid 65532 --clear-groups "$@"`)
}
