package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestJSONMatch(t *testing.T) {
	const doc = ` {"status":"UP","n":1.5e3,"ok":true,"none":null,"a":[{"x":"y"},[1,2]],"":"e","esc":"a\nb","status":"UP"} `
	tests := []struct {
		path, want string
		found      bool
	}{
		{"status", "UP", true},
		{"status", "DOWN", false},
		{"status", `"UP"`, false},
		{"n", "1.5e3", true},
		{"n", "1500", false},
		{"ok", "true", true},
		{"none", "null", true},
		{"a.0.x", "y", true},
		{"a.1.1", "2", true},
		{"a.2", "2", false},
		{"a.x", "y", false},
		{"esc", "", false},
		{"esc", "a\nb", false},
		{"missing", "", false},
		{"status.x", "UP", false},
	}
	for _, tt := range tests {
		found, valid := JSONMatch([]byte(doc), tt.path, tt.want)
		if found != tt.found || !valid {
			t.Errorf("%s=%s: found %v, valid %v", tt.path, tt.want, found, valid)
		}
	}
}

// FuzzJSON compares what is JSON with encoding/json.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `{"a":1}`, `[1,]`, `{"a"}`, `01`, `-0`, `1.`, `1e5`, `"\u00e9"`, `"\x"`, `nul`, `{"a":1,}`, `[[[]]]`, " 1 ", `"` + "\x7f" + `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		_, valid := JSONMatch(doc, "a.b", "c")
		if strings.Count(string(doc), "[")+strings.Count(string(doc), "{") > MaxDepth {
			return
		}
		if want := json.Valid(doc); valid != want {
			t.Fatalf("%q: valid %v, encoding/json says %v", doc, valid, want)
		}
	})
}

func TestJSONDepth(t *testing.T) {
	deep := strings.Repeat("[", 100000)
	if _, valid := JSONMatch([]byte(deep), "a", "b"); valid {
		t.Error("an endless nesting is valid")
	}
}

// FuzzParseIP compares with net/netip.
func FuzzParseIP(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "::1", "::", "1::", "fe80::1%2", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4",
		"::1:2:3:4:5:6:7", "1::2::3", ":1", "1:", "01.2.3.4", "1.2.3", "256.1.1.1", "12345::", "::1%", "::%eth0", "1:2:3:4:5:6:7:8:9", "::1.2.3.4:5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ip, size, zone, ok := ParseIP(s)
		want, err := netip.ParseAddr(s)
		if _, name, scoped := strings.Cut(s, "%"); scoped {
			if _, _, numeric := cutNumber(name); !numeric || err != nil {
				return // only numeric zones are supported
			}
		}
		if ok != (err == nil) {
			t.Fatalf("%q: %v, netip says %v", s, ok, err)
		}
		if !ok {
			return
		}
		got := netip.AddrFrom16(ip)
		if size == 4 {
			got = netip.AddrFrom4([4]byte(ip[:4]))
		}
		if got != want.WithZone("").Unmap() || zone != 0 && fmt.Sprint(zone) != strings.TrimLeft(want.Zone(), "0") {
			t.Fatalf("%q: %v zone %d, netip says %v", s, got, zone, want)
		}
	})
}

func cutNumber(s string) (uint32, string, bool) {
	v, ok := decimal(s, 1<<31-1)
	return v, "", ok
}

type found []string

func (f *found) add(ip [16]byte, size int) {
	a := netip.AddrFrom16(ip)
	if size == 4 {
		a = netip.AddrFrom4([4]byte(ip[:4]))
	}
	*f = append(*f, a.String())
}

