package sign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/sign/keysign"
)

// TestKeysignBundlesVerify has the signing package's verifier judge bundles that
// the small package wrote, for every curve and both forms of a key.
func TestKeysignBundlesVerify(t *testing.T) {
	digest := v1.Hash{Algorithm: "sha256", Hex: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
	statement, err := json.Marshal(SignatureStatement(digest))
	if err != nil {
		t.Fatal(err)
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		t.Run(curve.Params().Name, func(t *testing.T) {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			plain := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
			sealed, public, err := ImportKey(plain, []byte("passphrase"))
			if err != nil {
				t.Fatal(err)
			}
			keys, err := LoadPublicKeys(public)
			if err != nil {
				t.Fatal(err)
			}
			for _, private := range [][]byte{plain, sealed} {
				k, err := keysign.Load(private, []byte("passphrase"))
				if err != nil {
					t.Fatal(err)
				}
				bundle, err := k.Bundle(statement)
				if err != nil {
					t.Fatal(err)
				}
				if again, err := k.Bundle(statement); err != nil || !bytes.Equal(again, bundle) {
					t.Errorf("signing again gives another bundle: %v", err)
				}
				e, err := verifyBundle(bundle, digest, VerifyOptions{Keys: keys})
				if err != nil || e.PredicateType != PredicateSignature || e.KeyID != keys[0].ID {
					t.Errorf("%+v, %v", e, err)
				}
				if _, err := verifyBundle(bundle, v1.Hash{Algorithm: "sha256", Hex: digest.Hex[:63] + "0"}, VerifyOptions{Keys: keys}); err == nil {
					t.Error("the bundle passes for another image")
				}
			}
		})
	}
}
