package check

import (
	"unsafe"

	"github.com/hardstand/hardstand/probe/internal/wire"
)

// maxRedirects bounds the redirects followed.
const maxRedirects = 5

// checkHTTP sends one request and judges status and body.
func (s *State) checkHTTP() {
	s.target = s.check.Path
	if s.target == "" {
		s.target = "/"
	}
	for n := 0; ; n++ {
		if !s.connect() || !s.exchangeHTTP() {
			return
		}
		if !s.redirected() {
			s.judgeHTTP()
			return
		}
		if n == maxRedirects {
			s.fail(Unhealthy, "more than 5 redirects")
			return
		}
		if !s.follow() {
			return
		}
		s.Socket.Close()
		s.secure = stream{}
	}
}

// exchangeHTTP sends the request and reads the whole answer.
func (s *State) exchangeHTTP() bool {
	s.enter(PhaseAnswer, "waiting for the answer's headers")
	w := wire.NewBuffer(s.io[:])
	s.request(&w)
	if w.Full {
		return s.fail(Invalid, "the request is longer than 16 KiB")
	}
	if !s.write(w.Bytes()) {
		return false
	}
	r := &s.http
	r.Reset(&s.answer, s.keep())
	r.Head = s.check.Method == "HEAD"
	return s.readHTTP(r)
}

func (s *State) readHTTP(r *wire.Response) bool {
	for {
		n, ok := s.read()
		if !ok {
			return false
		}
		verdict := wire.More
		if n == 0 {
			verdict = r.EOF()
		} else {
			verdict = r.Feed(s.io[:n])
		}
		if r.HeadDone {
			s.doing = "waiting for the answer's body"
		}
		switch verdict {
		case wire.Done:
			return true
		case wire.Failed:
			return s.fail(NoAnswer, r.Err)
		}
	}
}

// keep returns where to keep the body: nowhere, unless it decides something.
func (s *State) keep() []byte {
	if s.check.Contains == "" && s.check.JSONPath == "" {
		return nil
	}
	return s.body[:]
}

// request appends the request. Headers of the check replace those that the
// probe would send.
func (s *State) request(w *wire.Buffer) {
	c := s.check
	method := c.Method
	if method == "" {
		method = "GET"
	}
	w.Str(method)
	w.Byte(' ')
	w.Str(s.target)
	w.Str(" HTTP/1.1\r\nHost: ")
	s.putHost(w)
	w.Str("\r\n")
	if c.UserAgent != "" && !c.hasHeader("user-agent") {
		w.Str("User-Agent: ")
		w.Str(c.UserAgent)
		w.Str("\r\n")
	}
	if !c.hasHeader("accept") {
		w.Str("Accept: */*\r\n")
	}
	w.Str("Connection: close\r\n")
	if method != "GET" && method != "HEAD" {
		w.Str("Content-Length: 0\r\n")
	}
	for _, h := range c.Headers[:c.NHeaders] {
		w.Str(h)
		w.Str("\r\n")
	}
	w.Str("\r\n")
}

// hasHeader reports whether the check sets the header, named in lower case.
//
//go:noinline
func (c *Check) hasHeader(name string) bool {
	for _, h := range c.Headers[:c.NHeaders] {
		if len(h) > len(name) && h[len(name)] == ':' && equalFold(h[:len(name)], name) {
			return true
		}
	}
	return false
}

//go:noinline
func equalFold(a, lower string) bool {
	for i := range len(a) {
		if wire.Lower(a[i]) != lower[i] {
			return false
		}
	}
	return len(a) == len(lower)
}

// putHost appends the Host header's or :authority's value.
func (s *State) putHost(w *wire.Buffer) {
	c := s.check
	if c.HostName != "" {
		w.Str(c.HostName)
		return
	}
	c.putAuthority(w)
}

// putAuthority appends the target's host and, unless it is the scheme's own,
// port.
func (c *Check) putAuthority(w *wire.Buffer) {
	host := c.Host
	if host == "" {
		host = "localhost"
	}
	brackets := false
	for i := range len(host) {
		brackets = brackets || host[i] == ':'
	}
	if brackets {
		w.Byte('[')
		w.Str(host)
		w.Byte(']')
	} else {
		w.Str(host)
	}
	usual := uint16(80)
	if c.TLS {
		usual = 443
	}
	if c.Socket == "" && (c.Kind != HTTP || c.Port != usual) {
		w.Byte(':')
		w.Uint(uint64(c.Port))
	}
}

// judgeHTTP compares the answer with what the check expects.
func (s *State) judgeHTTP() {
	c, r := s.check, &s.http
	if !c.Codes.Has(r.Status) {
		s.fail(Unhealthy, "status ")
		s.message.Int(int64(r.Status))
		if r.Status == 400 && !c.TLS {
			s.message.Str(" (does the server expect https?)")
		}
		return
	}
	if !s.judgeBody() {
		return
	}
	s.message.Str("status ")
	s.message.Int(int64(r.Status))
}

func (s *State) judgeBody() bool {
	c, r := s.check, &s.http
	body := s.body[:r.Kept]
	if c.Contains != "" && !wire.Contains(body, c.Contains) {
		return s.fail(Unhealthy, "the body does not contain what --body says")
	}
	if c.JSONPath == "" {
		return true
	}
	found, valid := wire.JSONMatch(body, c.JSONPath, c.JSONWant)
	switch {
	case r.Truncated:
		return s.fail(Unhealthy, "the body is longer than 64 KiB, too long for --body-json")
	case !valid:
		return s.fail(Unhealthy, "the body is not JSON")
	case !found:
		return s.fail(Unhealthy, "the body does not have what --body-json says")
	}
	return true
}

// redirected reports whether the answer is a redirect to be followed.
func (s *State) redirected() bool {
	r := &s.http
	if !s.check.Redirects || s.check.Codes.Has(r.Status) || len(r.Location()) == 0 {
		return false
	}
	switch r.Status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// follow takes the redirect's path as the next request's target, if it leads to
// the same scheme, host and port.
func (s *State) follow() bool {
	c := s.check
	own := wire.NewBuffer(s.io[:512])
	c.putAuthority(&own)
	origin := wire.Origin{Scheme: "http", Authority: own.Bytes(), HostName: c.HostName}
	if c.TLS {
		origin.Scheme = "https"
	}
	next := wire.NewBuffer(s.io[512 : 512+len(s.redirect)])
	if !origin.Resolve(&next, s.http.Location(), s.target) {
		return s.fail(Unhealthy, "redirected to another host, scheme or port, which is never followed")
	}
	n := copy(s.redirect[:], next.Bytes())
	s.target = unsafe.String(&s.redirect[0], n)
	return true
}
