package resolve_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/build/index"
	"github.com/hardstand/hardstand/build/resolve"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/build/deb":         "stanzas, relations and version order",
		"github.com/hardstand/hardstand/build/index":       "indexes that are not held",
		"github.com/klauspost/compress/...":                "through build/deb",
		"github.com/hardstand/hardstand/build/xz":          "through build/deb",
		"github.com/hardstand/hardstand/build/inflate":     "through build/deb",
		"github.com/hardstand/hardstand/internal/misspelt": "names that were meant",
	})
}

// A case writes packages one a line: NAME VERSION [; FIELD: VALUE]...
// A line "suite NAME" starts another suite; the first is trixie.
var cases = map[string]struct {
	packages, want, deny, ignore string
	result                       string // NAME=VERSION in order, or
	err                          string // what the error says
}{
	"one":                            {packages: "aa 1", want: "aa", result: "aa=1"},
	"transitive":                     {packages: "aa 1; Depends: bb\nbb 1; Pre-Depends: cc\ncc 1\ndd 1", want: "aa", result: "aa=1 bb=1 cc=1"},
	"cycle":                          {packages: "aa 1; Depends: bb\nbb 1; Depends: aa", want: "aa", result: "aa=1 bb=1"},
	"highest version":                {packages: "aa 1\naa 1.10\naa 1.9", want: "aa", result: "aa=1.10"},
	"highest across suites":          {packages: "aa 1.0-1\nsuite trixie-security\naa 1.0-1+deb13u1", want: "aa", result: "aa=1.0-1+deb13u1"},
	"bound":                          {packages: "aa 2\naa 1", want: "aa (<< 2)", result: "aa=1"},
	"bound not met":                  {packages: "aa 2.9", want: "aa (>= 3.0)", err: "base needs aa (>= 3.0): trixie has only aa 2.9"},
	"unknown":                        {packages: "aa 1", want: "libssl3t64 (>= 3.0)", err: "base needs libssl3t64 (>= 3.0): no candidate in trixie"},
	"unknown below":                  {packages: "aa 1; Depends: bb\nbb 1; Depends: cc (>= 2)", want: "aa", err: "base needs aa; aa needs bb; bb needs cc (>= 2): no candidate in trixie"},
	"first alternative":              {packages: "aa 1; Depends: bb | cc\nbb 1\ncc 1", want: "aa", result: "aa=1 bb=1"},
	"second alternative":             {packages: "aa 1; Depends: bb | cc\ncc 1", want: "aa", result: "aa=1 cc=1"},
	"alternative wanted anyway":      {packages: "aa 1; Depends: bb | cc\nbb 1\ncc 1", want: "cc aa", result: "aa=1 cc=1"},
	"backtracks":                     {packages: "aa 1; Depends: bb | cc\nbb 1; Depends: nothing\ncc 1", want: "aa", result: "aa=1 cc=1"},
	"backtracks to an older version": {packages: "aa 2; Depends: nothing\naa 1", want: "aa", result: "aa=1"},
	"virtual":                        {packages: "aa 1; Depends: awk\nmawk 1; Provides: awk; Priority: required\ngawk 1; Provides: awk", want: "aa", result: "aa=1 mawk=1"},
	"virtual by name":                {packages: "aa 1; Depends: awk\nmawk 1; Provides: awk\ngawk 1; Provides: awk", want: "aa", result: "aa=1 gawk=1"},
	"real before virtual":            {packages: "aa 1; Depends: awk\nmawk 1; Provides: awk; Priority: required\nawk 1", want: "aa", result: "aa=1 awk=1"},
	"versioned provide":              {packages: "aa 1; Depends: api (>= 2)\npp 1; Provides: api (= 2.1)", want: "aa", result: "aa=1 pp=1"},
	"unversioned provide does not meet a bound": {packages: "aa 1; Depends: api (>= 2)\npp 1; Provides: api", want: "aa", err: "trixie has only pp 1"},
	"arch qualifier any":                        {packages: "aa 1; Depends: py:any\npy 1", want: "aa", result: "aa=1 py=1"},
	"arch qualifier other":                      {packages: "aa 1; Depends: py:arm64\npy 1", want: "aa", err: "another architecture than amd64"},
	"arch restriction":                          {packages: "aa 1; Depends: bb [arm64], cc [amd64]\ncc 1", want: "aa", result: "aa=1 cc=1"},
	"denied":                                    {packages: "aa 1; Depends: bash\nbash 5", want: "aa", deny: "bash", err: `aa needs bash: bash is denied by "!bash"`},
	"denied transitively":                       {packages: "aa 1; Depends: bb\nbb 1; Depends: bash\nbash 5", want: "aa", deny: "bash", err: `bb needs bash: bash is denied`},
	"denied with a way out":                     {packages: "aa 1; Depends: bash | dash\nbash 5\ndash 1", want: "aa", deny: "bash", result: "aa=1 dash=1"},
	"denied provider":                           {packages: "aa 1; Depends: awk\nmawk 1; Provides: awk\ngawk 1; Provides: awk", want: "aa", deny: "gawk", result: "aa=1 mawk=1"},
	"ignored":                                   {packages: "aa 1; Depends: awk, bb\nbb 1", want: "aa", ignore: "awk", result: "aa=1 bb=1"},
	"ignored but wanted":                        {packages: "aa 1\nbb 1", want: "bb", ignore: "bb", result: "bb=1"},
	"conflict":                                  {packages: "aa 1; Conflicts: bb\nbb 1", want: "aa bb", err: "conflicts with bb"},
	"breaks an old version":                     {packages: "aa 1; Breaks: bb (<< 2)\nbb 1\nbb 2", want: "aa bb", result: "aa=1 bb=2"},
	"conflict has a way out":                    {packages: "aa 1; Depends: bb | cc\nbb 1; Conflicts: dd\ncc 1\ndd 1", want: "dd aa", result: "aa=1 cc=1 dd=1"},
	"provides and conflicts with itself":        {packages: "aa 1; Provides: mta; Conflicts: mta", want: "aa", result: "aa=1"},
	"conflict by virtual name":                  {packages: "aa 1; Provides: mta; Conflicts: mta\nbb 1; Provides: mta", want: "aa bb", err: "conflicts with mta"},
	"bad relation":                              {packages: "aa 1; Depends: (", want: "aa", err: "bad relation"},
	"misspelt":                                  {packages: "libcurl4t64 1", want: "libcurl4t46", err: `base needs libcurl4t46: no candidate in trixie (did you mean "libcurl4t64"?)`},
	"misspelt elsewhere":                        {packages: "aa 1\nsuite trixie-security\nzlib1g 1", want: "zlb1g", err: `(did you mean "zlib1g"?)`},
	"nothing like it":                           {packages: "ab 1", want: "xy", err: "base needs xy: no candidate in trixie"},
	"version clash":                             {packages: "aa 1; Depends: bb (= 1)\nbb 1\nbb 2", want: "bb aa", result: "aa=1 bb=1"},
}

