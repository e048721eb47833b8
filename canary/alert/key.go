package alert

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	masterPrefix  = "hardstand-canary-master-v1:"
	maxMasterFile = 256
	secretSize    = 32
)

// Master is the secret from which the keys of all decoys derive. The zero
// value is no secret; make one with NewMaster or ParseMaster. It prints as
// "alert.Master(hidden)".
type Master struct{ secret [secretSize]byte }

// Key authenticates the alarms of one decoy in one image.
type Key struct{ secret [secretSize]byte }

// NewMaster returns a random master secret.
func NewMaster() Master {
	var m Master
	_, _ = rand.Read(m.secret[:]) // never fails, crypto/rand
	return m
}

// ParseMaster reads the file form that MarshalText writes: one line,
// "hardstand-canary-master-v1:" and 32 bytes in unpadded base64url.
func ParseMaster(file []byte) (Master, error) {
	if len(file) > maxMasterFile {
		return Master{}, fmt.Errorf("parse canary master: %d bytes, the limit is %d", len(file), maxMasterFile)
	}
	text, found := strings.CutPrefix(strings.TrimSpace(string(file)), masterPrefix)
	if !found {
		return Master{}, fmt.Errorf("parse canary master: it does not start with %q; `hardstand canary keygen` makes one", masterPrefix)
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(secret) != secretSize { // the cause would print part of the secret
		return Master{}, fmt.Errorf("parse canary master: want %d bytes in unpadded base64url after %q", secretSize, masterPrefix)
	}
	m := Master{secret: [secretSize]byte(secret)}
	if m.IsZero() {
		return Master{}, errors.New("parse canary master: the secret is all zero")
	}
	return m, nil
}

// MarshalText returns the file form, with a line feed. It holds the secret:
// write it with mode 0600.
func (m Master) MarshalText() ([]byte, error) {
	if m.IsZero() {
		return nil, errors.New("write canary master: it is empty")
	}
	return []byte(masterPrefix + base64.RawURLEncoding.EncodeToString(m.secret[:]) + "\n"), nil
}

// IsZero says that m was never made.
func (m Master) IsZero() bool { return m == Master{} }

// String hides the secret from logs.
func (m Master) String() string { return "alert.Master(hidden)" }

// GoString hides the secret from %#v.
func (m Master) GoString() string { return m.String() }

// Key derives the key of one decoy: HKDF-SHA256 over the master with the
// length-prefixed build id and decoy name as info.
func (m Master) Key(build, decoy string) Key {
	return Key{secret: [secretSize]byte(m.Derive("decoy key", secretSize, build, decoy))}
}

// Derive returns n bytes for another purpose, independent of every other
// label and context. It panics for n over 8160, the limit of RFC 5869.
func (m Master) Derive(label string, n int, context ...string) []byte {
	info := lengthPrefixed(nil, "hardstand canary v1 "+label)
	for _, part := range context {
		info = lengthPrefixed(info, part)
	}
	out, err := hkdf.Key(sha256.New, m.secret[:], nil, string(info), n)
	if err != nil {
		panic(err)
	}
	return out
}

func lengthPrefixed(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// KeyFromBytes takes a key that was derived elsewhere.
func KeyFromBytes(secret [32]byte) Key { return Key{secret: secret} }

// Bytes returns the secret itself, for whoever bakes it into an image.
func (k Key) Bytes() [32]byte { return k.secret }

// String hides the secret from logs.
func (k Key) String() string { return "alert.Key(" + k.ID() + ")" }

// GoString hides the secret from %#v.
func (k Key) GoString() string { return k.String() }

// ID names a key without revealing it: 16 hexadecimal digits of a SHA-256.
func (k Key) ID() string {
	sum := sha256.Sum256(append([]byte("hardstand canary key id v1\x00"), k.secret[:]...))
	return hex.EncodeToString(sum[:8])
}

func (k Key) mac(message []byte) []byte {
	h := hmac.New(sha256.New, k.secret[:])
	h.Write(message)
	return h.Sum(nil)
}
