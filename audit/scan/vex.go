package scan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openvex/go-vex/pkg/vex"

	"github.com/hardstand/hardstand/audit/scan/inventory"
)

// maxVEX bounds a VEX document, in bytes.
const maxVEX = 64 << 20

// Excuse is what a VEX statement says about a finding.
type Excuse struct {
	Status        string    `json:"status"`
	Justification string    `json:"justification,omitempty"`
	Impact        string    `json:"impact,omitempty"`
	Author        string    `json:"author,omitempty"`
	Document      string    `json:"document"`
	Until         time.Time `json:"until,omitzero"`
	// Holds is false for a statement that does not take the finding away: it
	// has expired, gives no justification, or says affected. Why says which.
	Holds bool   `json:"holds"`
	Why   string `json:"why,omitempty"`
}

// Document is an OpenVEX document. Statements may carry one member that
// OpenVEX does not have: "expires", a date or time from which on the statement
// no longer holds.
type Document struct {
	Name    string // file
	vex     vex.VEX
	expires []time.Time // by statement; zero where none is given
}

// ReadVEX reads an OpenVEX document, JSON.
func ReadVEX(name string, data []byte) (Document, error) {
	d := Document{Name: name}
	if len(data) > maxVEX {
		return d, fmt.Errorf("read VEX %s: more than %d bytes", name, maxVEX)
	}
	data = bytes.TrimPrefix(data, byteOrderMark)
	parsed, err := vex.Parse(data)
	if err != nil {
		return d, fmt.Errorf("read VEX %s: %w", name, err)
	}
	d.vex = *parsed
	if !strings.HasPrefix(d.vex.Context, vex.Context) {
		return d, fmt.Errorf("read VEX %s: its context is %.80q, and OpenVEX's starts with %s", name, d.vex.Context, vex.Context)
	}
	var extra struct {
		Statements []struct {
			Expires string `json:"expires"`
		} `json:"statements"`
	}
	if err := json.Unmarshal(data, &extra); err != nil {
		return d, fmt.Errorf("read VEX %s: %w", name, err)
	}
	if len(extra.Statements) != len(d.vex.Statements) {
		return d, fmt.Errorf("read VEX %s: it gives its statements twice", name)
	}
	for i, s := range extra.Statements {
		until, err := expiry(s.Expires)
		if err != nil {
			return d, fmt.Errorf("read VEX %s: statement %d: %w", name, i+1, err)
		}
		d.expires = append(d.expires, until)
	}
	return d, d.check()
}

func expiry(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("expires is %.40q: write 2027-01-31", text)
}

// check refuses statuses that are not OpenVEX's: a typing error must not be
// taken for an excuse, nor for none.
func (d *Document) check() error {
	var failed []error
	for i := range d.vex.Statements {
		s := &d.vex.Statements[i]
		if !s.Status.Valid() {
			failed = append(failed, fmt.Errorf("read VEX %s: statement %d: unknown status %.40q", d.Name, i+1, s.Status))
		}
		if s.Justification != "" && !s.Justification.Valid() {
			failed = append(failed, fmt.Errorf("read VEX %s: statement %d: unknown justification %.80q", d.Name, i+1, s.Justification))
		}
	}
	return errors.Join(failed...)
}

// excuse finds the newest statement about each finding, and returns notes on
// statements that were about nothing.
func excuse(r *Report, docs []Document, now time.Time, maxAge time.Duration) []string {
	used := map[*vex.Statement]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		var best *Excuse
		var when time.Time
		for j := range docs {
			d := &docs[j]
			for k := range d.vex.Statements {
				s := &d.vex.Statements[k]
				if !d.about(s, r, f) {
					continue
				}
				used[s] = true
				at := d.time(s)
				if best == nil || !at.Before(when) {
					best, when = d.excuse(s, at, d.expires[k], now, maxAge), at
				}
			}
		}
		f.VEX = best
	}
	var notes []string
	for j := range docs {
		idle := 0
		for k := range docs[j].vex.Statements {
			if !used[&docs[j].vex.Statements[k]] {
				idle++
			}
		}
		if idle > 0 {
			notes = append(notes, fmt.Sprintf("%s: %d of %d statements are about nothing that was found", docs[j].Name, idle, len(docs[j].vex.Statements)))
		}
	}
	return notes
}

// time is when a statement was made.
func (d *Document) time(s *vex.Statement) time.Time {
	var t time.Time
	for _, p := range []*time.Time{s.LastUpdated, s.Timestamp, d.vex.LastUpdated, d.vex.Timestamp} {
		if p != nil {
			return *p
		}
	}
	return t
}

// about reports whether a statement is about a finding: its vulnerability by
// any name, and its product the package, or the image with the package as a
// part of it. To excuse, it has to speak of every place of the flaw.
func (d *Document) about(s *vex.Statement, r *Report, f *Finding) bool {
	named := slices.ContainsFunc(f.Names(), func(id string) bool {
		return s.Vulnerability.Matches(id) || strings.HasSuffix(s.Vulnerability.ID, "/"+id)
	})
	if !named {
		return false
	}
	places := append([]inventory.Package{f.Package}, f.Others...)
	spoken := func(p inventory.Package) bool { return d.covers(s, r, p) }
	if !excuses(s) {
		// One affected place is enough to end what an older statement excused.
		return slices.ContainsFunc(places, spoken)
	}
	for _, p := range places {
		if !spoken(p) {
			return false
		}
	}
	return true
}

