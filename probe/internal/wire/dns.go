package wire

import "unsafe"

// Limits and types of DNS (RFC 1035).
const (
	MaxQuestion = 12 + 255 + 4
	MaxDatagram = 1232 // a larger answer is cut by the server
	TypeA       = 1
	TypeAAAA    = 28

	classIN = 1
	// maxRecords bounds the answer records looked at.
	maxRecords = 32
)

// Address receives one address of 4 or 16 bytes.
type Address func(ip [16]byte, size int)

// Hosts passes every address that a hosts file (hosts(5)) gives to name to
// found, in the file's order.
func Hosts(file []byte, name string, found Address) {
	for len(file) > 0 {
		var line []byte
		line, file = nextLine(file)
		word, rest := nextWord(line)
		ip, size, _, ok := ParseIP(view(word))
		if !ok {
			continue
		}
		for {
			word, rest = nextWord(rest)
			if len(word) == 0 {
				break
			}
			if sameName(word, name) {
				found(ip, size)
				break
			}
		}
	}
}

// NameServer returns the first name server of a resolv.conf(5).
func NameServer(file []byte) (ip [16]byte, size int, ok bool) {
	for len(file) > 0 {
		var line []byte
		line, file = nextLine(file)
		word, rest := nextWord(line)
		if string(word) != "nameserver" {
			continue
		}
		word, _ = nextWord(rest)
		if ip, size, _, ok = ParseIP(view(word)); ok {
			return ip, size, true
		}
	}
	return ip, 0, false
}

// view shows b as a string for the time of a call.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

//go:noinline
func nextLine(b []byte) (line, rest []byte) {
	for i, c := range b {
		if c == '\n' {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// nextWord cuts the first word off a line; a comment ends the line.
//
//go:noinline
func nextWord(b []byte) (word, rest []byte) {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	start := i
	for i < len(b) && b[i] != ' ' && b[i] != '\t' && b[i] != '\r' && b[i] != '#' {
		i++
	}
	if i < len(b) && b[i] == '#' {
		return b[start:i], nil
	}
	return b[start:i], b[i:]
}

//go:noinline
func sameName(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if Lower(c) != Lower(name[i]) {
			return false
		}
	}
	return true
}

// Question writes a recursive question for name into b, whose first two bytes
// are its random identifier already, and returns its length, 0 if name is not
// a host name.
func Question(b []byte, name string, kind uint16) int {
	w := NewBuffer(b)
	w.n = 2
	w.Str("\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	if len(name) > 0 && name[len(name)-1] == '.' {
		name = name[:len(name)-1]
	}
	if len(name) > 253 {
		return 0
	}
	for {
		label, rest, more := cut(name, '.')
		if len(label) == 0 || len(label) > 63 {
			return 0
		}
		w.Byte(byte(len(label)))
		w.Str(label)
		if !more {
			break
		}
		name = rest
	}
	w.Byte(0)
	w.Byte(byte(kind >> 8))
	w.Byte(byte(kind))
	w.Byte(0)
	w.Byte(classIN)
	if w.Full {
		return 0
	}
	return w.n
}

// Answer passes the addresses in the answer to question to found. It reports
// whether msg is the answer to it at all; an answer without addresses is one.
// The records' names are not compared: a resolver that the machine is
// configured to trust wrote them.
func Answer(msg, question []byte, found Address) bool {
	if len(msg) < len(question) || msg[0] != question[0] || msg[1] != question[1] || msg[2]&0x80 == 0 {
		return false
	}
	for i, c := range question[12:] {
		if Lower(msg[12+i]) != Lower(c) {
			return false
		}
	}
	want := int(question[len(question)-4])<<8 | int(question[len(question)-3])
	count := int(msg[6])<<8 | int(msg[7])
	rest := msg[len(question):]
	for range min(count, maxRecords) {
		rest = skipName(rest)
		if len(rest) < 10 {
			return true
		}
		kind, class := int(rest[0])<<8|int(rest[1]), int(rest[2])<<8|int(rest[3])
		size := int(rest[8])<<8 | int(rest[9])
		rest = rest[10:]
		if size > len(rest) {
			return true
		}
		if kind == want && class == classIN && (size == 4 && want == TypeA || size == 16 && want == TypeAAAA) {
			var ip [16]byte
			copy(ip[:], rest[:size])
			found(ip, size)
		}
		rest = rest[size:]
	}
	return true
}

// skipName passes over a possibly compressed name; nil if it is malformed.
//
//go:noinline
func skipName(b []byte) []byte {
	for len(b) > 0 {
		n := int(b[0])
		switch {
		case n == 0:
			return b[1:]
		case n >= 0xc0:
			if len(b) < 2 {
				return nil
			}
			return b[2:]
		case n > 63 || n+1 > len(b):
			return nil
		}
		b = b[n+1:]
	}
	return nil
}
