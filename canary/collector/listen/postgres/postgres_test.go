package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/canary/collector/listen/listentest"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/internal/deptest"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":            "salts",
		"github.com/hardstand/hardstand/canary/token":            "what was planted",
		"github.com/hardstand/hardstand/canary/collector/store":  "the nouns",
		"github.com/hardstand/hardstand/canary/collector/listen": "the book",
	})
}

func TestAClientOfGo(t *testing.T) {
	p := listentest.New(t, "https://127.0.0.1", nil)
	l := &Listener{Book: p.Book, Report: p.Report, Master: p.Master}
	host, port, _ := net.SplitHostPort(listentest.Serve(t, "127.0.0.1:0", l.Handle))
	for _, kind := range []string{"pgpass", "env"} {
		c := p.Credential(kind)
		for password, proof := range map[string]store.Proof{c.Secret: store.ProofSecret, "guess": store.ProofNone} {
			_, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=app_%s password=%s dbname=orders application_name=x sslmode=prefer", host, port, c.ID, password))
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "28P01" {
				t.Errorf("client was told %v", err)
			}
			if o := p.Want(t, kind, proof); o.Facts["database"] != "orders" || o.Facts["application"] != "x" {
				t.Errorf("facts %v", o.Facts)
			}
		}
	}
	for _, user := range []string{"postgres", "app_" + p.Credential("mysql").ID[:10]} {
		_, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=%s password=x sslmode=disable", host, port, user))
		if err == nil || !strings.Contains(err.Error(), "28P01") {
			t.Errorf("stranger was told %v", err)
		}
	}
	p.None(t)
}

func startup(parameters ...string) []byte {
	body := binary.BigEndian.AppendUint32(nil, protocol3)
	for _, p := range parameters {
		body = append(append(body, p...), 0)
	}
	return body
}

func FuzzStartup(f *testing.F) {
	f.Add(startup("user", "app", "database", "x", ""))
	f.Add(startup("user", ""))
	f.Add(startup("user"))
	f.Add([]byte{0, 3, 0, 0})
	f.Fuzz(func(t *testing.T, packet []byte) {
		parameters, err := parseStartup(packet)
		if err == nil && (len(packet) < 5 || bytes.IndexByte(packet[4:], 0) < 0) {
			t.Errorf("accepted %x without terminator", packet)
		}
		for name, value := range parameters {
			if name == "" || strings.ContainsRune(name+value, 0) || len(name)+len(value) > len(packet) {
				t.Errorf("%q=%q from %x", name, value, packet)
			}
		}
		framed := append(binary.BigEndian.AppendUint32(nil, uint32(len(packet)+4)), packet...)
		if again, err := readStartup(bytes.NewReader(framed)); err == nil && !bytes.Equal(again, packet) {
			t.Errorf("read %x as %x", packet, again)
		}
	})
}

func FuzzSASL(f *testing.F) {
	first := "n,,n=,r=abc"
	f.Add(append(append([]byte(mechanism+"\x00"), 0, 0, 0, byte(len(first))), first...), "c=biws,r=abcdef,p=AAAA")
	f.Add([]byte(mechanism+"\x00\xff\xff\xff\xff"), ",p=")
	f.Fuzz(func(t *testing.T, initial []byte, final string) {
		if c, err := parseInitial(initial); err == nil && (c.nonce == "" || !strings.Contains(c.bare, "r="+c.nonce)) {
			t.Errorf("first message %+v", c)
		}
		if c, err := parseFinal(final); err == nil && (c.nonce == "" || !strings.HasPrefix(final, c.withoutProof)) {
			t.Errorf("last message %+v", c)
		}
	})
}
