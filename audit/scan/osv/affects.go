package osv

import (
	"fmt"
	"slices"

	"github.com/google/osv-scalibr/semantic"
)

// Verdict says whether a version is affected.
type Verdict struct {
	Affected bool
	// Fixed is the lowest version above the installed one that is free of the
	// flaw by the range that caught it; empty where there is none.
	Fixed string
	// Doubt says why versions could not be compared. Such a version counts as
	// affected.
	Doubt string
}

// Affects judges one version of a package that the part names.
func (a *Affected) Affects(version string) Verdict {
	if slices.Contains(a.Versions, version) {
		v := Verdict{Affected: true}
		for _, r := range a.Ranges {
			if got := r.judge(a.Package.Ecosystem, version); got.Fixed != "" {
				v.Fixed = got.Fixed
			}
		}
		return v
	}
	if len(a.Versions) == 0 && len(a.Ranges) == 0 {
		return Verdict{Affected: true} // the schema: no versions given, so all of them
	}
	for _, r := range a.Ranges {
		if v := r.judge(a.Package.Ecosystem, version); v.Affected {
			return v
		}
	}
	return Verdict{}
}

// point is an event with its version parsed; nil is the "0" before all.
type point struct {
	Event
	text    string
	version semantic.Version
}

// judge follows the evaluation that the schema describes.
func (r *Range) judge(ecosystem, version string) Verdict {
	if r.Type == "GIT" {
		return Verdict{} // commits, not versions: a package has none
	}
	parse := func(s string) (semantic.Version, error) {
		if r.Type == "SEMVER" {
			return semantic.ParseSemverVersion(s), nil
		}
		return semantic.Parse(s, ecosystem)
	}
	v, err := parse(version)
	if err != nil {
		return Verdict{Affected: true, Doubt: fmt.Sprintf("version %q: %v", version, err)}
	}
	points, err := r.points(parse)
	if err != nil {
		return Verdict{Affected: true, Doubt: err.Error()}
	}
	return follow(points, v)
}

func (r *Range) points(parse func(string) (semantic.Version, error)) ([]point, error) {
	points := make([]point, 0, len(r.Events))
	for _, e := range r.Events {
		p := point{Event: e, text: e.Introduced + e.Fixed + e.LastAffected + e.Limit}
		if p.text == "" || e.Introduced == "0" || e.Limit == "*" {
			p.text = "0"
		} else {
			var err error
			if p.version, err = parse(p.text); err != nil {
				return nil, fmt.Errorf("version %q: %w", p.text, err)
			}
		}
		points = append(points, p)
	}
	var failed error
	slices.SortStableFunc(points, func(a, b point) int {
		c, err := a.compare(b.version)
		if err != nil {
			failed = err
		}
		if c == 0 { // a fix before a new start at the same version
			return rank(a.Event) - rank(b.Event)
		}
		return c
	})
	return points, failed
}

func rank(e Event) int {
	if e.Introduced != "" {
		return 1
	}
	return 0
}

// compare orders a point and a version, where nil is before all.
func (p point) compare(v semantic.Version) (int, error) {
	switch {
	case p.version == nil && v == nil:
		return 0, nil
	case p.version == nil:
		return -1, nil
	case v == nil:
		return 1, nil
	}
	return p.version.Compare(v)
}

// follow walks the events in order up to the version, then looks ahead for the
// next fix.
func follow(points []point, v semantic.Version) Verdict {
	var out Verdict
	limited, below := false, false
	for _, p := range points {
		c, err := p.compare(v)
		if err != nil {
			return Verdict{Affected: true, Doubt: err.Error()}
		}
		switch {
		case p.Introduced != "" && c <= 0:
			out.Affected, out.Fixed = true, ""
		case p.Fixed != "" && c <= 0:
			out.Affected = false
		case p.Fixed != "" && out.Affected && out.Fixed == "":
			out.Fixed = p.Fixed
		case p.LastAffected != "" && c < 0:
			out.Affected = false
		case p.Limit != "":
			limited = true
			below = below || p.Limit == "*" || c > 0
		}
	}
	if !out.Affected || limited && !below {
		return Verdict{}
	}
	return out
}
