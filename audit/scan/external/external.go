// Package external reads the results of other scanners, as JSON, into the
// model of this one, so that one gate and one report cover them. The scanner
// is known by the shape of its output.
package external

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/audit/scan/osv"
)

// MaxFile bounds a result, in bytes.
const MaxFile = 512 << 20

// Result is what another scanner found.
type Result struct {
	Scanner  string // such as "grype 0.120.1"
	Target   string
	Findings []scan.Finding
	// Built is when its database was made, or the scan where it does not say;
	// zero where it says neither.
	Built time.Time
	// Packages counts what it looked at, where it says so.
	Packages int
}

// Parse reads a result of grype, trivy or osv-scanner.
func Parse(name string, data []byte) (*Result, error) {
	r, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", name, err)
	}
	for i := range r.Findings {
		r.Findings[i].Scanner = r.Scanner
	}
	return r, nil
}

func parse(data []byte) (*Result, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("more than %d bytes", MaxFile)
	}
	// By the names as they are written: for encoding/json trivy's Results are
	// osv-scanner's results, and a result read as another scanner's is empty.
	var shape map[string]json.RawMessage
	if err := json.Unmarshal(data, &shape); err != nil {
		return nil, fmt.Errorf("it is no JSON of grype, trivy or osv-scanner: %w", err)
	}
	list := func(key string) bool { return strings.HasPrefix(string(shape[key]), "[") }
	switch {
	case list("matches") && shape["descriptor"] != nil:
		return grype(data)
	case shape["SchemaVersion"] != nil && shape["ArtifactName"] != nil:
		return trivy(data)
	case list("results") && shape["Results"] == nil:
		return osvScanner(data)
	}
	return nil, errors.New("it is no JSON of grype, trivy or osv-scanner")
}

