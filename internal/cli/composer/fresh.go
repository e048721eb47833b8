package composer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/cli"
)

// freshOptions are the flags about pending security updates.
type freshOptions struct {
	fresh bool
	grace time.Duration
}

func (o *freshOptions) flags(flags *pflag.FlagSet, fresh string) {
	flags.BoolVar(&o.fresh, "fresh", false, fresh)
	flags.DurationVar(&o.grace, "grace", 0, "with --fresh, let updates pass that are younger than this, such as 48h: those of which the lock shows it")
}

func (o *freshOptions) check() error {
	switch {
	case o.grace < 0:
		return cli.Usagef("--grace %s is negative", o.grace)
	case o.grace > 0 && !o.fresh:
		return cli.Usagef("--grace says how --fresh is meant: give both")
	}
	return nil
}

// demanded returns the grace, the shorter one where flag and definition
// disagree, and whether either of them asks.
func (o *freshOptions) demanded(d *spec.Definition) (time.Duration, bool) {
	switch {
	case d.Fresh == nil:
		return o.grace, o.fresh
	case !o.fresh:
		return time.Duration(*d.Fresh), true
	}
	return min(o.grace, time.Duration(*d.Fresh)), true
}

// pending is what --json shows of an image's updates.
type pending struct {
	Name      string    `json:"name"`
	Suite     string    `json:"suite"`
	Date      time.Time `json:"date,omitzero"` // of the suite's index, as signed
	InRelease string    `json:"inrelease,omitempty"`
	Fresh     bool      `json:"fresh"`
	Updates   []update  `json:"updates"`
}

// update is one package's, of every platform that has the same.
type update struct {
	Package   string   `json:"package"`
	Installed string   `json:"installed"`
	Available string   `json:"available,omitempty"` // of the same package
	Source    string   `json:"source,omitempty"`
	From      string   `json:"sourceInstalled,omitempty"`
	To        string   `json:"sourceAvailable,omitempty"` // empty if it was rebuilt
	Platforms []string `json:"platforms"`
	// After is when the update was not out yet, absent where that is not known.
	After time.Time `json:"after,omitzero"`
	Grace bool      `json:"grace"` // does not count yet
}

// String says it in a line.
func (u update) String() string {
	to := u.Available
	if to == "" {
		to = u.To + " of source " + u.Source
	}
	return fmt.Sprintf("%s %s -> %s, for %s", u.Package, u.Installed, to, strings.Join(u.Platforms, ", "))
}

// pendingOf groups by package what platforms have in common.
func pendingOf(name string, found *build.Freshness) pending {
	p := pending{Name: name, Suite: found.Name, Date: found.Date, InRelease: found.InRelease, Fresh: len(found.Counts()) == 0, Updates: []update{}}
	for _, each := range found.Outdated {
		u := update{Package: each.Installed.Name, Installed: each.Version, Available: each.Available, Source: each.Source, From: each.SourceVersion,
			To: each.AvailableSource, After: each.Since, Grace: each.Grace}
		i := slices.IndexFunc(p.Updates, func(o update) bool {
			o.Platforms = nil
			return o.Package == u.Package && o.Installed == u.Installed && o.Available == u.Available && o.To == u.To && o.Grace == u.Grace
		})
		if i < 0 {
			i = len(p.Updates)
			p.Updates = append(p.Updates, u)
		}
		p.Updates[i].Platforms = append(p.Updates[i].Platforms, each.Platform.String())
	}
	slices.SortStableFunc(p.Updates, func(a, b update) int { return cmp.Compare(a.Package, b.Package) })
	return p
}

// refusal is the error of what counts, or nil.
func (p pending) refusal() error {
	var list []string
	for _, u := range p.Updates {
		if !u.Grace {
			list = append(list, u.String())
		}
	}
	if len(list) == 0 {
		return nil
	}
	return &cli.RefusedError{Err: fmt.Errorf("image %s is not fresh: %s of %s has %s: run hardstand lock",
		p.Name, p.Suite, p.Date.Format(time.RFC3339), strings.Join(list, "; "))}
}

// graced notes what does not count yet.
func (p pending) graced(f *cli.Frame) {
	for _, u := range p.Updates {
		if u.Grace {
			f.Note("image %s: %s has %s; it came after %s, so it does not count yet", p.Name, p.Suite, u, u.After.Format(time.RFC3339))
		}
	}
}

