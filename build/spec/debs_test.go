package spec_test

import (
	"strings"
	"testing"

	"github.com/hardstand/hardstand/build/spec"
)

func TestDebs(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	for _, c := range []struct{ list, want string }{
		{"[{source: a.deb, sha256: " + sum + "}]", ""},
		{"[{source: a.deb}]", "a.deb has no sha256"},
		{"[{sha256: " + sum + "}]", "a package has no source"},
		{"[{source: a.deb, sha256: abc}]", "bad SHA-256"},
		{"[{source: a.deb, sha256: " + strings.ToUpper(sum) + "}]", "bad SHA-256"},
		{"[{source: a.deb, sha256: " + sum + "}, {source: b.deb, sha256: " + sum + "}]", "b.deb stands twice"},
		{"[{source: \"a\\nSHA256: x\", sha256: " + sum + "}]", "bad file name"},
		{"[{source: a.deb, sha: x}]", "unknown key"},
		{"a.deb", "want a list"},
	} {
		d, err := spec.Parse("x.yaml", []byte("name: x\ndebs: "+c.list))
		switch {
		case c.want == "" && (err != nil || len(d.Debs) != 1 || d.Debs[0].SHA256 != sum):
			t.Errorf("%s: %v", c.list, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x.yaml:2:")):
			t.Errorf("%s: %v, want %q at line 2", c.list, err, c.want)
		}
	}
}
