package check

import (
	"github.com/hardstand/hardstand/probe/internal/machine"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

// Limits of a target's parts in bytes.
const (
	maxHost = 253
	maxPath = 4096
)

type scheme struct {
	name string
	kind Kind
	tls  bool
	unix bool
}

var schemes = [...]scheme{
	{"http", HTTP, false, false},
	{"https", HTTP, true, false},
	{"unix", HTTP, false, true},
	{"http+unix", HTTP, false, true},
	{"https+unix", HTTP, true, true},
	{"grpc", GRPC, false, false},
	{"grpcs", GRPC, true, false},
	{"grpc+unix", GRPC, false, true},
	{"grpcs+unix", GRPC, true, true},
	{"tcp", TCP, false, false},
	{"tls", TCP, true, false},
	{"tcp+unix", TCP, false, true},
	{"fcgi", FastCGI, false, false},
	{"fcgi+unix", FastCGI, false, true},
	{"file", File, false, false},
}

// SetTarget sets what to check from one of
//
//	8080                          HTTP at localhost
//	:8080/healthz  host:8080/x    HTTP
//	/healthz                      HTTP at localhost and defaultPort
//	http://host:port/path?query   https, grpc, grpcs, tcp, tls, fcgi likewise
//	grpc://host:port/service      a name after the slash is the service
//	unix:///run/app.sock/path     HTTP over a unix socket; the socket's path
//	                              ends at the first component ending in
//	                              .sock or .socket, or at a colon before a slash
//	grpc+unix://  tcp+unix://  fcgi+unix://
//	file:///run/health?max-age=30s&line=ok
//
// text must stay unchanged as long as c is used. SetTarget returns why text is
// no target, or "".
func (c *Check) SetTarget(text string, defaultPort uint16) string {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return "holds a space, control or non-ASCII character (percent-encode it)"
		}
		if text[i] == '#' {
			return "holds a fragment (#), which no server sees"
		}
	}
	c.Port = defaultPort
	for i := 0; i+2 < len(text); i++ {
		if text[i] == ':' && text[i+1] == '/' && text[i+2] == '/' {
			return c.setURL(text[:i], text[i+3:])
		}
	}
	switch {
	case text == "":
		return "is empty"
	case text[0] == '/':
		return c.setPath(text)
	case allDigits(text):
		return c.setPort(text)
	}
	return c.setAuthority(text)
}

func (c *Check) setURL(name, rest string) string {
	for i := range schemes {
		s := &schemes[i]
		if !wire.Same(s.name, name) {
			continue
		}
		c.Kind, c.TLS = s.kind, s.tls
		switch {
		case s.kind == File:
			return c.setFile(rest)
		case s.unix:
			return c.setSocket(rest)
		}
		c.Port = 0
		if s.kind == HTTP {
			c.Port = 80
			if s.tls {
				c.Port = 443
			}
		}
		return c.setAuthority(rest)
	}
	return "has an unknown scheme; known are http, https, grpc, grpcs, tcp, tls, fcgi, unix, http+unix, https+unix, " +
		"grpc+unix, grpcs+unix, tcp+unix, fcgi+unix, file"
}

// setAuthority takes "host:port/path", host and path optional.
func (c *Check) setAuthority(s string) string {
	path := ""
	for i := range len(s) {
		if s[i] == '/' || s[i] == '?' {
			s, path = s[:i], s[i:]
			break
		}
	}
	host, port := s, ""
	for i := range len(s) {
		if s[i] == '@' {
			return "holds a user name: put credentials into --header 'Authorization: ...'"
		}
	}
	switch {
	case len(s) > 0 && s[0] == '[':
		end := indexByte(s, ']')
		if end < 0 {
			return "has no ] behind its IPv6 address"
		}
		host, port = s[1:end], s[end+1:]
		if _, size, _, ok := wire.ParseIP(host); !ok || size != 16 && indexByte(host, ':') < 0 {
			return "has no IPv6 address between [ and ]"
		}
	default:
		if colon := indexByte(s, ':'); colon >= 0 {
			host, port = s[:colon], s[colon:]
		}
	}
	if port != "" {
		if port[0] != ':' {
			return "has something between address and path"
		}
		if why := c.setPort(port[1:]); why != "" {
			return why
		}
	}
	if c.Port == 0 {
		return "names no port"
	}
	if why := c.setHost(host); why != "" {
		return why
	}
	return c.setPath(path)
}

func (c *Check) setHost(host string) string {
	if len(host) > maxHost {
		return "has a host name longer than 253 bytes"
	}
	if equalFold(host, "localhost") {
		host = "localhost"
	}
	if _, _, _, ok := wire.ParseIP(host); !ok {
		dotted := host != ""
		for i := range len(host) {
			b := host[i]
			name := 'a' <= wire.Lower(b) && wire.Lower(b) <= 'z' || '0' <= b && b <= '9'
			if !name && b != '-' && b != '.' && b != '_' {
				return "has a malformed host"
			}
			dotted = dotted && (b == '.' || '0' <= b && b <= '9')
		}
		if dotted {
			return "has a malformed IPv4 address"
		}
	}
	// The unspecified address is where servers listen, not where they are
	// reached; the kernel would take it for loopback.
	if host == "0.0.0.0" {
		host = "127.0.0.1"
	}
	if host == "::" {
		host = "::1"
	}
	c.Host = host
	return ""
}

func (c *Check) setPort(s string) string {
	v := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return "has a port that is not a number"
		}
		v = v*10 + int(s[i]-'0')
		if v > 65535 {
			return "has a port above 65535"
		}
	}
	if v == 0 {
		return "has no port from 1 to 65535"
	}
	c.Port = uint16(v)
	return ""
}

