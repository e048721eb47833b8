// Package fresh tells of which installed Debian packages an archive has newer
// ones. It is the one place that says what "an update is pending" means: for
// locks, for builds, and for images made elsewhere.
//
// It reads neither network nor disk. Whoever adds to Offers has verified the
// archive's signature.
package fresh

import (
	"fmt"
	"time"

	"github.com/hardstand/hardstand/build/deb"
)

// Installed is a Debian package in an image.
type Installed struct {
	Name, Version string
	Arch          string // Debian's name of the architecture, or "all"
	// Source and SourceVersion are what it was built from. Where they are
	// unknown, only packages of the same name are compared.
	Source, SourceVersion string
}

// InstalledFrom reads a paragraph of dpkg's database.
func InstalledFrom(s deb.Stanza) Installed {
	p := Installed{Name: s.Get("Package"), Version: s.Get("Version"), Arch: s.Get("Architecture")}
	p.Source, p.SourceVersion = s.Source()
	return p
}

// Suite is one whose index was read.
type Suite struct {
	Name      string    `json:"suite"`
	Date      time.Time `json:"date"`      // when the archive made its index, as signed
	InRelease string    `json:"inrelease"` // "sha256:" of the signed file
}

// Update is a newer package for an installed one.
type Update struct {
	Installed
	Suite string // that offers it
	// Available is the newest version of the package of that name, empty where
	// the architecture has none that is newer: it was not built yet, or is no
	// longer built.
	Available string
	// AvailableSource is the newest version of its source, empty where there is
	// none that is newer: the package was rebuilt.
	AvailableSource string
}

// Offers is what suites have for the packages that are asked about. It holds
// nothing of others, so that an archive's index can be walked through it.
type Offers struct {
	Suites []Suite

	names, sources map[string]bool // that are asked about
	arches         map[string]bool // that were added
	packages       map[key]offer
	built          map[key]offer // the newest source, by the index that has packages of it
}

// key is a package or a source, and an architecture.
type key struct{ name, arch string }

type offer struct{ version, suite string }

// NewOffers returns offers for a list of packages, with nothing on offer yet.
func NewOffers(installed []Installed) *Offers {
	o := &Offers{names: map[string]bool{}, sources: map[string]bool{}, arches: map[string]bool{}, packages: map[key]offer{}, built: map[key]offer{}}
	for _, p := range installed {
		o.names[p.Name] = true
		if p.Source != "" {
			o.sources[p.Source] = true
		}
	}
	return o
}

// Add takes a package of a suite's index for an architecture.
func (o *Offers) Add(suite, arch string, s deb.Stanza) error {
	o.arches[arch] = true
	name := s.Get("Package")
	source, sourceVersion := s.Source()
	if o.names[name] {
		if err := take(o.packages, key{name, s.Get("Architecture")}, offer{s.Get("Version"), suite}); err != nil {
			return fmt.Errorf("package %s: %w", name, err)
		}
	}
	if o.sources[source] {
		if err := take(o.built, key{source, arch}, offer{sourceVersion, suite}); err != nil {
			return fmt.Errorf("package %s: source %s: %w", name, source, err)
		}
	}
	return nil
}

// take keeps the newest of each; of equals, the first.
func take(m map[key]offer, k key, o offer) error {
	if !deb.ValidVersion(o.version) {
		return fmt.Errorf("bad version %q", o.version)
	}
	if old, ok := m[k]; !ok || deb.CompareVersions(o.version, old.version) > 0 {
		m[k] = o
	}
	return nil
}

// Has reports whether a package of that name is on offer, in any version.
func (o *Offers) Has(p Installed) bool {
	_, ok := o.packages[key{p.Name, p.Arch}]
	return ok
}

// Update reports whether a newer package is on offer: one of the same name and
// architecture, or any that was built from a newer version of its source. The
// second finds what was fixed where a library's package has another name by
// now; the first what was rebuilt from the same source. Debian's order of
// versions decides.
func (o *Offers) Update(p Installed) (Update, bool, error) {
	u := Update{Installed: p}
	if !deb.ValidVersion(p.Version) {
		return u, false, fmt.Errorf("package %s: bad version %q", p.Name, p.Version)
	}
	if same, ok := o.packages[key{p.Name, p.Arch}]; ok && deb.CompareVersions(same.version, p.Version) > 0 {
		u.Available, u.Suite = same.version, same.suite
	}
	if p.Source == "" {
		return u, u.Suite != "", nil
	}
	if !deb.ValidVersion(p.SourceVersion) {
		return u, false, fmt.Errorf("package %s: source %s: bad version %q", p.Name, p.Source, p.SourceVersion)
	}
	for arch := range o.arches {
		if p.Arch != "all" && p.Arch != arch {
			continue
		}
		newer, ok := o.built[key{p.Source, arch}]
		if !ok || deb.CompareVersions(newer.version, p.SourceVersion) <= 0 {
			continue
		}
		if u.AvailableSource == "" || deb.CompareVersions(newer.version, u.AvailableSource) > 0 {
			u.AvailableSource = newer.version
			if u.Available == "" {
				u.Suite = newer.suite
			}
		}
	}
	return u, u.Suite != "", nil
}
