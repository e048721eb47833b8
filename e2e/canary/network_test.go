//go:build e2e

package canary

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
)

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "collector"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestCollector runs the container in this machine's network namespace, so
// that the decoy reaches a collector on loopback. The first answer is a
// refusal: the decoy must try again with the same nonce.
func TestCollector(t *testing.T) {
	cert, ca := certificate(t)
	var requests atomic.Int32
	messages := make(chan []byte, 10)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, alert.MaxMessage))
		if err != nil || r.URL.Path != "/v1/alerts" {
			t.Errorf("%s: %v", r.URL, err)
		}
		messages <- body
		if requests.Add(1) == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer server.Close()
	c := start(t, decoy.Options{BuildID: "net", Collector: "https://" + listener.Addr().String() + "/v1/alerts", CA: ca}, goApp(), "--network=host")
	time.Sleep(300 * time.Millisecond)
	c.exec(c.id, "wget", "-q", "http://evil.test/")
	var nonce alert.Nonce
	for i := range 2 {
		select {
		case body := <-messages:
			m, err := alert.Parse(body)
			if err != nil || c.master.Verify(m) != nil {
				t.Fatalf("request %d: %v: %s", i, err, body)
			}
			if e := m.Event; e.Decoy != "wget" || strings.Join(e.Argv, " ") != "wget -q http://evil.test/" || i > 0 && e.Nonce != nonce {
				t.Errorf("request %d: %+v", i, e)
			}
			nonce = m.Event.Nonce
		case <-time.After(3 * time.Second):
			t.Fatalf("request %d did not come", i)
		}
	}
}

// TestDeadNetwork gives the decoy a collector that accepts and never answers.
func TestDeadNetwork(t *testing.T) {
	const limit = 2500 * time.Millisecond // the deadline of 1.5 s, and docker exec on a busy machine
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := start(t, decoy.Options{BuildID: "dead", Collector: "https://" + listener.Addr().String() + "/"}, goApp(), "--network=host")
	time.Sleep(300 * time.Millisecond)
	began := time.Now()
	c.exec(c.id, "curl")
	if took := time.Since(began); took > limit {
		t.Errorf("the decoy held on for %v, the limit is %v", took, limit)
	} else if len(c.alarms()) != 2 {
		t.Errorf("%d alarms in the log", len(c.alarms()))
	} else {
		t.Logf("decoy ended after %v", took)
	}
}

// TestFloodSparesTheNetwork executes a decoy ten thousand times and counts what
// reaches the collector.
func TestFloodSparesTheNetwork(t *testing.T) {
	t.Parallel()
	const most = 80
	cert, ca := certificate(t)
	var alarms atomic.Int32
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { alarms.Add(1) })}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer server.Close()
	c := start(t, decoy.Options{BuildID: "flood", Collector: "https://" + listener.Addr().String() + "/", CA: ca}, goApp(), "--network=host")
	time.Sleep(300 * time.Millisecond)
	c.exec(c.id, "/app", "loop", "10000", "/usr/bin/ls")
	t.Logf("10000 executions: %d alarms at the collector", alarms.Load())
	if n := alarms.Load(); n < 8 || n > most {
		t.Errorf("%d alarms at the collector for 10000 executions", n)
	}
}

// TestDNS answers questions on port 53 of a network namespace of its own.
func TestDNS(t *testing.T) {
	c := start(t, decoy.Options{BuildID: "dns", Zone: "canary.test"}, goApp(), "--network=none", "--dns=127.0.0.1")
	pid, err := docker.Run(t.Context(), "inspect", "-f", "{{.State.Pid}}", c.id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strconv.Atoi(pid); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	server := exec.CommandContext(t.Context(), "nsenter", "-t", pid, "-n", "python3", "-c", `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
s.settimeout(5)
q = s.recv(512)
name, i = [], 12
while q[i]:
    name.append(q[i+1:i+1+q[i]].decode()); i += 1 + q[i]
print(".".join(name))`)
	server.Stdout = &out
	if err := server.Start(); err != nil {
		t.Skipf("needs nsenter and python3: %v", err)
	}
	time.Sleep(500 * time.Millisecond)
	c.exec(c.id, "id")
	if err := server.Wait(); err != nil {
		t.Fatal(err)
	}
	a, err := alert.ParseName(strings.TrimSpace(out.String()), "canary.test")
	if err != nil || c.master.VerifyName(a) != nil || a.Decoy != "id" || a.Build != "dns" {
		t.Errorf("question %q: %+v %v", out.String(), a, err)
	}
}