// setPath takes what follows the authority.
func (c *Check) setPath(path string) string {
	if len(path) > maxPath {
		return "has a path longer than 4096 bytes"
	}
	switch c.Kind {
	case GRPC:
		if len(path) > 1 {
			if path[0] != '/' {
				return "has a query, which gRPC does not know"
			}
			return c.AddService(path[1:])
		}
	case TCP:
		if path != "" && path != "/" {
			return "has a path, which a connection check does not use"
		}
	case FastCGI:
		c.Path = path
		if len(path) < 2 || path[0] != '/' {
			c.Path = "/ping"
		}
	case HTTP:
		if path != "" && path[0] == '?' {
			return "has a query without a path: write /?"
		}
		c.Path = path
	}
	return ""
}

// AddService adds a gRPC service to ask for; it returns why it cannot, or "".
func (c *Check) AddService(name string) string {
	if c.NServices == MaxServices {
		return "is one service more than the limit of 16"
	}
	if len(name) > 1024 {
		return "is a service name longer than 1024 bytes"
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] == '/' || name[i] >= 0x7f {
			return "is no service name"
		}
	}
	c.Services[c.NServices] = name
	c.NServices++
	return ""
}

// setSocket takes "/path/to.sock/request/path", "/any/path:/request/path" or
// "@abstract:/request/path".
func (c *Check) setSocket(s string) string {
	path := ""
	for i := 1; i < len(s); i++ {
		if s[i] == ':' && (i+1 == len(s) || s[i+1] == '/') {
			s, path = s[:i], s[i+1:]
			break
		}
		if s[i] == '/' && (hasSuffix(s[:i], ".sock") || hasSuffix(s[:i], ".socket")) {
			s, path = s[:i], s[i:]
			break
		}
	}
	switch {
	case s == "" || s[0] != '/' && s[0] != '@' || len(s) == 1:
		return "has no absolute socket path: write unix:///path/to.sock"
	case len(s) > machine.MaxSocketPath:
		return "has a socket path longer than 107 bytes"
	}
	c.Socket, c.Port = s, 0
	return c.setPath(path)
}

func (c *Check) setFile(s string) string {
	path, query := s, ""
	if q := indexByte(s, '?'); q >= 0 {
		path, query = s[:q], s[q+1:]
	}
	if path == "" || path[0] != '/' || len(path) > maxPath {
		return "has no absolute path: write file:///path"
	}
	c.Path = path
	for query != "" {
		item := query
		query = ""
		if amp := indexByte(item, '&'); amp >= 0 {
			item, query = item[:amp], item[amp+1:]
		}
		eq := max(indexByte(item, '='), 0)
		key, value := item[:eq], item[min(eq+1, len(item)):]
		switch key {
		case "max-age":
			age, ok := ParseDuration(value)
			if !ok || age == 0 {
				return "has a max-age that is not a duration such as 30s"
			}
			c.MaxAge = age
		case "line":
			c.FirstLine = value
		default:
			return "has an unknown parameter; known are max-age and line"
		}
	}
	return ""
}

// ParseDuration reads a duration such as 500ms, 1.5s or 1m30s in nanoseconds,
// at most a day.
func ParseDuration(s string) (ns int64, ok bool) {
	for s != "" {
		value, scale, n := int64(0), int64(1), 0
		point := false
		for ; n < len(s); n++ {
			c := s[n]
			if c == '.' && !point {
				point = true
				continue
			}
			if c < '0' || c > '9' {
				break
			}
			value = value*10 + int64(c-'0')
			if point {
				scale *= 10
			}
			if value > 1e9 || scale > 1e9 {
				return 0, false
			}
		}
		unit, size := durationUnit(s[n:])
		if size == 0 || n == 0 || point && n == 1 {
			return 0, false
		}
		if value > 86400e9/unit*scale {
			return 0, false
		}
		ns += value * (unit / scale)
		if unit%scale != 0 {
			return 0, false
		}
		if ns > 86400e9 {
			return 0, false
		}
		s = s[n+size:]
		ok = true
	}
	return ns, ok
}

func durationUnit(s string) (unit int64, size int) {
	switch {
	case wire.HasPrefix(s, "ms"):
		return 1e6, 2
	case wire.HasPrefix(s, "us"):
		return 1e3, 2
	case wire.HasPrefix(s, "s"):
		return 1e9, 1
	case wire.HasPrefix(s, "m"):
		return 60e9, 1
	case wire.HasPrefix(s, "h"):
		return 3600e9, 1
	}
	return 0, 0
}

//go:noinline
func hasSuffix(s, p string) bool { return len(s) >= len(p) && s[len(s)-len(p):] == p }

//go:noinline
func indexByte(s string, c byte) int {
	for i := range len(s) {
		if s[i] == c {
			return i
		}
	}
	return -1
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// PutTarget appends the target without its query, which may hold a secret.
func (c *Check) PutTarget(w *wire.Buffer) {
	for i := range schemes {
		s := &schemes[i]
		if s.kind == c.Kind && s.tls == c.TLS && s.unix == (c.Socket != "") && s.name != "unix" {
			w.Str(s.name)
			break
		}
	}
	w.Str("://")
	path := c.Path
	switch {
	case c.Kind == File:
	case c.Socket != "":
		w.Str(c.Socket)
		if path != "" {
			w.Byte(':')
		}
	default:
		c.putAuthority(w)
	}
	if c.Kind == GRPC && c.NServices == 1 {
		w.Byte('/')
		w.Str(c.Services[0])
	}
	if q := indexByte(path, '?'); q >= 0 {
		path = path[:q]
	}
	w.Str(path)
}
