package smtp

import (
	"context"
	"encoding/base64"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/listen/listentest"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":            "of the book",
		"github.com/hardstand/hardstand/canary/token":            "what was planted",
		"github.com/hardstand/hardstand/canary/collector/store":  "the nouns",
		"github.com/hardstand/hardstand/canary/collector/listen": "the book",
		"github.com/emersion/go-smtp":                            "SMTP",
		"github.com/emersion/go-sasl":                            "AUTH PLAIN",
	})
}

func serve(t *testing.T, l *Listener) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, listener, listen.Server{Lifetime: 10 * time.Second}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestPlain(t *testing.T) {
	p := listentest.New(t, "https://127.0.0.1", nil)
	address := serve(t, &Listener{Book: p.Book, Report: p.Report})
	env, netrc := p.Credential("env"), p.Credential("netrc")
	for _, try := range []struct {
		user, password, kind string
		proof                store.Proof
	}{
		{"anybody", env.Secret, "env", store.ProofSecret},
		{"svc-" + netrc.ID, netrc.Secret, "netrc", store.ProofSecret},
		{"svc-" + netrc.ID, "guess", "netrc", store.ProofNone},
		{"root", "root", "", ""},
	} {
		c, err := smtp.Dial(address)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Auth(smtp.PlainAuth("", try.user, try.password, "127.0.0.1"))
		if err == nil || !strings.HasPrefix(err.Error(), "535") {
			t.Errorf("%s was told %v", try.user, err)
		}
		if err := c.Mail("a@example.com"); err == nil {
			t.Error("mail was accepted")
		}
		_ = c.Close()
		if try.kind != "" {
			p.Want(t, try.kind, try.proof)
		}
	}
	p.None(t)
}

func TestLogin(t *testing.T) {
	p := listentest.New(t, "https://127.0.0.1", nil)
	address := serve(t, &Listener{Book: p.Book, Report: p.Report})
	encode := base64.StdEncoding.EncodeToString
	for _, first := range []string{"AUTH LOGIN", "AUTH LOGIN " + encode([]byte("anybody"))} {
		c, err := textproto.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{"EHLO x", first}
		if first == "AUTH LOGIN" {
			lines = append(lines, encode([]byte("anybody")))
		}
		lines = append(lines, encode([]byte(p.Credential("env").Secret)))
		if _, _, err := c.ReadResponse(220); err != nil {
			t.Fatal(err)
		}
		var code int
		for _, line := range lines {
			if err := c.PrintfLine("%s", line); err != nil {
				t.Fatal(err)
			}
			if code, _, err = c.ReadResponse(0); err != nil && code == 0 {
				t.Fatal(err)
			}
		}
		if code != 535 {
			t.Errorf("%s ended with %d", first, code)
		}
		if o := p.Want(t, "env", store.ProofSecret); o.Facts["user"] != "anybody" {
			t.Errorf("facts %v", o.Facts)
		}
		_ = c.Close()
	}
}
