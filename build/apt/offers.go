package apt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hardstand/hardstand/build/fresh"
	"github.com/hardstand/hardstand/build/index"
)

// ErrSnapshot is wrapped when the archive as it is now is asked for, and every
// mirror shows it as it was.
var ErrSnapshot = errors.New("every mirror is a snapshot, which does not say what has come since")

// Offers reads what suites have for a list of packages, as of now: a snapshot
// is not asked, and a suite must not be older than floors says. Nothing of an
// index is used that the suite's signature does not cover.
func (a *Archive) Offers(ctx context.Context, suites []string, component string, arches []string, floors map[string]time.Time, installed []fresh.Installed) (*fresh.Offers, error) {
	now := *a
	now.mirrors = nil
	for _, m := range a.mirrors {
		if m.AsOf.IsZero() {
			now.mirrors = append(now.mirrors, m)
		}
	}
	if len(now.mirrors) == 0 && !a.offline {
		return nil, fmt.Errorf("read what is pending: %w: give another with --mirror URL", ErrSnapshot)
	}
	o := fresh.NewOffers(installed)
	for _, suite := range suites {
		r, err := now.Release(ctx, suite, floors[suite])
		if err != nil {
			return nil, err
		}
		o.Suites = append(o.Suites, fresh.Suite{Name: suite, Date: r.Date, InRelease: "sha256:" + string(r.Digest)})
		for _, arch := range arches {
			err := now.offer(ctx, o, r, component, arch)
			if errors.Is(err, index.ErrDamaged) { // what the cache kept: read it afresh
				err = now.offer(ctx, o, r, component, arch)
			}
			if err != nil {
				return nil, fmt.Errorf("suite %s: read what it has for %s: %w", suite, arch, err)
			}
		}
	}
	return o, nil
}

// offer adds the packages of a suite for an architecture.
func (a *Archive) offer(ctx context.Context, o *fresh.Offers, r *Release, component, arch string) error {
	packages, err := a.Index(ctx, r, component, arch)
	if err != nil {
		return err
	}
	defer func() { _ = packages.Close() }() // opened for reading
	for s, err := range packages.All() {
		if err == nil {
			err = o.Add(r.Suite, arch, s)
		}
		if err != nil {
			if errors.Is(err, index.ErrDamaged) {
				a.ForgetIndex(r, component, arch)
			}
			return err
		}
	}
	return nil
}
