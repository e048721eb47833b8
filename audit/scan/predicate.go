package scan

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Predicate types of a scan's result.
const (
	PredicateVulns  = "https://in-toto.io/attestation/vulns/v0.1"
	PredicateCosign = "https://cosign.sigstore.dev/attestation/vuln/v1"
	// toolURI names this scanner in predicates.
	toolURI = "pkg:golang/github.com/hardstand/hardstand"
)

type predicateDB struct {
	URI        string     `json:"uri,omitempty"`
	Version    string     `json:"version,omitempty"`
	LastUpdate *time.Time `json:"lastUpdate,omitempty"`
}

type predicateSeverity struct {
	Method string `json:"method"`
	Score  string `json:"score"`
}

type predicateResult struct {
	ID          string              `json:"id"`
	Severity    []predicateSeverity `json:"severity"`
	Annotations []map[string]string `json:"annotations,omitempty"`
}

type predicateScanner struct {
	URI     string      `json:"uri"`
	Version string      `json:"version"`
	DB      predicateDB `json:"db"`
	Result  any         `json:"result"`
}

type predicateTime struct {
	Started  time.Time `json:"scanStartedOn"`
	Finished time.Time `json:"scanFinishedOn"`
}

// judged refuses to attest a scan that could not judge everything.
func (r *Report) judged() error {
	if len(r.Problems) > 0 {
		return fmt.Errorf("the scan could not judge everything, and half a result is not attested: %s", r.Problems[0])
	}
	if len(r.Databases) == 0 && r.Kind != "import" {
		return fmt.Errorf("no vulnerability database was asked, so there is no result to attest")
	}
	return nil
}

// VulnsPredicate writes the in-toto predicate vulns v0.1
// (https://github.com/in-toto/attestation/blob/main/spec/predicates/vuln.md).
// Findings that are excused are not results; the OpenVEX document says why.
func VulnsPredicate(r *Report) ([]byte, error) {
	if err := r.judged(); err != nil {
		return nil, fmt.Errorf("write predicate: %w", err)
	}
	results := []predicateResult{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Excused() {
			continue
		}
		one := predicateResult{ID: f.ID, Severity: []predicateSeverity{}, Annotations: []map[string]string{{
			"package": f.Package.PURL, "fixed": f.Fixed, "aliases": strings.Join(f.Aliases, " "),
		}}}
		if f.Rating.Severity != Unknown {
			one.Severity = append(one.Severity, predicateSeverity{f.Rating.Source, f.Rating.Severity.String()})
		}
		results = append(results, one)
	}
	return predicate(r, results)
}

// CosignPredicate writes cosign's vulnerability predicate v1
// (https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md),
// with the report as the result.
func CosignPredicate(r *Report) ([]byte, error) {
	if err := r.judged(); err != nil {
		return nil, fmt.Errorf("write predicate: %w", err)
	}
	return predicate(r, r)
}

func predicate(r *Report, result any) ([]byte, error) {
	_, version, _ := strings.Cut(r.Tool, " ")
	doc := struct {
		Invocation *struct{}        `json:"invocation,omitempty"`
		Scanner    predicateScanner `json:"scanner"`
		Metadata   predicateTime    `json:"metadata"`
	}{
		Scanner:  predicateScanner{URI: toolURI, Version: version, DB: r.database(), Result: result},
		Metadata: predicateTime{r.Started, r.Finished},
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write predicate: %w", err)
	}
	return append(data, '\n'), nil
}

// database describes the databases in the one place that predicates have for
// them. The oldest speaks for all.
func (r *Report) database() predicateDB {
	var db predicateDB
	var origins, sums []string
	for _, d := range r.Databases {
		origins = append(origins, d.Origin)
		if d.SHA256 != "" {
			sums = append(sums, d.Ecosystem+"=sha256:"+d.SHA256)
		}
		if db.LastUpdate == nil || d.Newest.Before(*db.LastUpdate) {
			newest := d.Newest
			db.LastUpdate = &newest
		}
	}
	db.URI, db.Version = strings.Join(origins, " "), strings.Join(sums, " ")
	return db
}
