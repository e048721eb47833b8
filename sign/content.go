package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RequireProvenance demands SLSA provenance v1 that names the builder and, if
// source is set, lists it among the resolved dependencies. Every provenance that
// the accepted signers made must agree: a second one with another builder is a
// reason to refuse.
func RequireProvenance(builder, source string) Requirement {
	return Requirement{PredicateType: PredicateProvenance, Check: func(list []Statement) error {
		for _, s := range list {
			if err := checkProvenance(s.Predicate, builder, source); err != nil {
				return err
			}
		}
		return nil
	}}
}

// provenance is the part of slsa.dev/provenance/v1 that is looked at.
type provenance struct {
	BuildDefinition struct {
		BuildType            string `json:"buildType"`
		ResolvedDependencies []struct {
			URI string `json:"uri"`
		} `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
	} `json:"runDetails"`
}

func checkProvenance(predicate json.RawMessage, builder, source string) error {
	var p provenance
	if err := json.Unmarshal(predicate, &p); err != nil {
		return fmt.Errorf("it does not parse: %w", err)
	}
	if p.BuildDefinition.BuildType == "" || p.RunDetails.Builder.ID == "" {
		return errors.New("it names no build type or no builder")
	}
	if builder != "" && p.RunDetails.Builder.ID != builder {
		return fmt.Errorf("it was built by %s, not by %s", clip(p.RunDetails.Builder.ID), builder)
	}
	if source == "" {
		return nil
	}
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		if d.URI == source {
			return nil
		}
	}
	return fmt.Errorf("it does not list the source %s", source)
}

// severities from harmless to worst.
var severities = []string{"none", "low", "medium", "high", "critical"}

// RequireNoVulnerabilities demands a vulnerability scan, in-toto vulns v0.1,
// whose newest result has nothing of the severity named or worse. A scan older
// than maxAge at now counts as missing; 0 is any age.
func RequireNoVulnerabilities(severity string, maxAge time.Duration, now time.Time) (Requirement, error) {
	limit := slices.Index(severities, strings.ToLower(severity))
	if limit < 1 {
		return Requirement{}, fmt.Errorf("unknown severity %q: use low, medium, high or critical", severity)
	}
	return Requirement{PredicateType: PredicateVulns, Check: func(list []Statement) error {
		scan, err := newestScan(list)
		if err != nil {
			return err
		}
		if age := now.Sub(scan.Metadata.ScanFinishedOn); maxAge > 0 && age > maxAge {
			return fmt.Errorf("the newest scan is %s old, at most %s is allowed", age.Round(time.Minute), maxAge)
		}
		return scan.check(limit)
	}}, nil
}

// vulnerabilityScan is in-toto.io/attestation/vulns/v0.1.
type vulnerabilityScan struct {
	Scanner struct {
		Result []struct {
			ID       string `json:"id"`
			Severity []struct {
				Method string `json:"method"`
				Score  string `json:"score"`
			} `json:"severity"`
		} `json:"result"`
	} `json:"scanner"`
	Metadata struct {
		ScanFinishedOn time.Time `json:"scanFinishedOn"`
	} `json:"metadata"`
}

func newestScan(list []Statement) (vulnerabilityScan, error) {
	var newest vulnerabilityScan
	for i, s := range list {
		var scan vulnerabilityScan
		if err := json.Unmarshal(s.Predicate, &scan); err != nil {
			return scan, fmt.Errorf("it does not parse: %w", err)
		}
		if scan.Metadata.ScanFinishedOn.IsZero() {
			return scan, errors.New("it does not say when the scan finished")
		}
		if i == 0 || scan.Metadata.ScanFinishedOn.After(newest.Metadata.ScanFinishedOn) {
			newest = scan
		}
	}
	return newest, nil
}

func (v vulnerabilityScan) check(limit int) error {
	var found []string
	for _, r := range v.Scanner.Result {
		worst := -1
		for _, s := range r.Severity {
			rank, err := severityRank(s.Score)
			if err != nil {
				return fmt.Errorf("%s: %w", clip(r.ID), err)
			}
			worst = max(worst, rank)
		}
		// A finding without any rating might be the worst of all.
		if worst < 0 || worst >= limit {
			found = append(found, clip(r.ID))
		}
	}
	if len(found) == 0 {
		return nil
	}
	const show = 5
	names := strings.Join(found[:min(show, len(found))], ", ")
	if len(found) > show {
		names += ", ..."
	}
	return fmt.Errorf("%d vulnerabilities of severity %s or worse, or without a rating: %s", len(found), severities[limit], names)
}

// severityRank reads a word, or a CVSS base score as of its specification,
// section 5.
func severityRank(score string) (int, error) {
	if i := slices.Index(severities, strings.ToLower(score)); i >= 0 {
		return i, nil
	}
	if strings.EqualFold(score, "negligible") || strings.EqualFold(score, "info") {
		return 0, nil
	}
	n, err := strconv.ParseFloat(score, 64)
	switch {
	case err != nil || n < 0 || n > 10:
		return 0, fmt.Errorf("unknown severity %s", clip(score))
	case n == 0:
		return 0, nil
	case n < 4:
		return 1, nil
	case n < 7:
		return 2, nil
	case n < 9:
		return 3, nil
	}
	return 4, nil
}

// RequireSBOM demands an SBOM, of the predicate type [PredicateSPDX] or
// [PredicateCycloneDX], that names packages and says of each what it is: a
// version, and a package URL or a checksum.
func RequireSBOM(predicateType string) (Requirement, error) {
	checks := map[string]func(json.RawMessage) error{PredicateSPDX: checkSPDX, PredicateCycloneDX: checkCycloneDX}
	check, ok := checks[predicateType]
	if !ok {
		return Requirement{}, fmt.Errorf("unknown kind of SBOM %q", predicateType)
	}
	return Requirement{PredicateType: predicateType, Check: func(list []Statement) error {
		var failures []error
		for _, s := range list {
			err := check(unquote(s.Predicate))
			if err == nil {
				return nil
			}
			failures = append(failures, err)
		}
		return errors.Join(failures...)
	}}, nil
}

// unquote undoes what cosign's "spdx" type does: the document as one string.
func unquote(predicate json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(predicate, &text) == nil {
		return json.RawMessage(text)
	}
	return predicate
}

func checkSPDX(predicate json.RawMessage) error {
	var doc struct {
		Version  string `json:"spdxVersion"`
		Packages []struct {
			Name         string            `json:"name"`
			Version      string            `json:"versionInfo"`
			Purpose      string            `json:"primaryPackagePurpose"`
			Checksums    []json.RawMessage `json:"checksums"`
			ExternalRefs []json.RawMessage `json:"externalRefs"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(predicate, &doc); err != nil {
		return fmt.Errorf("it does not parse: %w", err)
	}
	if !strings.HasPrefix(doc.Version, "SPDX-") {
		return errors.New("it is not an SPDX document")
	}
	if len(doc.Packages) == 0 {
		return errors.New("it names no package")
	}
	for _, p := range doc.Packages {
		if p.Purpose == "CONTAINER" || p.Purpose == "OPERATING-SYSTEM" {
			continue // the image itself and its distribution
		}
		if err := checkPackage(p.Name, p.Version, len(p.Checksums)+len(p.ExternalRefs) > 0); err != nil {
			return err
		}
	}
	return nil
}

func checkCycloneDX(predicate json.RawMessage) error {
	var doc struct {
		Format     string `json:"bomFormat"`
		Components []struct {
			Type    string            `json:"type"`
			Name    string            `json:"name"`
			Version string            `json:"version"`
			PURL    string            `json:"purl"`
			Hashes  []json.RawMessage `json:"hashes"`
		} `json:"components"`
	}
	if err := json.Unmarshal(predicate, &doc); err != nil {
		return fmt.Errorf("it does not parse: %w", err)
	}
	if doc.Format != "CycloneDX" {
		return errors.New("it is not a CycloneDX document")
	}
	if len(doc.Components) == 0 {
		return errors.New("it names no component")
	}
	for _, c := range doc.Components {
		if c.Type == "container" || c.Type == "operating-system" || c.Type == "file" {
			continue
		}
		if err := checkPackage(c.Name, c.Version, c.PURL != "" || len(c.Hashes) > 0); err != nil {
			return err
		}
	}
	return nil
}

func checkPackage(name, version string, identified bool) error {
	switch {
	case name == "":
		return errors.New("it lists a package without a name")
	case version == "":
		return fmt.Errorf("it does not say which version of %s", clip(name))
	case !identified:
		return fmt.Errorf("it gives neither a package URL nor a checksum of %s", clip(name))
	}
	return nil
}

// RequireTests demands a test result, in-toto test-result v0.1, that passed; a
// failed one beside it is a reason to refuse.
func RequireTests() Requirement {
	return Requirement{PredicateType: PredicateTestResult, Check: func(list []Statement) error {
		return every(list, "result", "PASSED")
	}}
}

// RequireVSA demands a verification summary, slsa.dev/verification_summary/v1,
// that passed.
func RequireVSA() Requirement {
	return Requirement{PredicateType: PredicateVSA, Check: func(list []Statement) error {
		return every(list, "verificationResult", "PASSED")
	}}
}

func every(list []Statement, field, want string) error {
	for _, s := range list {
		var p map[string]json.RawMessage
		if err := json.Unmarshal(s.Predicate, &p); err != nil {
			return fmt.Errorf("it does not parse: %w", err)
		}
		var got string
		if err := json.Unmarshal(p[field], &got); err != nil || got != want {
			return fmt.Errorf("its %s is %s, not %s", field, clip(string(p[field])), want)
		}
	}
	return nil
}

// requirementForms documents what [ParseRequirement] reads.
const requirementForms = "spdx, cyclonedx, provenance[,builder=ID][,source=URI], " +
	"vulns[,below=SEVERITY][,age=DURATION], openvex, tests, vsa, or a predicate type URI"

// ParseRequirement reads a requirement as written on a command line: a name or
// a predicate type URI, then options after commas. now is the time that ages of
// scans are counted from.
func ParseRequirement(text string, now time.Time) (Requirement, error) {
	kind, rest, _ := strings.Cut(text, ",")
	options, err := parseOptions(rest)
	if err != nil {
		return Requirement{}, fmt.Errorf("read requirement %q: %w", text, err)
	}
	take := func(name, otherwise string) string {
		value, ok := options[name]
		if delete(options, name); ok {
			return value
		}
		return otherwise
	}
	q, err := namedRequirement(kind, take, now)
	if err == nil && len(options) > 0 {
		err = fmt.Errorf("%s knows no such option: %v", kind, options)
	}
	if err != nil {
		return Requirement{}, fmt.Errorf("read requirement %q: %w (want %s)", text, err, requirementForms)
	}
	return q, nil
}

func namedRequirement(kind string, take func(name, otherwise string) string, now time.Time) (Requirement, error) {
	switch kind {
	case "spdx":
		return RequireSBOM(PredicateSPDX)
	case "cyclonedx":
		return RequireSBOM(PredicateCycloneDX)
	case "provenance":
		return RequireProvenance(take("builder", ""), take("source", "")), nil
	case "vulns":
		age, err := time.ParseDuration(take("age", "0s"))
		if err != nil {
			return Requirement{}, err
		}
		return RequireNoVulnerabilities(take("below", "critical"), age, now)
	case "openvex":
		return Requirement{PredicateType: PredicateOpenVEX}, nil
	case "tests":
		return RequireTests(), nil
	case "vsa":
		return RequireVSA(), nil
	}
	if !strings.HasPrefix(kind, "https://") {
		return Requirement{}, errors.New("unknown kind")
	}
	return Requirement{PredicateType: kind}, nil
}

func parseOptions(text string) (map[string]string, error) {
	options := map[string]string{}
	if text == "" {
		return options, nil
	}
	for field := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(field, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("option %q is not NAME=VALUE", field)
		}
		if _, twice := options[name]; twice {
			return nil, fmt.Errorf("option %s is given twice", name)
		}
		options[name] = value
	}
	return options, nil
}
