package build

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/fresh"
	"github.com/hardstand/hardstand/build/spec"
)

// FreshOptions is what freshness is judged by.
type FreshOptions struct {
	Floors map[string]time.Time // as for Lock
	// Grace is how long an update may be out before it counts. An index does not
	// say since when it has a package, but the lock says of which date the index
	// was that it took the newest from: what is newer came after that. An update
	// of which this does not show that it is younger counts.
	Grace     time.Duration
	Now       time.Time
	Platforms []spec.Platform // nil means all
	Base      *Base           // as for LockWith
	Cache     *cache.Cache    // keeps the base's layers
}

// Freshness is what the security suite has for the packages of an image.
type Freshness struct {
	fresh.Suite
	Outdated []Outdated // in order of platforms and names
}

// Outdated is a package for which the security suite has an update.
type Outdated struct {
	Platform spec.Platform
	fresh.Update
	// Since is when the update cannot have been out yet, zero where that is not
	// known: it came later than that.
	Since time.Time
	// Grace reports that it came so late that it does not count yet.
	Grace bool
}

// Counts returns the packages whose updates count.
func (f *Freshness) Counts() []Outdated {
	return slices.DeleteFunc(slices.Clone(f.Outdated), func(o Outdated) bool { return o.Grace })
}

// CheckFresh asks the archive's security suite, and nothing else, for updates
// of the packages of a lock and of the image that its definition starts from.
// What cannot be asked is an error, never freshness. Packages from elsewhere
// count as Debian's if they have the names of Debian's sources.
func CheckFresh(ctx context.Context, a *apt.Archive, d *spec.Definition, l *spec.Lock, o FreshOptions) (*Freshness, error) {
	suite := d.Debian.Suite + "-security"
	f := &Freshness{Suite: fresh.Suite{Name: suite}}
	platforms, err := choosePlatforms(d, o.Platforms)
	if err != nil {
		return nil, err
	}
	packages, all, arches := map[spec.Platform][]aged{}, []fresh.Installed{}, map[string]bool{}
	for _, p := range platforms {
		list, err := agedPackages(ctx, d, l, p, o)
		if err != nil {
			return nil, fmt.Errorf("check %s for updates: %w", d.Name, err)
		}
		packages[p] = list
		for _, i := range list {
			all, arches[p.DebianArch()] = append(all, i.Installed), true
		}
	}
	if len(all) == 0 {
		return f, nil // there is nothing that could be outdated
	}
	offers, err := a.Offers(ctx, []string{suite}, component, slices.Sorted(maps.Keys(arches)), o.Floors, all)
	if err != nil {
		return nil, fmt.Errorf("check %s for updates: %w", d.Name, err)
	}
	f.Suite = offers.Suites[0]
	for _, p := range platforms {
		for _, i := range packages[p] {
			u, pending, err := offers.Update(i.Installed)
			if err != nil {
				return nil, fmt.Errorf("check %s for updates: %w", d.Name, err)
			}
			if !i.since.Before(f.Date) {
				i.since = time.Time{} // the lock did not take what its own index had
			}
			if pending {
				grace := !i.since.IsZero() && o.Now.Sub(i.since) < o.Grace
				f.Outdated = append(f.Outdated, Outdated{Platform: p, Update: u, Since: i.since, Grace: grace})
			}
		}
	}
	return f, nil
}

// aged is an installed package, and when the archive had no newer one.
type aged struct {
	fresh.Installed
	since time.Time
}

// agedPackages lists the packages of a platform.
func agedPackages(ctx context.Context, d *spec.Definition, l *spec.Lock, p spec.Platform, o FreshOptions) ([]aged, error) {
	since := l.Floors()[d.Debian.Suite+"-security"]
	if len(d.Debs) > 0 || d.From != nil {
		since = time.Time{} // what they depend on may have held others back
	}
	locked, ok := l.Platforms[p.String()]
	if !ok {
		return nil, fmt.Errorf("the lock has no packages for %s: run hardstand lock", p)
	}
	var list []aged
	for _, pkg := range locked {
		i := aged{fresh.Installed{Name: pkg.Name, Version: pkg.Version, Arch: pkg.Architecture, Source: pkg.Source, SourceVersion: pkg.SourceVersion}, since}
		if heldBack(d, pkg.Name) {
			i.since = time.Time{} // the newest was not what was taken
		}
		list = append(list, i)
	}
	installed, err := o.Base.installed(ctx, o.Cache, p)
	if err != nil {
		return nil, err
	}
	for s, err := range deb.Stanzas(installed) {
		if err != nil {
			return nil, fmt.Errorf("read packages of %s: %w", o.Base.Reference, err)
		}
		list = append(list, aged{Installed: fresh.InstalledFrom(s)})
	}
	slices.SortStableFunc(list, func(a, b aged) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// heldBack reports whether the definition bounds a package's version from
// above, so that a newer one may have been there.
func heldBack(d *spec.Definition, name string) bool {
	for _, want := range d.Packages {
		clauses, err := deb.ParseRelations(want, "")
		if err != nil {
			return true // it resolved once, so this does not happen; if it does, nothing is excused
		}
		for _, c := range clauses {
			for _, r := range c {
				if r.Name == name && (r.Op == "<<" || r.Op == "<=" || r.Op == "=") {
					return true
				}
			}
		}
	}
	return false
}
