// Package tuftest makes TUF repositories for tests, as sigstore's instances
// publish their descriptions in one.
package tuftest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Repository is a TUF repository on this machine.
type Repository struct {
	// URL is where it is served.
	URL string
	// Root is its root.json.
	Root []byte
	// Dir is what is served.
	Dir string
	// Server answers; closing it takes the network away.
	Server *httptest.Server
}

// New serves the targets, by name, in metadata that is valid until a time.
func New(t *testing.T, targets map[string][]byte, until time.Time) *Repository {
	t.Helper()
	r := &Repository{Dir: t.TempDir()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	list := metadata.Targets(until)
	must(os.Mkdir(filepath.Join(r.Dir, "targets"), 0o700))
	for name, data := range targets {
		info, err := metadata.TargetFile().FromBytes(name, data, "sha256")
		must(err)
		list.Signed.Targets[name] = info
		must(os.WriteFile(filepath.Join(r.Dir, "targets", fmt.Sprintf("%x.%s", sha256.Sum256(data), name)), data, 0o600))
	}
	root, snapshot, timestamp := metadata.Root(until), metadata.Snapshot(until), metadata.Timestamp(until)
	public, private, err := ed25519.GenerateKey(nil)
	must(err)
	key, err := metadata.KeyFromPublicKey(public)
	must(err)
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		must(root.Signed.AddKey(key, role))
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	must(err)
	for name, sign := range map[string]func(signature.Signer) error{
		"1.root.json":     func(s signature.Signer) error { _, err := root.Sign(s); return err },
		"1.targets.json":  func(s signature.Signer) error { _, err := list.Sign(s); return err },
		"1.snapshot.json": func(s signature.Signer) error { _, err := snapshot.Sign(s); return err },
		"timestamp.json":  func(s signature.Signer) error { _, err := timestamp.Sign(s); return err },
	} {
		must(sign(signer))
		encode := map[string]func(bool) ([]byte, error){
			"1.root.json": root.ToBytes, "1.targets.json": list.ToBytes, "1.snapshot.json": snapshot.ToBytes, "timestamp.json": timestamp.ToBytes,
		}[name]
		data, err := encode(false)
		must(err)
		must(os.WriteFile(filepath.Join(r.Dir, name), data, 0o600))
		if name == "1.root.json" {
			r.Root = data
		}
	}
	r.Server = httptest.NewServer(http.FileServer(http.Dir(r.Dir)))
	t.Cleanup(r.Server.Close)
	r.URL = r.Server.URL
	return r
}
