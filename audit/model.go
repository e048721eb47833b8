// Package audit is the container hardening guide as rules with evidence: the
// nouns that every auditor and every report shares. It reads nothing and
// judges nothing; the rules live with their artefact in audit/dockerfile,
// audit/image, audit/workload and audit/scan.
//
// Three promises hold everywhere. What was not looked at is unknown, never
// pass, and says what would decide it. A finding says where, what was seen,
// what was expected and how it was checked. The value of a secret is in no
// finding.
package audit

import (
	"strings"
	"time"
)

// Verdict is the answer of one rule about one place.
type Verdict string

// The five verdicts. Only Pass means that something was seen to hold.
const (
	Pass          Verdict = "pass"
	Fail          Verdict = "fail"
	Warn          Verdict = "warn"
	NotApplicable Verdict = "n/a"     // Finding.Reason says why
	Unknown       Verdict = "unknown" // Finding.Needs names what would decide it
)

// Verdicts lists all verdicts, worst first.
var Verdicts = []Verdict{Fail, Unknown, Warn, Pass, NotApplicable}

// Severity says how much a broken rule matters.
type Severity string

// The severities.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Rank orders severities: 1 for low up to 4 for critical, 0 for anything else.
func (s Severity) Rank() int {
	switch s {
	case Low:
		return 1
	case Medium:
		return 2
	case High:
		return 3
	case Critical:
		return 4
	}
	return 0
}

// Kind is a kind of artefact.
type Kind string

// The kinds of artefact that rules read.
const (
	Dockerfile Kind = "dockerfile"
	Context    Kind = "context"  // a build context and its .dockerignore
	Workflow   Kind = "workflow" // a continuous integration workflow
	Image      Kind = "image"    // layout, archive, daemon or registry
	Registry   Kind = "registry" // state of a registry: tags, replicas
	Docker     Kind = "docker"   // docker inspect JSON or a docker run line
	Compose    Kind = "compose"
	Kubernetes Kind = "kubernetes"
	ECS        Kind = "ecs"       // a task definition, in any of its shapes
	Decoys     Kind = "decoys"    // a decoy register or signed manifest
	Export     Kind = "export"    // evidence exported elsewhere: cloud JSON, ledger, alert store
	Inventory  Kind = "inventory" // packages: status.d, dpkg, Go build info, SBOM
)

// Kinds lists all kinds in the order reports show them.
var Kinds = []Kind{Dockerfile, Context, Workflow, Image, Registry, Docker, Compose, Kubernetes, ECS, Decoys, Export, Inventory}

// Label is the kind as a person reads it.
func (k Kind) Label() string {
	switch k {
	case Dockerfile:
		return "Dockerfile"
	case Context:
		return "build context"
	case Docker:
		return "Docker container"
	case Compose:
		return "Compose"
	case Kubernetes:
		return "Kubernetes"
	case ECS:
		return "ECS"
	case Decoys:
		return "decoy register"
	case Export:
		return "exported evidence"
	}
	return string(k)
}

// RuleSet is the newest version of the rule set. A rule that joins later
// carries a higher Since, and only warns for those who ask for an older set.
const RuleSet = 1

// Rule describes one check. The check itself is private to its package.
type Rule struct {
	// ID is CHG-<stage>.<step><letter>, for example CHG-2.6a. The letter says
	// whose rule it is, so that packages do not collide: a to h the Dockerfile,
	// its context and workflows; i to p images, registries and exports; q to z
	// workloads. Step 1.1 belongs to the Dockerfile whole, step 1.2 to scan.
	ID       string   `json:"id"`
	Title    string   `json:"title"`             // what holds when the rule passes, without a full stop
	Severity Severity `json:"severity"`          // of a failure
	Since    int      `json:"since"`             // first rule set with this rule
	Kinds    []Kind   `json:"kinds"`             // artefacts it reads
	Aliases  []string `json:"aliases,omitempty"` // ids of other linters: DL3002, DS-0002, CIS-DI-0001, buildkit names
	Why      string   `json:"why"`               // one or two sentences
	Fix      string   `json:"fix"`               // what to do, with an example
	Evidence string   `json:"evidence"`          // what a finding shows
}

// Step returns the guide's step the rule belongs to, for example "2.6", or ""
// for an id of another shape.
func (r Rule) Step() string { return StepOf(r.ID) }

// StepOf returns the guide's step of a rule id, or "".
func StepOf(id string) string {
	rest, ok := strings.CutPrefix(id, "CHG-")
	if !ok || len(rest) != 4 || rest[1] != '.' || !digit(rest[0]) || !digit(rest[2]) || rest[3] < 'a' || rest[3] > 'z' {
		return ""
	}
	return rest[:3]
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// Artifact names one thing that was audited.
type Artifact struct {
	Kind   Kind   `json:"kind"`
	Name   string `json:"name"`             // path, reference or resource as the user knows it
	SHA256 string `json:"sha256,omitempty"` // hex digest of the bytes judged, without a prefix
}

// Locator says where in an artefact. Unused parts are empty.
type Locator struct {
	Path      string `json:"path,omitempty"`      // file, as the artefact names it
	StartLine int    `json:"startLine,omitempty"` // from 1
	EndLine   int    `json:"endLine,omitempty"`   // inclusive
	Pointer   string `json:"pointer,omitempty"`   // RFC 6901, into a document of Path
	Layer     string `json:"layer,omitempty"`     // digest of an image's layer
	File      string `json:"file,omitempty"`      // path inside the image
	Excerpt   string `json:"excerpt,omitempty"`   // the line itself, redacted
}

// Finding is the answer of one rule about one place.
type Finding struct {
	Rule     string   `json:"rule"`
	Verdict  Verdict  `json:"verdict"`
	Severity Severity `json:"severity,omitempty"` // empty: the rule's own
	Artifact Artifact `json:"artifact"`
	Locator  Locator  `json:"locator,omitzero"`
	Observed string   `json:"observed,omitempty"` // what was seen; secrets redacted
	Expected string   `json:"expected,omitempty"`
	Method   string   `json:"method,omitempty"` // how it was checked
	Fix      string   `json:"fix,omitempty"`    // exact fix here; empty: the rule's own
	Needs    string   `json:"needs,omitempty"`  // unknown: the artefact that would decide it
	Reason   string   `json:"reason,omitempty"` // n/a: why
	Alias    string   `json:"alias,omitempty"`  // the peer's rule this case corresponds to, if one
	Waiver   *Waiver  `json:"waiver,omitempty"` // set when the finding is accepted
}

// Waiver is the acceptance of a finding.
type Waiver struct {
	Reason string     `json:"reason"`
	Until  *time.Time `json:"until,omitempty"` // the first moment it no longer holds
	Source string     `json:"source"`          // file and line of the waiver
}

// Broken reports whether the finding stands: a failure or warning that nobody
// accepted.
func (f Finding) Broken() bool {
	return f.Waiver == nil && (f.Verdict == Fail || f.Verdict == Warn)
}

// WorstOf returns the worse of two verdicts; an empty one is no verdict yet.
func WorstOf(a, b Verdict) Verdict {
	for _, v := range Verdicts {
		if a == v || b == v {
			return v
		}
	}
	return a
}
