package wire

// FastCGI record types (FastCGI specification, section 8).
const (
	fcgiBegin  = 1
	fcgiEnd    = 3
	fcgiParams = 4
	fcgiStdin  = 5
	fcgiStdout = 6
	fcgiStderr = 7
)

// FastCGIRequest appends a complete GET request for a ping path such as
// php-fpm's ping.path.
func FastCGIRequest(w *Buffer, path, query, host string) {
	record(w, fcgiBegin, 8)
	w.Str("\x00\x01\x00\x00\x00\x00\x00\x00") // responder, connection not kept
	at := w.n
	record(w, fcgiParams, 0)
	param(w, "GATEWAY_INTERFACE", "CGI/1.1")
	param(w, "SERVER_PROTOCOL", "HTTP/1.1")
	param(w, "SERVER_SOFTWARE", "probe")
	param(w, "SERVER_NAME", host)
	param(w, "REMOTE_ADDR", "127.0.0.1")
	param(w, "REQUEST_METHOD", "GET")
	param(w, "REQUEST_URI", path)
	param(w, "SCRIPT_NAME", path)
	param(w, "SCRIPT_FILENAME", path)
	param(w, "QUERY_STRING", query)
	size := w.n - at - 8
	if size > 65535 || w.Full {
		w.Full = true
		return
	}
	w.b[at+4], w.b[at+5] = byte(size>>8), byte(size)
	record(w, fcgiParams, 0)
	record(w, fcgiStdin, 0)
}

//go:noinline
func record(w *Buffer, kind byte, size int) {
	w.Byte(1)
	w.Byte(kind)
	w.Byte(0)
	w.Byte(1)
	w.Byte(byte(size >> 8))
	w.Byte(byte(size))
	w.Byte(0)
	w.Byte(0)
}

//go:noinline
func param(w *Buffer, name, value string) {
	w.Byte(byte(len(name)))
	if len(value) < 128 {
		w.Byte(byte(len(value)))
	} else {
		putBE32(w, uint32(len(value))|1<<31)
	}
	w.Str(name)
	w.Str(value)
}

// FastCGI parses the records of a responder and feeds its standard output to
// Response, which must have been prepared with StartCGI.
type FastCGI struct {
	Response *Response
	Err      string

	head    [8]byte
	headLen int
	left    int
	pad     int
	end     [8]byte
	endLen  int
	total   int
}

// Feed parses the next bytes of the connection.
func (f *FastCGI) Feed(p []byte) Verdict {
	for len(p) > 0 && f.Err == "" {
		if f.headLen < len(f.head) {
			n := copy(f.head[f.headLen:], p)
			f.headLen += n
			p = p[n:]
			if f.headLen == len(f.head) {
				f.begin()
			}
		} else if f.left > 0 {
			n := min(f.left, len(p))
			f.content(p[:n])
			f.left -= n
			p = p[n:]
		} else {
			n := min(f.pad, len(p))
			f.pad -= n
			p = p[n:]
		}
		if f.Err == "" && f.headLen == len(f.head) && f.left == 0 && f.pad == 0 {
			f.headLen = 0
			if f.head[1] == fcgiEnd {
				return f.finish()
			}
		}
	}
	if f.Err != "" {
		return Failed
	}
	return More
}

func (f *FastCGI) begin() {
	f.left = int(f.head[4])<<8 | int(f.head[5])
	f.pad = int(f.head[6])
	f.total += f.left
	switch {
	case f.head[0] != 1:
		f.Err = "the answer is not FastCGI"
	case f.head[2] != 0 || f.head[3] != 1:
		f.Err = "the answer is to another request"
	case f.head[1] != fcgiEnd && f.head[1] != fcgiStdout && f.head[1] != fcgiStderr:
		f.Err = "the answer holds an unexpected FastCGI record"
	case f.head[1] == fcgiEnd && f.left != 8:
		f.Err = "the answer's end record is malformed"
	case f.total > MaxHeaderBytes+2*MaxBodyBytes:
		f.Err = "the answer is longer than 192 KiB"
	}
}

func (f *FastCGI) content(p []byte) {
	switch f.head[1] {
	case fcgiStdout:
		f.Response.Feed(p)
		f.Err = f.Response.Err
	case fcgiEnd:
		f.endLen += copy(f.end[f.endLen:], p)
	}
}

func (f *FastCGI) finish() Verdict {
	if f.end[4] != 0 {
		f.Err = "the server refused the request"
		return Failed
	}
	if f.Response.EOF() == Failed {
		f.Err = f.Response.Err
		return Failed
	}
	return Done
}

// EOF tells f that the connection has ended.
func (f *FastCGI) EOF() Verdict {
	if f.Err == "" {
		f.Err = "the server closed the connection before the request was answered"
	}
	return Failed
}
