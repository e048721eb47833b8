package effect

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the format's checksum
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// KeystorePath is where Debian's Java looks for certificate authorities.
const KeystorePath = "etc/ssl/certs/java/cacerts"

// The password of every such keystore; it protects nothing.
const keystorePassword = "changeit"

const (
	jksMagic       = 0xfeedfeed
	jksVersion     = 2
	jksCertificate = 2 // the tag of a trusted certificate
	maxAuthorities = 10_000
)

// Keystore writes the certificates of a PEM bundle as a Java keystore (JKS).
// Entries are dated by their certificates and in order of their names, so the
// same bundle gives the same bytes.
//
// Format: sun.security.provider.JavaKeyStore of OpenJDK, engineStore.
func Keystore(bundle []byte) ([]byte, error) {
	type entry struct {
		alias string
		cert  *x509.Certificate
	}
	var entries []entry
	for rest := bundle; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("write Java keystore: the bundle holds a %q", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("write Java keystore: certificate %d: %w", len(entries)+1, err)
		}
		if len(entries) >= maxAuthorities {
			return nil, fmt.Errorf("write Java keystore: more than %d certificates", maxAuthorities)
		}
		entries = append(entries, entry{alias(cert), cert})
	}
	if len(entries) == 0 {
		return nil, errors.New("write Java keystore: the bundle holds no certificate")
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.alias, b.alias) })
	entries = slices.CompactFunc(entries, func(a, b entry) bool { return a.alias == b.alias }) // the same certificate twice

	var b bytes.Buffer
	write := func(v any) { _ = binary.Write(&b, binary.BigEndian, v) } // to memory
	text := func(s string) { write(uint16(len(s))); b.WriteString(s) }
	write(uint32(jksMagic))
	write(uint32(jksVersion))
	write(uint32(len(entries)))
	for _, e := range entries {
		write(uint32(jksCertificate))
		text(e.alias)
		write(e.cert.NotBefore.UnixMilli())
		text("X.509")
		write(uint32(len(e.cert.Raw)))
		b.Write(e.cert.Raw)
	}
	h := sha1.New() //nolint:gosec // see the import
	for _, u := range utf16.Encode([]rune(keystorePassword)) {
		h.Write([]byte{byte(u >> 8), byte(u)})
	}
	h.Write([]byte("Mighty Aphrodite")) // part of the format
	h.Write(b.Bytes())
	return h.Sum(b.Bytes()), nil
}

// alias names a certificate by its subject and the start of its fingerprint.
func alias(c *x509.Certificate) string {
	name := c.Subject.CommonName
	for _, more := range [][]string{c.Subject.OrganizationalUnit, c.Subject.Organization} {
		if name == "" && len(more) > 0 {
			name = more[0]
		}
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, name)
	sum := sha256.Sum256(c.Raw)
	return fmt.Sprintf("debian:%s-%x", name[:min(len(name), 100)], sum[:4])
}
