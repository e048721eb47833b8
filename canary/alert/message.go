package alert

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

const macDigits = 64

var (
	// ErrNoAlarm: the text holds no alarm at all.
	ErrNoAlarm = errors.New("no canary alarm in this text")
	// ErrForged: the authentication does not match.
	ErrForged = errors.New("canary alarm is forged or damaged")
)

// Seal returns e as one authenticated line with its line feed, at most limit
// bytes long (MaxLine where limit is 0). Lists and strings are cut as far as
// needed. KeyID is filled in.
func (k Key) Seal(e Event, limit int) []byte {
	if limit <= 0 {
		limit = MaxLine
	}
	e.KeyID = k.ID()
	room := limit - len(Prefix) - macDigits - len(" \n")
	var line []byte
	for size := limit / 4; ; size /= 2 {
		line, _ = appendEvent([]byte(Prefix), &e, max(size, MaxName), size/16)
		if len(line)-len(Prefix) <= room || size == 0 {
			break
		}
		e.Truncated = true
	}
	mac := k.mac(line)
	line = append(line, ' ')
	line = hex.AppendEncode(line, mac)
	return append(line, '\n')
}

// Message is a line as received. Its Event is what the line claims; it is
// worth nothing before Verify.
type Message struct {
	Event  Event
	signed []byte
	mac    [32]byte
}

// Open is Parse and Verify in the order that costs a forger's reader least:
// where a line names its decoy as every sealed line does, nothing else of it is
// read before its authentication matches. The first master that made it counts.
func Open(text []byte, masters ...Master) (Message, error) {
	m, err := cut(text)
	if err != nil {
		return Message{}, err
	}
	build, decoy, plain := claimed(m.signed[len(Prefix):])
	if plain && !m.madeBy(masters, build, decoy) {
		return Message{}, ErrForged
	}
	if m, err = m.read(); err != nil {
		return Message{}, err
	}
	// Fields may come twice, and the last one counts.
	if !plain || m.Event.Build != build || m.Event.Decoy != decoy {
		if !m.madeBy(masters, m.Event.Build, m.Event.Decoy) {
			return Message{}, ErrForged
		}
	}
	return m, nil
}

func (m Message) madeBy(masters []Master, build, decoy string) bool {
	for _, one := range masters {
		if !one.IsZero() && m.Verify(one.Key(build, decoy)) == nil {
			return true
		}
	}
	return false
}

// claimed returns the two names that sealed lines begin with.
func claimed(fields []byte) (build, decoy string, plain bool) {
	rest, found := bytes.CutPrefix(fields, []byte(`{"build":"`))
	if !found {
		return "", "", false
	}
	b, rest, found := bytes.Cut(rest[:min(len(rest), 3*MaxName)], []byte(`","decoy":"`))
	if !found {
		return "", "", false
	}
	d, _, found := bytes.Cut(rest, []byte(`"`))
	build, decoy = string(b), string(d)
	return build, decoy, found && CheckName(build) == nil && CheckName(decoy) == nil
}

// Parse reads the last alarm in a text of at most MaxMessage bytes: what
// stands before Prefix, such as a log shipper's timestamp, is skipped. It
// returns ErrNoAlarm where Prefix is missing.
func Parse(text []byte) (Message, error) {
	m, err := cut(text)
	if err != nil {
		return Message{}, err
	}
	return m.read()
}

// cut finds the line and its authentication.
func cut(text []byte) (Message, error) {
	start := bytes.LastIndex(text, []byte(Prefix))
	if start < 0 {
		return Message{}, ErrNoAlarm
	}
	line := bytes.TrimRight(text[start:], "\r\n")
	if len(line) > MaxMessage {
		return Message{}, fmt.Errorf("parse canary alarm: longer than %d bytes", MaxMessage)
	}
	blank := len(line) - macDigits - 1
	if blank < len(Prefix) || line[blank] != ' ' {
		return Message{}, errors.New("parse canary alarm: line is incomplete")
	}
	m := Message{signed: bytes.Clone(line[:blank])}
	if _, err := hex.Decode(m.mac[:], line[blank+1:]); err != nil {
		return Message{}, fmt.Errorf("parse canary alarm: authentication: %w", err)
	}
	return m, nil
}

// read decodes the fields.
func (m Message) read() (Message, error) {
	if err := json.Unmarshal(m.signed[len(Prefix):], &m.Event); err != nil {
		return Message{}, fmt.Errorf("parse canary alarm: fields: %w", err)
	}
	if err := m.Event.check(); err != nil {
		return Message{}, fmt.Errorf("parse canary alarm: %w", err)
	}
	if e := &m.Event; e.Origin == "" && e.Kind == "" { // tier A leaves the conclusion to us
		e.Origin = FromInside
		if e.PPID == 0 {
			e.Origin = FromOutside
		}
	}
	return m, nil
}

// Verify compares the authentication in constant time and returns ErrForged
// where it does not match key.
func (m Message) Verify(key Key) error {
	if len(m.signed) == 0 || !hmac.Equal(key.mac(m.signed), m.mac[:]) {
		return ErrForged
	}
	return nil
}

// Verify derives the key that m claims and verifies m with it.
func (m Master) Verify(message Message) error {
	if m.IsZero() {
		return errors.New("verify canary alarm: no master secret")
	}
	return message.Verify(m.Key(message.Event.Build, message.Event.Decoy))
}
