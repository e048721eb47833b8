package deb_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/deb"
)

func TestStanzaFields(t *testing.T) {
	s := deb.Stanza("Package: libc6\nVersion: 2.41-12\nSource: glibc (2.41-12.1)\ndepends: libgcc-s1\nDescription: short\n long one\n .\n\tend\nX:\n")
	for field, want := range map[string]string{
		"Package": "libc6", "Depends": "libgcc-s1", "Description": "short\nlong one\n.\nend", "X": "", "Missing": "", "Pack": "",
	} {
		if got := s.Get(field); got != want {
			t.Errorf("Get(%q) = %q, want %q", field, got, want)
		}
	}
	if n, v := s.Source(); n != "glibc" || v != "2.41-12.1" {
		t.Errorf("Source() = %q, %q", n, v)
	}
	if n, v := deb.Stanza("Package: zlib1g\nVersion: 1\nSource: zlib\n").Source(); n != "zlib" || v != "1" {
		t.Errorf("Source() = %q, %q", n, v)
	}
	if n, v := deb.Stanza("Package: tzdata\nVersion: 2\n").Source(); n != "tzdata" || v != "2" {
		t.Errorf("Source() = %q, %q", n, v)
	}
}

func TestStanzasWalk(t *testing.T) {
	for name, tc := range map[string]struct{ in, want, err string }{
		"two":             {"Package: a\n\n\nPackage: b\n\n", "a b", ""},
		"no last newline": {"Package: a", "a", ""},
		"empty":           {"\n\n", "", ""},
		"no colon":        {"Package: a\n\nnonsense\n", "a", "line 3"},
		"continuation":    {" x\n", "", "continuation"},
		"space in name":   {"A b: c\n", "", "not a field"},
		"huge":            {"Package: " + strings.Repeat("a", deb.MaxStanza), "", "over the size limit"},
	} {
		var got []string
		var failure string
		for s, err := range deb.Stanzas([]byte(tc.in)) {
			if err != nil {
				failure = err.Error()
				break
			}
			got = append(got, s.Get("Package"))
		}
		if strings.Join(got, " ") != tc.want || !strings.Contains(failure, tc.err) || (tc.err == "") != (failure == "") {
			t.Errorf("%s: got %v, error %q; want %q, error with %q", name, got, failure, tc.want, tc.err)
		}
	}
}

func TestParseRelations(t *testing.T) {
	for in, want := range map[string]string{
		"":                                   "",
		"libc6 (>= 2.38), libssl3t64":        "libc6 (>= 2.38); libssl3t64",
		"default-mta | mail-transport-agent": "default-mta | mail-transport-agent",
		"python3:any (<< 3.14)":              "python3:any (<< 3.14)",
		"aa [amd64 arm64], bb [!amd64] , cc [arm64]": "aa",
		"xx [!arm64] | yy":                           "xx | yy",
		"foo (=1:2-3)":                               "foo (= 1:2-3)",
		"old (> 1), older (< 2)":                     "old (>= 1); older (<= 2)",
		"trailing,":                                  "trailing",
	} {
		clauses, err := deb.ParseRelations(in, "amd64")
		if err != nil {
			t.Errorf("%q: %v", in, err)
		}
		var got []string
		for _, c := range clauses {
			got = append(got, c.String())
		}
		if diff := cmp.Diff(want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
	for _, in := range []string{"A", "a", "foo (1.0)", "foo (>= )", "foo (>= 1", "foo [amd64", "foo (~ 1)", "foo <!nocheck>", "foo:bad_arch", "a b", "|", "foo (>= 1 2)"} {
		if c, err := deb.ParseRelations(in, "amd64"); err == nil {
			t.Errorf("%q parses as %v, want an error", in, c)
		}
	}
}

// The order is the one that dpkg --compare-versions gives for every pair.
func TestCompareVersions(t *testing.T) {
	ascending := strings.Fields(`0~~ 0~~a 0~ 0-0~ 0 0.0 0.1~rc1 0.1 0.1a 0.1a1 0.1+b1 0.9 0.10 1~ 1 1-0.1 1-1~bpo12+1 1-1 1-1+b1 1-1+deb13u1 1-1.1
		1-2 1.0 1.0-1 1.0+dfsg 1.0+dfsg-1 1.2.3-4 1.10 1.a 1.z 1.+ 2.41-12 2.41-12+deb13u1 10 20250101 0:99999999999999999999999 1:0 1:0.1-1 2:0~ 10:0`)
	for i, a := range ascending {
		for j, b := range ascending {
			want := 0
			switch {
			case i < j:
				want = -1
			case i > j:
				want = 1
			}
			if got := deb.CompareVersions(a, b); got != want {
				t.Errorf("CompareVersions(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
	for _, pair := range [][2]string{{"1.0", "0:1.0"}, {"1", "1-0"}, {"01", "1"}, {"1.00", "1.0"}, {"1-", "1"}} {
		if got := deb.CompareVersions(pair[0], pair[1]); got != 0 {
			t.Errorf("CompareVersions(%q, %q) = %d, want 0", pair[0], pair[1], got)
		}
	}
}

func FuzzStanzas(f *testing.F) {
	f.Add([]byte("Package: a\nVersion: 1\n\nPackage: b\n x\n"), "Version")
	f.Fuzz(func(t *testing.T, data []byte, field string) {
		for s, err := range deb.Stanzas(data) {
			if err != nil {
				return
			}
			_ = s.Get(field)
			_, _ = s.Source()
		}
	})
}

func FuzzParseRelations(f *testing.F) {
	f.Add("libc6 (>= 2.38) [amd64] | foo:any, bar")
	f.Fuzz(func(t *testing.T, in string) {
		first, err := deb.ParseRelations(in, "amd64")
		if err != nil {
			return
		}
		var texts []string
		for _, c := range first {
			texts = append(texts, c.String())
		}
		again, err := deb.ParseRelations(strings.Join(texts, ", "), "amd64")
		if err != nil {
			t.Fatalf("%q printed as %q does not parse: %v", in, texts, err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("1:2.3-4~bpo", "2.3+b1")
	f.Fuzz(func(t *testing.T, a, b string) {
		if deb.CompareVersions(a, b) != -deb.CompareVersions(b, a) {
			t.Fatalf("order of %q and %q is not antisymmetric", a, b)
		}
		if deb.CompareVersions(a, a) != 0 {
			t.Fatalf("%q differs from itself", a)
		}
	})
}
