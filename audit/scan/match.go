package scan

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/audit/scan/osv"
)

// hit is an advisory that affects a package.
type hit struct {
	entry    *osv.Entry
	affected *osv.Affected
	verdict  osv.Verdict
}

// Match asks a database about every package. A part of the inventory that the
// database cannot judge is an error; with errors of several ecosystems all are
// reported.
func Match(ctx context.Context, inv *inventory.Inventory, db *osv.Database, skip []string) ([]Finding, []Database, []*osv.Entry, error) {
	var findings []Finding
	var databases []Database
	var entries []*osv.Entry
	var failed error
	for _, q := range queries(inv, skip) {
		answer, err := db.Ask(ctx, q)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		databases = append(databases, Database{q.Ecosystem, answer.Origin, answer.SHA256, answer.Entries, answer.Newest})
		entries = append(entries, answer.Matches...)
		findings = append(findings, judge(inv, q.Ecosystem, answer.Matches)...)
	}
	return findings, databases, entries, failed
}

// queries groups an inventory by parent ecosystem.
func queries(inv *inventory.Inventory, skip []string) []osv.Query {
	var list []osv.Query
	index := map[string]int{}
	for _, p := range inv.Packages {
		parent := osv.Parent(p.Ecosystem)
		if slices.Contains(skip, parent) {
			continue
		}
		i, ok := index[parent]
		if !ok {
			i = len(list)
			index[parent] = i
			list = append(list, osv.Query{Ecosystem: parent})
		}
		list[i].Names = append(list[i].Names, p.Name)
		if p.Ecosystem != parent && !slices.Contains(list[i].Releases, p.Ecosystem) {
			list[i].Releases = append(list[i].Releases, p.Ecosystem)
		}
	}
	for i := range list {
		slices.Sort(list[i].Names)
		list[i].Names = slices.Compact(list[i].Names)
	}
	return list
}

// judge compares every package of an ecosystem with the advisories about it.
func judge(inv *inventory.Inventory, parent string, entries []*osv.Entry) []Finding {
	byName := map[string][]*osv.Entry{}
	for _, e := range entries {
		if e.Withdrawn != nil {
			continue
		}
		seen := map[string]bool{}
		for _, a := range e.Affected {
			if osv.Parent(a.Package.Ecosystem) == parent && !seen[a.Package.Name] {
				seen[a.Package.Name] = true
				byName[a.Package.Name] = append(byName[a.Package.Name], e)
			}
		}
	}
	type same struct{ ecosystem, name, version string }
	groups := map[same][]inventory.Package{}
	var order []same
	for _, p := range inv.Packages {
		if osv.Parent(p.Ecosystem) != parent {
			continue
		}
		key := same{p.Ecosystem, p.Name, p.Version}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], p)
	}
	var findings []Finding
	for _, key := range order {
		var hits []hit
		for _, e := range byName[key.name] {
			if h, ok := affects(e, key.ecosystem, key.name, key.version); ok {
				hits = append(hits, h)
			}
		}
		for _, f := range combine(hits, byName[key.name], key.ecosystem, key.name) {
			f.Package, f.Others = groups[key][0], slices.Clone(groups[key][1:])
			findings = append(findings, f)
		}
	}
	return findings
}

// affects judges one version of one package by one advisory. Of several parts
// about the package, the first with a fix speaks.
func affects(e *osv.Entry, ecosystem, name, version string) (hit, bool) {
	var best hit
	for i := range e.Affected {
		a := &e.Affected[i]
		if a.Package.Name != name || !osv.Covers(a.Package.Ecosystem, ecosystem) {
			continue
		}
		v := a.Affects(version)
		if v.Affected && (best.entry == nil || best.verdict.Fixed == "" && v.Fixed != "") {
			best = hit{e, a, v}
		}
	}
	return best, best.entry != nil
}

// combine turns advisories about one package into findings, one a flaw: names
// that mean the same are joined, and a distribution's bulletin about several
// flaws is folded into them.
func combine(hits []hit, all []*osv.Entry, ecosystem, name string) []Finding {
	groups := join(hits)
	covered := map[string]int{}
	for i, g := range groups {
		for _, h := range g {
			for _, id := range h.entry.Names() {
				covered[id] = i
			}
		}
	}
	var findings []Finding
	fold := map[int][]hit{}
	skip := map[int]bool{}
	for i, g := range groups {
		if into := bulletin(g, covered, i); into != nil {
			skip[i] = true
			for _, j := range into {
				fold[j] = append(fold[j], g...)
			}
		}
	}
	for i, g := range groups {
		if !skip[i] {
			findings = append(findings, finding(g, fold[i], all, ecosystem, name))
		}
	}
	return findings
}

// join groups hits whose names overlap.
func join(hits []hit) [][]hit {
	parent := make([]int, len(hits))
	for i := range parent {
		parent[i] = i
	}
	find := func(i int) int {
		for parent[i] != i {
			i = parent[i]
		}
		return i
	}
	owner := map[string]int{}
	for i, h := range hits {
		for _, id := range h.entry.Names() {
			if j, ok := owner[id]; ok {
				parent[find(i)] = find(j)
			} else {
				owner[id] = i
			}
		}
	}
	var groups [][]hit
	at := map[int]int{}
	for i, h := range hits {
		root := find(i)
		if _, ok := at[root]; !ok {
			at[root] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[root]] = append(groups[at[root]], h)
	}
	return groups
}