func TestHosts(t *testing.T) {
	const file = "# comment\n127.0.0.1 localhost\n::1\tlocalhost ip6 # app\n172.17.0.2  App  app.example\nbroken app\n10.0.0.9 app"
	for name, want := range map[string]string{
		"app":         "[172.17.0.2 10.0.0.9]",
		"APP.example": "[172.17.0.2]",
		"ip6":         "[::1]",
		"other":       "[]",
		"comment":     "[]",
	} {
		var f found
		Hosts([]byte(file), name, f.add)
		if got := fmt.Sprint([]string(f)); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestNameServer(t *testing.T) {
	ip, size, ok := NameServer([]byte("# nameserver 1.1.1.1\nsearch x\nnameserver fe80::1%9\nnameserver 10.0.0.10\n"))
	if !ok || size != 16 || ip[0] != 0xfe {
		t.Errorf("name server %v, %d, %v", ip, size, ok)
	}
	if _, _, ok := NameServer([]byte("options x\n")); ok {
		t.Error("found a name server where there is none")
	}
}

func TestQuestion(t *testing.T) {
	b := make([]byte, MaxQuestion)
	for name, ok := range map[string]bool{
		"app.example": true, "app.example.": true, "a": true, "": false, "a..b": false, ".a": false,
		strings.Repeat("x", 64): false, strings.Repeat("abc.", 70) + "d": false,
	} {
		if n := Question(b, name, TypeA); (n > 0) != ok {
			t.Errorf("question for %q has %d bytes", name, n)
		}
	}
}

// reply makes the answer to a question out of records.
func reply(question []byte, records ...string) []byte {
	msg := append([]byte(nil), question...)
	msg[2], msg[3], msg[7] = 0x81, 0x80, byte(len(records))
	return append(msg, strings.Join(records, "")...)
}

func TestAnswer(t *testing.T) {
	b := make([]byte, MaxQuestion)
	q := b[:Question(b, "app.example", TypeA)]
	const name = "\xc0\x0c"
	address := name + "\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x01\x02\x03"
	alias := name + "\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c"
	tests := []struct {
		name, want string
		msg        []byte
		ours       bool
	}{
		{"address", "[10.1.2.3]", reply(q, address), true},
		{"alias-first", "[10.1.2.3]", reply(q, alias, address), true},
		{"none", "[]", reply(q), true},
		{"cut", "[]", reply(q, address[:10]), true},
		{"other-question", "[]", reply(append([]byte{9, 9}, q[2:]...), address), false},
		{"short", "[]", q[:5], false},
		{"not-a-reply", "[]", q, false},
	}
	for _, tt := range tests {
		var f found
		ours := Answer(tt.msg, q, f.add)
		if got := fmt.Sprint([]string(f)); got != tt.want || ours != tt.ours {
			t.Errorf("%s: %s, %v", tt.name, got, ours)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	b := make([]byte, MaxQuestion)
	q := b[:Question(b, "app.example", TypeA)]
	f.Add(reply(q, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x01\x02\x03"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var list found
		Answer(msg, q, list.add)
		if len(list) > maxRecords {
			t.Fatal("more addresses than records")
		}
	})
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte("127.0.0.1 app\nnameserver 1.2.3.4\nMax realtime timeout unlimited 5 us\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var list found
		Hosts(file, "app", list.add)
		NameServer(file)
		Limit(file, "Max realtime timeout")
	})
}

func TestLimit(t *testing.T) {
	const file = "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max realtime priority     0                    0                    \n" +
		"Max realtime timeout      4611686018427387905  unlimited            us        \n"
	soft, hard, ok := Limit([]byte(file), "Max realtime timeout")
	if !ok || soft != 1<<62+1 || hard != ^uint64(0) {
		t.Errorf("limits %d, %d, %v", soft, hard, ok)
	}
	for _, bad := range []string{"", "Max realtime timeout", "Max realtime timeout x y", "Max realtime timeout 99999999999999999999 1"} {
		if _, _, ok := Limit([]byte(bad), "Max realtime timeout"); ok {
			t.Errorf("read a limit out of %q", bad)
		}
	}
}

func TestFastCGI(t *testing.T) {
	rec := func(kind byte, content string, pad int) string {
		return string([]byte{1, kind, 0, 1, byte(len(content) >> 8), byte(len(content)), byte(pad), 0}) + content + strings.Repeat("\x00", pad)
	}
	const end = "\x00\x00\x00\x00\x00\x00\x00\x00"
	tests := []struct {
		name, stream string
		status       int
		body, err    string
	}{
		{"ping", rec(6, "Content-type: text/plain\r\n\r\npong", 5) + rec(3, end, 0), 200, "pong", ""},
		{"status", rec(6, "Status: 404 Not Found\r\n\r\n", 0) + rec(7, "Primary script unknown", 2) + rec(3, end, 0), 404, "", ""},
		{"in-two", rec(6, "Content-type: text/plain\r\n\r", 0) + rec(6, "\npong", 0) + rec(3, end, 0), 200, "pong", ""},
		{"no-headers", rec(6, "pong", 0) + rec(3, end, 0), 0, "", "inside its headers"},
		{"overloaded", rec(3, "\x00\x00\x00\x00\x02\x00\x00\x00", 0), 0, "", "refused"},
		{"closed", rec(6, "Content-type: text/plain\r\n\r\npong", 0), 0, "", "before the request was answered"},
		{"http", "HTTP/1.1 400 Bad Request\r\n\r\n", 0, "", "not FastCGI"},
		{"other-request", "\x01\x06\x00\x02\x00\x00\x00\x00", 0, "", "another request"},
		{"bad-status", rec(6, "Status: x\r\n\r\n", 0), 0, "", "not a number"},
	}
	for _, tt := range tests {
		for _, piece := range []int{1, 3, 1 << 20} {
			var r Response
			r.Reset(new(ResponseText), make([]byte, MaxBodyBytes))
			r.StartCGI()
			f := FastCGI{Response: &r}
			verdict := More
			for s := tt.stream; s != "" && verdict == More; {
				n := min(piece, len(s))
				verdict = f.Feed([]byte(s[:n]))
				s = s[n:]
			}
			if verdict == More {
				verdict = f.EOF()
			}
			if tt.err != "" {
				if verdict != Failed || !strings.Contains(f.Err, tt.err) {
					t.Errorf("%s in pieces of %d: %v, %q", tt.name, piece, verdict, f.Err)
				}
			} else if verdict != Done || r.Status != tt.status || string(r.Keep[:r.Kept]) != tt.body {
				t.Errorf("%s in pieces of %d: %v, status %d, body %q, %q", tt.name, piece, verdict, r.Status, r.Keep[:r.Kept], f.Err)
			}
		}
	}
}

func FuzzFastCGI(f *testing.F) {
	f.Add([]byte("\x01\x06\x00\x01\x00\x05\x00\x00a: b\n\x01\x03\x00\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var r Response
		r.Reset(new(ResponseText), nil)
		r.StartCGI()
		p := FastCGI{Response: &r}
		if p.Feed(stream) == Done && !r.HeadDone {
			t.Fatal("done without headers")
		}
	})
}

func TestBuffer(t *testing.T) {
	var memory [64]byte
	w := NewBuffer(memory[:])
	w.Int(-120)
	w.Byte(' ')
	w.Pad(7, 2)
	w.Byte(' ')
	w.Uint(^uint64(0))
	w.Byte(' ')
	w.Quoted([]byte("a\"\\\n"))
	if got, want := string(w.Bytes()), `-120 07 18446744073709551615 "a\"\\\u000a"`; got != want {
		t.Errorf("wrote %s, want %s", got, want)
	}
	for _, s := range []string{"", "a", "ab", "abc", "abcd", "\xff\xfe\x00"} {
		w := NewBuffer(memory[:])
		w.Base64(s)
		if got, want := string(w.Bytes()), base64.StdEncoding.EncodeToString([]byte(s)); got != want {
			t.Errorf("base64 of %q is %s, want %s", s, got, want)
		}
	}
	small := NewBuffer(memory[:3])
	small.Str("abcd")
	if !small.Full || string(small.Bytes()) != "abc" {
		t.Errorf("an overflow leaves %q, full %v", small.Bytes(), small.Full)
	}
}
