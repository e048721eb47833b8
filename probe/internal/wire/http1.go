package wire

// Verdict of a parser on what it has been fed so far.
type Verdict int

const (
	More   Verdict = iota // the message is not complete
	Done                  // the message is complete, or as much of it as is wanted
	Failed                // the message is malformed; see Err
)

type phase uint8

const (
	phaseStatus phase = iota
	phaseHeader
	phaseLength
	phaseToEOF
	phaseChunkSize
	phaseChunkData
	phaseChunkEnd
	phaseTrailer
	phaseDone
	phaseFailed
)

// Response is the incremental parser of one HTTP/1 response (RFC 9112), or,
// after StartCGI, of a CGI response (RFC 3875 section 6). Reset makes it expect
// a status line. It is complete when the whole head and the body, or
// MaxBodyBytes of it, have been seen.
type Response struct {
	// Head says the request was HEAD: no body follows.
	Head bool
	// Keep receives the beginning of the body; without it the body is only
	// counted.
	Keep []byte

	Status    int    // of the final response
	Kept      int    // bytes of Keep in use
	Body      int    // bytes of body seen
	Truncated bool   // the body is longer than MaxBodyBytes
	HeadDone  bool   // the final response's head is complete
	Err       string // why Feed or EOF returned Failed

	phase    phase
	cgi      bool
	chunked  bool
	coding   bool
	hasLen   bool
	oldHTTP  bool
	interim  int
	head     int
	left     int64
	lineLen  int
	lineMore bool
	locLen   int
	text     *ResponseText
}

// ResponseText is the memory of a Response for what it has to keep. It is apart
// because most responses need none of it, and memory that is never touched is
// never allocated.
type ResponseText struct {
	line     [MaxLine]byte
	location [MaxLine]byte
}

// Reset makes r expect a response; keep receives the beginning of its body,
// which is otherwise only counted.
func (r *Response) Reset(text *ResponseText, keep []byte) {
	*r = Response{Keep: keep, text: text}
}

// StartCGI makes r expect CGI header fields instead of a status line; the
// status is 200 unless a Status field says otherwise.
func (r *Response) StartCGI() {
	r.cgi = true
	r.phase = phaseHeader
	r.Status = 200
}

// Location returns the final response's Location field, empty if it has none.
func (r *Response) Location() []byte { return r.text.location[:r.locLen] }

// Feed parses the next bytes of the stream. Bytes after the end of the message
// are ignored.
func (r *Response) Feed(p []byte) Verdict {
	for len(p) > 0 {
		switch r.phase {
		case phaseDone, phaseFailed:
			return r.verdict()
		case phaseLength, phaseChunkData, phaseToEOF:
			p = p[r.body(p):]
		default:
			p = p[r.readLine(p):]
		}
	}
	return r.verdict()
}

// EOF tells r that the stream has ended.
func (r *Response) EOF() Verdict {
	switch {
	case r.phase == phaseToEOF:
		r.phase = phaseDone
	case r.phase >= phaseDone:
	case r.head == 0 && !r.cgi:
		r.fail("the server closed the connection without an answer")
	case !r.HeadDone:
		r.fail("the answer ends inside its headers")
	default:
		r.fail("the answer ends inside its body")
	}
	return r.verdict()
}

func (r *Response) verdict() Verdict {
	switch r.phase {
	case phaseDone:
		return Done
	case phaseFailed:
		return Failed
	}
	return More
}

//go:noinline
func (r *Response) fail(why string) {
	r.Err = why
	r.phase = phaseFailed
}

// body takes body bytes and returns how many it used.
func (r *Response) body(p []byte) int {
	if r.phase != phaseToEOF && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	if room := MaxBodyBytes - r.Body; len(p) >= room {
		p = p[:room]
		r.Truncated = r.phase == phaseToEOF || r.phase == phaseChunkData || int64(room) < r.left
	}
	r.Kept += copy(r.Keep[r.Kept:], p)
	r.Body += len(p)
	r.left -= int64(len(p))
	switch {
	case r.Truncated:
		r.phase = phaseDone
	case r.phase == phaseLength && r.left == 0:
		r.phase = phaseDone
	case r.phase == phaseChunkData && r.left == 0:
		r.phase = phaseChunkEnd
	}
	return len(p)
}

