package fresh_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/fresh"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/build/deb":     "stanzas and the order of versions",
		"github.com/hardstand/hardstand/build/xz":      "of deb",
		"github.com/hardstand/hardstand/build/inflate": "of deb",
		"github.com/klauspost/compress/...":            "of deb",
	})
}

// stanza is a package of an index: "name arch version [source [version]]".
func stanza(line string) deb.Stanza {
	f := strings.Fields(line)
	s := "Package: " + f[0] + "\nArchitecture: " + f[1] + "\nVersion: " + f[2] + "\n"
	switch len(f) {
	case 4:
		s += "Source: " + f[3] + "\n"
	case 5:
		s += "Source: " + f[3] + " (" + f[4] + ")\n"
	}
	return deb.Stanza(s)
}

func TestUpdate(t *testing.T) {
	ssl := "libssl3t64 amd64 3.5.1-1 openssl"
	cases := map[string]struct {
		installed string
		index     []string // "suite: stanza" of amd64's index
		want      string   // "suite package source", empty for none
	}{
		"nothing-on-offer":    {ssl, nil, ""},
		"same":                {ssl, []string{"trixie-security: libssl3t64 amd64 3.5.1-1 openssl"}, ""},
		"older":               {ssl, []string{"trixie-security: libssl3t64 amd64 3.5.0-9 openssl"}, ""},
		"newer":               {ssl, []string{"trixie-security: libssl3t64 amd64 3.5.1-1+deb13u1 openssl"}, "trixie-security 3.5.1-1+deb13u1 3.5.1-1+deb13u1"},
		"newest-of-several":   {ssl, []string{"trixie-security: libssl3t64 amd64 3.5.1-1+deb13u2 openssl", "trixie-security: libssl3t64 amd64 3.5.1-1+deb13u10 openssl"}, "trixie-security 3.5.1-1+deb13u10 3.5.1-1+deb13u10"},
		"tilde-is-older":      {ssl, []string{"trixie-security: libssl3t64 amd64 3.5.1-1~deb13u1 openssl"}, ""},
		"epoch":               {ssl, []string{"trixie-security: libssl3t64 amd64 1:1.0-1 openssl"}, "trixie-security 1:1.0-1 1:1.0-1"},
		"other-architecture":  {ssl, []string{"trixie-security: libssl3t64 arm64 3.5.1-1+deb13u1"}, ""},
		"another-of-source":   {ssl, []string{"trixie-security: openssl amd64 3.5.1-1+deb13u1"}, "trixie-security - 3.5.1-1+deb13u1"},
		"rebuilt":             {"tool amd64 1.0-1 tool", []string{"trixie-security: tool amd64 1.0-1+b1 tool 1.0-1"}, "trixie-security 1.0-1+b1 -"},
		"installed-rebuilt":   {"tool amd64 1.0-1+b3 tool 1.0-1", []string{"trixie-security: tool amd64 1.0-1 tool"}, ""},
		"other-source-scheme": {"python3 amd64 3.13.5-1 python3-defaults", []string{"trixie-security: idle amd64 3.14-1 python3"}, ""},
		"independent":         {"tzdata all 2026a-1", []string{"trixie-security: tzdata all 2026b-0+deb13u1"}, "trixie-security 2026b-0+deb13u1 2026b-0+deb13u1"},
		"first-suite-of-equals": {ssl, []string{"trixie: libssl3t64 amd64 3.5.1-2 openssl", "trixie-security: libssl3t64 amd64 3.5.1-2 openssl"},
			"trixie 3.5.1-2 3.5.1-2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := fresh.InstalledFrom(stanza(c.installed))
			o := fresh.NewOffers([]fresh.Installed{p})
			for _, line := range c.index {
				suite, rest, _ := strings.Cut(line, ": ")
				if err := o.Add(suite, "amd64", stanza(rest)); err != nil {
					t.Fatal(err)
				}
			}
			u, pending, err := o.Update(p)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if pending {
				dash := func(s string) string { return map[bool]string{true: "-", false: s}[s == ""] }
				got = u.Suite + " " + dash(u.Available) + " " + dash(u.AvailableSource)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUnknownSource makes sure that a package of which only the name is known
// is not taken for its own source.
func TestUnknownSource(t *testing.T) {
	p := fresh.Installed{Name: "python3", Version: "3.13.5-1", Arch: "amd64"}
	o := fresh.NewOffers([]fresh.Installed{p})
	if err := o.Add("trixie-security", "amd64", stanza("idle amd64 3.14-1 python3")); err != nil {
		t.Fatal(err)
	}
	if u, pending, err := o.Update(p); pending || err != nil {
		t.Errorf("%+v, %v", u, err)
	}
	if o.Has(p) {
		t.Error("a package is on offer that the index has not")
	}
	if err := o.Add("trixie-security", "amd64", stanza("python3 amd64 3.13.5-1+deb13u1 python3-defaults")); err != nil {
		t.Fatal(err)
	}
	if u, pending, err := o.Update(p); !pending || err != nil || u.Available != "3.13.5-1+deb13u1" || !o.Has(p) {
		t.Errorf("%+v, %v, %v", u, pending, err)
	}
}

func TestBadVersions(t *testing.T) {
	good := fresh.Installed{Name: "a", Version: "1", Arch: "amd64", Source: "a", SourceVersion: "1"}
	o := fresh.NewOffers([]fresh.Installed{good})
	for _, line := range []string{"a amd64 1_2", "other amd64 1 a 1_2"} {
		if err := o.Add("trixie-security", "amd64", stanza(line)); err == nil {
			t.Errorf("%q: taken", line)
		}
	}
	for _, p := range []fresh.Installed{
		{Name: "a", Version: "", Arch: "amd64"},
		{Name: "a", Version: "1", Arch: "amd64", Source: "a", SourceVersion: "-"},
	} {
		if _, _, err := o.Update(p); err == nil {
			t.Errorf("%+v: judged", p)
		}
	}
}
