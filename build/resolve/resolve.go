package resolve

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/build/deb"
)

// Request says what is wanted. For is the image's name, used in messages.
type Request struct {
	For  string
	Want []string // package names, or relations such as "libssl3t64 (>= 3.5)"
	Deny []string // packages that must not be chosen, also not transitively
	// Ignore names packages whose absence is accepted: a dependency that one
	// of them would satisfy counts as satisfied, and nothing is installed for
	// it. The same as dpkg's --ignore-depends.
	Ignore []string
}

// Choice is a chosen package and why it was chosen.
type Choice struct {
	*Package
	For     string   // the package or image that asked for it first
	Ignored []string // dependencies of it that Ignore waived
}

// maxSteps bounds the search. Debian's real graphs need almost no
// backtracking; this is for adversarial ones.
const maxSteps = 200_000

// errSteps is returned when the bound is hit.
var errSteps = errors.New("the dependencies are too tangled to resolve")

// Resolve returns the chosen packages in order of their names.
func Resolve(u *Universe, r Request) ([]Choice, error) {
	slices.Sort(u.suites)
	s := &solver{universe: u, request: r, chosen: map[string]*selected{}}
	if err := s.install(); err != nil {
		return nil, fmt.Errorf("%s: %w", r.For, err)
	}
	var goals *goal
	for _, w := range slices.Backward(r.Want) {
		clauses, err := deb.ParseRelations(w, u.arch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.For, err)
		}
		for _, c := range clauses {
			goals = &goal{clause: c, next: goals}
		}
	}
	err := s.impossible(goals)
	if err == nil {
		if err = s.solve(goals); errors.Is(err, errSteps) {
			err = s.blame(goals)
		}
	}
	if u.err != nil {
		return nil, u.err
	}
	if err != nil {
		return nil, err
	}
	choices := make([]Choice, 0, len(s.chosen))
	for _, c := range s.chosen {
		if c.installed {
			continue
		}
		choices = append(choices, Choice{Package: c.pkg, For: s.askedBy(c), Ignored: s.ignored(c)})
	}
	slices.SortFunc(choices, func(a, b Choice) int { return strings.Compare(a.Name, b.Name) })
	return choices, nil
}

// selected is a package chosen for now.
type selected struct {
	pkg       *Package
	by        *selected // nil when the image asked for it
	needs     []deb.Clause
	conflicts []deb.Clause
	installed bool // before anything was chosen
}

// goal is a clause still to be satisfied, in a list that branches share.
type goal struct {
	clause deb.Clause
	by     *selected
	next   *goal
}

type solver struct {
	universe *Universe
	request  Request
	chosen   map[string]*selected
	steps    int
}