// bulletin returns the other groups that are about every flaw that a group's
// single advisory lists, or nil.
func bulletin(g []hit, covered map[string]int, self int) []int {
	if len(g) != 1 || len(g[0].entry.CVEs()) > 0 {
		return nil
	}
	e := g[0].entry
	var into []int
	for _, id := range append(slices.Clone(e.Upstream), e.Related...) {
		if !strings.HasPrefix(id, "CVE-") {
			continue
		}
		i, ok := covered[id]
		if !ok || i == self {
			return nil
		}
		into = append(into, i)
	}
	return into
}

// finding makes one finding of the advisories about one flaw. more are
// bulletins that cover it, all is everything known of the package, from which
// ratings are taken that the matching advisories lack.
func finding(g, more []hit, all []*osv.Entry, ecosystem, name string) Finding {
	var f Finding
	names := map[string]bool{}
	for _, h := range append(slices.Clone(g), more...) {
		e := h.entry
		ids, folded := e.Names(), slices.ContainsFunc(more, func(m hit) bool { return m.entry == e })
		if folded {
			ids = ids[:1]
		}
		for _, id := range ids {
			names[id] = true
		}
		if f.Fixed == "" && h.verdict.Fixed != "" {
			f.Fixed, f.FixedSince = h.verdict.Fixed, firstTime(e)
		}
		if f.Summary == "" {
			f.Summary = e.Summary
		}
		if f.Published.IsZero() || !e.Published.IsZero() && e.Published.Before(f.Published) {
			f.Published = e.Published
		}
		if f.Doubt == "" {
			f.Doubt = h.verdict.Doubt
		}
		// A bulletin rates its worst flaw, so it speaks only where nobody did.
		if r := rate(e, h.affected); better(r, f.Rating) && (!folded || f.Rating.Severity == Unknown) {
			f.Rating = r
		}
	}
	f.name(names)
	if f.Rating.Severity == Unknown {
		f.Rating = borrowed(names, all, ecosystem, name)
	}
	return f
}

// borrowed looks for a rating in advisories with one of the names that do not
// themselves match, such as another database's for the same module.
func borrowed(names map[string]bool, all []*osv.Entry, ecosystem, name string) Rating {
	var best Rating
	for _, e := range all {
		if !slices.ContainsFunc(e.Names(), func(id string) bool { return names[id] }) {
			continue
		}
		for i := range e.Affected {
			a := &e.Affected[i]
			if a.Package.Name != name || !osv.Covers(a.Package.Ecosystem, ecosystem) {
				continue
			}
			if r := rate(e, a); better(r, best) {
				best = r
			}
		}
	}
	return best
}

// better prefers any rating to none and the worse of two.
func better(a, b Rating) bool {
	return a.Severity > b.Severity || a.Severity == b.Severity && a.Score > b.Score
}

// name picks the identifier a person looks up: the CVE, else the shortest.
func (f *Finding) name(names map[string]bool) {
	list := make([]string, 0, len(names))
	for id := range names {
		list = append(list, id)
	}
	slices.SortFunc(list, func(a, b string) int {
		ac, bc := strings.HasPrefix(a, "CVE-"), strings.HasPrefix(b, "CVE-")
		if ac != bc {
			return boolRank(bc) - boolRank(ac)
		}
		return strings.Compare(a, b)
	})
	f.ID, f.Aliases = list[0], list[1:]
}

// ApplyReach adds what analyses of programs said, by the path of the program
// and the advisory. A finding is taken away only where every place of it was
// analysed and none has the code.
func ApplyReach(findings []Finding, verdicts map[string]map[string]Reach) {
	for i := range findings {
		f := &findings[i]
		if osv.Parent(f.Package.Ecosystem) != "Go" {
			continue
		}
		var sum *Reach
		whole := true
		for _, p := range append([]inventory.Package{f.Package}, f.Others...) {
			r := verdict(f, verdicts[p.Path])
			if r == nil {
				whole = false
				continue
			}
			if sum == nil || r.Affected {
				sum = r
			}
		}
		if sum != nil && (whole || sum.Affected) {
			f.Reach = sum
		}
	}
}

// verdict joins what one program's analysis says of a finding's advisories:
// all of the Go database's must be absent.
func verdict(f *Finding, said map[string]Reach) *Reach {
	var sum *Reach
	for _, id := range f.Names() {
		if !strings.HasPrefix(id, "GO-") {
			continue
		}
		r, ok := said[id]
		if !ok {
			return nil
		}
		if sum == nil || r.Affected {
			sum = &r
		}
	}
	return sum
}

// Judge makes findings of advisories that another scanner already matched to a
// package. One whose versions do not agree is kept, with the doubt.
func Judge(p inventory.Package, entries []*osv.Entry) []Finding {
	var hits []hit
	for _, e := range entries {
		h, ok := affects(e, p.Ecosystem, p.Name, p.Version)
		if !ok {
			h = hit{e, &osv.Affected{}, osv.Verdict{Affected: true, Doubt: "the scanner counts it, and its ranges do not"}}
		}
		hits = append(hits, h)
	}
	findings := combine(hits, entries, p.Ecosystem, p.Name)
	for i := range findings {
		findings[i].Package = p
	}
	return findings
}
