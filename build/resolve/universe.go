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
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

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
	found, err := u.read(suite, data)
	if err != nil {
		return fmt.Errorf("read index of %s: %w", suite, err)
	}
	if len(u.packages) == 0 { // the largest index comes first: growing the map costs more than filling it
		n := 0
		for _, list := range found {
			n += len(list.packages)
		}
		u.packages = make(map[string][]*Package, n)
	}
	for _, list := range found {
		for i, p := range list.packages {
			if _, ok := u.packages[p.Name]; !ok {
				u.packages[p.Name] = list.packages[i : i+1 : i+1] // most names have one version
				continue
			}
			u.packages[p.Name] = append(u.packages[p.Name], p)
		}
		for _, p := range list.provides {
			u.provides[p.name] = append(u.provides[p.name], p.provider)
		}
	}
	return nil
}

// listed is what a part of an index says.
type listed struct {
	packages []*Package
	provides []provided
}

type provided struct {
	name string
	provider
}

// partSize is how much of an index one goroutine reads at least, in bytes.
const partSize = 1 << 20

// read reads an index in parts, side by side.
func (u *Universe) read(suite string, data []byte) ([]listed, error) {
	var parts [][]byte
	size := max(partSize, len(data)/runtime.GOMAXPROCS(0)+1)
	for rest := data; len(rest) > 0; {
		end := len(rest)
		if size < len(rest) {
			if i := bytes.Index(rest[size:], []byte("\n\n")); i >= 0 {
				end = size + i + 2
			}
		}
		parts, rest = append(parts, rest[:end]), rest[end:]
	}
	found, errs := make([]listed, len(parts)), make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { found[i], errs[i] = u.readPart(suite, part) })
	}
	wg.Wait()
	if errors.Join(errs...) == nil {
		return found, nil
	}
	all, err := u.readPart(suite, data) // so that the error counts lines from the start
	return []listed{all}, err
}

func (u *Universe) readPart(suite string, data []byte) (listed, error) {
	var l listed
	var slab []Package // one allocation for many
	for s, err := range deb.Stanzas(data) {
		if err != nil {
			return listed{}, err
		}
		p := Package{Suite: suite, Stanza: s}
		provides, err := p.read(u.arch)
		if err != nil {
			return listed{}, err
		}
		if p.Arch == "" {
			continue
		}
		if len(slab) == 0 {
			slab = make([]Package, 1024)
		}
		kept := &slab[0]
		slab, *kept = slab[1:], p
		l.packages = append(l.packages, kept)
		if provides == nil {
			continue
		}
		clauses, err := deb.ParseRelations(string(provides), u.arch)
		if err != nil {
			return listed{}, fmt.Errorf("package %s: Provides: %w", p.Name, err)
		}
		for _, c := range clauses {
			l.provides = append(l.provides, provided{c[0].Name, provider{kept, c[0].Version}})
		}
	}
	return l, nil
}

// read sets the fields that every candidate needs and returns Provides. The
// architecture stays empty if it is another one.
func (p *Package) read(arch string) (provides []byte, err error) {
	var name, version, own []byte
	for rest := []byte(p.Stanza); len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		switch line[0] {
		case 'P':
			if value, ok := bytes.CutPrefix(line, []byte("Package: ")); ok {
				name = value
			} else if value, ok := bytes.CutPrefix(line, []byte("Provides: ")); ok {
				provides = value
			}
		case 'V':
			if value, ok := bytes.CutPrefix(line, []byte("Version: ")); ok {
				version = value
			}
		case 'A':
			if value, ok := bytes.CutPrefix(line, []byte("Architecture: ")); ok {
				own = bytes.TrimSpace(value)
			}
		}
	}
	switch string(own) {
	case "all":
		p.Arch = "all"
	case arch:
		p.Arch = arch
	default:
		return nil, nil
	}
	p.Name, p.Version = string(bytes.TrimSpace(name)), string(bytes.TrimSpace(version))
	if !deb.ValidName(p.Name) {
		return nil, fmt.Errorf("bad package name %q", p.Name)
	}
	if !deb.ValidVersion(p.Version) {
		return nil, fmt.Errorf("package %s: bad version %q", p.Name, p.Version)
	}
	return provides, nil
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
