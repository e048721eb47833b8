package wire

// MaxDepth bounds the nesting of a JSON document.
const MaxDepth = 64

// JSONMatch reports whether doc is one well-formed JSON value (RFC 8259) and
// the value at path, object keys and array indexes joined by dots, is want: a
// string is compared with its content, anything else with its text in the
// document. Strings with escapes compare unequal.
func JSONMatch(doc []byte, path, want string) (found, valid bool) {
	j := jsonScan{b: doc, want: want}
	j.value(path, true, 0)
	j.space()
	return j.found, !j.bad && j.i == len(doc)
}

type jsonScan struct {
	b     []byte
	i     int
	want  string
	found bool
	bad   bool
}

//go:noinline
func (j *jsonScan) space() {
	for j.i < len(j.b) {
		switch j.b[j.i] {
		case ' ', '\t', '\r', '\n':
			j.i++
		default:
			return
		}
	}
}

//go:noinline
func (j *jsonScan) peek() byte {
	j.space()
	if j.i >= len(j.b) {
		j.bad = true
		return 0
	}
	return j.b[j.i]
}

// value scans one value; path is what is left of the searched path and counts
// only if on.
func (j *jsonScan) value(path string, on bool, depth int) {
	if depth > MaxDepth {
		j.bad = true
	}
	c := j.peek()
	if j.bad {
		return
	}
	start := j.i
	switch {
	case c == '{':
		j.object(path, on, depth)
		return
	case c == '[':
		j.array(path, on, depth)
		return
	case c == '"':
		s, plain := j.text()
		if on && path == "" && plain && string(s) == j.want {
			j.found = true
		}
		return
	}
	j.scalar()
	if on && path == "" && string(j.b[start:j.i]) == j.want {
		j.found = true
	}
}

func (j *jsonScan) object(path string, on bool, depth int) {
	key, rest, _ := cut(path, '.')
	on = on && path != ""
	j.i++
	if j.peek() == '}' {
		j.i++
		return
	}
	for !j.bad {
		if j.peek() != '"' {
			j.bad = true
			return
		}
		name, plain := j.text()
		if j.peek() != ':' {
			j.bad = true
			return
		}
		j.i++
		j.value(rest, on && plain && string(name) == key, depth+1)
		if j.close('}') {
			return
		}
	}
}

func (j *jsonScan) array(path string, on bool, depth int) {
	key, rest, _ := cut(path, '.')
	want := -1
	if on && path != "" && len(key) <= 4 {
		want = small4(key)
	}
	j.i++
	if j.peek() == ']' {
		j.i++
		return
	}
	for n := 0; !j.bad; n++ {
		j.value(rest, n == want, depth+1)
		if j.close(']') {
			return
		}
	}
}

// close passes over a comma, or over the end of an object or array, and
// reports the latter.
func (j *jsonScan) close(end byte) bool {
	c := j.peek()
	if c != end && c != ',' {
		j.bad = true
	}
	if !j.bad {
		j.i++
	}
	return c == end || j.bad
}

// text scans a string and returns its raw content, plain if that has no escapes.
func (j *jsonScan) text() (s []byte, plain bool) {
	j.i++
	start, escaped := j.i, false
	for j.i < len(j.b) {
		c := j.b[j.i]
		j.i++
		switch {
		case c == '"':
			return j.b[start : j.i-1], !escaped
		case c == '\\':
			escaped = true
			j.escape()
		case c < 0x20:
			j.bad = true
		}
	}
	j.bad = true
	return nil, false
}

func (j *jsonScan) escape() {
	if j.i >= len(j.b) {
		j.bad = true
		return
	}
	c := j.b[j.i]
	j.i++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
	case 'u':
		for range 4 {
			if j.i >= len(j.b) || hexDigit(j.b[j.i]) < 0 {
				j.bad = true
				return
			}
			j.i++
		}
	default:
		j.bad = true
	}
}

// scalar scans a number, true, false or null.
func (j *jsonScan) scalar() {
	start := j.i
	for j.i < len(j.b) {
		c := j.b[j.i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'E') {
			break
		}
		j.i++
	}
	switch s := j.b[start:j.i]; string(s) {
	case "true", "false", "null":
	default:
		if !number(s) {
			j.bad = true
		}
	}
}

// number reports whether s is a JSON number.
//
//go:noinline
func number(s []byte) bool {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	n := digits(s[i:])
	if n == 0 || n > 1 && s[i] == '0' {
		return false
	}
	i += n
	if i < len(s) && s[i] == '.' {
		n = digits(s[i+1:])
		if n == 0 {
			return false
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		n = digits(s[i:])
		if n == 0 {
			return false
		}
		i += n
	}
	return i == len(s)
}

//go:noinline
func digits(s []byte) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

func small4(s string) int {
	v := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		v = v*10 + int(s[i]-'0')
	}
	if s == "" {
		return -1
	}
	return v
}
