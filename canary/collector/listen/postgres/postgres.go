// Package postgres is the beginning of a PostgreSQL server: start-up, TLS and
// SCRAM authentication (protocol 3.0, chapter "Message Flow"; RFC 5802,
// RFC 7677), which every client fails. It holds no data and runs no query.
package postgres

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	maxStartup = 10000 // bytes, as PostgreSQL's MAX_STARTUP_PACKET_LENGTH
	maxMessage = 2048  // bytes of an authentication message

	protocol3  = 3 << 16
	sslRequest = 1234<<16 | 5679
	gssRequest = 1234<<16 | 5680
	cancel     = 1234<<16 | 5678
)

// Listener answers connections.
type Listener struct {
	Book   *listen.Book
	Report listen.Report
	TLS    *tls.Config // nil: clients that ask for TLS are told there is none
	Master alert.Master
}

// Handle serves one connection up to its refusal.
func (l *Listener) Handle(ctx context.Context, conn net.Conn) error {
	encrypted := false
	for range 3 { // GSS, TLS, start-up
		packet, err := readStartup(conn)
		if err != nil {
			return fmt.Errorf("read start-up: %w", err)
		}
		switch code := binary.BigEndian.Uint32(packet); code {
		case gssRequest:
			_, err = conn.Write([]byte{'N'})
		case sslRequest:
			if l.TLS == nil || encrypted {
				_, err = conn.Write([]byte{'N'})
				break
			}
			if _, err = conn.Write([]byte{'S'}); err == nil {
				secure := tls.Server(conn, l.TLS)
				err = secure.HandshakeContext(ctx)
				conn, encrypted = secure, true
			}
		case cancel:
			return nil
		default:
			if code>>16 != 3 {
				return refuse(conn, "0A000", fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.0", code>>16, code&0xffff))
			}
			s, err := parseStartup(packet)
			if err != nil {
				return refuse(conn, "08P01", "invalid startup packet layout: expected terminator as last byte")
			}
			return l.authenticate(ctx, conn, s)
		}
		if err != nil {
			return fmt.Errorf("negotiate encryption: %w", err)
		}
	}
	return errors.New("read start-up: too many requests for encryption")
}

// readStartup reads a packet without its length: code and parameters.
func readStartup(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 8 || n > maxStartup {
		return nil, fmt.Errorf("packet of %d bytes, want 8 to %d", n, maxStartup)
	}
	packet := make([]byte, n-4)
	_, err := io.ReadFull(r, packet)
	return packet, err
}

// parseStartup reads names and values, each ended by a zero byte, up to an
// empty name.
func parseStartup(packet []byte) (map[string]string, error) {
	if len(packet) < 5 {
		return nil, errors.New("parse start-up: too short")
	}
	parameters := map[string]string{}
	rest := packet[4:]
	next := func() (string, bool) {
		for i, c := range rest {
			if c == 0 {
				text := string(rest[:i])
				rest = rest[i+1:]
				return text, true
			}
		}
		return "", false
	}
	for {
		name, ok := next()
		if !ok {
			return nil, errors.New("parse start-up: no terminator")
		}
		if name == "" {
			return parameters, nil
		}
		value, ok := next()
		if !ok {
			return nil, errors.New("parse start-up: name without value")
		}
		parameters[name] = value
	}
}

func (l *Listener) authenticate(ctx context.Context, conn net.Conn, parameters map[string]string) error {
	user := parameters["user"]
	if user == "" {
		return refuse(conn, "28000", "no PostgreSQL user name specified in startup packet")
	}
	entry := l.Book.User(user)
	if entry != nil && entry.Kind != "pgpass" && entry.Kind != "env" {
		entry = nil
	}
	held, exchangeErr := l.scram(conn, user, entry)
	if entry != nil {
		proof := store.ProofNone
		if held {
			proof = store.ProofSecret
		}
		err := l.Report.Send(ctx, entry.Observation(proof, listen.Source(conn.RemoteAddr().String()), map[string]string{
			"protocol": "PostgreSQL", "user": user, "database": parameters["database"], "application": parameters["application_name"],
		}))
		if err != nil {
			exchangeErr = errors.Join(exchangeErr, fmt.Errorf("report use of %s: %w", entry.Kind, err))
		}
	}
	return errors.Join(exchangeErr, refuse(conn, "28P01", `password authentication failed for user "`+user+`"`))
}

// refuse sends ErrorResponse.
func refuse(w io.Writer, code, message string) error {
	var body []byte
	for _, f := range []struct {
		kind byte
		text string
	}{{'S', "FATAL"}, {'V', "FATAL"}, {'C', code}, {'M', message}, {'F', "auth.c"}, {'L', "329"}, {'R', "auth_failed"}} {
		body = append(append(append(body, f.kind), f.text...), 0)
	}
	return send(w, 'E', append(body, 0))
}

func send(w io.Writer, kind byte, body []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...))
	return err
}
