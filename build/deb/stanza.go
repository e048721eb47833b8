package deb

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// MaxStanza is the largest control paragraph accepted, in bytes.
const MaxStanza = 1 << 20

// Stanza is one control paragraph (deb-control(5)), kept as the bytes it came
// in. Fields are found on demand, because an index has seventy thousand
// stanzas of which a build looks at a dozen. Field names match in any case.
type Stanza []byte

// ParseStanza checks that data is exactly one well-formed paragraph with the
// fields that every binary package has.
func ParseStanza(data []byte) (Stanza, error) {
	var found Stanza
	for s, err := range Stanzas(data) {
		if err != nil {
			return nil, err
		}
		if found != nil {
			return nil, errors.New("more than one paragraph")
		}
		found = s
	}
	if found == nil {
		return nil, errors.New("no paragraph")
	}
	return found, found.Check()
}

// Check reports the first thing that keeps the stanza from naming a package.
func (s Stanza) Check() error {
	if name := s.Get("Package"); !ValidName(name) {
		return fmt.Errorf("bad package name %q", name)
	}
	if v := s.Get("Version"); !ValidVersion(v) {
		return fmt.Errorf("package %s: bad version %q", s.Get("Package"), v)
	}
	if a := s.Get("Architecture"); !validArch(a) {
		return fmt.Errorf("package %s: bad architecture %q", s.Get("Package"), a)
	}
	return nil
}

// Get returns a field's value with continuation lines joined as they stand,
// or "" when there is no such field.
func (s Stanza) Get(field string) string {
	rest := []byte(s)
	for len(rest) > 0 {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if len(line) <= len(field) || line[len(field)] != ':' || !bytes.EqualFold(line[:len(field)], []byte(field)) {
			continue
		}
		value := bytes.TrimSpace(line[len(field)+1:])
		if len(rest) == 0 || (rest[0] != ' ' && rest[0] != '\t') {
			return string(value)
		}
		return string(value) + continuation(rest)
	}
	return ""
}

func continuation(rest []byte) string {
	var b strings.Builder
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		b.WriteByte('\n')
		b.Write(bytes.TrimRight(line[1:], " \t\r"))
	}
	return b.String()
}

// Source returns the source package and its version (Debian Policy 5.6.1):
// the Source field may be absent or carry a version in parentheses.
func (s Stanza) Source() (name, version string) {
	name, version = s.Get("Source"), s.Get("Version")
	if name == "" {
		return s.Get("Package"), version
	}
	if n, rest, ok := strings.Cut(name, " "); ok {
		if v := strings.Trim(strings.TrimSpace(rest), "()"); v != "" {
			return n, v
		}
		return n, version
	}
	return name, version
}

// Stanzas walks the paragraphs of a Packages or control file. The yielded
// stanzas alias data. A malformed paragraph yields an error and ends the walk.
func Stanzas(data []byte) iter.Seq2[Stanza, error] {
	return func(yield func(Stanza, error) bool) {
		for line := 1; len(data) > 0; {
			if data[0] == '\n' {
				data, line = data[1:], line+1
				continue
			}
			end := bytes.Index(data, []byte("\n\n"))
			s := data
			if end >= 0 {
				s, data = data[:end+1], data[end+2:]
			} else {
				data = nil
			}
			if err := wellFormed(s); err != nil {
				yield(nil, fmt.Errorf("paragraph at line %d: %w", line, err))
				return
			}
			if !yield(Stanza(s), nil) {
				return
			}
			line += bytes.Count(s, []byte{'\n'}) + 1
		}
	}
}

func wellFormed(s []byte) error {
	if len(s) > MaxStanza {
		return fmt.Errorf("%d bytes: %w", len(s), ErrTooLarge)
	}
	for first := true; len(s) > 0; first = false {
		line := s
		if i := bytes.IndexByte(s, '\n'); i >= 0 {
			line, s = s[:i], s[i+1:]
		} else {
			s = nil
		}
		if line[0] == ' ' || line[0] == '\t' {
			if first {
				return errors.New("starts with a continuation line")
			}
			continue
		}
		i := 0
		for i < len(line) && line[i] != ':' && line[i] != ' ' && line[i] != '\t' {
			i++
		}
		if i == 0 || i == len(line) || line[i] != ':' {
			return fmt.Errorf("line %.60q is not a field", line)
		}
	}
	return nil
}

// ValidName reports whether s is a package name (Debian Policy 5.6.7).
func ValidName(s string) bool {
	if len(s) < 2 || len(s) > 200 || !isLowerAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLowerAlnum(c) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func isLowerAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func validArch(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLowerAlnum(c) && c != '-' {
			return false
		}
	}
	return true
}