// readLine takes bytes up to the end of the current line. A line that is all in
// p is parsed where it is; only the pieces of others are collected.
func (r *Response) readLine(p []byte) int {
	n, ended := 0, false
	for n < len(p) && !ended {
		ended = p[n] == '\n'
		n++
	}
	r.head += n
	if r.head > MaxHeaderBytes {
		r.fail("the answer's headers are longer than 64 KiB")
		return n
	}
	piece := p[:n]
	if ended {
		piece = p[:n-1]
	}
	if r.lineLen == 0 && ended && len(piece) <= MaxLine {
		r.endLine(piece)
		return n
	}
	line := &r.text.line
	kept := copy(line[r.lineLen:], piece)
	r.lineLen += kept
	r.lineMore = r.lineMore || kept < len(piece)
	if ended {
		r.endLine(line[:r.lineLen])
		r.lineLen, r.lineMore = 0, false
	} else if r.phase == phaseStatus && r.lineLen >= len("HTTP/") && !statusPrefix(line[:r.lineLen]) {
		r.notHTTP(line[:r.lineLen])
	}
	return n
}

// statusPrefix reports whether b may still become a status line.
func statusPrefix(b []byte) bool {
	const want = "HTTP/"
	return HasPrefix(want, view(b[:min(len(b), len(want))]))
}

// notHTTP says what else b, the beginning of the answer, may be.
func (r *Response) notHTTP(b []byte) {
	switch {
	case len(b) >= 2 && b[0] == 0x15 && b[1] == 0x03:
		r.fail("the server speaks TLS: use https")
	case len(b) >= 4 && b[3] == 0x04 && b[0] == 0 && b[1] == 0:
		r.fail("the server speaks HTTP/2 only: is it a gRPC port?")
	default:
		r.fail("the answer is not HTTP")
	}
}

//go:noinline
func (r *Response) endLine(line []byte) {
	if n := len(line); n > 0 && line[n-1] == '\r' && !r.lineMore {
		line = line[:n-1]
	}
	switch r.phase {
	case phaseStatus:
		r.statusLine(line)
	case phaseHeader:
		if len(line) == 0 {
			r.endHead()
		} else {
			r.field(line)
		}
	case phaseChunkSize:
		r.chunkSize(line)
	case phaseChunkEnd:
		if len(line) != 0 {
			r.fail("a chunk of the body is longer than it says")
			return
		}
		r.phase = phaseChunkSize
	case phaseTrailer:
		if len(line) == 0 {
			r.phase = phaseDone
		} else {
			r.trailer(line)
		}
	}
}

// statusLine parses "HTTP/1.1 200 reason" (RFC 9112 section 4).
func (r *Response) statusLine(b []byte) {
	if r.lineMore || !statusPrefix(b) || len(b) < len("HTTP/1.1 200") {
		r.notHTTP(b)
		return
	}
	if b[5] != '1' || b[6] != '.' || (b[7] != '0' && b[7] != '1') || b[8] != ' ' {
		r.fail("the answer is not HTTP/1.0 or HTTP/1.1")
		return
	}
	status := 0
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			r.fail("the answer's status is not a number")
			return
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 || len(b) > 12 && b[12] != ' ' {
		r.fail("the answer's status is not a number from 100 to 999")
		return
	}
	r.Status = status
	r.oldHTTP = b[7] == '0'
	r.phase = phaseHeader
}

// field parses one header field of the head.
func (r *Response) field(b []byte) {
	name, value, ok := r.split(b)
	if !ok {
		return
	}
	switch {
	case EqualFold(name, "content-length"):
		r.contentLength(value)
	case EqualFold(name, "transfer-encoding"):
		r.transferEncoding(value)
	case EqualFold(name, "location"):
		if r.lineMore {
			r.fail("the answer's Location is longer than 2048 bytes")
			return
		}
		r.locLen = copy(r.text.location[:], value)
	case r.cgi && EqualFold(name, "status"):
		r.cgiStatus(value)
	}
}

