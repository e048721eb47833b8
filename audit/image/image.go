// Package image judges container images, whoever built them, and what is said
// about them elsewhere: signatures, replicas, ledgers, exported settings.
//
// It reads every layer once, also what upper layers remove, because whoever
// pulls the image has those bytes too. It writes nothing to disk, speaks to
// nobody, and holds of a file no more than what the rules need. What is known
// of the outside comes in as data.
package image

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/audit"
)

// Input is one image of one platform.
type Input struct {
	Name string // reference as the user knows it
	// Image is nil where only evidence is judged.
	Image v1.Image
	// Unpacked says that the layers are stored uncompressed, as in an archive
	// of docker save. Asking such an image for its manifest would compress it.
	Unpacked bool
}

// Options are what is known besides the image. What is missing makes the
// rules about it unknown.
type Options struct {
	Now time.Time
	// Register says what was planted; its files are decoys by digest and path.
	Register *Register
	// Signatures is the report of a verification against a trust policy.
	Signatures *Signatures
	// MaxAge is how old an image may be; 0 is 35 days.
	MaxAge time.Duration
	// Digest is what the name stands for in its registry: of the image, or of
	// the index that it was taken from. Empty where no registry knows it.
	Digest string
	// Replicas are other places that were asked for the image.
	Replicas []Replica
	// Evidence is what was exported elsewhere: a cloud's JSON, a ledger, alarms.
	Evidence []Evidence
}

// Evidence is one exported file.
type Evidence struct {
	Name string
	Data []byte
}

// MaxEvidence bounds an exported file, in bytes.
const MaxEvidence = 32 << 20

// Replica is a repository that should have the same image.
type Replica struct {
	Repository string
	Digest     string   // what its tag names; "" if absent
	Attached   []string // artifact types or tags of signatures and SBOMs found there
	Err        string   // why it could not be asked
	// Signatures is the report of a verification there against the trust
	// policy; nil without a policy.
	Signatures *Signatures
}

// Signatures is what hardstand verify --json says.
type Signatures struct {
	Digest    string `json:"digest"`
	Platform  string `json:"platform"`
	Evidences []struct {
		KeyID    string    `json:"keyId"`
		Identity string    `json:"identity"`
		Issuer   string    `json:"issuer"`
		Time     time.Time `json:"time"`
	} `json:"signatures"`
	Attestations []struct {
		PredicateType string    `json:"predicateType"`
		Time          time.Time `json:"time"`
		Built         time.Time `json:"built"` // by the word of provenance
	} `json:"attestations"`
	Refusals []struct {
		Code   string `json:"code"`
		Reason string `json:"reason"`
	} `json:"refusals"`
	Platforms []Signatures `json:"platforms"`
}

// ParseSignatures reads the report of hardstand verify --json.
func ParseSignatures(data []byte) (*Signatures, error) {
	var s Signatures
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read verification report: %w", err)
	}
	if s.Digest == "" {
		return nil, fmt.Errorf("read verification report: it names no digest; write it with hardstand verify --json")
	}
	return &s, nil
}

// rule is a description with its check.
type rule struct {
	audit.Rule
	check func(*check)
}

// check is one run of one rule.
type check struct {
	*subject
	rule     audit.Rule
	method   string
	findings []audit.Finding
}

// subject is what the rules see.
type subject struct {
	artifact audit.Artifact
	config   *v1.ConfigFile // nil without an image
	*tree
	opts    Options
	exports []export
}

func rules() []rule {
	return []rule{
		rule21i, rule22i, rule24i, rule24j, rule25i, rule25j, rule26i, rule27i, rule28i, rule28j,
		rule29i, rule29j, rule29k, rule29l, rule29m, rule29n, rule32i, rule33i, rule35i, rule41i,
		rule42i, rule43i, rule44i, rule45i,
	}
}

// Rules describes the rules of the package.
func Rules() []audit.Rule {
	var list []audit.Rule
	for _, r := range rules() {
		list = append(list, r.Rule)
	}
	return list
}

// Result is what Audit found.
type Result struct {
	Artifacts []audit.Artifact
	Findings  []audit.Finding
	Notes     []string
}

// Audit judges an image and the evidence beside it. The error says that the
// image could not be read whole; it is then not judged.
func Audit(ctx context.Context, in Input, o Options) (Result, error) {
	s := &subject{artifact: audit.Artifact{Kind: audit.Image, Name: in.Name}, opts: o}
	if in.Image != nil {
		if err := s.open(ctx, in); err != nil {
			return Result{}, fmt.Errorf("read image %s: %w", in.Name, err)
		}
	}
	var res Result
	if in.Image != nil {
		res.Artifacts = append(res.Artifacts, s.artifact)
		res.Notes = s.notes
	}
	for _, e := range o.Evidence {
		x := readExport(e)
		s.exports = append(s.exports, x)
		res.Artifacts = append(res.Artifacts, x.artifact)
		if x.err != nil {
			res.Notes = append(res.Notes, fmt.Sprintf("%s: %v", e.Name, x.err))
		}
	}
	for _, r := range rules() {
		c := &check{subject: s, rule: r.Rule, method: "configuration and every layer read"}
		if in.Image == nil && !judgesEvidence(r.Rule) {
			continue
		}
		r.check(c)
		res.Findings = append(res.Findings, c.findings...)
	}
	audit.SortFindings(res.Findings)
	return res, nil
}

func judgesEvidence(r audit.Rule) bool {
	for _, k := range r.Kinds {
		if k == audit.Export || k == audit.Registry {
			return true
		}
	}
	return false
}

func (c *check) add(f audit.Finding) {
	f.Rule = c.rule.ID
	if f.Artifact.Kind == "" {
		f.Artifact = c.artifact
	}
	if f.Method == "" {
		f.Method = c.method
	}
	c.findings = append(c.findings, f)
}

func (c *check) pass(format string, args ...any) {
	c.add(audit.Finding{Verdict: audit.Pass, Observed: fmt.Sprintf(format, args...)})
}

func (c *check) unknown(needs string) {
	c.add(audit.Finding{Verdict: audit.Unknown, Needs: needs})
}

func (c *check) notApplicable(reason string) {
	c.add(audit.Finding{Verdict: audit.NotApplicable, Reason: reason})
}

// maxListed bounds how many places one rule lists; the rest is counted.
const maxListed = 50

// files reports entries that break a rule, or that none does.
func (c *check) files(v audit.Verdict, list []*entry, expected string, observed func(*entry) string, held string) {
	if len(list) == 0 {
		if held != "" {
			c.pass("%s", held)
		}
		return
	}
	for i, e := range list {
		if i == maxListed {
			c.add(audit.Finding{Verdict: v, Observed: fmt.Sprintf("%d more files like these", len(list)-i), Expected: expected})
			return
		}
		c.add(audit.Finding{Verdict: v, Locator: c.at(e), Observed: observed(e), Expected: expected})
	}
}

// at is the place of a file in the image.
func (s *subject) at(e *entry) audit.Locator {
	return audit.Locator{Layer: s.layers[e.layer].diffID, File: "/" + e.path}
}

// matching returns the files in force for which want holds and that are no
// decoys.
func (s *subject) matching(want func(*entry) bool) []*entry {
	var list []*entry
	for _, e := range s.sorted {
		if want(e) && !s.decoy(e) {
			list = append(list, e)
		}
	}
	return list
}

// environment returns a variable of the configuration.
func (s *subject) environment() map[string]string {
	env := map[string]string{}
	for _, kv := range s.config.Config.Env {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	return env
}
