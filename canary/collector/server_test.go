package collector

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

func writePair(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "collector"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestReload replaces the certificate under a running server; a broken pair
// leaves the old one in place.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	cert, key := writePair(t, dir, 1)
	pair, err := LoadCertificate(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, Listen{Address: "127.0.0.1:0", Certificate: pair}, http.NotFoundHandler())
	serial := func() int64 {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // it reads the certificate itself
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Fatalf("serial %d", n)
	}
	if err := os.WriteFile(cert, []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(reloadAfter + 100*time.Millisecond)
	if n := serial(); n != 1 {
		t.Errorf("with a broken file: serial %d", n)
	}
	writePair(t, dir, 2)
	time.Sleep(reloadAfter + 100*time.Millisecond)
	if n := serial(); n != 2 {
		t.Errorf("after the change: serial %d", n)
	}
}

func serve(t *testing.T, l Listen, h http.Handler) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	at := make(chan net.Addr, 1)
	l.Ready = func(a net.Addr) { at <- a }
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-at:
		return a.String()
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return ""
}

// TestIdle holds connections that say nothing and some that drip bytes: the
// oldest idle ones go, and an alarm still gets through.
func TestIdle(t *testing.T) {
	b := start(t, Options{})
	const limit, idle = 50, 300
	address := serve(t, Listen{Address: "127.0.0.1:0", MaxConnections: limit}, b.Handler())
	for i := range idle {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%10 == 0 {
			if _, err := conn.Write([]byte("POST /v1/alerts HTTP/1.1\r\nHost: x\r\nX-")); err != nil {
				t.Fatal(err)
			}
		}
	}
	response, err := http.Post("http://"+address+"/v1/alerts", "text/plain", strings.NewReader(string(b.line("web", "ls", b.clock.Now()))))
	if err != nil || response.StatusCode != 202 {
		t.Fatalf("%v %v", response, err)
	}
	response.Body.Close()
}

// TestNames asks the DNS listener over UDP and TCP, in mixed case.
func TestNames(t *testing.T) {
	b := start(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	at := make(chan net.Addr, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- b.ServeDNS(ctx, "127.0.0.1:0", DNS{Address: []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")},
			Tokens: func(label string) (string, string, bool) { return "web", "aws", label == "s3" }}, func(a net.Addr) { at <- a })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	address := (<-at).String()
	e := alert.Event{Build: "web", Decoy: "ls", Nonce: alert.Nonce{1, 2, 3}}
	name, err := b.master.Key("web", "ls").Name(e, "canary.test")
	if err != nil {
		t.Fatal(err)
	}
	mixed := []byte(dns.Fqdn(name))
	for i := range mixed {
		if i%3 == 0 {
			mixed[i] = strings.ToUpper(string(mixed[i]))[0]
		}
	}
	for kind, answers := range map[uint16]int{dns.TypeA: 1, dns.TypeAAAA: 1, dns.TypeTXT: 1, dns.TypeHTTPS: 0} {
		for _, network := range []string{"udp", "tcp"} {
			q := new(dns.Msg).SetQuestion(string(mixed), kind)
			reply, _, err := (&dns.Client{Net: network}).Exchange(q, address)
			if err != nil || reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != answers || reply.Question[0].Name != string(mixed) {
				t.Errorf("%s %s: %v %v", network, dns.TypeToString[kind], reply, err)
			}
		}
	}
	for question, rcode := range map[string]int{"s3.canary.test.": dns.RcodeSuccess, "other.example.": dns.RcodeRefused, "x" + string(mixed)[1:]: dns.RcodeSuccess} {
		if reply, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(question, dns.TypeA), address); err != nil || reply.Rcode != rcode {
			t.Errorf("%s: %v %v", question, reply, err)
		}
	}
	found := b.incidents(t)
	if len(found) != 2 {
		t.Fatalf("incidents: %+v", found)
	}
	for _, one := range found {
		if one.Severity != store.Low || one.Count != 1 {
			t.Errorf("%+v", one)
		}
	}
}
