package apt

import (
	"bytes"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// The public keys that Debian signs its archive with, from the package
// debian-archive-keyring, reduced to their self-signatures.
//
//go:embed keys/*.asc
var debianKeys embed.FS

// Keyring holds the keys that may sign a suite.
type Keyring struct{ entities openpgp.EntityList }

// DebianKeyring returns Debian's keys for a suite: the security keys for a
// suite that ends in "-security", the archive and stable keys for any other.
func DebianKeyring(suite string) (Keyring, error) {
	names, err := debianKeys.ReadDir("keys")
	if err != nil {
		return Keyring{}, fmt.Errorf("read embedded keys: %w", err)
	}
	var k Keyring
	for _, n := range names {
		if strings.Contains(n.Name(), "-security-") != strings.HasSuffix(suite, "-security") {
			continue
		}
		data, err := debianKeys.ReadFile(path.Join("keys", n.Name()))
		if err != nil {
			return Keyring{}, fmt.Errorf("read embedded keys: %w", err)
		}
		one, err := ParseKeyring(data)
		if err != nil {
			return Keyring{}, fmt.Errorf("read embedded key %s: %w", n.Name(), err)
		}
		k.entities = append(k.entities, one.entities...)
	}
	return k, nil
}

// maxKeyring bounds a keyring file, in bytes.
const maxKeyring = 4 << 20

// ParseKeyring reads OpenPGP public keys, armored or binary (RFC 9580).
func ParseKeyring(data []byte) (Keyring, error) {
	if len(data) > maxKeyring {
		return Keyring{}, fmt.Errorf("keyring has %d bytes, at most %d", len(data), maxKeyring)
	}
	read := openpgp.ReadKeyRing
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")) {
		read = openpgp.ReadArmoredKeyRing
	}
	list, err := read(bytes.NewReader(data))
	if err != nil {
		return Keyring{}, fmt.Errorf("read keyring: %w", err)
	}
	if len(list) == 0 {
		return Keyring{}, errors.New("read keyring: no key in it")
	}
	return Keyring{list}, nil
}

// verify checks each signature packet on its own and returns the fingerprints
// of the primary keys whose signatures hold. No good signature is an error
// that says what was wrong with each.
func (k Keyring) verify(signed []byte, signatures io.Reader, now time.Time) ([]string, error) {
	config := &packet.Config{Time: func() time.Time { return now }}
	var good []string
	var failures []error
	reader := packet.NewReader(signatures)
	for {
		p, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read signature: %w", err)
		}
		sig, ok := p.(*packet.Signature)
		if !ok {
			return nil, fmt.Errorf("read signature: unexpected packet %T", p)
		}
		var one bytes.Buffer
		if err := sig.Serialize(&one); err != nil {
			return nil, fmt.Errorf("read signature: %w", err)
		}
		signer, err := openpgp.CheckDetachedSignature(k.entities, bytes.NewReader(signed), &one, config)
		if err != nil && sig.CreationTime.After(now) {
			err = fmt.Errorf("made in the future, at %s: check this machine's clock", sig.CreationTime.UTC().Format(time.RFC3339))
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("signature by key %s: %w", issuer(sig), err))
			continue
		}
		good = append(good, strings.ToUpper(hex.EncodeToString(signer.PrimaryKey.Fingerprint)))
	}
	if len(good) == 0 {
		if len(failures) == 0 {
			return nil, errors.New("no signature")
		}
		return nil, errors.Join(failures...)
	}
	return good, nil
}

func issuer(sig *packet.Signature) string {
	if sig.IssuerKeyId == nil {
		return "unknown"
	}
	return fmt.Sprintf("%016X", *sig.IssuerKeyId)
}