// split cuts a field line into name and value, failing r if it is malformed.
// A value cut off by MaxLine is returned as far as it was kept.
//
//go:noinline
func (r *Response) split(b []byte) (name, value []byte, ok bool) {
	colon := -1
	for i, c := range b {
		if colon < 0 && c == ':' {
			colon = i
		}
		if c == 0 || c == '\r' {
			r.fail("a header of the answer holds a control character")
			return nil, nil, false
		}
	}
	if colon <= 0 {
		r.fail("a header of the answer has no name")
		return nil, nil, false
	}
	for _, c := range b[:colon] {
		if !Token(c) {
			r.fail("a header name of the answer is malformed")
			return nil, nil, false
		}
	}
	return b[:colon], trim(b[colon+1:]), true
}

func (r *Response) contentLength(v []byte) {
	n := int64(0)
	for _, c := range v {
		if c < '0' || c > '9' || n > 1<<55 {
			r.fail("the answer's Content-Length is not a number")
			return
		}
		n = n*10 + int64(c-'0')
	}
	switch {
	case len(v) == 0 || r.lineMore:
		r.fail("the answer's Content-Length is not a number")
	case r.hasLen && r.left != n:
		r.fail("the answer has two Content-Lengths")
	default:
		r.hasLen, r.left = true, n
	}
}

func (r *Response) transferEncoding(v []byte) {
	if r.coding || r.lineMore || !EqualFold(v, "chunked") {
		r.fail("the answer's Transfer-Encoding is not chunked")
		return
	}
	r.coding = true
	r.chunked = !r.oldHTTP
}

func (r *Response) cgiStatus(v []byte) {
	if len(v) < 3 {
		r.fail("the answer's Status field is not a number")
		return
	}
	status := 0
	for _, c := range v[:3] {
		if c < '0' || c > '9' {
			r.fail("the answer's Status field is not a number")
			return
		}
		status = status*10 + int(c-'0')
	}
	r.Status = status
}

// endHead decides how the body is framed (RFC 9112 section 6.3).
func (r *Response) endHead() {
	if r.Status < 200 && r.Status != 101 {
		r.interim++
		if r.interim > MaxInterim {
			r.fail("too many interim answers")
			return
		}
		r.phase, r.hasLen, r.left, r.chunked, r.coding, r.locLen = phaseStatus, false, 0, false, false, 0
		return
	}
	r.HeadDone = true
	switch {
	case r.Head || r.Status == 101 || r.Status == 204 || r.Status == 304:
		r.phase = phaseDone
	case r.cgi:
		r.phase = phaseToEOF
	case r.chunked:
		r.phase, r.left = phaseChunkSize, 0
	case r.hasLen && r.left == 0:
		r.phase = phaseDone
	case r.hasLen:
		r.phase = phaseLength
	default:
		r.phase = phaseToEOF
	}
}

// chunkSize parses the line before a chunk; extensions are ignored (RFC 9112
// section 7.1).
func (r *Response) chunkSize(b []byte) {
	n, digits := int64(0), 0
	for _, c := range b {
		d := hexDigit(c)
		if d < 0 {
			break
		}
		n = n<<4 | int64(d)
		digits++
		if digits > 15 {
			break
		}
	}
	rest := trim(b[digits:])
	if digits == 0 || digits > 15 || r.lineMore || len(rest) > 0 && rest[0] != ';' {
		r.fail("a chunk of the body has no size")
		return
	}
	if n == 0 {
		r.phase = phaseTrailer
		return
	}
	r.left, r.phase = n, phaseChunkData
}

// trailer checks one trailer line. Trailers decide nothing, so their names and
// values are not looked at.
func (r *Response) trailer(b []byte) {
	for _, c := range b {
		if c == ':' {
			return
		}
	}
	r.fail("a trailer of the answer has no name")
}

//go:noinline
func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