func universe(t *testing.T, packages string, shuffle *rand.Rand) *resolve.Universe {
	t.Helper()
	u := resolve.NewUniverse("amd64")
	suite, text := "trixie", map[string][]string{}
	var suites []string
	for line := range strings.SplitSeq(packages, "\n") {
		if name, ok := strings.CutPrefix(line, "suite "); ok {
			suite = name
			continue
		}
		parts := strings.Split(line, "; ")
		name, version, _ := strings.Cut(parts[0], " ")
		s := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\n", name, version)
		for _, f := range parts[1:] {
			s += f + "\n"
		}
		if text[suite] == nil {
			suites = append(suites, suite)
		}
		text[suite] = append(text[suite], s)
	}
	shuffle.Shuffle(len(suites), func(i, j int) { suites[i], suites[j] = suites[j], suites[i] })
	for _, name := range suites {
		list := text[name]
		shuffle.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		add(t, u, name, []byte(strings.Join(list, "\n")), shuffle.IntN(2) == 0)
	}
	return u
}

// add adds a suite as it stands, or as an index that is kept elsewhere, which
// must make no difference.
func add(t *testing.T, u *resolve.Universe, suite string, text []byte, kept bool) {
	t.Helper()
	if !kept {
		if err := u.Add(suite, text); err != nil {
			t.Fatal(err)
		}
		return
	}
	var out bytes.Buffer
	b := index.NewBuilder("amd64", &out)
	if _, err := b.Write(text); err != nil {
		t.Fatal(err)
	}
	table, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	u.AddIndex(suite, index.New(table, bytes.NewReader(out.Bytes())))
}

