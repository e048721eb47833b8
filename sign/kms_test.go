package sign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

// TestMain makes the test binary a plugin when it is called by the plugin's
// name: the other side of the protocol is a process, as in life.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "sigstore-kms-test" {
		if err := plugin(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func plugin() error {
	args, err := handler.GetPluginArgs(os.Args)
	if err != nil {
		return err
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), keyOf(args.InitOptions.KeyResourceID))
	if err != nil {
		return err
	}
	sv, err := signature.LoadECDSASignerVerifier(key, crypto.SHA256)
	if err != nil {
		return err
	}
	_, err = handler.Dispatch(os.Stdout, os.Stdin, args, service{sv})
	return err
}

// keyOf derives the service's key from its name.
func keyOf(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

type service struct{ *signature.ECDSASignerVerifier }

func (service) CreateKey(context.Context, string) (crypto.PublicKey, error) { return nil, io.EOF }
func (service) SupportedAlgorithms() []string                               { return []string{"ecdsa-p256-sha256"} }
func (service) DefaultAlgorithm() string                                    { return "ecdsa-p256-sha256" }
func (s service) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, io.EOF
}

func TestLoadKMS(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "sigstore-kms-test")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	s, err := LoadKMS(context.Background(), "test://release-key")
	if err != nil {
		t.Fatal(err)
	}
	checkWithCosign(t, s)
	other, err := LoadKMS(context.Background(), "test://another")
	if err != nil {
		t.Fatal(err)
	}
	if other.Key().ID == s.Key().ID {
		t.Error("two keys of the service are the same")
	}
}

func TestLoadKMSRefuses(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for reference, want := range map[string]string{
		"absent://key":     "on the PATH",
		"hardstand.key":    "NAME://KEY",
		"../../bin/sh://x": "NAME://KEY",
		"awskms:// a key":  "NAME://KEY",
		"UPPER://key":      "NAME://KEY",
	} {
		if _, err := LoadKMS(context.Background(), reference); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", reference, err, want)
		}
	}
}
