package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

const (
	maxKeyFile = 1 << 20 // bytes of one key or key list
	maxKeys    = 64      // public keys in one list
	minRSABits = 2048
)

// Headers of a public key's PEM block that limit when it is accepted, RFC 3339.
const (
	headerNotBefore = "Not-Before"
	headerNotAfter  = "Not-After"
)

// GenerateKey makes an ECDSA P-256 key pair in cosign's form: the private key
// is PKCS #8 sealed with the passphrase (scrypt, NaCl secretbox) in a PEM block
// "ENCRYPTED SIGSTORE PRIVATE KEY", the public key is PKIX in a PEM block
// "PUBLIC KEY". An empty passphrase is allowed, as in cosign, and protects
// nothing.
func GenerateKey(passphrase []byte) (private, public []byte, err error) {
	pair, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return passphrase, nil })
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	return pair.PrivateBytes, pair.PublicBytes, nil
}

// Key is a public key that verification accepts, within its window.
type Key struct {
	// ID is the base64 of the SHA-256 of the PKIX form, as in a bundle's hint.
	ID string
	// PEM is the PKIX public key.
	PEM []byte
	// NotBefore and NotAfter limit when a signature counts; zero is unlimited.
	// A signature that carries no trusted timestamp is judged at the time of
	// verification, because whoever holds the key can write any date.
	NotBefore, NotAfter time.Time

	verifier signature.Verifier
}

// String names the key shortly, for messages.
func (k Key) String() string {
	if len(k.ID) < 12 {
		return "key " + k.ID
	}
	return "key " + k.ID[:12]
}

func (k Key) acceptsAt(t time.Time) bool {
	return !t.Before(k.NotBefore) && (k.NotAfter.IsZero() || !t.After(k.NotAfter))
}

// LoadPublicKeys reads a list of PEM public keys. The PEM headers Not-Before
// and Not-After of a block limit its validity. A private key in the list is an
// error: it does not belong where public keys are handed around.
func LoadPublicKeys(list []byte) ([]Key, error) {
	if len(list) > maxKeyFile {
		return nil, fmt.Errorf("load public keys: over %d bytes", maxKeyFile)
	}
	var keys []Key
	for {
		var block *pem.Block
		if block, list = pem.Decode(list); block == nil {
			break
		}
		key, err := parsePublicKey(block)
		if err != nil {
			return nil, fmt.Errorf("load public keys: block %d: %w", len(keys)+1, err)
		}
		if keys = append(keys, key); len(keys) > maxKeys {
			return nil, fmt.Errorf("load public keys: more than %d keys", maxKeys)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New(`load public keys: no PEM block "PUBLIC KEY" found`)
	}
	return keys, nil
}

func parsePublicKey(block *pem.Block) (Key, error) {
	if block.Type != "PUBLIC KEY" {
		return Key{}, fmt.Errorf("PEM type is %q, want \"PUBLIC KEY\"", block.Type)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("parse key: %w", err)
	}
	key, err := newKey(public)
	if err != nil {
		return Key{}, err
	}
	if key.NotBefore, err = headerTime(block, headerNotBefore); err != nil {
		return Key{}, err
	}
	if key.NotAfter, err = headerTime(block, headerNotAfter); err != nil {
		return Key{}, err
	}
	if !key.NotAfter.IsZero() && key.NotAfter.Before(key.NotBefore) {
		return Key{}, fmt.Errorf("%s is before %s", headerNotAfter, headerNotBefore)
	}
	return key, nil
}

func headerTime(block *pem.Block, name string) (time.Time, error) {
	value, ok := block.Headers[name]
	if !ok {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, fmt.Errorf("read header %s: %w", name, err)
	}
	return t, nil
}

// newKey refuses what both cosign forms cannot carry or what is too weak.
func newKey(public crypto.PublicKey) (Key, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return Key{}, fmt.Errorf("unsupported curve %s", k.Curve.Params().Name)
		}
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return Key{}, fmt.Errorf("RSA key of %d bits, want at least %d", k.N.BitLen(), minRSABits)
		}
	default:
		return Key{}, fmt.Errorf("unsupported key type %T: use ECDSA or RSA", public)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, fmt.Errorf("encode key: %w", err)
	}
	text, err := cryptoutils.MarshalPublicKeyToPEM(public)
	if err != nil {
		return Key{}, fmt.Errorf("encode key: %w", err)
	}
	verifier, err := signature.LoadDefaultVerifier(public)
	if err != nil {
		return Key{}, fmt.Errorf("use key: %w", err)
	}
	sum := sha256.Sum256(der)
	return Key{ID: base64.StdEncoding.EncodeToString(sum[:]), PEM: text, verifier: verifier}, nil
}

// ImportKey seals an unencrypted private key (PEM of PKCS #1, SEC 1 or PKCS #8)
// in the form that [GenerateKey] returns.
func ImportKey(plain, passphrase []byte) (private, public []byte, err error) {
	if len(plain) > maxKeyFile {
		return nil, nil, fmt.Errorf("import key: over %d bytes", maxKeyFile)
	}
	block, _ := pem.Decode(plain)
	if block == nil {
		return nil, nil, errors.New("import key: no PEM block found")
	}
	key, err := parsePrivateKey(block)
	if err != nil {
		return nil, nil, fmt.Errorf("import key: %w", err)
	}
	pub, err := newKey(key.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("import key: %w", err)
	}
	private, err = sealKey(key, passphrase)
	if err != nil {
		return nil, nil, fmt.Errorf("import key: %w", err)
	}
	return private, pub.PEM, nil
}

func parsePrivateKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case cosign.RSAPrivateKeyPemType:
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case cosign.ECPrivateKeyPemType:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case cosign.PrivateKeyPemType:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case cosign.SigstorePrivateKeyPemType, cosign.CosignPrivateKeyPemType:
		return nil, errors.New("the key is already in cosign's form")
	default:
		return nil, fmt.Errorf("unsupported PEM type %q", block.Type)
	}
	if err != nil {
		// The cause may quote key bytes; the type says enough.
		return nil, fmt.Errorf("the %s block does not parse", block.Type)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("unsupported key type %T", key)
	}
	return signer, nil
}
