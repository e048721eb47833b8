package postgres

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hardstand/hardstand/canary/collector/listen"
)

const (
	mechanism  = "SCRAM-SHA-256"
	iterations = 4096

	authenticationSASL         = 10
	authenticationSASLContinue = 11
)

// scram runs the exchange and says whether the client knows the password. For
// a name that is not ours it runs all the same, with a salt that is always the
// same for the name.
func (l *Listener) scram(conn io.ReadWriter, user string, entry *listen.Entry) (bool, error) {
	if err := send(conn, 'R', append(code(authenticationSASL), mechanism+"\x00\x00"...)); err != nil {
		return false, err
	}
	first, err := readInitial(conn)
	if err != nil {
		return false, err
	}
	salt := l.Master.Derive("collector postgres salt", 16, user)
	nonce := make([]byte, 18)
	_, _ = rand.Read(nonce) // never fails, crypto/rand
	server := fmt.Sprintf("r=%s%s,s=%s,i=%d", first.nonce, base64.StdEncoding.EncodeToString(nonce), base64.StdEncoding.EncodeToString(salt), iterations)
	if err := send(conn, 'R', append(code(authenticationSASLContinue), server...)); err != nil {
		return false, err
	}
	text, err := readPassword(conn)
	if err != nil || entry == nil {
		return false, err
	}
	final, err := parseFinal(string(text))
	if err != nil || !strings.HasPrefix(server, "r="+final.nonce+",") {
		return false, err
	}
	return proves(entry.Secret, salt, first.bare+","+server+","+final.withoutProof, final.proof)
}

func code(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// proves is RFC 5802 section 3: the client's key, found again from the proof,
// must hash to the stored key.
func proves(password string, salt []byte, message string, proof []byte) (bool, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil || len(proof) != sha256.Size {
		return false, err
	}
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	signature := mac(stored[:], message)
	for i := range signature {
		signature[i] ^= proof[i]
	}
	return hmac.Equal(signature, key), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// readPassword reads a message of type p.
func readPassword(r io.Reader) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'p' || n < 4 || n > maxMessage {
		return nil, fmt.Errorf("read password message: type %q with %d bytes", head[0], n)
	}
	body := make([]byte, n-4)
	_, err := io.ReadFull(r, body)
	return body, err
}

type clientFirst struct{ bare, nonce string }

// readInitial reads SASLInitialResponse: mechanism, length, first message.
func readInitial(r io.Reader) (clientFirst, error) {
	body, err := readPassword(r)
	if err != nil {
		return clientFirst{}, err
	}
	return parseInitial(body)
}

func parseInitial(body []byte) (clientFirst, error) {
	name, rest, found := bytes.Cut(body, []byte{0})
	if !found || string(name) != mechanism || len(rest) < 4 || int64(binary.BigEndian.Uint32(rest)) != int64(len(rest)-4) {
		return clientFirst{}, errors.New("parse SASL response: not the mechanism offered")
	}
	// gs2-cbind-flag "," [authzid] "," n=user,r=nonce
	parts := strings.SplitN(string(rest[4:]), ",", 3)
	if len(parts) != 3 || parts[0] != "n" && parts[0] != "y" {
		return clientFirst{}, errors.New("parse SASL response: no client-first-message")
	}
	for field := range strings.SplitSeq(parts[2], ",") {
		if nonce, ok := strings.CutPrefix(field, "r="); ok && nonce != "" {
			return clientFirst{bare: parts[2], nonce: nonce}, nil
		}
	}
	return clientFirst{}, errors.New("parse SASL response: no nonce")
}

type clientFinal struct {
	withoutProof, nonce string
	proof               []byte
}

func parseFinal(text string) (clientFinal, error) {
	at := strings.LastIndex(text, ",p=")
	if at < 0 {
		return clientFinal{}, errors.New("parse SASL response: no proof")
	}
	f := clientFinal{withoutProof: text[:at]}
	var err error
	if f.proof, err = base64.StdEncoding.DecodeString(text[at+3:]); err != nil {
		return clientFinal{}, errors.New("parse SASL response: proof is not base64")
	}
	for field := range strings.SplitSeq(f.withoutProof, ",") {
		if nonce, ok := strings.CutPrefix(field, "r="); ok {
			f.nonce = nonce
		}
	}
	if f.nonce == "" {
		return clientFinal{}, errors.New("parse SASL response: no nonce")
	}
	return f, nil
}
