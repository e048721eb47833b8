// Package resolve chooses the binary packages that satisfy a request, from
// control stanzas alone: pure functions, no network, no files, no clock.
//
// The rules are those of Debian Policy chapter 7: Pre-Depends and Depends with
// alternatives, virtual packages with and without versions, architecture
// qualifiers, Conflicts and Breaks. Recommends are not followed.
package resolve

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/hardstand/hardstand/build/deb"
)

// Universe is every package that could be chosen. Build it with Add.
type Universe struct {
	arch     string
	suites   []string
	packages map[string][]*Package // by name, highest version first
	provides map[string][]provider // by virtual name
	sorted   bool
	// installed are the packages that are there already.
	installed []*Package
}

// Package is one candidate.
type Package struct {
	Name, Version, Arch string
	Suite               string
	Stanza              deb.Stanza
}

type provider struct {
	pkg     *Package
	version string // "" for an unversioned provide
}

// NewUniverse returns an empty universe for an architecture.
func NewUniverse(arch string) *Universe {
	return &Universe{arch: arch, packages: map[string][]*Package{}, provides: map[string][]provider{}}
}

// Add adds the packages of a suite's index. The universe keeps aliases of
// data. A stanza that names no package is an error.
func (u *Universe) Add(suite string, data []byte) error {
	u.suites, u.sorted = append(u.suites, suite), false
	for s, err := range deb.Stanzas(data) {
		if err != nil {
			return fmt.Errorf("read index of %s: %w", suite, err)
		}
		p := &Package{Suite: suite, Stanza: s}
		var provides []byte
		for line := range bytes.Lines(s) {
			switch {
			case field(line, "Package: ", &p.Name), field(line, "Version: ", &p.Version), field(line, "Architecture: ", &p.Arch):
			case bytes.HasPrefix(line, []byte("Provides: ")):
				provides = line[len("Provides: "):]
			}
		}
		if p.Arch != "all" && p.Arch != u.arch {
			continue
		}
		if err := s.Check(); err != nil {
			return fmt.Errorf("read index of %s: %w", suite, err)
		}
		u.packages[p.Name] = append(u.packages[p.Name], p)
		if provides == nil {
			continue
		}
		clauses, err := deb.ParseRelations(string(provides), u.arch)
		if err != nil {
			return fmt.Errorf("read index of %s: package %s: Provides: %w", suite, p.Name, err)
		}
		for _, c := range clauses {
			u.provides[c[0].Name] = append(u.provides[c[0].Name], provider{p, c[0].Version})
		}
	}
	return nil
}

// Install adds packages that are there already, in the form of dpkg's database:
// they satisfy dependencies, are no choices, and no other version of them can be
// chosen. from says where they are, in messages.
func (u *Universe) Install(from string, data []byte) error {
	own := NewUniverse(u.arch)
	if err := own.Add(from, data); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(own.packages)) {
		u.packages[name] = append(u.packages[name], own.packages[name]...)
		u.installed = append(u.installed, own.packages[name]...)
	}
	for name, list := range own.provides {
		u.provides[name] = append(u.provides[name], list...)
	}
	u.sorted = false
	return nil
}

// Replace adds packages in place of all others of their names: no archive's
// version of them can be chosen, however high. from says where they are.
func (u *Universe) Replace(from string, data []byte) error {
	own := NewUniverse(u.arch)
	if err := own.Add(from, data); err != nil {
		return err
	}
	if len(own.packages) == 0 {
		return nil
	}
	for name, list := range u.provides {
		u.provides[name] = slices.DeleteFunc(list, func(p provider) bool { return own.packages[p.pkg.Name] != nil })
	}
	maps.Copy(u.packages, own.packages)
	for name, list := range own.provides {
		u.provides[name] = append(u.provides[name], list...)
	}
	u.suites, u.sorted = append(u.suites, from), false
	return nil
}

func field(line []byte, prefix string, value *string) bool {
	if !bytes.HasPrefix(line, []byte(prefix)) {
		return false
	}
	*value = string(bytes.TrimSpace(line[len(prefix):]))
	return true
}

// sort makes the order of candidates independent of the order of Add.
func (u *Universe) sort() {
	if u.sorted {
		return
	}
	u.sorted = true
	slices.Sort(u.suites)
	for _, list := range u.packages {
		slices.SortFunc(list, newestFirst)
	}
	for _, list := range u.provides {
		slices.SortFunc(list, func(a, b provider) int {
			return cmp.Or(cmp.Compare(rank(a.pkg), rank(b.pkg)), cmp.Compare(a.pkg.Name, b.pkg.Name), newestFirst(a.pkg, b.pkg))
		})
	}
}

func newestFirst(a, b *Package) int {
	return cmp.Or(deb.CompareVersions(b.Version, a.Version), cmp.Compare(a.Suite, b.Suite))
}

var priorities = []string{"required", "important", "standard", "optional"}

// rank orders providers of a virtual package by their priority.
func rank(p *Package) int {
	if i := slices.Index(priorities, p.Stanza.Get("Priority")); i >= 0 {
		return i
	}
	return len(priorities)
}
