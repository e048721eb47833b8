package sink

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	// maxDatagram keeps a message within one packet on common networks.
	maxDatagram = 1400
	// maxSyslog is what RFC 5425 asks receivers to take.
	maxSyslog = 8192
	// structuredID is our SD-ID; 32473 is the number RFC 5612 keeps for those
	// without one of their own.
	structuredID = "hardstand@32473"
)

type syslog struct {
	base
	network, address string
	facility         int
}

// openSyslog sends RFC 5424 messages over UDP (RFC 5426), TCP with octet
// counting (RFC 6587) or TLS (RFC 5425).
func openSyslog(b base) (Sink, error) {
	var s struct {
		Network  string `yaml:"network"`
		Address  string `yaml:"address"`
		Facility string `yaml:"facility"`
	}
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	s.Network = cmp.Or(s.Network, "tls")
	ports := map[string]string{"udp": "514", "tcp": "601", "tls": "6514"}
	if ports[s.Network] == "" {
		return nil, fmt.Errorf("network %q: want udp, tcp or tls", s.Network)
	}
	if s.Address == "" {
		return nil, errors.New("address is missing: HOST or HOST:PORT")
	}
	if _, _, err := net.SplitHostPort(s.Address); err != nil {
		s.Address = net.JoinHostPort(s.Address, ports[s.Network])
	}
	facilities := map[string]int{"user": 1, "daemon": 3, "auth": 4, "authpriv": 10, "audit": 13, "alert": 14,
		"local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23}
	facility, known := facilities[cmp.Or(s.Facility, "authpriv")]
	if !known {
		return nil, fmt.Errorf("facility %q is unknown; use one such as authpriv or local0", s.Facility)
	}
	return &syslog{b, s.Network, s.Address, facility}, nil
}

// Send writes one message over a connection of its own. Over TCP and TLS it
// then waits for the far side to close: syslog knows no answer, and this at
// least shows that nobody reset the connection.
func (s *syslog) Send(ctx context.Context, m store.Message) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("reach syslog server: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if s.network == "udp" {
		_, err := conn.Write(s.message(m, maxDatagram))
		return wrap("send syslog message", err)
	}
	text := s.message(m, maxSyslog)
	if _, err := conn.Write(append(fmt.Appendf(nil, "%d ", len(text)), text...)); err != nil {
		return fmt.Errorf("send syslog message: %w", err)
	}
	return wrap("send syslog message", closed(conn))
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (s *syslog) dial(ctx context.Context) (net.Conn, error) {
	if s.network == "tls" {
		config := s.Options.TLS.Clone()
		host, _, _ := net.SplitHostPort(s.address)
		config.ServerName = cmp.Or(config.ServerName, host)
		return (&tls.Dialer{NetDialer: s.guard.dialer(), Config: config}).DialContext(ctx, "tcp", s.address)
	}
	return s.guard.dialer().DialContext(ctx, s.network, s.address)
}

// closed ends our direction and waits a moment for the other's end. A server
// that keeps its direction open has not refused.
func closed(conn net.Conn) error {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	if err := half.CloseWrite(); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, io.LimitReader(conn, maxAnswer))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return err
}

// message is RFC 5424 section 6, at most limit bytes.
func (s *syslog) message(m store.Message, limit int) []byte {
	header := fmt.Sprintf("<%d>1 %s %s hardstand-collector - %s ", s.facility*8+syslogSeverity(m),
		s.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), token5424(s.Hostname, 255), token5424(string(m.Incident.Kind), 32))
	const bom = "\ufeff"
	text := " " + bom + cut(headline(m), 500)
	data := structured(about(m), limit-len(header)-len(text))
	return []byte(header + data + text)
}

// structured writes as many parameters as fit, those that identify first.
func structured(values map[string]string, room int) string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	first := []string{"dedup_key", "message_id", "severity", "reason", "build", "decoy"}
	slices.SortFunc(names, func(a, b string) int {
		ia, ib := slices.Index(first, a), slices.Index(first, b)
		if ia < 0 {
			ia = len(first)
		}
		if ib < 0 {
			ib = len(first)
		}
		return cmp.Or(cmp.Compare(ia, ib), cmp.Compare(a, b))
	})
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)
	out := "[" + structuredID
	for _, name := range names {
		next := " " + name + `="` + escape.Replace(values[name]) + `"`
		if len(out)+len(next)+1 <= room {
			out += next
		}
	}
	return out + "]"
}

// token5424 is text of printable ASCII without blanks, or "-".
func token5424(s string, limit int) string {
	out := strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return '_'
	}, s)
	return cmp.Or(out[:min(len(out), limit)], "-")
}

func syslogSeverity(m store.Message) int {
	if m.Reason == store.ReasonResolved {
		return 5 // notice
	}
	switch m.Incident.Severity {
	case store.Critical:
		return 1 // alert
	case store.High:
		return 2 // critical
	case store.Medium:
		return 4 // warning
	case store.Low:
		return 5 // notice
	}
	return 6 // informational
}
