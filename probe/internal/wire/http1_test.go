package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// parse feeds the stream in pieces of the given size, then its end.
func parse(stream string, piece int, head bool) (*Response, Verdict) {
	var r Response
	r.Reset(new(ResponseText), make([]byte, MaxBodyBytes))
	r.Head = head
	for len(stream) > 0 {
		n := min(piece, len(stream))
		if v := r.Feed([]byte(stream[:n])); v != More {
			return &r, v
		}
		stream = stream[n:]
	}
	return &r, r.EOF()
}

var responses = []struct {
	name, stream string
	head         bool
	status       int
	body         string
	err          string
}{
	{name: "length", stream: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200, body: "hello"},
	{name: "beyond-length", stream: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 500", status: 200, body: "hello"},
	{name: "no-reason", stream: "HTTP/1.1 204\r\n\r\n", status: 204},
	{name: "bare-newlines", stream: "HTTP/1.0 200 OK\n\nhi", status: 200, body: "hi"},
	{name: "to-end-of-stream", stream: "HTTP/1.0 200 OK\r\n\r\nhi", status: 200, body: "hi"},
	{name: "chunked", stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n", status: 200, body: "abcde"},
	{name: "chunked-wins", stream: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", status: 200, body: "a"},
	{name: "interim", stream: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200},
	{name: "head", stream: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", head: true, status: 200},
	{name: "not-modified", stream: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", status: 304},
	{name: "nothing", stream: "", err: "without an answer"},
	{name: "status-only", stream: "HTTP/1.1 200 OK\r\n", err: "inside its headers"},
	{name: "open-head", stream: "HTTP/1.1 200 OK\r\nA: b\r\n", err: "inside its headers"},
	{name: "short-body", stream: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", err: "inside its body"},
	{name: "short-chunk", stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", err: "inside its body"},
	{name: "no-last-chunk", stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", err: "inside its body"},
	{name: "chunk-too-long", stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", err: "longer than it says"},
	{name: "chunk-no-size", stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", err: "no size"},
	{name: "chunk-huge", stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", err: "no size"},
	{name: "gzip-coding", stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", err: "not chunked"},
	{name: "two-lengths", stream: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", err: "two Content-Lengths"},
	{name: "negative-length", stream: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", err: "not a number"},
	{name: "endless-length", stream: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", err: "not a number"},
	{name: "garbage", stream: "SSH-2.0-OpenSSH_9.9\r\n", err: "not HTTP"},
	{name: "tls-alert", stream: "\x15\x03\x01\x00\x02\x02\x0a", err: "speaks TLS"},
	{name: "http2", stream: "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", err: "HTTP/2"},
	{name: "http2-in-words", stream: "HTTP/2.0 200 OK\r\n\r\n", err: "not HTTP/1.0"},
	{name: "status-word", stream: "HTTP/1.1 abc OK\r\n\r\n", err: "not a number"},
	{name: "status-long", stream: "HTTP/1.1 2000 OK\r\n\r\n", err: "100 to 999"},
	{name: "header-without-colon", stream: "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", err: "no name"},
	{name: "header-with-space", stream: "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", err: "malformed"},
	{name: "header-with-nul", stream: "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", err: "control"},
	{name: "header-too-long", stream: "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", MaxHeaderBytes), err: "64 KiB"},
	{name: "headers-too-many", stream: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", MaxHeaderBytes/6), err: "64 KiB"},
	{name: "interim-forever", stream: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", MaxInterim+1), err: "interim"},
	{name: "endless-body", stream: "HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("x", MaxBodyBytes+1), status: 200, body: strings.Repeat("x", MaxBodyBytes)},
	{name: "long-cookie", stream: "HTTP/1.1 200 OK\r\nSet-Cookie: " + strings.Repeat("x", 9000) + "\r\nContent-Length: 0\r\n\r\n", status: 200},
}

func TestResponse(t *testing.T) {
	for _, tt := range responses {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 7, 1 << 20} {
				r, verdict := parse(tt.stream, piece, tt.head)
				if tt.err != "" {
					if verdict != Failed || !strings.Contains(r.Err, tt.err) {
						t.Errorf("in pieces of %d: verdict %v, error %q; want an error with %q", piece, verdict, r.Err, tt.err)
					}
					continue
				}
				if verdict != Done || r.Status != tt.status || string(r.Keep[:r.Kept]) != tt.body {
					t.Errorf("in pieces of %d: verdict %v, status %d, %d bytes of body, error %q", piece, verdict, r.Status, r.Kept, r.Err)
				}
			}
		})
	}
}

// TestResponseLikeStandardLibrary compares with net/http, except where the
// probe is deliberately stricter.
func TestResponseLikeStandardLibrary(t *testing.T) {
	stricter := map[string]string{
		"http2-in-words":    "net/http parses a version it cannot have asked for",
		"header-with-space": "net/http lets a header name hold spaces",
		"header-too-long":   "net/http allows 10 MB of headers",
		"headers-too-many":  "net/http allows 10 MB of headers",
		"interim":           "http.ReadResponse returns the interim response",
		"interim-forever":   "http.ReadResponse returns the interim response",
	}
	for _, tt := range responses {
		if _, ok := stricter[tt.name]; ok {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			status, healthy := standard(tt.stream, tt.head)
			r, verdict := parse(tt.stream, 1<<20, tt.head)
			if healthy != (verdict == Done) || healthy && status != r.Status {
				t.Errorf("ours: verdict %v, status %d, error %q; net/http: %v, status %d", verdict, r.Status, r.Err, healthy, status)
			}
		})
	}
}

// standard reads the stream as net/http does.
func standard(stream string, head bool) (status int, ok bool) {
	method := "GET"
	if head {
		method = "HEAD"
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(stream)), &http.Request{Method: method})
	if err != nil {
		return 0, false
	}
	_, err = io.CopyN(io.Discard, resp.Body, MaxBodyBytes)
	return resp.StatusCode, err == nil || err == io.EOF
}

// FuzzResponse checks that the outcome does not depend on how the stream is cut
// into pieces and that the parser accepts nothing that net/http refuses.
func FuzzResponse(f *testing.F) {
	for _, tt := range responses {
		f.Add([]byte(tt.stream), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		whole, v1 := parse(string(stream), len(stream)+1, false)
		parts, v2 := parse(string(stream), int(piece)+1, false)
		if v1 != v2 || whole.Status != parts.Status && v1 == Done || whole.Kept != parts.Kept {
			t.Fatalf("whole: %v %d %q; in pieces: %v %d %q", v1, whole.Status, whole.Err, v2, parts.Status, parts.Err)
		}
		if v1 != Done || whole.interim > 0 || bytes.ContainsAny(stream, "\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0") {
			return
		}
		if status, ok := standard(string(stream), false); ok && status != whole.Status {
			t.Fatalf("status %d, net/http says %d", whole.Status, status)
		}
	})
}

func TestRedirect(t *testing.T) {
	tests := []struct{ location, want string }{
		{"/next", "/next"},
		{"/next?a=b#frag", "/next?a=b"},
		{"next", "/a/next"},
		{"?q", "/a/b?q"},
		{"http://app:8080/x", "/x"},
		{"HTTP://APP:8080", "/"},
		{"//app:8080?q", "/?q"},
		{"http://vhost.example/x", "/x"},
		{"https://app:8080/x", ""},
		{"http://app/x", ""},
		{"http://app:8081/x", ""},
		{"http://evil/x", ""},
		{"//evil/x", ""},
		{"http://app:8080@evil/", ""},
		{"http:/x", ""},
		{"/\\evil", ""},
		{"/a b", ""},
		{"/a\r\nX: y", ""},
		{"javascript:alert(1)", ""},
	}
	for _, tt := range tests {
		o := Origin{Scheme: "http", Authority: []byte("app:8080"), HostName: "vhost.example"}
		w := NewBuffer(make([]byte, 100))
		got := ""
		if o.Resolve(&w, []byte(tt.location), "/a/b?c") {
			got = string(w.Bytes())
		}
		if got != tt.want {
			t.Errorf("Location %q leads to %q, want %q", tt.location, got, tt.want)
		}
	}
}

func TestCodes(t *testing.T) {
	tests := []struct {
		list   string
		has    []int
		hasNot []int
		err    string
	}{
		{list: "200", has: []int{200}, hasNot: []int{201}},
		{list: "200-299,302", has: []int{200, 299, 302}, hasNot: []int{300, 301}},
		{list: "2xx,404", has: []int{250, 404}, hasNot: []int{300}},
		{list: "", err: "list"},
		{list: "abc", err: "list"},
		{list: "200-", err: "list"},
		{list: "!500", err: "list"},
		{list: "200 - 299", err: "list"},
		{list: "200,", err: "list"},
		{list: "299-200", err: "ends before"},
		{list: "0-20000000", err: "list"},
		{list: "099", err: "list"},
		{list: strings.Repeat("200,", 16) + "200", err: "16 ranges"},
	}
	for _, tt := range tests {
		var c Codes
		err := c.ParseCodes(tt.list)
		if (err != "") != (tt.err != "") || !strings.Contains(err, tt.err) {
			t.Errorf("codes %q: error %q, want %q", tt.list, err, tt.err)
			continue
		}
		if err != "" {
			continue
		}
		for _, code := range tt.has {
			if !c.Has(code) {
				t.Errorf("codes %q lack %d", tt.list, code)
			}
		}
		for _, code := range tt.hasNot {
			if c.Has(code) {
				t.Errorf("codes %q hold %d", tt.list, code)
			}
		}
	}
	var none Codes
	if !none.Has(204) || none.Has(302) {
		t.Error("without a list it is not 200 to 299")
	}
}
