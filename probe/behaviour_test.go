package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// expectation is a command line and what must come of it. In the line, and in
// the environment, names in braces stand for addresses of the world.
type expectation struct {
	line string
	env  []string
	code int
	text string // part of the output
}

// world is a set of real servers.
type world map[string]string

func (w world) fill(s string) string {
	for name, value := range w {
		s = strings.ReplaceAll(s, "{"+name+"}", value)
	}
	return s
}

// check runs all expectations on all binaries.
func (w world) check(t *testing.T, list []expectation) {
	t.Helper()
	for _, e := range list {
		for _, binary := range []string{fastBinary, ordinaryBinary, portableBinary} {
			env := make([]string, len(e.env))
			for i := range env {
				env[i] = w.fill(e.env[i])
			}
			out := runProbe(t, binary, env, strings.Fields(w.fill(e.line))...)
			if out.code != e.code || !strings.Contains(out.text, w.fill(e.text)) {
				t.Errorf("%s %s %v: exit code %d, %swant %d, %q", filepath.Base(binary), e.line, e.env, out.code, out.text, e.code, e.text)
			}
		}
	}
}

// handler is a web application with something for each expectation.
func handler(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		fmt.Fprint(w, "welcome")
	case "/json":
		fmt.Fprint(w, `{"status":"UP","checks":[{"name":"db","ok":true}]}`)
	case "/status":
		code := 200
		fmt.Sscan(r.URL.Query().Get("code"), &code)
		w.WriteHeader(code)
	case "/host":
		if r.Host != "app.example.com" {
			w.WriteHeader(http.StatusMisdirectedRequest)
		}
	case "/auth":
		if r.Header.Get("Authorization") != "Bearer hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	case "/method":
		w.Header().Set("X-Method", r.Method)
		if r.Method != "HEAD" && r.Method != "POST" {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	case "/agent":
		if r.UserAgent() != "hardstand-probe" {
			w.WriteHeader(http.StatusForbidden)
		}
	case "/redirect":
		http.Redirect(w, r, "/", http.StatusFound)
	case "/chain":
		http.Redirect(w, r, "http://"+r.Host+"/redirect", http.StatusMovedPermanently)
	case "/loop":
		http.Redirect(w, r, "/loop", http.StatusFound)
	case "/off-host":
		http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
	case "/other-port":
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
	case "/client-cert":
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusForbidden)
		}
	default:
		http.NotFound(w, r)
	}
}

