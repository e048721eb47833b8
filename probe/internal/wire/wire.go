// Package wire holds the parsers and writers of what a probe exchanges with a
// server: HTTP/1 responses, HTTP/2 frames and HPACK, gRPC messages, FastCGI
// records, DNS answers, JSON, and lists of status codes.
//
// Everything here is a pure function of its input. Nothing allocates, starts a
// goroutine, panics on input or touches the system, because the same code also
// runs before the Go runtime has started (docs/probe-fast-path.md): a slice
// that grows or a string that is built would crash there. Errors are therefore
// constant strings, the empty string meaning none, and buffers belong to the
// caller or to a state struct of fixed size.
package wire

// Limits on what a server may send.
const (
	// MaxHeaderBytes bounds an HTTP response's head, interim responses and
	// trailers included.
	MaxHeaderBytes = 64 << 10
	// MaxBodyBytes bounds how much of a response body is read: a longer one
	// is cut off there, which is not an error.
	MaxBodyBytes = 64 << 10
	// MaxLine bounds one status line, one chunk size line and the part of a
	// header line that is looked at.
	MaxLine = 2048
	// MaxInterim bounds the number of interim (1xx) responses.
	MaxInterim = 8
)

// Buffer is an append-only byte buffer of fixed capacity. Overflow is
// remembered instead of growing. Its methods are not inlined: that would make
// the plain probe a twentieth larger.
type Buffer struct {
	b    []byte
	n    int
	Full bool
}

// NewBuffer returns a Buffer that writes into b.
func NewBuffer(b []byte) Buffer { return Buffer{b: b} }

// Bytes returns what was written.
func (w *Buffer) Bytes() []byte { return w.b[:w.n] }

// Len returns the number of bytes written.
func (w *Buffer) Len() int { return w.n }

// Byte appends one byte.
//
//go:noinline
func (w *Buffer) Byte(c byte) {
	if w.n >= len(w.b) {
		w.Full = true
		return
	}
	w.b[w.n] = c
	w.n++
}

// Str appends s, or what of it fits.
//
//go:noinline
func (w *Buffer) Str(s string) {
	n := copy(w.b[w.n:], s)
	w.n += n
	if n < len(s) {
		w.Full = true
	}
}

// Raw appends p, or what of it fits.
//
//go:noinline
func (w *Buffer) Raw(p []byte) {
	n := copy(w.b[w.n:], p)
	w.n += n
	if n < len(p) {
		w.Full = true
	}
}

// Int appends v in decimal.
//
//go:noinline
func (w *Buffer) Int(v int64) {
	if v < 0 {
		w.Byte('-')
		v = -v
	}
	w.Uint(uint64(v))
}

// Uint appends v in decimal.
//
//go:noinline
func (w *Buffer) Uint(v uint64) {
	var digits [20]byte
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + v%10)
		v /= 10
		if v == 0 {
			break
		}
	}
	for ; i < len(digits); i++ {
		w.Byte(digits[i])
	}
}

// Pad appends v in decimal with leading zeros up to width digits.
//
//go:noinline
func (w *Buffer) Pad(v uint64, width int) {
	limit := uint64(1)
	for range width - 1 {
		limit *= 10
	}
	for ; limit > 1 && v < limit; limit /= 10 {
		w.Byte('0')
	}
	w.Uint(v)
}

// Hex appends v in lower-case hexadecimal without leading zeros.
//
//go:noinline
func (w *Buffer) Hex(v uint64) {
	started := false
	for shift := 60; shift >= 0; shift -= 4 {
		d := byte(v>>shift) & 15
		if d == 0 && !started && shift > 0 {
			continue
		}
		started = true
		w.Byte("0123456789abcdef"[d])
	}
}

// Base64 appends the standard, padded base64 encoding of s.
//
//go:noinline
func (w *Buffer) Base64(s string) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := 0; i < len(s); i += 3 {
		var v uint32
		n := min(len(s)-i, 3)
		for j := range 3 {
			v <<= 8
			if j < n {
				v |= uint32(s[i+j])
			}
		}
		for j := range 4 {
			if j <= n {
				w.Byte(digits[v>>(18-6*j)&63])
			} else {
				w.Byte('=')
			}
		}
	}
}

// Quoted appends s as a JSON string.
//
//go:noinline
func (w *Buffer) Quoted(s []byte) {
	w.Byte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			w.Byte('\\')
			w.Byte(c)
		case c < 0x20 || c == 0x7f:
			w.Str(`\u00`)
			w.Byte("0123456789abcdef"[c>>4])
			w.Byte("0123456789abcdef"[c&15])
		default:
			w.Byte(c)
		}
	}
	w.Byte('"')
}

// Contains reports whether needle occurs in hay.
func Contains(hay []byte, needle string) bool {
	for i := 0; i+len(needle) <= len(hay); i++ {
		if string(hay[i:i+len(needle)]) == needle {
			return true
		}
	}
	return false
}

// HasPrefix reports whether s begins with p. It compares by hand because the
// runtime's comparison is on a page that is otherwise not needed.
//
//go:noinline
func HasPrefix(s, p string) bool {
	if len(s) < len(p) {
		return false
	}
	for i := range len(p) {
		if s[i] != p[i] {
			return false
		}
	}
	return true
}

// Same reports whether a and b are equal, as HasPrefix does.
func Same(a, b string) bool { return len(a) == len(b) && HasPrefix(a, b) }

// EqualFold reports whether b equals the lower-case ASCII string s, letters
// compared without case.
//
//go:noinline
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if Lower(c) != s[i] {
			return false
		}
	}
	return true
}

// Lower returns c in lower case if it is an ASCII letter.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Token reports whether c may occur in a header name or method (RFC 9110
// section 5.6.2).
//
//go:noinline
func Token(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

// trim cuts spaces and tabs off both ends.
//
//go:noinline
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
