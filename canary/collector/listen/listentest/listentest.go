// Package listentest plants credential files and keeps what a listener
// reports. Tests only.
package listentest

import (
	"context"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/token"
)

// Build is the build whose credentials are planted.
const Build = "web-1"

// Plant is a home directory with all credential files, and the book that knows
// them.
type Plant struct {
	Home     string
	Register token.Register
	Master   alert.Master
	Book     *listen.Book
	Seen     chan store.Observation
}

// New plants the files of an endpoint below a new directory.
func New(t *testing.T, endpoint string, ca []byte) *Plant {
	t.Helper()
	p := &Plant{Home: t.TempDir(), Master: alert.NewMaster(), Seen: make(chan store.Observation, 100)}
	made, err := token.Make(token.Options{Master: p.Master, BuildID: Build, Endpoint: endpoint, CA: ca, Home: "/home"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range made.Files {
		name := filepath.Join(p.Home, strings.TrimPrefix(f.Path, "/home"))
		if err := os.MkdirAll(path.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Content, f.Mode); err != nil {
			t.Fatal(err)
		}
	}
	p.Register = made.Register
	p.Book = listen.NewBook()
	p.Book.Add(p.Master, "other", Build)
	return p
}

// Report keeps an observation.
func (p *Plant) Report(_ context.Context, o store.Observation) error {
	p.Seen <- o
	return nil
}

// Credential of a kind.
func (p *Plant) Credential(kind string) token.Credential { return token.Derive(p.Master, Build, kind) }

// Want takes the next observation and compares it.
func (p *Plant) Want(t *testing.T, kind string, proof store.Proof) store.Observation {
	t.Helper()
	select {
	case o := <-p.Seen:
		if string(o.Channel) != kind || o.Token != kind || o.Build != Build || o.TokenID != p.Credential(kind).ID || o.Proof != proof || o.Source == "" {
			t.Errorf("observed %+v, want %s with proof %s", o, kind, proof)
		}
		for name, value := range o.Facts {
			if strings.Contains(value, p.Credential(kind).Secret) {
				t.Errorf("fact %s holds the secret", name)
			}
		}
		return o
	case <-time.After(10 * time.Second):
		t.Fatalf("no use of %s was observed", kind)
		return store.Observation{}
	}
}

// None fails if something was observed.
func (p *Plant) None(t *testing.T) {
	t.Helper()
	select {
	case o := <-p.Seen:
		t.Errorf("observed %+v, want nothing", o)
	default:
	}
}

// Serve runs a listener on an address until the test ends, and returns where.
func Serve(t *testing.T, address string, handle func(context.Context, net.Conn) error) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- listen.Server{Lifetime: 10 * time.Second}.Serve(ctx, listener, handle) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}
