package wire

// Origin is the scheme, host and port that redirects must not leave.
type Origin struct {
	Scheme    string // "http" or "https"
	Authority []byte // host, and port unless it is the scheme's own
	HostName  string // Host header in use, "" if it is Authority
}

// Resolve writes the request target that a Location field names (RFC 9110
// section 10.2.2), base being the current one. It reports whether the field is
// well-formed and stays within the origin.
func (o *Origin) Resolve(w *Buffer, location []byte, base string) bool {
	for i, c := range location {
		if c <= ' ' || c >= 0x7f || c == '\\' {
			return false
		}
		if c == '#' {
			location = location[:i]
			break
		}
	}
	rest := location
	if colon := schemeEnd(location); colon >= 0 {
		if !EqualFold(location[:colon], o.Scheme) {
			return false
		}
		rest = location[colon+1:]
		if len(rest) < 2 || rest[0] != '/' || rest[1] != '/' {
			return false
		}
	}
	if len(rest) >= 2 && rest[0] == '/' && rest[1] == '/' {
		end := 2
		for end < len(rest) && rest[end] != '/' && rest[end] != '?' {
			end++
		}
		if !o.own(rest[2:end]) {
			return false
		}
		rest = rest[end:]
		if len(rest) == 0 || rest[0] == '?' {
			w.Byte('/')
		}
		w.Raw(rest)
		return !w.Full
	}
	o.relative(w, rest, base)
	return !w.Full
}

// relative writes a reference without authority.
func (o *Origin) relative(w *Buffer, ref []byte, base string) {
	path, _, _ := cut(base, '?')
	switch {
	case len(ref) == 0:
		w.Str(base)
	case ref[0] == '/':
	case ref[0] == '?':
		w.Str(path)
	default:
		slash := 0
		for i := range len(path) {
			if path[i] == '/' {
				slash = i + 1
			}
		}
		w.Str(path[:slash])
	}
	w.Raw(ref)
}

func (o *Origin) own(authority []byte) bool {
	if sameName(authority, view(o.Authority)) || o.HostName != "" && sameName(authority, o.HostName) {
		return true
	}
	port := ":80"
	if o.Scheme == "https" {
		port = ":443"
	}
	n := len(authority) - len(port)
	return n == len(o.Authority) && string(authority[n:]) == port && sameName(authority[:n], view(o.Authority))
}

// schemeEnd returns the index of the colon behind a scheme, -1 if there is no
// scheme.
func schemeEnd(b []byte) int {
	for i, c := range b {
		switch {
		case c == ':':
			return i
		case c == '/' || c == '?':
			return -1
		}
	}
	return -1
}
