package scan

import (
	"fmt"
	"strings"

	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"

	"github.com/hardstand/hardstand/audit/scan/osv"
)

// ParseSeverity reads a severity's name, as the databases and scanners write
// them.
func ParseSeverity(word string) (Severity, error) {
	switch strings.ToLower(word) {
	case "", "unknown", "not yet assigned", "end-of-life", "undefined", "untriaged":
		return Unknown, nil
	case "none", "negligible", "unimportant", "info", "informational":
		return Negligible, nil
	case "low":
		return Low, nil
	case "medium", "moderate":
		return Medium, nil
	case "high", "important":
		return High, nil
	case "critical":
		return Critical, nil
	}
	return Unknown, fmt.Errorf("unknown severity %.40q: use negligible, low, medium, high or critical", word)
}

// qualitative is the rating scale of the CVSS 3.1 specification, section 5.
func qualitative(score float64) Severity {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	case score > 0:
		return Low
	}
	return Negligible
}

// vectorScore computes the base score of a CVSS vector of any version.
func vectorScore(vector string) (float64, error) {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := cvss40.ParseVector(vector)
		if err != nil {
			return 0, err
		}
		return v.Score(), nil
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := cvss31.ParseVector(vector)
		if err != nil {
			return 0, err
		}
		return v.BaseScore(), nil
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := cvss30.ParseVector(vector)
		if err != nil {
			return 0, err
		}
		return v.BaseScore(), nil
	}
	v, err := cvss20.ParseVector(vector)
	if err != nil {
		return 0, err
	}
	return v.BaseScore(), nil
}

// rate reads what an advisory says of one package. Of several ratings the
// distribution's own word counts before vectors, which do not know how the
// distribution built the package.
func rate(e *osv.Entry, a *osv.Affected) Rating {
	words := []string{a.Specific.Urgency, a.Specific.Severity}
	for _, s := range append(a.Severity, e.Severity...) {
		if !strings.HasPrefix(s.Type, "CVSS") {
			words = append(words, s.Score)
		}
	}
	best := Rating{}
	for _, s := range append(a.Severity, e.Severity...) {
		if !strings.HasPrefix(s.Type, "CVSS") {
			continue
		}
		score, err := vectorScore(s.Score)
		if err != nil {
			continue // unrated, which a gate takes for high
		}
		if best.Vector == "" || score > best.Score {
			best = Rating{Severity: qualitative(score), Score: score, Vector: s.Score, Source: e.ID}
		}
	}
	for _, w := range words {
		if sev, err := ParseSeverity(w); err == nil && sev != Unknown {
			return Rating{Severity: sev, Score: best.Score, Vector: best.Vector, Source: e.ID}
		}
	}
	if best.Severity != Unknown {
		return best
	}
	for _, w := range []string{a.Database.Severity, e.Database.Severity} {
		if sev, err := ParseSeverity(w); err == nil && sev != Unknown {
			return Rating{Severity: sev, Source: e.ID}
		}
	}
	return best
}