// Resolving from a damaged index fails, whatever could be chosen without what
// is damaged.
func TestDamagedIndexIsAnError(t *testing.T) {
	var out bytes.Buffer
	b := index.NewBuilder("amd64", &out)
	_, _ = b.Write([]byte("Package: aa\nVersion: 2\nArchitecture: all\n")) // Table has its error
	table, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	out.Bytes()[9] ^= 1
	u := resolve.NewUniverse("amd64")
	if err := u.Add("trixie", []byte("Package: aa\nVersion: 1\nArchitecture: all\n")); err != nil {
		t.Fatal(err)
	}
	u.AddIndex("trixie-security", index.New(table, bytes.NewReader(out.Bytes())))
	if got, err := resolve.Resolve(u, resolve.Request{For: "x", Want: []string{"aa"}}); !errors.Is(err, index.ErrDamaged) {
		t.Errorf("chose %v, error %v, want ErrDamaged", got, err)
	}
}

// Every case runs under several orders of the index, which must not matter.
func TestResolve(t *testing.T) {
	for name, tc := range cases {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			for seed := range uint64(6) {
				u := universe(t, tc.packages, rand.New(rand.NewPCG(seed, 0)))
				var want []string
				for w := range strings.SplitSeq(tc.want, " ") {
					if strings.HasPrefix(w, "(") || strings.HasSuffix(w, ")") {
						want[len(want)-1] += " " + w
					} else {
						want = append(want, w)
					}
				}
				choices, err := resolve.Resolve(u, resolve.Request{For: "base", Want: want, Deny: strings.Fields(tc.deny), Ignore: strings.Fields(tc.ignore)})
				var got []string
				for _, c := range choices {
					got = append(got, c.Name+"="+c.Version)
				}
				if strings.Join(got, " ") != tc.result {
					t.Fatalf("seed %d: chose %v (error %v), want %s", seed, got, err, tc.result)
				}
				if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("seed %d: error = %v, want it to say %q", seed, err, tc.err)
				}
			}
		})
	}
}

// All of the names that a definition got wrong are said at once, before anything
// is searched for: what exists beside them may be chosen in too many ways.
func TestEveryMissingPackageIsNamed(t *testing.T) {
	u := universe(t, tangle+"zlib1g 1", rand.New(rand.NewPCG(1, 1)))
	_, err := resolve.Resolve(u, resolve.Request{For: "base", Want: []string{"top", "zlib1gg", "zlib1g (>= 2)", "nowhere | nothing"}})
	want := `base needs zlib1gg: no candidate in trixie (did you mean "zlib1g"?)
base needs zlib1g (>= 2): trixie has only zlib1g 1
base needs nowhere | nothing: no candidate in trixie; no candidate in trixie`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant %s", err, want)
	}
}