// solve satisfies the goals from the first on. A failure leaves chosen as it
// was. The error is that of the first alternative tried, the one a person
// would expect to be chosen.
func (s *solver) solve(g *goal) error {
	for g != nil && s.satisfied(g) {
		g = g.next
	}
	if g == nil {
		return nil
	}
	var first error
	var reasons []string
	for _, alternative := range g.clause {
		candidates, reason := s.candidates(alternative)
		for _, p := range candidates {
			if s.steps++; s.steps > maxSteps {
				return errSteps
			}
			sel, err := s.choose(p, g.by)
			if err != nil {
				reasons = append(reasons, err.Error())
				continue
			}
			next := g.next
			for _, c := range slices.Backward(sel.needs) {
				next = &goal{clause: c, by: sel, next: next}
			}
			if err = s.solve(next); err == nil {
				return nil
			}
			delete(s.chosen, p.Name)
			if errors.Is(err, errSteps) {
				return err
			}
			if first == nil {
				first = err
			}
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
	}
	if first != nil {
		return first
	}
	return &UnsatisfiedError{Chain: s.chain(g.by), Clause: g.clause, Reasons: reasons}
}

func (s *solver) satisfied(g *goal) bool {
	for _, r := range g.clause {
		if slices.Contains(s.request.Ignore, r.Name) && g.by != nil {
			return true
		}
		if c, ok := s.chosen[r.Name]; ok && r.Allows(c.pkg.Version) {
			return true
		}
		for _, p := range s.universe.providersOf(r.Name) {
			if c, ok := s.chosen[p.pkg.Name]; ok && c.pkg == p.pkg && provides(p, r) {
				return true
			}
		}
	}
	return false
}

// provides reports whether a provider satisfies a relation: an unversioned
// provide satisfies only an unversioned relation (Policy 7.5).
func provides(p provider, r deb.Relation) bool {
	return r.Op == "" || p.version != "" && r.Allows(p.version)
}

// candidates returns the packages that could satisfy a relation, best first,
// or the reason there are none.
func (s *solver) candidates(r deb.Relation) ([]*Package, string) {
	if r.Arch != "" && r.Arch != "any" && r.Arch != "native" && r.Arch != s.universe.arch {
		return nil, fmt.Sprintf("%s is for another architecture than %s", r, s.universe.arch)
	}
	var found []*Package
	var nearest *Package
	denied := ""
	consider := func(p *Package, ok bool) {
		switch {
		case slices.Contains(s.request.Deny, p.Name):
			denied = p.Name
		case ok:
			found = append(found, p)
		case nearest == nil:
			nearest = p
		}
	}
	for _, p := range s.universe.packagesNamed(r.Name) {
		consider(p, r.Allows(p.Version))
	}
	for _, p := range s.universe.providersOf(r.Name) {
		consider(p.pkg, provides(p, r))
	}
	switch {
	case len(found) > 0:
		return found, ""
	case denied != "":
		return nil, fmt.Sprintf("%s is denied by \"!%s\"", denied, denied)
	case nearest != nil:
		return nil, fmt.Sprintf("%s has only %s %s", nearest.Suite, nearest.Name, nearest.Version)
	}
	return nil, "no candidate in " + strings.Join(s.universe.suites, ", ")
}

// install chooses what is there already. What it depends on is not looked for.
func (s *solver) install() error {
	for _, p := range s.universe.installed {
		if old, ok := s.chosen[p.Name]; ok {
			return fmt.Errorf("%s has both %s %s and %s", p.Suite, p.Name, old.pkg.Version, p.Version)
		}
		sel := &selected{pkg: p, installed: true}
		for _, f := range []string{"Conflicts", "Breaks"} {
			clauses, err := deb.ParseRelations(p.Stanza.Get(f), s.universe.arch)
			if err != nil {
				return fmt.Errorf("package %s %s of %s: %w", p.Name, p.Version, p.Suite, err)
			}
			sel.conflicts = append(sel.conflicts, clauses...)
		}
		s.chosen[p.Name] = sel
	}
	return nil
}

// choose adds a package, unless that contradicts what is chosen already.
func (s *solver) choose(p *Package, by *selected) (*selected, error) {
	if c, ok := s.chosen[p.Name]; ok && c.installed {
		return nil, fmt.Errorf("%s has %s %s, and %s %s would have to replace it", c.pkg.Suite, c.pkg.Name, c.pkg.Version, p.Name, p.Version)
	} else if ok {
		return nil, fmt.Errorf("%s %s is chosen already, for %s", c.pkg.Name, c.pkg.Version, s.askedBy(c))
	}
	sel := &selected{pkg: p, by: by}
	var err error
	for _, f := range []string{"Pre-Depends", "Depends"} {
		clauses, e := deb.ParseRelations(p.Stanza.Get(f), s.universe.arch)
		sel.needs, err = append(sel.needs, clauses...), errors.Join(err, e)
	}
	for _, f := range []string{"Conflicts", "Breaks"} {
		clauses, e := deb.ParseRelations(p.Stanza.Get(f), s.universe.arch)
		sel.conflicts, err = append(sel.conflicts, clauses...), errors.Join(err, e)
	}
	if err != nil {
		return nil, fmt.Errorf("package %s %s: %w", p.Name, p.Version, err)
	}
	for _, c := range s.chosen {
		if r, ok := s.clash(sel, c); ok {
			return nil, fmt.Errorf("%s %s conflicts with %s", p.Name, p.Version, r)
		}
		if r, ok := s.clash(c, sel); ok {
			return nil, fmt.Errorf("%s, chosen for %s, conflicts with %s", c.pkg.Name, s.askedBy(c), r)
		}
	}
	s.chosen[p.Name] = sel
	return sel, nil
}

// clash reports a relation by which a conflicts with b or breaks it.
func (s *solver) clash(a, b *selected) (deb.Relation, bool) {
	for _, clause := range a.conflicts {
		r := clause[0]
		if r.Name == b.pkg.Name && r.Allows(b.pkg.Version) {
			return r, true
		}
		for _, p := range s.universe.providersOf(r.Name) {
			if p.pkg == b.pkg && a.pkg.Name != b.pkg.Name && provides(p, r) {
				return r, true
			}
		}
	}
	return deb.Relation{}, false
}

func (s *solver) askedBy(c *selected) string {
	if c.installed {
		return c.pkg.Suite
	}
	if c.by == nil || slices.Contains(s.request.Want, c.pkg.Name) {
		return s.request.For
	}
	return c.by.pkg.Name
}

func (s *solver) chain(by *selected) []string {
	if by == nil {
		return []string{s.request.For}
	}
	return append(s.chain(by.by), by.pkg.Name)
}

func (s *solver) ignored(c *selected) []string {
	var names []string
	for _, clause := range c.needs {
		for _, r := range clause {
			if slices.Contains(s.request.Ignore, r.Name) && s.chosen[r.Name] == nil {
				names = append(names, clause.String())
				break
			}
		}
	}
	return names
}
