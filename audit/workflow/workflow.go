// Package workflow judges continuous integration workflows in GitHub's
// format, which Gitea and Forgejo share: are actions pinned, and is the image
// rebuilt by a schedule.
package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/audit"
)

// Limits of a workflow.
const (
	MaxSize  = 1 << 20
	maxNodes = 100_000
	maxDepth = 100
)

// Input is one workflow file.
type Input struct {
	Name string
	Data []byte
	// Siblings says that another workflow of the repository has a schedule.
	Scheduled bool
}

// Options are for the future and for the clock of waivers.
type Options struct{ Now time.Time }

type rule struct {
	audit.Rule
	check func(*check)
}

type check struct {
	in       Input
	artifact audit.Artifact
	root     *yaml.Node
	rule     audit.Rule
	findings []audit.Finding
	held     string
	method   string
}

func rules() []rule { return []rule{rule23f, rule41a} }

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
	Artifact audit.Artifact
	Findings []audit.Finding
	Notes    []string
}

// Audit judges a workflow. A file that is no YAML cannot be judged.
func Audit(in Input, o Options) (Result, error) {
	root, err := Parse(in.Data)
	if err != nil {
		return Result{}, fmt.Errorf("read workflow %s: %w", in.Name, err)
	}
	sum := sha256.Sum256(in.Data)
	res := Result{Artifact: audit.Artifact{Kind: audit.Workflow, Name: in.Name, SHA256: hex.EncodeToString(sum[:])}}
	for _, r := range rules() {
		c := &check{in: in, artifact: res.Artifact, root: root, rule: r.Rule}
		r.check(c)
		if len(c.findings) == 0 {
			c.add(audit.Finding{Verdict: audit.Pass, Observed: c.held})
		}
		res.Findings = append(res.Findings, c.findings...)
	}
	res.Notes = waive(in, res.Findings, o.Now)
	return res, nil
}

// Parse reads YAML within the limits of a workflow. Aliases are refused: with
// a few of them a small file unfolds into a huge one.
func Parse(data []byte) (*yaml.Node, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("the file has more than %d bytes", MaxSize)
	}
	if brackets(data) > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, errors.New("the file is empty")
	}
	n := 0
	if err := plain(doc.Content[0], 0, &n); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

func brackets(data []byte) int {
	level, deepest := 0, 0
	for _, c := range data {
		switch c {
		case '[', '{':
			level++
			deepest = max(deepest, level)
		case ']', '}':
			level--
		}
	}
	return deepest
}

func plain(n *yaml.Node, level int, count *int) error {
	*count++
	switch {
	case n.Kind == yaml.AliasNode:
		return fmt.Errorf("line %d: an alias, which is not followed", n.Line)
	case level > maxDepth:
		return fmt.Errorf("line %d: nested deeper than %d levels", n.Line, maxDepth)
	case *count > maxNodes:
		return fmt.Errorf("more than %d nodes", maxNodes)
	}
	for _, c := range n.Content {
		if err := plain(c, level+1, count); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) add(f audit.Finding) {
	f.Rule, f.Artifact, f.Method = c.rule.ID, c.artifact, c.method
	if f.Locator.Path == "" {
		f.Locator.Path = c.in.Name
	}
	c.findings = append(c.findings, f)
}

func (c *check) at(n *yaml.Node, pointer string) audit.Locator {
	return audit.Locator{Path: c.in.Name, StartLine: n.Line, EndLine: n.Line, Pointer: pointer, Excerpt: excerpt(n)}
}

func excerpt(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || len(n.Value) > 200 {
		return ""
	}
	return n.Value
}

// child returns the value of a key of a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// fields calls fn for every key and value of a mapping.
func fields(n *yaml.Node, fn func(key string, value *yaml.Node)) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		fn(n.Content[i].Value, n.Content[i+1])
	}
}

// waive accepts findings by our ignore comments: on the line itself or on one
// of its own above it.
func waive(in Input, findings []audit.Finding, now time.Time) []string {
	var notes []string
	for i, line := range strings.Split(string(in.Data), "\n") {
		before, comment, ok := strings.Cut(line, "# hardstand ")
		if !ok {
			continue
		}
		ig, ok, err := audit.ParseIgnore("hardstand " + comment)
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s:%d: %v", in.Name, i+1, err))
		}
		if !ok || err != nil {
			continue
		}
		about := i + 1
		if strings.TrimSpace(before) == "" {
			about++
		}
		for j := range findings {
			f := &findings[j]
			if f.Waiver == nil && f.Verdict != audit.Pass && (ig.Global || f.Locator.StartLine == about) && named(ig, f.Rule) {
				f.Waive(ig.Reason, fmt.Sprintf("%s:%d", in.Name, i+1), ig.Until, now)
			}
		}
	}
	return notes
}

func named(ig audit.Ignore, id string) bool {
	for _, r := range rules() {
		if r.ID != id {
			continue
		}
		for _, want := range ig.IDs {
			if r.Matches(want) {
				return true
			}
		}
	}
	return false
}
