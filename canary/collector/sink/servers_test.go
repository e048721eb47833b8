package sink

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// certificate makes one for localhost, and a configuration that trusts it.
func certificate(t *testing.T) (tls.Certificate, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// mailbox is a real SMTP server that keeps what it takes.
type mailbox struct {
	mails  chan string
	users  chan string
	refuse error
}

type mailSession struct {
	*mailbox
	to []string
}

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailSession{mailbox: m}, nil }
func (s *mailSession) AuthMechanisms() []string                { return []string{sasl.Plain} }
func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "u" || password != "s3cret-key" {
			return errors.New("wrong")
		}
		s.users <- user
		return nil
	}), nil
}
func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return s.refuse
}
func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.mails <- strings.Join(s.to, ",") + "\n" + string(text)
	return err
}
func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

func smtpServer(t *testing.T, implicit bool, refuse error) (*mailbox, int, *tls.Config) {
	t.Helper()
	cert, client := certificate(t)
	box := &mailbox{mails: make(chan string, 4), users: make(chan string, 4), refuse: refuse}
	server := smtp.NewServer(box)
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.Domain = "localhost"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if implicit {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return box, port, client
}

func TestMailArrives(t *testing.T) {
	for name, implicit := range map[string]bool{"starttls": false, "implicit": true} {
		t.Run(name, func(t *testing.T) {
			box, port, config := smtpServer(t, implicit, nil)
			o := options()
			o.TLS = config
			s := open(t, fmt.Sprintf("- {type: email, host: localhost, port: %d, tls: %s, username: u, password: {env: KEY}, from: 'Canary <c@example.com>', to: [a@example.com, b@example.com]}", port, name), "", o)
			for _, m := range []store.Message{message(), message(), resolved()} {
				if err := s.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				if user := <-box.users; user != "u" {
					t.Errorf("signed in as %q", user)
				}
			}
			first, again, end := readMail(t, box), readMail(t, box), readMail(t, box)
			if first.Get("Message-Id") != again.Get("Message-Id") || first.Get("Message-Id") == end.Get("Message-Id") {
				t.Errorf("Message-ID: %s, %s, %s", first.Get("Message-Id"), again.Get("Message-Id"), end.Get("Message-Id"))
			}
			if first.Get("References") == "" || first.Get("References") != end.Get("References") {
				t.Errorf("References: %s, %s", first.Get("References"), end.Get("References"))
			}
			if first.Get("Bcc") != "" || first.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("headers: %v", first)
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(first.Get("Subject"))
			if err != nil || !strings.HasPrefix(subject, "CRITICAL: ls in web") || !strings.Contains(subject, `\u{202e}`) {
				t.Errorf("subject %q, %v", subject, err)
			}
		})
	}
}

func readMail(t *testing.T, box *mailbox) mail.Header {
	t.Helper()
	to, text, _ := strings.Cut(<-box.mails, "\n")
	if to != "a@example.com,b@example.com" {
		t.Errorf("to %s", to)
	}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil || !strings.Contains(string(body), "team-web") {
		t.Errorf("%v: %s", err, body)
	}
	return m.Header
}

func TestMailRefusals(t *testing.T) {
	for code, want := range map[int]bool{550: true, 451: false} {
		box, port, config := smtpServer(t, false, &smtp.SMTPError{Code: code, Message: "no"})
		o := options()
		o.TLS = config
		s := open(t, fmt.Sprintf("- {type: email, host: localhost, port: %d, from: c@example.com, to: [a@example.com]}", port), "", o)
		if err := s.Send(t.Context(), message()); err == nil || Final(err) != want {
			t.Errorf("%d: final %v: %v", code, Final(err), err)
		}
		if len(box.mails) != 0 {
			t.Error("a mail arrived")
		}
	}
	box, port, _ := smtpServer(t, false, nil)
	s := open(t, fmt.Sprintf("- {type: email, host: localhost, port: %d, from: c@example.com, to: [a@example.com]}", port), "", options())
	if err := s.Send(t.Context(), message()); err == nil || Final(err) || len(box.mails) != 0 {
		t.Errorf("a certificate nobody vouches for: %v", err)
	}
}

// rfc5424 is the grammar of section 6, with one element of structured data.
var rfc5424 = regexp.MustCompile(`(?s)^<(\d{1,3})>1 (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) \[hardstand@32473((?: [a-z_]+="(?:[^"\\\]]|\\["\\\]])*")*)\] \x{feff}(.*)$`)

func TestSyslog(t *testing.T) {
	cert, config := certificate(t)
	for _, network := range []string{"udp", "tcp", "tls"} {
		t.Run(network, func(t *testing.T) {
			got := make(chan string, 1)
			address := syslogServer(t, network, &tls.Config{Certificates: []tls.Certificate{cert}}, got)
			o := options()
			o.TLS = config
			s := open(t, "- {type: syslog, network: "+network+", address: '"+address+"', facility: local3}", "", o)
			if err := s.Send(t.Context(), message()); err != nil {
				t.Fatal(err)
			}
			text := <-got
			parts := rfc5424.FindStringSubmatch(text)
			if parts == nil {
				t.Fatalf("not RFC 5424: %q", text)
			}
			if parts[1] != strconv.Itoa(19*8+1) || parts[3] != "collector-1" || parts[6] != "decoy" {
				t.Errorf("header %q", parts[:7])
			}
			if _, err := time.Parse(time.RFC3339Nano, parts[2]); err != nil {
				t.Error(err)
			}
			if !strings.Contains(parts[7], `dedup_key="k1" message_id="k1:7"`) || !strings.Contains(parts[7], `[x\](http`) {
				t.Errorf("structured data %s", parts[7])
			}
			if network == "udp" && len(text) > maxDatagram || strings.ContainsAny(text, "\r\n") {
				t.Errorf("%d bytes: %q", len(text), text)
			}
		})
	}
}

func syslogServer(t *testing.T, network string, config *tls.Config, got chan<- string) string {
	t.Helper()
	if network == "udp" {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			b := make([]byte, 64<<10)
			n, _, _ := conn.ReadFrom(b)
			got <- string(b[:n])
		}()
		return conn.LocalAddr().String()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	if network == "tls" {
		listener = tls.NewListener(listener, config)
	}
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		length, _ := r.ReadString(' ')
		n, _ := strconv.Atoi(strings.TrimSpace(length))
		b := make([]byte, n)
		_, _ = io.ReadFull(r, b)
		rest, _ := io.ReadAll(r)
		got <- string(b) + string(rest)
	}()
	return listener.Addr().String()
}

func TestSyslogServerThatIsDown(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	if err := open(t, "- {type: syslog, network: tcp, address: '"+address+"'}", "", options()).Send(t.Context(), message()); err == nil || Final(err) {
		t.Errorf("%v", err)
	}
}