// A package that cannot be installed at all is named, also when the search for a
// way around it was given up.
func TestTangledDependenciesNameTheCulprit(t *testing.T) {
	for _, tc := range []struct{ packages, want string }{
		{"last 1; Depends: absent", "base needs last; last needs absent: no candidate in trixie"},
		{"last 1; Conflicts: leaf", "the dependencies are too tangled to resolve"},
	} {
		u := universe(t, tangle+tc.packages, rand.New(rand.NewPCG(1, 1)))
		_, err := resolve.Resolve(u, resolve.Request{For: "base", Want: []string{"top", "last"}})
		if err == nil || err.Error() != tc.want {
			t.Errorf("error = %v, want %s", err, tc.want)
		}
	}
}

// tangle is a package "top" that can be installed in 2^20 ways, each with leaf.
var tangle = func() string {
	var b strings.Builder
	fmt.Fprint(&b, "top 1; Depends: leaf")
	for i := range 20 {
		fmt.Fprintf(&b, ", left%d | right%d", i, i)
	}
	for i := range 20 {
		fmt.Fprintf(&b, "\nleft%d 1\nright%d 1", i, i)
	}
	return b.String() + "\nleaf 1\n"
}()

func TestReasonsAreKept(t *testing.T) {
	u := universe(t, "aa 1; Depends: bb, awk | gawk\nbb 1", rand.New(rand.NewPCG(1, 1)))
	got, err := resolve.Resolve(u, resolve.Request{For: "base", Want: []string{"aa"}, Ignore: []string{"awk"}})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].For != "base" || got[1].For != "aa" || strings.Join(got[0].Ignored, ",") != "awk | gawk" {
		t.Errorf("got %+v", got)
	}
	_, err = resolve.Resolve(u, resolve.Request{For: "base", Want: []string{"aa"}})
	var unsatisfied *resolve.UnsatisfiedError
	if !errors.As(err, &unsatisfied) || len(unsatisfied.Reasons) != 2 {
		t.Errorf("error = %v, want an UnsatisfiedError with a reason for each alternative", err)
	}
}

func TestForeignArchitecturesAreNoCandidates(t *testing.T) {
	u := resolve.NewUniverse("arm64")
	if err := u.Add("trixie", []byte("Package: aa\nVersion: 1\nArchitecture: amd64\n\nPackage: bb\nVersion: 1\nArchitecture: all\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := resolve.Resolve(u, resolve.Request{For: "x", Want: []string{"aa"}}); err == nil {
		t.Error("an amd64 package was chosen for arm64")
	}
	if _, err := resolve.Resolve(u, resolve.Request{For: "x", Want: []string{"bb"}}); err != nil {
		t.Error(err)
	}
}

// A graph built to explode ends with an error, not with the machine's patience.
func TestTangledGraphEnds(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "p%02d 1; Depends: a%02d | b%02d\na%02d 1\nb%02d 1\n", i, i, i, i, i)
	}
	b.WriteString("top 1; Depends: ")
	for i := range 30 {
		fmt.Fprintf(&b, "p%02d, ", i)
	}
	b.WriteString("nothing")
	u := universe(t, b.String(), rand.New(rand.NewPCG(2, 2)))
	if _, err := resolve.Resolve(u, resolve.Request{For: "x", Want: []string{"top"}}); err == nil {
		t.Error("no error")
	}
}

func FuzzUniverse(f *testing.F) {
	f.Add([]byte("Package: aa\nVersion: 1\nArchitecture: all\nDepends: bb | cc (>= 1)\nProvides: dd (= 2)\n\nPackage: bb\nVersion: 1\nArchitecture: amd64\n"), "aa")
	f.Fuzz(func(t *testing.T, index []byte, want string) {
		u := resolve.NewUniverse("amd64")
		if u.Add("trixie", index) != nil {
			return
		}
		choices, err := resolve.Resolve(u, resolve.Request{For: "x", Want: []string{want}})
		if err == nil && strings.TrimSpace(want) != "" && len(choices) == 0 && !strings.ContainsAny(want, ",[") {
			t.Fatalf("%q is satisfied by nothing", want)
		}
	})
}