// grype reads grype's JSON.
func grype(data []byte) (*Result, error) {
	var doc struct {
		Matches []struct {
			Vulnerability struct {
				ID       string `json:"id"`
				Severity string `json:"severity"`
				Data     string `json:"dataSource"`
				Text     string `json:"description"`
				Fix      struct {
					Versions []string `json:"versions"`
					State    string   `json:"state"`
				} `json:"fix"`
			} `json:"vulnerability"`
			Related []struct {
				ID string `json:"id"`
			} `json:"relatedVulnerabilities"`
			Artifact struct {
				Name, Version, PURL string
				Locations           []struct {
					Path  string `json:"path"`
					Layer string `json:"layerID"`
				} `json:"locations"`
			} `json:"artifact"`
		} `json:"matches"`
		Source struct {
			Target json.RawMessage `json:"target"`
		} `json:"source"`
		Descriptor struct {
			Name, Version, Timestamp string
			DB                       struct {
				Built  time.Time `json:"built"`
				Status struct {
					Built time.Time `json:"built"`
				} `json:"status"`
			} `json:"db"`
		} `json:"descriptor"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	r := &Result{Scanner: "grype " + doc.Descriptor.Version, Built: doc.Descriptor.DB.Status.Built}
	if r.Built.IsZero() {
		r.Built = doc.Descriptor.DB.Built
	}
	var target struct {
		UserInput string `json:"userInput"`
	}
	if json.Unmarshal(doc.Source.Target, &target) == nil { // of a directory it is a mere string
		r.Target = target.UserInput
	}
	for _, m := range doc.Matches {
		f, err := finding(m.Vulnerability.ID, m.Vulnerability.Severity, m.Artifact.Name, m.Artifact.Version, m.Artifact.PURL)
		if err != nil {
			return nil, err
		}
		f.Summary = m.Vulnerability.Text
		if m.Vulnerability.Fix.State == "fixed" && len(m.Vulnerability.Fix.Versions) > 0 {
			f.Fixed = m.Vulnerability.Fix.Versions[0]
		}
		for _, v := range m.Related {
			f.Aliases = append(f.Aliases, v.ID)
		}
		if len(m.Artifact.Locations) > 0 {
			f.Package.Path, f.Package.Layer = m.Artifact.Locations[0].Path, m.Artifact.Locations[0].Layer
		}
		r.Findings = append(r.Findings, rename(f))
	}
	return r, nil
}

// trivy reads trivy's JSON, schema version 2.
func trivy(data []byte) (*Result, error) {
	var doc struct {
		SchemaVersion int
		CreatedAt     time.Time
		ArtifactName  string
		Trivy         struct{ Version string }
		Results       []struct {
			Target          string
			Packages        []json.RawMessage
			Vulnerabilities []struct {
				VulnerabilityID, PkgName, PkgPath               string
				InstalledVersion, FixedVersion, Severity, Title string
				SeveritySource                                  string
				VendorIDs                                       []string
				PublishedDate                                   *time.Time
				PkgIdentifier                                   struct{ PURL string }
				Layer                                           struct{ Digest string }
			}
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if doc.SchemaVersion != 2 {
		return nil, fmt.Errorf("trivy's schema version %d is not read, only 2", doc.SchemaVersion)
	}
	r := &Result{Scanner: strings.TrimSpace("trivy " + doc.Trivy.Version), Target: doc.ArtifactName, Built: doc.CreatedAt}
	for _, res := range doc.Results {
		r.Packages += len(res.Packages)
		for _, v := range res.Vulnerabilities {
			f, err := finding(v.VulnerabilityID, v.Severity, v.PkgName, v.InstalledVersion, v.PkgIdentifier.PURL)
			if err != nil {
				return nil, err
			}
			f.Summary, f.Fixed, f.Aliases = v.Title, v.FixedVersion, v.VendorIDs
			f.Package.Path, f.Package.Layer = cmp.Or(v.PkgPath, res.Target), v.Layer.Digest
			f.Rating.Source = v.SeveritySource
			if v.PublishedDate != nil {
				f.Published = *v.PublishedDate
			}
			r.Findings = append(r.Findings, rename(f))
		}
	}
	return r, nil
}

// osvScanner reads osv-scanner's JSON. It has the OSV entries in it, so their
// ranges give the fix.
func osvScanner(data []byte) (*Result, error) {
	var doc struct {
		Results []struct {
			Source struct {
				Path string `json:"path"`
			} `json:"source"`
			Packages *[]struct {
				Package struct {
					Name      string `json:"name"`
					Version   string `json:"version"`
					Ecosystem string `json:"ecosystem"`
				} `json:"package"`
				Vulnerabilities []json.RawMessage `json:"vulnerabilities"`
			} `json:"packages"`
		} `json:"results"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	r := &Result{Scanner: "osv-scanner"}
	for i, res := range doc.Results {
		if res.Packages == nil {
			return nil, fmt.Errorf("result %d names no packages, as those of osv-scanner do", i+1)
		}
		for _, p := range *res.Packages {
			r.Packages++
			pkg := inventory.Package{Ecosystem: p.Package.Ecosystem, Name: p.Package.Name, Version: p.Package.Version, Path: res.Source.Path,
				PURL: fmt.Sprintf("pkg:generic/%s@%s", p.Package.Name, p.Package.Version)}
			var entries []*osv.Entry
			for _, raw := range p.Vulnerabilities {
				e, err := osv.ParseEntry(raw)
				if err != nil {
					return nil, err
				}
				entries = append(entries, e)
			}
			r.Findings = append(r.Findings, scan.Judge(pkg, entries)...)
		}
	}
	return r, nil
}

// finding makes a finding of the fields that all scanners have.
func finding(id, severity, name, version, purl string) (scan.Finding, error) {
	if id == "" || name == "" {
		return scan.Finding{}, errors.New("a vulnerability without an identifier or a package: the file is damaged, or of a version that is not read")
	}
	sev, err := scan.ParseSeverity(severity)
	if err != nil {
		return scan.Finding{}, fmt.Errorf("%s: %w", id, err)
	}
	pkg := inventory.Package{Name: name, Version: version, PURL: purl}
	if purl != "" {
		if p, err := inventory.FromPURL(purl); err == nil {
			pkg = p
		}
	}
	return scan.Finding{ID: id, Package: pkg, Rating: scan.Rating{Severity: sev}}, nil
}

// rename puts the CVE first, as our own findings have it.
func rename(f scan.Finding) scan.Finding {
	f.Aliases = slices.DeleteFunc(f.Aliases, func(id string) bool { return id == f.ID })
	if strings.HasPrefix(f.ID, "CVE-") {
		return f
	}
	for i, id := range f.Aliases {
		if strings.HasPrefix(id, "CVE-") {
			f.Aliases[i] = f.ID
			f.ID = id
			break
		}
	}
	return f
}
