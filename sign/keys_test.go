package sign

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore/pkg/signature"
)

var testKey = sync.OnceValues(func() (private, public []byte) {
	private, public, err := GenerateKey([]byte("pass"))
	if err != nil {
		panic(err)
	}
	return private, public
})

var testSigner = sync.OnceValue(func() *Signer {
	private, _ := testKey()
	s, err := LoadSigner(private, []byte("pass"))
	if err != nil {
		panic(err)
	}
	return s
})

func testDigest(t testing.TB, content string) v1.Hash {
	t.Helper()
	h, _, err := v1.SHA256(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestGenerateKeyIsCosigns(t *testing.T) {
	private, public := testKey()
	if _, err := cosign.LoadPrivateKey(private, []byte("pass"), nil); err != nil {
		t.Errorf("cosign does not load the key: %v", err)
	}
	if bytes.Contains(private, []byte("PRIVATE KEY-----\nMIG")) {
		t.Error("the private key is not sealed")
	}
	keys, err := LoadPublicKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	if keys[0].ID != testSigner().Key().ID {
		t.Errorf("public key %s, signer's %s", keys[0].ID, testSigner().Key().ID)
	}
}

func TestLoadSignerRefuses(t *testing.T) {
	private, public := testKey()
	if _, err := LoadSigner(private, []byte("guess")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	damaged := bytes.Replace(private, []byte("\n"), []byte("\nAAAA"), 1)
	for name, in := range map[string][]byte{
		"empty": nil, "public": public, "damaged": damaged, "huge": make([]byte, maxKeyFile+1),
		"plain": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
	} {
		if _, err := LoadSigner(in, []byte("pass")); err == nil {
			t.Errorf("%s: loaded", name)
		} else if strings.Contains(err.Error(), "pass\"") {
			t.Errorf("%s: the error shows the passphrase: %v", name, err)
		}
	}
}

func TestImportKey(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in []byte
		ok bool
	}{
		"p384-pkcs8": {pkcs8(ec), true},
		"p384-sec1":  {pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}), true},
		"rsa-pkcs1":  {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}), true},
		"p224":       {pkcs8(weak), false},
		"ed25519":    {pkcs8(ed), false},
		"garbage":    {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), false},
		"no-pem":     {[]byte("hello"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if !c.ok {
				if _, _, err := ImportKey(c.in, []byte("pass")); err == nil {
					t.Error("imported")
				}
				return
			}
			if name == "p384-sec1" {
				checkImported(t, c.in)
				return
			}
			// Sealing is the same for every key and slow by design.
			block, _ := pem.Decode(c.in)
			key, err := parsePrivateKey(block)
			if err != nil {
				t.Fatal(err)
			}
			sv, err := signature.LoadDefaultSignerVerifier(key)
			if err != nil {
				t.Fatal(err)
			}
			s, err := newSigner(sv)
			if err != nil {
				t.Fatal(err)
			}
			checkWithCosign(t, s)
		})
	}
}

func checkImported(t *testing.T, plain []byte) {
	t.Helper()
	private, public, err := ImportKey(plain, []byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadSigner(private, []byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.Key().PEM, public) {
		t.Error("public key differs")
	}
	checkWithCosign(t, s)
}

// checkWithCosign has cosign's own library verify a signature of ours, and
// sigstore-go a bundle of ours.
func checkWithCosign(t *testing.T, s *Signer) {
	t.Helper()
	repo, err := name.NewRepository("registry.example/app")
	if err != nil {
		t.Fatal(err)
	}
	digest := testDigest(t, "image")
	l, err := s.SignImage(context.Background(), repo, digest)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := static.NewSignature(l.Data, l.Annotations[annotationSignature])
	if err != nil {
		t.Fatal(err)
	}
	opts := &cosign.CheckOpts{SigVerifier: s.sv, IgnoreTlog: true, Offline: true, ClaimVerifier: cosign.SimpleClaimVerifier}
	if _, err := cosign.VerifyImageSignature(context.Background(), sig, digest, opts); err != nil {
		t.Errorf("cosign refuses the signature: %v", err)
	}
	signed, err := s.SignStatement(context.Background(), SignatureStatement(digest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifyBundle(signed.Bundle, digest, VerifyOptions{Keys: []Key{s.Key()}}); err != nil {
		t.Errorf("bundle: %v", err)
	}
}

func TestLoadPublicKeys(t *testing.T) {
	_, public := testKey()
	withWindow := bytes.Replace(public, []byte("KEY-----\n"),
		[]byte("KEY-----\nNot-Before: 2026-01-01T00:00:00Z\nNot-After: 2026-12-31T00:00:00Z\n\n"), 1)
	keys, err := LoadPublicKeys(append(bytes.Clone(public), withWindow...))
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 2 || !keys[0].NotAfter.IsZero() {
		t.Fatalf("keys: %+v", keys)
	}
	for day, want := range map[string]bool{"2025-12-31": false, "2026-06-01": true, "2027-01-01": false} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if got := keys[1].acceptsAt(at); got != want {
			t.Errorf("accepts at %s: %v, want %v", day, got, want)
		}
	}
	private, _ := testKey()
	for name, in := range map[string][]byte{
		"empty": nil, "private": private, "too-many": bytes.Repeat(public, maxKeys+1),
		"bad-date":        bytes.Replace(withWindow, []byte("2026-12-31"), []byte("someday   "), 1),
		"window-reversed": bytes.Replace(withWindow, []byte("Not-After: 2026"), []byte("Not-After: 2025"), 1),
	} {
		if _, err := LoadPublicKeys(in); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}
