package token

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"time"
)

// ClientKey is the key pair of a kubeconfig or SSH token, by which the
// collector recognises it.
func (c Credential) ClientKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(c.Seed[:]) }

// clientCertificate is self-signed: the collector asks for any certificate and
// recognises the key. Ed25519 signatures are deterministic.
func clientCertificate(s source) (certificate, key []byte, err error) {
	private := s.ClientKey()
	day := s.date.Truncate(24 * time.Hour)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(s.Seed[:15]),
		Subject:      pkix.Name{CommonName: "deployer-" + s.ID, Organization: []string{"system:masters"}},
		NotBefore:    day, NotAfter: day.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// openSSH writes an unencrypted key pair (OpenSSH PROTOCOL.key).
func openSSH(seed [32]byte, comment string) (private, public string) {
	key := ed25519.NewKeyFromSeed(seed[:])
	str := func(b, s []byte) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	blob := str(str(nil, []byte("ssh-ed25519")), key[32:])
	inner := binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(seed[:]))
	inner = append(inner, inner...) // two equal check words
	inner = append(inner, blob...)
	inner = str(str(inner, key), []byte(comment))
	for i := byte(1); len(inner)%8 != 0; i++ {
		inner = append(inner, i)
	}
	b := []byte("openssh-key-v1\x00")
	b = str(str(str(b, []byte("none")), []byte("none")), nil)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = str(str(b, blob), inner)
	text := pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: b})
	return wrap70(text), "ssh-ed25519 " + base64.StdEncoding.EncodeToString(blob) + " " + comment + "\n"
}

// wrap70 breaks lines as ssh-keygen does; encoding/pem breaks at 64.
func wrap70(text []byte) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	body := bytes.Join(lines[1:len(lines)-1], nil)
	out := append(bytes.Clone(lines[0]), '\n')
	for len(body) > 0 {
		n := min(70, len(body))
		out = append(append(out, body[:n]...), '\n')
		body = body[n:]
	}
	return string(append(append(out, lines[len(lines)-1]...), '\n'))
}

// rsaPEM is the key of a service account as PKCS #8.
func rsaPEM(seed [32]byte) (string, error) {
	key, err := Credential{Seed: seed}.ServiceKey()
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// ServiceKey is the key of a gcp token, with which it signs assertions: 2048
// bits made from the seed, because crypto/rsa makes random ones only. It takes
// about a tenth of a second. The key guards nothing, it has to be well formed
// and reproducible.
func (c Credential) ServiceKey() (*rsa.PrivateKey, error) {
	const exponent = 65537
	p, err := prime(c.Seed, "p", exponent)
	if err != nil {
		return nil, err
	}
	q, err := prime(c.Seed, "q", exponent)
	if err != nil {
		return nil, err
	}
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: exponent}, D: new(big.Int).ModInverse(big.NewInt(exponent), phi), Primes: []*big.Int{p, q}}
	key.Precompute()
	if err := key.Validate(); err != nil {
		return nil, err
	}
	return key, nil
}

func prime(seed [32]byte, label string, exponent int64) (*big.Int, error) {
	raw, err := hkdf.Key(sha256.New, seed[:], nil, "rsa "+label, 128)
	if err != nil {
		return nil, err
	}
	raw[0] |= 0xc0
	raw[127] |= 1
	n := new(big.Int).SetBytes(raw)
	two, e := big.NewInt(2), big.NewInt(exponent)
	for range 1 << 16 {
		if n.ProbablyPrime(0) && new(big.Int).Mod(n, e).Cmp(big.NewInt(1)) != 0 && n.ProbablyPrime(20) {
			return n, nil
		}
		n.Add(n, two)
	}
	return nil, errors.New("no prime found")
}
