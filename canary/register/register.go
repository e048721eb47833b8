// Package register keeps what was planted where: the one document that must
// not reach an intruder, because it names every decoy. It is written outside the
// image, encrypted with a key derived from the canary master secret, so whoever
// can verify alarms can read it, a collector too, and nobody else.
//
// A file is one line of text and a blob in base64, wrapped at 76 characters:
//
//	hardstand-register/1 BUILD
//	base64(nonce ‖ AES-256-GCM(JSON of Record))
//
// The key is HKDF of the master with the label "register" and the build id; the
// first line is authenticated as additional data. The package does no input or
// output of its own.
package register

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
	"github.com/hardstand/hardstand/canary/token"
)

// Extension is that of a register's file.
const Extension = ".register"

// MaxFile bounds a file, in bytes.
const MaxFile = 4 << 20

const prefix = "hardstand-register/1 "

// Record is one image's register, or that of one set of credential files.
type Record struct {
	Build     string          `json:"build"`
	Image     string          `json:"image,omitempty"`
	Platform  string          `json:"platform,omitempty"`
	Digest    string          `json:"digest,omitempty"` // of the image's manifest
	Owner     string          `json:"owner,omitempty"`  // who answers for it
	Route     string          `json:"alertRoute,omitempty"`
	Planted   time.Time       `json:"planted,omitzero"`
	LastDrill time.Time       `json:"lastDrill,omitzero"`
	Decoys    *decoy.Register `json:"decoys,omitempty"`
	Tokens    *token.Register `json:"tokens,omitempty"`
}

// ErrKey says that none of the masters opens a file: it belongs to another, or
// was changed.
var ErrKey = errors.New("no given master secret opens it")

// Seal encrypts a record. The same record gives other bytes each time.
func Seal(m alert.Master, r Record) ([]byte, error) {
	if err := alert.CheckName(r.Build); err != nil {
		return nil, fmt.Errorf("seal register: build id: %w", err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("seal register: %w", err)
	}
	head := prefix + r.Build
	body := base64.StdEncoding.EncodeToString(box(m, r.Build).Seal(nil, nil, text, []byte(head)))
	var out bytes.Buffer
	out.WriteString(head + "\n")
	for len(body) > 0 {
		n := min(76, len(body))
		out.WriteString(body[:n] + "\n")
		body = body[n:]
	}
	if out.Len() > MaxFile {
		return nil, fmt.Errorf("seal register: %d bytes, the limit is %d", out.Len(), MaxFile)
	}
	return out.Bytes(), nil
}

// Open decrypts a record with the first of the masters that fits.
func Open(data []byte, masters ...alert.Master) (Record, error) {
	build, err := Build(data)
	if err != nil {
		return Record{}, err
	}
	head, body, _ := strings.Cut(string(data), "\n")
	sealed, err := base64.StdEncoding.Strict().DecodeString(strings.ReplaceAll(body, "\n", ""))
	if err != nil {
		return Record{}, errors.New("open register: it is not base64")
	}
	for _, m := range masters {
		text, err := box(m, build).Open(nil, nil, sealed, []byte(head))
		if err != nil {
			continue
		}
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return Record{}, fmt.Errorf("open register: %w", err)
		}
		if r.Build != build {
			return Record{}, fmt.Errorf("open register: it is of build %s and says %s", build, r.Build)
		}
		return r, nil
	}
	return Record{}, fmt.Errorf("open register of build %s: %w", build, ErrKey)
}

// Build tells from the first line, which is not verified, whose register it is.
func Build(data []byte) (string, error) {
	if len(data) > MaxFile {
		return "", fmt.Errorf("open register: %d bytes, the limit is %d", len(data), MaxFile)
	}
	head, _, _ := bytes.Cut(data, []byte("\n"))
	build, found := strings.CutPrefix(string(head), prefix)
	if !found || alert.CheckName(build) != nil {
		return "", errors.New("open register: it is no register of this version")
	}
	return build, nil
}

// box takes care of the nonce itself.
func box(m alert.Master, build string) cipher.AEAD {
	block, err := aes.NewCipher(m.Derive("register", 32, build))
	if err != nil {
		panic(err) // the key's size is a constant
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // the block size is AES's
	}
	return aead
}
