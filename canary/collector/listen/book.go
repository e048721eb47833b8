// Package listen recognises the credentials that planted files hold, when
// somebody uses them. Its sub-packages speak the protocols in which that
// happens, as far as the moment of authentication, and then refuse as the real
// service would.
//
// Three things can be known of a use: proved (a signature, or the secret
// itself), named (only the identity, which others may have seen or guessed),
// and touched (somebody connected). Only the first two become observations;
// connections without a known identity are what any address on a network gets.
package listen

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/token"
)

// Report hands an observation to the collector. It returns once it is stored.
type Report func(context.Context, store.Observation) error

// Entry is one planted credential.
type Entry struct {
	token.Credential
	Build string
	Kind  string

	book *Book
}

// Book knows the credentials of all builds in the register, by what their use
// shows. All methods may be called at once.
type Book struct {
	mu     sync.RWMutex
	builds map[planted]bool
	users  map[string]*Entry            // by user name, key id or address
	secret map[[sha256.Size]byte]*Entry // by hash of what is sent whole
	keys   map[string]*Entry            // by Ed25519 public key
	rsa    map[string]*rsa.PublicKey    // made when first asked for
}

type planted struct {
	master alert.Master
	build  string
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{
		builds: map[planted]bool{}, users: map[string]*Entry{}, keys: map[string]*Entry{},
		secret: map[[sha256.Size]byte]*Entry{}, rsa: map[string]*rsa.PublicKey{},
	}
}

// Add derives the credentials of builds. Those that are known are skipped, so
// that it may be called with the whole register whenever that changed.
func (b *Book) Add(master alert.Master, builds ...string) {
	for _, build := range builds {
		what := planted{master, build}
		b.mu.RLock()
		known := b.builds[what]
		b.mu.RUnlock()
		if known || alert.CheckName(build) != nil {
			continue
		}
		entries := b.derive(what)
		b.mu.Lock()
		b.builds[what] = true
		for _, e := range entries {
			b.enter(e)
		}
		b.mu.Unlock()
	}
}

func (b *Book) derive(p planted) []*Entry {
	var out []*Entry
	for _, kind := range token.Kinds() {
		out = append(out, &Entry{Credential: token.Derive(p.master, p.build, kind), Build: p.build, Kind: kind, book: b})
	}
	return out
}

// Keep forgets every build but those given.
func (b *Book) Keep(builds []string) {
	keep := map[string]bool{}
	for _, build := range builds {
		keep[build] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := func(e *Entry) bool { return !keep[e.Build] }
	maps.DeleteFunc(b.builds, func(p planted, _ bool) bool { return !keep[p.build] })
	maps.DeleteFunc(b.users, func(_ string, e *Entry) bool { return gone(e) })
	maps.DeleteFunc(b.keys, func(_ string, e *Entry) bool { return gone(e) })
	maps.DeleteFunc(b.secret, func(_ [sha256.Size]byte, e *Entry) bool { return gone(e) })
}

// Empty says that no build is known.
func (b *Book) Empty() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.builds) == 0
}

// userOf is the name under which each kind signs in; see package token.
var userOf = map[string]func(id string) string{
	"aws":    func(id string) string { return id },
	"gcp":    func(id string) string { return id },
	"docker": func(id string) string { return "deploy-" + id },
	"netrc":  func(id string) string { return "svc-" + id },
	"git":    func(id string) string { return "ci-" + id },
	"pgpass": func(id string) string { return "app_" + id },
	"env":    func(id string) string { return "app_" + id },
	"mysql":  func(id string) string { return "app_" + id[:10] },
	"ssh":    func(id string) string { return "ops-" + id },
}

func (b *Book) enter(e *Entry) {
	if name := userOf[e.Kind]; name != nil {
		b.users[name(e.ID)] = e
	}
	switch e.Kind {
	case "kubeconfig", "ssh":
		b.keys[string(e.ClientKey().Public().(ed25519.PublicKey))] = e
	case "npm", "vault":
		b.secret[sha256.Sum256([]byte(e.Secret))] = e
	case "env":
		b.secret[sha256.Sum256([]byte(e.ID+"."+e.Secret))] = e
		b.secret[sha256.Sum256([]byte(e.Secret))] = e
	}
}

// User returns the credential that signs in with a name, or nil.
func (b *Book) User(name string) *Entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.users[name]
}

// Bearer returns the credential whose secret this is, or nil. It looks for the
// secret's hash, so that time tells nothing about the secret.
func (b *Book) Bearer(secret string) *Entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.secret[sha256.Sum256([]byte(secret))]
}

// Key returns the credential with an Ed25519 public key, or nil.
func (b *Book) Key(public ed25519.PublicKey) *Entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.keys[string(public)]
}

// ServiceKey is the public key of a gcp credential. It is made at the first
// call and kept.
func (e *Entry) ServiceKey() (*rsa.PublicKey, error) {
	e.book.mu.RLock()
	key := e.book.rsa[e.ID]
	e.book.mu.RUnlock()
	if key != nil {
		return key, nil
	}
	private, err := e.Credential.ServiceKey()
	if err != nil {
		return nil, err
	}
	e.book.mu.Lock()
	e.book.rsa[e.ID] = &private.PublicKey
	e.book.mu.Unlock()
	return &private.PublicKey, nil
}

// Holds compares a password with the credential's in constant time.
func (e *Entry) Holds(password string) bool {
	return subtle.ConstantTimeCompare([]byte(password), []byte(e.Secret)) == 1
}

const maxFact = 1024 // bytes

// Observation describes a use. Facts are what the peer sent beside the secret;
// empty ones are dropped, long ones are cut.
func (e *Entry) Observation(proof store.Proof, source string, facts map[string]string) store.Observation {
	kept := map[string]string{}
	for k, v := range facts {
		if v = strings.ToValidUTF8(v[:min(len(v), maxFact)], "?"); v != "" {
			kept[k] = v
		}
	}
	return store.Observation{Channel: store.Channel(e.Kind), Build: e.Build, Token: e.Kind, TokenID: e.ID, Proof: proof, Source: source, Facts: kept}
}

// Source is an address without what would make one peer two: the IPv4 form of
// a mapped address.
func Source(address string) string {
	if p, err := netip.ParseAddrPort(address); err == nil {
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port()).String()
	}
	return address
}

// reportTimeout bounds how long a listener waits for the collector.
const reportTimeout = 5 * time.Second

// Send reports in the time that is left for it, even if the peer is gone.
func (r Report) Send(ctx context.Context, o store.Observation) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	return r(ctx, o)
}
