package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// inOwnNetwork tells the test binary that it is the second run of itself, in
// network and mount namespaces of its own.
const inOwnNetwork = "PROBE_TEST_OWN_NETWORK"

// TestNames has names resolved, by a hosts file and by a name server, in a
// network that consists of a loopback interface.
func TestNames(t *testing.T) {
	if os.Getenv(inOwnNetwork) != "" {
		testNames(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network and mount namespaces")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestNames$", "-test.v")
	cmd.Env = append(os.Environ(), inOwnNetwork+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestNames")) {
		t.Errorf("in a network of its own: %v\n%s", err, out)
	}
}

func testNames(t *testing.T) {
	names := serveNames(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	local, remote := withPolicy(t, fastBinary, "local"), withPolicy(t, fastBinary, "remote")
	tests := []struct {
		name   string
		binary string
		host   string
		args   []string
		text   string // "" for healthy
		asks   bool
	}{
		{name: "hosts-file", binary: local, host: "here.example"},
		{name: "hosts-file-remote-address", binary: local, host: "elsewhere.example", text: "forbidden"},
		{name: "no-DNS", binary: local, host: "a.example", text: "does not ask DNS"},
		{name: "hosts-file-first", binary: remote, host: "here.example"},
		{name: "DNS", binary: remote, host: "a.example", asks: true},
		{name: "DNS-IPv6-only", binary: remote, host: "aaaa.example", asks: true, text: "refused"},
		{name: "DNS-remote-address", binary: remote, host: "far.example", asks: true, text: "network unreachable"},
		{name: "DNS-unknown", binary: remote, host: "nowhere.example", asks: true, text: "no such host"},
		{name: "DNS-wrong-identifier", binary: remote, host: "forged.example", asks: true, text: "timed out", args: []string{"--timeout=300ms"}},
		{name: "DNS-silent", binary: remote, host: "silent.example", asks: true, text: "timed out", args: []string{"--timeout=300ms"}},
		{name: "DNS-asks-again", binary: remote, host: "second.example", asks: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := names.Load()
			out := runProbe(t, tt.binary, nil, append(tt.args, "http://"+tt.host+":"+port+"/")...)
			if healthy := tt.text == ""; healthy != (out.code == 0) || !strings.Contains(out.text, tt.text) {
				t.Errorf("exit code %d, %s", out.code, out.text)
			}
			if asked := names.Load() != before; asked != tt.asks {
				t.Errorf("it asked the name server: %t", asked)
			}
		})
	}
}

// withPolicy writes a copy of a binary with another policy, as the builder does.
func withPolicy(t *testing.T, binary, policy string) string {
	t.Helper()
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 16)
	copy(value, policy)
	copy(data[bytes.Index(data, tag())+len(tag()):], value)
	path := filepath.Join(t.TempDir(), policy)
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// serveNames makes a name server at 127.0.0.1 and the hosts file this
// namespace's, and returns the number of questions that have come.
func serveNames(t *testing.T) *atomic.Int64 {
	t.Helper()
	dir := t.TempDir()
	err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		cover(dir, "/etc/resolv.conf", "nameserver 127.0.0.1\n"),
		cover(dir, "/etc/hosts", "127.0.0.1 localhost here.example\n192.0.2.1 elsewhere.example\n"),
		loopbackUp(),
	)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var asked atomic.Int64
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			asked.Add(1)
			if answer := answerName(buf[:n]); answer != nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return &asked
}

// cover mounts a file of the given content over path.
func cover(dir, path, content string) error {
	file := filepath.Join(dir, filepath.Base(path))
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		return err
	}
	return unix.Mount(file, path, "", unix.MS_BIND, "")
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

var secondSeen atomic.Bool

// answerName answers a question, nil for not at all.
func answerName(question []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response = true
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type}
	address := map[string][4]byte{"a.example.": {127, 0, 0, 1}, "forged.example.": {127, 0, 0, 1}, "second.example.": {127, 0, 0, 1}, "far.example.": {192, 0, 2, 1}}
	ip, known := address[q.Name.String()]
	switch {
	case q.Name.String() == "silent.example.":
		return nil
	case q.Name.String() == "second.example." && !secondSeen.Swap(true):
		return nil
	case q.Name.String() == "nowhere.example.":
		m.RCode = dnsmessage.RCodeNameError
	case known && q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: ip}}}
	case q.Name.String() == "aaaa.example." && q.Type == dnsmessage.TypeAAAA:
		m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AAAAResource{AAAA: [16]byte{15: 1}}}}
	}
	if q.Name.String() == "forged.example." {
		m.ID++
	}
	answer, err := m.Pack()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack answer:", err)
	}
	return answer
}
