package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// secret stands in answers of servers; the probe must never print it.
const secret = "hunter2-must-not-be-printed"

// script is a recorded or hostile server: what it writes, and what it does then.
type script struct {
	name    string
	write   []string // pieces, with a pause between
	hold    bool     // keep the connection open afterwards
	reset   bool     // end it with a reset
	early   bool     // do not wait for the request
	healthy bool     // the verdict that all must come to
	differs string   // why the reference client comes to another
}

// httpScripts are served one connection each.
var httpScripts = []script{
	{name: "plain", write: []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}, healthy: true},
	{name: "keeps-open", write: []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}, hold: true, healthy: true},
	{name: "early", write: []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}, early: true, hold: true, healthy: true,
		differs: "net/http takes an answer for a fault if it comes before it has asked"},
	{name: "byte-by-byte", write: strings.Split("HTTP/1.1 204 No\r\nA: b\r\n\r\n", ""), healthy: true},
	{name: "interim", write: []string{"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"}, healthy: true},
	{name: "chunked", write: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "0\r\n\r\n"}, hold: true, healthy: true},
	{name: "to-the-end", write: []string{"HTTP/1.0 200 OK\r\n\r\n" + secret}, healthy: true},
	{name: "large", write: []string{"HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("x", 300<<10)}, healthy: true},
	{name: "500", write: []string{"HTTP/1.1 500 " + secret + "\r\nX: " + secret + "\r\nContent-Length: 27\r\n\r\n" + secret}},
	{name: "302", write: []string{"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/" + secret + "\r\nContent-Length: 0\r\n\r\n"}},
	{name: "304", write: []string{"HTTP/1.1 304 Not Modified\r\n\r\n"}, hold: true},
	{name: "101", write: []string{"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"}, hold: true},
	{name: "stalls-in-headers", write: []string{"HTTP/1.1 200 OK\r\nA: b\r\n"}, hold: true},
	{name: "stalls-in-status", write: []string{"HTTP/1.1 20"}, hold: true},
	{name: "stalls-in-body", write: []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"}, hold: true},
	{name: "stalls-in-chunk", write: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok"}, hold: true},
	{name: "silent", hold: true},
	{name: "closes"},
	{name: "resets", reset: true},
	{name: "closes-in-headers", write: []string{"HTTP/1.1 200 OK\r\nA: b\r\n"}},
	{name: "closes-in-body", write: []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"}},
	{name: "interim-only", write: []string{"HTTP/1.1 100 Continue\r\n\r\n"}},
	{name: "interim-flood", write: []string{strings.Repeat("HTTP/1.1 103 Early\r\n\r\n", 50), "HTTP/1.1 200 OK\r\n\r\n"},
		differs: "at most 8 interim answers are accepted here"},
	{name: "two-lengths", write: []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"}},
	{name: "bad-chunk", write: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n"}},
	{name: "bad-coding", write: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"}},
	{name: "ssh", write: []string{"SSH-2.0-" + secret + "\r\n"}, early: true, hold: true},
	{name: "tls-alert", write: []string{"\x15\x03\x01\x00\x02\x02\x46"}},
	{name: "smtp", write: []string{"220 mail ESMTP\r\n"}, early: true, hold: true},
	{name: "header-flood", write: []string{"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("x", 1000)+"\r\n", 100) + "\r\n"},
		differs: "the limit on headers is 64 KiB here, 10 MB there"},
	{name: "endless-header", write: []string{"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 1<<20)},
		differs: "it runs into the same limit later"},
	{name: "version-2", write: []string{"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
		differs: "net/http accepts a version that it did not ask for"},
}

// timeout is enough to see that a server stalls. Where the verdict must be
// healthy there is more, for machines that are busy.
const (
	timeout  = 250 * time.Millisecond
	patience = 20 * time.Second
)

func (s script) timeout() time.Duration {
	if s.healthy {
		return patience
	}
	return timeout
}

// play serves a script until the test ends and returns its address.
func play(t *testing.T, s script) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return l.Addr().String()
}

func (s script) serve(conn net.Conn) {
	defer conn.Close()
	if !s.early {
		line := bufio.NewReader(conn)
		for {
			text, err := line.ReadString('\n')
			if err != nil || text == "\r\n" {
				break
			}
		}
	}
	if s.reset {
		_ = conn.(*net.TCPConn).SetLinger(0)
		return
	}
	for i, piece := range s.write {
		if i > 0 {
			time.Sleep(time.Millisecond)
		}
		if _, err := io.WriteString(conn, piece); err != nil {
			return
		}
	}
	if s.hold {
		time.Sleep(2 * timeout)
	}
}

// standardHTTP asks net/http for its verdict, with the probe's expectations.
func standardHTTP(url string, timeout time.Duration) bool {
	client := http.Client{
		Timeout:       timeout,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Get(url)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return false
	}
	_, err = io.CopyN(io.Discard, resp.Body, 64<<10)
	return err == nil || errors.Is(err, io.EOF)
}

// TestSameVerdicts drives all paths and net/http with the same servers.
func TestSameVerdicts(t *testing.T) {
	for _, s := range httpScripts {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			url := "http://" + play(t, s) + "/"
			for _, binary := range []string{fastBinary, ordinaryBinary, portableBinary} {
				compareVerdict(t, s, binary, url)
			}
			if got := standardHTTP(url, s.timeout()); got != s.healthy && s.differs == "" {
				t.Errorf("net/http says healthy: %v", got)
			}
		})
	}
}

func compareVerdict(t *testing.T, s script, binary, target string) {
	t.Helper()
	out := runProbe(t, binary, nil, "-v", "--timeout", s.timeout().String(), target)
	want := 1
	if s.healthy {
		want = 0
	}
	if out.code != want {
		t.Errorf("%s: exit code %d, %s", filepath.Base(binary), out.code, out.text)
	}
	if strings.Contains(out.text, secret) {
		t.Errorf("%s prints what the server sent: %s", filepath.Base(binary), out.text)
	}
}

// grpcScripts are HTTP/2 servers that answer whatever they are asked.
var grpcScripts = []script{
	{name: "serving", write: []string{settings, okHeaders, servingData, okTrailers}, healthy: true},
	{name: "byte-by-byte", write: strings.Split(settings+okHeaders+servingData+okTrailers, ""), healthy: true},
	{name: "in-one", write: []string{settings + okHeaders + servingData + okTrailers}, healthy: true,
		differs: "the answer may come before grpc-go has begun the call"},
	{name: "ping-first", write: []string{settings, "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678", okHeaders, servingData, okTrailers}, healthy: true},
	{name: "no-trailers", write: []string{settings, okHeaders, "\x00\x00\x07\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x02\x08\x01"}},
	{name: "not-serving", write: []string{settings, okHeaders, "\x00\x00\x07\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x02\x08\x02", okTrailers}},
	{name: "no-message", write: []string{settings, okHeaders, okTrailers}},
	{name: "not-found", write: []string{settings, "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x8d"}},
	{name: "reset", write: []string{settings, "\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x07"}},
	{name: "goodbye", write: []string{settings, "\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0b"}},
	{name: "silent", write: []string{settings}, hold: true},
	{name: "mute", hold: true},
	{name: "closes", write: []string{settings}},
	{name: "http1", write: []string{"HTTP/1.1 400 Bad Request\r\n" + secret + "\r\n\r\n"}},
	{name: "huge-frame", write: []string{settings, "\xff\xff\xff\x00\x00\x00\x00\x00\x01"}, hold: true},
	{name: "bad-hpack", write: []string{settings, "\x00\x00\x01\x01\x05\x00\x00\x00\x01\xff"}, hold: true},
	{name: "stalls-in-frame", write: []string{settings, okHeaders, servingData[:12]}, hold: true},
}

// Frames of an answer, as grpc-go sends them.
const (
	settings    = "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00" + "\x00\x00\x00\x04\x01\x00\x00\x00\x00"
	okHeaders   = "\x00\x00\x0e\x01\x04\x00\x00\x00\x01\x88\x5f\x8b\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64"
	servingData = "\x00\x00\x07\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x02\x08\x01"
	okTrailers  = "\x00\x00\x18\x01\x05\x00\x00\x00\x01\x40\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x01\x30\x40\x89\x9a\xca\xc8\xb5\x25\x42\x07\x31\x7f\x00"
)

// standardGRPC asks grpc-go for its verdict.
func standardGRPC(t *testing.T, addr string, timeout time.Duration) bool {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	resp, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err == nil && resp.Status == grpc_health_v1.HealthCheckResponse_SERVING
}

// TestSameVerdictsGRPC drives all paths and grpc-go with the same servers.
func TestSameVerdictsGRPC(t *testing.T) {
	for _, s := range grpcScripts {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			addr := play(t, s)
			for _, binary := range []string{fastBinary, ordinaryBinary, portableBinary} {
				compareVerdict(t, s, binary, "grpc://"+addr)
			}
			if got := standardGRPC(t, addr, s.timeout()); got != s.healthy && s.differs == "" {
				t.Errorf("grpc-go says healthy: %v", got)
			}
		})
	}
}
