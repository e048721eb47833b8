package resolve

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/internal/misspelt"
)

// UnsatisfiedError explains a dependency that nothing can satisfy.
type UnsatisfiedError struct {
	Chain   []string // from the image to the package that needs Clause
	Clause  deb.Clause
	Reasons []string // one an alternative
}

func (e *UnsatisfiedError) Error() string {
	var b strings.Builder
	for i, name := range e.Chain[1:] {
		fmt.Fprintf(&b, "%s needs %s; ", e.Chain[i], name)
	}
	fmt.Fprintf(&b, "%s needs %s: %s", e.Chain[len(e.Chain)-1], e.Clause, strings.Join(e.Reasons, "; "))
	return b.String()
}

// impossible returns an error for every wanted clause that has no candidate at
// all. The search would find one of them, after it has tried everything else.
func (s *solver) impossible(g *goal) error {
	var all []error
	for ; g != nil; g = g.next {
		if s.satisfied(g) {
			continue
		}
		e := &UnsatisfiedError{Chain: s.chain(nil), Clause: g.clause}
		for _, r := range g.clause {
			candidates, reason := s.candidates(r)
			if len(candidates) > 0 {
				e = nil
				break
			}
			e.Reasons = append(e.Reasons, reason+s.nearest(r.Name))
		}
		if e != nil {
			all = append(all, e)
		}
	}
	return errors.Join(all...)
}

// blame returns the errors of the wanted clauses that cannot be satisfied even
// on their own, and errSteps if it is all of them together.
func (s *solver) blame(g *goal) error {
	var all []error
	for ; g != nil; g = g.next {
		alone := &solver{universe: s.universe, request: s.request, chosen: map[string]*selected{}}
		if err := cmp.Or(alone.install(), alone.solve(&goal{clause: g.clause})); err != nil && !errors.Is(err, errSteps) {
			all = append(all, err)
		}
	}
	return cmp.Or(errors.Join(all...), errSteps)
}

// nearest suggests a package for a name that none has.
func (s *solver) nearest(name string) string {
	u := s.universe
	if len(u.packagesNamed(name)) > 0 || len(u.providersOf(name)) > 0 {
		return ""
	}
	best, distance := "", min(2, (len(name)-1)/2)+1
	consider := func(other string) {
		if d := len(other) - len(name); d >= distance+1 || -d >= distance+1 {
			return
		}
		if d := misspelt.Distance(name, other); d < distance || d == distance && best != "" && other < best {
			best, distance = other, d
		}
	}
	for other := range u.packages {
		consider(other)
	}
	for _, x := range u.indexes {
		for stanza, err := range x.All() {
			if u.fail(x, err); err != nil {
				break
			}
			consider(stanza.Get("Package"))
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}