func TestHTTPBehaviour(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(handler))
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	world{"port": port}.check(t, []expectation{
		{line: ":{port}/", text: "healthy http://localhost:{port}/: status 200"},
		{line: "{port}"},
		{line: "http://127.0.0.1:{port}/"},
		{line: "", env: []string{"PROBE_PORT={port}"}, text: "healthy"},
		{line: "", env: []string{"PORT={port}"}, text: "healthy"},
		{line: ":$APP/${SUB:-}", env: []string{"APP={port}"}},
		{line: ":{port}/missing", code: 1, text: "status 404"},
		{line: ":{port}/missing --status 404"},
		{line: ":{port}/status?code=302", code: 1, text: "status 302"},
		{line: ":{port}/status?code=302 --status 2xx,302"},
		{line: ":{port}/host", code: 1, text: "status 421"},
		{line: ":{port}/host --host app.example.com"},
		{line: ":{port}/host --header Host:app.example.com"},
		{line: ":{port}/auth", code: 1, text: "status 401"},
		{line: ":{port}/auth", env: []string{"PROBE_HEADER=Authorization: Bearer hunter2"}},
		{line: ":{port}/agent"},
		{line: ":{port}/method --method HEAD"},
		{line: ":{port}/method --method POST"},
		{line: ":{port}/method", code: 1, text: "status 405"},
		{line: ":{port}/ --body welc"},
		{line: ":{port}/ --body goodbye", code: 1, text: "does not contain"},
		{line: ":{port}/json --body-json status=UP"},
		{line: ":{port}/json --body-json checks.0.ok=true"},
		{line: ":{port}/json --body-json status=DOWN", code: 1, text: "--body-json"},
		{line: ":{port}/ --body-json status=UP", code: 1, text: "not JSON"},
		{line: ":{port}/redirect", code: 1, text: "status 302"},
		{line: ":{port}/redirect --redirects same-host", text: "status 200"},
		{line: ":{port}/chain --redirects same-host", text: "status 200"},
		{line: ":{port}/loop --redirects same-host", code: 1, text: "more than 5"},
		{line: ":{port}/off-host --redirects same-host", code: 1, text: "never followed"},
		{line: ":{port}/other-port --redirects same-host", code: 1, text: "never followed"},
		{line: "tcp://:{port}", text: "connected"},
		{line: "http://:1/", code: 1, text: "connection refused at 127.0.0.1 and ::1"},
		{line: "tcp://127.0.0.1:1", code: 1, text: "connection refused"},
		{line: "https://127.0.0.1:{port}/", code: 1, text: "does not speak TLS"},
		{line: "grpc://127.0.0.1:{port}", code: 1, text: "HTTP/1, not HTTP/2"},
		{line: ":{port}/ tcp://:{port} :{port}/json", text: "healthy tcp://localhost:{port}"},
		{line: ":{port}/ :{port}/missing tcp://:1", code: 1, text: "connection refused"},
		{line: "http://:1/ --exit-codes detailed", code: 2},
		{line: ":{port}/missing --exit-codes detailed", code: 4},
		{line: "--nonsense", code: 1, text: "invalid --nonsense"},
		{line: "--compat lprobe -port {port} -http-codes 200"},
		{line: "--compat lprobe -port {port} -endpoint missing", code: 1, text: "status 404"},
		{line: "-v :{port}/", text: "\n  connect "},
		{line: "--version", text: "policy local"},
		{line: "--help", text: "Usage: probe"},
	})
}

// TestOutputIsJSON reads the output as a machine would.
func TestOutputIsJSON(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(handler))
	defer s.Close()
	for _, binary := range []string{fastBinary, ordinaryBinary} {
		var one struct {
			Healthy bool
			Target  string
			Message string
			Code    int
			TotalUS int `json:"total_us"`
		}
		out := runProbe(t, binary, nil, "--json", s.URL+"/missing?token=hunter2")
		if err := json.Unmarshal([]byte(out.text), &one); err != nil {
			t.Fatalf("%v in %s", err, out.text)
		}
		if one.Healthy || one.Code != 4 || one.Message != "status 404" || one.Target != s.URL+"/missing" || one.TotalUS <= 0 {
			t.Errorf("%s", out.text)
		}
		var many []map[string]any
		out = runProbe(t, binary, nil, "--json", s.URL+"/", s.URL+"/missing")
		if err := json.Unmarshal([]byte(out.text), &many); err != nil || len(many) != 2 || many[0]["healthy"] != true || many[1]["healthy"] != false {
			t.Errorf("%v in %s", err, out.text)
		}
	}
}

// TestLocalhostIsBoth serves on ::1 only.
func TestLocalhostIsBoth(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("needs IPv6 on loopback")
	}
	s := &http.Server{Handler: http.HandlerFunc(handler)}
	go s.Serve(l)
	defer s.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	world{"port": port}.check(t, []expectation{
		{line: ":{port}/", text: "status 200"},
		{line: "http://localhost:{port}/", text: "status 200"},
		{line: "http://[::1]:{port}/", text: "status 200"},
		{line: "http://127.0.0.1:{port}/", code: 1, text: "connection refused"},
	})
}

func TestUnixSockets(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "app.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(handler)}
	go s.Serve(l)
	defer s.Close()
	calls := filepath.Join(dir, "grpc")
	serveGRPC(t, "unix", calls)
	world{"socket": socket, "grpc": calls}.check(t, []expectation{
		{line: "unix://{socket}"},
		{line: "unix://{socket}/json --body-json status=UP"},
		{line: "http+unix://{socket}:/missing", code: 1, text: "status 404"},
		{line: "tcp+unix://{socket}"},
		{line: "grpc+unix://{grpc}"},
		{line: "grpc+unix://{grpc}:/a.B"},
		{line: "--compat grpc_health_probe -addr unix://{grpc}"},
		{line: "unix:///nowhere/app.sock", code: 1, text: "no such file"},
	})
}

