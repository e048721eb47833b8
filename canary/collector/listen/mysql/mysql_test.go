package mysql

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/collector/listen/listentest"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":            "of the book",
		"github.com/hardstand/hardstand/canary/token":            "what was planted",
		"github.com/hardstand/hardstand/canary/collector/store":  "the nouns",
		"github.com/hardstand/hardstand/canary/collector/listen": "the book",
	})
}

// respond writes HandshakeResponse41.
func respond(user, database, plugin string, proof []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, clientProtocol41|clientSecure|clientPluginAuth|clientConnectWithDB)
	b = append(b, make([]byte, 28)...)
	b = append(append(b, user...), 0, byte(len(proof)))
	b = append(append(append(b, proof...), database...), 0)
	return append(append(b, plugin...), 0)
}

// saltOf reads the greeting as MySQL's documentation describes it.
func saltOf(t *testing.T, greeting []byte) []byte {
	t.Helper()
	if greeting[0] != 10 {
		t.Fatalf("protocol %d", greeting[0])
	}
	_, rest, _ := bytes.Cut(greeting[1:], []byte{0})
	salt := bytes.Clone(rest[4:12])
	rest = rest[4+8+1+2+1+2+2+1+10:]
	return append(salt, rest[:12]...)
}

func TestPasswordsAreRecognised(t *testing.T) {
	p := listentest.New(t, "https://127.0.0.1", nil)
	l := &Listener{Book: p.Book, Report: p.Report}
	address := listentest.Serve(t, "127.0.0.1:0", l.Handle)
	c := p.Credential("mysql")
	user := "app_" + c.ID[:10]
	for _, try := range []struct {
		plugin, password string
		proof            store.Proof
	}{
		{native, c.Secret, store.ProofSecret}, {caching, c.Secret, store.ProofSecret}, {"sha256_password", c.Secret, store.ProofSecret},
		{native, "guess", store.ProofNone}, {caching, "guess", store.ProofNone}, {caching, "", store.ProofNone},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		w := &wire{Conn: conn}
		greeting, err := w.read()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.send(respond(user, "orders", try.plugin, scramble(try.plugin, try.password, saltOf(t, greeting)))); err != nil {
			t.Fatal(err)
		}
		answer, err := w.read()
		if err != nil {
			t.Fatal(err)
		}
		if answer[0] == 0xfe { // asked to use another method
			name, salt, _ := bytes.Cut(answer[1:], []byte{0})
			if err := w.send(scramble(string(name), try.password, salt[:20])); err != nil {
				t.Fatal(err)
			}
			if answer, err = w.read(); err != nil {
				t.Fatal(err)
			}
		}
		if answer[0] != 0xff || !strings.Contains(string(answer), "#28000Access denied for user '"+user) {
			t.Errorf("%s: answer %q", try.plugin, answer)
		}
		if o := p.Want(t, "mysql", try.proof); o.Facts["database"] != "orders" {
			t.Errorf("facts %v", o.Facts)
		}
		_ = conn.Close()
	}
}

// scramble is the client's side, written out from the documentation.
func scramble(plugin, password string, salt []byte) []byte {
	if password == "" {
		return nil
	}
	var out []byte
	switch plugin {
	case native:
		once := sha1.Sum([]byte(password))
		twice := sha1.Sum(once[:])
		salted := sha1.Sum(append(bytes.Clone(salt), twice[:]...))
		for i := range once {
			out = append(out, once[i]^salted[i])
		}
	case caching:
		once := sha256.Sum256([]byte(password))
		twice := sha256.Sum256(once[:])
		salted := sha256.Sum256(append(twice[:], salt...))
		for i := range once {
			out = append(out, once[i]^salted[i])
		}
	default:
		out = []byte("clear\x00")
	}
	return out
}

func FuzzHandshake(f *testing.F) {
	f.Add(respond("app", "db", native, make([]byte, 20)))
	f.Add(respond("", "", "", nil))
	f.Add(make([]byte, 33))
	f.Add(append(respond("u", "", caching, nil)[:34], 0xff, 0xff))
	f.Fuzz(func(t *testing.T, packet []byte) {
		r, err := parseResponse(packet)
		if err != nil {
			return
		}
		if len(r.user)+len(r.database)+len(r.plugin)+len(r.proof) > len(packet) || strings.ContainsRune(r.user+r.database+r.plugin, 0) {
			t.Errorf("%+v from %x", r, packet)
		}
	})
}
