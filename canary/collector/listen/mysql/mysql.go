// Package mysql is the beginning of a MySQL server: greeting, TLS and
// authentication (protocol 10, "Connection Phase" of MySQL's internals), which
// every client fails. It holds no data and runs no query.
package mysql

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" // mysql_native_password is defined with it
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"

	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	maxPacket = 16 << 10 // bytes
	version   = "8.0.43-0ubuntu0.24.04.1"

	native  = "mysql_native_password"
	caching = "caching_sha2_password"

	clientConnectWithDB = 1 << 3
	clientProtocol41    = 1 << 9
	clientSSL           = 1 << 11
	clientSecure        = 1 << 15
	clientPluginAuth    = 1 << 19
	clientLengthEncoded = 1 << 21

	// what a server of that version offers, without TLS
	capabilities = 0xdfff_f7ff
)

// Listener answers connections.
type Listener struct {
	Book   *listen.Book
	Report listen.Report
	TLS    *tls.Config // nil: TLS is not offered
}

// wire numbers packets, as the protocol asks for.
type wire struct {
	net.Conn
	sequence byte
}

func (w *wire) read() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(w, head[:]); err != nil {
		return nil, err
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if n > maxPacket {
		return nil, fmt.Errorf("packet of %d bytes, the limit is %d", n, maxPacket)
	}
	w.sequence = head[3] + 1
	body := make([]byte, n)
	_, err := io.ReadFull(w, body)
	return body, err
}

func (w *wire) send(body []byte) error {
	n := len(body)
	_, err := w.Write(append([]byte{byte(n), byte(n >> 8), byte(n >> 16), w.sequence}, body...))
	w.sequence++
	return err
}

// Handle serves one connection up to its refusal.
func (l *Listener) Handle(ctx context.Context, conn net.Conn) error {
	w := &wire{Conn: conn}
	salt := newSalt()
	if err := w.send(l.greeting(salt)); err != nil {
		return fmt.Errorf("send greeting: %w", err)
	}
	packet, err := w.read()
	if err != nil {
		return fmt.Errorf("read handshake response: %w", err)
	}
	if l.TLS != nil && len(packet) == 32 && binary.LittleEndian.Uint32(packet)&clientSSL != 0 {
		secure := tls.Server(conn, l.TLS)
		if err := secure.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("negotiate encryption: %w", err)
		}
		w.Conn = secure
		if packet, err = w.read(); err != nil {
			return fmt.Errorf("read handshake response: %w", err)
		}
	}
	r, err := parseResponse(packet)
	if err != nil {
		return errors.Join(err, w.refuse(1043, "08S01", "Bad handshake"))
	}
	return l.authenticate(ctx, w, r, salt)
}

// newSalt has no zero bytes and none with the high bit: clients read it as text.
func newSalt() []byte {
	salt := make([]byte, 20)
	_, _ = rand.Read(salt) // never fails, crypto/rand
	for i := range salt {
		if salt[i] &= 0x7f; salt[i] == 0 || salt[i] == '$' {
			salt[i]++
		}
	}
	return salt
}

func (l *Listener) greeting(salt []byte) []byte {
	offered := uint32(capabilities)
	if l.TLS != nil {
		offered |= clientSSL
	}
	var id [4]byte
	_, _ = rand.Read(id[:2])
	b := append([]byte{10}, version+"\x00"...)
	b = append(append(b, id[:]...), salt[:8]...)
	b = binary.LittleEndian.AppendUint16(append(b, 0), uint16(offered))
	b = binary.LittleEndian.AppendUint16(append(b, 0xff), 2) // utf8mb4, autocommit
	b = binary.LittleEndian.AppendUint16(b, uint16(offered>>16))
	b = append(b, byte(len(salt)+1))
	b = append(append(append(b, make([]byte, 10)...), salt[8:]...), 0)
	return append(b, caching+"\x00"...)
}

