package cli

import (
	"strconv"
	"strings"
)

// Printable returns text of foreign origin, such as a file's name or its
// lines, without what would command a terminal (control characters), deceive
// a reader (changes of direction) or command a CI runner, which obeys lines of
// a log that begin with "::" and "##[" anywhere. Line ends and tabs stay.
func Printable(text string) string {
	var b strings.Builder
	begins := true // only white space and a diff's mark so far in the line
	for i, r := range text {
		switch {
		case r == '\n':
			begins = true
			b.WriteByte('\n')
			continue
		case r == '\r' && strings.HasPrefix(text[i+1:], "\n"):
			continue
		case r == '\t' || r == ' ':
			b.WriteRune(r)
			continue
		case r < 0x20, 0x7F <= r && r < 0xA0, 0x202A <= r && r <= 0x202E, 0x2066 <= r && r <= 0x2069,
			r == 0x200E, r == 0x200F, r == 0x061C, r == 0x2028, r == 0x2029, r == 0xFEFF:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		case begins && strings.HasPrefix(text[i:], "::"), strings.HasPrefix(text[i:], "##["):
			b.WriteString(`\x` + strconv.FormatInt(int64(r), 16))
		default:
			b.WriteRune(r)
		}
		begins = false
	}
	return b.String()
}
