// Package keysign signs in-toto statements with a private key in a file and
// nothing else: no certificate, no log, no network. Its bundles are those of
// package sign, whose libraries take longer to start than a small image takes
// to build; this package has the standard library and the format of encrypted
// keys only, and it must stay so. Verifying is for package sign.
//
// Formats: DSSE v1.0.2 (https://github.com/secure-systems-lab/dsse), sigstore
// bundle v0.3 (sigstore/protobuf-specs), RFC 5208, RFC 5915.
package keysign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

const (
	maxKeyFile  = 1 << 20 // bytes
	payloadType = "application/vnd.in-toto+json"
	bundleType  = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

// ErrPassphrase says that a key was not opened by the passphrase given.
var ErrPassphrase = errors.New("wrong passphrase or damaged key")

// Sealed reports whether a key file needs a passphrase.
func Sealed(private []byte) bool {
	block, _ := pem.Decode(private)
	return block != nil && (block.Type == "ENCRYPTED SIGSTORE PRIVATE KEY" || block.Type == "ENCRYPTED COSIGN PRIVATE KEY")
}

// Key is an ECDSA private key. It is safe for concurrent use.
type Key struct {
	private *ecdsa.PrivateKey
	hint    string
}

// Load opens an ECDSA key: cosign's encrypted form with its passphrase, which
// costs a key derivation of about 0.1 s, or a plain PEM of PKCS #8 or SEC 1, as
// secret stores hand out.
func Load(private, passphrase []byte) (*Key, error) {
	if len(private) > maxKeyFile {
		return nil, fmt.Errorf("load signing key: over %d bytes", maxKeyFile)
	}
	block, _ := pem.Decode(private)
	if block == nil {
		return nil, errors.New("load signing key: no PEM block found")
	}
	der := block.Bytes
	if Sealed(private) {
		var err error
		if der, err = encrypted.Decrypt(block.Bytes, passphrase); err != nil {
			return nil, fmt.Errorf("load signing key: %w", ErrPassphrase)
		}
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if block.Type == "EC PRIVATE KEY" {
		key, err = x509.ParseECPrivateKey(der)
	}
	if err != nil { // the cause may quote bytes of the key
		return nil, fmt.Errorf("load signing key: the block %q does not parse as PKCS #8 or SEC 1", block.Type)
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok || own.Curve != elliptic.P256() && own.Curve != elliptic.P384() && own.Curve != elliptic.P521() {
		return nil, fmt.Errorf("load signing key: a key of type %T cannot sign here: use ECDSA on a NIST curve, as hardstand keygen makes", key)
	}
	public, err := x509.MarshalPKIXPublicKey(&own.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w", err)
	}
	sum := sha256.Sum256(public)
	return &Key{own, base64.StdEncoding.EncodeToString(sum[:])}, nil
}

type bundle struct {
	MediaType string   `json:"mediaType"`
	Material  material `json:"verificationMaterial"`
	Envelope  envelope `json:"dsseEnvelope"`
}

type material struct {
	PublicKey struct {
		Hint string `json:"hint"`
	} `json:"publicKey"`
}

type envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	Sig []byte `json:"sig"`
}

// Bundle signs a statement and returns a sigstore bundle on one line.
func (k *Key) Bundle(statement []byte) ([]byte, error) {
	sig, err := k.sign(statement)
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	b := bundle{MediaType: bundleType, Envelope: envelope{statement, payloadType, []signature{{sig}}}}
	b.Material.PublicKey.Hint = k.hint
	return json.Marshal(b)
}

// sign signs the pre-authentication encoding of a statement, with the hash
// that goes with the curve. The same statement gets the same signature (RFC
// 6979), so that signing again changes no file.
func (k *Key) sign(statement []byte) ([]byte, error) {
	var hash crypto.Hash
	switch k.private.Curve {
	case elliptic.P384():
		hash = crypto.SHA384
	case elliptic.P521():
		hash = crypto.SHA512
	default:
		hash = crypto.SHA256
	}
	h := hash.New()
	fmt.Fprintf(h, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(statement))
	h.Write(statement)
	return k.private.Sign(nil, h.Sum(nil), hash)
}

// The hashes that sign chooses from are linked.
var _, _ = sha512.New384, sha512.New
