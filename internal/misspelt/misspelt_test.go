package misspelt_test

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
	"github.com/hardstand/hardstand/internal/misspelt"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"libc6", "libc", 1}, {"ab", "ba", 2},
	} {
		if got := misspelt.Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if there, back := misspelt.Distance(c.a, c.b), misspelt.Distance(c.b, c.a); there != back {
			t.Errorf("%q and %q: %d one way, %d the other", c.a, c.b, there, back)
		}
	}
}

func TestBoundary(t *testing.T) { deptest.Check(t, nil) }
