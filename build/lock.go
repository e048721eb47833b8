// Package build turns a definition into images. Lock resolves a definition
// against a signed archive; Assemble composes the images that a lock pins. It
// is the only place where the packages below build meet.
//
// The unit of work is one Debian package: unpacked once, filtered, normalised
// and compressed into a segment that is cached under everything that shaped
// it. A layer is segments strung together, and an image is layers.
package build

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/index"
	"github.com/hardstand/hardstand/build/resolve"
	"github.com/hardstand/hardstand/build/spec"
)

// component is the part of the archive that images are made of: what Debian
// itself maintains and licenses freely.
const component = "main"

// Lock resolves a definition against the archive as it is now. No suite may be
// older than floors says; a suite that it does not name may have any date.
func Lock(ctx context.Context, a *apt.Archive, d *spec.Definition, floors map[string]time.Time) (*spec.Lock, error) {
	return LockWith(ctx, a, d, LockOptions{Floors: floors})
}

// LockOptions is what a lock depends on beside definition and archive.
type LockOptions struct {
	Floors map[string]time.Time // as for Lock
	// Base is the verified image that the definition starts from, if it does:
	// its packages count as installed.
	Base *Base
	// Debs are the files of the definition's own packages, by SHA-256.
	Debs map[string]string
	// Platforms is a choice of the definition's for a lock that is not kept;
	// nil means all.
	Platforms []spec.Platform
	// Cache keeps the base's layers and the packages. Without either it is
	// not needed.
	Cache *cache.Cache
}

// LockWith is Lock for a definition that starts from another image or brings
// packages of its own.
func LockWith(ctx context.Context, a *apt.Archive, d *spec.Definition, o LockOptions) (*spec.Lock, error) {
	if err := o.Base.fits(d); err != nil {
		return nil, fmt.Errorf("lock %s: %w", d.Name, err)
	}
	if len(d.Packages) == 0 && len(d.Debs) == 0 {
		return emptyLock(d), nil
	}
	local, err := readDebs(d, o)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", d.Name, err)
	}
	releases, err := readReleases(ctx, a, d, o.Floors)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", d.Name, err)
	}
	l := emptyLock(d)
	platforms, err := choosePlatforms(d, o.Platforms)
	if err != nil {
		return nil, err
	}
	if len(platforms) < len(d.Platforms) {
		l.Only = platforms
	}
	for _, r := range releases {
		l.Suites = append(l.Suites, spec.LockedSuite{
			Suite: r.Suite, Version: r.Version, Date: r.Date, InRelease: "sha256:" + string(r.Digest), Keys: r.Keys,
		})
	}
	for _, p := range platforms {
		given := given{local: local}
		if given.installed, err = o.Base.installed(ctx, o.Cache, p); err != nil {
			return nil, fmt.Errorf("lock %s for %s: %w", d.Name, p, err)
		}
		packages, err := lockPlatform(ctx, a, d, releases, p, given)
		if err != nil {
			return nil, fmt.Errorf("lock %s for %s: %w", d.Name, p, err)
		}
		l.Platforms[p.String()] = packages
	}
	return l, nil
}

// emptyLock is the lock of a definition without packages, which needs no
// archive.
func emptyLock(d *spec.Definition) *spec.Lock {
	l := &spec.Lock{
		Version: spec.LockVersion, Name: d.Name, Definition: spec.DigestOf(d.LockInput()),
		Suites: []spec.LockedSuite{}, Platforms: map[string][]*spec.Package{},
	}
	if d.From != nil {
		l.From = d.From.Image
	}
	for _, p := range d.Platforms {
		l.Platforms[p.String()] = []*spec.Package{}
	}
	return l
}

func readReleases(ctx context.Context, a *apt.Archive, d *spec.Definition, floors map[string]time.Time) ([]*apt.Release, error) {
	suites := d.Debian.Suites()
	releases, errs := make([]*apt.Release, len(suites)), make([]error, len(suites))
	var wg sync.WaitGroup
	for i, suite := range suites {
		wg.Go(func() { releases[i], errs[i] = a.Release(ctx, suite, floors[suite]) })
	}
	wg.Wait()
	for _, err := range errs { // the first suite's error, not whichever came first
		if err != nil {
			return nil, err
		}
	}
	return releases, nil
}

// given are packages that no archive has.
type given struct {
	installed []byte // in the form of dpkg's database
	local     []localDeb
}

// lockPlatform resolves for one platform, once more if an index that the cache
// kept turns out to be damaged.
func lockPlatform(ctx context.Context, a *apt.Archive, d *spec.Definition, releases []*apt.Release, p spec.Platform, given given) ([]*spec.Package, error) {
	packages, err := resolvePlatform(ctx, a, d, releases, p, given)
	if !errors.Is(err, index.ErrDamaged) {
		return packages, err
	}
	for _, r := range releases {
		a.ForgetIndex(r, component, p.DebianArch())
	}
	return resolvePlatform(ctx, a, d, releases, p, given)
}

func resolvePlatform(ctx context.Context, a *apt.Archive, d *spec.Definition, releases []*apt.Release, p spec.Platform, given given) ([]*spec.Package, error) {
	indexes := make([]*index.Index, len(releases))
	defer func() {
		for _, x := range indexes {
			if x != nil {
				_ = x.Close() // opened for reading
			}
		}
	}()
	g, gctx := errgroup.WithContext(ctx)
	for i, r := range releases {
		g.Go(func() error {
			var err error
			indexes[i], err = a.Index(gctx, r, component, p.DebianArch())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	u := resolve.NewUniverse(p.DebianArch())
	for i, r := range releases {
		u.AddIndex(r.Suite, indexes[i])
	}
	own, local := candidates(given.local, p)
	if err := u.Replace(spec.Local, local); err != nil {
		return nil, err
	}
	if err := u.Install(baseOwner, given.installed); err != nil {
		return nil, err
	}
	choices, err := resolve.Resolve(u, resolve.Request{For: d.Name, Want: slices.Concat(own, d.Packages), Deny: d.Deny, Ignore: d.IgnoreDepends})
	if err != nil {
		return nil, err
	}
	packages := make([]*spec.Package, 0, len(choices))
	for _, c := range choices {
		pkg, err := lockPackage(c)
		if err != nil {
			return nil, err
		}
		packages = append(packages, pkg)
	}
	return packages, nil
}

func archiveOf(suite string) string {
	if suite == spec.Local {
		return spec.Local
	}
	return apt.ArchiveOf(suite)
}

func lockPackage(c resolve.Choice) (*spec.Package, error) {
	digest, err := cache.ParseDigest(c.Stanza.Get("SHA256"))
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", c.Name, err)
	}
	size, err := strconv.ParseInt(c.Stanza.Get("Size"), 10, 64)
	if err != nil || size <= 0 {
		return nil, fmt.Errorf("package %s: bad size %q", c.Name, c.Stanza.Get("Size"))
	}
	source, sourceVersion := c.Stanza.Source()
	return &spec.Package{
		Name: c.Name, Version: c.Version, Architecture: c.Arch, Source: source, SourceVersion: sourceVersion,
		Suite: c.Suite, Archive: archiveOf(c.Suite), Path: c.Stanza.Get("Filename"),
		SHA256: string(digest), Size: size, For: c.For, Ignored: c.Ignored,
	}, nil
}