// checkFresh refuses to compose an image for which security updates are
// pending, where the flags or the definition demand that.
func (o *Options) checkFresh(ctx context.Context, f *cli.Frame, s *Source, a *apt.Archive, c *cache.Cache, l *spec.Lock, platforms []spec.Platform) error {
	grace, demanded := o.demanded(s.Definition)
	if !demanded {
		return nil
	}
	p, err := s.pending(ctx, f, a, c, l, build.FreshOptions{Grace: grace, Platforms: platforms, Floors: o.floors(s)})
	if errors.Is(err, apt.ErrOffline) {
		return &cli.RefusedError{Err: fmt.Errorf("whether image %s is fresh is not known: %w", s.Definition.Name, err)}
	}
	if err != nil {
		return err
	}
	p.graced(f)
	return p.refusal()
}

// pending asks the archive for what a lock has not.
func (s *Source) pending(ctx context.Context, f *cli.Frame, a *apt.Archive, c *cache.Cache, l *spec.Lock, o build.FreshOptions) (pending, error) {
	o.Now, o.Base, o.Cache = f.Now(), s.base, c
	found, err := build.CheckFresh(ctx, a, s.Definition, l, o)
	if err != nil {
		return pending{}, err
	}
	return pendingOf(s.Definition.Name, found), nil
}

// runFresh asks for every lock of some definitions whether updates are pending
// in the security suite.
func runFresh(ctx context.Context, f *cli.Frame, o lockOptions, args []string) error {
	var list []pending
	for _, arg := range args {
		sources, err := lockedSources(arg, true)
		if err != nil {
			return err
		}
		for _, s := range sources {
			p, err := o.freshness(ctx, f, s)
			if err != nil {
				return err
			}
			list = append(list, p)
		}
	}
	var errs []error
	if o.json {
		errs = append(errs, f.PrintJSON(list))
	}
	stale := 0
	for _, p := range list {
		if !o.json {
			p.print(f)
		}
		if !p.Fresh {
			stale++
		}
	}
	if stale > 0 {
		errs = append(errs, &cli.RefusedError{Err: fmt.Errorf("security updates are pending for %d of %d locks: run hardstand lock", stale, len(list))})
	}
	return errors.Join(errs...)
}

// freshness judges one lock.
func (o lockOptions) freshness(ctx context.Context, f *cli.Frame, s *Source) (pending, error) {
	d := s.Definition
	switch {
	case s.lockErr != nil:
		return pending{}, s.lockErr
	case s.Lock == nil:
		return pending{}, fmt.Errorf("image %s has no lock: run hardstand lock", d.Name)
	case !s.Lock.Matches(d):
		return pending{}, fmt.Errorf("image %s: %w", d.Name, build.ErrStaleLock)
	}
	if err := s.Lock.Check(d); err != nil {
		return pending{}, err
	}
	if err := o.openFrom(ctx, s); err != nil {
		return pending{}, err
	}
	c, err := openCache(f)
	if err != nil {
		return pending{}, err
	}
	progress := f.NewProgress("reading the archive", o.quiet)
	defer progress.Stop()
	a, err := o.open(f, c, d, progress)
	if err != nil {
		return pending{}, err
	}
	grace, demanded := o.demanded(d)
	if !demanded {
		grace = o.grace
	}
	return s.pending(ctx, f, a, c, s.Lock, build.FreshOptions{Grace: grace, Floors: o.floors(s)})
}

// print shows a person what is pending.
func (p pending) print(f *cli.Frame) {
	state := "updates are pending"
	switch {
	case len(p.Updates) == 0:
		state = "nothing is pending"
	case p.Fresh:
		state = "updates are pending that do not count yet"
	}
	if p.Date.IsZero() {
		fmt.Fprintf(f.Stdout, "%s: it has no packages\n", p.Name)
		return
	}
	fmt.Fprintf(f.Stdout, "%s: %s in %s of %s\n", p.Name, state, p.Suite, p.Date.Format(time.RFC3339))
	for _, u := range p.Updates {
		after := ""
		if !u.After.IsZero() {
			after = ", out after " + u.After.Format(time.RFC3339)
		}
		fmt.Fprintf(f.Stdout, "  %s%s\n", u, after)
	}
}
