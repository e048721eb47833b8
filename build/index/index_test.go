package index_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/index"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/build/deb":     "stanzas, relations and limits",
		"github.com/klauspost/compress/...":            "through build/deb",
		"github.com/hardstand/hardstand/build/xz":      "through build/deb",
		"github.com/hardstand/hardstand/build/inflate": "through build/deb",
	})
}

// build indexes text that arrives in steps of the given size.
func build(text []byte, step int) (table *index.Table, kept []byte, err error) {
	var out bytes.Buffer
	b := index.NewBuilder("amd64", &out)
	for part := range slices.Chunk(text, step) {
		if _, err := b.Write(part); err != nil {
			return nil, nil, err
		}
	}
	table, err = b.Table()
	return table, out.Bytes(), err
}

// packages writes an index of n packages, each with a field that is not kept.
func packages(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "Package: p%d\nVersion: 1.%d\nArchitecture: %s\nDescription: %s\n more\nDepends: a,\n b\nProvides: v%d (= 2), all-of-them\nSHA256: %064d\n\n",
			i, i, []string{"amd64", "all", "arm64"}[i%3], strings.Repeat("x", 100), i%7, i)
	}
	return b.Bytes()
}

func TestFindsWhatTheTextSays(t *testing.T) {
	text := packages(2000)
	table, kept, err := build(text, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := index.ParseTable(table.Bytes()); err != nil || !bytes.Equal(parsed.Bytes(), table.Bytes()) {
		t.Fatalf("the table does not survive being written: %v", err)
	}
	x := index.New(table, bytes.NewReader(kept))
	var all []string
	providing := map[string][]string{}
	for s, err := range deb.Stanzas(text) {
		if err != nil {
			t.Fatal(err)
		}
		name := s.Get("Package")
		found, err := x.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Get("Architecture") == "arm64" {
			if len(found) != 0 {
				t.Fatalf("%s is for another architecture and was found", name)
			}
			continue
		}
		all = append(all, name)
		virtual, _, _ := strings.Cut(s.Get("Provides"), " ")
		providing[virtual] = append(providing[virtual], name)
		if len(found) != 1 {
			t.Fatalf("%s was found %d times", name, len(found))
		}
		for _, f := range []string{"Package", "Version", "Architecture", "Depends", "Provides", "SHA256"} {
			if got, want := found[0].Stanza.Get(f), s.Get(f); got != want {
				t.Fatalf("%s: %s is %q, want %q", name, f, got, want)
			}
		}
		if found[0].Stanza.Get("Description") != "" {
			t.Fatalf("%s: the description was kept", name)
		}
	}
	names := func(found []index.Found, err error) []string {
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, f := range found {
			list = append(list, f.Stanza.Get("Package"))
		}
		return list
	}
	for virtual, want := range providing {
		if diff := cmp.Diff(want, names(x.Providing(virtual))); diff != "" {
			t.Errorf("providers of %s (-want +got):\n%s", virtual, diff)
		}
	}
	if diff := cmp.Diff(all, names(x.Providing("all-of-them"))); diff != "" {
		t.Errorf("providers of all-of-them (-want +got):\n%s", diff)
	}
	var walked []string
	for s, err := range x.All() {
		if err != nil {
			t.Fatal(err)
		}
		walked = append(walked, s.Get("Package"))
	}
	if diff := cmp.Diff(all, walked); diff != "" || x.Len() != len(all) {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	if found, err := x.Named("nothing"); len(found) > 0 || err != nil {
		t.Errorf("nothing: %v, %v", found, err)
	}
}

// How the text arrives makes no difference to what is kept of it.
func TestStepsDoNotMatter(t *testing.T) {
	text := packages(90)
	first, want, err := build(text, len(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{1, 2, 3, 7, 64, 1000} {
		table, got, err := build(text, step)
		if err != nil || !bytes.Equal(got, want) || !bytes.Equal(table.Bytes(), first.Bytes()) {
			t.Errorf("in steps of %d something else is kept: %v", step, err)
		}
	}
	if _, got, err := build(bytes.TrimRight(text, "\n"), 50); err != nil || !bytes.Equal(got, want) {
		t.Errorf("without an end of the last line something else is kept: %v", err)
	}
}

// Every byte of the kept text is covered: with one changed, reading fails.
func TestDamagedTextIsNoticed(t *testing.T) {
	table, kept, err := build(packages(300), 4096)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		damaged := bytes.Clone(kept)
		damaged[random.IntN(len(damaged))] ^= byte(1 + random.IntN(255))
		var wrong error
		for _, err := range index.New(table, bytes.NewReader(damaged)).All() {
			wrong = err
		}
		if !errors.Is(wrong, index.ErrDamaged) {
			t.Fatalf("error = %v, want ErrDamaged", wrong)
		}
	}
	for _, n := range []int{0, 1, len(kept) / 2, len(kept) - 1} {
		var wrong error
		for _, err := range index.New(table, bytes.NewReader(kept[:n])).All() {
			wrong = err
		}
		if !errors.Is(wrong, index.ErrDamaged) {
			t.Errorf("cut to %d bytes: error = %v, want ErrDamaged", n, wrong)
		}
	}
}

func TestRefusesWhatIsNoIndex(t *testing.T) {
	head := "Package: a1\nVersion: 1\nArchitecture: all\n"
	for name, tc := range map[string]struct{ text, want string }{
		"no field":          {head + "nonsense\n", "paragraph at line 1: line \"nonsense\" is not a field"},
		"continuation":      {head + "\n\n more\n", "paragraph at line 6: starts with a continuation line"},
		"bad name":          {"Package: A\nVersion: 1\nArchitecture: all\n", "bad package name"},
		"no name":           {"Version: 1\nArchitecture: all\n", "bad package name"},
		"bad version":       {"Package: a1\nVersion: ?\nArchitecture: amd64\n", "bad version"},
		"bad provides":      {head + "Provides: (\n", "package a1: Provides"},
		"line without end":  {head + "X: " + strings.Repeat("x", deb.MaxStanza), "over the size limit"},
		"stanza too large":  {head + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\n", 1100), "over the size limit"},
		"bad in the second": {head + "\n" + head + "?\n", "paragraph at line 5"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			if _, _, err := build([]byte(tc.text), 4096); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want it to say %q", err, tc.want)
			}
		})
	}
}

// A table comes from a sealed record, and is not believed all the same.
func FuzzTable(f *testing.F) {
	table, kept, err := build(packages(40), 4096)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(table.Bytes())
	f.Add([]byte("hsindex1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := index.ParseTable(data)
		if err != nil {
			return
		}
		if !bytes.Equal(table.Bytes(), data) {
			t.Fatal("a table was read that is not what it would be written as")
		}
		x := index.New(table, bytes.NewReader(kept))
		_, _ = x.Named("p1")
		_, _ = x.Providing("all-of-them")
	})
}

// A builder accepts what deb.Stanzas does, and keeps the same of it.
func FuzzBuilder(f *testing.F) {
	f.Add(packages(5), 10)
	f.Add([]byte("Package: aa\nversion: 2\nVersion: 1\nArchitecture: all\nDepends: x\n y\n\n\n\nPackage: bb\nVersion: 1\nArchitecture: amd64"), 1)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		if step < 1 {
			return
		}
		table, kept, err := build(text, step)
		var want []deb.Stanza
		var wrong error
		for s, err := range deb.Stanzas(text) {
			var h index.Head
			if err == nil {
				h, err = index.HeadOf(s, "amd64")
			}
			if err == nil && h.Provides != "" {
				_, err = deb.ParseRelations(h.Provides, "amd64")
			}
			if err != nil {
				wrong = err
				break
			}
			if h.Arch != "" {
				want = append(want, s)
			}
		}
		if (err != nil) != (wrong != nil) {
			t.Fatalf("builder says %v, deb.Stanzas %v", err, wrong)
		}
		if err != nil {
			return
		}
		i := 0
		for s, err := range index.New(table, bytes.NewReader(kept)).All() {
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{"Package", "Version", "Architecture", "Depends", "Provides", "Size"} {
				if got, want := s.Get(f), want[i].Get(f); got != want {
					t.Fatalf("package %d: %s is %q, want %q", i, f, got, want)
				}
			}
			i++
		}
		if i != len(want) {
			t.Fatalf("%d packages, want %d", i, len(want))
		}
	})
}