// response is HandshakeResponse41.
type response struct {
	user, database, plugin string
	proof                  []byte
}

func parseResponse(p []byte) (response, error) {
	var r response
	if len(p) < 33 {
		return r, errors.New("parse handshake response: too short")
	}
	flags := binary.LittleEndian.Uint32(p)
	if flags&clientProtocol41 == 0 {
		return r, errors.New("parse handshake response: not protocol 4.1")
	}
	rest := p[32:]
	text := func() (string, bool) {
		before, after, found := bytes.Cut(rest, []byte{0})
		rest = after // nothing where the end is missing: what was read is not the next field too
		return string(before), found
	}
	var ok bool
	if r.user, ok = text(); !ok {
		return r, errors.New("parse handshake response: user name without end")
	}
	if flags&(clientLengthEncoded|clientSecure) != 0 {
		// Lengths of 251 and more have another form; no method sends so much.
		if len(rest) == 0 || rest[0] > 250 || int(rest[0]) > len(rest)-1 {
			return r, errors.New("parse handshake response: authentication without end")
		}
		n := int(rest[0])
		r.proof, rest = rest[1:1+n], rest[1+n:]
	} else {
		proof, ok := text()
		if !ok {
			return r, errors.New("parse handshake response: authentication without end")
		}
		r.proof = []byte(proof)
	}
	if flags&clientConnectWithDB != 0 {
		r.database, _ = text()
	}
	if flags&clientPluginAuth != 0 {
		r.plugin, _ = text()
	}
	return r, nil
}

func (l *Listener) authenticate(ctx context.Context, w *wire, r response, salt []byte) error {
	var failure error
	if r.plugin != native && r.plugin != caching {
		r.plugin, salt = native, newSalt()
		ask := append([]byte{0xfe}, native+"\x00"...)
		if failure = w.send(append(append(ask, salt...), 0)); failure == nil {
			r.proof, failure = w.read()
		}
	}
	entry := l.Book.User(r.user)
	if entry != nil && entry.Kind == "mysql" {
		proof := store.ProofNone
		if proves(r.plugin, entry.Secret, salt, r.proof) {
			proof = store.ProofSecret
		}
		err := l.Report.Send(ctx, entry.Observation(proof, listen.Source(w.RemoteAddr().String()), map[string]string{
			"protocol": "MySQL", "user": r.user, "database": r.database,
		}))
		if err != nil {
			failure = errors.Join(failure, fmt.Errorf("report use of mysql: %w", err))
		}
	}
	using := "NO"
	if len(r.proof) > 0 {
		using = "YES"
	}
	host, _, _ := net.SplitHostPort(w.RemoteAddr().String())
	return errors.Join(failure, w.refuse(1045, "28000", fmt.Sprintf("Access denied for user '%s'@'%s' (using password: %s)", r.user, host, using)))
}

// proves compares what the client computed from the password and the salt:
// SHA1(p) XOR SHA1(salt, SHA1(SHA1(p))), or
// SHA256(p) XOR SHA256(SHA256(SHA256(p)), salt).
func proves(plugin, password string, salt, proof []byte) bool {
	var want []byte
	if plugin == native {
		once := digest(sha1.New(), []byte(password))
		want = digest(sha1.New(), salt, digest(sha1.New(), once))
		subtle.XORBytes(want, want, once)
	} else {
		once := digest(sha256.New(), []byte(password))
		want = digest(sha256.New(), digest(sha256.New(), once), salt)
		subtle.XORBytes(want, want, once)
	}
	return subtle.ConstantTimeCompare(want, proof) == 1
}

func digest(h hash.Hash, parts ...[]byte) []byte {
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// refuse sends ERR_Packet.
func (w *wire) refuse(code uint16, state, message string) error {
	b := binary.LittleEndian.AppendUint16([]byte{0xff}, code)
	return w.send(append(b, "#"+state+message...))
}
