// Package ssh is an SSH server that lets nobody in and recognises the planted
// key. A client that holds it has proved so by a signature over the session
// (RFC 4252 section 7); one that only offers the public key, or comes with the
// user name alone, is named.
package ssh

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/store"
	"golang.org/x/crypto/ssh"
)

// Listener answers connections.
type Listener struct {
	Book   *listen.Book
	Report listen.Report
	// Master derives the host key, so that it stays the same over restarts and
	// for all collectors behind one name.
	Master alert.Master
}

var errDenied = errors.New("permission denied")

// Handle serves one connection up to its refusal.
func (l *Listener) Handle(ctx context.Context, conn net.Conn) error {
	host, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(l.Master.Derive("collector ssh host key", ed25519.SeedSize)))
	if err != nil {
		return fmt.Errorf("make host key: %w", err)
	}
	a := attempt{}
	config := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7",
		MaxAuthTries:  6,
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if a.user(meta); a.see(l.Book, key) {
				return &ssh.Permissions{}, nil // the client may now sign
			}
			return nil, errDenied
		},
		VerifiedPublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
			a.proved = a.see(l.Book, key)
			return nil, errDenied
		},
	}
	config.AddHostKey(host)
	accepted, channels, requests, err := ssh.NewServerConn(conn, config)
	if err == nil { // no callback allows it
		go ssh.DiscardRequests(requests)
		go func() {
			for c := range channels {
				_ = c.Reject(ssh.Prohibited, "")
			}
		}()
		_ = accepted.Close()
	}
	return l.report(ctx, conn, a, err)
}

// attempt is what one connection showed.
type attempt struct {
	name, client string
	entry        *listen.Entry
	proved       bool
}

func (a *attempt) user(meta ssh.ConnMetadata) {
	a.name, a.client = meta.User(), string(meta.ClientVersion())
}

// see says whether a key is planted, and remembers it.
func (a *attempt) see(book *listen.Book, key ssh.PublicKey) bool {
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return false
	}
	public, ok := crypto.CryptoPublicKey().(ed25519.PublicKey)
	if !ok {
		return false
	}
	entry := book.Key(public)
	if entry == nil || entry.Kind != "ssh" {
		return false
	}
	a.entry = entry
	return true
}

func (l *Listener) report(ctx context.Context, conn net.Conn, a attempt, outcome error) error {
	var denied *ssh.ServerAuthError
	if errors.As(outcome, &denied) {
		outcome = nil // what we meant to happen
	}
	if a.entry == nil {
		if e := l.Book.User(a.name); e != nil && e.Kind == "ssh" {
			a.entry = e
		}
	}
	if a.entry == nil {
		return outcome
	}
	proof := store.ProofNone
	if a.proved {
		proof = store.ProofKey
	}
	err := l.Report.Send(ctx, a.entry.Observation(proof, listen.Source(conn.RemoteAddr().String()), map[string]string{
		"protocol": "SSH", "user": a.name, "client": a.client,
	}))
	if err != nil {
		return fmt.Errorf("report use of ssh: %w", err)
	}
	return outcome
}
