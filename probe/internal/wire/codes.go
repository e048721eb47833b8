package wire

// MaxCodeRanges bounds the ranges in one list of status codes.
const MaxCodeRanges = 16

// Codes is a set of HTTP status codes. The zero value holds 200 to 299.
type Codes struct {
	_      [0]func() // not comparable: no code to compare it
	n      int
	ranges [MaxCodeRanges][2]uint16
}

// Has reports whether status is in the set.
func (c *Codes) Has(status int) bool {
	if c.n == 0 {
		return status >= 200 && status <= 299
	}
	for _, r := range c.ranges[:c.n] {
		if status >= int(r[0]) && status <= int(r[1]) {
			return true
		}
	}
	return false
}

// HasRedirect reports whether the set holds any status from 300 to 399.
func (c *Codes) HasRedirect() bool {
	for _, r := range c.ranges[:c.n] {
		if r[0] <= 399 && r[1] >= 300 {
			return true
		}
	}
	return false
}

// ParseCodes reads a list such as "200-299,302" or "2xx". It returns why s is
// not one, or "".
func (c *Codes) ParseCodes(s string) string {
	*c = Codes{}
	for {
		item, rest, more := cut(s, ',')
		lo, hi, ok := codeRange(item)
		if !ok {
			return "is not a list of status codes such as 200-299,302 or 2xx"
		}
		if lo > hi {
			return "has a range that ends before it begins"
		}
		if c.n == MaxCodeRanges {
			return "has more than 16 ranges"
		}
		c.ranges[c.n] = [2]uint16{uint16(lo), uint16(hi)}
		c.n++
		if !more {
			return ""
		}
		s = rest
	}
}

func codeRange(s string) (lo, hi int, ok bool) {
	first, last, ranged := cut(s, '-')
	if len(s) == 3 && s[1] == 'x' && s[2] == 'x' && s[0] >= '1' && s[0] <= '5' {
		lo = int(s[0]-'0') * 100
		return lo, lo + 99, true
	}
	lo, ok = code(first)
	if !ranged {
		return lo, lo, ok
	}
	hi, ok2 := code(last)
	return lo, hi, ok && ok2
}

//go:noinline
func code(s string) (int, bool) {
	if len(s) != 3 {
		return 0, false
	}
	v := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		v = v*10 + int(s[i]-'0')
	}
	return v, v >= 100
}

// cut splits s at the first sep.
//
//go:noinline
func cut(s string, sep byte) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
