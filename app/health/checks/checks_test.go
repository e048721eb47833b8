package checks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"database/sql/driver"
	"encoding/pem"
	"errors"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hardstand/hardstand/app/health"
	"github.com/hardstand/hardstand/app/health/checks"
)

// expect runs a check and compares its error with a part of the text, "" for
// none.
func expect(t *testing.T, name string, c health.Checker, want string) {
	t.Helper()
	err := c.Check()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}

func TestFileChecker(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "down")
	expect(t, "absent", checks.FileChecker(path), "")
	write(t, path, "")
	expect(t, "present", checks.FileChecker(path), "file exists")
	expect(t, "untold", checks.FileChecker(filepath.Join(path, "x")), "not a directory")
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "beat")
	expect(t, "absent", checks.File(path, 0), "no such file")
	write(t, path, "")
	expect(t, "present", checks.File(path, time.Minute), "")
	expect(t, "folder", checks.File(dir, 0), "not a regular file")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	expect(t, "old", checks.File(path, time.Minute), "more than 1m0s")
	expect(t, "old-but-any-age", checks.File(path, 0), "")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestHTTP(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	var hits int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/host":
			if r.Host != "virtual.example" || r.Header.Get("X-A") != "1" {
				w.WriteHeader(http.StatusBadRequest)
			}
		case "/method":
			if r.Method != "HEAD" {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		case "/redirect":
			http.Redirect(w, r, "/target", http.StatusFound)
		case "/target":
			hits++
		case "/hang":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/teapot":
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer srv.Close()
	header := http.Header{"host": {"virtual.example"}, "X-A": {"1"}}
	expect(t, "host", checks.HTTPChecker(srv.URL+"/host", 200, 0, header), "")
	expect(t, "head", checks.HTTPChecker(srv.URL+"/method", 200, time.Second, nil), "")
	expect(t, "code", checks.HTTPChecker(srv.URL+"/teapot", 200, time.Second, nil), "unexpected status: 418")
	expect(t, "wanted-code", checks.HTTPChecker(srv.URL+"/teapot", 418, time.Second, nil), "")
	expect(t, "timeout", checks.HTTPChecker(srv.URL+"/hang", 200, 30*time.Millisecond, nil), "deadline exceeded")
	expect(t, "url", checks.HTTPChecker("http://[::1", 200, time.Second, nil), "check HTTP")
	expect(t, "followed", checks.HTTPChecker(srv.URL+"/redirect", 200, time.Second, nil), "")
	if hits != 1 {
		t.Errorf("redirect followed %d times", hits)
	}
	expect(t, "not-followed", checks.HTTP(srv.URL+"/redirect", checks.HTTPOptions{}), "unexpected status: 302")
	expect(t, "any-2xx", checks.HTTP(srv.URL+"/", checks.HTTPOptions{}), "")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := checks.HTTP(srv.URL+"/hang", checks.HTTPOptions{})(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("context: %v", err)
	}
}

// Programs replace http.DefaultTransport after registering their checks.
func TestHTTPCheckerUsesTheTransportOfTheMoment(t *testing.T) {
	c := checks.HTTPChecker("http://nowhere.invalid/", 204, time.Second, nil)
	old := http.DefaultTransport
	defer func() { http.DefaultTransport = old }()
	http.DefaultTransport = answer(204)
	expect(t, "replaced", c, "")
}

type answer int

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Body: http.NoBody, Request: r}, nil
}

func TestTCPAndUnix(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	u, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	expect(t, "tcp", checks.TCPChecker(addr, 0), "")
	expect(t, "unix", checks.Unix(path), "")
	_, _ = l.Close(), u.Close()
	expect(t, "tcp-closed", checks.TCP(addr), "connection to "+addr+" failed")
	expect(t, "unix-closed", checks.Unix(path), "failed")
}

