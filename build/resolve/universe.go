// Package resolve chooses the binary packages that satisfy a request, from
// control stanzas alone: pure functions, no network, no files, no clock.
//
// The rules are those of Debian Policy chapter 7: Pre-Depends and Depends with
// alternatives, virtual packages with and without versions, architecture
// qualifiers, Conflicts and Breaks. Recommends are not followed.
package resolve

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/index"
)

// Universe is every package that could be chosen. Build it with Add and
// AddIndex.
type Universe struct {
	arch     string
	suites   []string
	packages map[string][]*Package // by name
	provides map[string][]provider // by virtual name
	indexes  []indexed
	replaced map[string]bool // names whose packages in the indexes do not count
	// installed are the packages that are there already.
	installed []*Package
	// What was looked up so far, in the order in which candidates are tried.
	named     map[string][]*Package
	providing map[string][]provider
	err       error // the first that an index gave
}

// indexed is the index of a suite. Its packages are read when they are asked
// for.
type indexed struct {
	suite string
	*index.Index
	read map[uint32]*Package
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

type provided struct {
	name string
	provider
}

// NewUniverse returns an empty universe for an architecture.
func NewUniverse(arch string) *Universe {
	return &Universe{arch: arch, packages: map[string][]*Package{}, provides: map[string][]provider{}, replaced: map[string]bool{}}
}

// AddIndex adds the packages of a suite's index, which must have been built for
// the universe's architecture and stay open until everything is resolved.
func (u *Universe) AddIndex(suite string, x *index.Index) {
	u.suites = append(u.suites, suite)
	u.indexes = append(u.indexes, indexed{suite, x, map[uint32]*Package{}})
	u.forget()
}

// Add adds the packages of a suite's index. The universe keeps aliases of
// data. A stanza that names no package is an error.
func (u *Universe) Add(suite string, data []byte) error {
	u.suites = append(u.suites, suite)
	u.forget()
	for s, err := range deb.Stanzas(data) {
		if err != nil {
			return fmt.Errorf("read index of %s: %w", suite, err)
		}
		p, provides, err := u.parse(suite, s)
		if err != nil {
			return fmt.Errorf("read index of %s: %w", suite, err)
		}
		if p == nil {
			continue
		}
		u.packages[p.Name] = append(u.packages[p.Name], p)
		for _, v := range provides {
			u.provides[v.name] = append(u.provides[v.name], v.provider)
		}
	}
	return nil
}

// parse reads a package, which is nil if it is for another architecture, and
// what it provides.
func (u *Universe) parse(suite string, s deb.Stanza) (*Package, []provided, error) {
	h, err := index.HeadOf(s, u.arch)
	if err != nil || h.Arch == "" {
		return nil, nil, err
	}
	p := &Package{Name: h.Name, Version: h.Version, Arch: h.Arch, Suite: suite, Stanza: s}
	if h.Provides == "" {
		return p, nil, nil
	}
	clauses, err := deb.ParseRelations(h.Provides, u.arch)
	if err != nil {
		return nil, nil, fmt.Errorf("package %s: Provides: %w", p.Name, err)
	}
	var list []provided
	for _, c := range clauses {
		list = append(list, provided{c[0].Name, provider{p, c[0].Version}})
	}
	return p, list, nil
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
	u.forget()
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
	for name := range own.packages {
		u.replaced[name] = true
	}
	for name, list := range own.provides {
		u.provides[name] = append(u.provides[name], list...)
	}
	u.suites = append(u.suites, from)
	u.forget()
	return nil
}

// forget drops what was looked up: there is more to look at now.
func (u *Universe) forget() {
	u.named, u.providing = map[string][]*Package{}, map[string][]provider{}
}

// packagesNamed returns the packages of a name, the highest version first,
// whatever the order in which suites were added.
func (u *Universe) packagesNamed(name string) []*Package {
	list, ok := u.named[name]
	if ok {
		return list
	}
	if !u.replaced[name] {
		for _, x := range u.indexes {
			found, err := x.Named(name)
			u.fail(x, err)
			for _, f := range found {
				if p, _ := u.known(x, f); p != nil && p.Name == name {
					list = append(list, p)
				}
			}
		}
	}
	list = append(list, u.packages[name]...)
	slices.SortFunc(list, newestFirst)
	u.named[name] = list
	return list
}

// providersOf returns the packages that provide a name, the most important
// first.
func (u *Universe) providersOf(name string) []provider {
	list, ok := u.providing[name]
	if ok {
		return list
	}
	for _, x := range u.indexes {
		found, err := x.Providing(name)
		u.fail(x, err)
		for _, f := range found {
			p, provides := u.known(x, f)
			if p == nil || u.replaced[p.Name] {
				continue
			}
			for _, v := range provides {
				if v.name == name {
					list = append(list, provider{p, v.version})
				}
			}
		}
	}
	list = append(list, u.provides[name]...)
	slices.SortFunc(list, func(a, b provider) int {
		return cmp.Or(cmp.Compare(rank(a.pkg), rank(b.pkg)), cmp.Compare(a.pkg.Name, b.pkg.Name), newestFirst(a.pkg, b.pkg))
	})
	u.providing[name] = list
	return list
}

// known returns the one Package that stands for a stanza of an index.
func (u *Universe) known(x indexed, f index.Found) (*Package, []provided) {
	p, provides, err := u.parse(x.suite, f.Stanza)
	if u.fail(x, err); err != nil || p == nil {
		return nil, nil
	}
	old, ok := x.read[f.At]
	if !ok {
		x.read[f.At] = p
		return p, provides
	}
	for i := range provides {
		provides[i].pkg = old
	}
	return old, provides
}

// fail notes an error, which Resolve returns: an index that cannot be read says
// nothing about what there is.
func (u *Universe) fail(x indexed, err error) {
	if err != nil && u.err == nil {
		u.err = fmt.Errorf("read index of %s: %w", x.suite, err)
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
