// Package settings reads what a repository has decided about its audit:
// .hardstand.yaml, the files that other linters left behind, and a baseline.
// It only ever accepts findings or changes their severity; it cannot make a
// rule pass.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/audit"
)

// MaxSize bounds a settings file, in bytes.
const MaxSize = 1 << 20

// maxDepth bounds the nesting of a settings file.
const maxDepth = 20

// Settings are decisions from one or more files.
type Settings struct {
	RuleSet   int                       // 0: not set
	FailOn    string                    // "" or a value of --fail-on
	FailOnBy  string                    // the file or variable that says so
	Target    string                    // stage of every Dockerfile that has it
	Trusted   []string                  // registries and repositories
	Minimal   []string                  // images known to have no shell
	Exclude   []string                  // paths of a repository that are not audited
	NoPragmas bool                      // ignore comments of other linters do not count
	Severity  map[string]audit.Severity // by rule id or alias
	Ignore    []Ignore
}

// Ignore accepts findings of rules below a path.
type Ignore struct {
	IDs    []string
	Path   string // a pattern of path.Match, or a directory ending in "/**"; "" is everywhere
	Reason string
	Until  *time.Time
	Source string // file and line
}

// file is the shape of .hardstand.yaml.
type file struct {
	Rules    int                       `yaml:"rules"`
	FailOn   string                    `yaml:"fail-on"`
	Target   string                    `yaml:"target"`
	Trusted  []string                  `yaml:"trusted"`
	Minimal  []string                  `yaml:"minimal"`
	Exclude  []string                  `yaml:"exclude"`
	Pragmas  *bool                     `yaml:"pragmas"`
	Severity map[string]audit.Severity `yaml:"severity"`
	Ignore   []yaml.Node               `yaml:"ignore"`
}

type fileIgnore struct {
	Rule   string   `yaml:"rule"`
	Rules  []string `yaml:"rules"`
	Path   string   `yaml:"path"`
	Reason string   `yaml:"reason"`
	Until  string   `yaml:"until"`
}

// Parse reads .hardstand.yaml. Unknown keys, aliases, waivers without a reason
// and broken patterns are errors with their line.
func Parse(name string, data []byte) (Settings, error) {
	var f file
	if err := decode(data, &f, true); err != nil {
		return Settings{}, fmt.Errorf("read settings %s: %w", name, err)
	}
	s := Settings{RuleSet: f.Rules, FailOn: f.FailOn, FailOnBy: name, Target: f.Target, Trusted: f.Trusted, Minimal: f.Minimal, Exclude: f.Exclude, Severity: f.Severity}
	s.NoPragmas = f.Pragmas != nil && !*f.Pragmas
	if f.Rules < 0 || f.Rules > audit.RuleSet {
		return Settings{}, fmt.Errorf("read settings %s: rule set %d does not exist; the newest is %d", name, f.Rules, audit.RuleSet)
	}
	for id, sev := range f.Severity {
		if sev.Rank() == 0 {
			return Settings{}, fmt.Errorf("read settings %s: severity of %s is %q, want low, medium, high or critical", name, id, sev)
		}
	}
	for _, pattern := range f.Exclude {
		if _, err := Match(pattern, "x"); err != nil {
			return Settings{}, fmt.Errorf("read settings %s: exclude %q: %w", name, pattern, err)
		}
	}
	for i := range f.Ignore {
		ig, err := readIgnore(&f.Ignore[i])
		if err != nil {
			return Settings{}, fmt.Errorf("read settings %s:%d: %w", name, f.Ignore[i].Line, err)
		}
		ig.Source = fmt.Sprintf("%s:%d", name, f.Ignore[i].Line)
		s.Ignore = append(s.Ignore, ig)
	}
	return s, nil
}

func readIgnore(n *yaml.Node) (Ignore, error) {
	// Node.Decode has no strict mode, so the keys are checked by hand.
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case "rule", "rules", "path", "reason", "until":
		default:
			return Ignore{}, fmt.Errorf("unknown key %q", n.Content[i].Value)
		}
	}
	var f fileIgnore
	if err := n.Decode(&f); err != nil {
		return Ignore{}, err
	}
	ig := Ignore{IDs: f.Rules, Path: f.Path, Reason: strings.TrimSpace(f.Reason)}
	if f.Rule != "" {
		ig.IDs = append(ig.IDs, f.Rule)
	}
	switch {
	case len(ig.IDs) == 0:
		return Ignore{}, errors.New("the waiver names no rule")
	case ig.Reason == "":
		return Ignore{}, errors.New("the waiver gives no reason")
	}
	if _, err := Match(ig.Path, "x"); err != nil {
		return Ignore{}, fmt.Errorf("path %q: %w", ig.Path, err)
	}
	if f.Until != "" {
		day, err := audit.ParseDay(f.Until)
		if err != nil {
			return Ignore{}, err
		}
		ig.Until = &day
	}
	return ig, nil
}