// healthServer is grpc-go's health service.
func healthServer() *health.Server {
	h := health.NewServer()
	h.SetServingStatus("a.B", grpc_health_v1.HealthCheckResponse_SERVING)
	h.SetServingStatus("down", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	return h
}

func serveGRPC(t *testing.T, network, address string, opts ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	grpc_health_v1.RegisterHealthServer(s, healthServer())
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func TestGRPCBehaviour(t *testing.T) {
	addr := serveGRPC(t, "tcp", "127.0.0.1:0")
	guarded := serveGRPC(t, "tcp", "127.0.0.1:0", grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if md, _ := metadata.FromIncomingContext(ctx); len(md["x-token"]) != 1 || md["x-token"][0] != "hunter2" {
				return nil, status.Error(codes.PermissionDenied, secret)
			}
			return next(ctx, req)
		}))
	bare := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer()
		go s.Serve(l)
		t.Cleanup(s.Stop)
		return l.Addr().String()
	}()
	world{"addr": addr, "guarded": guarded, "bare": bare}.check(t, []expectation{
		{line: "grpc://{addr}", text: "SERVING"},
		{line: "grpc://{addr}/a.B"},
		{line: "grpc://{addr}/down", code: 1, text: "service down: NOT_SERVING"},
		{line: "grpc://{addr}/down --exit-codes detailed", code: 4},
		{line: "grpc://{addr}/unheard --exit-codes detailed", code: 3, text: "NOT_FOUND"},
		{line: "grpc://{addr} --service a.B --service down", code: 1, text: "service down"},
		{line: "grpc://{addr} --service a.B --service a.B --service a.B"},
		{line: "grpc://{bare} --exit-codes detailed", code: 3, text: "UNIMPLEMENTED"},
		{line: "grpc://{guarded}", code: 1, text: "PERMISSION_DENIED"},
		{line: "grpc://{guarded} --header X-Token:hunter2"},
		{line: "grpc://127.0.0.1:1 --exit-codes detailed", code: 2, text: "connection refused"},
		{line: "http://{addr}/", code: 1, text: "HTTP/2 only"},
		{line: "--compat grpc_health_probe -addr {addr} -service down", code: 4},
		{line: "--compat grpc_health_probe -addr 127.0.0.1:1", code: 2},
		{line: "--compat grpc_health_probe -addr {addr} -spiffe", code: 1, text: "not supported"},
	})
}

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key, a.pem = issue(t, nil, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	return a
}

