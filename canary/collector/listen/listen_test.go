package listen

import (
	"context"
	"crypto/ed25519"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/token"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":           "master secret",
		"github.com/hardstand/hardstand/canary/token":           "what was planted",
		"github.com/hardstand/hardstand/canary/collector/store": "the nouns",
	})
}

func TestBookKnowsEveryKind(t *testing.T) {
	master := alert.NewMaster()
	b := NewBook()
	b.Add(master, "b1", "b2", "b1", "Not A Name")
	for _, kind := range token.Kinds() {
		c := token.Derive(master, "b2", kind)
		found := b.Bearer(c.Secret)
		if name := userOf[kind]; name != nil && found == nil {
			found = b.User(name(c.ID))
		}
		if found == nil {
			found = b.Key(c.ClientKey().Public().(ed25519.PublicKey))
		}
		if found == nil || found.Kind != kind || found.Build != "b2" || !found.Holds(c.Secret) || found.Holds(c.Secret+"x") || found.Holds("") {
			t.Errorf("%s: %+v", kind, found)
		}
	}
	if b.User("root") != nil || b.Bearer("") != nil || b.Key(make(ed25519.PublicKey, 32)) != nil {
		t.Error("a stranger is known")
	}
}

func TestBookForgets(t *testing.T) {
	master := alert.NewMaster()
	b := NewBook()
	b.Add(master, "b1", "b2")
	b.Keep([]string{"b2"})
	for _, kind := range token.Kinds() {
		c := token.Derive(master, "b1", kind)
		if b.Bearer(c.Secret) != nil || b.User(c.ID) != nil || userOf[kind] != nil && b.User(userOf[kind](c.ID)) != nil || b.Key(c.ClientKey().Public().(ed25519.PublicKey)) != nil {
			t.Errorf("%s is still known", kind)
		}
	}
	if b.Bearer(token.Derive(master, "b2", "vault").Secret) == nil || b.Empty() {
		t.Error("the other build was forgotten")
	}
	b.Add(master, "b1")
	if b.Bearer(token.Derive(master, "b1", "vault").Secret) == nil {
		t.Error("a build that came back is not known")
	}
	if b.Keep(nil); !b.Empty() {
		t.Error("not empty")
	}
}

func TestFactsAreBounded(t *testing.T) {
	master := alert.NewMaster()
	b := NewBook()
	b.Add(master, "b1")
	e := b.Bearer(token.Derive(master, "b1", "vault").Secret)
	o := e.Observation(store.ProofSecret, Source("[::ffff:192.0.2.1]:80"), map[string]string{"long": strings.Repeat("ä", maxFact), "empty": ""})
	if o.Source != "192.0.2.1:80" || len(o.Facts) != 1 || len(o.Facts["long"]) != maxFact {
		t.Errorf("%+v", o)
	}
}

func TestServerLimits(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	started, done := make(chan struct{}, 10), make(chan error)
	go func() {
		done <- Server{MaxConns: 4, PerSource: 2, Lifetime: 300 * time.Millisecond}.Serve(ctx, listener, func(_ context.Context, c net.Conn) error {
			started <- struct{}{}
			_, err := io.Copy(io.Discard, c)
			return err
		})
	}()
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	<-started
	<-started
	// The third is over the share of one address, and closed at once; the
	// others at the end of their life.
	for i := len(conns) - 1; i >= 0; i-- {
		if err := conns[i].SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := conns[i].Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("connection %d is still open after %v", i, time.Since(start))
		}
	}
	if len(started) != 0 {
		t.Error("a third connection of one address was handled")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("still listening")
	}
}
