package check

import "github.com/hardstand/hardstand/probe/internal/wire"

// maxFile bounds what is read of a file.
const maxFile = wire.MaxBodyBytes

// checkFile judges a file: that it is there, how old it is, its first line and
// what it contains.
func (s *State) checkFile() {
	c := s.check
	s.enter(PhaseAnswer, "reading the file")
	f, cause := s.ReadFile(c.Path, s.body[:maxFile])
	switch {
	case cause != 0:
		s.failCause(Unhealthy, "", cause)
		return
	case !f.Regular:
		s.fail(Unhealthy, "not a regular file")
		return
	}
	if age := s.Wall() - f.ModTime; c.MaxAge > 0 && age > c.MaxAge {
		s.fail(Unhealthy, "last written ")
		PutDuration(&s.message, age)
		s.message.Str(" ago, more than ")
		PutDuration(&s.message, c.MaxAge)
		return
	}
	body := s.body[:f.N]
	if c.FirstLine != "" && !firstLineIs(body, c.FirstLine) {
		s.fail(Unhealthy, "the first line is not the one demanded")
		return
	}
	if c.Contains != "" && !wire.Contains(body, c.Contains) {
		s.fail(Unhealthy, "the file does not contain what --body says")
		return
	}
	if c.JSONPath != "" {
		if found, valid := wire.JSONMatch(body, c.JSONPath, c.JSONWant); !found || !valid {
			s.fail(Unhealthy, "the file does not have what --body-json says")
			return
		}
	}
	s.message.Str("present")
}

func firstLineIs(b []byte, want string) bool {
	if len(b) < len(want) || string(b[:len(want)]) != want {
		return false
	}
	rest := b[len(want):]
	if len(rest) > 0 && rest[0] == '\r' {
		rest = rest[1:]
	}
	return len(rest) == 0 || rest[0] == '\n'
}
