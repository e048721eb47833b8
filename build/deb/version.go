package deb

import (
	"cmp"
	"strings"
)

// CompareVersions orders two Debian versions by deb-version(7): the epoch,
// then the upstream version, then the revision. It returns -1, 0 or +1. Input
// that is no valid version is ordered too, just not meaningfully.
func CompareVersions(a, b string) int {
	ae, au, ar := splitVersion(a)
	be, bu, br := splitVersion(b)
	if c := compareNumbers(ae, be); c != 0 {
		return c
	}
	if c := comparePart(au, bu); c != 0 {
		return c
	}
	return comparePart(ar, br)
}

func splitVersion(v string) (epoch, upstream, revision string) {
	if i := strings.IndexByte(v, ':'); i >= 0 {
		epoch, v = v[:i], v[i+1:]
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// comparePart alternates between runs of non-digits, ordered by weight, and
// runs of digits, ordered as numbers of any length.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			wa, wb := weight(a), weight(b)
			if wa != wb {
				return cmp.Compare(wa, wb)
			}
			a, b = a[1:], b[1:]
		}
		var na, nb string
		na, a = digits(a)
		nb, b = digits(b)
		if c := compareNumbers(na, nb); c != 0 {
			return c
		}
	}
	return 0
}

// weight orders one position: "~" before the end of the part, which stands
// before letters, which stand before everything else.
func weight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z':
		return int(s[0])
	default:
		return int(s[0]) + 256
	}
}

func digits(s string) (number, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// ValidVersion reports whether v has the form of deb-version(7).
func ValidVersion(v string) bool {
	if v == "" || len(v) > 300 {
		return false
	}
	epoch, upstream, revision := splitVersion(v)
	if strings.Contains(v, ":") && (epoch == "" || strings.Trim(epoch, "0123456789") != "") {
		return false
	}
	if upstream == "" || !isDigit(upstream[0]) && !isLetter(upstream[0]) {
		return false
	}
	return onlyVersionChars(upstream, ".+-~:") && onlyVersionChars(revision, "+.~")
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func onlyVersionChars(s, extra string) bool {
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && !isLetter(c) && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return true
}