// excuses reports whether a statement says that nothing need be done.
func excuses(s *vex.Statement) bool {
	return s.Status == vex.StatusNotAffected || s.Status == vex.StatusFixed
}

func (d *Document) covers(s *vex.Statement, r *Report, pkg inventory.Package) bool {
	for i := range s.Products {
		p := &s.Products[i]
		if pkg.PURL != "" && p.Component.Matches(pkg.PURL) {
			return true
		}
		whole := slices.ContainsFunc(r.products(), func(id string) bool { return p.Component.Matches(id) })
		if !whole {
			continue
		}
		if len(p.Subcomponents) == 0 {
			return true
		}
		for k := range p.Subcomponents {
			if pkg.PURL != "" && p.Subcomponents[k].Component.Matches(pkg.PURL) {
				return true
			}
		}
	}
	return false
}

// products are the names under which a statement may mean what was scanned.
func (r *Report) products() []string {
	var list []string
	if r.Target != "" {
		list = append(list, r.Target)
	}
	if r.Digest != "" {
		_, hex, _ := strings.Cut(r.Digest, ":")
		list = append(list, r.Digest, hex, r.product())
	}
	return list
}

// product is the identifier that our own documents use.
func (r *Report) product() string {
	if r.Digest == "" {
		return r.Target
	}
	name := r.Target
	if i := strings.LastIndexAny(name, "/"); i >= 0 {
		name = name[i+1:]
	}
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return "pkg:oci/" + purlName(cmp.Or(name, "image")) + "@" + strings.ReplaceAll(r.Digest, ":", "%3A")
}

func purlName(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, strings.ToLower(s))
}

func (d *Document) excuse(s *vex.Statement, at, expires, now time.Time, maxAge time.Duration) *Excuse {
	e := &Excuse{
		Status: string(s.Status), Justification: string(s.Justification), Impact: s.ImpactStatement,
		Author: d.vex.Author, Document: d.Name, Until: expires,
	}
	if e.Until.IsZero() && maxAge > 0 && !at.IsZero() {
		e.Until = at.Add(maxAge)
	}
	switch {
	case !excuses(s):
		e.Why = "the statement does not say that the package is not affected"
	case s.Status == vex.StatusNotAffected && s.Justification == "":
		e.Why = "the statement gives no justification"
	case at.IsZero() && expires.IsZero():
		e.Why = "the statement has neither a time nor an expiry"
	case at.After(now):
		e.Why = "the statement is from the future"
	case !e.Until.IsZero() && !now.Before(e.Until):
		e.Why = "the statement expired on " + e.Until.UTC().Format(time.DateOnly)
	default:
		e.Holds = true
	}
	return e
}

// OpenVEX writes what a report says about each vulnerability as an OpenVEX
// document. The same report gives the same bytes.
func OpenVEX(r *Report, author string) ([]byte, error) {
	when := r.Finished
	doc := vex.VEX{Metadata: vex.Metadata{
		Context: vex.ContextLocator(), Author: author, Timestamp: &when, Version: 1, Tooling: r.Tool,
	}, Statements: []vex.Statement{}}
	for i := range r.Findings {
		doc.Statements = append(doc.Statements, statement(r, &r.Findings[i]))
	}
	if _, err := doc.GenerateCanonicalID(); err != nil {
		return nil, fmt.Errorf("write OpenVEX: %w", err)
	}
	data, err := json.MarshalIndent(&doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write OpenVEX: %w", err)
	}
	return append(data, '\n'), nil
}

func statement(r *Report, f *Finding) vex.Statement {
	product := vex.Product{Component: vex.Component{ID: r.product()}}
	seen := map[string]bool{}
	for _, p := range append([]inventory.Package{f.Package}, f.Others...) {
		if !seen[p.PURL] {
			seen[p.PURL] = true
			product.Subcomponents = append(product.Subcomponents, vex.Subcomponent{Component: vex.Component{ID: p.PURL}})
		}
	}
	s := vex.Statement{Vulnerability: vex.Vulnerability{Name: vex.VulnerabilityID(f.ID)}, Products: []vex.Product{product}}
	for _, id := range f.Aliases {
		s.Vulnerability.Aliases = append(s.Vulnerability.Aliases, vex.VulnerabilityID(id))
	}
	switch {
	case f.Reach != nil && !f.Reach.Affected:
		s.Status, s.Justification, s.ImpactStatement = vex.StatusNotAffected, vex.Justification(f.Reach.Justification), f.Reach.Evidence
	case f.VEX != nil && f.VEX.Holds:
		s.Status, s.Justification, s.ImpactStatement = vex.Status(f.VEX.Status), vex.Justification(f.VEX.Justification), f.VEX.Impact
		if s.Status == vex.StatusFixed {
			s.Justification, s.ImpactStatement = "", ""
		}
	case f.VEX != nil && f.VEX.Status == string(vex.StatusUnderInvestigation):
		s.Status = vex.StatusUnderInvestigation
	case f.Fixed != "":
		s.Status, s.ActionStatement = vex.StatusAffected, fmt.Sprintf("Update %s to %s.", f.Package.Name, f.Fixed)
	default:
		s.Status, s.ActionStatement = vex.StatusAffected, "No fix is known."
	}
	return s
}
