package settings

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hardstand/hardstand/audit"
)

// Baseline is what an old repository had broken on the day it began: those
// findings are accepted, new ones are not.
type Baseline struct {
	Version  int             `json:"version"`
	Created  time.Time       `json:"created"`
	Findings []BaselineEntry `json:"findings"`
}

// BaselineEntry is one accepted finding. Only the fingerprint counts; the rest
// is for the reader of a diff.
type BaselineEntry struct {
	Fingerprint string `json:"fingerprint"`
	Rule        string `json:"rule"`
	Path        string `json:"path"`
	Line        int    `json:"line,omitempty"`
}

// MaxBaseline bounds a baseline file, in bytes.
const MaxBaseline = 32 << 20

// NewBaseline accepts every finding of a report that stands.
func NewBaseline(r audit.Report) Baseline {
	b := Baseline{Version: 1, Created: r.Time, Findings: []BaselineEntry{}}
	seen := audit.Fingerprints{}
	for _, f := range r.Findings {
		id := seen.Of(f)
		if f.Broken() {
			b.Findings = append(b.Findings, BaselineEntry{id, f.Rule, f.Locator.Path, f.Locator.StartLine})
		}
	}
	return b
}

// ParseBaseline reads a baseline.
func ParseBaseline(name string, data []byte) (Baseline, error) {
	var b Baseline
	if len(data) > MaxBaseline {
		return b, fmt.Errorf("read baseline %s: the file has more than %d bytes", name, MaxBaseline)
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return b, fmt.Errorf("read baseline %s: %w", name, err)
	}
	if b.Version != 1 {
		return b, fmt.Errorf("read baseline %s: version %d is not known; write it again with --write-baseline", name, b.Version)
	}
	return b, nil
}

// Apply accepts the findings of the baseline, and returns how many of its
// entries no longer exist. Findings must be in the order of reports.
func (b Baseline) Apply(name string, findings []audit.Finding) (gone int) {
	known := map[string]bool{}
	for _, e := range b.Findings {
		known[e.Fingerprint] = true
	}
	seen := audit.Fingerprints{}
	for i := range findings {
		id := seen.Of(findings[i])
		if known[id] && findings[i].Broken() {
			findings[i].Waiver = &audit.Waiver{Reason: "in the baseline of " + b.Created.Format(time.DateOnly), Source: name}
			delete(known, id)
		}
	}
	return len(known)
}