// decode reads YAML that contains no aliases and is not nested deeply.
func decode(data []byte, into any, strict bool) error {
	if len(data) > MaxSize {
		return fmt.Errorf("the file has more than %d bytes", MaxSize)
	}
	if depth(data) > maxDepth {
		return fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return err
	}
	if err := plain(&root, 0); err != nil {
		return err
	}
	if len(root.Content) == 0 {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(strict)
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// depth is how deep brackets nest: the one kind of nesting that costs more
// than a byte a level to write, before the parser sees it.
func depth(data []byte) int {
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

func plain(n *yaml.Node, level int) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return fmt.Errorf("line %d: anchors and aliases are not taken here", n.Line)
	}
	if level > maxDepth {
		return fmt.Errorf("line %d: nested deeper than %d levels", n.Line, maxDepth)
	}
	for _, c := range n.Content {
		if err := plain(c, level+1); err != nil {
			return err
		}
	}
	return nil
}

// Match matches a path with a pattern of path.Match, to which a directory
// followed by "/**" is added; the pattern "" matches everything, and one
// without a slash matches the last part of the path too.
func Match(pattern, name string) (bool, error) {
	name = strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, `\`, "/")), "/")
	if pattern == "" {
		return true, nil
	}
	pattern = strings.TrimPrefix(pattern, "./")
	if dir, ok := strings.CutSuffix(pattern, "/**"); ok {
		for p := name; p != "." && p != "/"; p = path.Dir(p) {
			if hit, err := path.Match(dir, p); hit || err != nil {
				return hit, err
			}
		}
		_, err := path.Match(dir, "x")
		return false, err
	}
	hit, err := path.Match(pattern, name)
	if err == nil && !hit && !strings.Contains(pattern, "/") {
		hit, err = path.Match(pattern, path.Base(name))
	}
	return hit, err
}

// Merge adds what another file decided. What is already set stays.
func (s *Settings) Merge(o Settings) {
	if s.RuleSet == 0 {
		s.RuleSet = o.RuleSet
	}
	if s.FailOn == "" {
		s.FailOn, s.FailOnBy = o.FailOn, o.FailOnBy
	}
	if s.Target == "" {
		s.Target = o.Target
	}
	s.NoPragmas = s.NoPragmas || o.NoPragmas
	s.Trusted = append(s.Trusted, o.Trusted...)
	s.Minimal = append(s.Minimal, o.Minimal...)
	s.Exclude = append(s.Exclude, o.Exclude...)
	s.Ignore = append(s.Ignore, o.Ignore...)
	for id, sev := range o.Severity {
		if s.Severity == nil {
			s.Severity = map[string]audit.Severity{}
		}
		if _, ok := s.Severity[id]; !ok {
			s.Severity[id] = sev
		}
	}
}

// Apply changes severities and accepts findings. It returns notes about
// waivers that have run out.
func (s Settings) Apply(findings []audit.Finding, rules []audit.Rule, now time.Time) []string {
	byID := map[string]audit.Rule{}
	for _, r := range rules {
		byID[r.ID] = r
	}
	notes := s.strangers(rules)
	for i := range findings {
		f := &findings[i]
		rule := byID[f.Rule]
		for id, sev := range s.Severity {
			if covers(rule, *f, id) {
				f.Severity = sev
			}
		}
		if f.Waiver != nil || f.Verdict != audit.Fail && f.Verdict != audit.Warn && f.Verdict != audit.Unknown {
			continue
		}
		if note := s.waive(f, rule, now); note != "" {
			notes = append(notes, note)
		}
	}
	return notes
}

// strangers notes the ids of ours that no rule has: a waiver that is misspelt
// waives nothing.
func (s Settings) strangers(rules []audit.Rule) []string {
	var notes []string
	for _, ig := range s.Ignore {
		for _, id := range ig.IDs {
			known := !strings.HasPrefix(strings.ToUpper(id), "CHG-") || slices.ContainsFunc(rules, func(r audit.Rule) bool { return r.Matches(id) })
			if !known {
				notes = append(notes, fmt.Sprintf("%s: there is no rule %s, so nothing is waived by it", ig.Source, id))
			}
		}
	}
	return notes
}

func (s Settings) waive(f *audit.Finding, rule audit.Rule, now time.Time) (note string) {
	for _, ig := range s.Ignore {
		where := f.Locator.Path
		if where == "" {
			where = f.Artifact.Name
		}
		if hit, err := Match(ig.Path, where); err != nil || !hit {
			continue
		}
		for _, id := range ig.IDs {
			if !covers(rule, *f, id) {
				continue
			}
			if f.Waive(ig.Reason, ig.Source, ig.Until, now) {
				return ""
			}
			note = fmt.Sprintf("%s: the waiver of %s ran out on %s", ig.Source, f.Rule, ig.Until.AddDate(0, 0, -1).Format(time.DateOnly))
		}
	}
	return note
}

// covers reports whether an id means a finding: by our ids, or by the alias
// that the finding stands for.
func covers(rule audit.Rule, f audit.Finding, id string) bool {
	if strings.HasPrefix(strings.ToUpper(id), "CHG-") || f.Alias == "" {
		return rule.Matches(id)
	}
	return audit.Rule{Aliases: []string{f.Alias}}.Matches(id)
}
