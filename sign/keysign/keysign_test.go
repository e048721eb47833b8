package keysign_test

import (
	"errors"
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
	"github.com/hardstand/hardstand/sign/keysign"
)

// TestBoundary keeps what links into bin/hardstand small. That package sign
// accepts the bundles is tested there.
func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/secure-systems-lab/go-securesystemslib/encrypted": "cosign's encrypted keys",
		"golang.org/x/crypto/...":                                     "of encrypted: scrypt, secretbox",
	})
}

func TestLoadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":   "",
		"public":    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
		"damaged":   "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"ed25519":   "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n",
		"encrypted": "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\ne30=\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
	} {
		_, err := keysign.Load([]byte(text), nil)
		if err == nil {
			t.Errorf("%s was loaded", name)
		}
		if name == "encrypted" && !errors.Is(err, keysign.ErrPassphrase) {
			t.Errorf("error = %v", err)
		}
	}
}