// issue makes a certificate, signed by a or by itself.
func issue(t *testing.T, a *authority, change func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	change(c)
	parent, signer := c, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// pair issues a certificate for use in a server or client, and writes it.
func (a *authority) pair(t *testing.T, dir, name string, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	_, key, certPEM := issue(t, a, change)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	writeFile(t, filepath.Join(dir, name+".pem"), certPEM)
	writeFile(t, filepath.Join(dir, name+".key"), keyPEM)
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serveTLS serves the handler and returns the address.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	s.TLS = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return port
}

func TestTLSBehaviour(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t)
	writeFile(t, filepath.Join(dir, "ca.pem"), ca.pem)
	writeFile(t, filepath.Join(dir, "other.pem"), newAuthority(t).pem)
	writeFile(t, filepath.Join(dir, "empty.pem"), nil)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	local := ca.pair(t, dir, "local", func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"localhost", "app.example"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	})
	named := ca.pair(t, dir, "named", func(c *x509.Certificate) { c.DNSNames = []string{"app.example"} })
	expired := ca.pair(t, dir, "expired", func(c *x509.Certificate) {
		c.DNSNames, c.NotAfter = []string{"localhost"}, time.Now().Add(-time.Minute)
	})
	ca.pair(t, dir, "client", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	mutual := &tls.Config{Certificates: []tls.Certificate{local}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}
	w := world{
		"dir":     dir,
		"local":   serveTLS(t, &tls.Config{Certificates: []tls.Certificate{local}}),
		"named":   serveTLS(t, &tls.Config{Certificates: []tls.Certificate{named}}),
		"expired": serveTLS(t, &tls.Config{Certificates: []tls.Certificate{expired}}),
		"old":     serveTLS(t, &tls.Config{Certificates: []tls.Certificate{local}, MaxVersion: tls.VersionTLS12}),
		"ancient": serveTLS(t, &tls.Config{Certificates: []tls.Certificate{local}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}),
		"p256":    serveTLS(t, &tls.Config{Certificates: []tls.Certificate{local}, CurvePreferences: []tls.CurveID{tls.CurveP256}}),
		"mutual":  serveTLS(t, mutual),
		"grpc":    serveGRPC(t, "tcp", "127.0.0.1:0", grpc.Creds(credentials.NewTLS(mutual.Clone()))),
	}
	w.check(t, []expectation{
		{line: "https://localhost:{local}/ --ca-file {dir}/ca.pem", text: "status 200"},
		{line: "https://:{local}/ --ca-file {dir}/ca.pem"},
		{line: "https://127.0.0.1:{local}/ --ca-file {dir}/ca.pem"},
		{line: "https://:{old}/ --ca-file {dir}/ca.pem"},
		{line: "https://:{p256}/ --ca-file {dir}/ca.pem"},
		{line: "https://:{ancient}/ --ca-file {dir}/ca.pem", code: 1, text: "TLS: "},
		{line: "https://:{local}/", code: 1, text: "unknown authority"},
		{line: "https://:{local}/ --insecure"},
		{line: "https://:{local}/ --ca-file {dir}/other.pem", code: 1, text: "unknown authority"},
		{line: "https://:{local}/ --ca-file {dir}/empty.pem", code: 1, text: "no certificate in it"},
		{line: "https://:{local}/ --ca-file {dir}/none.pem", code: 1, text: "reading --ca-file: no such file"},
		{line: "https://:{named}/ --ca-file {dir}/ca.pem", code: 1, text: "not for this name"},
		{line: "https://:{named}/ --ca-file {dir}/ca.pem --server-name app.example"},
		{line: "https://:{named}/ --ca-file {dir}/ca.pem --server-name evil.example", code: 1, text: "not for this name"},
		{line: "https://:{expired}/ --ca-file {dir}/ca.pem", code: 1, text: "expired"},
		{line: "https://:{mutual}/ --ca-file {dir}/ca.pem", code: 1, text: "refused"},
		{line: "https://:{mutual}/client-cert --ca-file {dir}/ca.pem --cert-file {dir}/client.pem --key-file {dir}/client.key"},
		{line: "https://:{mutual}/ --ca-file {dir}/ca.pem --cert-file {dir}/client.pem --key-file {dir}/local.key", code: 1, text: "--cert-file and --key-file"},
		{line: "grpcs://{grpc} --ca-file {dir}/ca.pem", code: 1, text: "refused"},
		{line: "grpcs://{grpc}/a.B --ca-file {dir}/ca.pem --cert-file {dir}/client.pem --key-file {dir}/client.key", text: "SERVING"},
		{line: "tls://:{local} --ca-file {dir}/ca.pem", text: "connected"},
		{line: "tls://:{local}", code: 1, text: "unknown authority"},
		{line: "http://:{local}/", code: 1, text: "https"},
		{line: "https://:{local}/off-host --ca-file {dir}/ca.pem --redirects same-host", code: 1, text: "never followed"},
		{line: "--compat lprobe -tls -tls-ca-cert {dir}/ca.pem -port {local}"},
		{line: "--compat grpc_health_probe -addr {grpc} -tls -tls-ca-cert {dir}/ca.pem -tls-client-cert {dir}/client.pem -tls-client-key {dir}/client.key"},
	})
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ok"), []byte("ok\nmore\n"))
	writeFile(t, filepath.Join(dir, "fail"), []byte("fail: database gone\n"))
	writeFile(t, filepath.Join(dir, "old"), []byte("ok\n"))
	past := time.Now().Add(-time.Minute)
	if err := os.Chtimes(filepath.Join(dir, "old"), past, past); err != nil {
		t.Fatal(err)
	}
	world{"dir": dir}.check(t, []expectation{
		{line: "file://{dir}/ok", text: "present"},
		{line: "file://{dir}/ok?max-age=30s&line=ok"},
		{line: "file://{dir}/ok --body more"},
		{line: "file://{dir}/ok?line=o", code: 1, text: "first line"},
		{line: "file://{dir}/fail?line=ok", code: 1, text: "first line"},
		{line: "file://{dir}/old?max-age=30s&line=ok", code: 1, text: "more than 30s"},
		{line: "file://{dir}/old?max-age=2m"},
		{line: "file://{dir}/none", code: 1, text: "no such file"},
		{line: "file://{dir}", code: 1, text: "unhealthy"},
		{line: "file:///dev/null", code: 1, text: "not a regular file"},
	})
}

