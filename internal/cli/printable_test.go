package cli

import "testing"

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain\n\ttext":       "plain\n\ttext",
		"a\x1b[31mb":          `a\x1b[31mb`,
		"a\r\nb\rc":           "a\nb\\rc",
		" ::error::x":         ` \x3a:error::x`,
		"a\n::stop-commands":  "a\n\\x3a:stop-commands",
		"a::b":                "a::b",
		"x ##[group]y":        `x \x23#[group]y`,
		"user\u202egnp.exe":   `user\u202egnp.exe`,
		"\xff":                "\uFFFD",
		"--- a\n+::x\n ::y\n": "--- a\n+::x\n \\x3a:y\n",
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
