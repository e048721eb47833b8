// Package scan judges an inventory of packages: which known vulnerabilities
// affect them, how bad each is, whether it is exploited, reachable, fixed or
// excused, and whether a gate lets the whole pass. It fails closed: what was
// not judged is a problem in the report, and a report with a problem never
// passes.
//
// It must not fetch, build or sign: databases, indexes and documents are
// handed in.
package scan

import (
	"cmp"
	"slices"
	"time"

	"github.com/hardstand/hardstand/audit/scan/inventory"
)

// Severity orders vulnerabilities. Unknown is the zero value.
type Severity int

// The severities. Negligible is Debian's "unimportant".
const (
	Unknown Severity = iota
	Negligible
	Low
	Medium
	High
	Critical
)

var severityNames = []string{"unknown", "negligible", "low", "medium", "high", "critical"}

func (s Severity) String() string { return severityNames[s] }

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Rating is a severity and who said so.
type Rating struct {
	Severity Severity `json:"severity"`
	Score    float64  `json:"score,omitempty"` // CVSS base score, 0 where there is none
	Vector   string   `json:"vector,omitempty"`
	Source   string   `json:"source,omitempty"` // the advisory that rates it
}

// Finding is one vulnerability in one package.
type Finding struct {
	ID         string              `json:"id"` // CVE where there is one
	Aliases    []string            `json:"aliases,omitempty"`
	Summary    string              `json:"summary,omitempty"`
	Package    inventory.Package   `json:"package"`
	Others     []inventory.Package `json:"others,omitempty"` // packages of the same source, or places of the same module
	Fixed      string              `json:"fixed,omitempty"`
	Rating     Rating              `json:"rating"`
	Published  time.Time           `json:"published,omitzero"`
	FixedSince time.Time           `json:"fixedSince,omitzero"` // when the advisory with the fix appeared
	KEV        *KEV                `json:"kev,omitempty"`
	EPSS       *EPSS               `json:"epss,omitempty"`
	Reach      *Reach              `json:"reach,omitempty"`
	VEX        *Excuse             `json:"vex,omitempty"`
	Doubt      string              `json:"doubt,omitempty"` // why it counts although versions could not be compared
	Scanner    string              `json:"scanner,omitempty"`
	// Refused says which gates the finding does not pass.
	Refused []string `json:"refused,omitempty"`
}

// Names returns every identifier of the vulnerability.
func (f *Finding) Names() []string { return append([]string{f.ID}, f.Aliases...) }

// Excused reports whether the finding does not count: code that is not
// reached, or a VEX statement that holds.
func (f *Finding) Excused() bool {
	return f.VEX != nil && f.VEX.Holds || f.Reach != nil && !f.Reach.Affected
}

// effective is the severity that gates use: what nobody rated counts as high
// once there is a fix, because then waiting has no excuse.
func (f *Finding) effective() Severity {
	if f.Rating.Severity == Unknown && f.Fixed != "" {
		return High
	}
	return f.Rating.Severity
}

// Reach is what the analysis of a Go program said.
type Reach struct {
	Affected      bool   `json:"affected"`
	Justification string `json:"justification,omitempty"` // of OpenVEX
	Evidence      string `json:"evidence"`
}

// Database is a database that was asked.
type Database struct {
	Ecosystem string    `json:"ecosystem"`
	Origin    string    `json:"origin"`
	SHA256    string    `json:"sha256,omitempty"`
	Entries   int       `json:"entries"`
	Newest    time.Time `json:"newest"`
}

// Update is a package of which the signed archive has a newer version.
type Update struct {
	Package   inventory.Package `json:"package"`
	Available string            `json:"available"`
	Suite     string            `json:"suite"`
}

// Report is the result of a scan.
type Report struct {
	Target    string     `json:"target"`
	Kind      string     `json:"kind"`
	Digest    string     `json:"digest,omitempty"`
	Platform  string     `json:"platform,omitempty"`
	Tool      string     `json:"tool"`
	Started   time.Time  `json:"started"`
	Finished  time.Time  `json:"finished"`
	Databases []Database `json:"databases"`
	// Packages counts what was judged, by ecosystem.
	Packages map[string]int `json:"packages"`
	Findings []Finding      `json:"findings"`
	Updates  []Update       `json:"updates,omitempty"`
	// Compared says which archive indexes Updates is about.
	Compared []string `json:"compared,omitempty"`
	Problems []string `json:"problems,omitempty"` // why the scan could not judge
	Notes    []string `json:"notes,omitempty"`
	Refused  []string `json:"refused,omitempty"` // why the gate says no
}

// order sorts findings: refused ones first, then the worst.
func (r *Report) order() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(min(1, len(b.Refused)), min(1, len(a.Refused))),
			cmp.Compare(boolRank(a.Excused()), boolRank(b.Excused())),
			cmp.Compare(b.Rating.Severity, a.Rating.Severity),
			cmp.Compare(b.Rating.Score, a.Rating.Score),
			cmp.Compare(a.Package.Ecosystem, b.Package.Ecosystem),
			cmp.Compare(a.Package.Name, b.Package.Name),
			cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.Package.Version, b.Package.Version),
			cmp.Compare(a.Package.Path, b.Package.Path),
		)
	})
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}