// TestWait starts a server only after the probe has begun to wait for it.
func TestWait(t *testing.T) {
	for _, binary := range []string{fastBinary, ordinaryBinary} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		time.AfterFunc(150*time.Millisecond, func() {
			if l, err := net.Listen("tcp", addr); err == nil {
				s := &http.Server{Handler: http.HandlerFunc(handler)}
				time.AfterFunc(2*time.Second, func() { s.Close() })
				_ = s.Serve(l)
			}
		})
		out := runProbe(t, binary, nil, "--wait", "5s", "--interval", "20ms", "http://"+addr+"/")
		if out.code != 0 {
			t.Errorf("%s: exit code %d, %s", filepath.Base(binary), out.code, out.text)
		}
		begin := time.Now()
		out = runProbe(t, binary, nil, "--wait", "200ms", "--interval", "20ms", "tcp://127.0.0.1:1")
		if took := time.Since(begin); out.code != 1 || took < 150*time.Millisecond || took > 2*time.Second {
			t.Errorf("%s: exit code %d after %v, %s", filepath.Base(binary), out.code, took, out.text)
		}
	}
}

// TestOneTimeout lets a server waste time in every phase: the total counts.
func TestOneTimeout(t *testing.T) {
	addr := play(t, script{write: strings.Split("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("y", 2000), ""), hold: true})
	begin := time.Now()
	out := runProbe(t, fastBinary, nil, "--timeout", "300ms", "http://"+addr+"/")
	if took := time.Since(begin); out.code != 1 || took > time.Second || !strings.Contains(out.text, "timed out after 30") {
		t.Errorf("exit code %d after %v, %s", out.code, took, out.text)
	}
}

// TestShortAnswer lets a gRPC server answer with less than the probe first waits
// for, and keep the connection: the answer counts all the same, and soon.
func TestShortAnswer(t *testing.T) {
	addr := play(t, script{write: []string{settings + "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x8d"}, hold: true})
	for _, binary := range []string{fastBinary, ordinaryBinary} {
		out := runProbe(t, binary, nil, "grpc://"+addr)
		if out.code != 1 || !strings.Contains(out.text, "it is 404") {
			t.Errorf("exit code %d, %s", out.code, out.text)
		}
	}
}

// TestManyWordsTakeTheOrdinaryPath overflows the fast path's list.
func TestManyWordsTakeTheOrdinaryPath(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(handler))
	defer s.Close()
	env := make([]string, maxWords+10)
	for i := range env {
		env[i] = fmt.Sprintf("NAME_%d=x", i)
	}
	for _, n := range []int{maxWords - 3, maxWords - 2, maxWords - 1, maxWords, maxWords + 10} {
		if out := runProbe(t, fastBinary, env[:n], s.URL+"/"); out.code != 0 {
			t.Errorf("with %d variables: exit code %d, %s", n, out.code, out.text)
		}
	}
}

// TestCalledByPeersName runs the binary under the peers' names.
func TestCalledByPeersName(t *testing.T) {
	addr := serveGRPC(t, "tcp", "127.0.0.1:0")
	data, err := os.ReadFile(fastBinary)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(addr)
	for name, args := range map[string][]string{
		"lprobe":            {"-mode=grpc", "-port=" + port},
		"grpc_health_probe": {"-addr=" + addr},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
		if out := runProbe(t, path, nil, args...); out.code != 0 {
			t.Errorf("%s: exit code %d, %s", name, out.code, out.text)
		}
	}
}