func TestDNS(t *testing.T) {
	expect(t, "localhost", checks.DNS("localhost", nil), "")
	dead := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}
	expect(t, "dead", checks.DNS("app.example", dead), "check DNS")
}

type pinger struct{ err error }

func (p pinger) Connect(context.Context) (driver.Conn, error) { return conn(p), nil }
func (p pinger) Driver() driver.Driver                        { return nil }

type conn struct{ err error }

func (c conn) Ping(context.Context) error        { return c.err }
func (conn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (conn) Close() error                        { return nil }
func (conn) Begin() (driver.Tx, error)           { return nil, driver.ErrSkip }

func TestSQL(t *testing.T) {
	good, bad := sql.OpenDB(pinger{}), sql.OpenDB(pinger{errors.New("gone")})
	defer func() { _, _ = good.Close(), bad.Close() }()
	expect(t, "good", checks.SQL(good), "")
	expect(t, "bad", checks.SQL(bad), "ping database: gone")
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	expect(t, "no-limits", checks.Disk(dir, checks.DiskLimits{}), "")
	expect(t, "a-byte", checks.Disk(dir, checks.DiskLimits{FreeBytes: 1}), "")
	expect(t, "too-much", checks.Disk(dir, checks.DiskLimits{FreeBytes: math.MaxUint64}), "bytes free, want")
	expect(t, "share", checks.Disk(dir, checks.DiskLimits{FreeShare: 1.01}), "want a share of 1.01")
	expect(t, "absent", checks.Disk(filepath.Join(dir, "x"), checks.DiskLimits{}), "no such file")
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err == nil && s.Files > 0 {
		expect(t, "inodes", checks.Disk(dir, checks.DiskLimits{FreeInodes: math.MaxUint64}), "inodes free")
	}
}

func TestRuntime(t *testing.T) {
	expect(t, "goroutines", checks.Goroutines(1), "goroutines, limit 1")
	expect(t, "few-goroutines", checks.Goroutines(100000), "")
	ballast := make([]byte, 4<<20)
	expect(t, "heap", checks.Heap(2<<20), "limit 2097152")
	expect(t, "small-heap", checks.Heap(1<<40), "")
	runtime.KeepAlive(ballast)
}

func certificate(t testing.TB, from, to time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotBefore: from, NotAfter: to,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func pemOf(c tls.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
}

func TestCertificateFile(t *testing.T) {
	now, day := time.Now(), 24*time.Hour
	good := pemOf(certificate(t, now.Add(-day), now.Add(30*day)))
	for name, c := range map[string]struct {
		text string
		left time.Duration
		want string
	}{
		"good":    {good, 20 * day, ""},
		"soon":    {good, 31 * day, "expires"},
		"expired": {good + pemOf(certificate(t, now.Add(-2*day), now.Add(-day))), 0, "expires"},
		"early":   {pemOf(certificate(t, now.Add(day), now.Add(2*day))), 0, "is not valid before"},
		"none":    {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0, "no certificate found"},
		"broken":  {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0, "x509"},
		"large":   {strings.Repeat("x", 1<<20+1), 0, "larger than"},
	} {
		path := filepath.Join(t.TempDir(), "cert.pem")
		write(t, path, c.text)
		expect(t, name, checks.CertificateFile(path, c.left), c.want)
	}
	expect(t, "absent", checks.CertificateFile("/nonexistent/cert.pem", 0), "no such file")
}

func TestTLS(t *testing.T) {
	now, day := time.Now(), 24*time.Hour
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	cert := certificate(t, now.Add(-day), now.Add(10*day))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(pemOf(cert))) {
		t.Fatal("certificate is not usable")
	}
	addr := srv.Listener.Addr().String()
	expect(t, "good", checks.TLS(addr, day, &tls.Config{RootCAs: roots}), "")
	expect(t, "soon", checks.TLS(addr, 11*day, &tls.Config{RootCAs: roots}), "expires")
	expect(t, "unverified", checks.TLS(addr, 0, nil), "x509")
}
