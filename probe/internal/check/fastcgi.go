package check

import "github.com/hardstand/hardstand/probe/internal/wire"

// checkFastCGI requests a path such as php-fpm's ping.path and judges status
// and body as HTTP does.
func (s *State) checkFastCGI() {
	if !s.connect() {
		return
	}
	c := s.check
	s.enter(PhaseAnswer, "waiting for the answer")
	path, query := c.Path, ""
	for i := range len(path) {
		if path[i] == '?' {
			path, query = path[:i], path[i+1:]
			break
		}
	}
	w := wire.NewBuffer(s.io[:])
	host := c.HostName
	if host == "" {
		host = "localhost"
	}
	wire.FastCGIRequest(&w, path, query, host)
	if w.Full {
		s.fail(Invalid, "the request is longer than 16 KiB")
		return
	}
	if s.write(w.Bytes()) && s.readFastCGI() {
		s.judgeHTTP()
	}
}

func (s *State) readFastCGI() bool {
	s.http.Reset(&s.answer, s.keep())
	s.http.StartCGI()
	s.fcgi = wire.FastCGI{Response: &s.http}
	for {
		n, ok := s.read()
		if !ok {
			return false
		}
		verdict := wire.More
		if n == 0 {
			verdict = s.fcgi.EOF()
		} else {
			verdict = s.fcgi.Feed(s.io[:n])
		}
		switch verdict {
		case wire.Done:
			return true
		case wire.Failed:
			return s.fail(NoAnswer, s.fcgi.Err)
		}
	}
}
